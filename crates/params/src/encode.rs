//! The bytes of a parameter for a value of a test.

use std::net::{Ipv4Addr, Ipv6Addr};

use peregrine_diagnostics::closest;
use peregrine_event::render::AT_FDCWD;
use peregrine_event::{
    DynamicParam, Extra, FlagTable, ParamInfo, ParamType, Sockaddr, errno_name, signal_name,
    syscall_names,
};
use peregrine_yaml::{Node, Value};

use crate::address::{address, encode_address, tuple};

/// A value that the parameter can't have. The text says what it must be, as the rest of a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAValue(pub String);

/// The bytes of a parameter.
///
/// # Errors
/// The value does not fit the type of the parameter.
pub fn encode(info: &ParamInfo, node: &Node) -> Result<Vec<u8>, NotAValue> {
    bytes(info, node).map_err(NotAValue)
}

fn bytes(info: &ParamInfo, node: &Node) -> Result<Vec<u8>, String> {
    if node.is_null() {
        return Ok(Vec::new());
    }
    if let Some(bytes) = node.get("hex") {
        return hex(bytes).ok_or_else(|| "must be an even number of hexadecimal digits".to_owned());
    }
    match (info.ty, info.extra) {
        (ParamType::Dyn, Extra::Dynamic(alternatives)) => dynamic(alternatives, node),
        (ty, Extra::Flags(table)) => value(ty, table, node),
        (ty, _) => value(ty, &[], node),
    }
}

/// The bytes of a text, or those that `{hex: …}` writes.
#[must_use]
pub fn bytes_of(node: &Node) -> Option<Vec<u8>> {
    match node.get("hex") {
        Some(bytes) => hex(bytes),
        None => node.as_str().map(|text| text.as_bytes().to_vec()),
    }
}

/// Texts of a list, each ended by NUL, or one text between blanks.
#[must_use]
pub fn listed_texts(node: &Node) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut put = |text: &[u8]| {
        out.extend_from_slice(text);
        out.push(0);
    };
    match &node.value {
        Value::Seq(items) => {
            for item in items {
                put(&bytes_of(item).filter(|text| !text.contains(&0))?);
            }
        }
        Value::Null => {}
        _ => {
            let text = bytes_of(node)?;
            text.split(u8::is_ascii_whitespace).filter(|it| !it.is_empty()).for_each(put);
        }
    }
    Some(out)
}

fn hex(node: &Node) -> Option<Vec<u8>> {
    let digits = node.as_str()?.as_bytes();
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    pairs.iter().map(|[high, low]| Some((digit(*high)? * 16 + digit(*low)?) as u8)).collect()
}

fn dynamic(alternatives: &[DynamicParam], node: &Node) -> Result<Vec<u8>, String> {
    let one = |index: usize, node: &Node| {
        let alternative = alternatives.get(index).ok_or_else(|| {
            format!("has the alternatives 0 to {}", alternatives.len().saturating_sub(1))
        })?;
        let mut bytes = vec![index as u8];
        bytes.extend(value(alternative.ty, &[], node)?);
        Ok(bytes)
    };
    if let Some(index) = node.get("alternative") {
        let index = index.as_u64().and_then(|index| usize::try_from(index).ok());
        let given = node.get("value").unwrap_or(node);
        return one(index.unwrap_or(usize::MAX), given);
    }
    // A number is a number where there is an alternative for it.
    let is_text = |ty| matches!(ty, ParamType::Bytebuf | ParamType::Charbuf);
    let order = (0..alternatives.len())
        .filter(|at| !alternatives.get(*at).is_some_and(|it| is_text(it.ty)));
    let order = order.chain(
        (0..alternatives.len()).filter(|at| alternatives.get(*at).is_some_and(|it| is_text(it.ty))),
    );
    order.map(|at| one(at, node)).find(Result::is_ok).unwrap_or_else(|| one(0, node))
}

