//! Converts old events to current ones.
//!
//! The format grew over ten years: parameters were appended, events replaced, and enter events
//! given up in favour of exit events that carry their parameters too. A table gives one conversion
//! step for each old form; [plans](plan) combine these steps into a single one.

mod enters;
mod plan;

use peregrine_event::EventType;
use peregrine_event::wire::{Head, Parts};

use crate::error::Damage;
use enters::Enters;
use plan::{PLANS, Plan, Plans, Rewrite};

/// One conversion step for one form of an old event.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) event: EventType,
    pub(crate) nparams: u8,
    pub(crate) action: Action,
}

/// What a step does with an event.
#[derive(Debug)]
pub(crate) enum Action {
    /// Nothing: the event is current.
    Pass,
    /// Keeps it for its exit event and drops it.
    Store,
    /// Both.
    StoreAndPass,
    /// Appends parameters.
    AddParams(&'static [Fill]),
    /// Converts it to another event with these parameters.
    ChangeType(EventType, &'static [Fill]),
}

/// Where a parameter comes from.
#[derive(Debug)]
pub(crate) enum Fill {
    /// No value.
    Empty,
    /// The default of its type.
    Default,
    /// A parameter of the enter event; if that is missing, the default or no value.
    Enter { index: u8, or_empty: bool },
    /// A parameter of the event itself.
    Old(u8),
    /// The parameters of the first version of the container event, as JSON.
    ContainerJson,
}

/// Result of converting an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The event was current.
    Unchanged(Head),
    /// The current form is in [`Converter::output`]; this is its header.
    Rewritten(Head),
    /// The event is not needed, or another event carries its content.
    Dropped,
    /// An event type of a newer writer.
    Unknown,
}

/// Converts the events of one capture, in order.
#[derive(Debug)]
pub(crate) struct Converter {
    plans: &'static Plans,
    enters: Enters,
    output: Vec<u8>,
}

impl Converter {
    pub(crate) fn new() -> Self {
        Self { plans: &PLANS, enters: Enters::default(), output: Vec::new() }
    }

    /// Converts an event to its current form.
    ///
    /// # Errors
    /// If the bytes are not an event, or have a form that the table does not contain.
    // Inlined into the loop of the reader, so that its result stays in registers: a tenth of the
    // time of a replay.
    #[inline(always)]
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<Outcome, Damage> {
        let Some((ty, nparams)) = Head::peek(bytes) else { return Ok(Outcome::Unknown) };
        let plan = self.plans.plan(ty, nparams);
        if let Plan::Drop = plan {
            return Ok(Outcome::Dropped);
        }
        let event = Parts::parse(bytes)?;
        match plan {
            Plan::Pass => Ok(Outcome::Unchanged(event.head)),
            Plan::Drop => Ok(Outcome::Dropped),
            Plan::Never => Err(Damage::Conversion { ty, nparams: event.head.sent.into() }),
            Plan::Keep { deliver } => {
                self.enters.put(event.head, bytes.get(..event.end()).unwrap_or(bytes));
                Ok(if *deliver { Outcome::Unchanged(event.head) } else { Outcome::Dropped })
            }
            Plan::Rewrite(rewrite) => Ok(self.rewrite(rewrite, event)),
        }
    }

    #[inline(always)]
    fn rewrite(&mut self, rewrite: &Rewrite, event: Parts<'_>) -> Outcome {
        let enter = rewrite.enter.and_then(|ty| self.enters.take(event.head.tid, ty));
        let head = rewrite.run(event, enter, &mut self.output);
        if rewrite.keep {
            self.enters.put(head, &self.output);
        }
        if rewrite.deliver { Outcome::Rewritten(head) } else { Outcome::Dropped }
    }

    /// The last converted event.
    pub(crate) fn output(&self) -> &[u8] {
        &self.output
    }

    /// Removes the enter events of a section that has ended.
    pub(crate) fn reset(&mut self) {
        self.enters.clear();
    }
}

#[cfg(test)]
mod tests;
