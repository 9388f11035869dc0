//! Regular expressions in the POSIX syntax of RE2: no lazy repetition, no `(?…)`, no `\d`; `^` and
//! `$` match at line ends too. They are rewritten for `regex-automata`, whose syntax is Perl's.

use std::fmt::Write;

use bumpalo::Bump;
use peregrine_limits::REGEX_BYTES;
use regex_automata::{Anchored, Input, meta};
use thiserror::Error;

/// Most repetitions of one item, also when repetitions nest.
const MAX_REPEAT: u32 = 1000;

/// A regular expression that matches whole texts.
#[derive(Clone, Debug)]
pub(crate) struct Regex(meta::Regex);

/// Why a text is not a regular expression. The messages are those of RE2, which tools compare.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegexError {
    /// `[b-a]`
    #[error("invalid character class range: {0}")]
    ClassRange(String),
    /// `\d`
    #[error("invalid escape sequence: {0}")]
    Escape(String),
    /// `[a`
    #[error("missing ]: {0}")]
    MissingBracket(String),
    /// `(a`
    #[error("missing ): {0}")]
    MissingParenthesis(String),
    /// `*a`
    #[error("no argument for repetition operator: {0}")]
    RepeatArgument(String),
    /// `a{2,1}`
    #[error("invalid repetition size: {0}")]
    RepeatSize(String),
    /// The compiled expression takes too much memory.
    #[error("pattern too large - compile failed")]
    TooLarge,
    /// `a\`
    #[error("trailing \\")]
    TrailingBackslash,
    /// `a)`
    #[error("unexpected ): {0}")]
    UnexpectedParenthesis(String),
}

impl Regex {
    pub(crate) fn new(pattern: &str) -> Result<Self, RegexError> {
        let rewritten = Rewriter::new(pattern).rewrite()?;
        meta::Builder::new()
            .configure(meta::Config::new().nfa_size_limit(Some(REGEX_BYTES.get())))
            .build(&rewritten)
            .map(Self)
            .map_err(|_| {
                REGEX_BYTES.reach();
                RegexError::TooLarge
            })
    }

    /// Whether it matches the whole text. What is not UTF-8 is matched as U+FFFD.
    pub(crate) fn matches(&self, text: &[u8], scratch: &Bump) -> bool {
        let text = match std::str::from_utf8(text) {
            Ok(text) => text,
            Err(_) => sanitised(text, scratch),
        };
        self.0.is_match(Input::new(text).anchored(Anchored::Yes).earliest(true))
    }
}

fn sanitised<'s>(text: &[u8], scratch: &'s Bump) -> &'s str {
    let len = text
        .utf8_chunks()
        .map(|c| c.valid().len() + if c.invalid().is_empty() { 0 } else { 3 })
        .sum::<usize>();
    let mut bytes = text.utf8_chunks().flat_map(|chunk| {
        let replacement: &[u8] =
            if chunk.invalid().is_empty() { b"" } else { "\u{fffd}".as_bytes() };
        chunk.valid().bytes().chain(replacement.iter().copied())
    });
    let copy = scratch.alloc_slice_fill_with(len, |_| bytes.next().unwrap_or(b'?'));
    std::str::from_utf8(copy).unwrap_or_default()
}

/// A group while it is read.
struct Group {
    /// Where it starts in the output.
    start: usize,
    /// Where its last item starts in the output, and how often that repeats parts of itself.
    item: Option<(usize, u32)>,
    /// The largest repetition in it.
    repeats: u32,
}

struct Rewriter<'a> {
    pattern: &'a str,
    rest: &'a str,
    out: String,
    groups: Vec<Group>,
}

impl<'a> Rewriter<'a> {
    fn new(pattern: &'a str) -> Self {
        Self { pattern, rest: pattern, out: String::from("(?:"), groups: Vec::new() }
    }

