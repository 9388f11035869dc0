//! The bytes of an event: header, lengths, parameters. Only this module decodes them.

use std::ops::Range;

use thiserror::Error;

use crate::EventType;
use crate::event_type::Shape;
use crate::source::SourceId;

/// Bytes before the parameter lengths.
pub const HEADER_LEN: usize = 26;
/// Most parameters an event can have.
pub const MAX_PARAMS: usize = 32;

/// One event, borrowed from the buffer that holds it.
///
/// [`Event::parse`] checks the lengths of all parameters. The offset of a parameter is computed
/// when it is read, as few are, so that an event stays small enough to be passed by value.
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
    /// How the call was made. [`Abi::Native`] until the source sets it.
    pub abi: Abi,
    /// Where it comes from. [`SourceId::SYSCALL`] until the source that delivers it says otherwise.
    pub source: SourceId,
    /// Number in its stream, from 1. Zero until the source sets it.
    pub num: u64,
    bytes: &'a [u8],
    // Parameters on the wire, and those of them that the table knows.
    sent: u8,
    nparams: u8,
    // Whether lengths take four bytes in place of two.
    wide: bool,
}

/// How a program called the kernel. Sources store it in front of the bytes of an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Abi {
    /// As 64-bit programs do. Also for events that are no syscalls and for writers that do not
    /// store it.
    #[default]
    Native,
    /// As 32-bit programs do on x86_64, and any program there can.
    Ia32,
    /// As 32-bit programs do on aarch64.
    Aarch32,
}

impl Abi {
    /// The compatibility ABI of this architecture.
    pub const COMPAT: Self = if cfg!(target_arch = "aarch64") { Self::Aarch32 } else { Self::Ia32 };

    /// Name as rules write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Ia32 => "ia32",
            Self::Aarch32 => "aarch32",
        }
    }
}

/// Why bytes are not an event.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum WireError {
    /// Fewer bytes than a header.
    #[error("event of {len} bytes is shorter than its header")]
    Header {
        /// Length of the bytes.
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

/// The header of an event, checked against its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Which event it is.
    pub ty: EventType,
    /// When it happened, nanoseconds since the epoch.
    pub ts: u64,
    /// Thread that caused it.
    pub tid: i64,
    /// Number of its parameters, also of those that only newer writers know.
    pub sent: u8,
}

impl Head {
    /// Type and number of parameters in a header. `None` when the bytes are too few or the type is
    /// unknown.
    #[inline]
    pub fn peek(bytes: &[u8]) -> Option<(EventType, u32)> {
        let header = bytes.first_chunk::<HEADER_LEN>()?;
        let ty = EventType::from_code(u16::from_le_bytes([header[20], header[21]]))?;
        Some((ty, u32_at(header, 22)))
    }

    /// The header of the bytes of one event.
    ///
    /// # Errors
    /// When the bytes are not exactly one well-formed event.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        Parts::parse(bytes).map(|parts| parts.head)
    }

    /// The header as bytes, for an event of `len` bytes.
    #[inline]
    pub fn bytes(&self, len: u32) -> [u8; HEADER_LEN] {
        let mut header = [0; HEADER_LEN];
        header[..8].copy_from_slice(&self.ts.to_le_bytes());
        header[8..16].copy_from_slice(&self.tid.to_le_bytes());
        header[16..20].copy_from_slice(&len.to_le_bytes());
        header[20..22].copy_from_slice(&self.ty.code().to_le_bytes());
        header[22..].copy_from_slice(&u32::from(self.sent).to_le_bytes());
        header
    }
}

/// An event as it is on the wire: header, parameter lengths, parameters.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// What its header says.
    pub head: Head,
    // The lengths of all parameters, and then the parameters, which begin here.
    body: &'a [u8],
    values_at: usize,
}

