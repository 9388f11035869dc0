//! Parameters that the oldest reader of a capture does not know, behind the event in its block.
//!
//! Readers take the length of an event from its header and skip the rest of the block, so that they
//! see the event as they know it; this crate puts both together again. The appendix is a mark, the
//! number of parameters, the length of each and their bytes.

use peregrine_event::wire::{Head, MAX_PARAMS};
use peregrine_event::{Builder, Event, EventType};

use crate::cursor::Cursor;

/// The oldest program that shall read a capture. Programs before Falco 0.42 cannot: events that
/// they take in pairs are written as one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OldestReader {
    /// Falco 0.42, with libs 0.22.
    Falco0_42,
    /// Falco 0.43, with libs 0.23 or 0.24.
    Falco0_43,
    /// Falco 0.44 and newer, with libs 0.25.
    #[default]
    Falco0_44,
}

impl OldestReader {
    /// How many parameters of an event it knows.
    fn params(self, ty: EventType) -> usize {
        match (self, ty) {
            (Self::Falco0_42 | Self::Falco0_43, EventType::SocketSocketX) => 4,
            (Self::Falco0_42 | Self::Falco0_43, EventType::SyscallFcntlX) => 3,
            (Self::Falco0_42, EventType::SyscallExecve_19X) => 30,
            _ => ty.info().format_params.into(),
        }
    }
}

const MARK: [u8; 4] = *b"pgrn";
/// Bytes of the shortest appendix. Padding is shorter.
pub(crate) const SHORTEST: usize = MARK.len() + 1 + 4;

/// Appends the bytes of an event as this reader knows it, and the other parameters.
pub(crate) fn split(event: &Event<'_>, reader: OldestReader, out: &mut Vec<u8>) {
    let known = reader.params(event.ty);
    if event.nparams() <= known {
        out.extend_from_slice(event.bytes());
        return;
    }
    let param = |index| event.param(index).unwrap_or_default();
    let start = out.len();
    let head = Head { ty: event.ty, ts: event.ts, tid: event.tid, sent: known as u8 };
    out.extend_from_slice(&head.bytes(0));
    for index in 0..known {
        let len = (param(index).len() as u32).to_le_bytes();
        out.extend(len.iter().take(event.ty.length_width()));
    }
    (0..known).for_each(|index| out.extend_from_slice(param(index)));
    let len = (out.len() - start) as u32;
    if let Some(header) = out.get_mut(start..).and_then(<[u8]>::first_chunk_mut) {
        *header = head.bytes(len);
    }
    out.extend_from_slice(&MARK);
    out.push((event.nparams() - known) as u8);
    for index in known..event.nparams() {
        out.extend_from_slice(&(param(index).len() as u32).to_le_bytes());
    }
    (known..event.nparams()).for_each(|index| out.extend_from_slice(param(index)));
}

/// Replaces `out` with the bytes of an event and the parameters that are behind it. `None` if there
/// are none.
pub(crate) fn join(event: &[u8], behind: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let behind = behind.strip_prefix(&MARK)?;
    let event = Event::parse(event, 0).ok()?;
    let (&count, behind) = behind.split_first()?;
    if event.nparams() + usize::from(count) > MAX_PARAMS {
        return None;
    }
    let (lengths, mut values) = behind.split_at_checked(4 * usize::from(count))?;
    let mut lengths = Cursor::new(lengths);
    let mut builder = Builder::new(event.ty, event.ts, event.tid);
    for index in 0..event.nparams() {
        builder.param(event.param(index)?);
    }
    for _ in 0..count {
        let (param, rest) = values.split_at_checked(lengths.u32()? as usize)?;
        builder.param(param);
        values = rest;
    }
    out.clear();
    builder.finish(out).ok()
}
