//! Tokens of a condition that need not be complete, for editors and for finding names.
//!
//! [`parse`](crate::parse) stops at the first error. [`scan`] never fails: it classifies every word
//! by where it stands, as the grammar would, and continues after what does not fit. In a condition
//! that parses, fields and macros are those of the tree.

use std::ops::Range;

use crate::ast::Operator;
use crate::lexer::Lexer;

/// A word of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Its bytes.
    pub range: Range<usize>,
}

/// What a word of a condition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// `and`, `or`, `not`
    Keyword,
    /// The name of a field, without its argument.
    Field,
    /// The argument of a field, without brackets.
    FieldArgument,
    /// A comparison, `exists`, or a quantifier.
    Operator,
    /// A word where a condition is expected, which is the name of a macro.
    Macro,
    /// The name of a transformer.
    Transformer,
    /// A literal without quotes; possibly the name of a list.
    Value,
    /// A literal with its quotes.
    Quoted,
    /// `(`, `)` or `,`
    Punctuation,
    /// A word that does not fit here.
    Unknown,
}

/// What may stand at the end of a condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Expected {
    /// A test, a macro, `not` or `(`.
    #[default]
    Condition,
    /// An operator for the field, by its bytes with argument; none for a transformer.
    Operator(Option<Range<usize>>),
    /// A value to compare the field with.
    Value {
        /// The field, as in [`Expected::Operator`].
        field: Option<Range<usize>>,
        /// The operator.
        operator: Option<Operator>,
        /// Whether this is inside the parentheses of a list.
        in_list: bool,
    },
    /// A field or literal inside the parentheses of a transformer.
    Argument,
    /// `and`, `or` or `)`.
    Join,
}

/// The tokens of a text, and what may follow them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// In the order of the text.
    pub tokens: Vec<Token>,
    /// What may stand at the end.
    pub expected: Expected,
}

/// Classifies the words of a condition, complete or not.
///
/// ```
/// use peregrine_filter::{Expected, TokenKind, scan};
///
/// let scan = scan("shell and proc.name in (bash, ");
/// let kinds: Vec<_> = scan.tokens.iter().map(|token| token.kind).collect();
/// use TokenKind::{Field, Keyword, Macro, Operator, Punctuation, Value};
/// assert_eq!(kinds, [Macro, Keyword, Field, Operator, Punctuation, Value, Punctuation]);
/// assert!(matches!(scan.expected, Expected::Value { in_list: true, .. }));
/// ```
#[must_use]
pub fn scan(text: &str) -> Scan {
    let scan = Scan::default();
    let mut scanner = Scanner { text, lexer: Lexer::new(text), scan, calls: Vec::new() };
    loop {
        scanner.lexer.blank();
        if scanner.lexer.at_end() {
            return scanner.scan;
        }
        let before = scanner.lexer.offset();
        scanner.next();
        if scanner.lexer.offset() == before {
            scanner.unknown();
        }
    }
}

struct Scanner<'t> {
    text: &'t str,
    lexer: Lexer<'t>,
    scan: Scan,
    /// Open parentheses of transformers: what is expected after the last of them.
    calls: Vec<Expected>,
}