impl<'a> Parts<'a> {
    /// Decodes the bytes of one event.
    ///
    /// # Errors
    /// When the bytes are not exactly one well-formed event.
    #[inline(always)]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let Some((header, rest)) = bytes.split_first_chunk::<HEADER_LEN>() else {
            return Err(WireError::Header { len: bytes.len() });
        };
        let code = u16::from_le_bytes([header[20], header[21]]);
        let ty = EventType::from_code(code).ok_or(WireError::Type(code))?;
        let len = u32_at(header, 16);
        if len as usize != bytes.len() {
            return Err(WireError::Length { header: len, actual: bytes.len() });
        }
        let nparams = u32_at(header, 22);
        if nparams > MAX_PARAMS as u32 {
            return Err(WireError::Count { ty, nparams });
        }
        let width = ty.length_width();
        let values_at = nparams as usize * width;
        let end = values_at + total_of(rest, nparams as usize, width);
        let Some(body) = rest.get(..end) else {
            return Err(too_long(ty, nparams as usize, rest));
        };
        let (ts, tid) = (u64_at(header, 0), u64_at(header, 8) as i64);
        let head = Head { ty, ts, tid, sent: nparams as u8 };
        Ok(Self { head, body, values_at })
    }

    /// The parts of an event whose header is decoded and that has nothing behind its parameters.
    #[inline]
    pub fn with_head(head: Head, bytes: &'a [u8]) -> Self {
        let body = bytes.get(HEADER_LEN..).unwrap_or_default();
        Self { head, body, values_at: usize::from(head.sent) * head.ty.length_width() }
    }

    /// End of the last parameter. Bytes behind it have no meaning.
    #[inline]
    pub fn end(self) -> usize {
        HEADER_LEN + self.body.len()
    }

    /// Some of the first four parameters of an event whose lengths take two bytes: their lengths as
    /// they are on the wire, the first in the lowest bits, and their bytes in one piece. `None`
    /// when the event lacks one of them.
    #[inline]
    pub fn few(self, params: Range<usize>) -> Option<(u64, &'a [u8])> {
        if params.is_empty() {
            return Some((0, &[]));
        }
        if params.end > FEW || params.end > self.head.sent.into() {
            return None;
        }
        let lengths = first_word(self.body);
        let own = (lengths >> (16 * params.start)) & (u64::MAX >> (16 * (FEW - params.len())));
        let bytes = if params == (0..self.head.sent.into()) {
            self.body.get(self.values_at..)?
        } else {
            let before = lengths & !(u64::MAX << (16 * params.start));
            let rest = self.body.get(self.values_at + sum_of_four(before)..)?;
            rest.get(..sum_of_four(own))?
        };
        Some((own, bytes))
    }

    /// Bytes of a parameter: `None` when the event lacks it.
    pub fn param(self, index: usize) -> Option<&'a [u8]> {
        if index >= self.head.sent.into() {
            return None;
        }
        let width = self.head.ty.length_width();
        let len = total_of(self.body.get(index * width..)?, 1, width);
        self.body.get(self.values_at + total_of(self.body, index, width)..)?.get(..len)
    }
}

/// Which parameter ends beyond the event.
#[cold]
fn too_long(ty: EventType, nparams: usize, rest: &[u8]) -> WireError {
    let width = ty.length_width();
    let Some((lengths, values)) = rest.split_at_checked(nparams * width) else {
        return WireError::Param { ty, index: 0 };
    };
    let mut room = values.len();
    let index = each(lengths, width).position(|len| match room.checked_sub(len) {
        Some(rest) => {
            room = rest;
            false
        }
        None => true,
    });
    WireError::Param { ty, index: index.unwrap_or_default() }
}

impl<'a> Event<'a> {
    /// Decodes the bytes of one event.
    ///
    /// Parameters beyond those of the table, which newer writers may add, cannot be read.
    ///
    /// # Errors
    /// When the bytes are not exactly one well-formed event.
    #[inline]
    pub fn parse(bytes: &'a [u8], cpu: u16) -> Result<Self, WireError> {
        Ok(Self::with_head(Head::parse(bytes)?, bytes, cpu))
    }

    /// An event whose header is decoded. With the bytes of another event, parameters are missing or
    /// wrong.
    #[inline]
    pub fn with_head(head: Head, bytes: &'a [u8], cpu: u16) -> Self {
        let Head { ty, ts, tid, sent } = head;
        let Shape { nparams, wide } = ty.shape();
        let nparams = nparams.min(sent);
        let (abi, source) = (Abi::Native, SourceId::SYSCALL);
        Self { ty, ts, tid, cpu, abi, source, num: 0, bytes, sent, nparams, wide }
    }

    /// What its header says.
    #[inline]
    pub fn head(&self) -> Head {
        Head { ty: self.ty, ts: self.ts, tid: self.tid, sent: self.sent }
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

    /// Bytes of a parameter: `None` when the event lacks it, empty when it was sent without a
    /// value.
    #[inline]
    pub fn param(&self, index: usize) -> Option<&'a [u8]> {
        if index >= self.nparams() {
            return None;
        }
        let all = self.bytes.get(HEADER_LEN..)?;
        let values_at = 2 * usize::from(self.sent);
        match all.first_chunk() {
            _ if self.wide => self.later_param(index),
            _ if index == 0 => {
                let len = u16::from_le_bytes(*all.first_chunk()?);
                all.get(values_at..)?.get(..len.into())
            }
            Some(lengths) if index < FEW => {
                let lengths = u64::from_le_bytes(*lengths);
                let before = lengths & !(u64::MAX << (16 * index));
                let len = (lengths >> (16 * index)) as u16;
                all.get(values_at + sum_of_four(before)..)?.get(..len.into())
            }
            _ => self.later_param(index),
        }
    }

    /// The first parameters at once, which costs less than one call for each. `None` for those the
    /// event lacks.
    #[inline]
    pub fn params<const N: usize>(&self) -> [Option<&'a [u8]>; N] {
        let mut params = [None; N];
        if self.wide {
            for (index, param) in params.iter_mut().enumerate() {
                *param = self.param(index);
            }
            return params;
        }
        let all = self.bytes.get(HEADER_LEN..).unwrap_or_default();
        let (lengths, _) = all.as_chunks();
        let mut rest = all.get(2 * usize::from(self.sent)..).unwrap_or_default();
        for (param, len) in params.iter_mut().zip(lengths).take(self.nparams()) {
            let Some((value, after)) = rest.split_at_checked(u16::from_le_bytes(*len).into())
            else {
                break;
            };
            (*param, rest) = (Some(value), after);
        }
        params
    }

