//! The words of conditions. The grammar has no context-free tokens: what a word is depends on where
//! it stands, so the parser tries what is valid next.

use std::borrow::Cow;

use thiserror::Error;

use crate::ast::{Operator, Quantifier, Text, Transformer, lossy};

/// An invalid escape sequence in a quoted text.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum EscapeError {
    /// `\xZZ`
    #[error("invalid hex char escape sequence: {0}")]
    BadHex(String),
    /// `\x4` at the end.
    #[error("truncated hex char escape sequence")]
    TruncatedHex,
    /// Any other character after the backslash.
    #[error("unsupported string escape sequence: \\{0}")]
    Unknown(char),
    /// `\'` between `"`, or the reverse.
    #[error("invalid \\{escaped} escape in {delimiter}-quoted string")]
    WrongQuote {
        /// The quote that was escaped.
        escaped: char,
        /// The quote around the text.
        delimiter: char,
    },
}

const NUMBER_OPERATORS: [Operator; 4] = [Operator::Le, Operator::Lt, Operator::Ge, Operator::Gt];

const TEXT_OPERATORS: [Operator; 12] = [
    Operator::EqEq,
    Operator::Eq,
    Operator::Ne,
    Operator::Glob,
    Operator::IGlob,
    Operator::Contains,
    Operator::IContains,
    Operator::BContains,
    Operator::StartsWith,
    Operator::BStartsWith,
    Operator::EndsWith,
    Operator::Regex,
];

const LIST_OPERATORS: [Operator; 3] = [Operator::Intersects, Operator::In, Operator::PMatch];

/// A position in a text, and the last word before it.
pub(crate) struct Lexer<'a> {
    text: &'a str,
    offset: usize,
    token: Cow<'a, [u8]>,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, offset: 0, token: Cow::Borrowed(&[]) }
    }

    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    pub(crate) fn at_end(&self) -> bool {
        self.offset == self.text.len()
    }

    /// The last word.
    pub(crate) fn token(&self) -> String {
        lossy(&self.token).into_owned()
    }

    /// The last word, as a literal.
    pub(crate) fn text_token(&self) -> Text {
        self.token.to_vec().into()
    }

    /// Skips blanks; true when there are any.
    pub(crate) fn blank(&mut self) -> bool {
        let blanks = leading(self.rest(), |b| matches!(b, b' ' | b'\t' | 8 | b'\r' | b'\n'));
        self.offset += blanks;
        blanks > 0
    }

    pub(crate) fn word(&mut self, word: &str) -> bool {
        self.rest().starts_with(word) && self.accept(word.len())
    }

    /// `not` with the blanks that must follow it.
    pub(crate) fn not(&mut self) -> bool {
        let Some(after) = self.rest().strip_prefix("not") else { return false };
        let blanks = leading(after, is_space);
        blanks > 0 && self.accept("not".len() + blanks)
    }

    pub(crate) fn identifier(&mut self) -> bool {
        let len = identifier(self.rest());
        len > 0 && self.accept(len)
    }

    /// Two or more identifiers with dots between them.
    pub(crate) fn field_name(&mut self) -> bool {
        let rest = self.rest();
        let first = identifier(rest);
        let mut len = first;
        while len > 0
            && let Some(after) = rest.get(len..).and_then(|r| r.strip_prefix('.'))
        {
            match identifier(after) {
                0 => break,
                next => len += 1 + next,
            }
        }
        len > first && self.accept(len)
    }

    /// A number of base 16 or 10.
    pub(crate) fn number(&mut self) -> bool {
        let rest = self.rest();
        let len = match hex(rest) {
            0 => decimal(rest),
            len => len,
        };
        len > 0 && self.accept(len)
    }

    pub(crate) fn bare(&mut self) -> bool {
        let special = |b| matches!(b, b'(' | b')' | b'"' | b'\'' | b'=' | b',') || is_space(b);
        let len = leading(self.rest(), |b| !special(b));
        len > 0 && self.accept(len)
    }

    pub(crate) fn bare_argument(&mut self) -> bool {
        let special = |b| matches!(b, b'[' | b']' | b'"' | b'\'') || is_space(b);
        let len = leading(self.rest(), |b| !special(b));
        len > 0 && self.accept(len)
    }

    /// A quoted text; the token is the text without quotes. A quote after a backslash never closes
    /// it, not even when the backslash is itself escaped.
    pub(crate) fn quoted(&mut self) -> Result<bool, EscapeError> {
        let rest = self.rest();
        let Some(delimiter) = rest.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
            return Ok(false);
        };
        let mut previous = delimiter;
        let body = rest.get(1..).unwrap_or_default();
        for (at, c) in body.char_indices() {
            if c == '\0' {
                break;
            }
            if c == delimiter && previous != '\\' {
                self.offset += 1 + at + 1;
                self.token = unescape(body.get(..at).unwrap_or_default(), delimiter)?;
                return Ok(true);
            }
            previous = c;
        }
        Ok(false)
    }

    pub(crate) fn number_operator(&mut self) -> Option<Operator> {
        NUMBER_OPERATORS.into_iter().find(|op| self.word(op.as_str()))
    }

    /// An operator that takes a text, and whether blanks follow it. Operators that are words need
    /// them.
    pub(crate) fn text_operator(&mut self) -> Option<(Operator, bool)> {
        TEXT_OPERATORS.into_iter().find_map(|op| {
            if op.as_str().starts_with(|c: char| c.is_ascii_alphabetic()) {
                self.blank_terminated(op.as_str()).then_some((op, true))
            } else {
                self.word(op.as_str()).then(|| (op, self.blank()))
            }
        })
    }

    pub(crate) fn list_operator(&mut self) -> Option<Operator> {
        LIST_OPERATORS.into_iter().find(|op| self.word(op.as_str()))
    }

    /// `anyof`, `oneof` or `allof`, but only before what can be a list: `proc.name = anyof`
    /// compares with the text `anyof`.
    pub(crate) fn quantifier(&mut self) -> Option<Quantifier> {
        let (offset, token) = (self.offset, self.token.clone());
        let found = Quantifier::ALL
            .iter()
            .copied()
            .find(|quantifier| self.blank_terminated(quantifier.as_str()));
        if found.is_some() {
            let rest = self.rest();
            let keyword = ["and", "or", "not"].into_iter().any(|word| {
                rest.strip_prefix(word)
                    .is_some_and(|after| !after.starts_with(|c: char| c.is_ascii_alphanumeric()))
            });
            if rest.starts_with('(') || identifier(rest) > 0 && !keyword {
                return found;
            }
        }
        (self.offset, self.token) = (offset, token);
        None
    }

    /// The name of a transformer with its parenthesis. `val(` is parsed where it is valid, not
    /// here.
    pub(crate) fn transformer(&mut self) -> Option<Transformer> {
        let found = Transformer::ALL.iter().copied().find(|transformer| {
            *transformer != Transformer::Val
                && self
                    .rest()
                    .strip_prefix(transformer.as_str())
                    .is_some_and(|after| after.starts_with('('))
        })?;
        self.accept(found.as_str().len() + 1);
        self.token = Cow::Borrowed(found.as_str().as_bytes());
        Some(found)
    }

    fn blank_terminated(&mut self, word: &str) -> bool {
        let (offset, token) = (self.offset, self.token.clone());
        if self.word(word) {
            if self.blank() {
                return true;
            }
            (self.offset, self.token) = (offset, token);
        }
        false
    }

    fn rest(&self) -> &'a str {
        debug_assert!(self.text.is_char_boundary(self.offset), "words end at characters");
        self.text.get(self.offset..).unwrap_or_default()
    }

    fn accept(&mut self, len: usize) -> bool {
        let rest = self.rest();
        self.token = Cow::Borrowed(rest.get(..len).unwrap_or(rest).as_bytes());
        self.offset += self.token.len();
        true
    }
}