impl Scanner<'_> {
    fn next(&mut self) {
        match self.scan.expected.clone() {
            Expected::Condition => self.condition(),
            Expected::Operator(field) => self.operator(field),
            Expected::Value { field, operator, in_list: false } => self.value(field, operator),
            Expected::Value { in_list: true, .. } => self.member(),
            Expected::Argument => self.argument(),
            Expected::Join => self.join(),
        }
    }

    fn condition(&mut self) {
        let start = self.lexer.offset();
        if self.punctuation("(") || self.keyword(&["not", "and", "or"]) {
            return;
        }
        if self.punctuation(")") {
            self.scan.expected = Expected::Join;
        } else if self.field() {
            self.scan.expected = Expected::Operator(Some(start..self.lexer.offset()));
        } else if self.transformer() {
            self.calls.push(Expected::Operator(None));
        } else if self.lexer.identifier() {
            let end = self.lexer.offset();
            let is_test = self.begins_operator(end);
            self.push(if is_test { TokenKind::Field } else { TokenKind::Macro }, start);
            self.scan.expected =
                if is_test { Expected::Operator(Some(start..end)) } else { Expected::Join };
        }
    }

    /// Whether an operator follows a byte. A macro can't be compared, so the word before it is
    /// meant as a field.
    fn begins_operator(&self, at: usize) -> bool {
        let rest = self.text.get(at..).unwrap_or_default().trim_start();
        let mut lexer = Lexer::new(rest);
        if lexer.number_operator().is_some() || lexer.text_operator().is_some() {
            return true;
        }
        let word = lexer.list_operator().is_some() || lexer.word("exists");
        let after = rest.get(lexer.offset()..).unwrap_or_default();
        word && !after.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
    }

    fn operator(&mut self, field: Option<Range<usize>>) {
        let start = self.lexer.offset();
        if self.lexer.word("exists") {
            self.push(TokenKind::Operator, start);
            self.scan.expected = Expected::Join;
            return;
        }
        let number = self.lexer.number_operator();
        let operator = number.or_else(|| {
            let (operator, _) = self.lexer.text_operator()?;
            Some(operator)
        });
        let is_text = number.is_none() && operator.is_some();
        let operator = operator.or_else(|| self.lexer.list_operator());
        if let Some(op) = operator {
            let range = start..start + op.as_str().len();
            self.scan.tokens.push(Token { kind: TokenKind::Operator, range });
            let start = self.lexer.offset();
            if is_text && let Some(quantifier) = self.lexer.quantifier() {
                let range = start..start + quantifier.as_str().len();
                self.scan.tokens.push(Token { kind: TokenKind::Operator, range });
            }
        } else if self.keyword(&["and", "or"]) {
            self.scan.expected = Expected::Condition;
            return;
        } else if self.punctuation(")") {
            self.scan.expected = Expected::Join;
            return;
        } else {
            self.unknown();
        }
        self.scan.expected = Expected::Value { field, operator, in_list: false };
    }

    fn value(&mut self, field: Option<Range<usize>>, operator: Option<Operator>) {
        if self.punctuation("(") {
            self.scan.expected = Expected::Value { field, operator, in_list: true };
        } else if self.transformer() {
            self.calls.push(Expected::Join);
        } else {
            let closes = self.punctuation(")");
            if closes || self.literal() {
                self.scan.expected = Expected::Join;
            }
        }
    }

    /// Inside of a list.
    fn member(&mut self) {
        if self.punctuation(")") {
            self.scan.expected = Expected::Join;
        } else if !self.punctuation(",") {
            self.literal();
        }
    }

    /// Inside of the parentheses of a transformer.
    fn argument(&mut self) {
        if self.punctuation(")") {
            let after = self.calls.pop().unwrap_or_default();
            self.field_argument();
            self.scan.expected = after;
        } else if self.punctuation("(") {
            self.calls.push(Expected::Argument);
        } else if !self.punctuation(",") && !self.field() {
            if self.transformer() {
                self.calls.push(Expected::Argument);
            } else {
                self.literal();
            }
        }
    }

    fn join(&mut self) {
        let start = self.lexer.offset();
        if self.keyword(&["and", "or"]) {
            self.scan.expected = Expected::Condition;
        } else if self.field() {
            self.scan.expected = Expected::Operator(Some(start..self.lexer.offset()));
        } else {
            self.punctuation(")");
        }
    }

    fn field(&mut self) -> bool {
        let start = self.lexer.offset();
        if !self.lexer.field_name() {
            return false;
        }
        self.push(TokenKind::Field, start);
        self.field_argument();
        true
    }

    fn field_argument(&mut self) {
        if !self.lexer.word("[") {
            return;
        }
        self.lexer.blank();
        let start = self.lexer.offset();
        if matches!(self.lexer.quoted(), Ok(true)) || self.lexer.bare_argument() {
            self.push(TokenKind::FieldArgument, start);
        }
        self.lexer.blank();
        self.lexer.word("]");
    }

    /// The name of a transformer and its parenthesis.
    fn transformer(&mut self) -> bool {
        let start = self.lexer.offset();
        if !self.lexer.word("val(") && self.lexer.transformer().is_none() {
            return false;
        }
        let open = self.lexer.offset().saturating_sub(1);
        self.scan.tokens.push(Token { kind: TokenKind::Transformer, range: start..open });
        self.push(TokenKind::Punctuation, open);
        self.scan.expected = Expected::Argument;
        true
    }

    fn literal(&mut self) -> bool {
        let start = self.lexer.offset();
        if matches!(self.lexer.quoted(), Ok(true)) {
            self.push(TokenKind::Quoted, start);
            return true;
        }
        let bare = self.lexer.bare();
        if bare {
            self.push(TokenKind::Value, start);
        }
        bare
    }

    fn keyword(&mut self, words: &[&str]) -> bool {
        let start = self.lexer.offset();
        let rest = self.text.get(start..).unwrap_or_default();
        let found = words.iter().find(|word| {
            let after = rest.strip_prefix(**word);
            after.is_some_and(|after| !after.starts_with(is_word_char))
        });
        let found = found.is_some_and(|word| self.lexer.word(word));
        if found {
            self.push(TokenKind::Keyword, start);
        }
        found
    }

    fn punctuation(&mut self, mark: &str) -> bool {
        let start = self.lexer.offset();
        let found = self.lexer.word(mark);
        if found {
            self.push(TokenKind::Punctuation, start);
        }
        found
    }

    /// Takes a word that does not fit, or at least one character.
    fn unknown(&mut self) {
        let start = self.lexer.offset();
        if !self.lexer.bare() {
            let next = self.text.get(start..).and_then(|rest| rest.chars().next());
            let mut buffer = [0; 4];
            let word = next.map_or("", |c| &*c.encode_utf8(&mut buffer));
            self.lexer.word(word);
        }
        self.push(TokenKind::Unknown, start);
    }

    fn push(&mut self, kind: TokenKind, start: usize) {
        self.scan.tokens.push(Token { kind, range: start..self.lexer.offset() });
    }
}

