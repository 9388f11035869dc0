//! The bytes of an event: header, lengths, parameters. The only place that takes them apart.

use thiserror::Error;

use crate::EventType;

/// Bytes before the parameter lengths.
pub const HEADER_LEN: usize = 26;
/// Most parameters an event can have.
pub const MAX_PARAMS: usize = 32;

/// One event, borrowed from the buffer that holds it.
///
/// Parameter offsets are found once, by [`Event::parse`]; reading one afterwards is a slice.
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
    nparams: u8,
    offsets: [u32; MAX_PARAMS + 1],
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
        let mut end = HEADER_LEN + count * width;
        if end > bytes.len() {
            return Err(WireError::Param { ty, index: 0 });
        }
        let lengths = &bytes[HEADER_LEN..end];
        let mut offsets = [0; MAX_PARAMS + 1];
        offsets[0] = end as u32;
        for (index, slot) in offsets[1..=count].iter_mut().enumerate() {
            end += if width == 2 {
                usize::from(u16::from_le_bytes([lengths[2 * index], lengths[2 * index + 1]]))
            } else {
                u32_at(lengths, 4 * index) as usize
            };
            if end > bytes.len() {
                return Err(WireError::Param { ty, index });
            }
            *slot = end as u32;
        }
        Ok(Self {
            ty,
            ts: u64_at(header, 0),
            tid: u64_at(header, 8) as i64,
            cpu,
            num: 0,
            bytes,
            nparams: count.min(ty.info().params.len()) as u8,
            offsets,
        })
    }

    /// The whole event as it was on the wire.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Number of parameters that can be read.
    pub fn nparams(&self) -> usize {
        usize::from(self.nparams)
    }

    /// Bytes of a parameter: `None` when the event lacks it, empty when it was sent without a value.
    pub fn param(&self, index: usize) -> Option<&'a [u8]> {
        if index >= self.nparams() {
            return None;
        }
        self.bytes.get(self.offsets[index] as usize..self.offsets[index + 1] as usize)
    }

    /// Position of the parameter with this name in events of this type.
    pub fn param_index(&self, name: &str) -> Option<usize> {
        self.ty.info().params.iter().position(|p| p.name == name)
    }

    /// Unsigned parameter of 1 to 8 bytes; `None` when missing, empty or of another length.
    pub fn u64(&self, index: usize) -> Option<u64> {
        uint(self.param(index)?)
    }

    /// Signed parameter of 1 to 8 bytes, sign-extended.
    pub fn i64(&self, index: usize) -> Option<i64> {
        int(self.param(index)?)
    }

    /// Unsigned parameter cut to 32 bits.
    pub fn u32(&self, index: usize) -> Option<u32> {
        self.u64(index).map(|v| v as u32)
    }

    /// Text parameter without its NUL and what follows it. Text is bytes: nothing says it is UTF-8.
    pub fn text(&self, index: usize) -> Option<&'a [u8]> {
        self.param(index).map(until_nul)
    }

    /// The strings of a string-array parameter.
    pub fn texts(&self, index: usize) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        strings(self.param(index).unwrap_or_default())
    }
}

/// Unsigned little-endian integer of 1, 2, 4 or 8 bytes.
pub fn uint(bytes: &[u8]) -> Option<u64> {
    Some(match *bytes {
        [a] => u64::from(a),
        [a, b] => u64::from(u16::from_le_bytes([a, b])),
        [a, b, c, d] => u64::from(u32::from_le_bytes([a, b, c, d])),
        _ => u64::from_le_bytes(bytes.try_into().ok()?),
    })
}

/// Signed little-endian integer of 1, 2, 4 or 8 bytes.
pub fn int(bytes: &[u8]) -> Option<i64> {
    Some(match *bytes {
        [a] => i64::from(a as i8),
        [a, b] => i64::from(i16::from_le_bytes([a, b])),
        [a, b, c, d] => i64::from(i32::from_le_bytes([a, b, c, d])),
        _ => i64::from_le_bytes(bytes.try_into().ok()?),
    })
}

/// The bytes before the first NUL (all of them when there is none).
pub fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.iter().position(|&b| b == 0).map_or(bytes, |end| &bytes[..end])
}

/// The strings of a buffer in which each is ended by NUL. The last one may lack its NUL.
pub fn strings(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let body = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    let empty = bytes.is_empty();
    body.split(|&b| b == 0).filter(move |_| !empty)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
