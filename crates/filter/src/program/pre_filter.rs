//! Conditions that an event excludes, many at a time, before any of them is asked.

use hashbrown::HashMap;

use super::feasibility::{Feasibility, Parents};
use super::table::TextClass;
use super::{Evaluator, IndexId, NodeId, Program, Term};
use crate::{Meter, Supplier};

/// What several conditions lack where they don't hold.
///
/// Conditions are told by their bits. Each text that tables tell apart excludes those that can't hold with it, whatever
/// else there is; so does each sub-condition that several of them need.
#[derive(Debug, Default)]
pub struct PreFilter {
    // Those that may exclude most come first.
    layers: Vec<Layer>,
}

#[derive(Debug)]
struct Layer {
    /// The conditions that it often excludes.
    concerned: Box<[u64]>,
    by: By,
}

#[derive(Debug)]
enum By {
    /// Rows of the table of an index: for each, the conditions that it leaves.
    Texts { index: IndexId, left: Vec<u64>, ends: Option<(IndexId, Vec<u64>)> },
    /// What all of them need.
    Need(NodeId),
}

/// What a layer of a pre-filter did stats: one that holds back nothing event after event is left out for a while.
#[derive(Clone, Copy, Debug, Default)]
pub struct LayerStats {
    idle: u8,
    rest: u8,
}

/// So often in a class a layer may hold back nothing.
const PATIENCE: u8 = 8;
/// For so many events it is left out then.
const REST: u8 = 128;

impl LayerStats {
    /// Whether it is the layer's turn.
    fn is_due(&mut self) -> bool {
        match self.rest.checked_sub(1) {
            Some(rest) => {
                self.rest = rest;
                false
            }
            None => true,
        }
    }

    fn note(&mut self, held_back: bool) {
        if held_back {
            self.idle = 0;
        } else if self.idle == PATIENCE {
            self.rest = REST;
        } else {
            self.idle += 1;
        }
    }
}

impl PreFilter {
    /// How many layers it has.
    pub fn len(&self) -> usize {
        self.layers.len()
    }

    /// Whether it leaves everything.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }
}

/// Makes the pre-filters of a program.
#[derive(Debug)]
pub struct PreFilterBuilder<'p, F> {
    program: &'p Program<F>,
    feasibilities: Vec<IndexFeasibility>,
}

/// What the table of an index excludes.
#[derive(Debug)]
struct IndexFeasibility {
    index: IndexId,
    plain: Feasibility,
    /// With what is so when the texts end in no way that anybody asks for.
    ends: Option<(IndexId, Feasibility)>,
}

/// Fewer conditions are asked as quickly one by one.
const WORTH: usize = 2;
/// A condition that so many layers may exclude has no need of others.
const ENOUGH: u32 = 3;

impl<'p, F> PreFilterBuilder<'p, F> {
    /// For the conditions of this program.
    pub fn new(program: &'p Program<F>) -> Self {
        let mut answered = vec![Vec::new(); program.indexes.len()];
        for (id, node) in (0..).map(NodeId).zip(&program.nodes) {
            let guard = program.guarded(node.op).map(|guarded| guarded.guard);
            for (index, _) in program.answer(id).into_iter().chain(guard) {
                if let Some(answered) = answered.get_mut(usize::from(index.0)) {
                    answered.push(id);
                }
            }
        }
        let parents = Parents::of(program);
        let feasibility = |index, ends| Feasibility::new(program, &parents, &answered, index, ends);
        let feasibilities =
            (0..).map(IndexId).zip(&program.indexes).map(|(id, index)| IndexFeasibility {
                index: id,
                plain: feasibility(id, None),
                ends: index.ends.map(|ends| (ends, feasibility(id, Some(ends)))),
            });
        Self {
            program,
            feasibilities: feasibilities
                .filter(|feasibility| !feasibility.plain.is_empty())
                .collect(),
        }
    }

    /// The pre-filter for these conditions; it leaves those that are `None`.
    pub fn build(&self, conditions: &[Option<NodeId>]) -> PreFilter {
        let known = (0..).zip(conditions).filter_map(|(index, node)| Some((index, (*node)?)));
        let known: Vec<(usize, NodeId)> = known.collect();
        let words = conditions.len().div_ceil(64);
        let mut needs: HashMap<NodeId, Vec<usize>> = HashMap::new();
        for (index, condition) in &known {
            self.program.needed(*condition, &mut |part| {
                needs.entry(part).or_default().push(*index);
            });
        }
        let mut needs: Vec<_> = needs.into_iter().filter(|(_, by)| by.len() >= WORTH).collect();
        needs.sort_by_key(|(node, _)| *node);
        let needs = needs.into_iter().map(|(node, by)| {
            let concerned = bitmap(&by, words);
            (by, Layer { concerned, by: By::Need(node) })
        });
        let texts = self.feasibilities.iter().filter_map(|of| texts(of, &known, words));
        let mut layers: Vec<_> = texts.chain(needs).collect();
        layers.sort_by_key(|(by, _)| std::cmp::Reverse(by.len()));
        let mut layers_of = vec![0; conditions.len()];
        let mut wanted = |by: &[usize]| {
            let mut wanting = 0;
            for index in by {
                if let Some(layers) = layers_of.get_mut(*index) {
                    wanting += usize::from(*layers < ENOUGH);
                    *layers += 1;
                }
            }
            wanting >= WORTH
        };
        let layers = layers.into_iter().filter(|(by, _)| wanted(by)).map(|(_, layer)| layer);
        PreFilter { layers: layers.collect() }
    }
}

