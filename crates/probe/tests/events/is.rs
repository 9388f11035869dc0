//! Expected values of parameters.

use std::ffi::{CStr, CString};
use std::net::SocketAddr;
use std::ops::RangeInclusive;

use peregrine_event::wire::uint;
use peregrine_event::{Event, Extra, Param, ParamInfo, Sockaddr, Socktuple};

/// An expected value. Numbers, texts, bytes and addresses convert to one.
#[derive(Clone, Debug)]
pub(crate) enum Is {
    /// This number, truncated to the width of the parameter.
    Number(i128),
    /// A number in this range.
    Between(u64, u64),
    /// These bytes, with the NUL of a text.
    Bytes(Vec<u8>),
    /// These names of the parameter's table, and no others: `O_RDWR|O_CLOEXEC`.
    Flags(&'static str),
    /// Two ends of unix sockets: whether each is known, and the path.
    Unix(bool, bool, &'static [u8]),
    /// One of these.
    OneOf(Vec<Is>),
    /// Something for which this holds.
    That(&'static str, fn(u64) -> bool),
    /// Unpredictable, with the reason.
    Anything(&'static str),
}

/// Sent without a value.
pub(crate) fn empty() -> Is {
    Is::Bytes(Vec::new())
}

/// These names of the parameter's table, and no others.
pub(crate) fn flags(names: &'static str) -> Is {
    Is::Flags(names)
}

/// A number in this range.
pub(crate) fn between(range: RangeInclusive<u64>) -> Is {
    Is::Between(*range.start(), *range.end())
}

/// Any of these.
pub(crate) fn one_of<T: Into<Is>, const N: usize>(all: [T; N]) -> Is {
    Is::OneOf(all.into_iter().map(Into::into).collect())
}

/// Unpredictable, with the reason.
pub(crate) fn anything(why: &'static str) -> Is {
    Is::Anything(why)
}

/// An address of the kernel's memory.
pub(crate) fn kernel_address() -> Is {
    Is::That("an address of the kernel's", |value| value >> 56 == 0xff)
}

/// Several texts, each with its NUL.
pub(crate) fn texts(all: &[&str]) -> Is {
    Is::Bytes(all.iter().flat_map(|text| text.bytes().chain([0])).collect())
}

/// A text of any bytes.
pub(crate) fn text(bytes: &[u8]) -> Is {
    Is::Bytes([bytes, &[0]].concat())
}

/// The address of a unix socket.
pub(crate) fn unix(path: &[u8]) -> Is {
    let mut bytes = Vec::new();
    Sockaddr::Unix(path).encode(&mut bytes);
    Is::Bytes(bytes)
}

/// The alternative of a dynamic parameter, and its value.
pub(crate) fn dynamic(alternative: u8, value: &[u8]) -> Is {
    Is::Bytes([&[alternative], value].concat())
}

impl Is {
    /// Whether a parameter has this value; otherwise the expected and the actual one.
    pub(crate) fn check(&self, event: &Event<'_>, index: usize) -> Result<(), String> {
        let info = &event.ty.info().params[index];
        let Some(value) = event.value(index) else { return Err("the event lacks it".into()) };
        let value = value.map_err(|error| error.to_string())?;
        let bytes = event.param(index).unwrap_or_default();
        if self.matches(info, bytes)? {
            return Ok(());
        }
        Err(format!("expected {}, got {}", self.show(), show(&value, bytes)))
    }

    fn matches(&self, info: &ParamInfo, bytes: &[u8]) -> Result<bool, String> {
        let number = uint(bytes);
        Ok(match self {
            Self::Number(expected) => {
                let unused = 64 - 8 * bytes.len().min(8) as u32;
                number.is_some_and(|n| {
                    n == *expected as u64 & u64::MAX.checked_shr(unused).unwrap_or(0)
                })
            }
            Self::Between(low, high) => number.is_some_and(|n| (*low..=*high).contains(&n)),
            Self::Bytes(expected) => bytes == expected,
            Self::Flags(names) => number == Some(bits(info, names)?),
            Self::Unix(first, second, path) => match bytes.split_first_chunk::<17>() {
                Some((ends, name)) => {
                    let known = |at: usize| ends[at + 7] == 0xff;
                    ends[0] == 1
                        && (known(1), known(9)) == (*first, *second)
                        && name == [path, &b"\0"[..]].concat()
                }
                None => false,
            },
            Self::OneOf(all) => {
                for one in all {
                    if one.matches(info, bytes)? {
                        return Ok(true);
                    }
                }
                false
            }
            Self::That(_, holds) => number.is_some_and(holds),
            Self::Anything(_) => true,
        })
    }

    fn show(&self) -> String {
        match self {
            Self::Number(number) => format!("{number} ({number:#x})"),
            Self::Between(low, high) => format!("{low} to {high}"),
            Self::Bytes(bytes) => printable(bytes),
            Self::Flags(names) => (*names).into(),
            Self::Unix(first, second, path) => {
                format!("unix sockets ({first}, {second}) {}", printable(path))
            }
            Self::OneOf(all) => all.iter().map(Self::show).collect::<Vec<_>>().join(" or "),
            Self::That(what, _) => (*what).into(),
            Self::Anything(why) => format!("anything ({why})"),
        }
    }
}

/// The bits of these names in the parameter's table.
fn bits(info: &ParamInfo, names: &str) -> Result<u64, String> {
    let Extra::Flags(table) = info.extra else { return Err("it has no names for its bits".into()) };
    names.split('|').filter(|name| !name.is_empty()).try_fold(0, |bits, name| {
        match table.iter().find(|(known, _)| *known == name) {
            Some((_, bit)) => Ok(bits | u64::from(*bit)),
            None => Err(format!("its table has no {name}")),
        }
    })
}

fn show(value: &Param<'_>, bytes: &[u8]) -> String {
    match (value, uint(bytes)) {
        (Param::Empty, _) => "nothing".into(),
        (
            Param::Text(_)
            | Param::Path(_)
            | Param::Bytes(_)
            | Param::Sockaddr(_)
            | Param::Socktuple(_),
            _,
        )
        | (_, None) => printable(bytes),
        (Param::Int(n) | Param::Errno(n) | Param::Fd(n) | Param::Pid(n), _) => {
            format!("{n} ({n:#x})")
        }
        (_, Some(number)) => format!("{number} ({number:#x})"),
    }
}

/// Bytes as a text on one line; the middle of a long one is omitted.
fn printable(bytes: &[u8]) -> String {
    match bytes {
        [] => "nothing".into(),
        [start @ .., _] if start.len() > 200 => {
            let (head, tail) =
                (bytes[..80].escape_ascii(), bytes[bytes.len() - 40..].escape_ascii());
            format!("\"{head}…{tail}\" ({} bytes)", bytes.len())
        }
        _ => format!("\"{}\"", bytes.escape_ascii()),
    }
}

macro_rules! from_numbers {
    ($($number:ty)*) => { $(impl From<$number> for Is {
        fn from(number: $number) -> Self {
            Self::Number(number as i128)
        }
    })* };
}
from_numbers!(u8 u16 i16 i32 u32 i64 u64 usize);

impl From<&CStr> for Is {
    fn from(text: &CStr) -> Self {
        Self::Bytes(text.to_bytes_with_nul().to_vec())
    }
}

impl From<&CString> for Is {
    fn from(text: &CString) -> Self {
        text.as_c_str().into()
    }
}

impl From<&str> for Is {
    fn from(name: &str) -> Self {
        text(name.as_bytes())
    }
}

impl From<String> for Is {
    fn from(name: String) -> Self {
        text(name.as_bytes())
    }
}

impl From<&[u8]> for Is {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl<const N: usize> From<&[u8; N]> for Is {
    fn from(bytes: &[u8; N]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl From<Vec<u8>> for Is {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<SocketAddr> for Is {
    fn from(address: SocketAddr) -> Self {
        let mut bytes = Vec::new();
        match address {
            SocketAddr::V4(address) => Sockaddr::V4(address).encode(&mut bytes),
            SocketAddr::V6(address) => Sockaddr::V6(address).encode(&mut bytes),
        }
        Self::Bytes(bytes)
    }
}

/// Source and destination.
impl From<(SocketAddr, SocketAddr)> for Is {
    fn from(ends: (SocketAddr, SocketAddr)) -> Self {
        let mut bytes = Vec::new();
        match ends {
            (SocketAddr::V4(source), SocketAddr::V4(destination)) => {
                Socktuple::V4 { source, destination }.encode(&mut bytes);
            }
            (SocketAddr::V6(source), SocketAddr::V6(destination)) => {
                Socktuple::V6 { source, destination }.encode(&mut bytes);
            }
            _ => panic!("ends of two families"),
        }
        Self::Bytes(bytes)
    }
}
