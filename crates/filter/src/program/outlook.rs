//! What one field alone tells of conditions.

use super::table::TextTable;
use super::{ColumnId, NodeId, Program, Step};

/// With which rows of one table conditions can hold, when nothing is known but the row.
#[derive(Debug)]
pub(super) struct Outlook {
    /// How many rows the table has.
    pub(super) rows: usize,
    // For each node, its place among the chances, and one more; 0 for one of which the table says nothing.
    places: Vec<u32>,
    chances: Vec<Chances>,
}

/// Bitmaps of rows.
#[derive(Clone, Debug)]
struct Chances {
    /// With which a condition can hold.
    yes: Box<[u64]>,
    /// With which it can fail.
    no: Box<[u64]>,
}

impl Outlook {
    /// For all conditions of a program.
    pub(super) fn new<F>(program: &Program<F>, column: ColumnId, table: &TextTable) -> Self {
        let (rows, words) = (table.len(), table.len().div_ceil(64));
        let mut outlook = Self { rows, places: Vec::new(), chances: Vec::new() };
        if !table.is_asked() {
            return outlook;
        }
        outlook.places.reserve(program.nodes.len());
        // Parts come after what they are made of.
        for (id, (node, step)) in (0..).map(NodeId).zip(program.nodes.iter().zip(&program.steps)) {
            let bound = program.bounded(node.op).map(|bounded| bounded.bound);
            let chances = match (program.answer(id), bound, step) {
                (Some((of, bit)), _, _) if of == column => {
                    let yes: Box<[u64]> = table.rows(bit).into();
                    Some(Chances { no: yes.iter().map(|rows| !rows).collect(), yes })
                }
                (_, Some((of, bit)), _) if of == column => {
                    let (yes, no) = (table.rows(bit).into(), vec![u64::MAX; words].into());
                    Some(Chances { yes, no })
                }
                (_, _, Step::Test(_)) => None,
                (_, _, Step::All(all)) => outlook.several(all, |all| (&mut all.yes, &mut all.no)),
                (_, _, Step::Any(any)) => outlook.several(any, |any| (&mut any.no, &mut any.yes)),
                (_, _, Step::Not(node)) => outlook
                    .chances(*node)
                    .map(|not| Chances { yes: not.no.clone(), no: not.yes.clone() }),
            };
            outlook.push(chances);
        }
        outlook
    }

    /// Whether it says nothing of any condition.
    pub(super) fn is_empty(&self) -> bool {
        self.chances.is_empty()
    }

    /// A bitmap of the rows with which a condition can hold; `None` where that is all.
    pub(super) fn of(&self, node: NodeId) -> Option<&[u64]> {
        self.chances(node).map(|chances| &*chances.yes)
    }

    fn chances(&self, node: NodeId) -> Option<&Chances> {
        let place = self.places.get(node.index())?.checked_sub(1)?;
        self.chances.get(place as usize)
    }

    /// Of several: `parts` gives first what all of them must have, then what one of them must.
    fn several(
        &self,
        nodes: &[NodeId],
        parts: impl Fn(&mut Chances) -> (&mut Box<[u64]>, &mut Box<[u64]>),
    ) -> Option<Chances> {
        let mut known = nodes.iter().filter_map(|node| self.chances(*node)).cloned();
        let mut joined = known.next()?;
        let (all, one) = parts(&mut joined);
        let mut count = 1;
        for mut other in known {
            let (others_all, others_one) = parts(&mut other);
            all.iter_mut().zip(others_all).for_each(|(all, other)| *all &= *other);
            one.iter_mut().zip(others_one).for_each(|(one, other)| *one |= *other);
            count += 1;
        }
        if count < nodes.len() {
            one.fill(u64::MAX);
        }
        Some(joined)
    }

    fn push(&mut self, chances: Option<Chances>) {
        let says = |chances: &Chances| {
            let bits = chances.yes.iter().chain(&chances.no);
            bits.fold(u64::MAX, |all, bits| all & bits) != u64::MAX
        };
        let chances = chances.filter(says);
        self.chances.extend(chances.clone());
        self.places.push(if chances.is_some() { self.chances.len() as u32 } else { 0 });
    }
}
