//! Alerts that lack values until more is known of their container.

use std::sync::Arc;

use peregrine_alert::Alert;
use peregrine_fields::Frozen;
use peregrine_state::State;

use crate::Generation;

/// The alert about a match.
pub enum MatchAlert {
    /// All values are known.
    Complete(Alert),
    /// It shows something of a container that is being found out.
    Pending(Box<PendingAlert>),
}

/// An alert that can be rendered when more is known of its container: what its runtime says, or the
/// names of its users and groups.
pub struct PendingAlert {
    frozen: Arc<Frozen>,
    generation: Arc<Generation>,
    index: usize,
    ts: u64,
    num: u64,
    /// Time of the match of the rule before, unless that is in `frozen`.
    last_match: Option<u64>,
}

impl PendingAlert {
    pub(crate) fn new(
        frozen: Arc<Frozen>,
        generation: Arc<Generation>,
        index: usize,
        (ts, num): (u64, u64),
        last_match: Option<u64>,
    ) -> Self {
        Self { frozen, generation, index, ts, num, last_match }
    }

    /// The container of which something is missing.
    pub fn container(&self) -> &Arc<[u8]> {
        self.frozen.container()
    }

    /// Memory that it occupies, in bytes: an estimate.
    pub fn memory(&self) -> usize {
        size_of::<Self>() + self.frozen.memory()
    }

    /// Whether runtimes are still asked for something that it shows.
    pub fn waits_for_metadata(&self, state: &State) -> bool {
        self.frozen.waits_for_metadata(state)
    }

    /// Whether accounts that it names are still being read.
    pub fn waits_for_accounts(&self, state: &State) -> bool {
        self.frozen.waits_for_accounts(state)
    }

    /// The alert with what is known now. `None` if the generation makes no alerts.
    pub fn complete(&self, state: &State) -> Option<Alert> {
        let Self { frozen, generation, index, ts, num, last_match } = self;
        let template = generation.template(*index)?;
        let run = &generation.settings().run;
        Some(frozen.complete(state, run, |values| match last_match {
            Some(last) => template.render(*ts, *num, &values.after(*last)),
            None => template.render(*ts, *num, values),
        }))
    }
}
