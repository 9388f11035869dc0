//! The bytes of an event: header, lengths, parameters. The only place that takes them apart.

use thiserror::Error;

use crate::EventType;

/// Bytes before the parameter lengths.
pub const HEADER_LEN: usize = 26;
/// Most parameters an event can have.
pub const MAX_PARAMS: usize = 32;

/// One event, borrowed from the buffer that holds it.
///
/// [`Event::parse`] makes sure of the lengths of all parameters; where one begins is summed up when it is read,
/// as few are, so that events stay small enough to be handed on by value.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// Which event it is.
    pub ty: EventType,
    /// When it happened, nanoseconds since the epoch.
    pub ts: u64,
    /// Thread that caused it.
    pub tid: i64,
    /// CPU that reported it.
    pub cpu: u16,
    /// Number in its stream, from 1. Zero until the source that delivers it has numbered it.
    pub num: u64,
    bytes: &'a [u8],
    // Those that are there, and those that can be read.
    sent: u8,
    nparams: u8,
}

/// Why bytes are not an event.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum WireError {
    /// Fewer bytes than a header.
    #[error("event of {len} bytes is shorter than its header")]
    Header {
        /// Bytes there are.
        len: usize,
    },
    /// The length in the header is not the length of the bytes.
    #[error("event says it has {header} bytes, but {actual} are there")]
    Length {
        /// What the header says.
        header: u32,
        /// What is there.
        actual: usize,
    },
    /// No event has this code.
    #[error("unknown event type {0}")]
    Type(u16),
    /// More parameters than any event has.
    #[error("event {} has {nparams} parameters", .ty.name())]
    Count {
        /// Which event.
        ty: EventType,
        /// What the header says.
        nparams: u32,
    },
    /// The parameters need more bytes than there are.
    #[error("parameter {index} of event {} ends beyond the event", .ty.name())]
    Param {
        /// Which event.
        ty: EventType,
        /// Which parameter, from 0.
        index: usize,
    },
}

impl<'a> Event<'a> {
    /// Takes the bytes of one event apart.
    ///
    /// Parameters beyond those the table knows are kept out of reach, as newer writers may add some.
    ///
    /// # Errors
    /// When the bytes are not exactly one well-formed event.
    #[inline]
    pub fn parse(bytes: &'a [u8], cpu: u16) -> Result<Self, WireError> {
        let Some((header, _)) = bytes.split_first_chunk::<HEADER_LEN>() else {
            return Err(WireError::Header { len: bytes.len() });
        };
        let code = u16::from_le_bytes([header[20], header[21]]);
        let ty = EventType::from_code(code).ok_or(WireError::Type(code))?;
        let len = u32_at(header, 16);
        if usize::try_from(len) != Ok(bytes.len()) {
            return Err(WireError::Length { header: len, actual: bytes.len() });
        }
        let nparams = u32_at(header, 22);
        let count = usize::try_from(nparams).unwrap_or(usize::MAX);
        if count > MAX_PARAMS {
            return Err(WireError::Count { ty, nparams });
        }
        let width = ty.length_width();
        let end = HEADER_LEN + count * width;
        let Some(lengths) = bytes.get(HEADER_LEN..end) else {
            return Err(WireError::Param { ty, index: 0 });
        };
        let mut room = bytes.len() - end;
        // The sum can't be trusted to fit where lengths are wide.
        if total(lengths, width) > room as u64 {
            let index = each(lengths, width).position(|len| match room.checked_sub(len) {
                Some(rest) => {
                    room = rest;
                    false
                }
                None => true,
            });
            return Err(WireError::Param { ty, index: index.unwrap_or_default() });
        }
        Ok(Self {
            ty,
            ts: u64_at(header, 0),
            tid: u64_at(header, 8) as i64,
            cpu,
            num: 0,
            bytes,
            sent: count as u8,
            nparams: count.min(ty.info().params.len()) as u8,
        })
    }

    /// The whole event as it was on the wire.
    #[inline]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Number of parameters that can be read.
    #[inline]
    pub fn nparams(&self) -> usize {
        usize::from(self.nparams)
    }

