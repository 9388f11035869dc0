//! One event on its way through the state.

use peregrine_event::params::RESULT;
use peregrine_event::{Event, EventTraits, wire};

use crate::tree::ThreadRef;

/// One event, the thread that acts and the fd it acts on.
pub(super) struct ApplyContext<'e> {
    pub(super) event: &'e Event<'e>,
    pub(super) traits: EventTraits,
    /// The thread that acts.
    pub(super) at: Option<ThreadRef>,
    /// Owner of the table and number of the fd it acts on.
    pub(super) fd_at: Option<(ThreadRef, i64)>,
    /// Whether the name of that file changed.
    pub(super) renamed: bool,
    /// What the syscall returned.
    pub(super) ret: Option<i64>,
    /// Error number with which it failed.
    pub(super) error: u32,
    /// For a scheduler switch: how long the thread ran, ns.
    pub(super) exec_time: u64,
}

const O_CLOEXEC: u32 = 1 << 12;
const NOT_AVAILABLE: &[u8] = b"<NA>";

impl<'e> ApplyContext<'e> {
    #[inline]
    pub(super) fn new(event: &'e Event<'e>, traits: EventTraits, at: Option<ThreadRef>) -> Self {
        let ret = if traits.has_result { result(event) } else { None };
        Self { event, traits, at, fd_at: None, renamed: false, ret, error: 0, exec_time: 0 }
    }

    /// Number of the fd that the event is about, if it says so.
    #[inline]
    pub(super) fn fd(&self) -> Option<i64> {
        self.event.i64(self.traits.fd_param?.into())
    }

    /// What the syscall returned, when it succeeded.
    pub(super) fn done(&self) -> Option<i64> {
        self.ret.filter(|&ret| ret >= 0)
    }

    /// The thread that acts and what its syscall returned, when that succeeded.
    pub(super) fn done_by(&self) -> Option<(ThreadRef, i64)> {
        Some((self.at?, self.done()?))
    }

    /// A parameter, 0 when it is missing.
    pub(super) fn u32(&self, param: usize) -> u32 {
        self.event.u32(param).unwrap_or_default()
    }

    /// A parameter, 0 when it is missing.
    pub(super) fn u64(&self, param: usize) -> u64 {
        self.event.u64(param).unwrap_or_default()
    }

    /// A path or text; `<NA>` when the kernel could not read it.
    pub(super) fn text(&self, param: usize) -> &'e [u8] {
        text(self.event, param)
    }

    /// Whether flags ask for a file that an exec closes.
    pub(super) fn has_cloexec(&self, param: usize) -> bool {
        self.u32(param) & O_CLOEXEC != 0
    }
}

/// A path or text of an event; `<NA>` when the kernel could not read it.
pub(super) fn text<'e>(event: &Event<'e>, param: usize) -> &'e [u8] {
    text_of(event.param(param))
}

/// The same of the bytes of a parameter.
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

#[inline]
fn result(event: &Event<'_>) -> Option<i64> {
    let bytes = event.param(RESULT)?;
    Some(match (bytes.try_into(), bytes.try_into()) {
        (Ok(wide), _) => i64::from_le_bytes(wide),
        (_, Ok(narrow)) => i32::from_le_bytes(narrow).into(),
        _ => 0,
    })
}
