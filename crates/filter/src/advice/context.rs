//! A text that is not a condition, and where reading it stopped.

use super::tokens::{Token, TokenKind, tokens};
use crate::Span;
use crate::parser::{ParseError, ParseErrorKind};

/// A text, its words and where reading stopped.
pub(super) struct Context<'t> {
    pub(super) text: &'t str,
    pub(super) tokens: Vec<Token<'t>>,
    /// Index of the word that reading stopped at or in; at the end of the text behind the last.
    pub(super) at: usize,
    /// Where reading stopped.
    pub(super) offset: usize,
    pub(super) kind: &'t ParseErrorKind,
}

impl<'t> Context<'t> {
    pub(super) fn new(text: &'t str, error: &'t ParseError) -> Self {
        let tokens = tokens(text);
        let at = tokens.partition_point(|token| token.span.end <= error.offset);
        Self { text, tokens, at, offset: error.offset, kind: &error.kind }
    }

    /// The word that reading stopped at.
    pub(super) fn here(&self) -> Option<Token<'t>> {
        self.tokens.get(self.at).copied()
    }

    /// A word before it; 1 is the next one.
    pub(super) fn before(&self, count: usize) -> Option<Token<'t>> {
        self.tokens.get(self.at.checked_sub(count)?).copied()
    }

    /// A word behind it.
    pub(super) fn after(&self, count: usize) -> Option<Token<'t>> {
        self.tokens.get(self.at + count).copied()
    }

    /// The span of the word that reading stopped at; at the end of the text, of the last one.
    pub(super) fn span(&self) -> Span {
        let last = || self.tokens.last().map(|token| token.span);
        self.here().map(|token| token.span).or_else(last).unwrap_or_default()
    }

    /// Where the field or transformer begins that the word before `index` ends.
    pub(super) fn operand_start(&self, index: usize) -> Option<usize> {
        let last = self.tokens.get(index.checked_sub(1)?)?;
        if last.kind != TokenKind::Close {
            return Some(last.span.start);
        }
        let mut depth = 0_usize;
        for (at, token) in self.tokens.iter().enumerate().take(index).rev() {
            match token.kind {
                TokenKind::Close => depth += 1,
                TokenKind::Open => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                let name = at.checked_sub(1).and_then(|at| self.tokens.get(at));
                let name = name.filter(|name| {
                    name.kind == TokenKind::Word && name.span.end == token.span.start
                });
                return Some(name.unwrap_or(token).span.start);
            }
        }
        None
    }
}

/// Whether a word reads like a field: `proc.name`, `proc.aname[2]`.
pub(super) fn is_field(word: &str) -> bool {
    let name = word.split('[').next().unwrap_or_default();
    let mut parts = name.split('.');
    let is_identifier = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    parts.next().is_some_and(is_identifier) && parts.next().is_some_and(is_identifier)
}

/// What stands for a class of characters that other regular expressions have.
pub(super) fn class(c: char) -> Option<&'static str> {
    Some(match c {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        'w' => "[A-Za-z0-9_]",
        'W' => "[^A-Za-z0-9_]",
        's' => "[[:space:]]",
        'S' => "[^[:space:]]",
        _ => return None,
    })
}

/// A word as messages show it.
pub(super) fn cut(word: &str) -> String {
    const LONGEST: usize = 40;
    match word.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", word.get(..end).unwrap_or(word)),
        None => word.to_owned(),
    }
}
