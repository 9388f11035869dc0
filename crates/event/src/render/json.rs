//! Text inside JSON.

use std::io::Write;

/// Appends text as a JSON string, quotes included.
pub fn json_string(out: &mut Vec<u8>, text: &[u8]) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    json_escape(out, text);
    out.push(b'"');
}

/// Appends text as the inside of a JSON string: quotes, backslashes and control characters are
/// escaped, what is not UTF-8 becomes U+FFFD.
pub fn json_escape(out: &mut Vec<u8>, text: &[u8]) {
    for chunk in text.utf8_chunks() {
        escape_valid(out, chunk.valid().as_bytes());
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{FFFD}".as_bytes());
        }
    }
}

/// For each byte, the character after the backslash: 0 for no escape, `u` for the long form.
#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const ESCAPES: [u8; 256] = {
    let mut table = [0; 256];
    let mut control = 0;
    while control < 0x20 {
        table[control] = b'u';
        control += 1;
    }
    table[0x08] = b'b';
    table[b'\t' as usize] = b't';
    table[b'\n' as usize] = b'n';
    table[0x0c] = b'f';
    table[b'\r' as usize] = b'r';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table
};

#[allow(clippy::indexing_slicing, reason = "the table has an entry for each byte")]
#[inline]
fn escape(byte: u8) -> u8 {
    ESCAPES[usize::from(byte)]
}

fn escape_valid(out: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|&b| escape(b) != 0) {
        let (plain, from) = rest.split_at(at);
        out.extend_from_slice(plain);
        let Some((&byte, after)) = from.split_first() else { return };
        match escape(byte) {
            b'u' => {
                // Writing to a Vec cannot fail.
                let _ = write!(out, "\\u{byte:04x}");
            }
            letter => out.extend_from_slice(&[b'\\', letter]),
        }
        rest = after;
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn json_escapes_what_it_must_and_nothing_else() {
        let mut out = Vec::new();
        json_string(&mut out, b"\x01\x08\t\n\x0c\r\x1f\x7f\"\\/ \xc3\xa9 caf\xe9 \xf0\x9f\x9a");
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "\"\\u0001\\b\\t\\n\\f\\r\\u001f\u{7f}\\\"\\\\/ é caf\u{FFFD} \u{FFFD}\""
        );
    }

    proptest! {
        #[test]
        fn any_bytes_become_valid_json(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut out = Vec::new();
            json_string(&mut out, &bytes);
            let back: String = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(back, String::from_utf8_lossy(&bytes));
        }
    }
}
