//! Conditions that an event excludes, many at a time, before any of them is asked.

use hashbrown::HashMap;

use super::outlook::Outlook;
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
enum Layer {
    Texts(Texts),
    Need(Need),
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
    outlooks: Vec<(ColumnId, Outlook)>,
}

#[derive(Debug)]
struct Texts {
    column: ColumnId,
    /// The conditions that most texts exclude.
    concerned: Box<[u64]>,
    /// For each row, the conditions that it leaves.
    left: Vec<u64>,
}

#[derive(Debug)]
struct Need {
    node: NodeId,
    by: Box<[u64]>,
}

/// Fewer conditions are asked as quickly one by one.
const WORTH: usize = 2;

impl<'p, F> Sieves<'p, F> {
    /// For the conditions of this program.
    pub fn new(program: &'p Program<F>) -> Self {
        let outlooks = (0..).map(ColumnId).zip(&program.columns);
        let outlooks = outlooks.map(|(id, column)| (id, Outlook::new(program, id, &column.table)));
        Self { program, outlooks: outlooks.filter(|(_, outlook)| !outlook.is_empty()).collect() }
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
        let need = |(node, by): (_, Vec<usize>)| {
            (by.len(), Layer::Need(Need { node, by: bitmap(&by, words) }))
        };
        let texts = self.outlooks.iter().filter_map(|of| texts(of, &known, words));
        let texts = texts.map(|(count, texts)| (count, Layer::Texts(texts)));
        let mut layers: Vec<_> = texts.chain(needs.into_iter().map(need)).collect();
        layers.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
        Sieve { layers: layers.into_iter().map(|(_, layer)| layer).collect() }
    }
}

/// What the texts of one column exclude, and of how many conditions most of them do.
fn texts(
    (column, outlook): &(ColumnId, Outlook),
    conditions: &[(usize, NodeId)],
    words: usize,
) -> Option<(usize, Texts)> {
    let limited = conditions.iter().filter_map(|(index, node)| Some((*index, outlook.of(*node)?)));
    let limited: Vec<(usize, &[u64])> = limited.collect();
    let excludes = |rows: &[u64], row: usize| {
        rows.get(row / 64).is_some_and(|word| word >> (row % 64) & 1 == 0)
    };
    let often = limited.iter().filter(|(_, rows)| excludes(rows, Row::OTHER.0 as usize));
    let often: Vec<usize> = often.map(|(index, _)| *index).collect();
    if often.len() < WORTH {
        return None;
    }
    let mut left = vec![u64::MAX; outlook.rows * words];
    for (index, rows) in limited {
        for row in (0..outlook.rows).filter(|row| excludes(rows, *row)) {
            if let Some(word) = left.get_mut(row * words + index / 64) {
                *word &= !(1 << (index % 64));
            }
        }
    }
    Some((often.len(), Texts { column: *column, concerned: bitmap(&often, words), left }))
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
        let program = self.program;
        for (layer, lately) in sieve.layers.iter().zip(lately) {
            let (Layer::Texts(Texts { concerned, .. }) | Layer::Need(Need { by: concerned, .. })) =
                layer;
            if !is_worth_it(live, concerned) || !lately.is_due() {
                continue;
            }
            let held_back = match layer {
                Layer::Texts(Texts { column: id, left, .. }) => {
                    let Some(column) = program.columns.get(usize::from(id.0)) else { continue };
                    let row = self.row(*id, &column.table).0 as usize * live.len();
                    let left = left.get(row..row + live.len()).unwrap_or_default();
                    live.iter_mut().zip(left).fold(false, |some, (live, left)| {
                        let held_back = *live & !left;
                        *live &= left;
                        some | (held_back != 0)
                    })
                }
                Layer::Need(Need { node, by }) => {
                    let holds = self.holds(*node);
                    if !holds {
                        live.iter_mut().zip(by).for_each(|(live, by)| *live &= !by);
                    }
                    !holds
                }
            };
            lately.note(held_back);
        }
    }
}

/// Whether enough conditions are in both.
#[inline]
fn is_worth_it(a: &[u64], b: &[u64]) -> bool {
    let mut found = 0;
    for (a, b) in a.iter().zip(b) {
        // Bit by bit: few processors that we are built for can count them all at once.
        let mut both = a & b;
        while both != 0 {
            found += 1;
            if found == WORTH {
                return true;
            }
            both &= both - 1;
        }
    }
    false
}
