//! Parses literals of conditions as values of the types they are compared with.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use peregrine_event::ParamType;
use thiserror::Error;

use crate::ast::lossy;

/// Longest literal, in bytes.
const MAX_LEN: usize = 255;

/// A parsed literal.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    /// In two's complement of 64 bits, for signed and unsigned types alike.
    Number(u64),
    Double(f64),
    Bytes(Box<[u8]>),
    Ip(IpAddr),
    Net(Net),
}

/// Why a text is not a value of a type. The messages are those of Falco, which tools compare.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum LiteralError {
    /// Neither `true` nor `false`.
    #[error("filter error: unrecognized boolean value {0}")]
    Bool(String),
    /// Longer than a literal for a byte buffer may be.
    #[error("filter parameter too long (byte buf)")]
    BufferTooLong,
    /// Not a sequence of pairs of hex digits.
    #[error("filter error: bcontains and bstartswith operator support hex strings only")]
    Hex,
    /// Not an IPv4 address.
    #[error("unrecognized IPv4 address {0}")]
    Ipv4(String),
    /// Not an IPv6 address.
    #[error("unrecognized IPv6 address {0}")]
    Ipv6(String),
    /// Not a prefix length of an IPv4 net.
    #[error("invalid netmask {0}")]
    Mask(String),
    /// Not a prefix length of an IPv6 net.
    #[error("invalid v6 netmask {0}")]
    Maskv6(String),
    /// An IPv4 address in place of a net.
    #[error("unrecognized IP network {0}")]
    Net(String),
    /// The address of an IPv4 net is not valid.
    #[error("unrecognized IP address {0}")]
    NetAddress(String),
    /// An IPv6 address in place of a net.
    #[error("invalid v6 netmask: {0}")]
    Netv6(String),
    /// A text that contains NUL.
    #[error("filter error: filter value cannot contain a NUL byte (\\x00)")]
    Nul,
    /// Not a number.
    #[error("{0} is not a valid number")]
    Number(String),
    /// A type without literals.
    #[error("wrong parameter type {0}")]
    NoLiterals(u8),
    /// Neither a port nor the name of a service.
    #[error("unrecognized protocol {0}")]
    Service(String),
    /// Longer than a literal may be.
    #[error("filter parameter too long (used={}, available={}):{text}", text.len() + 1, MAX_LEN + 1)]
    TooLong {
        /// The literal.
        text: String,
    },
}

/// Whether the number is outside of the range of the type.
pub(crate) fn is_out_of_range(literal: &Literal, ty: ParamType) -> bool {
    use ParamType as T;
    let Literal::Number(number) = literal else { return false };
    let signed = |bits: u32| {
        let number = *number as i64;
        number >> (bits - 1) != 0 && number >> (bits - 1) != -1
    };
    match ty {
        T::Int8 => signed(8),
        T::Int16 => signed(16),
        T::Int32 => signed(32),
        T::Uint8 | T::Flags8 | T::Enumflags8 | T::L4proto => *number > u8::MAX.into(),
        T::Uint16 | T::Flags16 | T::Enumflags16 | T::Port => *number > u16::MAX.into(),
        T::Uint32 | T::Flags32 | T::Enumflags32 | T::Mode | T::Uid | T::Gid => {
            *number > u32::MAX.into()
        }
        _ => false,
    }
}

