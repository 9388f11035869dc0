//! Old events become current ones.
//!
//! The format grew for ten years: parameters were appended, events replaced, and enter events given up
//! in favour of exit events that carry their parameters too. A table says for each old form how the
//! next one is made of it; [plans](plan) say how the current one is, without the steps between.

mod enters;
mod plan;

use peregrine_event::wire::Head;
use peregrine_event::{Event, EventType};

use crate::error::Damage;
use enters::Enters;
use plan::{PLANS, Plans};

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

/// What is to be done with an event, as far as its header tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Deliver as it is.
    Pass,
    /// Nobody needs it.
    Drop,
    /// Needs [`Converter::convert`].
    Convert,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is current as it was.
    Unchanged,
    /// The current form is in [`Converter::output`], and this is its head.
    Rewritten(Head),
    /// It is not delivered.
    Dropped,
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

    /// What is to be done with an event of this type and number of parameters.
    #[inline]
    pub(crate) fn verdict(&self, ty: EventType, nparams: u32) -> Verdict {
        self.plans.verdict(ty, nparams as usize)
    }

    /// Brings an event to its current form.
    ///
    /// # Errors
    /// When it is of a form that the table does not know.
    #[inline]
    pub(crate) fn convert(&mut self, event: &Event<'_>) -> Result<Outcome, Damage> {
        let (ty, nparams) = (event.ty, event.nparams());
        let Some(plan) = self.plans.plan(ty, nparams) else {
            return Err(Damage::Conversion { ty, nparams });
        };
        let Some(rewrite) = &plan.rewrite else {
            if plan.keep {
                self.enters.put(event.head(), event.bytes());
            }
            return Ok(if plan.deliver { Outcome::Unchanged } else { Outcome::Dropped });
        };
        let enter = rewrite.enter.and_then(|ty| self.enters.take(event.tid, ty));
        let head = rewrite.run(event, enter.as_ref(), &mut self.output);
        if plan.keep {
            self.enters.put(head, &self.output);
        }
        Ok(if plan.deliver { Outcome::Rewritten(head) } else { Outcome::Dropped })
    }

    /// The event that [`Self::convert`] made last.
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