    fn rewrite(mut self) -> Result<String, RegexError> {
        self.open(self.out.len());
        while let Some(c) = self.rest.chars().next() {
            match c {
                '(' => {
                    self.skip(1);
                    let start = self.out.len();
                    self.out.push_str("(?:");
                    self.open(start);
                }
                ')' => self.close()?,
                '|' => {
                    self.skip(1);
                    self.out.push('|');
                    if let Some(group) = self.groups.last_mut() {
                        group.item = None;
                    }
                }
                '*' | '+' | '?' => {
                    self.skip(1);
                    self.repeat(&c.to_string(), 1)?;
                }
                '{' => match repetition(self.rest) {
                    Some((len, min, max)) => {
                        let op = self.rest.get(..len).unwrap_or_default();
                        self.skip(len);
                        let too_many = |n: Option<u32>| n.is_none_or(|n| n > MAX_REPEAT);
                        if too_many(min) || max.is_some_and(too_many) {
                            return Err(RegexError::RepeatSize(op.to_owned()));
                        }
                        let (min, max) = (min.unwrap_or_default(), max.flatten());
                        if max.is_some_and(|max| max < min) {
                            return Err(RegexError::RepeatSize(op.to_owned()));
                        }
                        self.repeat(op, max.unwrap_or(min).max(1))?;
                    }
                    None => {
                        self.skip(1);
                        self.item(r"\{");
                    }
                },
                '^' => self.simple("(?m:^)"),
                '$' => self.simple("(?m:$)"),
                '.' => self.simple("."),
                '[' => self.class()?,
                '\\' => {
                    let c = self.escape()?;
                    self.literal(c);
                }
                c => {
                    self.skip(c.len_utf8());
                    self.literal(c);
                }
            }
        }
        if self.groups.len() > 1 {
            return Err(RegexError::MissingParenthesis(self.pattern.to_owned()));
        }
        self.out.push_str(r")\z");
        Ok(self.out)
    }

    fn open(&mut self, start: usize) {
        self.groups.push(Group { start, item: None, repeats: 1 });
    }

    fn close(&mut self) -> Result<(), RegexError> {
        self.skip(1);
        if self.groups.len() > 1
            && let Some(closed) = self.groups.pop()
            && let Some(outer) = self.groups.last_mut()
        {
            self.out.push(')');
            outer.item = Some((closed.start, closed.repeats));
            return Ok(());
        }
        Err(RegexError::UnexpectedParenthesis(self.pattern.to_owned()))
    }

    /// Applies a repetition to the last item. Wrapped in a group, so that `a+?` is not lazy but
    /// `(a+)?`.
    fn repeat(&mut self, op: &str, times: u32) -> Result<(), RegexError> {
        let Some(group) = self.groups.last_mut() else { return Err(RegexError::TooLarge) };
        let Some((start, repeats)) = group.item else {
            return Err(RegexError::RepeatArgument(op.to_owned()));
        };
        let repeats = repeats.saturating_mul(times);
        if repeats > MAX_REPEAT {
            return Err(RegexError::RepeatSize(op.to_owned()));
        }
        group.item = Some((start, repeats));
        group.repeats = group.repeats.max(repeats);
        self.out.insert_str(start, "(?:");
        self.out.push_str(op);
        self.out.push(')');
        Ok(())
    }

    fn simple(&mut self, item: &str) {
        self.skip(1);
        self.item(item);
    }

    fn item(&mut self, item: &str) {
        let start = self.out.len();
        self.out.push_str(item);
        if let Some(group) = self.groups.last_mut() {
            group.item = Some((start, 1));
        }
    }

    fn literal(&mut self, c: char) {
        let escaped = code(c);
        self.item(&escaped);
    }

    fn class(&mut self) -> Result<(), RegexError> {
        let whole = self.rest;
        self.skip(1);
        let mut class = String::from("[");
        if self.rest.starts_with('^') {
            self.skip(1);
            class.push('^');
        }
        let mut first = true;
        while first || !self.rest.starts_with(']') {
            if self.rest.is_empty() {
                return Err(RegexError::MissingBracket(whole.to_owned()));
            }
            let mut ahead = self.rest.chars();
            // A minus is literal as the first or last member only.
            if !first
                && ahead.next() == Some('-')
                && let Some(after) = ahead.next()
                && after != ']'
            {
                return Err(RegexError::ClassRange(format!("-{after}")));
            }
            first = false;
            if let Some(name) = self.named_class()? {
                class.push_str(name);
                continue;
            }
            let from = self.rest;
            let low = self.class_member(whole)?;
            let mut ahead = self.rest.chars();
            let mut high = low;
            if ahead.next() == Some('-') && ahead.next().is_some_and(|c| c != ']') {
                self.skip(1);
                high = self.class_member(whole)?;
            }
            if high < low {
                let len = from.len() - self.rest.len();
                return Err(RegexError::ClassRange(from.get(..len).unwrap_or_default().to_owned()));
            }
            class.push_str(&code(low));
            class.push('-');
            class.push_str(&code(high));
        }
        self.skip(1);
        class.push(']');
        self.item(&class);
        Ok(())
    }

