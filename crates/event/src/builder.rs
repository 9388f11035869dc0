//! Writing events: for conversion, for captures and for tests.

use thiserror::Error;

use crate::EventType;
use crate::address::{Sockaddr, Socktuple};
use crate::wire::{HEADER_LEN, MAX_PARAMS};

/// Builds an event, parameter by parameter. One builder can make many events.
///
/// ```
/// use peregrine_event::{Builder, Event, EventType};
/// let mut bytes = Vec::new();
/// Builder::new(EventType::SyscallCloseX, 1_000, 7).i64(0).i64(3).finish(&mut bytes)?;
/// let event = Event::parse(&bytes, 0).unwrap();
/// assert_eq!((event.ts, event.tid, event.i64(1)), (1_000, 7, Some(3)));
/// # Ok::<(), peregrine_event::BuildError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Builder {
    ty: EventType,
    ts: u64,
    tid: i64,
    ends: Vec<usize>,
    data: Vec<u8>,
}

/// Why an event cannot be written.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BuildError {
    /// The whole is beyond what the header can say.
    #[error("event {} of {len} bytes is too long", .ty.name())]
    Event {
        /// Which event.
        ty: EventType,
        /// Bytes it would have.
        len: usize,
    },
    /// A parameter is longer than its length field can say.
    #[error("parameter {index} of event {} has {len} bytes, which is too long", .ty.name())]
    Param {
        /// Which event.
        ty: EventType,
        /// Which parameter, from 0.
        index: usize,
        /// Its bytes.
        len: usize,
    },
    /// More parameters than an event can have.
    #[error("{count} parameters are too many for event {}", .ty.name())]
    Count {
        /// Which event.
        ty: EventType,
        /// Parameters given.
        count: usize,
    },
}

impl Builder {
    /// Starts an event.
    pub fn new(ty: EventType, ts: u64, tid: i64) -> Self {
        Self { ty, ts, tid, ends: Vec::with_capacity(MAX_PARAMS), data: Vec::new() }
    }

    /// Starts another event, keeping the memory.
    pub fn reset(&mut self, ty: EventType, ts: u64, tid: i64) -> &mut Self {
        (self.ty, self.ts, self.tid) = (ty, ts, tid);
        self.ends.clear();
        self.data.clear();
        self
    }

    /// Adds a parameter as it is on the wire.
    pub fn param(&mut self, bytes: &[u8]) -> &mut Self {
        self.with(|data| data.extend_from_slice(bytes))
    }

    /// Adds a parameter without a value.
    pub fn empty(&mut self) -> &mut Self {
        self.param(&[])
    }

