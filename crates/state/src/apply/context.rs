//! One event on its way through the state.

use peregrine_event::{Event, EventTraits, wire};

use crate::state::State;
use crate::tree::ThreadRef;

/// One event, who does it and to what.
pub(super) struct ApplyContext<'e> {
    pub(super) event: &'e Event<'e>,
    pub(super) traits: EventTraits,
    /// The start of the syscall, where it was kept. To be had from [`State::start_of`].
    pub(super) enter: Option<&'e Event<'e>>,
    /// The thread that acts.
    pub(super) at: Option<ThreadRef>,
    /// Place of the open file it acts on.
    pub(super) fd_at: Option<(ThreadRef, i64)>,
    /// Whether the name of that file changed.
    pub(super) renamed: bool,
    /// What the syscall returned.
    pub(super) ret: Option<i64>,
    /// Error number with which it failed.
    pub(super) error: u32,
}

const O_CLOEXEC: u32 = 1 << 12;
const NOT_AVAILABLE: &[u8] = b"<NA>";

impl<'e> ApplyContext<'e> {
    #[inline]
    pub(super) fn new(event: &'e Event<'e>, traits: EventTraits, at: Option<ThreadRef>) -> Self {
        let ret = if traits.has_result { result(event) } else { None };
        Self { event, traits, enter: None, at, fd_at: None, renamed: false, ret, error: 0 }
    }

    /// Number of the open file that the event is about, if it says so.
    #[inline]
    pub(super) fn fd(&self) -> Option<i64> {
        self.event.i64(self.traits.fd_param?.into())
    }

    /// What the syscall returned, when it worked.
    pub(super) fn done(&self) -> Option<i64> {
        self.ret.filter(|&ret| ret >= 0)
    }

    /// The thread that acts, when its syscall worked.
    pub(super) fn done_by(&self) -> Option<(ThreadRef, i64)> {
        Some((self.at?, self.done()?))
    }

    /// A parameter, 0 when it is missing.
    pub(super) fn u32(&self, index: usize) -> u32 {
        self.event.u32(index).unwrap_or_default()
    }

    /// A parameter, 0 when it is missing.
    pub(super) fn u64(&self, index: usize) -> u64 {
        self.event.u64(index).unwrap_or_default()
    }

    /// A path or text; `<NA>` when the kernel could not read it.
    pub(super) fn text(&self, index: usize) -> &'e [u8] {
        text(self.event, index)
    }

    /// Whether flags ask for a file that an exec closes.
    pub(super) fn has_cloexec(&self, index: usize) -> bool {
        self.u32(index) & O_CLOEXEC != 0
    }
}

impl State {
    /// The start of the syscall that an event ends.
    pub(super) fn start_of<'e>(&mut self, act: &ApplyContext<'e>) -> Option<&'e Event<'e>> {
        match act.enter {
            Some(_) => self.counters.retrieved_events += 1,
            None => self.counters.missing_events += 1,
        }
        act.enter
    }
}

/// A path or text of an event; `<NA>` when the kernel could not read it.
pub(super) fn text<'e>(event: &Event<'e>, index: usize) -> &'e [u8] {
    text_of(event.param(index))
}

/// The same of a parameter.
#[inline]
pub(super) fn text_of(param: Option<&[u8]>) -> &[u8] {
    match param {
        None | Some([]) => NOT_AVAILABLE,
        Some(param) => match wire::until_nul(param) {
            b"(NULL)" => NOT_AVAILABLE,
            text => text,
        },
    }
}

/// The result is the first parameter of every syscall's end.
#[inline]
fn result(event: &Event<'_>) -> Option<i64> {
    let bytes = event.param(0)?;
    Some(match (bytes.try_into(), bytes.try_into()) {
        (Ok(wide), _) => i64::from_le_bytes(wide),
        (_, Ok(narrow)) => i32::from_le_bytes(narrow).into(),
        _ => 0,
    })
}