    /// `[:alpha:]` or `[:^alpha:]`
    fn named_class(&mut self) -> Result<Option<&'a str>, RegexError> {
        const NAMES: [&str; 14] = [
            "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print",
            "punct", "space", "upper", "word", "xdigit",
        ];
        let Some(body) = self.rest.strip_prefix("[:") else { return Ok(None) };
        let Some(len) = body.find(":]") else { return Ok(None) };
        let name = body.get(..len).unwrap_or_default();
        let class = self.rest.get(..len + 4).unwrap_or_default();
        if !NAMES.contains(&name.strip_prefix('^').unwrap_or(name)) {
            return Err(RegexError::ClassRange(class.to_owned()));
        }
        self.skip(class.len());
        Ok(Some(class))
    }

    fn class_member(&mut self, whole: &str) -> Result<char, RegexError> {
        match self.rest.chars().next() {
            None => Err(RegexError::MissingBracket(whole.to_owned())),
            Some('\\') => self.escape(),
            Some(c) => {
                self.skip(c.len_utf8());
                Ok(c)
            }
        }
    }

    /// A character after a backslash.
    fn escape(&mut self) -> Result<char, RegexError> {
        let from = self.rest;
        self.skip(1);
        let Some(c) = self.rest.chars().next() else { return Err(RegexError::TrailingBackslash) };
        self.skip(c.len_utf8());
        let octal = |rest: &str| rest.starts_with(|c: char| ('0'..='7').contains(&c));
        let found = match c {
            'a' => Some('\u{7}'),
            'f' => Some('\u{c}'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'v' => Some('\u{b}'),
            '0' => self.digits(0, 8, 2),
            '1'..='7' if octal(self.rest) => self.digits(c.to_digit(8).unwrap_or_default(), 8, 2),
            'x' if self.rest.starts_with('{') => {
                self.skip(1);
                let (before, c) = (self.rest.len(), self.digits(0, 16, 8));
                let some = self.rest.len() < before;
                let closed = self.rest.starts_with('}');
                self.skip(usize::from(closed));
                c.filter(|_| some && closed)
            }
            'x' => {
                let before = self.rest.len();
                self.digits(0, 16, 2).filter(|_| before == self.rest.len() + 2)
            }
            c if c == '_' || c.is_ascii() && !c.is_ascii_alphanumeric() => Some(c),
            _ => None,
        };
        found.ok_or_else(|| {
            let len = from.len() - self.rest.len();
            RegexError::Escape(from.get(..len).unwrap_or_default().to_owned())
        })
    }

    fn digits(&mut self, mut value: u32, base: u32, most: usize) -> Option<char> {
        for _ in 0..most {
            let Some(digit) = self.rest.chars().next().and_then(|c| c.to_digit(base)) else {
                break;
            };
            self.skip(1);
            value = value.saturating_mul(base).saturating_add(digit);
        }
        char::from_u32(value)
    }

    fn skip(&mut self, len: usize) {
        debug_assert!(self.rest.is_char_boundary(len), "items end at characters");
        self.rest = self.rest.get(len..).unwrap_or_default();
    }
}

fn code(c: char) -> String {
    let mut text = String::new();
    // Writing to a string can't fail.
    let _ = write!(text, "\\x{{{:x}}}", u32::from(c));
    text
}

