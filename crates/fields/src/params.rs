//! Parameters of events by name.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use peregrine_event::{Event, EventType, Format, ParamType};

/// A parameter by name: where each event has it, found once.
#[derive(Clone, Debug)]
pub(crate) struct Param {
    /// Its name.
    pub(crate) name: &'static str,
    /// Type in the first event that has it.
    pub(crate) ty: ParamType,
    /// Base in the first event that has it.
    pub(crate) format: Format,
    positions: Arc<[u8]>,
}

/// Events have fewer parameters than this.
const ABSENT: u8 = u8::MAX;

impl Param {
    /// The longest name of a parameter, of any event, at the start of a text.
    pub(crate) fn longest(text: &str) -> Option<Self> {
        let all = EventType::all().flat_map(|ty| ty.info().params);
        let info = all
            .filter(|p| !p.name.is_empty() && text.starts_with(p.name))
            .reduce(|best, p| if p.name.len() > best.name.len() { p } else { best })?;
        let position = |ty: EventType| {
            let at = ty.info().params.iter().position(|p| p.name == info.name);
            at.and_then(|at| u8::try_from(at).ok()).unwrap_or(ABSENT)
        };
        let positions = EventType::all().map(position).collect();
        Some(Self { name: info.name, ty: info.ty, format: info.format, positions })
    }

    /// Its position in this event.
    pub(crate) fn position(&self, event: &Event<'_>) -> Option<usize> {
        let at = self.positions.get(usize::from(event.ty.code())).copied()?;
        (at != ABSENT).then_some(usize::from(at))
    }
}

// The name says all: the rest is found by it.
impl PartialEq for Param {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Param {}

impl Hash for Param {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}
