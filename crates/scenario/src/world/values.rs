//! Values of a test as the types that the machine has.

use std::net::IpAddr;

use peregrine_diagnostics::Problem;
use peregrine_fields::CAPABILITIES;
use peregrine_yaml::{Node, Value};

use crate::Cause;
use crate::file::{Assigned, EventSpec};
use peregrine_params::{bytes_of, listed_texts};

/// Reads the values of one event, and collects what is wrong with them.
pub(super) struct Values<'a> {
    pub(super) spec: &'a EventSpec,
    pub(super) problems: &'a mut Vec<Problem>,
}

impl<'a> Values<'a> {
    fn wrong(&mut self, given: &Assigned, form: &str) {
        let name = &given.key.name;
        self.problems.push(Cause::Value.at(&given.label, format!("`{name}` {form}")));
    }

    fn read<T>(
        &mut self,
        (level, name): (usize, &str),
        form: &str,
        read: impl FnOnce(&Node) -> Option<T>,
    ) -> Option<T> {
        // `~` means that the field has no value, which is checked at the end.
        let given = self.spec.of(level, name).filter(|given| !given.value.is_null())?;
        let value = read(&given.value);
        if value.is_none() {
            self.wrong(given, form);
        }
        value
    }

    /// Whether it is said that a field has no value.
    pub(super) fn is_none(&self, level: usize, name: &str) -> bool {
        self.spec.of(level, name).is_some_and(|given| given.value.is_null())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.spec.get(name).is_some_and(|given| !given.value.is_null())
    }

    /// A text of any bytes but NUL.
    pub(super) fn text(&mut self, level: usize, name: &str) -> Option<Vec<u8>> {
        let read = |node: &Node| bytes_of(node).filter(|text| !text.contains(&0));
        self.read((level, name), "must be a text", read)
    }

    /// A text that is UTF-8, for JSON.
    pub(super) fn string(&mut self, name: &str) -> Option<String> {
        self.read((0, name), "must be a text", |node| node.as_str().map(str::to_owned))
    }

    pub(super) fn bool(&mut self, level: usize, name: &str) -> Option<bool> {
        self.read((level, name), "must be true or false", Node::as_bool)
    }

    pub(super) fn i64(&mut self, level: usize, name: &str) -> Option<i64> {
        self.read((level, name), "must be a number", Node::as_i64)
    }

    pub(super) fn u64(&mut self, level: usize, name: &str) -> Option<u64> {
        self.read((level, name), "must be a number, not negative", Node::as_u64)
    }

    pub(super) fn u32(&mut self, level: usize, name: &str) -> Option<u32> {
        let read = |node: &Node| u32::try_from(node.as_u64()?).ok();
        self.read((level, name), "must be a number of 32 bits, not negative", read)
    }

    /// A user, where -1 means none.
    pub(super) fn uid(&mut self, name: &str) -> Option<u32> {
        let read = |node: &Node| match node.as_i64()? {
            -1 => Some(u32::MAX),
            id => u32::try_from(id).ok(),
        };
        self.read((0, name), "must be the number of a user, or -1", read)
    }

    pub(super) fn port(&mut self, name: &str) -> Option<u16> {
        let read = |node: &Node| u16::try_from(node.as_u64()?).ok();
        self.read((0, name), "must be a port", read)
    }

    /// Addresses of this machine, where a test lists them.
    pub(super) fn addresses(&mut self) -> Option<Vec<IpAddr>> {
        let ip = |node: &Node| node.as_str()?.parse().ok();
        let read = |node: &Node| node.as_seq()?.iter().map(ip).collect();
        self.read((0, "addresses"), "must be a list of IP addresses", read)
    }

    /// Further users by name.
    pub(super) fn users(&mut self) -> Vec<(Vec<u8>, u32)> {
        let user =
            |(name, id): &(Node, Node)| Some((bytes_of(name)?, u32::try_from(id.as_u64()?).ok()?));
        let read = |node: &Node| node.as_map()?.0.iter().map(user).collect();
        self.read((0, "users"), "must be a map of names with numbers", read).unwrap_or_default()
    }

    pub(super) fn ip(&mut self, name: &str) -> Option<IpAddr> {
        self.read((0, name), "must be an IP address", |node| node.as_str()?.parse().ok())
    }

    /// Texts, each ended by NUL: of a list, or of one text between blanks.
    pub(super) fn texts(&mut self, level: usize, name: &str) -> Option<Vec<u8>> {
        self.read((level, name), "must be a list of texts, or one text", listed_texts)
    }

    /// Variables with their values: of a map, or `NAME=VALUE` texts.
    pub(super) fn variables(&mut self, level: usize, name: &str) -> Option<Vec<u8>> {
        let read = |node: &Node| match node.value {
            Value::Map(_) => {
                let mut out = Vec::new();
                for (key, value) in node.entries() {
                    out.extend_from_slice(key.as_str()?.as_bytes());
                    out.push(b'=');
                    out.extend(bytes_of(value).filter(|text| !text.contains(&0))?);
                    out.push(0);
                }
                Some(out)
            }
            _ => listed_texts(node),
        };
        self.read((level, name), "must be a map of variables, or a list of NAME=VALUE", read)
    }

    /// Capabilities by name, with or without `CAP_`, or as a number.
    pub(super) fn capabilities(&mut self, name: &str) -> Option<u64> {
        let read = |node: &Node| {
            if let Some(bits) = node.as_u64() {
                return Some(bits);
            }
            let mut bits = 0_u64;
            for word in listed_texts(node)?.split(|byte| *byte == 0).filter(|it| !it.is_empty()) {
                let word = std::str::from_utf8(word).ok()?.to_ascii_uppercase();
                let word = word.strip_prefix("CAP_").unwrap_or(&word);
                let bit = CAPABILITIES.iter().position(|known| *known == word)?;
                bits |= 1 << bit;
            }
            Some(bits)
        };
        self.read((0, name), "must be a list of capabilities, such as CAP_SYS_ADMIN", read)
    }
}
