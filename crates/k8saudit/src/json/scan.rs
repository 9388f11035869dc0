//! Walks over JSON without building anything.

use memchr::memchr2;
use peregrine_limits::AUDIT_JSON_DEPTH;
use thiserror::Error;

/// Why a text is not JSON.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum JsonError {
    /// A character that can't stand here, or the end of the text.
    #[error("not JSON at byte {0}")]
    Syntax(usize),
    /// Lists and maps inside each other, more than the limit.
    #[error("more than {limit} levels at byte {0}", limit = AUDIT_JSON_DEPTH.get())]
    Depth(usize),
    /// More values than the limit.
    #[error("too many values")]
    Values,
}

/// A position in a text.
#[derive(Clone, Debug)]
pub(crate) struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

/// The first byte of a value says what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    Object,
    Array,
    String,
    Literal,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn wrong<T>(&self) -> Result<T, JsonError> {
        Err(JsonError::Syntax(self.at))
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// Skips blanks. Returns whether there were any.
    pub(crate) fn blanks(&mut self) -> bool {
        let begun = self.at;
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
        self.at > begun
    }

    /// Takes this byte if it comes next.
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        let here = self.peek() == Some(byte);
        self.at += usize::from(here);
        here
    }

    pub(crate) fn expect(&mut self, byte: u8) -> Result<(), JsonError> {
        if self.take(byte) { Ok(()) } else { self.wrong() }
    }

    /// What value comes next.
    pub(crate) fn start(&self) -> Result<Start, JsonError> {
        match self.peek() {
            Some(b'{') => Ok(Start::Object),
            Some(b'[') => Ok(Start::Array),
            Some(b'"') => Ok(Start::String),
            Some(b't' | b'f' | b'n' | b'-' | b'0'..=b'9') => Ok(Start::Literal),
            _ => self.wrong(),
        }
    }

    /// Skips a string with its quotes. Returns the text between them.
    pub(crate) fn string(&mut self) -> Result<&'a [u8], JsonError> {
        self.expect(b'"')?;
        let begun = self.at;
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let Some(found) = memchr2(b'"', b'\\', rest) else {
                self.at = self.text.len();
                return self.wrong();
            };
            self.at += found;
            if self.take(b'"') {
                return Ok(self.text.get(begun..self.at - 1).unwrap_or_default());
            }
            // A backslash and what it escapes, the first of it if that is a number.
            self.at += 1;
            match self.peek() {
                Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' | b'u') => self.at += 1,
                _ => return self.wrong(),
            }
        }
    }

    /// Skips a number, `true`, `false` or `null`.
    pub(crate) fn literal(&mut self) -> Result<(), JsonError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        for word in [&b"true"[..], b"false", b"null"] {
            if rest.starts_with(word) {
                self.at += word.len();
                return Ok(());
            }
        }
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _sign = self.take(b'-') || self.take(b'+');
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let begun = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at > begun { Ok(()) } else { self.wrong() }
    }

    /// Skips a value. Returns its text.
    pub(crate) fn value(&mut self) -> Result<&'a [u8], JsonError> {
        let begun = self.at;
        // The lists and maps that are open, a bit for each: whether it is a map.
        let mut open = Levels::default();
        loop {
            match self.start()? {
                Start::Object => {
                    self.at += 1;
                    self.blanks();
                    if !self.take(b'}') {
                        self.key()?;
                        open.push(true, self.at)?;
                        continue;
                    }
                }
                Start::Array => {
                    self.at += 1;
                    self.blanks();
                    if !self.take(b']') {
                        open.push(false, self.at)?;
                        continue;
                    }
                }
                Start::String => drop(self.string()?),
                Start::Literal => self.literal()?,
            }
            // A value is complete, and perhaps what contains it.
            loop {
                let Some(is_object) = open.last() else {
                    return Ok(self.text.get(begun..self.at).unwrap_or_default());
                };
                self.blanks();
                if self.take(b',') {
                    self.blanks();
                    if is_object {
                        self.key()?;
                    }
                    break;
                }
                self.expect(if is_object { b'}' } else { b']' })?;
                open.pop();
            }
        }
    }

    /// Skips a key with its colon. Returns the text of the key.
    pub(crate) fn key(&mut self) -> Result<&'a [u8], JsonError> {
        let key = self.string()?;
        self.blanks();
        self.expect(b':')?;
        self.blanks();
        Ok(key)
    }

    /// Checks that only blanks follow.
    pub(crate) fn end(&mut self) -> Result<(), JsonError> {
        self.blanks();
        if self.at == self.text.len() { Ok(()) } else { self.wrong() }
    }

    /// Calls `visit` with each key and the text of its value of a map that comes next.
    pub(crate) fn members<E: From<JsonError>>(
        &mut self,
        mut visit: impl FnMut(&'a [u8], &'a [u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.expect(b'{')?;
        self.blanks();
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            let key = self.key()?;
            visit(key, self.value()?)?;
            self.blanks();
            if !self.take(b',') {
                return Ok(self.expect(b'}')?);
            }
            self.blanks();
        }
    }

    /// Calls `visit` with the text of each value of a list that comes next.
    pub(crate) fn elements<E: From<JsonError>>(
        &mut self,
        mut visit: impl FnMut(&'a [u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.expect(b'[')?;
        self.blanks();
        if self.take(b']') {
            return Ok(());
        }
        loop {
            visit(self.value()?)?;
            self.blanks();
            if !self.take(b',') {
                return Ok(self.expect(b']')?);
            }
            self.blanks();
        }
    }
}

/// A stack of bits.
#[derive(Default)]
struct Levels {
    bits: [u64; 8],
    depth: usize,
}

impl Levels {
    fn push(&mut self, is_object: bool, at: usize) -> Result<(), JsonError> {
        let (word, bit) = (self.depth / 64, self.depth % 64);
        if self.depth >= AUDIT_JSON_DEPTH.get() {
            AUDIT_JSON_DEPTH.reach();
            return Err(JsonError::Depth(at));
        }
        let Some(word) = self.bits.get_mut(word) else { return Err(JsonError::Depth(at)) };
        *word = (*word & !(1 << bit)) | (u64::from(is_object) << bit);
        self.depth += 1;
        Ok(())
    }

    fn last(&self) -> Option<bool> {
        let last = self.depth.checked_sub(1)?;
        Some(self.bits.get(last / 64)? >> (last % 64) & 1 == 1)
    }

    fn pop(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &[u8]) -> Result<(), JsonError> {
        let mut scanner = Scanner::new(text);
        scanner.blanks();
        scanner.value()?;
        scanner.end()
    }

    #[test]
    fn what_is_json_is_taken_and_nothing_else() {
        for text in ["1", "-0.5e+3", " {} ", "[]", r#"{"a":[1,{"b":null}],"c":"\"x\\"}"#, "[[],{}]"]
        {
            assert_eq!(check(text.as_bytes()), Ok(()), "{text}");
        }
        for text in ["", "01", "{", "[1,]", r#"{"a"}"#, r#"{"a":1,}"#, "nul", "1 2", r#""a"#, "'a'"]
        {
            assert!(check(text.as_bytes()).is_err(), "{text}");
        }
        assert_eq!(check(b"[1, x]"), Err(JsonError::Syntax(4)));
    }

    #[test]
    fn the_depth_is_bounded() {
        let nested = |depth: usize| [b"[".repeat(depth), b"]".repeat(depth)].concat();
        let deepest = AUDIT_JSON_DEPTH.get() + 1;
        assert_eq!(check(&nested(deepest)), Ok(()));
        assert!(matches!(check(&nested(deepest + 1)), Err(JsonError::Depth(_))));
        assert!(matches!(check(&nested(100_000)), Err(JsonError::Depth(_))));
        let maps = b"{\"a\":".repeat(100_000);
        assert!(matches!(check(&maps), Err(JsonError::Depth(_))));
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged(text in prop::collection::vec(
            prop::sample::select(b"{}[]\",:\\ux0e-. tn".to_vec()), 0..64,
        )) {
            // What serde takes is taken. Numbers and escapes are checked less strictly here.
            if serde_json::from_slice::<serde_json::Value>(&text).is_ok() {
                prop_assert_eq!(check(&text), Ok(()));
            }
            let _ = check(&text);
        }
    }
}
