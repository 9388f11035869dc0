use std::num::NonZeroUsize;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Item {
    rule: usize,
    memory: usize,
    number: usize,
}

impl Queued for Item {
    fn rule(&self) -> usize {
        self.rule
    }

    fn memory(&self) -> usize {
        self.memory
    }
}

#[derive(Clone, Debug)]
enum Step {
    Push { rule: usize, memory: usize },
    Take(usize),
    Settle,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let push = (0..5_usize, 0..400_usize).prop_map(|(rule, memory)| Step::Push { rule, memory });
    let step =
        prop_oneof![8 => push, 1 => (1..6_usize).prop_map(Step::Take), 1 => Just(Step::Settle)];
    vec(step, 1..200)
}

fn limits() -> impl Strategy<Value = QueueLimits> {
    (0..12_usize, 1..3000_usize)
        .prop_map(|(alerts, bytes)| QueueLimits { alerts: NonZeroUsize::new(alerts), bytes })
}

/// The queue as a list.
struct Model {
    waiting: Vec<Item>,
    taken: usize,
}

impl Model {
    fn cost(item: &Item) -> usize {
        item.memory + size_of::<Slot<Item>>()
    }

    fn amount(&self, rule: usize, measure: Measure) -> usize {
        let of_rule = self.waiting.iter().filter(|item| item.rule == rule);
        match measure {
            Measure::Items => of_rule.count(),
            Measure::Bytes => of_rule.map(Self::cost).sum(),
        }
    }
}

fn lost(before: &[Item], new: &Item, after: &[Item]) -> Vec<Item> {
    let all = before.iter().chain([new]);
    all.filter(|item| !after.contains(item)).cloned().collect()
}

fn contents(queue: &FairQueue<Item>) -> Vec<Item> {
    let mut items = Vec::new();
    let mut at = queue.all.oldest;
    while let Some(slot) = queue.slots.get(at as usize) {
        items.extend(slot.item.clone());
        at = slot.links[0].newest;
    }
    items
}

proptest! {
    /// Limits hold, items keep their order, and only rules that have most lose anything.
    #[test]
    fn a_loss_falls_on_the_rule_that_has_most(
        limits in limits(),
        drop_oldest: bool,
        steps in steps(),
    ) {
        let when_full = if drop_oldest { WhenFull::DropOldest } else { WhenFull::DropNewest };
        let mut queue = FairQueue::new(limits);
        let mut model = Model { waiting: Vec::new(), taken: 0 };
        let mut losses_by_rule = [0; 5];
        let (mut submitted, mut received, mut lost_in_all) = (0, Vec::new(), 0);
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Push { rule, memory } => {
                    submitted += 1;
                    let item = Item { rule, memory, number };
                    let fits = queue.fits(&item);
                    let rules: Vec<_> = (0..5).filter(|&r| model.amount(r, Measure::Items) > 0).collect();
                    let by_number = queue.bytes() + Model::cost(&item) <= limits.bytes;
                    let losses = queue.push(item.clone(), number as u64, when_full);
                    let after = contents(&queue);
                    let lost = lost(&model.waiting, &item, &after);
                    prop_assert_eq!(lost.len() as u64, losses.full + losses.over_share);
                    prop_assert_eq!(fits, lost.is_empty());
                    prop_assert!(losses.over_share == 0 || rules.iter().any(|&r| r != rule));
                    lost_in_all += lost.len();
                    // Who lost had, in some measure, no less than any other rule after it.
                    for victim in &lost {
                        losses_by_rule[victim.rule] += 1;
                        let fair = [Measure::Items, Measure::Bytes].into_iter().any(|measure| {
                            let new = |r| if r == rule {
                                match measure {
                                    Measure::Items => 1,
                                    Measure::Bytes => Model::cost(&item),
                                }
                            } else { 0 };
                            let had = model.amount(victim.rule, measure) + new(victim.rule);
                            (0..5).all(|r| {
                                let has = after.iter().filter(|item| item.rule == r);
                                had >= match measure {
                                    Measure::Items => has.count(),
                                    Measure::Bytes => has.map(Model::cost).sum(),
                                }
                            })
                        });
                        prop_assert!(fair, "{:?} of {:?}", victim, model.waiting);
                    }
                    // A rule below its part of the queue loses nothing.
                    if let Some(alerts) = limits.alerts && by_number {
                        for victim in &lost {
                            let had = model.amount(victim.rule, Measure::Items);
                            prop_assert!(had + usize::from(victim.rule == rule) >= alerts.get() / (rules.len() + 1));
                        }
                    }
                    model.waiting = after;
                }
                Step::Take(max) => {
                    let mut items = Vec::new();
                    queue.take(&mut items, max);
                    let rest = model.waiting.split_off(items.len().min(model.waiting.len()));
                    prop_assert_eq!(&items, &model.waiting);
                    model.taken += items.iter().map(Model::cost).sum::<usize>();
                    model.waiting = rest;
                    received.extend(items.into_iter().map(|item| item.number));
                }
                Step::Settle => {
                    queue.settle();
                    model.taken = 0;
                }
            }
            let bytes = model.waiting.iter().map(Model::cost).sum::<usize>() + model.taken;
            prop_assert_eq!(queue.bytes(), bytes);
            prop_assert_eq!(queue.len, model.waiting.len());
            prop_assert!(limits.alerts.is_none_or(|alerts| queue.len <= alerts.get()));
            // One item alone may be larger than the queue.
            prop_assert!(bytes <= limits.bytes || queue.len <= 1 || model.taken > limits.bytes);
            let by_rule: Vec<_> = queue.lost_by_rule().chain([0; 5]).take(5).collect();
            prop_assert_eq!(&by_rule[..], &losses_by_rule[..]);
        }
        prop_assert!(received.is_sorted());
        prop_assert_eq!(submitted, received.len() + model.waiting.len() + lost_in_all);
    }
}

