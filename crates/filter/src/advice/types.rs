//! Advice and its parts.

use crate::Span;

/// What people are told about an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// The kind of mistake.
    pub fault: Fault,
    /// The part of the text that is wrong.
    pub span: Span,
    /// What is wrong, in one sentence without its point.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
    /// A change of the text that makes it right.
    pub repair: Option<Repair>,
}

/// A change of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// What it does, as an order.
    pub title: String,
    /// Parts and what replaces them, in the order of the text and apart from each other.
    pub edits: Vec<(Span, String)>,
    /// Whether it certainly is what the author means.
    pub safe: bool,
}

/// Kinds of mistakes in conditions and outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// A condition that is wrong in another way than those below.
    Syntax,
    /// A word or sign of another language: `&&`, `like`, `not in`.
    ForeignOperator,
    /// A field that is compared with nothing.
    MissingOperator,
    /// An operator without a value.
    MissingValue,
    /// `and`, `or` or `not` without a condition beside it.
    MissingCondition,
    /// A parenthesis or bracket without its other half.
    Unbalanced,
    /// A quoted text without its end.
    UnclosedQuote,
    /// An escape sequence that does not exist.
    InvalidEscape,
    /// A list where a value must stand, or a list written in another way.
    ListForm,
    /// A character that looks like another one, or like none.
    OddCharacter,
    /// The syntax of a template language or shell.
    Template,
    /// A value alone.
    LooseValue,
    /// Nested too deep.
    TooDeep,
    /// No field has this name.
    UnknownField,
    /// A field of a plugin that is not loaded.
    PluginField,
    /// No event has this type.
    UnknownEventType,
    /// A name in the place of a value that no list has.
    UndefinedList,
    /// A network in the place of an address, or the reverse.
    InvalidAddress,
    /// Not a number or port.
    InvalidNumber,
    /// Neither `true` nor `false`.
    InvalidBoolean,
    /// A value that is not valid in another way.
    InvalidValue,
    /// An operator that does not apply to the field.
    OperatorOfType,
    /// The argument of a field.
    FieldArgument,
    /// A transformer or its arguments.
    Transformer,
    /// Not a regular expression.
    InvalidRegex,
    /// Two fields that can't be compared.
    RightSide,
    /// A `%` that begins no field.
    StrayPercent,
    /// A placeholder of another language.
    ForeignPlaceholder,
    /// An output that is wrong in another way.
    Output,
    /// A field followed by letters that look like the rest of another field's name.
    FieldWithTail,
}

/// The names that exist around a condition.
pub trait Names {
    /// The list whose name is most like this one.
    fn similar_list(&self, name: &str) -> Option<String>;

    /// The macro whose name is most like this one.
    fn similar_macro(&self, name: &str) -> Option<String>;
}

impl Advice {
    pub(crate) fn new(fault: Fault, span: Span, message: impl Into<String>) -> Self {
        Self { fault, span, message: message.into(), help: None, repair: None }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// A change that is certainly meant.
    pub(crate) fn repair(mut self, title: impl Into<String>, edits: Vec<(Span, String)>) -> Self {
        self.repair = Some(Repair { title: title.into(), edits, safe: true });
        self
    }

    /// A change that may be meant.
    pub(crate) fn offer(mut self, title: impl Into<String>, edits: Vec<(Span, String)>) -> Self {
        self.repair = Some(Repair { title: title.into(), edits, safe: false });
        self
    }
}

impl Repair {
    /// The text with its edits.
    #[must_use]
    pub fn apply(&self, text: &str) -> Option<String> {
        let mut out = String::with_capacity(text.len() + 16);
        let mut from = 0;
        for (span, new) in &self.edits {
            out += text.get(from..span.start)?;
            out += new;
            from = span.end;
        }
        out += text.get(from..)?;
        Some(out)
    }
}
