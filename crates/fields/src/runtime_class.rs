//! Classes of fields registered at run time: what a plugin adds to the table.

use std::borrow::Cow;
use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use peregrine_event::{EventSet, Format, ParamType};
use peregrine_filter::Value;
use thiserror::Error;

use crate::table::{
    Argument, Class, Cost, Definition, FieldId, ListedArgument, Needs, Options, Purity, Scope,
};
use crate::view::View;

/// Gives the values of the fields of a [`RuntimeClass`].
pub trait FieldExtractor: Debug + Send + Sync {
    /// The value of a field, named by its index in the class; `None` when the event has none.
    ///
    /// Values borrow from the event and the state of the view, or are built with [`View::text`] and
    /// [`View::list`]. A value of another type than the declared one counts as none.
    fn extract<'a>(
        &self,
        view: &View<'a>,
        field: usize,
        argument: &FieldArgument,
    ) -> Option<Value<'a>>;
}

/// The argument of a field of a [`RuntimeClass`], parsed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FieldArgument {
    /// The field stands without brackets.
    None,
    /// `field[2]`
    Index(u64),
    /// `field[key]`
    Key(Arc<[u8]>),
}

/// A field as its class declares it. Purity and cost have no default: see [`Purity`] and [`Cost`].
#[derive(Clone, Debug)]
pub struct RuntimeField {
    /// Name, without argument: letters, digits, `_` and `.`, a letter first.
    pub name: String,
    /// What it says, in a sentence or two.
    pub description: String,
    /// Type of its value, or of each of its values.
    pub ty: ParamType,
    /// Base in which numbers are printed.
    pub format: Format,
    /// Whether its value is a list.
    pub list: bool,
    /// What may or must follow the name in brackets.
    pub argument: Option<ListedArgument>,
    /// Whether reading it changes later reads.
    pub purity: Purity,
    /// What reading it costs.
    pub cost: Cost,
    /// Whether `--list` leaves it out.
    pub hidden: bool,
    /// Whether every alert should show it.
    pub suggested: bool,
}

/// A class of fields with the extractor that supplies their values.
///
/// Conditions hold a reference to the class of each field they read, so that a class lives as long
/// as any rule compiled with it.
#[derive(Debug)]
pub struct RuntimeClass {
    class: Class,
    events: EventSet,
    extractor: Box<dyn FieldExtractor>,
}

/// Why a class can't be registered.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ClassError {
    /// The name of a field is not one that conditions can use.
    #[error("{0:?} can't be the name of a field")]
    Name(String),
    /// Two fields of one source have the same name.
    #[error("there is a field {0} already")]
    Duplicate(String),
    /// More fields than an index can tell apart.
    #[error("a class can't have {0} fields")]
    TooMany(usize),
}

impl RuntimeClass {
    /// A class with these fields for the events of the named sources.
    ///
    /// `events` are the types of events that can have values; a condition on any other type is
    /// decided when it is compiled.
    ///
    /// # Errors
    /// When the name of a field can't be used, or two fields have the same.
    pub fn new(
        name: impl Into<String>,
        description: impl Into<String>,
        sources: impl IntoIterator<Item = impl Into<Box<str>>>,
        events: EventSet,
        fields: Vec<RuntimeField>,
        extractor: impl FieldExtractor + 'static,
    ) -> Result<Arc<Self>, ClassError> {
        let count = fields.len();
        let mut definitions: Vec<Definition> = Vec::with_capacity(count);
        for field in fields {
            let index = u16::try_from(definitions.len()).map_err(|_| ClassError::TooMany(count))?;
            if !is_field_name(&field.name) {
                return Err(ClassError::Name(field.name));
            }
            if definitions.iter().any(|known| known.name == field.name) {
                return Err(ClassError::Duplicate(field.name));
            }
            definitions.push(field.into_definition(index));
        }
        let class = Class {
            name: Cow::Owned(name.into()),
            description: Cow::Owned(description.into()),
            scope: Scope::Sources(sources.into_iter().map(Into::into).collect()),
            listed: true,
            fields: Cow::Owned(definitions),
        };
        Ok(Arc::new(Self { class, events, extractor: Box::new(extractor) }))
    }