fn value(ty: ParamType, table: FlagTable, node: &Node) -> Result<Vec<u8>, String> {
    use ParamType as T;
    let text = node.as_str().unwrap_or_default();
    Ok(match ty {
        T::Charbuf | T::Fspath | T::Fsrelpath => {
            let mut bytes = bytes_of(node).ok_or("must be a text")?;
            if bytes.contains(&0) {
                return Err("must be a text without NUL".to_owned());
            }
            bytes.push(0);
            bytes
        }
        T::Bytebuf if node.as_seq().is_none() => bytes_of(node).ok_or("must be a text")?,
        T::Bytebuf | T::Charbufarray => listed_texts(node).ok_or("must be a list of texts")?,
        T::CharbufPairArray => pairs(node).ok_or("must be a map of texts")?,
        T::Errno => signed(node, 8)
            .or_else(|| error(text))
            .ok_or("must be a number, SUCCESS or the name of an error number, such as ENOENT")?,
        T::Fd | T::Fd32 => fd(node, if ty == T::Fd { 8 } else { 4 })
            .ok_or("must be the number of an fd, AT_FDCWD or the name of an error number")?,
        T::Pid | T::Int64 => signed(node, 8).or_else(|| error(text)).ok_or("must be a number")?,
        T::Int8 => signed(node, 1).ok_or("must be a number from -128 to 127")?,
        T::Int16 => signed(node, 2).ok_or("must be a number of 16 bits")?,
        T::Int32 | T::Pid32 => signed(node, 4).ok_or("must be a number of 32 bits")?,
        T::Uint8 | T::L4proto | T::Sockfamily => {
            unsigned(node, 1).ok_or("must be a number from 0 to 255")?
        }
        T::Uint16 | T::Port => unsigned(node, 2).ok_or("must be a number from 0 to 65535")?,
        T::Uint32 => unsigned(node, 4).ok_or("must be a number of 32 bits, not negative")?,
        T::Uint64 | T::Abstime => unsigned(node, 8).ok_or("must be a number, not negative")?,
        T::Reltime if text == "none" => u64::MAX.to_le_bytes().to_vec(),
        T::Reltime => unsigned(node, 8).ok_or("must be a time in nanoseconds")?,
        T::Uid | T::Gid => match node.as_i64() {
            Some(-1) => u32::MAX.to_le_bytes().to_vec(),
            _ => unsigned(node, 4).ok_or("must be a number of 32 bits")?,
        },
        T::Bool => u32::from(node.as_bool().ok_or("must be true or false")?).to_le_bytes().to_vec(),
        T::Double => node.as_f64().ok_or("must be a number")?.to_le_bytes().to_vec(),
        T::Flags8 | T::Enumflags8 => flags(node, table, 1)?,
        T::Flags16 | T::Enumflags16 => flags(node, table, 2)?,
        T::Flags32 | T::Enumflags32 | T::Mode => flags(node, table, 4)?,
        T::Sigtype => signal(node)
            .map(|signal| vec![signal])
            .ok_or("must be the name or number of a signal")?,
        T::Sigset => signals(node).ok_or("must be a list of signals")?,
        T::Syscallid => syscall(node).ok_or("must be the name of a system call")?,
        T::Fdlist => {
            fdlist(node).ok_or("must be a list of fds, each a number or [number, flags]")?
        }
        T::Sockaddr => {
            sockaddr(text).ok_or("must be ADDRESS:PORT, or the path of a unix socket")?
        }
        T::Socktuple => {
            let mut out = Vec::new();
            tuple(text).ok_or("must be ADDRESS:PORT->ADDRESS:PORT")?.encode(&mut out);
            out
        }
        T::Ipv4addr => {
            text.parse::<Ipv4Addr>().map_err(|_| "must be an IPv4 address")?.octets().to_vec()
        }
        T::Ipv6addr => {
            text.parse::<Ipv6Addr>().map_err(|_| "must be an IPv6 address")?.octets().to_vec()
        }
        T::None | T::Dyn | T::Ipv4net | T::Ipv6net | T::Ipaddr | T::Ipnet => {
            return Err("has a type that no event can have".to_owned());
        }
    })
}

fn signed(node: &Node, width: usize) -> Option<Vec<u8>> {
    let value = node.as_i64()?;
    let unused = 64 - 8 * width as u32;
    ((value << unused) >> unused == value)
        .then(|| value.to_le_bytes().get(..width).map(<[u8]>::to_vec))?
}

fn unsigned(node: &Node, width: usize) -> Option<Vec<u8>> {
    let value = node.as_u64()?;
    let bytes = value.to_le_bytes();
    let (low, high) = bytes.split_at_checked(width)?;
    high.iter().all(|byte| *byte == 0).then(|| low.to_vec())
}

/// The result of a call: `SUCCESS`, or the negative number of an error.
fn error(name: &str) -> Option<Vec<u8>> {
    const LAST: i64 = 530;
    let number = match name {
        "SUCCESS" => 0,
        _ => (1..=LAST).map(|number| -number).find(|number| errno_name(*number) == Some(name))?,
    };
    Some(number.to_le_bytes().to_vec())
}

fn fd(node: &Node, width: usize) -> Option<Vec<u8>> {
    let text = node.as_str().unwrap_or_default();
    let named = (text == "AT_FDCWD").then(|| AT_FDCWD.to_le_bytes().to_vec());
    let bytes = signed(node, width).or(named).or_else(|| error(text))?;
    bytes.get(..width).map(<[u8]>::to_vec)
}

