//! The value that stands for the bytes of a parameter: encoding it gives the same bytes.

use peregrine_event::render::{sockaddr, socktuple};
use peregrine_event::{Extra, FlagTable, Param, ParamInfo, errno_name, signal_name, syscall_name};
use peregrine_yaml::Node;

use crate::encode::encode;

/// A value in the form of YAML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// A text that must be quoted where YAML would read something else.
    Text(String),
    /// A number or a word that is not a text.
    Plain(String),
    /// A list of values.
    List(Vec<Shown>),
    /// Names with values.
    Map(Vec<(String, Shown)>),
    /// No value.
    Null,
}

/// The value of a parameter. What has no other form is hexadecimal.
#[must_use]
pub fn print(info: &ParamInfo, bytes: &[u8]) -> Shown {
    if bytes.is_empty() {
        return Shown::Null;
    }
    match readable(info, bytes) {
        Some(text) if encode(info, &Node::scalar(text.clone())).as_deref() == Ok(bytes) => {
            Shown::Text(text)
        }
        _ => hex(bytes),
    }
}

/// A text, or `{hex: …}` for bytes that are no readable text.
#[must_use]
pub fn text(bytes: &[u8]) -> Shown {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.chars().all(|c| !c.is_control() || c == '\n' || c == '\t') => {
            Shown::Text(text.to_owned())
        }
        _ => hex(bytes),
    }
}

fn hex(bytes: &[u8]) -> Shown {
    let digits = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Shown::Map(vec![("hex".to_owned(), Shown::Text(digits))])
}

fn readable(info: &ParamInfo, bytes: &[u8]) -> Option<String> {
    let table = match info.extra {
        Extra::Flags(table) => table,
        _ => &[],
    };
    let result = |value: i64| errno_name(value).map_or_else(|| value.to_string(), str::to_owned);
    Some(match Param::of(info, bytes).ok()? {
        Param::Int(value) => value.to_string(),
        Param::Uint(value) | Param::Duration(value) | Param::Time(value) => value.to_string(),
        Param::Text(text) | Param::Path(text) => readable_text(text)?,
        Param::Bytes(text) => readable_text(text)?,
        Param::Errno(value) => result(value),
        Param::Fd(value) if value == peregrine_event::render::AT_FDCWD => "AT_FDCWD".to_owned(),
        Param::Fd(value) | Param::Pid(value) => result(value),
        Param::Syscall(code) => syscall_name(code)?.to_owned(),
        Param::Signal(signal) => {
            signal_name(signal).map_or_else(|| signal.to_string(), str::to_owned)
        }
        Param::Signals(set) => set.to_string(),
        Param::Port(port) => port.to_string(),
        Param::L4proto(number) | Param::Sockfamily(number) => number.to_string(),
        Param::Bool(value) => value.to_string(),
        Param::Ip(ip) => ip.to_string(),
        Param::Flags(bits) => names(table, bits),
        Param::Enum(value) => {
            let name = table.iter().find(|(_, bits)| *bits == value);
            name.map_or_else(|| value.to_string(), |(name, _)| (*name).to_owned())
        }
        Param::Mode(mode) => format!("0{mode:o}"),
        Param::Uid(id) | Param::Gid(id) => id.cast_signed().to_string(),
        Param::Double(value) => value.to_string(),
        Param::Sockaddr(address) => printed(|out| sockaddr(&address, out)),
        Param::Socktuple(tuple) => printed(|out| socktuple(&tuple, out)),
        Param::Empty | Param::Fdlist(_) | Param::Texts(_) | Param::Pairs(_) => return None,
    })
}

fn printed(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8_lossy(&out).into_owned()
}

fn readable_text(bytes: &[u8]) -> Option<String> {
    match text(bytes) {
        Shown::Text(text) => Some(text),
        _ => None,
    }
}

/// Names of all bits, and a number for those without a name.
fn names(table: FlagTable, bits: u32) -> String {
    let mut left = bits;
    let mut parts = Vec::new();
    for (name, flag) in table.iter().filter(|(_, flag)| *flag != 0) {
        if left & flag == *flag {
            left &= !flag;
            parts.push((*name).to_owned());
        }
    }
    if left != 0 || parts.is_empty() {
        parts.push(left.to_string());
    }
    parts.join("|")
}

impl Shown {
    /// A number or a word that is not a text.
    #[must_use]
    pub fn plain(value: impl ToString) -> Self {
        Self::Plain(value.to_string())
    }

    /// The value as YAML in flow form, in one line.
    #[must_use]
    pub fn flow(&self) -> String {
        match self {
            Self::Null => "~".to_owned(),
            Self::Text(text) => scalar(text),
            Self::Plain(word) => word.clone(),
            Self::List(items) => {
                format!("[{}]", items.iter().map(Self::flow).collect::<Vec<_>>().join(", "))
            }
            Self::Map(entries) => {
                let entry =
                    |(key, value): &(String, Self)| format!("{}: {}", scalar(key), value.flow());
                format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// A scalar, quoted unless it is a word that YAML can't read otherwise.
fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./-+|=@>".contains(c);
    let starts = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/' || c == '_');
    let word = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    if starts && text.chars().all(plain) && !word.contains(&text.to_ascii_lowercase().as_str()) {
        return text.to_owned();
    }
    if text.chars().all(|c| !c.is_control()) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{}\"", escaped.replace('\t', "\\t"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_where_yaml_needs_it() {
        for text in
            ["a", "true", "it's", "a: b", "~", "", "-1", "[x]", "two\nlines", "ü", "%x", "a #b"]
        {
            let yaml = format!("- {}", Shown::Text(text.to_owned()).flow());
            let documents = peregrine_yaml::parse(&yaml).unwrap();
            let read = documents[0].items()[0].as_str();
            assert_eq!(read, Some(text), "{yaml}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_parameter_can_be_written_and_read(
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..24),
            code in 0..peregrine_event::EventType::COUNT,
        ) {
            let ty = peregrine_event::EventType::from_code(code as u16).unwrap();
            for info in ty.info().params {
                let yaml = format!("- {}", print(info, &bytes).flow());
                let documents = peregrine_yaml::parse(&yaml).unwrap();
                let node = &documents[0].items()[0];
                proptest::prop_assert_eq!(encode(info, node), Ok(bytes.clone()), "{}", yaml);
            }
        }
    }
}
