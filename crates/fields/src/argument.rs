//! The texts behind the name of a field.

use peregrine_filter::FieldError;

/// A number in digits.
pub(crate) fn parse(number: &str) -> Result<u64, FieldError> {
    let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    number
        .parse()
        .ok()
        .filter(|_| digits)
        .ok_or_else(|| FieldError::Argument(format!("{number} is not a valid number")))
}

/// The text inside brackets at the start of a text.
pub(crate) fn in_brackets(text: &str) -> Option<&str> {
    text.strip_prefix('[')?.split_once(']').map(|(inside, _)| inside)
}

/// The longest name at the start of a text, dots included.
pub(crate) fn word(text: &str) -> &str {
    let len =
        text.bytes().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.')).count();
    text.get(..len).unwrap_or_default()
}

/// Without the quotes around it.
pub(crate) fn unquoted(text: &str) -> &str {
    let inside = |quote| text.strip_prefix(quote)?.strip_suffix(quote);
    inside('"').or_else(|| inside('\'')).unwrap_or(text)
}
