//! Conditions that an event excludes, many at a time, before any of them is asked.

use hashbrown::HashMap;

use super::{Asked, ColumnId, NodeId, Op, Program, Step};
use crate::{Meter, Supplier};

/// What several conditions lack where they don't hold.
///
/// Conditions are told by their bits. Each text that tables tell apart excludes some; so does each
/// sub-condition that several of them need.
#[derive(Debug, Default)]
pub struct Sieve {
    texts: Vec<Texts>,
    needs: Vec<Need>,
}

#[derive(Debug)]
struct Texts {
    column: ColumnId,
    /// The conditions that ask the table.
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
const WORTH: usize = 3;

impl<F> Program<F> {
    /// The sieve for these conditions; it leaves those that are `None`.
    pub fn sieve(&self, conditions: &[Option<NodeId>]) -> Sieve {
        let words = conditions.len().div_ceil(64);
        let mut looks: HashMap<ColumnId, Vec<(usize, super::Bit)>> = HashMap::new();
        let mut needs: HashMap<NodeId, Vec<usize>> = HashMap::new();
        for (index, condition) in conditions.iter().enumerate() {
            let Some(condition) = condition else { continue };
            let looked = matches!(self.op(*condition), Some(Op::Look(..)));
            let parts = match self.steps.get(condition.index()) {
                Some(Step::All(all)) if !looked => all,
                _ => std::slice::from_ref(condition),
            };
            for part in parts {
                match self.op(*part) {
                    Some(Op::Look(column, bit)) => {
                        looks.entry(column).or_default().push((index, bit));
                    }
                    Some(_) => needs.entry(*part).or_default().push(index),
                    None => {}
                }
            }
        }
        let bitmap = |indexes: &mut dyn Iterator<Item = usize>| {
            let mut map: Box<[u64]> = vec![0; words].into();
            for index in indexes {
                if let Some(word) = map.get_mut(index / 64) {
                    *word |= 1 << (index % 64);
                }
            }
            map
        };
        let mut looks: Vec<_> = looks.into_iter().filter(|(_, by)| by.len() >= WORTH).collect();
        looks.sort_by_key(|(column, by)| (usize::MAX - by.len(), column.0));
        let texts = looks.into_iter().filter_map(|(id, by)| {
            let table = &self.columns.get(usize::from(id.0))?.table;
            let left = table.rows().flat_map(|row| {
                let lacking = by.iter().filter(|(_, bit)| !table.has(row, *bit));
                bitmap(&mut lacking.map(|(index, _)| *index)).into_iter().map(|lack| !lack)
            });
            let concerned = bitmap(&mut by.iter().map(|(index, _)| *index));
            Some(Texts { column: id, concerned, left: left.collect() })
        });
        let mut needs: Vec<_> = needs.into_iter().filter(|(_, by)| by.len() >= WORTH).collect();
        needs.sort_by_key(|(node, by)| (usize::MAX - by.len(), *node));
        let needs = needs.into_iter();
        Sieve {
            texts: texts.collect(),
            needs: needs.map(|(node, by)| Need { node, by: bitmap(&mut by.into_iter()) }).collect(),
        }
    }

    fn op(&self, node: NodeId) -> Option<Op> {
        self.nodes.get(node.index()).map(|node| node.op)
    }
}

impl<F, S, M> Asked<'_, F, S, M>
where
    S: Supplier<F> + ?Sized,
    M: Meter<NodeId>,
{
    /// Removes the bits of conditions that the event excludes.
    pub fn sift(&mut self, sieve: &Sieve, live: &mut [u64]) {
        let program = self.program;
        for Texts { column: id, concerned, left } in &sieve.texts {
            if !is_worth_it(live, concerned) {
                continue;
            }
            let Some(column) = program.columns.get(usize::from(id.0)) else { continue };
            let row = self.row(*id, &column.table).0 as usize * live.len();
            let left = left.get(row..row + live.len()).unwrap_or_default();
            live.iter_mut().zip(left).for_each(|(live, left)| *live &= left);
        }
        for Need { node, by } in &sieve.needs {
            if is_worth_it(live, by) && !self.holds(*node) {
                live.iter_mut().zip(by).for_each(|(live, by)| *live &= !by);
            }
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
