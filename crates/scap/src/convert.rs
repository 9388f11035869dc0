//! Old events become current ones.
//!
//! The format grew for ten years: parameters were appended, events replaced, and enter events given up
//! in favour of exit events that carry their parameters too. A table says for each old form how the
//! next one is made of it; [plans](plan) say how the current one is, without the steps between.

mod enters;
mod plan;

use peregrine_event::EventType;
use peregrine_event::wire::{Head, Parts};

use crate::error::Damage;
use enters::Enters;
use plan::{PLANS, Plan, Plans, Rewrite};

/// How one form of an old event is brought one step further.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) event: EventType,
    pub(crate) nparams: u8,
    pub(crate) action: Action,
}

/// What to do with an event.
#[derive(Debug)]
pub(crate) enum Action {
    /// It is current.
    Pass,
    /// It only serves to complete its exit event.
    Store,
    /// Both.
    StoreAndPass,
    /// Append parameters.
    AddParams(&'static [Fill]),
    /// Become another event, with these parameters.
    ChangeType(EventType, &'static [Fill]),
}

/// Where a parameter comes from.
#[derive(Debug)]
pub(crate) enum Fill {
    /// No value.
    Empty,
    /// The default of its type.
    Default,
    /// A parameter of the enter event; without one the default, or no value.
    Enter { index: u8, or_empty: bool },
    /// A parameter of the event itself.
    Old(u8),
    /// The parameters of the first container event, as JSON.
    ContainerJson,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is current as it was.
    Unchanged(Head),
    /// The current form is in [`Converter::output`], and this is its head.
    Rewritten(Head),
    /// Nobody needs it, or another event says what it says.
    Dropped,
    /// Only newer writers know it.
    Unknown,
}

/// Converts the events of one capture, in their order.
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

    /// Brings the event that these bytes are to its current form.
    ///
    /// # Errors
    /// When they are no event, or one of a form that the table does not know.
    // Into the loop of the reader: what it gives stays in registers, which is a tenth of the time of a replay.
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

    /// The event that was rewritten last.
    pub(crate) fn output(&self) -> &[u8] {
        &self.output
    }

    /// Forgets the enter events of a section that ended.
    pub(crate) fn reset(&mut self) {
        self.enters.clear();
    }
}

#[cfg(test)]
mod tests;
