//! The words of a text that need not be a condition.

use crate::Span;

/// A word and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'t> {
    pub(super) kind: TokenKind,
    pub(super) text: &'t str,
    pub(super) span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    Word,
    /// With its quotes.
    Quoted,
    /// A quote that nothing closes, with all that follows.
    Unclosed,
    Open,
    Close,
    Comma,
    /// Signs that are written together: `=`, `&&`, `=~`.
    Signs,
}

/// All words of a text.
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut all = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..)
        && let Some(first) = rest.chars().next()
    {
        if is_blank(first) {
            at += first.len_utf8();
            continue;
        }
        let (kind, len) = match first {
            '(' => (TokenKind::Open, 1),
            ')' => (TokenKind::Close, 1),
            ',' => (TokenKind::Comma, 1),
            '"' | '\'' => match quoted(rest, first) {
                Some(len) => (TokenKind::Quoted, len),
                None => (TokenKind::Unclosed, rest.len()),
            },
            c if is_sign(c) => {
                let end = rest.find(|c: char| !is_sign(c)).unwrap_or(rest.len());
                (TokenKind::Signs, end)
            }
            _ => {
                let ends = |c: char| is_blank(c) || "()\"'=,".contains(c);
                (TokenKind::Word, rest.find(ends).unwrap_or(rest.len()))
            }
        };
        let token = rest.get(..len).unwrap_or(rest);
        all.push(Token { kind, text: token, span: Span { start: at, end: at + token.len() } });
        at += token.len().max(1);
    }
    all
}

/// The items of a list, `(a, "b c")`, that stands at a span of a text: each with its span, quotes
/// included. A single value is a list of one.
#[must_use]
pub fn list_items(text: &str, list: Span) -> Vec<Span> {
    let Some(part) = text.get(list.start..list.end) else { return Vec::new() };
    let shift = |span: Span| Span { start: span.start + list.start, end: span.end + list.start };
    if !part.starts_with('(') {
        return vec![list];
    }
    let mut items: Vec<Span> = Vec::new();
    let mut open = false;
    for token in tokens(part) {
        match token.kind {
            TokenKind::Open | TokenKind::Close | TokenKind::Comma => open = false,
            // A bare item may begin with signs: `<NA>`.
            _ => match items.last_mut() {
                Some(last) if open && last.end == token.span.start => last.end = token.span.end,
                _ => {
                    items.push(token.span);
                    open = true;
                }
            },
        }
    }
    items.into_iter().map(shift).collect()
}

/// Length of the quoted text at the start of a text. A quote after a backslash does not close it.
fn quoted(text: &str, quote: char) -> Option<usize> {
    let mut before = quote;
    for (at, c) in text.char_indices().skip(1) {
        if c == quote && before != '\\' {
            return Some(at + 1);
        }
        before = c;
    }
    None
}

pub(super) fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{8}' | '\u{b}' | '\u{c}')
}

fn is_sign(c: char) -> bool {
    "=<>!&|~".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_their_places() {
        let text = "a.b=\"x y\"&& !c in(d,'e";
        let found: Vec<_> = tokens(text).iter().map(|token| token.text).collect();
        let wanted = ["a.b", "=", "\"x y\"", "&&", "!", "c", "in", "(", "d", ",", "'e"];
        assert_eq!(found, wanted);
        assert!(tokens(text).iter().all(|t| text.get(t.span.start..t.span.end) == Some(t.text)));
    }

    #[test]
    fn items_of_lists() {
        let text = "x in (a, 'b, c', <NA>, d)";
        let items = list_items(text, Span { start: 5, end: text.len() });
        let items: Vec<_> = items.iter().map(|item| &text[item.start..item.end]).collect();
        assert_eq!(items, ["a", "'b, c'", "<NA>", "d"]);
    }
}