fn is_word_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{DEFAULT_MAX_DEPTH, parse};

    fn words(text: &str) -> Vec<(TokenKind, &str)> {
        let tokens = scan(text).tokens;
        tokens.into_iter().map(|token| (token.kind, &text[token.range])).collect()
    }

    #[test]
    fn words_are_classified_by_their_place() {
        use TokenKind::*;
        assert_eq!(
            words("not a and fd.name[x] startswith anyof (b, 'c d') or tolower(proc.name)=e"),
            [
                (Keyword, "not"),
                (Macro, "a"),
                (Keyword, "and"),
                (Field, "fd.name"),
                (FieldArgument, "x"),
                (Operator, "startswith"),
                (Operator, "anyof"),
                (Punctuation, "("),
                (Value, "b"),
                (Punctuation, ","),
                (Quoted, "'c d'"),
                (Punctuation, ")"),
                (Keyword, "or"),
                (Transformer, "tolower"),
                (Punctuation, "("),
                (Field, "proc.name"),
                (Punctuation, ")"),
                (Operator, "="),
                (Value, "e"),
            ]
        );
    }

    #[test]
    fn incomplete_conditions_tell_what_may_follow() {
        let field = Some(0..4);
        let value = |operator, in_list| Expected::Value { field: field.clone(), operator, in_list };
        for (text, expected) in [
            ("", Expected::Condition),
            ("a.bc ", Expected::Operator(field.clone())),
            ("a.bc = ", value(Some(Operator::Eq), false)),
            ("a.bc in (", value(Some(Operator::In), true)),
            ("a.bc in (x, ", value(Some(Operator::In), true)),
            ("a.bc = x ", Expected::Join),
            ("a.bc exists and ", Expected::Condition),
            ("m or not (", Expected::Condition),
            ("a.bc = tolower(", Expected::Argument),
            ("a.bc = tolower(d.e) ", Expected::Join),
            ("m", Expected::Join),
        ] {
            assert_eq!(scan(text).expected, expected, "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_is_unknown_and_the_rest_is_read() {
        use TokenKind::*;
        assert_eq!(
            words("a.b like x && c.d = y"),
            [
                (Field, "a.b"),
                (Unknown, "like"),
                (Value, "x"),
                (Unknown, "&&"),
                (Field, "c.d"),
                (Operator, "="),
                (Value, "y"),
            ]
        );
    }

    /// Words as conditions have them, in any order.
    fn conditions() -> impl Strategy<Value = String> {
        let word = prop_oneof![
            3 => Just("and"), 2 => Just("or"), 1 => Just("not"), 3 => Just("("), 3 => Just(")"),
            3 => Just("m"), 4 => Just("a.b"), 1 => Just("a.b[1]"), 3 => Just("="), 2 => Just("in"),
            1 => Just("exists"), 1 => Just("startswith"), 1 => Just("anyof"), 1 => Just(","),
            2 => Just("'q w'"), 3 => Just("v"), 1 => Just("tolower("), 1 => Just("val("),
            1 => Just("ü"), 1 => Just(">="), 1 => Just("3"),
        ];
        let blank = prop_oneof![4 => Just(" "), 1 => Just("")];
        proptest::collection::vec((word, blank), 0..14).prop_map(|words| {
            words.into_iter().map(|(word, blank)| format!("{word}{blank}")).collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

        #[test]
        fn fields_and_macros_are_those_of_the_tree(text in conditions()) {
            let scan = scan(&text);
            let mut end = 0;
            for token in &scan.tokens {
                prop_assert!(token.range.start >= end && token.range.end > token.range.start);
                prop_assert!(text.get(token.range.clone()).is_some());
                end = token.range.end;
            }
            // The grammar allows macros with the names of keywords; they are hardly meant.
            let odd = |name: &&str| matches!(*name, "and" | "or" | "not");
            if let Ok(expr) = parse(&text, DEFAULT_MAX_DEPTH)
                && !expr.macros().iter().any(odd)
            {
                let of = |kind| -> Vec<&str> {
                    let tokens = scan.tokens.iter().filter(|token| token.kind == kind);
                    tokens.map(|token| &text[token.range.clone()]).collect()
                };
                prop_assert_eq!(of(TokenKind::Macro), expr.macros());
                let fields: Vec<_> = expr.fields().iter().map(|field| field.name.as_str()).collect();
                prop_assert_eq!(of(TokenKind::Field), fields);
                prop_assert_eq!(of(TokenKind::Unknown), Vec::<&str>::new());
            }
        }
    }
}