    #[inline(never)]
    fn later_param(&self, index: usize) -> Option<&'a [u8]> {
        Parts::with_head(self.head(), self.bytes).param(index)
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

/// The first eight bytes as a number. Bytes beyond the end count as zero, so that lengths that end
/// just before it are whole.
#[inline]
fn first_word(bytes: &[u8]) -> u64 {
    match bytes.first_chunk() {
        Some(word) => u64::from_le_bytes(*word),
        None => bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)),
    }
}

/// The lengths, of `width` bytes each.
#[inline]
fn each(lengths: &[u8], width: usize) -> impl Iterator<Item = usize> {
    lengths.chunks_exact(width).map(|len| uint(len).unwrap_or_default() as usize)
}

/// Lengths that fit one machine word.
const FEW: usize = 4;

/// The sum of the first `count` lengths of `all`. What follows them does not count.
#[inline]
fn total_of(all: &[u8], count: usize, width: usize) -> usize {
    if count == 0 {
        return 0;
    }
    // Mask what follows the lengths.
    if width == 2
        && count < FEW
        && let Some(lengths) = all.first_chunk()
    {
        let lengths = u64::from_le_bytes(*lengths);
        return sum_of_four(lengths & ((1 << (16 * count)) - 1));
    }
    total(all, count, width)
}

#[inline]
fn sum_of_four(lengths: u64) -> usize {
    const EVERY_SECOND: u64 = 0x0000_ffff_0000_ffff;
    let sums = (lengths & EVERY_SECOND) + ((lengths >> 16) & EVERY_SECOND);
    (sums as u32 as usize) + (sums >> 32) as usize
}

/// The sum of any number of lengths.
#[inline(never)]
fn total(all: &[u8], count: usize, width: usize) -> usize {
    if width == 2
        && count < 2 * FEW
        && let Some(lengths) = all.first_chunk()
    {
        let lengths = u128::from_le_bytes(*lengths) & ((1 << (16 * count)) - 1);
        return sum_of_four(lengths as u64) + sum_of_four((lengths >> 64) as u64);
    }
    let lengths = all.get(..count * width).unwrap_or_default();
    if width == 2 {
        return lengths.as_chunks().0.iter().map(|len| usize::from(u16::from_le_bytes(*len))).sum();
    }
    each(lengths, width).sum()
}

/// Unsigned little-endian integer of 1, 2, 4 or 8 bytes.
#[inline]
pub fn uint(bytes: &[u8]) -> Option<u64> {
    if let Ok(bytes) = bytes.try_into() {
        return Some(u64::from_le_bytes(bytes));
    }
    Some(match *bytes {
        [a, b, c, d] => u64::from(u32::from_le_bytes([a, b, c, d])),
        [a] => u64::from(a),
        [a, b] => u64::from(u16::from_le_bytes([a, b])),
        _ => return None,
    })
}

/// Signed little-endian integer of 1, 2, 4 or 8 bytes.
#[inline]
pub fn int(bytes: &[u8]) -> Option<i64> {
    if let Ok(bytes) = bytes.try_into() {
        return Some(i64::from_le_bytes(bytes));
    }
    Some(match *bytes {
        [a, b, c, d] => i64::from(i32::from_le_bytes([a, b, c, d])),
        [a] => i64::from(a as i8),
        [a, b] => i64::from(i16::from_le_bytes([a, b])),
        _ => return None,
    })
}

/// The bytes before the first NUL (all of them when there is none).
#[inline]
pub fn until_nul(bytes: &[u8]) -> &[u8] {
    memchr::memchr(0, bytes).and_then(|end| bytes.get(..end)).unwrap_or(bytes)
}

/// The strings of a buffer in which each is ended by NUL. The last one may lack its NUL.
pub fn strings(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let body = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    let empty = bytes.is_empty();
    body.split(|&b| b == 0).filter(move |_| !empty)
}

#[inline(always)]
fn u32_at(header: &[u8; HEADER_LEN], at: usize) -> u32 {
    u32::from_le_bytes(bytes_at(header, at))
}

#[inline(always)]
fn u64_at(header: &[u8; HEADER_LEN], at: usize) -> u64 {
    u64::from_le_bytes(bytes_at(header, at))
}

// Always inline: nothing remains of the checks where the position is a constant.
#[inline(always)]
fn bytes_at<const N: usize>(header: &[u8; HEADER_LEN], at: usize) -> [u8; N] {
    debug_assert!(at + N <= HEADER_LEN);
    header.get(at..).and_then(<[u8]>::first_chunk).copied().unwrap_or([0; N])
}