/// Names of a table, joined by `|` or in a list, or a number.
fn flags(node: &Node, table: FlagTable, width: usize) -> Result<Vec<u8>, String> {
    if let Some(number) = unsigned(node, width) {
        return Ok(number);
    }
    let listed: Vec<&str> = match node.as_seq() {
        Some(items) => items.iter().filter_map(Node::as_str).collect(),
        None => node.as_str().unwrap_or_default().split('|').collect(),
    };
    let mut bits = 0_u32;
    for name in listed.iter().map(|name| name.trim()).filter(|name| !name.is_empty()) {
        let found = table.iter().find(|(known, _)| *known == name).map(|(_, bits)| *bits);
        let number = || Node::scalar(name).as_u64().and_then(|number| u32::try_from(number).ok());
        let Some(found) = found.or_else(number) else {
            let names = table.iter().map(|(name, _)| *name);
            return Err(match closest(name, names) {
                Some(near) => format!("has no flag `{name}`; did you mean `{near}`?"),
                None if table.is_empty() => "must be a number".to_owned(),
                None => {
                    let names: Vec<_> = table.iter().map(|(name, _)| *name).collect();
                    format!("has no flag `{name}`; there are: {}", names.join(", "))
                }
            });
        };
        bits |= found;
    }
    match bits.to_le_bytes().split_at_checked(width) {
        Some((low, high)) if high.iter().all(|byte| *byte == 0) => Ok(low.to_vec()),
        _ => Err("has flags of too many bits".to_owned()),
    }
}

fn signal(node: &Node) -> Option<u8> {
    let name = node.as_str()?;
    let named = (1..=64).find(|signal| signal_name(*signal) == Some(name));
    named.or_else(|| u8::try_from(node.as_u64()?).ok())
}

fn signals(node: &Node) -> Option<Vec<u8>> {
    if let Some(bits) = unsigned(node, 4) {
        return Some(bits);
    }
    let mut set = 0_u32;
    for item in node.as_seq()? {
        set |= 1_u32.checked_shl(u32::from(signal(item)?.checked_sub(1)?))?;
    }
    Some(set.to_le_bytes().to_vec())
}

fn syscall(node: &Node) -> Option<Vec<u8>> {
    let name = node.as_str()?;
    let named = syscall_names().find(|(_, known)| *known == name).map(|(code, _)| code);
    Some(named.or_else(|| u16::try_from(node.as_u64()?).ok())?.to_le_bytes().to_vec())
}

fn fdlist(node: &Node) -> Option<Vec<u8>> {
    let entry = |item: &Node| match item.as_seq() {
        Some([fd, flags]) => Some((fd.as_i64()?, i16::try_from(flags.as_i64()?).ok()?)),
        Some(_) => None,
        None => Some((item.as_i64()?, 0)),
    };
    let fds: Vec<_> = node.as_seq()?.iter().map(entry).collect::<Option<_>>()?;
    let mut out = u16::try_from(fds.len()).ok()?.to_le_bytes().to_vec();
    for (fd, flags) in fds {
        out.extend(fd.to_le_bytes());
        out.extend(flags.to_le_bytes());
    }
    Some(out)
}

fn sockaddr(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match address(text) {
        Some(address) => encode_address(address, &mut out),
        None if text.starts_with('/') => Sockaddr::Unix(text.as_bytes()).encode(&mut out),
        None => return None,
    }
    Some(out)
}

fn pairs(node: &Node) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for (key, value) in &node.as_map()?.0 {
        for text in [key, value] {
            out.extend(bytes_of(text)?);
            out.push(0);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use peregrine_event::EventType;

    use super::*;

    fn param(ty: EventType, name: &str, value: &str) -> Result<Vec<u8>, NotAValue> {
        let info = ty.info().params.iter().find(|param| param.name == name).unwrap();
        let node = peregrine_yaml::parse(value).unwrap().into_iter().next();
        encode(info, &node.unwrap_or_else(|| Node::scalar("")))
    }

    #[test]
    fn values_are_written_as_events_print_them() {
        let open = EventType::SyscallOpenX;
        assert_eq!(param(open, "flags", "O_WRONLY|O_CREAT"), Ok(vec![6, 0, 0, 0]));
        assert_eq!(param(open, "flags", "[O_WRONLY, 4]"), Ok(vec![6, 0, 0, 0]));
        assert_eq!(param(open, "flags", "0x6"), Ok(vec![6, 0, 0, 0]));
        assert_eq!(param(open, "fd", "ENOENT"), Ok((-2_i64).to_le_bytes().to_vec()));
        assert_eq!(param(open, "mode", "0644"), Ok(vec![0xa4, 1, 0, 0]));
        assert_eq!(param(open, "name", "{hex: 2fff}"), Ok(b"/\xff".to_vec()));
        assert_eq!(param(EventType::SyscallKillX, "sig", "SIGKILL"), Ok(vec![9]));
    }

    #[test]
    fn wrong_values_are_told_with_a_remedy() {
        let open = EventType::SyscallOpenX;
        let error = param(open, "flags", "O_WRONGLY").unwrap_err();
        assert_eq!(error.0, "has no flag `O_WRONGLY`; did you mean `O_WRONLY`?");
        assert!(param(open, "mode", "-1").is_err());
        assert!(param(open, "fd", "three").is_err());
    }
}