fn item(rule: usize, number: usize) -> Item {
    Item { rule, memory: 0, number }
}

fn numbers(queue: &FairQueue<Item>) -> Vec<usize> {
    contents(queue).into_iter().map(|item| item.number).collect()
}

#[test]
fn a_flood_of_one_rule_leaves_room_for_the_others() {
    for (when_full, expected) in [
        (WhenFull::DropNewest, [0, 1, 2, 3, 100, 101]),
        (WhenFull::DropOldest, [16, 17, 18, 19, 100, 101]),
    ] {
        let limits = QueueLimits { alerts: NonZeroUsize::new(6), bytes: usize::MAX };
        let mut queue = FairQueue::new(limits);
        let mut losses = Vec::new();
        for number in 0..20 {
            losses.push(queue.push(item(0, number), 0, when_full));
        }
        assert!(
            losses[6..].iter().all(|losses| *losses == Losses { full: 1, ..Losses::default() })
        );
        for number in [100, 101] {
            let losses = queue.push(item(1, number), 0, when_full);
            assert_eq!(losses, Losses { over_share: 1, ..Losses::default() });
        }
        assert_eq!(numbers(&queue), expected);
        assert_eq!(queue.lost_by_rule().collect::<Vec<_>>(), [16, 0]);
    }
}

#[test]
fn an_item_larger_than_the_queue_enters_only_an_empty_one() {
    let limits = QueueLimits { alerts: None, bytes: 1000 };
    let mut queue = FairQueue::new(limits);
    let large = Item { rule: 0, memory: 5000, number: 1 };
    assert!(queue.fits(&large));
    assert_eq!(queue.push(large.clone(), 7, WhenFull::DropOldest), Losses::default());
    assert!(!queue.fits(&item(0, 2)));
    let mut items = Vec::new();
    queue.take(&mut items, 10);
    assert_eq!((items.len(), queue.oldest()), (1, Some(7)));
    assert!(!queue.fits(&large));
    queue.settle();
    assert!(queue.fits(&large));
    // It does not push out small ones in vain.
    queue.push(item(0, 2), 8, WhenFull::DropOldest);
    assert_eq!(
        queue.push(large, 9, WhenFull::DropOldest),
        Losses { full: 1, over_share: 0, by_memory: true }
    );
    assert_eq!((numbers(&queue), queue.oldest()), (vec![2], Some(8)));
}

#[test]
fn an_empty_queue_gives_its_memory_back() {
    let limits = QueueLimits { alerts: None, bytes: usize::MAX };
    let mut queue = FairQueue::new(limits);
    for number in 0..10 * KEPT_SLOTS {
        queue.push(item(0, number), 0, WhenFull::DropNewest);
    }
    let mut items = Vec::new();
    while !queue.is_empty() {
        queue.take(&mut items, 1000);
    }
    assert_eq!(items.len(), 10 * KEPT_SLOTS);
    assert!(queue.slots.capacity() < 2 * KEPT_SLOTS);
}
