//! Values of parameters: wire bytes decoded into types.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;

use crate::Event;
use crate::address::{Sockaddr, Socktuple};
use crate::table::{Extra, ParamInfo};
use crate::types::ParamType;
use crate::wire::{int, strings, uint, until_nul};

/// Value of a parameter, borrowed from the event.
///
/// The [`ParamInfo`] has the base of numbers, the names of bits and the directory of a relative
/// path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Param<'a> {
    /// Sent without a value.
    Empty,
    /// Signed integer of any width.
    Int(i64),
    /// Unsigned integer of any width.
    Uint(u64),
    /// Text without its NUL.
    Text(&'a [u8]),
    /// Path without its NUL, absolute or relative to what [`ParamInfo::extra`] says.
    Path(&'a [u8]),
    /// Bytes of any value.
    Bytes(&'a [u8]),
    /// Result: negative values are error numbers.
    Errno(i64),
    /// File descriptor, or an error number when negative.
    Fd(i64),
    /// Process or thread.
    Pid(i64),
    /// File descriptors with their poll flags.
    Fdlist(Fdlist<'a>),
    /// Socket address.
    Sockaddr(Sockaddr<'a>),
    /// Both ends of a connection.
    Socktuple(Socktuple<'a>),
    /// Code of a syscall.
    Syscall(u16),
    /// Number of a signal.
    Signal(u8),
    /// Signals 1 to 32 as bits.
    Signals(u32),
    /// Nanoseconds.
    Duration(u64),
    /// Nanoseconds since the epoch.
    Time(u64),
    /// Port in host order.
    Port(u16),
    /// Protocol over IP.
    L4proto(u8),
    /// Family of sockets.
    Sockfamily(u8),
    /// True or false.
    Bool(bool),
    /// Address.
    Ip(IpAddr),
    /// Bits that have names.
    Flags(u32),
    /// One of several values that have names.
    Enum(u32),
    /// File mode.
    Mode(u32),
    /// User; all ones means none.
    Uid(u32),
    /// Group; all ones means none.
    Gid(u32),
    /// Floating point.
    Double(f64),
    /// Several texts.
    Texts(Texts<'a>),
    /// Pairs of texts: names and values, in turn.
    Pairs(Texts<'a>),
}

/// Why bytes are not a value of their type.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ParamError {
    /// The index byte names no alternative.
    #[error("a dynamic value has no alternative {0}")]
    Alternative(u8),
    /// Too few bytes, or too many.
    #[error("{len} bytes are no value of type {ty:?}")]
    Length {
        /// What it should be.
        ty: ParamType,
        /// Length of the bytes.
        len: usize,
    },
    /// Events cannot hold values of this type.
    #[error("type {0:?} is for fields only")]
    Type(ParamType),
}

impl<'a> Event<'a> {
    /// Value of a parameter: `None` when the event lacks it. Dynamic parameters give the value of
    /// the alternative that was sent.
    ///
    /// ```
    /// use peregrine_event::{Builder, Event, EventType, Param};
    /// let mut bytes = Vec::new();
    /// Builder::new(EventType::SyscallCloseX, 0, 1).i64(-9).i64(3).finish(&mut bytes)?;
    /// let event = Event::parse(&bytes, 0).unwrap();
    /// assert_eq!(event.value(0), Some(Ok(Param::Errno(-9))));
    /// assert_eq!(event.value(1), Some(Ok(Param::Fd(3))));
    /// assert_eq!(event.value(2), None);
    /// # Ok::<(), peregrine_event::BuildError>(())
    /// ```
    pub fn value(&self, index: usize) -> Option<Result<Param<'a>, ParamError>> {
        let info = self.ty.info().params.get(index)?;
        self.param(index).map(|bytes| Param::of(info, bytes))
    }
}

impl<'a> Param<'a> {
    /// Value of the parameter with this description.
    ///
    /// # Errors
    /// When the bytes are no value of its type.
    pub fn of(info: &ParamInfo, bytes: &'a [u8]) -> Result<Self, ParamError> {
        let (ty, bytes) = chosen(info, bytes)?;
        Self::decode(ty, bytes)
    }

    /// Value of a type other than [`ParamType::Dyn`], which needs its table: see [`Param::of`].
    ///
    /// # Errors
    /// When the bytes are no value of the type.
    pub fn decode(ty: ParamType, bytes: &'a [u8]) -> Result<Self, ParamError> {
        if bytes.is_empty() {
            return Ok(Self::Empty);
        }
        value(ty, bytes).ok_or(match ty {
            ParamType::None
            | ParamType::Dyn
            | ParamType::Ipv4net
            | ParamType::Ipv6net
            | ParamType::Ipnet => ParamError::Type(ty),
            _ => ParamError::Length { ty, len: bytes.len() },
        })
    }
}

/// Type and bytes of the value: of the alternative that was sent where there are several.
pub(crate) fn chosen<'a>(
    info: &ParamInfo,
    bytes: &'a [u8],
) -> Result<(ParamType, &'a [u8]), ParamError> {
    let (ParamType::Dyn, Some((&index, value))) = (info.ty, bytes.split_first()) else {
        return Ok((info.ty, bytes));
    };
    let Extra::Dynamic(alternatives) = info.extra else {
        return Err(ParamError::Alternative(index));
    };
    match alternatives.get(usize::from(index)) {
        Some(alternative) => Ok((alternative.ty, value)),
        None => Err(ParamError::Alternative(index)),
    }
}

fn value(ty: ParamType, bytes: &[u8]) -> Option<Param<'_>> {
    let sized = |width: usize| bytes.len() == width;
    let u8 = || uint(bytes).filter(|_| sized(1)).map(|v| v as u8);
    let u16 = || uint(bytes).filter(|_| sized(2)).map(|v| v as u16);
    let u32 = || uint(bytes).filter(|_| sized(4)).map(|v| v as u32);
    let u64 = || uint(bytes).filter(|_| sized(8));
    let i32 = || int(bytes).filter(|_| sized(4));
    let i64 = || int(bytes).filter(|_| sized(8));
    let ip4 = || Some(IpAddr::from(Ipv4Addr::from(*bytes.as_array::<4>()?)));
    let ip6 = || Some(IpAddr::from(Ipv6Addr::from(*bytes.as_array::<16>()?)));
    match ty {
        ParamType::Int8 => int(bytes).filter(|_| sized(1)).map(Param::Int),
        ParamType::Int16 => int(bytes).filter(|_| sized(2)).map(Param::Int),
        ParamType::Int32 => i32().map(Param::Int),
        ParamType::Int64 => i64().map(Param::Int),
        ParamType::Uint8 => u8().map(|v| Param::Uint(v.into())),
        ParamType::Uint16 => u16().map(|v| Param::Uint(v.into())),
        ParamType::Uint32 => u32().map(|v| Param::Uint(v.into())),
        ParamType::Uint64 => u64().map(Param::Uint),
        ParamType::Charbuf => Some(Param::Text(until_nul(bytes))),
        ParamType::Fspath | ParamType::Fsrelpath => Some(Param::Path(until_nul(bytes))),
        ParamType::Bytebuf => Some(Param::Bytes(bytes)),
        ParamType::Errno => i64().map(Param::Errno),
        ParamType::Fd => i64().map(Param::Fd),
        ParamType::Fd32 => i32().map(Param::Fd),
        ParamType::Pid => i64().map(Param::Pid),
        ParamType::Pid32 => i32().map(Param::Pid),
        ParamType::Fdlist => Fdlist::decode(bytes).map(Param::Fdlist),
        ParamType::Sockaddr => Sockaddr::decode(bytes).map(Param::Sockaddr),
        ParamType::Socktuple => Socktuple::decode(bytes).map(Param::Socktuple),
        ParamType::Syscallid => u16().map(Param::Syscall),
        ParamType::Sigtype => u8().map(Param::Signal),
        ParamType::Sigset => u32().map(Param::Signals),
        ParamType::Reltime => u64().map(Param::Duration),
        ParamType::Abstime => u64().map(Param::Time),
        ParamType::Port => u16().map(Param::Port),
        ParamType::L4proto => u8().map(Param::L4proto),
        ParamType::Sockfamily => u8().map(Param::Sockfamily),
        ParamType::Bool => u32().map(|v| Param::Bool(v != 0)),
        ParamType::Ipv4addr => ip4().map(Param::Ip),
        ParamType::Ipv6addr => ip6().map(Param::Ip),
        ParamType::Ipaddr => ip4().or_else(ip6).map(Param::Ip),
        ParamType::Flags8 => u8().map(|v| Param::Flags(v.into())),
        ParamType::Flags16 => u16().map(|v| Param::Flags(v.into())),
        ParamType::Flags32 => u32().map(Param::Flags),
        ParamType::Enumflags8 => u8().map(|v| Param::Enum(v.into())),
        ParamType::Enumflags16 => u16().map(|v| Param::Enum(v.into())),
        ParamType::Enumflags32 => u32().map(Param::Enum),
        ParamType::Mode => u32().map(Param::Mode),
        ParamType::Uid => u32().map(Param::Uid),
        ParamType::Gid => u32().map(Param::Gid),
        ParamType::Double => bytes.as_array().map(|v| Param::Double(f64::from_le_bytes(*v))),
        ParamType::Charbufarray => Some(Param::Texts(Texts(bytes))),
        ParamType::CharbufPairArray => Some(Param::Pairs(Texts(bytes))),
        ParamType::None
        | ParamType::Dyn
        | ParamType::Ipv4net
        | ParamType::Ipv6net
        | ParamType::Ipnet => None,
    }
}

/// Bytes of one descriptor and its flags.
const ENTRY: usize = 10;

/// File descriptors with their poll flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fdlist<'a>(&'a [u8]);

impl<'a> Fdlist<'a> {
    /// `None` when the number of entries differs from the count in front of them.
    pub fn decode(bytes: &'a [u8]) -> Option<Self> {
        let (count, entries) = bytes.split_first_chunk()?;
        let len = usize::from(u16::from_le_bytes(*count)) * ENTRY;
        (entries.len() == len).then_some(Self(entries))
    }

    /// Number of descriptors.
    pub fn len(&self) -> usize {
        self.0.len() / ENTRY
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The descriptors and their flags.
    pub fn iter(&self) -> impl Iterator<Item = (i64, i16)> + use<'a> {
        let (entries, _) = self.0.as_chunks::<ENTRY>();
        entries.iter().map(|&[a, b, c, d, e, f, g, h, lo, hi]| {
            (i64::from_le_bytes([a, b, c, d, e, f, g, h]), i16::from_le_bytes([lo, hi]))
        })
    }
}

/// Several texts, each ended by NUL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Texts<'a>(&'a [u8]);

impl<'a> Texts<'a> {
    /// The texts.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        strings(self.0)
    }

    /// The texts in pairs; the last one is alone when their number is odd.
    pub fn pairs(&self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + use<'a> {
        let mut texts = self.iter();
        std::iter::from_fn(move || Some((texts.next()?, texts.next())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Builder, EventType};

    fn event<'a>(bytes: &'a mut Vec<u8>, builder: &Builder) -> Event<'a> {
        builder.finish(bytes).unwrap();
        Event::parse(bytes, 0).unwrap()
    }

    #[test]
    fn every_type_of_an_event_can_be_decoded() {
        for info in EventType::all().flat_map(|ty| ty.info().params) {
            let error = Param::of(info, &[0; 8]);
            assert!(!matches!(error, Err(ParamError::Type(_))), "{}: {:?}", info.name, info.ty);
        }
    }

    #[test]
    fn a_number_has_exactly_its_width() {
        assert_eq!(Param::decode(ParamType::Int16, &[0xfe, 0xff]), Ok(Param::Int(-2)));
        assert_eq!(Param::decode(ParamType::Uint16, &[0xfe, 0xff]), Ok(Param::Uint(0xfffe)));
        assert_eq!(Param::decode(ParamType::Fd32, &[0xff; 4]), Ok(Param::Fd(-1)));
        let error = ParamError::Length { ty: ParamType::Uint16, len: 4 };
        assert_eq!(Param::decode(ParamType::Uint16, &[0; 4]), Err(error));
        assert_eq!(Param::decode(ParamType::Uint16, &[]), Ok(Param::Empty));
    }

    #[test]
    fn a_dynamic_value_is_that_of_its_alternative() {
        let mut bytes = Vec::new();
        let mut builder = Builder::new(EventType::SocketSetsockoptX, 0, 0);
        builder.i64(0).i64(3).u8(1).u8(9).dynamic(2, &7_u32.to_le_bytes()).u32(4);
        assert_eq!(event(&mut bytes, &builder).value(4), Some(Ok(Param::Uint(7))));

        builder.reset(EventType::SocketSetsockoptX, 0, 0);
        builder.i64(0).i64(3).u8(1).u8(9).dynamic(9, &[]).u32(4);
        let error = ParamError::Alternative(9);
        assert_eq!(event(&mut bytes, &builder).value(4), Some(Err(error)));
    }

    #[test]
    fn a_list_of_fds_must_be_complete() {
        let mut bytes = Vec::new();
        let mut builder = Builder::new(EventType::SyscallPollX, 0, 0);
        builder.i64(2).fdlist(&[(3, 1), (-1, -2)]).i64(0);
        let event = event(&mut bytes, &builder);
        let Some(Ok(Param::Fdlist(fds))) = event.value(1) else { panic!("no list") };
        assert_eq!(fds.iter().collect::<Vec<_>>(), [(3, 1), (-1, -2)]);
        assert_eq!(fds.len(), 2);

        let list = event.param(1).unwrap();
        assert!(Param::decode(ParamType::Fdlist, &list[..list.len() - 1]).is_err());
    }

    #[test]
    fn texts_come_in_pairs() {
        let Ok(Param::Pairs(texts)) = Param::decode(ParamType::CharbufPairArray, b"a\0b\0c\0")
        else {
            panic!("no pairs")
        };
        let expected: [(&[u8], Option<&[u8]>); 2] = [(b"a", Some(b"b")), (b"c", None)];
        assert_eq!(texts.pairs().collect::<Vec<_>>(), expected);
    }
}
