use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

use super::*;

impl Queued for u16 {
    fn rule(&self) -> usize {
        usize::from(*self) % 2
    }

    fn memory(&self) -> usize {
        1
    }
}

fn queue(alerts: usize, when_full: WhenFull) -> Queue<u16> {
    let limits = QueueLimits { alerts: NonZeroUsize::new(alerts), bytes: usize::MAX };
    Queue::new(limits, when_full)
}

fn push(queue: &Queue<u16>, items: impl IntoIterator<Item = u16>) {
    items.into_iter().for_each(|item| queue.push(item, u64::from(item)));
}

fn take_all(queue: &Queue<u16>) -> Vec<u16> {
    let (mut items, mut all) = (Vec::new(), Vec::new());
    while queue.take(&mut items, 128) != Taken::End {
        queue.settle(Counts { delivered: items.len() as u64, ..Counts::default() });
        all.append(&mut items);
    }
    all
}

#[test]
fn items_come_in_order_then_the_end() {
    let queue = queue(0, WhenFull::DropNewest);
    push(&queue, 0..3);
    queue.close();
    let mut items = Vec::new();
    assert_eq!(queue.take(&mut items, 2), Taken::Items);
    assert_eq!((&*items, queue.status(Counts::default).oldest), (&[0, 1][..], Some(0)));
    items.clear();
    queue.settle(Counts { delivered: 1, failed: 1, ..Counts::default() });
    assert_eq!(queue.take(&mut items, 2), Taken::Items);
    assert_eq!(items, [2]);
    assert_eq!(queue.status(Counts::default).counts.waiting(), 1);
    items.clear();
    queue.settle(Counts { delivered: 1, ..Counts::default() });
    assert_eq!(queue.take(&mut items, 2), Taken::End);
    let counts = Counts { submitted: 3, delivered: 2, failed: 1, ..Counts::default() };
    assert_eq!(queue.status(Counts::default), QueueStatus { counts, ..QueueStatus::default() });
}

#[test]
fn a_full_queue_drops_and_counts() {
    let queue = queue(2, WhenFull::DropNewest);
    push(&queue, [0, 2, 4, 6, 1]);
    let mut by_rule = vec![0, 0, 7];
    queue.add_lost_by_rule(&mut by_rule);
    assert_eq!(by_rule, [3, 0, 7]);
    queue.close();
    assert_eq!(take_all(&queue), [0, 1]);
    let Counts { submitted, delivered, full, over_share, .. } =
        queue.status(Counts::default).counts;
    assert_eq!((submitted, delivered, full, over_share), (5, 2, 2, 1));
}

#[test]
fn what_is_not_delivered_at_the_end_is_counted() {
    let queue = queue(0, WhenFull::DropNewest);
    push(&queue, 0..5);
    let mut items = Vec::new();
    assert_eq!(queue.take(&mut items, 2), Taken::Items);
    queue.end();
    push(&queue, [9]);
    // Too late.
    queue.settle(Counts { delivered: 2, ..Counts::default() });
    assert_eq!(queue.take(&mut items, 2), Taken::End);
    let counts = Counts { submitted: 6, discarded: 6, ..Counts::default() };
    assert_eq!(queue.status(Counts::default).counts, counts);
}

#[test]
fn a_consumer_that_sleeps_is_woken_for_each_thing() {
    let queue = queue(0, WhenFull::DropNewest);
    let sleeping = || {
        while queue.lock().consumer != Consumer::Sleeps {
            thread::yield_now();
        }
    };
    thread::scope(|scope| {
        let consumer = scope.spawn(|| [(); 3].map(|()| queue.take(&mut Vec::new(), 128)));
        sleeping();
        push(&queue, [1]);
        sleeping();
        queue.reopen();
        sleeping();
        queue.close();
        assert_eq!(consumer.join().unwrap(), [Taken::Items, Taken::Reopen, Taken::End]);
    });
}

#[test]
fn nothing_is_lost_between_threads() {
    let queue = queue(0, WhenFull::DropNewest);
    thread::scope(|scope| {
        let consumer = scope.spawn(|| take_all(&queue));
        push(&queue, 0..1000);
        queue.reopen();
        queue.close();
        assert_eq!(consumer.join().unwrap(), (0..1000).collect::<Vec<_>>());
    });
}

#[test]
fn a_producer_waits_for_room_and_loses_nothing() {
    let queue = queue(2, WhenFull::Block);
    thread::scope(|scope| {
        let producer = scope.spawn(|| {
            push(&queue, 0..1000);
            queue.close();
        });
        assert_eq!(take_all(&queue), (0..1000).collect::<Vec<_>>());
        producer.join().unwrap();
    });
    assert_eq!(queue.status(Counts::default).counts.delivered, 1000);
}

#[test]
fn who_must_not_wait_loses_its_own_item() {
    let queue = queue(1, WhenFull::Block);
    push(&queue, [1]);
    queue.push_or_lose(2, 0);
    queue.push_or_lose(4, 0);
    let mut by_rule = Vec::new();
    queue.add_lost_by_rule(&mut by_rule);
    assert_eq!(by_rule, [2, 0]);
    queue.close();
    assert_eq!(take_all(&queue), [1]);
    queue.push_or_lose(3, 0);
    let Counts { submitted, delivered, full, .. } = queue.status(Counts::default).counts;
    assert_eq!((submitted, delivered, full), (4, 1, 2));
}

#[test]
fn a_producer_that_waits_can_be_released() {
    let release: [fn(&Queue<u16>); 2] = [Queue::stop_blocking, Queue::end];
    for release in release {
        let queue = Arc::new(queue(1, WhenFull::Block));
        push(&queue, [1]);
        let producer = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || push(&queue, [3]))
        };
        while queue.lock().blocked == 0 {
            thread::yield_now();
        }
        release(&queue);
        producer.join().unwrap();
        let Counts { submitted, full, discarded, .. } = queue.status(Counts::default).counts;
        assert!(matches!((submitted, full, discarded), (2, 1, 0) | (2, 0, 2)));
    }
}

#[test]
fn a_batch_is_filled_until_it_is_full_or_the_time_is_over() {
    let queue = queue(10, WhenFull::DropNewest);
    push(&queue, [1]);
    let mut items = Vec::new();
    assert!(matches!(queue.take(&mut items, 3), Taken::Items));
    queue.take_more(&mut items, 3, Duration::from_millis(1));
    assert_eq!(items, [1]);
    push(&queue, [2, 3, 4]);
    queue.take_more(&mut items, 3, Duration::from_secs(3600));
    assert_eq!(items, [1, 2, 3]);
    // The end is not waited for.
    queue.close();
    queue.take_more(&mut items, 9, Duration::from_secs(3600));
    assert_eq!(items, [1, 2, 3, 4]);
}
