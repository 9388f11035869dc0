//! What the language asks of whoever knows the fields.

use std::fmt::Debug;
use std::hash::Hash;

use bumpalo::Bump;
use peregrine_event::{Format, ParamType};
use thiserror::Error;

use crate::Value;

/// Knows which fields exist. Asked at load time only.
pub trait Vocabulary {
    /// A field with its argument, understood: what [`Supplier`] is asked with at run time.
    type Field: Clone + Debug + Eq + Hash;

    /// Understands the longest field at the start of `text` (`proc.aname[2]`, `evt.arg.flags`, `fd.name`).
    ///
    /// [`Resolved::len`] says how much of `text` it is; a condition wants all of it, an output format takes
    /// what it gets and prints the rest as it stands.
    ///
    /// # Errors
    /// When no field starts there, or its argument is missing or wrong.
    fn resolve(&self, text: &str) -> Result<Resolved<Self::Field>, FieldError>;

    /// Whether the field could ever be what a condition compares it with: there is no event type
    /// `opne`. Asked for every literal on the right of the field, with its bytes unquoted.
    ///
    /// # Errors
    /// When no event can give the field this value.
    fn check_literal(&self, _field: &Self::Field, _literal: &[u8]) -> Result<(), UnknownLiteral> {
        Ok(())
    }

    /// Names of fields that look like this name, the likest first: for messages about a name that is none.
    fn similar(&self, _name: &str) -> Vec<String> {
        Vec::new()
    }

    /// Whether the field is a distance (`evt.around`): its value is one in nanoseconds, the literal
    /// one in milliseconds, `=` asks that the value is not above it, and no other operator applies.
    fn is_distance(&self, _field: &Self::Field) -> bool {
        false
    }
}

/// A field that was understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved<F> {
    /// How to ask for it.
    pub field: F,
    /// Bytes of the text that name it.
    pub len: usize,
    /// Type of its value, or of each of its values.
    pub ty: ParamType,
    /// Base in which numbers are printed.
    pub format: Format,
    /// Whether its value is a list that users see as a list (`fd.types`).
    pub list: bool,
    /// Set when a comparison is made with several values, none of which the user names one by one.
    pub each: Option<Each>,
    /// What may not be done with it.
    pub limits: Limits,
}

/// How a comparison with several values comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Each {
    /// True when it is true for any of them (`proc.aname` without an argument: any ancestor).
    Any,
    /// Like `Any`, but `!=` must be true for all of them (`fd.ip`: both ends of a connection).
    ///
    /// An empty list says that there is an fd, but no address: `exists` holds and every comparison,
    /// also `!=`, is false.
    Ends,
}

/// What may not be done with a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Not in outputs.
    pub filter_only: bool,
    /// Not in conditions.
    pub print_only: bool,
    /// Not on the right of a comparison.
    pub no_rhs: bool,
    /// Not inside a transformer.
    pub no_transformer: bool,
}

/// Why a text is no field.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum FieldError {
    /// Nothing of that name.
    #[error("nonexistent field {name}")]
    Unknown {
        /// The name as written.
        name: String,
    },
    /// The field is known, its argument is not acceptable. The message is whole.
    #[error("{0}")]
    Argument(String),
}

/// A literal that no value of the field it is compared with can equal.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("unknown {kind} {literal}")]
pub struct UnknownLiteral {
    /// What the values of the field are: `event type`.
    pub kind: &'static str,
    /// The literal, unquoted.
    pub literal: String,
}

/// Gives the values of fields for one event.
pub trait Supplier<F> {
    /// The value, or `None` when the event (or the state of its thread) has none.
    fn value<'s>(&'s self, field: &F) -> Option<Value<'s>>;

    /// Type and base of the value just given, where they differ from event to event (`evt.rawarg`).
    fn dynamic_type(&self, _field: &F) -> Option<(ParamType, Format)> {
        None
    }

    /// The value as an output shows it. A few fields differ from what conditions compare: times are
    /// numbers in JSON, all ancestors are one text, bytes are made printable.
    fn shown<'s>(&'s self, field: &F, _place: Place) -> Option<Shown<'s>> {
        self.value(field).map(|value| Shown { value, ty: self.dynamic_type(field) })
    }

    /// Memory for values that must be put together; freed as a whole after the event.
    fn scratch(&self) -> &Bump;
}

/// Kind of output a value goes into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line of text.
    Text,
    /// `output_fields`.
    Json,
}

/// A value for an output.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shown<'a> {
    /// The value.
    pub value: Value<'a>,
    /// Its type and base, where they are not those of the field.
    pub ty: Option<(ParamType, Format)>,
}