    /// Whether a field can have this name.
    pub fn takes_name(name: &str) -> bool {
        is_field_name(name)
    }

    /// Its rows in the table.
    pub fn class(&self) -> &Class {
        &self.class
    }

    /// Types of events that can have values.
    pub(crate) fn events(&self) -> &EventSet {
        &self.events
    }
}

impl RuntimeField {
    fn into_definition(self, index: u16) -> Definition {
        Definition {
            id: FieldId::Plugin(index),
            name: Cow::Owned(self.name),
            description: Cow::Owned(self.description),
            ty: self.ty,
            format: self.format,
            argument: self.argument.map_or(Argument::None, Argument::Declared),
            purity: self.purity,
            // What a class knows of containers, it knows by itself.
            needs: Needs::Nothing,
            cost: self.cost,
            options: Options {
                list: self.list,
                hidden: self.hidden,
                suggested: self.suggested,
                ..Options::NONE
            },
        }
    }
}

/// A field of a class registered at run time, with its argument.
#[derive(Clone, Debug)]
pub(crate) struct RegisteredField {
    class: Arc<RuntimeClass>,
    index: u16,
    argument: FieldArgument,
}

impl RegisteredField {
    /// The field with this index in the class; `None` when the class has fewer.
    pub(crate) fn new(
        class: &Arc<RuntimeClass>,
        index: u16,
        argument: FieldArgument,
    ) -> Option<Self> {
        class.class.fields.get(usize::from(index))?;
        Some(Self { class: Arc::clone(class), index, argument })
    }

    /// The class it belongs to.
    pub(crate) fn class(&self) -> &RuntimeClass {
        &self.class
    }

    /// Whether it has an argument.
    pub(crate) fn has_argument(&self) -> bool {
        self.argument != FieldArgument::None
    }

    /// Its row in the table.
    pub(crate) fn definition(&self) -> Option<&Definition> {
        self.class.class.fields.get(usize::from(self.index))
    }

    /// Its value for the event, if that has the declared type.
    pub(crate) fn value<'a>(&self, view: &View<'a>) -> Option<Value<'a>> {
        let definition = self.definition()?;
        let value = self.class.extractor.extract(view, self.index.into(), &self.argument)?;
        let fits = match value {
            Value::List(members) if definition.options.list => {
                members.iter().all(|member| is_of(*member, definition.ty))
            }
            single => !definition.options.list && is_of(single, definition.ty),
        };
        fits.then_some(value)
    }
}

// One class is registered once, so that its place in memory identifies it.
impl PartialEq for RegisteredField {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.class, &other.class)
            && (self.index, &self.argument) == (other.index, &other.argument)
    }
}

impl Eq for RegisteredField {}

impl Hash for RegisteredField {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.class).hash(state);
        (self.index, &self.argument).hash(state);
    }
}

/// Whether a single value is one of this type.
fn is_of(value: Value<'_>, ty: ParamType) -> bool {
    use ParamType as T;
    match ty {
        T::Charbuf | T::Fspath | T::Fsrelpath => matches!(value, Value::Text(_)),
        T::Bytebuf => matches!(value, Value::Bytes(_)),
        T::Bool => matches!(value, Value::Bool(_)),
        T::Double => matches!(value, Value::Double(_)),
        T::Ipv4addr | T::Ipv6addr | T::Ipaddr | T::Ipv4net | T::Ipv6net | T::Ipnet => {
            matches!(value, Value::Ip(_))
        }
        T::Int8
        | T::Int16
        | T::Int32
        | T::Int64
        | T::Errno
        | T::Fd
        | T::Fd32
        | T::Pid
        | T::Pid32 => {
            matches!(value, Value::Int(_))
        }
        _ => matches!(value, Value::Uint(_)),
    }
}

fn is_field_name(name: &str) -> bool {
    let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.');
    name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.bytes().all(known)
}