/// Length of the longest prefix of bytes that are `wanted`. It ends between characters: `wanted`
/// accepts either no byte above ASCII or all of them.
fn leading(text: &str, wanted: impl Fn(u8) -> bool) -> usize {
    text.bytes().position(|b| !wanted(b)).unwrap_or(text.len())
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0xb | 0xc | b'\r')
}

fn identifier(text: &str) -> usize {
    if text.as_bytes().first().is_some_and(u8::is_ascii_alphabetic) {
        leading(text, |b| b.is_ascii_alphanumeric() || b == b'_')
    } else {
        0
    }
}

fn hex(text: &str) -> usize {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or_default();
    match leading(digits, |b| b.is_ascii_hexdigit()) {
        0 => 0,
        len => 2 + len,
    }
}

fn decimal(text: &str) -> usize {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let digits = leading(unsigned, |b| b.is_ascii_digit());
    if digits == 0 {
        return 0;
    }
    let after = unsigned.get(digits..).unwrap_or_default();
    let mantissa = after.strip_prefix('.').unwrap_or(after);
    let exponent = mantissa.get(leading(mantissa, |b| b.is_ascii_digit())..).unwrap_or_default();
    let rest = exponent
        .strip_prefix(['e', 'E'])
        .and_then(|r| r.strip_prefix(['+', '-']))
        .filter(|r| r.starts_with(|c: char| c.is_ascii_digit()))
        .map_or(exponent, |r| r.trim_start_matches(|c: char| c.is_ascii_digit()));
    text.len() - rest.len()
}

fn unescape(body: &str, delimiter: char) -> Result<Cow<'_, [u8]>, EscapeError> {
    if !body.contains('\\') {
        return Ok(Cow::Borrowed(body.as_bytes()));
    }
    let mut bytes = Vec::with_capacity(body.len());
    let mut chars = body.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            push(&mut bytes, c);
            continue;
        }
        // There is a next one: a backslash at the end would escape the closing quote.
        let Some(escaped) = chars.next() else { break };
        match escaped {
            'b' => bytes.push(8),
            'f' => bytes.push(12),
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            't' => bytes.push(b'\t'),
            // Old rules wrote `\ ` for a backslash.
            ' ' | '\\' => bytes.push(b'\\'),
            '/' => bytes.push(b'/'),
            '"' | '\'' if escaped == delimiter => push(&mut bytes, escaped),
            '"' | '\'' => return Err(EscapeError::WrongQuote { escaped, delimiter }),
            'x' => bytes.push(hex_escape(&mut chars)?),
            other => return Err(EscapeError::Unknown(other)),
        }
    }
    Ok(Cow::Owned(bytes))
}

fn push(bytes: &mut Vec<u8>, c: char) {
    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

fn hex_escape(chars: &mut std::str::Chars<'_>) -> Result<u8, EscapeError> {
    let (Some(high), Some(low)) = (chars.next(), chars.next()) else {
        return Err(EscapeError::TruncatedHex);
    };
    let digits = format!("{high}{low}");
    // `from_str_radix` also accepts a sign: `+f`.
    if high.is_ascii_hexdigit()
        && let Ok(byte) = u8::from_str_radix(&digits, 16)
    {
        return Ok(byte);
    }
    Err(EscapeError::BadHex(digits))
}
