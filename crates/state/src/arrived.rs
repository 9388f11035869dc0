//! Open files of which events tell only the number: they come from other processes or from a
//! driver. What had the number before is forgotten at once, and the kernel is asked.

use std::collections::VecDeque;

use hashbrown::HashMap;
use smallvec::SmallVec;

use crate::tree::ThreadRef;

/// Numbers of one table that are asked about at once.
const MOST: usize = 64;

/// The files that are asked about, by the owner of their table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arrived {
    pub(crate) asked: HashMap<ThreadRef, SmallVec<[i64; 4]>>,
    pub(crate) unsent: VecDeque<(ThreadRef, i64)>,
}

impl Arrived {
    /// Whether anything is asked about.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.asked.is_empty()
    }

    pub(crate) fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    pub(crate) fn ask(&mut self, owner: ThreadRef, fd: i64) {
        let asked = self.asked.entry(owner).or_default();
        if asked.len() < MOST && !asked.contains(&fd) {
            asked.push(fd);
            self.unsent.push_back((owner, fd));
        }
    }

    /// An event tells what the number means from here on. Returns whether it was asked about.
    #[cold]
    pub(crate) fn forget(&mut self, owner: ThreadRef, fd: i64) -> bool {
        let Some(asked) = self.asked.get_mut(&owner) else { return false };
        let before = asked.len();
        asked.retain(|asked| *asked != fd);
        let was = asked.len() < before;
        if asked.is_empty() {
            self.asked.remove(&owner);
        }
        was
    }
}
