//! The interfaces of what supplies fields: names at compile time, values at run time.

use std::fmt::Debug;
use std::hash::Hash;

use bumpalo::Bump;
use peregrine_event::{Format, ParamType};
use thiserror::Error;

use crate::Value;

/// The fields that exist. Used at compile time only.
pub trait Vocabulary {
    /// A resolved field with its argument, for which a [`Supplier`] has a value.
    type Field: Clone + Debug + Eq + Hash;

    /// Resolves the longest field at the start of `text` (`proc.aname[2]`, `evt.arg.flags`,
    /// `fd.name`).
    ///
    /// [`Resolved::len`] is the length of its name. In a condition that must be all of `text`; an
    /// output template prints the rest.
    ///
    /// # Errors
    /// When no field starts there, or its argument is missing or not valid.
    fn resolve(&self, text: &str) -> Result<Resolved<Self::Field>, FieldError>;

    /// Checks that a field can have the value of a literal that it is compared with, unquoted:
    /// there is no event type `opne`.
    ///
    /// # Errors
    /// When no event can give the field this value.
    fn check_literal(&self, _field: &Self::Field, _literal: &[u8]) -> Result<(), UnknownLiteral> {
        Ok(())
    }

    /// Names of fields similar to a name that does not exist, the nearest first. For messages.
    fn similar(&self, _name: &str) -> Vec<String> {
        Vec::new()
    }

    /// Why no event ever gives the field a value, and what serves instead, if that is so.
    fn never(&self, _field: &Self::Field) -> Option<(&'static str, &'static str)> {
        None
    }

    /// Whether a text may name a field that never has a value. A quick search, so that texts
    /// without such a field are not parsed for it.
    fn may_lack_values(&self, _text: &str) -> bool {
        false
    }

    /// Whether the field is a distance in time (`evt.around`): its value is in nanoseconds,
    /// literals are in milliseconds, `=` means "at most", and no other operator applies.
    fn is_distance(&self, _field: &Self::Field) -> bool {
        false
    }
}

/// A resolved field.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved<F> {
    /// The field.
    pub field: F,
    /// Length of its name with argument, in bytes.
    pub len: usize,
    /// Type of its value, or of each of its values.
    pub ty: ParamType,
    /// Base in which numbers are printed.
    pub format: Format,
    /// Whether its value is a list (`fd.types`).
    pub list: bool,
    /// Set for a field with several values that is compared like one with a single value.
    pub each: Option<MultiValue>,
    /// Restrictions on its use.
    pub limits: Limits,
}

/// When a comparison of several values holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MultiValue {
    /// When it holds for any of them (`proc.aname` without an argument: any ancestor).
    Any,
    /// Like `Any`, but `!=` must hold for all of them (`fd.ip`: both ends of a connection).
    ///
    /// An empty list means an fd without an address: `exists` holds, and every comparison, also
    /// `!=`, is false.
    Ends,
}

/// Restrictions on the use of a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Not allowed in outputs.
    pub filter_only: bool,
    /// Not allowed in conditions.
    pub print_only: bool,
    /// Not allowed on the right of a comparison.
    pub no_rhs: bool,
    /// Not allowed inside a transformer.
    pub no_transformer: bool,
}

/// Why a text is not a field.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum FieldError {
    /// No field has this name.
    #[error("nonexistent field {name}")]
    Unknown {
        /// The name as written.
        name: String,
    },
    /// The field exists, but its argument is not valid. The text is the whole message.
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

/// The values of fields for one event.
pub trait Supplier<F> {
    /// The value, or `None` when the event (or the state of its thread) has none.
    fn value<'s>(&'s self, field: &F) -> Option<Value<'s>>;

    /// Whether the value is still being found out. [`value`](Self::value) has none until then.
    fn is_unknown(&self, _field: &F) -> bool {
        false
    }

    /// Type and base of the value, where they differ from event to event (`evt.rawarg`).
    fn dynamic_type(&self, _field: &F) -> Option<(ParamType, Format)> {
        None
    }

    /// The value as an output shows it. It differs for a few fields: times are numbers in JSON, all
    /// ancestors are one text, bytes are made printable.
    fn output_value<'s>(&'s self, field: &F, _place: OutputKind) -> Option<OutputValue<'s>> {
        self.value(field).map(|value| OutputValue { value, ty: self.dynamic_type(field) })
    }

    /// Memory for values that are built during the event; freed as a whole after it.
    fn scratch(&self) -> &Bump;
}

/// Where an output shows a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputKind {
    /// In the text.
    Text,
    /// In `output_fields`.
    Json,
}

/// A value for an output.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OutputValue<'a> {
    /// The value.
    pub value: Value<'a>,
    /// Its type and base, where they differ from those of the field.
    pub ty: Option<(ParamType, Format)>,
}
