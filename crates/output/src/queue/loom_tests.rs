//! The queue in all orders in which its threads can run. A wake-up that is lost shows as a
//! deadlock.

use std::num::NonZeroUsize;

use loom::sync::Arc;
use loom::thread;

use super::*;

impl Queued for u8 {
    fn rule(&self) -> usize {
        0
    }

    fn memory(&self) -> usize {
        1
    }
}

fn queue(alerts: usize, when_full: WhenFull) -> Arc<Queue<u8>> {
    let limits = QueueLimits { alerts: NonZeroUsize::new(alerts), bytes: usize::MAX };
    Arc::new(Queue::new(limits, when_full))
}

/// Takes until the end. All items in their order, and how often files were to be reopened.
fn take_all(queue: &Queue<u8>) -> (Vec<u8>, usize) {
    let (mut items, mut all, mut reopened) = (Vec::new(), Vec::new(), 0);
    loop {
        match queue.take(&mut items, 2) {
            Taken::Items => {
                queue.settle(Counts { delivered: items.len() as u64, ..Counts::default() });
                all.append(&mut items);
            }
            Taken::Reopen => reopened += 1,
            Taken::End => return (all, reopened),
        }
    }
}

#[test]
fn every_item_arrives_in_order_before_the_end() {
    loom::model(|| {
        let queue = queue(0, WhenFull::DropNewest);
        let producer = {
            let queue = queue.clone();
            thread::spawn(move || {
                queue.push(1, 0);
                queue.push(2, 0);
                queue.close();
            })
        };
        assert_eq!(take_all(&queue), (vec![1, 2], 0));
        producer.join().unwrap();
        assert_eq!(queue.status(Counts::default).counts.delivered, 2);
    });
}

#[test]
fn a_request_to_reopen_is_not_lost() {
    loom::model(|| {
        let queue = queue(0, WhenFull::DropNewest);
        let producer = {
            let queue = queue.clone();
            thread::spawn(move || {
                queue.push(1, 0);
                queue.reopen();
                queue.close();
            })
        };
        assert_eq!(take_all(&queue), (vec![1], 1));
        producer.join().unwrap();
    });
}

/// No call after the pushes wakes the consumer.
#[test]
fn items_of_two_producers_arrive() {
    loom::model(|| {
        let queue = queue(0, WhenFull::DropNewest);
        let push = |item| {
            let queue = queue.clone();
            thread::spawn(move || queue.push(item, 0))
        };
        let producers = [push(1), push(2)];
        let (mut items, mut all) = (Vec::new(), Vec::new());
        while all.len() < producers.len() {
            assert_eq!(queue.take(&mut items, 2), Taken::Items);
            all.append(&mut items);
        }
        for producer in producers {
            producer.join().unwrap();
        }
        all.sort_unstable();
        assert_eq!(all, [1, 2]);
    });
}

#[test]
fn a_full_queue_counts_what_it_drops() {
    loom::model(|| {
        let queue = queue(1, WhenFull::DropNewest);
        let producer = {
            let queue = queue.clone();
            thread::spawn(move || {
                queue.push(1, 0);
                queue.push(2, 0);
                queue.close();
            })
        };
        let (items, _) = take_all(&queue);
        producer.join().unwrap();
        let Counts { delivered, full, .. } = queue.status(Counts::default).counts;
        assert_eq!((items.len() as u64, delivered + full), (delivered, 2));
        assert_eq!(items.first(), Some(&1));
    });
}

#[test]
fn a_producer_that_waits_for_room_loses_nothing() {
    loom::model(|| {
        let queue = queue(1, WhenFull::Block);
        let producer = {
            let queue = queue.clone();
            thread::spawn(move || {
                queue.push(1, 0);
                queue.push(2, 0);
                queue.close();
            })
        };
        assert_eq!(take_all(&queue).0, [1, 2]);
        producer.join().unwrap();
    });
}

/// The producer ends although the consumer never takes anything.
#[test]
fn a_queue_that_ends_releases_the_producer() {
    loom::model(|| {
        let queue = queue(1, WhenFull::Block);
        let producer = {
            let queue = queue.clone();
            thread::spawn(move || {
                queue.push(1, 0);
                queue.push(2, 0);
            })
        };
        queue.end();
        producer.join().unwrap();
        assert_eq!(queue.status(Counts::default).counts.discarded, 2);
    });
}
