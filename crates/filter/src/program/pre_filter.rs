//! Excludes conditions many at a time, before any of them is evaluated.

use hashbrown::HashMap;

use super::evaluator::Evaluator;
use super::feasibility::{Feasibility, Parents};
use super::graph::{IndexId, NodeId, Program, Term};
use super::kleene::Dependents;
use super::table::TextClass;
use crate::{Meter, Supplier};

/// Necessary conditions that many conditions share, in layers.
///
/// Conditions are bits of a bitmap. A layer of texts looks up the class of one field and clears the
/// conditions that can't hold with it; a layer of a common operand evaluates one sub-condition and
/// clears those that need it.
#[derive(Debug, Default)]
pub struct PreFilter {
    /// Those that may exclude most conditions come first.
    layers: Vec<Layer>,
}

#[derive(Debug)]
struct Layer {
    /// The conditions that it often excludes.
    concerned: Box<[u64]>,
    kind: LayerKind,
}

#[derive(Debug)]
enum LayerKind {
    /// For each class of the texts of an index, the conditions that it leaves: `ends` where the
    /// class in that index is [`TextClass::OTHER`], else `left`.
    Texts { index: IndexId, left: Vec<u64>, ends: Option<(IndexId, Vec<u64>)> },
    /// An operand that all of them need.
    Operand(NodeId),
}

/// Recent use of a layer: one that excludes nothing event after event is suspended for a while.
#[derive(Clone, Copy, Debug, Default)]
pub struct LayerStats {
    /// Events in a row in which it excluded nothing.
    misses: u8,
    /// Events for which it stays suspended.
    suspended: u8,
}

/// Consecutive misses before a layer is suspended.
const MAX_MISSES: u8 = 8;
/// Events for which it is suspended.
const SUSPENSION: u8 = 128;

impl LayerStats {
    /// Whether the layer takes part in this event.
    fn is_active(&mut self) -> bool {
        match self.suspended.checked_sub(1) {
            Some(suspended) => {
                self.suspended = suspended;
                false
            }
            None => true,
        }
    }

    fn record(&mut self, excluded: bool) {
        if excluded {
            self.misses = 0;
        } else if self.misses == MAX_MISSES {
            self.suspended = SUSPENSION;
        } else {
            self.misses += 1;
        }
    }
}

impl PreFilter {
    /// Number of layers.
    pub fn len(&self) -> usize {
        self.layers.len()
    }

    /// Whether it excludes nothing.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }
}

/// Builds pre-filters for groups of conditions of one program.
#[derive(Debug)]
pub struct PreFilterBuilder<'p, F> {
    program: &'p Program<F>,
    feasibilities: Vec<IndexFeasibility>,
}

/// What the texts of an index exclude.
#[derive(Debug)]
struct IndexFeasibility {
    index: IndexId,
    any: Feasibility,
    /// The same for texts that end in no way that a test names.
    ends: Option<(IndexId, Feasibility)>,
}

/// Conditions that a layer must concern: fewer are as cheap to evaluate.
const MIN_CONDITIONS: usize = 2;
/// Layers for one condition: further ones exclude it hardly more often.
const MAX_LAYERS: u32 = 3;

impl<'p, F> PreFilterBuilder<'p, F> {
    /// Computes which texts exclude which nodes of the program.
    pub fn new(program: &'p Program<F>) -> Self {
        let mut lookups = vec![Vec::new(); program.indexes.len()];
        for (id, node) in (0..).map(NodeId).zip(&program.nodes) {
            let guard = program.guarded(node.op).map(|guarded| guarded.guard);
            for (index, _) in program.answer(id).into_iter().chain(guard) {
                if let Some(nodes) = lookups.get_mut(usize::from(index.0)) {
                    nodes.push(id);
                }
            }
        }
        let parents = Parents::of(program);
        let feasibility = |index, ends| Feasibility::new(program, &parents, &lookups, index, ends);
        let feasibilities =
            (0..).map(IndexId).zip(&program.indexes).map(|(id, index)| IndexFeasibility {
                index: id,
                any: feasibility(id, None),
                ends: index.ends.map(|ends| (ends, feasibility(id, Some(ends)))),
            });
        Self {
            program,
            feasibilities: feasibilities
                .filter(|feasibility| !feasibility.any.is_empty())
                .collect(),
        }
    }

