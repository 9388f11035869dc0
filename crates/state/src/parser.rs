//! What changes the state after the event itself has.

use peregrine_event::Event;
use thiserror::Error;

use crate::state::State;

/// Changes the state after events, as plugins do.
pub trait EventParser: Send {
    /// The state is that of the snapshot, and events begin. Called once.
    ///
    /// # Errors
    /// When there can be no events.
    fn opened(&mut self, _state: &mut State) -> Result<(), ParserError> {
        Ok(())
    }

    /// The state is that after the event. Called for every event, also those that rules do not see.
    fn parse(&mut self, event: &Event<'_>, state: &mut State);

    /// There are no events any more. Only called after [`opened`](Self::opened).
    fn closed(&mut self, _state: &mut State) {}
}

/// Why a parser refuses events.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct ParserError(pub String);
