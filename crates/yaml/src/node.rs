//! The tree and its accessors.

use peregrine_diagnostics::{Position, Span};

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Its start.
    pub start: Position,
    /// Its end.
    pub end: Position,
}

/// The value of a node.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing (`~`, `null`, or no text at all).
    Null,
    /// Text of a scalar. The user decides which number or boolean it means.
    Scalar {
        /// The text without quotes and escapes.
        text: String,
        /// Whether it was quoted or tagged, and therefore is text.
        quoted: bool,
    },
    /// Sequence.
    Seq(Vec<Node>),
    /// Map.
    Map(Map),
}

/// Entries of a map in source order; duplicate keys are kept (`get` returns the first).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Map(pub Vec<(Node, Node)>);

impl Map {
    /// Value of the first entry with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.entry(name).map(|(_, value)| value)
    }

    /// First entry with this name.
    #[must_use]
    pub fn entry(&self, name: &str) -> Option<&(Node, Node)> {
        self.0.iter().find(|(key, _)| key.as_str() == Some(name))
    }
}

impl Node {
    /// A scalar with this text and no place, for values that do not come from a file.
    #[must_use]
    pub fn scalar(text: impl Into<String>) -> Self {
        Self::nowhere(Value::Scalar { text: text.into(), quoted: false })
    }

    /// A value without a place.
    #[must_use]
    pub fn nowhere(value: Value) -> Self {
        Self { value, start: Position::default(), end: Position::default() }
    }

    /// Its start and end.
    #[must_use]
    pub fn span(&self) -> Span {
        Span { start: self.start, end: self.end }
    }

    /// Value of the first entry with this name, if this is a map that has it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.as_map()?.get(name)
    }

    /// The map, if it is one.
    #[must_use]
    pub fn as_map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The sequence, if it is one.
    #[must_use]
    pub fn as_seq(&self) -> Option<&[Node]> {
        match &self.value {
            Value::Seq(items) => Some(items),
            _ => None,
        }
    }

    /// Items of a sequence; none for other values.
    #[must_use]
    pub fn items(&self) -> &[Node] {
        self.as_seq().unwrap_or_default()
    }

    /// Entries of a map; none for other values.
    #[must_use]
    pub fn entries(&self) -> &[(Node, Node)] {
        self.as_map().map(|map| map.0.as_slice()).unwrap_or_default()
    }

    /// Whether it is null.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    /// Text of a scalar.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Boolean, in the words of YAML 1.1: `true`, `yes`, `on`, `y` and their opposites, in lower
    /// case, upper case or capitalised. Quotes make no difference, as in the reference engine.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        let word = self.as_str()?;
        let tail = word.get(1..)?;
        let one_case = tail.bytes().all(|b| b.is_ascii_lowercase())
            || word.bytes().all(|b| b.is_ascii_uppercase());
        if !one_case {
            return None;
        }
        match word.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "y" => Some(true),
            "false" | "no" | "off" | "n" => Some(false),
            _ => None,
        }
    }

    /// Signed integer: decimal, `0x` hexadecimal or `0` octal, blanks around it allowed.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        let (negative, digits, radix) = number(self.as_str()?)?;
        let magnitude = i128::from_str_radix(digits, radix).ok()?;
        i64::try_from(if negative { -magnitude } else { magnitude }).ok()
    }

    /// Unsigned integer, written as for [`as_i64`](Self::as_i64).
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        let (negative, digits, radix) = number(self.as_str()?)?;
        if negative { None } else { u64::from_str_radix(digits, radix).ok() }
    }

    /// Number with a fraction, `.inf` and `.nan` included.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match self.as_str()?.trim() {
            ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Some(f64::INFINITY),
            "-.inf" | "-.Inf" | "-.INF" => Some(f64::NEG_INFINITY),
            ".nan" | ".NaN" | ".NAN" => Some(f64::NAN),
            // Rust also parses words such as "infinity", which are not numbers in YAML.
            text if text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b)) => {
                text.parse().ok()
            }
            _ => None,
        }
    }

    /// Its kind, for messages: "a map", "text" …
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Scalar { .. } => "a scalar",
            Value::Seq(_) => "a sequence",
            Value::Map(_) => "a map",
        }
    }
}

/// Sign, digits and base of an integer.
fn number(text: &str) -> Option<(bool, &str, u32)> {
    let text = text.trim_matches([' ', '\t', '\n', '\r']);
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (text, 8),
        None => (text, 10),
    };
    // The standard parser would accept a second sign.
    digits.starts_with(|c: char| c.is_digit(radix)).then_some((negative, digits, radix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_are_words_in_one_case() {
        for (word, want) in [
            ("yes", Some(true)),
            ("On", Some(true)),
            ("TRUE", Some(true)),
            ("n", Some(false)),
            ("N", Some(false)),
            ("Off", Some(false)),
            ("tRue", None),
            ("TRue", None),
            ("1", None),
            ("", None),
            ("été", None),
        ] {
            assert_eq!(Node::scalar(word).as_bool(), want, "{word}");
        }
    }

    #[test]
    fn integers_in_three_bases() {
        for (text, want) in [
            ("0", Some(0)),
            ("-42", Some(-42)),
            ("+7 ", Some(7)),
            ("0x1F", Some(31)),
            ("010", Some(8)),
            ("08", None),
            ("--1", None),
            ("0x", None),
            ("0x-1", None),
            ("1.5", None),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("", None),
        ] {
            assert_eq!(Node::scalar(text).as_i64(), want, "{text}");
        }
        assert_eq!(Node::scalar("18446744073709551615").as_u64(), Some(u64::MAX));
        assert_eq!(Node::scalar("-1").as_u64(), None);
    }

    #[test]
    fn fractions() {
        assert_eq!(Node::scalar("1e3").as_f64(), Some(1000.0));
        assert_eq!(Node::scalar("-.inf").as_f64(), Some(f64::NEG_INFINITY));
        assert_eq!(Node::scalar("infinity").as_f64(), None);
    }
}
