//! The text of values: without escapes, without blanks, or indented.

use super::scan::{JsonError, Scanner, Start};

/// Whether a string has escapes between its quotes.
pub(crate) fn has_escapes(text: &[u8]) -> bool {
    memchr::memchr(b'\\', text).is_some()
}

/// The string that a text between quotes stands for.
pub(crate) fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    append_unescaped(text, &mut out);
    out
}

/// Appends the string that a text between quotes stands for. What is no escape stays as it is.
pub(crate) fn append_unescaped(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (before, escape) = rest.split_at(at);
        out.extend_from_slice(before);
        rest = match escape.get(1) {
            Some(b'u') => unicode(escape, out),
            Some(&letter) => {
                match letter {
                    b'b' => out.push(8),
                    b'f' => out.push(12),
                    b'n' => out.push(b'\n'),
                    b'r' => out.push(b'\r'),
                    b't' => out.push(b'\t'),
                    b'"' | b'\\' | b'/' => out.push(letter),
                    _ => out.extend_from_slice(&[b'\\', letter]),
                }
                escape.get(2..).unwrap_or_default()
            }
            None => {
                out.push(b'\\');
                &[]
            }
        };
    }
    out.extend_from_slice(rest);
}

/// Appends the character of an escape such as `\u00fc`, or of two that are a pair of surrogates.
/// Returns what follows.
fn unicode<'a>(escape: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let Some(unit) = unit(escape) else {
        out.extend_from_slice(b"\\u");
        return escape.get(2..).unwrap_or_default();
    };
    let rest = escape.get(6..).unwrap_or_default();
    let low = matches!(unit, 0xd800..0xdc00).then(|| self::unit(rest)).flatten();
    let low = low.filter(|low| matches!(low, 0xdc00..0xe000));
    let (code, rest) = match low {
        Some(low) => {
            (0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00), rest.get(6..).unwrap_or_default())
        }
        None => (unit, rest),
    };
    let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    rest
}

/// The number of an escape `\uXXXX` at the start of a text.
fn unit(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Appends JSON without the blanks between its values.
pub(crate) fn append_compact(text: &[u8], out: &mut Vec<u8>) {
    let mut scanner = Scanner::new(text);
    while let Some(byte) = scanner.peek() {
        if byte == b'"' {
            let begun = scanner.at();
            if scanner.string().is_err() {
                return;
            }
            out.extend_from_slice(text.get(begun..scanner.at()).unwrap_or_default());
        } else if !scanner.blanks() {
            out.push(byte);
            scanner.take(byte);
        }
    }
}

/// Appends JSON with each value on a line of its own, two blanks a level.
///
/// # Errors
/// When the text is no JSON.
pub(crate) fn append_indented(text: &[u8], out: &mut Vec<u8>) -> Result<(), JsonError> {
    let mut check = Scanner::new(text);
    check.blanks();
    check.value()?;
    check.end()?;
    let mut scanner = Scanner::new(text);
    let mut level = 0usize;
    let line = |level: usize, out: &mut Vec<u8>| {
        out.push(b'\n');
        out.resize(out.len() + 2 * level, b' ');
    };
    scanner.blanks();
    while let Some(byte) = scanner.peek() {
        match byte {
            b'{' | b'[' => {
                let end = if byte == b'{' { b'}' } else { b']' };
                scanner.take(byte);
                scanner.blanks();
                out.push(byte);
                if scanner.take(end) {
                    out.push(end);
                } else {
                    level += 1;
                    line(level, out);
                }
            }
            b'}' | b']' => {
                level = level.saturating_sub(1);
                line(level, out);
                out.push(byte);
                scanner.take(byte);
            }
            b',' => {
                out.push(byte);
                line(level, out);
                scanner.take(byte);
            }
            b':' => {
                out.extend_from_slice(b": ");
                scanner.take(byte);
            }
            _ => {
                let begun = scanner.at();
                match scanner.start()? {
                    Start::String => drop(scanner.string()?),
                    _ => scanner.literal()?,
                }
                out.extend_from_slice(text.get(begun..scanner.at()).unwrap_or_default());
            }
        }
        scanner.blanks();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value as Json;

    use super::*;

    fn compact(text: &str) -> String {
        let mut out = Vec::new();
        append_compact(text.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn blanks_go_and_strings_stay() {
        let text = "{ \"a b\" : [ 1 , \"x  \\\" y\" ] ,\n\"c\":{ } }";
        assert_eq!(compact(text), r#"{"a b":[1,"x  \" y"],"c":{}}"#);
    }

    #[test]
    fn escapes_become_characters() {
        let text = |text: &str| String::from_utf8(unescaped(text.as_bytes())).unwrap();
        assert_eq!(text(r#"a\"\\\/\n\u00fc\ud83d\ude00"#), "a\"\\/\nü😀");
        assert_eq!(text(r"\ud83d \ude00 \uzz \q"), "\u{fffd} \u{fffd} \\uzz \\q");
        assert_eq!(text(r"\u12"), r"\u12");
        assert_eq!(text("\\"), "\\");
    }

    #[test]
    fn indentation_is_that_of_the_reference() {
        let mut out = Vec::new();
        append_indented(br#" {"a":[1,{"b":null},[],{ }],"c":"x, y"} "#, &mut out).unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap(), @r#"
        {
          "a": [
            1,
            {
              "b": null
            },
            [],
            {}
          ],
          "c": "x, y"
        }
        "#);
        assert!(append_indented(b"{", &mut Vec::new()).is_err());
    }

    fn json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i32>().prop_map(Json::from),
            ".{0,8}".prop_map(Json::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
                prop::collection::vec((".{0,4}", inner), 0..4)
                    .prop_map(|entries| Json::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn another_layout_says_the_same(value in json()) {
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            prop_assert_eq!(compact(&pretty), value.to_string());
            let mut indented = Vec::new();
            append_indented(value.to_string().as_bytes(), &mut indented).unwrap();
            prop_assert_eq!(String::from_utf8(indented).unwrap(), pretty);
        }

        #[test]
        fn strings_are_read_as_written(text in any::<String>()) {
            let written = Json::from(text.clone()).to_string();
            let between = written.strip_prefix('"').unwrap().strip_suffix('"').unwrap();
            prop_assert_eq!(unescaped(between.as_bytes()), text.as_bytes());
        }
    }
}
