//! Parses a condition to a tree, by recursive descent over bytes.

use std::sync::Arc;

use thiserror::Error;

use crate::ast::{
    Argument, Call, Check, Comparison, Expr, ExprKind, FieldRef, Operand, OperandKind, Operator,
    Right, Span, Spanned, Text, Transformer,
};
use crate::lexer::{EscapeError, Lexer};

/// How deep conditions may nest by default.
pub const DEFAULT_MAX_DEPTH: usize = 100;

/// How deep conditions of rules may nest.
pub const RULES_MAX_DEPTH: usize = 1000;

/// Parses a condition.
///
/// `max_depth` bounds the recursion; a pair of parentheses takes five steps.
///
/// # Errors
/// When the text is not a condition, with the first position at which that shows.
///
/// ```
/// use peregrine_filter::{DEFAULT_MAX_DEPTH, parse};
///
/// let condition = parse("evt.type=open and not proc.name in (cat, 'my shell')", DEFAULT_MAX_DEPTH)?;
/// assert_eq!(condition.to_string(), r#"(evt.type = open and not proc.name in (cat, "my shell"))"#);
/// # Ok::<(), peregrine_filter::ParseError>(())
/// ```
pub fn parse(text: &str, max_depth: usize) -> Result<Expr, ParseError> {
    let mut parser = Parser { lexer: Lexer::new(text), depth: 0, max_depth };
    if text.is_empty() {
        return Err(parser.error(ParseErrorKind::Empty));
    }
    let expr = parser.or()?;
    if parser.lexer.at_end() {
        return Ok(expr);
    }
    let after = parser.lexer.token();
    Err(parser.error(ParseErrorKind::TrailingToken { after }))
}

/// Parses the field or transformer at the start of a text, as after `%` in an output template. The
/// second value is its length; the text after it is ignored.
///
/// # Errors
/// When no field or transformer starts there.
pub fn parse_operand(text: &str, max_depth: usize) -> Result<(Operand, usize), ParseError> {
    let mut parser = Parser { lexer: Lexer::new(text), depth: 0, max_depth };
    match parser.nested(Parser::operand)? {
        Some(operand) => Ok((operand, parser.lexer.offset())),
        None => {
            let after = parser.lexer.token();
            Err(parser.error(ParseErrorKind::NoOperand { after }))
        }
    }
}

/// Why a text is not a condition.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{kind}")]
pub struct ParseError {
    /// Position in the text, in bytes.
    pub offset: usize,
    /// What is wrong.
    pub kind: ParseErrorKind,
}

/// What is wrong with a condition. The messages are those of Falco, which tools compare.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// The text is empty.
    #[error("filter input string is empty")]
    Empty,
    /// A quoted text has an invalid escape sequence.
    #[error("{0}")]
    Escape(#[from] EscapeError),
    /// Expected an argument of a transformer.
    #[error(
        "expected field transformer argument: field, transformer, quoted string, number, or transformer list"
    )]
    ExpectedArgument,
    /// Expected a blank or parenthesis after `and` or `or`.
    #[error("expected blank or '(' after '{0}'")]
    ExpectedBlank(&'static str),
    /// Expected a condition.
    #[error("expected a '(' token, a field check, or an identifier")]
    ExpectedCheck,
    /// A parenthesis is not closed.
    #[error("expected a ')' token")]
    ExpectedClosing,
    /// A bracket is not closed.
    #[error("expected a ']' token")]
    ExpectedClosingBracket,
    /// `val(` without a field.
    #[error("expected a field within 'val' transformer")]
    ExpectedField,
    /// `[` without an argument.
    #[error("expected a valid field argument: a quoted string or a bare string")]
    ExpectedFieldArgument,
    /// Expected a list.
    #[error("expected a list or an identifier")]
    ExpectedList,
    /// Expected a member of the list of a transformer.
    #[error("expected transformer list argument: field, transformer, quoted string, or number")]
    ExpectedListArgument,
    /// Expected a list or a field.
    #[error(
        "expected a list, an identifier, or a field with a valid transformer: {}",
        quoted(Transformer::ALL.iter().map(|t| t.as_str()))
    )]
    ExpectedListOrOperand,
    /// The list of a transformer is not closed.
    #[error("expected ')'")]
    ExpectedListClosing,
    /// Expected a number or a field.
    #[error(
        "expected a number value or a field with a valid transformer: {}",
        quoted(Transformer::ALL.iter().map(|t| t.as_str()))
    )]
    ExpectedNumberOrOperand,
    /// Expected an operator after a field.
    #[error("expected a valid check operator: one of {}", quoted(operators()))]
    ExpectedOperator,
    /// Expected a text.
    #[error("expected a string value")]
    ExpectedText,
    /// Expected a text or a field.
    #[error(
        "expected a string value or a field with a valid transformer: {}",
        quoted(Transformer::ALL.iter().map(|t| t.as_str()))
    )]
    ExpectedTextOrOperand,
    /// A transformer is not closed.
    #[error("expected a ')' token closing the transformer")]
    ExpectedTransformerClosing,
    /// No field or transformer at the start of a text.
    #[error("unexpected token after '{after}")]
    NoOperand {
        /// The last valid word.
        after: String,
    },
    /// Nested too deep.
    #[error("exceeded max depth limit of {0}")]
    TooDeep(usize),
    /// Text after the end of the condition.
    #[error("unexpected token after '{after}', expecting 'or', 'and'")]
    TrailingToken {
        /// The last valid word.
        after: String,
    },
}