    /// Bytes of a parameter: `None` when the event lacks it, empty when it was sent without a value.
    #[inline]
    pub fn param(&self, index: usize) -> Option<&'a [u8]> {
        if index >= self.nparams() {
            return None;
        }
        let width = self.ty.length_width();
        let (before, rest) = self.bytes.get(HEADER_LEN..)?.split_at_checked(index * width)?;
        let start = HEADER_LEN + usize::from(self.sent) * width + total(before, width) as usize;
        let len = if width == 2 {
            usize::from(u16::from_le_bytes(*rest.first_chunk()?))
        } else {
            u32::from_le_bytes(*rest.first_chunk()?) as usize
        };
        self.bytes.get(start..start + len)
    }

    /// The first parameters as they are on the wire: their lengths, and all their bytes. `None` when there are fewer.
    #[inline]
    pub fn first(&self, count: usize) -> Option<(&'a [u8], &'a [u8])> {
        if count > self.nparams() {
            return None;
        }
        let width = self.ty.length_width();
        let lengths = self.bytes.get(HEADER_LEN..HEADER_LEN + count * width)?;
        let start = HEADER_LEN + usize::from(self.sent) * width;
        Some((lengths, self.bytes.get(start..start + total(lengths, width) as usize)?))
    }

    /// Position of the parameter with this name in events of this type.
    pub fn param_index(&self, name: &str) -> Option<usize> {
        self.ty.info().params.iter().position(|p| p.name == name)
    }

    /// Unsigned parameter of 1 to 8 bytes; `None` when missing, empty or of another length.
    #[inline]
    pub fn u64(&self, index: usize) -> Option<u64> {
        uint(self.param(index)?)
    }

    /// Signed parameter of 1 to 8 bytes, sign-extended.
    #[inline]
    pub fn i64(&self, index: usize) -> Option<i64> {
        int(self.param(index)?)
    }

    /// Unsigned parameter cut to 32 bits.
    #[inline]
    pub fn u32(&self, index: usize) -> Option<u32> {
        self.u64(index).map(|v| v as u32)
    }

    /// Text parameter without its NUL and what follows it. Text is bytes: nothing says it is UTF-8.
    #[inline]
    pub fn text(&self, index: usize) -> Option<&'a [u8]> {
        self.param(index).map(until_nul)
    }

    /// The strings of a string-array parameter.
    pub fn texts(&self, index: usize) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        strings(self.param(index).unwrap_or_default())
    }
}

/// The lengths, which are as wide as this.
fn each(lengths: &[u8], width: usize) -> impl Iterator<Item = usize> {
    lengths.chunks_exact(width).map(|len| uint(len).unwrap_or_default() as usize)
}

/// Their sum.
#[inline]
fn total(lengths: &[u8], width: usize) -> u64 {
    if width == 2 {
        // Four at a time, as two sums side by side. Few as they are, they fit.
        const EVERY_SECOND: u64 = 0x0000_ffff_0000_ffff;
        let (fours, rest) = lengths.as_chunks::<8>();
        let sums = fours.iter().fold(0, |sums: u64, four| {
            let four = u64::from_le_bytes(*four);
            sums + (four & EVERY_SECOND) + (four >> 16 & EVERY_SECOND)
        });
        let (rest, _) = rest.as_chunks::<2>();
        let rest = rest.iter().fold(0, |sum, len| sum + u64::from(u16::from_le_bytes(*len)));
        (sums & u64::from(u32::MAX)) + (sums >> 32) + rest
    } else {
        let (lengths, _) = lengths.as_chunks::<4>();
        lengths.iter().map(|len| u64::from(u32::from_le_bytes(*len))).sum()
    }
}

/// Unsigned little-endian integer of 1, 2, 4 or 8 bytes.
#[inline]
pub fn uint(bytes: &[u8]) -> Option<u64> {
    Some(match *bytes {
        [a] => u64::from(a),
        [a, b] => u64::from(u16::from_le_bytes([a, b])),
        [a, b, c, d] => u64::from(u32::from_le_bytes([a, b, c, d])),
        _ => u64::from_le_bytes(bytes.try_into().ok()?),
    })
}

/// Signed little-endian integer of 1, 2, 4 or 8 bytes.
#[inline]
pub fn int(bytes: &[u8]) -> Option<i64> {
    Some(match *bytes {
        [a] => i64::from(a as i8),
        [a, b] => i64::from(i16::from_le_bytes([a, b])),
        [a, b, c, d] => i64::from(i32::from_le_bytes([a, b, c, d])),
        _ => i64::from_le_bytes(bytes.try_into().ok()?),
    })
}

/// The bytes before the first NUL (all of them when there is none).
#[inline]
pub fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.iter().position(|&b| b == 0).map_or(bytes, |end| &bytes[..end])
}

/// The strings of a buffer in which each is ended by NUL. The last one may lack its NUL.
pub fn strings(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let body = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    let empty = bytes.is_empty();
    body.split(|&b| b == 0).filter(move |_| !empty)
}

// Always inline: with a place that is known, nothing remains of the checks.
#[inline(always)]
fn u32_at(header: &[u8; HEADER_LEN], at: usize) -> u32 {
    u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}

#[inline(always)]
fn u64_at(header: &[u8; HEADER_LEN], at: usize) -> u64 {
    u64::from(u32_at(header, at)) | u64::from(u32_at(header, at + 4)) << 32
}
