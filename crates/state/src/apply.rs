//! What each event does to the state.

use peregrine_event::Event;

use crate::state::{Context, State};
use crate::tree::ThreadRef;

impl State {
    /// Takes in an event and says what it is about. What it removes stays visible until the next one.
    pub fn apply(&mut self, event: &Event<'_>) -> Context {
        Context { thread: self.tree.find(event.tid), fd: -1, ..Context::default() }
    }

    pub(crate) fn find_container(&mut self, _at: ThreadRef) {}
}