/// `{2}`, `{2,}` or `{2,3}`: its length and its bounds. A bound that is too large for a number is
/// `Some(None)` on the right and `None` on the left.
fn repetition(text: &str) -> Option<(usize, Option<u32>, Option<Option<u32>>)> {
    let body = text.strip_prefix('{')?;
    let body = body.get(..body.find('}')?)?;
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let (min, max) = match body.split_once(',') {
        None => (body, Some(body)),
        Some((min, "")) => (min, None),
        Some((min, max)) => (min, Some(max)),
    };
    if !digits(min) || !max.is_none_or(digits) {
        return None;
    }
    Some((body.len() + 2, min.parse().ok(), max.map(|max| max.parse().ok())))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_match(pattern: &str, text: &[u8]) -> bool {
        Regex::new(pattern).expect(pattern).matches(text, &Bump::new())
    }

    fn error(pattern: &str) -> String {
        Regex::new(pattern).expect_err(pattern).to_string()
    }

    #[test]
    fn the_whole_text_must_match() {
        assert!(is_match("a|ab", b"ab"));
        assert!(!is_match("a", b"ab"));
        assert!(is_match(".*sh", b"bash"));
        assert!(is_match("", b""));
        assert!(is_match("^/tmp/[^/]+$", b"/tmp/x"));
    }

    #[test]
    fn anchors_match_at_line_ends() {
        assert!(!is_match("a.b", b"a\nb"));
        assert!(is_match("a[^x]b", b"a\nb"));
        assert!(is_match("a$\n^b", b"a\nb"));
    }

    #[test]
    fn repetitions_are_bounded() {
        assert!(is_match("a{2,3}", b"aaa"));
        assert!(!is_match("a{2}", b"aaa"));
        assert!(is_match("a{,3}", b"a{,3}"));
        assert!(is_match("a+?", b""));
        assert!(is_match("(ab)*c**", b"ababcc"));
        assert_eq!(error("a{2,1}"), "invalid repetition size: {2,1}");
        assert_eq!(error("a{1001}"), "invalid repetition size: {1001}");
        assert_eq!(error("(a{100}){100}"), "invalid repetition size: {100}");
    }

    #[test]
    fn classes_have_posix_names() {
        assert!(is_match("[[:alpha:]_-]+", b"a_-Z"));
        assert!(is_match("[]a]", b"]"));
        assert!(is_match(r"[\]\-]", b"-"));
        assert!(is_match("[[:^digit:]]", b"x"));
        assert_eq!(error("[b-a]"), "invalid character class range: b-a");
        assert_eq!(error("[a-c-e]"), "invalid character class range: -e");
        assert_eq!(error("[[:foo:]]"), "invalid character class range: [:foo:]");
        assert_eq!(error("x[a"), "missing ]: [a");
    }

    #[test]
    fn escapes_are_those_of_re2() {
        assert!(is_match(
            r"\.\x41\x{20ac}\101\t\_",
            "..".replace("..", ".A\u{20ac}A\t_").as_bytes()
        ));
        for (pattern, shown) in [(r"\d", r"\d"), (r"\bx", r"\b"), (r"\1", r"\1"), (r"\xg", r"\x")] {
            assert_eq!(error(pattern), format!("invalid escape sequence: {shown}"));
        }
        assert_eq!(error("a\\"), "trailing \\");
    }

    #[test]
    fn parentheses_must_match() {
        assert_eq!(error("a(b"), "missing ): a(b");
        assert_eq!(error("a)b"), "unexpected ): a)b");
        assert_eq!(error("a(?=b)"), "no argument for repetition operator: ?");
        assert_eq!(error("*a"), "no argument for repetition operator: *");
        assert_eq!(error("a|*"), "no argument for repetition operator: *");
        assert!(is_match("(|a)b", b"b"));
    }

    #[test]
    fn texts_that_are_not_utf8() {
        assert!(is_match("a.b", b"a\xffb"));
        assert!(is_match("a\u{fffd}b", b"a\xe2\x82b"));
        assert!(is_match("\u{e9}.", "\u{e9}\u{20ac}".as_bytes()));
    }

    proptest! {
        #[test]
        fn what_is_rewritten_always_compiles(pattern in "[ab\\[\\](){}*+?|^$.,0-9\\\\:-]{0,14}", text: Vec<u8>) {
            match Regex::new(&pattern) {
                Ok(regex) => { regex.matches(&text, &Bump::new()); }
                Err(e) => prop_assert_ne!(e, RegexError::TooLarge),
            }
        }
    }
}
