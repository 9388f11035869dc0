//! What the plugins of one stream of events share.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use peregrine_state::{Config, State};

use super::columns::Columns;
use super::foreign::ForeignTable;
use super::lock::lock;

/// What a registry has.
#[derive(Default)]
pub(super) struct Shared {
    /// All streams of events change one state, so they share its fields.
    columns: Arc<Mutex<Columns>>,
    /// Tables of plugins, the last one first.
    foreign: Mutex<VecDeque<Arc<ForeignTable>>>,
    /// The state that `init` sees: there is no other yet. What plugins write into it is lost, as in
    /// the reference.
    initial: Mutex<Option<Box<State>>>,
}

impl Shared {
    /// What plugins of another stream of the same state share.
    pub(super) fn beside(&self) -> Self {
        Self { columns: Arc::clone(&self.columns), ..Self::default() }
    }

    pub(super) fn columns(&self) -> MutexGuard<'_, Columns> {
        lock(&self.columns)
    }

    pub(super) fn foreign(&self) -> MutexGuard<'_, VecDeque<Arc<ForeignTable>>> {
        lock(&self.foreign)
    }

    /// All plugins are initialised.
    pub(super) fn drop_initial_state(&self) {
        *lock(&self.initial) = None;
    }

    /// Runs `init` of a plugin with a state of its own.
    pub(super) fn with_initial_state<R>(&self, init: impl FnOnce(&mut State) -> R) -> R {
        let mut initial = lock(&self.initial);
        let state = initial.get_or_insert_with(|| {
            Box::new(State::new(Config { containers: false, ..Config::default() }))
        });
        init(state)
    }
}