    /// The pre-filter for these conditions, which never excludes those that are `None`.
    pub fn build(&self, conditions: &[Option<NodeId>]) -> PreFilter {
        let nodes = (0..).zip(conditions).filter_map(|(index, node)| Some((index, (*node)?)));
        let nodes: Vec<(usize, NodeId)> = nodes.collect();
        let words = conditions.len().div_ceil(64);
        let mut users: HashMap<NodeId, Vec<usize>> = HashMap::new();
        for (index, condition) in &nodes {
            self.program.needed(*condition, &mut |operand| {
                users.entry(operand).or_default().push(*index);
            });
        }
        let mut needs: Vec<_> =
            users.into_iter().filter(|(_, by)| by.len() >= MIN_CONDITIONS).collect();
        needs.sort_by_key(|(node, _)| *node);
        let needs = needs.into_iter().map(|(node, by)| {
            let concerned = bitmap(&by, words);
            (by, Layer { concerned, kind: LayerKind::Operand(node) })
        });
        let texts = self.feasibilities.iter().filter_map(|of| texts(of, &nodes, words));
        let mut layers: Vec<_> = texts.chain(needs).collect();
        layers.sort_by_key(|(by, _)| std::cmp::Reverse(by.len()));
        let mut layers_of = vec![0; conditions.len()];
        let mut wanted = |by: &[usize]| {
            let mut wanting = 0;
            for index in by {
                if let Some(layers) = layers_of.get_mut(*index) {
                    wanting += usize::from(*layers < MAX_LAYERS);
                    *layers += 1;
                }
            }
            wanting >= MIN_CONDITIONS
        };
        let layers = layers.into_iter().filter(|(by, _)| wanted(by)).map(|(_, layer)| layer);
        PreFilter { layers: layers.collect() }
    }
}

/// The layer of the texts of one index, with the conditions that most texts exclude.
fn texts(
    IndexFeasibility { index, any, ends }: &IndexFeasibility,
    conditions: &[(usize, NodeId)],
    words: usize,
) -> Option<(Vec<usize>, Layer)> {
    let excludes = |classes: &[u64], class: usize| {
        classes.get(class / 64).is_some_and(|word| word >> (class % 64) & 1 == 0)
    };
    let likely = ends.as_ref().map_or(any, |(_, feasibility)| feasibility);
    let often = conditions.iter().filter(|(_, node)| {
        likely.can_hold(*node).is_some_and(|classes| excludes(classes, TextClass::OTHER.0 as usize))
    });
    let often: Vec<usize> = often.map(|(index, _)| *index).collect();
    if often.len() < MIN_CONDITIONS {
        return None;
    }
    let left = |feasibility: &Feasibility| {
        let mut left = vec![u64::MAX; feasibility.classes * words];
        for (index, node) in conditions {
            let Some(classes) = feasibility.can_hold(*node) else { continue };
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
    Some((
        often,
        Layer { concerned, kind: LayerKind::Texts { index: *index, left: left(any), ends } },
    ))
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
    /// Finds the operands that a condition needs, but for lookups, which layers of texts cover. A
    /// shared conjunction counts as one.
    fn needed(&self, condition: NodeId, found: &mut impl FnMut(NodeId)) {
        match self.terms.get(condition.index()) {
            _ if self.answer(condition).is_some() => {}
            Some(Term::All(all)) if !self.is_shared(condition) => {
                all.iter().for_each(|operand| self.needed(*operand, found));
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
    /// Clears the bits of conditions that the event excludes. `stats` has an entry for each layer.
    #[inline]
    pub fn prune(&mut self, pre_filter: &PreFilter, stats: &mut [LayerStats], live: &mut [u64]) {
        self.prune_by(pre_filter, stats, live, |_| true);
    }

    /// Like [`prune`](Self::prune), while the values of some fields are unknown: without the layers
    /// that read them.
    pub fn prune_known(
        &mut self,
        pre_filter: &PreFilter,
        stats: &mut [LayerStats],
        live: &mut [u64],
        unknown: &Dependents,
    ) {
        self.prune_by(pre_filter, stats, live, |kind| match kind {
            LayerKind::Texts { index, .. } => !unknown.has_index(*index),
            LayerKind::Operand(node) => !unknown.has(*node),
        });
    }

    #[inline]
    fn prune_by(
        &mut self,
        pre_filter: &PreFilter,
        stats: &mut [LayerStats],
        live: &mut [u64],
        applies: impl Fn(&LayerKind) -> bool,
    ) {
        for (layer, stats) in pre_filter.layers.iter().zip(stats) {
            let Layer { concerned, kind } = layer;
            if !applies(kind) || !share_two(live, concerned) || !stats.is_active() {
                continue;
            }
            let excluded = match kind {
                LayerKind::Texts { index, left, ends } => {
                    let left = match ends {
                        Some((ends, left)) if self.class_in(*ends) == TextClass::OTHER => left,
                        _ => left,
                    };
                    let class = self.class_in(*index).0 as usize * live.len();
                    let left = left.get(class..class + live.len());
                    debug_assert!(left.is_some(), "every class has a row");
                    let left = left.unwrap_or_default();
                    live.iter_mut().zip(left).fold(false, |some, (live, left)| {
                        let excluded = *live & !left;
                        *live &= left;
                        some | (excluded != 0)
                    })
                }
                LayerKind::Operand(node) => {
                    let holds = self.holds(*node);
                    if !holds {
                        live.iter_mut().zip(concerned).for_each(|(live, needs)| *live &= !needs);
                    }
                    !holds
                }
            };
            stats.record(excluded);
        }
    }
}

/// Whether two bitmaps have two bits or more in common.
#[inline]
fn share_two(a: &[u64], b: &[u64]) -> bool {
    let mut one = false;
    for (a, b) in a.iter().zip(b) {
        let both = a & b;
        // Clearing the lowest bit leaves another.
        if both & both.wrapping_sub(1) != 0 || one && both != 0 {
            return true;
        }
        one |= both != 0;
    }
    false
}