    /// Adds a one-byte number.
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.param(&[value])
    }

    /// Adds a two-byte number.
    pub fn u16(&mut self, value: u16) -> &mut Self {
        self.param(&value.to_le_bytes())
    }

    /// Adds a four-byte number.
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.param(&value.to_le_bytes())
    }

    /// Adds an eight-byte number.
    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.param(&value.to_le_bytes())
    }

    /// Adds a signed eight-byte number: results, fds, pids.
    pub fn i64(&mut self, value: i64) -> &mut Self {
        self.param(&value.to_le_bytes())
    }

    /// Adds text or a path, and the NUL that ends it.
    pub fn text(&mut self, text: impl AsRef<[u8]>) -> &mut Self {
        self.with(|data| put_text(data, text.as_ref()))
    }

    /// Adds several texts as one parameter, each ended by NUL.
    pub fn texts<T: AsRef<[u8]>>(&mut self, texts: impl IntoIterator<Item = T>) -> &mut Self {
        self.with(|data| texts.into_iter().for_each(|text| put_text(data, text.as_ref())))
    }

    /// Adds a socket address.
    pub fn sockaddr(&mut self, address: &Sockaddr<'_>) -> &mut Self {
        self.with(|data| address.encode(data))
    }

    /// Adds a pair of socket addresses.
    pub fn socktuple(&mut self, tuple: &Socktuple<'_>) -> &mut Self {
        self.with(|data| tuple.encode(data))
    }

    /// Adds a list of fds, each with its poll flags.
    pub fn fdlist(&mut self, fds: &[(i64, i16)]) -> &mut Self {
        self.with(|data| {
            data.extend_from_slice(&(fds.len() as u16).to_le_bytes());
            for (fd, flags) in fds {
                data.extend_from_slice(&fd.to_le_bytes());
                data.extend_from_slice(&flags.to_le_bytes());
            }
        })
    }

    /// Adds a dynamic parameter: which alternative, and its value.
    pub fn dynamic(&mut self, index: u8, value: &[u8]) -> &mut Self {
        self.with(|data| {
            data.push(index);
            data.extend_from_slice(value);
        })
    }

    /// Adds a parameter that `write` appends to the bytes.
    pub fn with(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> &mut Self {
        write(&mut self.data);
        self.ends.push(self.data.len());
        self
    }

    /// Replaces what `out` holds by the event.
    ///
    /// # Errors
    /// When the parameters do not fit the wire format; `out` is empty then.
    pub fn finish(&self, out: &mut Vec<u8>) -> Result<(), BuildError> {
        let ty = self.ty;
        out.clear();
        let count = self.ends.len();
        if count > MAX_PARAMS {
            return Err(BuildError::Count { ty, count });
        }
        let width = ty.length_width();
        let len = HEADER_LEN + count * width + self.data.len();
        let total = u32::try_from(len).map_err(|_| BuildError::Event { ty, len })?;
        for (index, len) in self.lengths().enumerate() {
            if width == 2 && len > usize::from(u16::MAX) {
                return Err(BuildError::Param { ty, index, len });
            }
        }

        out.reserve(len);
        out.extend_from_slice(&self.ts.to_le_bytes());
        out.extend_from_slice(&self.tid.to_le_bytes());
        out.extend_from_slice(&total.to_le_bytes());
        out.extend_from_slice(&ty.code().to_le_bytes());
        out.extend_from_slice(&(count as u32).to_le_bytes());
        for len in self.lengths() {
            out.extend_from_slice((len as u32).to_le_bytes().get(..width).unwrap_or_default());
        }
        out.extend_from_slice(&self.data);
        Ok(())
    }

    fn lengths(&self) -> impl Iterator<Item = usize> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        self.ends.iter().zip(starts).map(|(end, start)| end - start)
    }
}

fn put_text(data: &mut Vec<u8>, text: &[u8]) {
    data.extend_from_slice(text);
    data.push(0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Event;

    #[test]
    fn what_is_written_can_be_read() {
        let mut bytes = Vec::new();
        let mut builder = Builder::new(EventType::SyscallOpenX, 5, -1);
        builder
            .i64(3)
            .text("/etc/passwd")
            .u32(1)
            .u32(0o644)
            .empty()
            .u64(9)
            .finish(&mut bytes)
            .unwrap();
        let event = Event::parse(&bytes, 2).unwrap();
        assert_eq!((event.ty, event.ts, event.tid, event.cpu), (EventType::SyscallOpenX, 5, -1, 2));
        assert_eq!(event.nparams(), 6);
        assert_eq!(event.param(1), Some(&b"/etc/passwd\0"[..]));
        assert_eq!(event.param(4), Some(&b""[..]));
        assert_eq!(event.u64(5), Some(9));

        builder.reset(EventType::SyscallUnshareX, 6, 1).i64(0).finish(&mut bytes).unwrap();
        let event = Event::parse(&bytes, 0).unwrap();
        assert_eq!(
            (event.ty, event.nparams(), event.i64(0)),
            (EventType::SyscallUnshareX, 1, Some(0))
        );
    }

    #[test]
    fn long_values_need_an_event_with_wide_lengths() {
        let mut bytes = vec![1];
        let long = vec![b'x'; 70_000];
        let ty = EventType::SyscallOpenX;
        let error = Builder::new(ty, 0, 0).i64(0).param(&long).finish(&mut bytes).unwrap_err();
        assert_eq!(error, BuildError::Param { ty, index: 1, len: 70_000 });
        assert!(bytes.is_empty());

        Builder::new(EventType::PlugineventE, 0, 0).u32(7).param(&long).finish(&mut bytes).unwrap();
        assert_eq!(Event::parse(&bytes, 0).unwrap().param(1), Some(&long[..]));
    }

    #[test]
    fn too_many_parameters_are_refused() {
        let mut builder = Builder::new(EventType::GenericX, 0, 0);
        (0..33).for_each(|_| {
            builder.empty();
        });
        let error = BuildError::Count { ty: EventType::GenericX, count: 33 };
        assert_eq!(builder.finish(&mut Vec::new()), Err(error));
    }
}
