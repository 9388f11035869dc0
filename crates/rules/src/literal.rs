//! YAML values as words of a condition.
//!
//! Items of lists and values of exceptions are inserted into the text of conditions, to which
//! positions in error messages refer. The reference engine pastes them verbatim; here they are
//! quoted where they would change meaning. A value that needs no quoting stays byte for byte the
//! same.

use std::borrow::Cow;

/// A value as one word: verbatim if it is one, quoted otherwise.
pub(crate) fn literal(value: &str) -> Cow<'_, str> {
    if is_word(value) {
        return Cow::Borrowed(value);
    }
    if value.contains(' ') && !value.starts_with(['"', '\'']) {
        let quoted = format!("\"{value}\"");
        if is_word(&quoted) {
            return Cow::Owned(quoted);
        }
    }
    Cow::Owned(quote(value))
}

/// Whether an item of a list becomes the same part of a condition in Falco, which quotes items with
/// blanks and pastes all others as they are.
#[must_use]
pub fn is_pasted_alike(item: &str) -> bool {
    is_word(item) || item.contains(' ') && is_word(&format!("\"{item}\""))
}

/// A value as a list: verbatim if it is one, in parentheses otherwise.
pub(crate) fn members(value: &str) -> Cow<'_, str> {
    if value.starts_with('(') && is_list(value) {
        return Cow::Borrowed(value);
    }
    let list = format!("({value})");
    Cow::Owned(if is_list(&list) { list } else { format!("({})", literal(value)) })
}

fn quote(value: &str) -> String {
    let mut quoted = String::with_capacity(value.len() + 2);
    quoted.push('"');
    for c in value.chars() {
        match c {
            // Not `\\`: a quote after it would not end the string.
            '\\' => quoted.push_str("\\x5c"),
            '"' => quoted.push_str("\\\""),
            '\0' => quoted.push_str("\\x00"),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Whether a text parses as one value: bare, or quoted from the first byte to the last.
fn is_word(text: &str) -> bool {
    word(text).is_some_and(|len| len == text.len())
}

/// Whether a text parses as `(a, b, c)`.
fn is_list(text: &str) -> bool {
    let blank = |text: &str| text.len() - text.trim_start_matches([' ', '\t', '\r', '\n']).len();
    let Some(mut rest) = text.strip_prefix('(') else { return false };
    loop {
        rest = rest.get(blank(rest)..).unwrap_or_default();
        let Some(len) = word(rest) else { return false };
        rest = rest.get(len..).unwrap_or_default();
        rest = rest.get(blank(rest)..).unwrap_or_default();
        match rest.as_bytes() {
            [b',', ..] => rest = rest.get(1..).unwrap_or_default(),
            [b')'] => return true,
            _ => return false,
        }
    }
}

/// Length of the value at the start of a text.
fn word(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let Some(&quote @ (b'"' | b'\'')) = bytes.first() else {
        let end = bytes
            .iter()
            .position(|b| {
                matches!(b, b'(' | b')' | b'"' | b'\'' | b'=' | b',' | 0 | b' ' | b'\t'..=b'\r')
            })
            .unwrap_or(bytes.len());
        return (end > 0).then_some(end);
    };
    let end = quoted_end(bytes, quote)?;
    let escapes_known = bytes
        .get(1..end)?
        .windows(2)
        .scan(false, |escaped, pair| {
            let starts = pair.first() == Some(&b'\\') && !*escaped;
            *escaped = starts;
            Some(!starts || pair.get(1).is_some_and(|b| b"bfnrtx\\/\"'".contains(b)))
        })
        .all(|known| known);
    escapes_known.then_some(end + 1)
}

/// End of the quoted string at the start of a text: a quote without a backslash before it.
pub(crate) fn quoted_end(text: &[u8], quote: u8) -> Option<usize> {
    (1..text.len()).find(|&at| text.get(at) == Some(&quote) && text.get(at - 1) != Some(&b'\\'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_words() {
        for (value, word) in [
            ("plain", "plain"),
            ("/usr/bin/[", "/usr/bin/["),
            ("two words", "\"two words\""),
            ("'two words'", "'two words'"),
            ("\"dq\"", "\"dq\""),
            ("it's", "\"it's\""),
            ("a,b", "\"a,b\""),
            ("(x)", "\"(x)\""),
            ("k=v", "\"k=v\""),
            ("", "\"\""),
            ("say \"hi\"", "\"say \\\"hi\\\"\""),
            ("C:\\dir one", "\"C:\\x5cdir one\""),
            ("C:\\dir", "C:\\dir"),
            ("a\\tb c", "\"a\\tb c\""),
            ("\"open", "\"\\\"open\""),
        ] {
            assert_eq!(literal(value), word, "{value}");
        }
    }

    #[test]
    fn values_become_lists() {
        for (value, list) in [
            ("a", "(a)"),
            ("a, b", "(a, b)"),
            ("(a, 'b c')", "(a, 'b c')"),
            ("it's", "(\"it's\")"),
            ("a b", "(\"a b\")"),
            ("", "(\"\")"),
        ] {
            assert_eq!(members(value), list, "{value}");
        }
    }
}
