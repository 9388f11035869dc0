//! Values of fields as text for people.

use peregrine_event::render::Buffers;
use peregrine_fields::{Field, View};
use peregrine_filter::{CompiledOperand, PrintFormat, Supplier, value_text};

/// Longest text of a value, in characters; the rest is cut.
const MAX_CHARS: usize = 300;

/// The value of an operand for an event, without anything that a terminal interprets. `None` when
/// it has none.
pub(super) fn operand_text(operand: &CompiledOperand<Field>, view: &View<'_>) -> Option<String> {
    let value = operand.value(view)?;
    let dynamic = operand.as_field().and_then(|field| view.dynamic_type(field));
    let (ty, format) = dynamic.unwrap_or((operand.ty(), operand.format()));
    let mut text = Vec::new();
    value_text(&mut text, value, PrintFormat { ty, format, buffers: Buffers::default() });
    Some(printable(&text))
}

/// A text in one line, cut where it is long. Control characters and bytes that are no text are
/// escaped: what a monitored program names its files must not reach a terminal.
pub(crate) fn printable(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut left = MAX_CHARS;
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if left == 0 {
                return text + "…";
            }
            left -= 1;
            if c.is_control() || is_invisible(c) {
                text.extend(c.escape_default());
            } else {
                text.push(c);
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
            left = left.saturating_sub(1);
        }
    }
    text
}

/// Characters that hide or reorder others.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_get_nothing_to_interpret() {
        assert_eq!(printable(b"a\x1b[31m\n\xffb"), "a\\u{1b}[31m\\n\\xffb");
        assert_eq!(printable("\u{202e}ü".as_bytes()), "\\u{202e}ü");
        assert_eq!(printable(&[b'x'; 1000]).chars().count(), MAX_CHARS + 1);
    }
}