/// Parses a literal.
pub(crate) fn parse(bytes: &[u8], ty: ParamType) -> Result<Literal, LiteralError> {
    use ParamType as T;
    if ty == T::Bytebuf {
        return buffer(bytes);
    }
    if bytes.contains(&0) {
        return Err(LiteralError::Nul);
    }
    let text = lossy(bytes);
    Ok(match ty {
        T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::Fd | T::Errno | T::Pid => {
            Literal::Number(signed(&text)? as u64)
        }
        T::Uint8 | T::Flags8 | T::Enumflags8 | T::L4proto => {
            Literal::Number(unsigned_of(&text, 8)?)
        }
        T::Uint16 | T::Flags16 | T::Enumflags16 => Literal::Number(unsigned_of(&text, 16)?),
        T::Uint32 | T::Flags32 | T::Enumflags32 | T::Mode | T::Uid | T::Gid => {
            Literal::Number(unsigned_of(&text, 32)?)
        }
        T::Uint64 | T::Reltime | T::Abstime => Literal::Number(unsigned(&text)?),
        T::Port => Literal::Number(port(&text)?),
        T::Double => Literal::Double(signed(&text)? as f64),
        T::Bool => match &*text {
            "true" => Literal::Number(1),
            "false" => Literal::Number(0),
            _ => return Err(LiteralError::Bool(text.into_owned())),
        },
        T::Charbuf | T::Fspath | T::Fsrelpath => {
            if bytes.len() > MAX_LEN {
                return Err(LiteralError::TooLong { text: text.into_owned() });
            }
            Literal::Bytes(bytes.into())
        }
        T::Ipaddr if text.contains('.') => ipv4(&text)?,
        T::Ipv4addr => ipv4(&text)?,
        T::Ipaddr | T::Ipv6addr => match text.parse::<Ipv6Addr>() {
            Ok(addr) => Literal::Ip(addr.into()),
            Err(_) => return Err(LiteralError::Ipv6(text.into_owned())),
        },
        T::Ipnet if text.contains('.') => Literal::Net(ipv4_net(&text)?),
        T::Ipv4net => Literal::Net(ipv4_net(&text)?),
        T::Ipnet | T::Ipv6net => Literal::Net(ipv6_net(&text)?),
        _ => return Err(LiteralError::NoLiterals(ty as u8)),
    })
}

/// Parses a literal written in hex.
pub(crate) fn parse_hex(digits: &[u8]) -> Result<Literal, LiteralError> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    if !digits.len().is_multiple_of(2) {
        return Err(LiteralError::Hex);
    }
    let bytes: Option<Vec<u8>> = digits
        .chunks_exact(2)
        .map(|pair| match pair {
            [high, low] => Some((digit(high)? * 16 + digit(low)?) as u8),
            _ => None,
        })
        .collect();
    buffer(&bytes.ok_or(LiteralError::Hex)?)
}

fn buffer(bytes: &[u8]) -> Result<Literal, LiteralError> {
    if bytes.len() > MAX_LEN {
        return Err(LiteralError::BufferTooLong);
    }
    Ok(Literal::Bytes(bytes.into()))
}

/// A decimal number with the semantics of `strtol`: blanks and a sign may come first, and it
/// saturates.
fn signed(text: &str) -> Result<i64, LiteralError> {
    let (negative, digits) = decimal(text)?;
    let magnitude = digits.parse::<i128>().unwrap_or(i128::MAX);
    let value = if negative { -magnitude } else { magnitude };
    Ok(value.clamp(i64::MIN.into(), i64::MAX.into()) as i64)
}

/// Like [`signed`], with the semantics of `strtoul`: negative numbers wrap.
fn unsigned(text: &str) -> Result<u64, LiteralError> {
    let (negative, digits) = decimal(text)?;
    Ok(match digits.parse::<u64>() {
        Ok(value) if negative => value.wrapping_neg(),
        Ok(value) => value,
        Err(_) => u64::MAX,
    })
}

/// A number for a type of this width. A negative one is the unsigned one with the same bits
/// (`user.uid = -1`). One that is out of range is kept, so that no value equals it.
fn unsigned_of(text: &str, bits: u32) -> Result<u64, LiteralError> {
    let (negative, _) = decimal(text)?;
    let value = unsigned(text)?;
    let least = -1_i64 << (bits - 1);
    let has_bits = negative && (least..0).contains(&(value as i64));
    Ok(if has_bits { value & (u64::MAX >> (64 - bits)) } else { value })
}

