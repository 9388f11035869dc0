//! The queue in all orders in which its threads can run. A wake-up that is lost shows as a
//! deadlock.

use loom::sync::Arc;
use loom::thread;

use super::*;

/// Takes until the end. All items in their order, and how often files were to be reopened.
fn take_all(queue: &Queue<u8>) -> (Vec<u8>, usize) {
    let (mut items, mut all, mut reopened) = (Vec::new(), Vec::new(), 0);
    loop {
        match queue.take(&mut items) {
            Taken::Items => all.append(&mut items),
            Taken::Reopen => reopened += 1,
            Taken::End => return (all, reopened),
        }
    }
}

#[test]
fn every_item_arrives_in_order_before_the_end() {
    loom::model(|| {
        let queue = Arc::new(Queue::new(None));
        let producer = {
            let queue = queue.clone();
            thread::spawn(move || {
                assert_eq!(queue.push(1), Pushed::Queued);
                assert_eq!(queue.push(2), Pushed::Queued);
                queue.close();
            })
        };
        assert_eq!(take_all(&queue), (vec![1, 2], 0));
        producer.join().unwrap();
    });
}

#[test]
fn a_request_to_reopen_is_not_lost() {
    loom::model(|| {
        let queue = Arc::new(Queue::new(None));
        let producer = {
            let queue = queue.clone();
            thread::spawn(move || {
                queue.push(1);
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
        let queue = Arc::new(Queue::new(None));
        let push = |item| {
            let queue = queue.clone();
            thread::spawn(move || queue.push(item))
        };
        let producers = [push(1), push(2)];
        let (mut items, mut all) = (Vec::new(), Vec::new());
        while all.len() < producers.len() {
            assert_eq!(queue.take(&mut items), Taken::Items);
            all.append(&mut items);
        }
        for producer in producers {
            assert_eq!(producer.join().unwrap(), Pushed::Queued);
        }
        all.sort_unstable();
        assert_eq!(all, [1, 2]);
    });
}

#[test]
fn a_full_queue_counts_what_it_drops() {
    loom::model(|| {
        let queue = Arc::new(Queue::new(NonZeroUsize::new(1)));
        let producer = {
            let queue = queue.clone();
            thread::spawn(move || {
                let pushed = [queue.push(1), queue.push(2)];
                queue.close();
                pushed.into_iter().filter(|pushed| *pushed == Pushed::Queued).count()
            })
        };
        let (items, _) = take_all(&queue);
        let queued = producer.join().unwrap();
        assert_eq!(items.len(), queued);
        assert_eq!(queue.dropped(), 2 - queued as u64);
        assert_eq!(items.first(), Some(&1));
    });
}
