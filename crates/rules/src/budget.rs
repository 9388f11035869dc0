//! How much lists and macros may expand to, all rules together. Without a limit a few lines of
//! lists of lists or of nested macros could exhaust memory.

use peregrine_limits::{Limit, RULES_LIST_BYTES, RULES_LIST_ITEMS, RULES_MACRO_NODES};
use thiserror::Error;

/// What each written item or byte adds to a limit, so that large files may be used several times.
const PER_WRITTEN: usize = 4;

/// What may still be expanded.
#[derive(Debug)]
pub(crate) struct Budget {
    /// Items that lists put into lists and conditions.
    pub(crate) items: Room,
    /// Bytes of these.
    pub(crate) bytes: Room,
    /// Nodes of conditions with macros expanded.
    pub(crate) nodes: Room,
}

/// Room below a limit.
#[derive(Debug)]
pub(crate) struct Room {
    limit: &'static Limit,
    who: &'static str,
    what: &'static str,
    allowed: usize,
    left: usize,
}

/// Something expands to too much.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{who} expand to more than {allowed} {what} in all rules together (limit {limit})")]
pub(crate) struct TooLarge {
    who: &'static str,
    what: &'static str,
    allowed: usize,
    limit: &'static str,
}

impl Budget {
    /// For rules in which this much is written.
    pub(crate) fn new(items: usize, bytes: usize) -> Self {
        Self {
            items: Room::new(&RULES_LIST_ITEMS, "Lists", "items", items),
            bytes: Room::new(&RULES_LIST_BYTES, "Lists", "bytes", bytes),
            nodes: Room::new(&RULES_MACRO_NODES, "Macros", "tests and operators", bytes),
        }
    }
}

impl Room {
    fn new(limit: &'static Limit, who: &'static str, what: &'static str, written: usize) -> Self {
        let allowed = limit.get().saturating_add(written.saturating_mul(PER_WRITTEN));
        Self { limit, who, what, allowed, left: allowed }
    }

    /// Takes some of the room.
    pub(crate) fn take(&mut self, count: usize) -> Result<(), TooLarge> {
        match self.left.checked_sub(count) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                self.limit.reach();
                let Self { limit, who, what, allowed, .. } = self;
                Err(TooLarge { who, what, allowed: *allowed, limit: limit.name() })
            }
        }
    }
}
