//! Conditions that an event excludes, many at a time, before any of them is asked.

use hashbrown::HashMap;

use super::outlook::{Outlook, Parents};
use super::table::Row;
use super::{Asked, ColumnId, NodeId, Program, Step};
use crate::{Meter, Supplier};

/// What several conditions lack where they don't hold.
///
/// Conditions are told by their bits. Each text that tables tell apart excludes those that can't hold with it, whatever
/// else there is; so does each sub-condition that several of them need.
#[derive(Debug, Default)]
pub struct Sieve {
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
    /// Rows of the table of a column: for each, the conditions that it leaves.
    Texts { column: ColumnId, left: Vec<u64>, ends: Option<(ColumnId, Vec<u64>)> },
    /// What all of them need.
    Need(NodeId),
}

/// What a layer of a sieve did lately: one that holds back nothing event after event is left out for a while.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lately {
    idle: u8,
    rest: u8,
}

/// So often in a row a layer may hold back nothing.
const PATIENCE: u8 = 8;
/// For so many events it is left out then.
const REST: u8 = 128;

impl Lately {
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

impl Sieve {
    /// How many layers it has.
    pub fn len(&self) -> usize {
        self.layers.len()
    }

    /// Whether it leaves everything.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }
}

/// Makes the sieves of a program.
#[derive(Debug)]
pub struct Sieves<'p, F> {
    program: &'p Program<F>,
    outlooks: Vec<Outlooks>,
}

/// What the table of a column excludes.
#[derive(Debug)]
struct Outlooks {
    column: ColumnId,
    plain: Outlook,
    /// With what is so when the texts end in no way that anybody asks for.
    ends: Option<(ColumnId, Outlook)>,
}

/// Fewer conditions are asked as quickly one by one.
const WORTH: usize = 2;
/// A condition that so many layers may exclude has no need of others.
const ENOUGH: u32 = 3;

impl<'p, F> Sieves<'p, F> {
    /// For the conditions of this program.
    pub fn new(program: &'p Program<F>) -> Self {
        let mut answered = vec![Vec::new(); program.columns.len()];
        for (id, node) in (0..).map(NodeId).zip(&program.nodes) {
            let bound = program.bounded(node.op).map(|bounded| bounded.bound);
            for (column, _) in program.answer(id).into_iter().chain(bound) {
                if let Some(answered) = answered.get_mut(usize::from(column.0)) {
                    answered.push(id);
                }
            }
        }
        let parents = Parents::of(program);
        let outlook = |column, ends| Outlook::new(program, &parents, &answered, column, ends);
        let outlooks = (0..).map(ColumnId).zip(&program.columns).map(|(id, column)| Outlooks {
            column: id,
            plain: outlook(id, None),
            ends: column.ends.map(|ends| (ends, outlook(id, Some(ends)))),
        });
        Self { program, outlooks: outlooks.filter(|outlook| !outlook.plain.is_empty()).collect() }
    }

    /// The sieve for these conditions; it leaves those that are `None`.
    pub fn sieve(&self, conditions: &[Option<NodeId>]) -> Sieve {
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
        let texts = self.outlooks.iter().filter_map(|of| texts(of, &known, words));
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
        Sieve { layers: layers.collect() }
    }
}

/// What the texts of one column exclude, and the conditions that most of them do.
fn texts(
    Outlooks { column, plain, ends }: &Outlooks,
    conditions: &[(usize, NodeId)],
    words: usize,
) -> Option<(Vec<usize>, Layer)> {
    let excludes = |rows: &[u64], row: usize| {
        rows.get(row / 64).is_some_and(|word| word >> (row % 64) & 1 == 0)
    };
    let likely = ends.as_ref().map_or(plain, |(_, outlook)| outlook);
    let often = conditions.iter().filter(|(_, node)| {
        likely.of(*node).is_some_and(|rows| excludes(rows, Row::OTHER.0 as usize))
    });
    let often: Vec<usize> = often.map(|(index, _)| *index).collect();
    if often.len() < WORTH {
        return None;
    }
    let left = |outlook: &Outlook| {
        let mut left = vec![u64::MAX; outlook.rows * words];
        for (index, node) in conditions {
            let Some(rows) = outlook.of(*node) else { continue };
            for row in (0..outlook.rows).filter(|row| excludes(rows, *row)) {
                if let Some(word) = left.get_mut(row * words + index / 64) {
                    *word &= !(1 << (index % 64));
                }
            }
        }
        left
    };
    let concerned = bitmap(&often, words);
    let ends = ends.as_ref().map(|(ends, outlook)| (*ends, left(outlook)));
    Some((often, Layer { concerned, by: By::Texts { column: *column, left: left(plain), ends } }))
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
        match self.steps.get(condition.index()) {
            _ if self.answer(condition).is_some() => {}
            Some(Step::All(all)) if !self.is_shared(condition) => {
                all.iter().for_each(|part| self.needed(*part, found));
            }
            _ => found(condition),
        }
    }

    fn is_shared(&self, node: NodeId) -> bool {
        self.nodes.get(node.index()).is_some_and(|node| node.shared)
    }
}

impl<F, S, M> Asked<'_, F, S, M>
where
    S: Supplier<F> + ?Sized,
    M: Meter<NodeId>,
{
    /// Removes the bits of conditions that the event excludes. `lately` has a place for each layer of the sieve.
    pub fn sift(&mut self, sieve: &Sieve, lately: &mut [Lately], live: &mut [u64]) {
        for (layer, lately) in sieve.layers.iter().zip(lately) {
            let Layer { concerned, by } = layer;
            if !is_worth_it(live, concerned) || !lately.is_due() {
                continue;
            }
            let held_back = match by {
                By::Texts { column, left, ends } => {
                    let left = match ends {
                        Some((ends, left)) if self.row_of(*ends) == Row::OTHER => left,
                        _ => left,
                    };
                    let row = self.row_of(*column).0 as usize * live.len();
                    let left = left.get(row..row + live.len()).unwrap_or_default();
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
            lately.note(held_back);
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