fn decimal(text: &str) -> Result<(bool, &str), LiteralError> {
    let number = text.trim_start_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r']);
    let digits = number.strip_prefix(['+', '-']).unwrap_or(number);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(LiteralError::Number(text.to_owned()));
    }
    Ok((number.starts_with('-'), digits))
}

fn port(text: &str) -> Result<u64, LiteralError> {
    if text.is_empty() {
        return Ok(0);
    }
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return match text.parse::<i32>() {
            Ok(number) => Ok(number as u64),
            Err(_) => Err(LiteralError::Number(text.to_owned())),
        };
    }
    let port = service(text).ok_or_else(|| LiteralError::Service(text.to_owned()))?;
    Ok(u64::from(port))
}

/// Port of a service, from `/etc/services`; without that file, from the few names that rules use.
fn service(name: &str) -> Option<u16> {
    const KNOWN: &str = "ftp 21/tcp\nssh 22/tcp\ntelnet 23/tcp\nsmtp 25/tcp mail\ndomain 53/tcp\n\
        bootps 67/udp\nbootpc 68/udp\nhttp 80/tcp www\npop3 110/tcp\nsunrpc 111/tcp\nntp 123/udp\n\
        imap2 143/tcp imap\nsnmp 161/udp\nldap 389/tcp\nhttps 443/tcp\nsyslog 514/udp\nldaps 636/tcp\n\
        mysql 3306/tcp\npostgresql 5432/tcp";
    match std::fs::read_to_string("/etc/services") {
        Ok(list) => find_service(&list, name),
        Err(_) => find_service(KNOWN, name),
    }
}

fn find_service(list: &str, name: &str) -> Option<u16> {
    list.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_ascii_whitespace();
        let official = words.next()?;
        let port = words.next()?.split('/').next()?.parse().ok()?;
        (official == name || words.any(|alias| alias == name)).then_some(port)
    })
}

fn ipv4(text: &str) -> Result<Literal, LiteralError> {
    match text.parse::<Ipv4Addr>() {
        Ok(addr) => Ok(Literal::Ip(addr.into())),
        Err(_) => Err(LiteralError::Ipv4(text.to_owned())),
    }
}

fn ipv4_net(text: &str) -> Result<Net, LiteralError> {
    let (addr, mask) = text.split_once('/').ok_or_else(|| LiteralError::Net(text.to_owned()))?;
    let addr: Ipv4Addr = addr.parse().map_err(|_| LiteralError::NetAddress(text.to_owned()))?;
    let prefix = prefix(mask)?.filter(|prefix| *prefix <= 32);
    let prefix = prefix.ok_or_else(|| LiteralError::Mask(mask.to_owned()))?;
    Ok(Net::new(addr.into(), prefix))
}

fn ipv6_net(text: &str) -> Result<Net, LiteralError> {
    let (addr, mask) = text.split_once('/').ok_or_else(|| LiteralError::Netv6(text.to_owned()))?;
    let addr: Ipv6Addr = addr.parse().map_err(|_| LiteralError::Ipv6(text.to_owned()))?;
    let prefix = prefix(mask)?.filter(|prefix| (1..=128).contains(prefix));
    let prefix = prefix.ok_or_else(|| LiteralError::Maskv6(mask.to_owned()))?;
    Ok(Net::new(addr.into(), prefix))
}

fn prefix(mask: &str) -> Result<Option<u8>, LiteralError> {
    Ok(u8::try_from(unsigned(mask)?).ok())
}

/// Addresses with a common prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Net {
    addr: IpAddr,
    prefix: u8,
}

impl Net {
    pub(crate) fn new(addr: IpAddr, prefix: u8) -> Self {
        Self { addr, prefix }
    }

    pub(crate) fn contains(self, other: IpAddr) -> bool {
        let host = |bits: u32| bits.saturating_sub(u32::from(self.prefix));
        match (self.addr, other) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                (a.to_bits() ^ b.to_bits()).checked_shr(host(32)).unwrap_or(0) == 0
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                (a.to_bits() ^ b.to_bits()).checked_shr(host(128)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}
