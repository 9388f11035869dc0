//! The Common Event Format of ArcSight, version 0: a header of fields between `|`, then pairs of
//! key and value.

use std::collections::HashSet;

use peregrine_alert::{Alert, Priority, Value};
use peregrine_event::render::decimal;

use super::context::LineContext;
use super::values::value_text;

/// Appends an alert as a line of CEF.
pub(super) fn line(context: &LineContext, alert: &Alert, out: &mut Vec<u8>) {
    let rule = alert.rule();
    out.extend_from_slice(b"CEF:0|Peregrine|Peregrine|");
    header(env!("CARGO_PKG_VERSION"), out);
    for field in [rule.name(), alert.subject().name(), severity(alert.priority())] {
        out.push(b'|');
        header(field, out);
    }
    out.push(b'|');
    let mut extension = Extension { out, keys: HashSet::new() };
    extension.number("rt", alert.time() / 1_000_000);
    extension.text("dvchost", rule.hostname().as_bytes());
    extension.text("externalId", alert.id().to_string().as_bytes());
    extension.text("cat", alert.subject().source().as_bytes());
    extension.text("msg", alert.text());
    if let Some(digest) = rule.digest() {
        extension.number("cnt", digest.count);
        extension.number("start", digest.first / 1_000_000);
        extension.number("end", digest.last / 1_000_000);
    }
    let tags = alert.subject().tags();
    if !tags.is_empty() {
        extension.text("cs1Label", b"tags");
        extension.text("cs1", tags.join(",").as_bytes());
    }
    let mut text = Vec::new();
    for (field, value) in alert.fields() {
        let Some(name) = context.fields.name(field) else { continue };
        if value == Value::Null {
            continue;
        }
        text.clear();
        value_text(value, &mut text);
        match key(field, &text) {
            Some((key, label)) if !extension.keys.contains(key) => {
                if let Some(label) = label {
                    extension.text(label, name.as_bytes());
                }
                extension.text(key, &text);
                if key == "filePath" {
                    let name = text.rsplit(|byte| *byte == b'/').find(|part| !part.is_empty());
                    extension.text("fname", name.unwrap_or(&text));
                }
            }
            _ => extension.text(&own_key(name), &text),
        }
    }
}

/// The key for a field, and the key for its label if the meaning of the key is free.
fn key(field: &str, text: &[u8]) -> Option<(&'static str, Option<&'static str>)> {
    let key = match field {
        "proc.name" => "sproc",
        "proc.pid" => "spid",
        "user.name" => "suser",
        "user.uid" => "suid",
        "fd.name" | "fs.path.name" if text.starts_with(b"/") => "filePath",
        "fd.cip" => "src",
        "fd.cport" => "spt",
        "fd.sip" => "dst",
        "fd.sport" => "dpt",
        "fd.sip.name" => "dhost",
        "fd.l4proto" => "proto",
        "evt.type" => "act",
        "proc.cmdline" => return Some(("cs2", Some("cs2Label"))),
        "container.id" => return Some(("cs3", Some("cs3Label"))),
        "container.name" => return Some(("cs4", Some("cs4Label"))),
        "container.image.repository" => return Some(("cs5", Some("cs5Label"))),
        "k8s.pod.name" => return Some(("cs6", Some("cs6Label"))),
        _ => return None,
    };
    Some((key, None))
}

/// The key of a field that CEF has no key for: letters, digits and `_`.
fn own_key(field: &str) -> String {
    let word = |byte: char| if byte.is_ascii_alphanumeric() { byte } else { '_' };
    format!("Peregrine_{}", field.chars().map(word).collect::<String>())
}

/// From 0 to 10.
fn severity(priority: Priority) -> &'static str {
    match priority {
        Priority::Emergency => "10",
        Priority::Alert => "9",
        Priority::Critical => "8",
        Priority::Error => "7",
        Priority::Warning => "5",
        Priority::Notice => "3",
        Priority::Informational => "2",
        Priority::Debug => "0",
    }
}

/// Pairs of key and value; a key appears once.
struct Extension<'a> {
    out: &'a mut Vec<u8>,
    keys: HashSet<String>,
}

impl Extension<'_> {
    fn text(&mut self, key: &str, value: &[u8]) {
        let mut unique = key.to_owned();
        for number in 2.. {
            if self.keys.insert(unique.clone()) {
                break;
            }
            unique = format!("{key}_{number}");
        }
        if self.keys.len() > 1 {
            self.out.push(b' ');
        }
        self.out.extend_from_slice(unique.as_bytes());
        self.out.push(b'=');
        let value = String::from_utf8_lossy(value);
        // A blank at the end of a value would be taken for the one before the next key.
        let trimmed = value.trim_end_matches(' ');
        for character in trimmed.chars() {
            match character {
                '\\' => self.out.extend_from_slice(br"\\"),
                '=' => self.out.extend_from_slice(br"\="),
                '\n' => self.out.extend_from_slice(br"\n"),
                '\r' => self.out.extend_from_slice(br"\r"),
                other => push(without_control(other), self.out),
            }
        }
    }

    fn number(&mut self, key: &str, value: u64) {
        let mut text = Vec::new();
        decimal(&mut text, false, value);
        self.text(key, &text);
    }
}

/// The header knows no escaped line ends: they become blanks.
fn header(text: &str, out: &mut Vec<u8>) {
    for character in text.chars() {
        match character {
            '\\' => out.extend_from_slice(br"\\"),
            '|' => out.extend_from_slice(br"\|"),
            '\n' | '\r' => out.push(b' '),
            other => push(without_control(other), out),
        }
    }
}

/// CEF has no escape for control characters.
fn without_control(character: char) -> char {
    if character.is_control() { char::REPLACEMENT_CHARACTER } else { character }
}

fn push(character: char, out: &mut Vec<u8>) {
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests;
