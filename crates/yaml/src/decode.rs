//! Decodes bytes to text, for files written by any editor.

use std::borrow::Cow;

/// The text of a file: UTF-8, UTF-16 or UTF-32, detected by the byte order mark or by the zeros of
/// the first character. The mark is removed; invalid sequences become U+FFFD.
#[must_use]
pub fn decode(bytes: &[u8]) -> Cow<'_, str> {
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => utf8(rest),
        [0xff, 0xfe, 0, 0, rest @ ..] => utf32(rest, u32::from_le_bytes),
        [0, 0, 0xfe, 0xff, rest @ ..] => utf32(rest, u32::from_be_bytes),
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [a, 0, 0, 0, ..] if *a != 0 => utf32(bytes, u32::from_le_bytes),
        [0, 0, 0, a, ..] if *a != 0 => utf32(bytes, u32::from_be_bytes),
        [a, 0, ..] if *a != 0 => utf16(bytes, u16::from_le_bytes),
        [0, a, ..] if *a != 0 => utf16(bytes, u16::from_be_bytes),
        _ => utf8(bytes),
    }
}

/// Valid text without special characters takes a fast path.
fn utf8(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Cow<'static, str> {
    let (units, rest) = bytes.as_chunks();
    let mut text: String = char::decode_utf16(units.iter().map(|&pair| unit(pair)))
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    mark_incomplete(&mut text, rest);
    text.into()
}

fn utf32(bytes: &[u8], unit: fn([u8; 4]) -> u32) -> Cow<'static, str> {
    let (units, rest) = bytes.as_chunks();
    let mut text: String = units
        .iter()
        .map(|&four| char::from_u32(unit(four)).unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    mark_incomplete(&mut text, rest);
    text.into()
}

fn mark_incomplete(text: &mut String, rest: &[u8]) {
    if !rest.is_empty() {
        text.push(char::REPLACEMENT_CHARACTER);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_gives_the_same_text() {
        let text = "- é: 🚨";
        let utf16: Vec<u16> = text.encode_utf16().collect();
        let utf32: Vec<u32> = text.chars().map(u32::from).collect();
        for (name, bytes) in [
            ("plain", text.as_bytes().to_vec()),
            ("utf-8 with mark", format!("\u{feff}{text}").into_bytes()),
            ("utf-16 le", utf16.iter().flat_map(|u| u.to_le_bytes()).collect()),
            ("utf-16 be", utf16.iter().flat_map(|u| u.to_be_bytes()).collect()),
            (
                "utf-16 le with mark",
                [0xff, 0xfe]
                    .into_iter()
                    .chain(utf16.iter().flat_map(|u| u.to_le_bytes()))
                    .collect(),
            ),
            ("utf-32 le", utf32.iter().flat_map(|u| u.to_le_bytes()).collect()),
            ("utf-32 be", utf32.iter().flat_map(|u| u.to_be_bytes()).collect()),
        ] {
            assert_eq!(decode(&bytes), text, "{name}");
        }
    }

    #[test]
    fn what_is_no_character_is_replaced() {
        assert_eq!(decode(b"a\xff"), "a\u{fffd}");
        assert_eq!(decode(b"a\0b"), "a\u{fffd}");
        assert_eq!(decode(b"\xfe\xff\xd8\x00"), "\u{fffd}");
        assert_eq!(decode(b""), "");
    }
}