/// What the texts of one index exclude, and the conditions that most of them do.
fn texts(
    IndexFeasibility { index, plain, ends }: &IndexFeasibility,
    conditions: &[(usize, NodeId)],
    words: usize,
) -> Option<(Vec<usize>, Layer)> {
    let excludes = |classes: &[u64], class: usize| {
        classes.get(class / 64).is_some_and(|word| word >> (class % 64) & 1 == 0)
    };
    let likely = ends.as_ref().map_or(plain, |(_, feasibility)| feasibility);
    let often = conditions.iter().filter(|(_, node)| {
        likely.of(*node).is_some_and(|classes| excludes(classes, TextClass::OTHER.0 as usize))
    });
    let often: Vec<usize> = often.map(|(index, _)| *index).collect();
    if often.len() < WORTH {
        return None;
    }
    let left = |feasibility: &Feasibility| {
        let mut left = vec![u64::MAX; feasibility.classes * words];
        for (index, node) in conditions {
            let Some(classes) = feasibility.of(*node) else { continue };
            for class in (0..feasibility.classes).filter(|class| excludes(classes, *class)) {
                if let Some(word) = left.get_mut(class * words + index / 64) {
                    *word &= !(1 << (index % 64));
                }
            }
        }
        left
    };
    let concerned = bitmap(&often, words);
    let ends = ends.as_ref().map(|(ends, feasibility)| (*ends, left(feasibility)));
    Some((often, Layer { concerned, by: By::Texts { index: *index, left: left(plain), ends } }))
}

fn bitmap(indexes: &[usize], words: usize) -> Box<[u64]> {
    let mut map: Box<[u64]> = vec![0; words].into();
    for index in indexes {
        if let Some(word) = map.get_mut(index / 64) {
            *word |= 1 << (index % 64);
        }
    }
    map
}

impl<F> Program<F> {
    /// Finds what must hold for a condition to hold, but for what tables answer.
    fn needed(&self, condition: NodeId, found: &mut impl FnMut(NodeId)) {
        match self.terms.get(condition.index()) {
            _ if self.answer(condition).is_some() => {}
            Some(Term::All(all)) if !self.is_shared(condition) => {
                all.iter().for_each(|part| self.needed(*part, found));
            }
            _ => found(condition),
        }
    }

    fn is_shared(&self, node: NodeId) -> bool {
        self.nodes.get(node.index()).is_some_and(|node| node.shared)
    }
}

impl<F, S, M> Evaluator<'_, F, S, M>
where
    S: Supplier<F> + ?Sized,
    M: Meter<NodeId>,
{
    /// Removes the bits of conditions that the event excludes. `stats` has a place for each layer of the pre_filter.
    pub fn prune(&mut self, pre_filter: &PreFilter, stats: &mut [LayerStats], live: &mut [u64]) {
        for (layer, stats) in pre_filter.layers.iter().zip(stats) {
            let Layer { concerned, by } = layer;
            if !is_worth_it(live, concerned) || !stats.is_due() {
                continue;
            }
            let held_back = match by {
                By::Texts { index, left, ends } => {
                    let left = match ends {
                        Some((ends, left)) if self.class_in(*ends) == TextClass::OTHER => left,
                        _ => left,
                    };
                    let class = self.class_in(*index).0 as usize * live.len();
                    let left = left.get(class..class + live.len()).unwrap_or_default();
                    live.iter_mut().zip(left).fold(false, |some, (live, left)| {
                        let held_back = *live & !left;
                        *live &= left;
                        some | (held_back != 0)
                    })
                }
                By::Need(node) => {
                    let holds = self.holds(*node);
                    if !holds {
                        live.iter_mut().zip(concerned).for_each(|(live, by)| *live &= !by);
                    }
                    !holds
                }
            };
            stats.note(held_back);
        }
    }
}

/// Whether several conditions are in both.
#[inline]
fn is_worth_it(a: &[u64], b: &[u64]) -> bool {
    let mut one = false;
    for (a, b) in a.iter().zip(b) {
        let both = a & b;
        // Without its lowest bit there are others.
        if both & both.wrapping_sub(1) != 0 || one && both != 0 {
            return true;
        }
        one |= both != 0;
    }
    false
}