fn operators() -> impl Iterator<Item = &'static str> {
    std::iter::once("exists").chain(Operator::ALL.iter().map(|op| op.as_str()))
}

fn quoted<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.map(|word| format!("'{word}'")).collect::<Vec<_>>().join(", ")
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    depth: usize,
    max_depth: usize,
}

type Parsed<T> = Result<T, ParseError>;

impl Parser<'_> {
    fn or(&mut self) -> Parsed<Expr> {
        self.nested(|p| p.chain("or", Self::and, ExprKind::Or))
    }

    fn and(&mut self) -> Parsed<Expr> {
        self.nested(|p| p.chain("and", Self::not, ExprKind::And))
    }

    fn chain(
        &mut self,
        word: &'static str,
        term: fn(&mut Self) -> Parsed<Expr>,
        join: fn(Vec<Expr>) -> ExprKind,
    ) -> Parsed<Expr> {
        let start = self.lexer.offset();
        self.lexer.blank();
        let first = term(self)?;
        self.lexer.blank();
        if !self.lexer.word(word) {
            return Ok(first);
        }
        let mut all = vec![first];
        loop {
            all.push(if self.lexer.blank() {
                term(self)?
            } else if self.lexer.word("(") {
                self.parenthesised()?
            } else {
                return Err(self.error(ParseErrorKind::ExpectedBlank(word)));
            });
            self.lexer.blank();
            if !self.lexer.word(word) {
                return Ok(Spanned::new(join(all), self.span(start)));
            }
        }
    }

    fn not(&mut self) -> Parsed<Expr> {
        self.nested(|p| {
            let start = p.lexer.offset();
            p.lexer.blank();
            let mut negated = false;
            while p.lexer.not() {
                negated = !negated;
            }
            let child = if p.lexer.word("not(") {
                negated = !negated;
                p.parenthesised()?
            } else {
                p.check()?
            };
            Ok(if negated {
                Spanned::new(ExprKind::Not(Box::new(child)), p.span(start))
            } else {
                child
            })
        })
    }

    /// Parses after `(`.
    fn parenthesised(&mut self) -> Parsed<Expr> {
        self.nested(|p| {
            p.lexer.blank();
            let child = p.or()?;
            p.lexer.blank();
            p.closing(ParseErrorKind::ExpectedClosing)?;
            Ok(child)
        })
    }

    fn check(&mut self) -> Parsed<Expr> {
        self.nested(|p| {
            let start = p.lexer.offset();
            p.lexer.blank();
            if p.lexer.word("(") {
                return p.parenthesised();
            }
            let kind = match p.operand()? {
                Some(left) => ExprKind::Check(Arc::new(p.condition(left)?)),
                None if p.lexer.identifier() => ExprKind::Macro(p.lexer.token()),
                None => return Err(p.error(ParseErrorKind::ExpectedCheck)),
            };
            Ok(Spanned::new(kind, p.span(start)))
        })
    }

    fn condition(&mut self, left: Operand) -> Parsed<Check> {
        self.nested(|p| {
            p.lexer.blank();
            if p.lexer.word("exists") {
                return Ok(Check::Exists(left));
            }
            let mut quantifier = None;
            let (op, right) = if let Some(op) = p.lexer.number_operator() {
                (op, p.number_or_operand()?)
            } else if let Some((op, blank)) = p.lexer.text_operator() {
                quantifier = if blank { p.lexer.quantifier() } else { None };
                let right =
                    if quantifier.is_some() { p.list_or_name() } else { p.text_or_operand() };
                (op, right?)
            } else if let Some(op) = p.lexer.list_operator() {
                (op, p.list_or_operand()?)
            } else {
                return Err(p.error(ParseErrorKind::ExpectedOperator));
            };
            Ok(Check::Compare(Comparison { left, op, quantifier, right }))
        })
    }

    fn number_or_operand(&mut self) -> Parsed<Right> {
        self.nested(|p| {
            p.lexer.blank();
            if let Some(operand) = p.right_operand()? {
                return Ok(Right::Operand(operand));
            }
            let start = p.lexer.offset();
            if p.lexer.number() {
                return Ok(Right::Value(p.token(start)));
            }
            Err(p.error(ParseErrorKind::ExpectedNumberOrOperand))
        })
    }

    fn text_or_operand(&mut self) -> Parsed<Right> {
        self.nested(|p| {
            p.lexer.blank();
            if let Some(operand) = p.right_operand()? {
                return Ok(Right::Operand(operand));
            }
            match p.text()? {
                Some(text) => Ok(Right::Value(text)),
                None => Err(p.error(ParseErrorKind::ExpectedTextOrOperand)),
            }
        })
    }

    fn list_or_operand(&mut self) -> Parsed<Right> {
        self.nested(|p| {
            p.lexer.blank();
            if let Some(list) = p.list()? {
                return Ok(Right::List(list));
            }
            if let Some(operand) = p.right_operand()? {
                return Ok(Right::Operand(operand));
            }
            p.name_of_list(ParseErrorKind::ExpectedListOrOperand)
        })
    }

    fn list_or_name(&mut self) -> Parsed<Right> {
        self.nested(|p| {
            p.lexer.blank();
            match p.list()? {
                Some(list) => Ok(Right::List(list)),
                None => p.name_of_list(ParseErrorKind::ExpectedList),
            }
        })
    }

    fn name_of_list(&mut self, otherwise: ParseErrorKind) -> Parsed<Right> {
        let start = self.lexer.offset();
        if self.lexer.identifier() {
            return Ok(Right::Value(self.token(start)));
        }
        Err(self.error(otherwise))
    }

    fn list(&mut self) -> Parsed<Option<Spanned<Vec<Text>>>> {
        let start = self.lexer.offset();
        if !self.lexer.word("(") {
            return Ok(None);
        }
        let mut values = Vec::new();
        self.lexer.blank();
        if let Some(first) = self.text()? {
            values.push(first.node);
            self.lexer.blank();
            while self.lexer.word(",") {
                self.lexer.blank();
                match self.text()? {
                    Some(next) => values.push(next.node),
                    None => return Err(self.error(ParseErrorKind::ExpectedText)),
                }
                self.lexer.blank();
            }
        }
        self.closing(ParseErrorKind::ExpectedClosing)?;
        Ok(Some(Spanned::new(values, self.span(start))))
    }

    fn text(&mut self) -> Parsed<Option<Spanned<Text>>> {
        let start = self.lexer.offset();
        Ok((self.quoted()? || self.lexer.bare()).then(|| self.token(start)))
    }

    /// `val(field)` or a transformer, which on the right are not literals.
    fn right_operand(&mut self) -> Parsed<Option<Operand>> {
        self.nested(|p| {
            let start = p.lexer.offset();
            if p.lexer.word("val(") {
                return p.val(start).map(Some);
            }
            match p.lexer.transformer() {
                Some(transformer) => p.call(transformer, start).map(Some),
                None => Ok(None),
            }
        })
    }

    fn val(&mut self, start: usize) -> Parsed<Operand> {
        self.lexer.blank();
        let inner = self.lexer.offset();
        if !self.lexer.field_name() {
            return Err(self.error(ParseErrorKind::ExpectedField));
        }
        let field = self.field(inner)?;
        self.lexer.blank();
        self.closing(ParseErrorKind::ExpectedTransformerClosing)?;
        let call = Call {
            transformer: Transformer::Val,
            args: vec![Argument::Operand(field)],
            arg: self.field_argument()?,
        };
        Ok(Spanned::new(OperandKind::Call(call), self.span(start)))
    }

    fn operand(&mut self) -> Parsed<Option<Operand>> {
        let start = self.lexer.offset();
        if self.lexer.field_name() {
            return self.field(start).map(Some);
        }
        match self.lexer.transformer() {
            Some(transformer) => self.call(transformer, start).map(Some),
            None => Ok(None),
        }
    }

    /// Parses after the name of a field, which is the last token.
    fn field(&mut self, start: usize) -> Parsed<Operand> {
        self.nested(|p| {
            let field = FieldRef { name: p.lexer.token(), arg: p.field_argument()? };
            Ok(Spanned::new(OperandKind::Field(field), p.span(start)))
        })
    }

    fn field_argument(&mut self) -> Parsed<Option<String>> {
        if !self.lexer.word("[") {
            return Ok(None);
        }
        if !(self.quoted()? || self.lexer.bare_argument()) {
            return Err(self.error(ParseErrorKind::ExpectedFieldArgument));
        }
        let arg = self.lexer.token();
        if !self.lexer.word("]") {
            return Err(self.error(ParseErrorKind::ExpectedClosingBracket));
        }
        Ok(Some(arg))
    }

    /// Parses after `tolower(`.
    fn call(&mut self, transformer: Transformer, start: usize) -> Parsed<Operand> {
        self.nested(|p| {
            p.lexer.blank();
            let mut args = vec![p.argument()?];
            p.lexer.blank();
            while p.lexer.word(",") {
                args.push(p.argument()?);
                p.lexer.blank();
            }
            p.closing(ParseErrorKind::ExpectedTransformerClosing)?;
            let call = Call { transformer, args, arg: p.field_argument()? };
            Ok(Spanned::new(OperandKind::Call(call), p.span(start)))
        })
    }

    fn argument(&mut self) -> Parsed<Argument> {
        self.nested(|p| {
            p.lexer.blank();
            let start = p.lexer.offset();
            if let Some(single) = p.single_argument(start)? {
                return Ok(single);
            }
            if !p.lexer.word("(") {
                return Err(p.error(ParseErrorKind::ExpectedArgument));
            }
            let mut members = Vec::new();
            p.lexer.blank();
            while !p.lexer.word(")") {
                if !members.is_empty() {
                    if !p.lexer.word(",") {
                        return Err(p.error(ParseErrorKind::ExpectedListClosing));
                    }
                    p.lexer.blank();
                }
                match p.single_argument(p.lexer.offset())? {
                    Some(member) => members.push(member),
                    None => return Err(p.error(ParseErrorKind::ExpectedListArgument)),
                }
                p.lexer.blank();
            }
            Ok(Argument::List(Spanned::new(members, p.span(start))))
        })
    }

    fn single_argument(&mut self, start: usize) -> Parsed<Option<Argument>> {
        if self.lexer.number() || self.quoted()? {
            return Ok(Some(Argument::Literal(self.token(start))));
        }
        Ok(self.operand()?.map(Argument::Operand))
    }

    fn quoted(&mut self) -> Parsed<bool> {
        self.lexer.quoted().map_err(|e| self.error(e.into()))
    }

    fn closing(&mut self, otherwise: ParseErrorKind) -> Parsed<()> {
        if self.lexer.word(")") { Ok(()) } else { Err(self.error(otherwise)) }
    }

    fn token(&self, start: usize) -> Spanned<Text> {
        Spanned::new(self.lexer.text_token(), self.span(start))
    }

    fn span(&self, start: usize) -> Span {
        Span { start, end: self.lexer.offset() }
    }

    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        self.depth += 1;
        if self.depth >= self.max_depth {
            return Err(self.error(ParseErrorKind::TooDeep(self.max_depth)));
        }
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    fn error(&self, kind: ParseErrorKind) -> ParseError {
        ParseError { offset: self.lexer.offset(), kind }
    }
}

#[cfg(test)]
mod tests;
