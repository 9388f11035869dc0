//! Prints a tree as a condition.

use std::fmt::{self, Display, Formatter, Write};

use crate::ast::{
    Argument, Call, Check, Comparison, Expr, ExprKind, FieldRef, Operand, OperandKind, Right, Text,
};

/// Prints a condition that parses to the same tree. Literals are quoted where they must be.
impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Printer { f, style: Style::Faithful }.expr(self)
    }
}

/// Prints a test that parses to the same test.
impl Display for Check {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Printer { f, style: Style::Faithful }.check(self)
    }
}

/// Prints an operand that parses to the same operand.
impl Display for Operand {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Printer { f, style: Style::Faithful }.operand(self)
    }
}

impl Expr {
    /// The form in which Falco describes compiled conditions. Unlike `Display` it leaves literals
    /// bare that can't be parsed again, such as an empty one.
    pub fn described(&self) -> impl Display + '_ {
        Described(self)
    }
}

impl Operand {
    /// The form in which Falco names fields and transformers of outputs, as [`Expr::described`].
    pub fn described(&self) -> impl Display + '_ {
        DescribedOperand(self)
    }
}

struct Described<'a>(&'a Expr);

impl Display for Described<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Printer { f, style: Style::Falco }.expr(self.0)
    }
}

struct DescribedOperand<'a>(&'a Operand);

impl Display for DescribedOperand<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Printer { f, style: Style::Falco }.operand(self.0)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Style {
    Faithful,
    Falco,
}

struct Printer<'a, 'f> {
    f: &'a mut Formatter<'f>,
    style: Style,
}

impl Printer<'_, '_> {
    fn expr(&mut self, expr: &Expr) -> fmt::Result {
        match &expr.node {
            ExprKind::And(children) => self.joined(children, " and ", Self::expr),
            ExprKind::Or(children) => self.joined(children, " or ", Self::expr),
            // `not not x` would parse as `x`.
            ExprKind::Not(child)
                if self.style == Style::Faithful && matches!(child.node, ExprKind::Not(_)) =>
            {
                self.f.write_str("not (")?;
                self.expr(child)?;
                self.f.write_char(')')
            }
            ExprKind::Not(child) => {
                self.f.write_str("not ")?;
                self.expr(child)
            }
            // Bare, it negates the next word.
            ExprKind::Macro(name) if self.style == Style::Faithful && name == "not" => {
                self.f.write_str("(not)")
            }
            ExprKind::Macro(name) => self.f.write_str(name),
            ExprKind::Check(check) => self.check(check),
        }
    }

    fn check(&mut self, check: &Check) -> fmt::Result {
        match check {
            Check::Exists(operand) => {
                self.operand(operand)?;
                self.f.write_str(" exists")
            }
            Check::Compare(Comparison { left, op, quantifier, right }) => {
                self.operand(left)?;
                self.f.write_char(' ')?;
                self.f.write_str(op.as_str())?;
                self.f.write_char(' ')?;
                if let Some(quantifier) = quantifier {
                    write!(self.f, "{quantifier} ")?;
                }
                match right {
                    Right::List(list) => self.joined(&list.node, ", ", Self::text),
                    Right::Operand(operand) => self.operand(operand),
                    Right::Value(value) => self.text(&value.node),
                }
            }
        }
    }

    fn operand(&mut self, operand: &Operand) -> fmt::Result {
        match &operand.node {
            OperandKind::Call(Call { transformer, args, arg }) => {
                self.f.write_str(transformer.as_str())?;
                self.joined(args, ",", Self::argument)?;
                self.field_argument(arg.as_deref())
            }
            OperandKind::Field(FieldRef { name, arg }) => {
                self.f.write_str(name)?;
                self.field_argument(arg.as_deref())
            }
        }
    }

    fn argument(&mut self, argument: &Argument) -> fmt::Result {
        match argument {
            Argument::List(list) => self.joined(&list.node, ",", Self::argument),
            Argument::Literal(text) if self.style == Style::Faithful => self.quoted(&text.node),
            Argument::Literal(text) => self.text(&text.node),
            Argument::Operand(operand) => self.operand(operand),
        }
    }

    fn field_argument(&mut self, arg: Option<&str>) -> fmt::Result {
        let Some(arg) = arg else { return Ok(()) };
        self.f.write_char('[')?;
        let text = Text::from(arg);
        if arg.is_empty() || self.style == Style::Faithful && arg.contains(['[', ']', '\u{b}']) {
            self.quoted(&text)?;
        } else {
            self.text(&text)?;
        }
        self.f.write_char(']')
    }

    fn text(&mut self, text: &Text) -> fmt::Result {
        let bytes = text.as_bytes();
        let falco = |b: &u8| {
            matches!(*b, 8 | 0xc | b'\n' | b'\r' | b'\t' | b' ' | b'=' | b'\\' | b'"' | b'\'' | 0)
        };
        let faithful = |b: &u8| falco(b) || matches!(*b, b'(' | b')' | b',' | 0xb);
        let must_quote = match self.style {
            Style::Falco => bytes.iter().any(falco),
            Style::Faithful => {
                bytes.is_empty()
                    || bytes.iter().any(faithful)
                    || std::str::from_utf8(bytes).is_err()
            }
        };
        if must_quote { self.quoted(text) } else { self.f.write_str(&text.to_str()) }
    }

    fn quoted(&mut self, text: &Text) -> fmt::Result {
        self.f.write_char('"')?;
        for chunk in text.as_bytes().utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '\u{8}' => self.f.write_str("\\b")?,
                    '\u{c}' => self.f.write_str("\\f")?,
                    '\n' => self.f.write_str("\\n")?,
                    '\r' => self.f.write_str("\\r")?,
                    '\t' => self.f.write_str("\\t")?,
                    // A quote after an escaped backslash does not close the text.
                    '\\' if self.style == Style::Faithful => self.f.write_str("\\x5c")?,
                    '\\' => self.f.write_str("\\\\")?,
                    '"' => self.f.write_str("\\\"")?,
                    '\0' if self.style == Style::Faithful => self.f.write_str("\\x00")?,
                    c => self.f.write_char(c)?,
                }
            }
            for byte in chunk.invalid() {
                match self.style {
                    Style::Faithful => write!(self.f, "\\x{byte:02x}")?,
                    Style::Falco => self.f.write_char(char::REPLACEMENT_CHARACTER)?,
                }
            }
        }
        self.f.write_char('"')
    }

    fn joined<T>(
        &mut self,
        items: &[T],
        separator: &str,
        mut print: impl FnMut(&mut Self, &T) -> fmt::Result,
    ) -> fmt::Result {
        self.f.write_char('(')?;
        for (k, item) in items.iter().enumerate() {
            if k > 0 {
                self.f.write_str(separator)?;
            }
            print(self, item)?;
        }
        self.f.write_char(')')
    }
}
