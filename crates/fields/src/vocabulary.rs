//! Resolves names of fields and their arguments.

use std::sync::{Arc, LazyLock};

use hashbrown::HashMap;
use peregrine_event::source::SourceNames;
use peregrine_event::{EventSet, EventType};
use peregrine_filter::{
    CompiledOperand, DEFAULT_MAX_DEPTH, FieldError, Resolved, UnknownLiteral, Vocabulary,
    parse_operand,
};

use crate::argument::{in_brackets, parse, unquoted, word};
use crate::argument_errors::{bad_index, missing_argument, token, unwanted_argument};
use crate::evttypes::is_event_name;
use crate::never;
use crate::params::Param;
use crate::pattern::Pattern;
use crate::runtime_class::{ClassError, FieldArgument, RegisteredField, RuntimeClass};
use crate::similar::similar;
use crate::table::{
    Argument, CONSTANT, Class, Definition, FieldId, ListedArgument, Needs, Scope, Syscall, classes,
};

/// A resolved field with its argument.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Field {
    pub(crate) id: FieldId,
    pub(crate) arg: Arg,
}

/// Argument of a field.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Arg {
    None,
    /// A parameter by name.
    Param(Param),
    /// A number: of a parameter, an argument, an ancestor or an fd.
    Index(u64),
    /// Event types: all of one name, or the one with a code.
    Events(EventSet),
    /// Which of the two paths of an event.
    Path(WhichPath),
    /// A name or key: of a variable, a controller or a label. For a constant, its value.
    Text(Arc<[u8]>),
    /// What to find in a path of a mount.
    Pattern(Pattern),
    /// A field of a class registered at run time, with its own argument.
    Registered(RegisteredField),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum WhichPath {
    First,
    Second,
}

/// The fields that rules of one event source may use.
///
/// ```
/// use peregrine_fields::Fields;
/// use peregrine_filter::Vocabulary;
///
/// let fields = Fields::syscall();
/// assert_eq!(fields.resolve("proc.aname[2] has parent").unwrap().len, "proc.aname[2]".len());
/// assert!(fields.resolve("proc.shoe").is_err());
/// ```
#[derive(Clone, Debug)]
pub struct Fields {
    source: Box<str>,
    containers: bool,
    /// Whether fields of containers are known, though they are neither listed nor suggested.
    unlisted_containers: bool,
    kubernetes: bool,
    classes: Vec<Arc<RuntimeClass>>,
    constants: Vec<(String, Arc<[u8]>)>,
    async_names: Arc<[Box<str>]>,
}

impl Fields {
    /// Fields of the source `syscall`, without those of containers.
    pub fn syscall() -> Self {
        Self::of_source(SourceNames::SYSCALL)
    }

    /// Fields of the source with this name. Any source but `syscall` has those of every source, and
    /// of the classes [registered](Self::with_class) for it.
    pub fn of_source(name: &str) -> Self {
        Self {
            source: name.into(),
            containers: false,
            unlisted_containers: false,
            kubernetes: false,
            classes: Vec::new(),
            constants: Vec::new(),
            async_names: Arc::default(),
        }
    }

    /// With the fields of containers and pods, or without.
    #[must_use]
    pub fn with_containers(self, containers: bool) -> Self {
        Self { containers, ..self }
    }

    /// With the fields that only the API server of Kubernetes knows, or without.
    #[must_use]
    pub fn with_kubernetes(self, kubernetes: bool) -> Self {
        Self { kubernetes, ..self }
    }

    /// With the fields of containers and pods for those who name them: they are neither listed nor
    /// suggested.
    #[must_use]
    pub fn with_unlisted_containers(self) -> Self {
        Self { unlisted_containers: true, ..self }
    }

    /// With the fields of a class registered at run time, if it has any for this source.
    ///
    /// # Errors
    /// When the source has a field of that name already.
    pub fn with_class(mut self, class: Arc<RuntimeClass>) -> Result<Self, ClassError> {
        if self.knows(&class.class().scope) {
            for field in &*class.class().fields {
                if self.definitions().any(|known| known.name == field.name) {
                    return Err(ClassError::Duplicate(field.name.to_string()));
                }
            }
            self.classes.push(class);
        }
        Ok(self)
    }

    /// With names of asynchronous events that plugins declare, which `evt.type` can have.
    #[must_use]
    pub fn with_async_names(self, async_names: Arc<[Box<str>]>) -> Self {
        Self { async_names, ..self }
    }

    /// With constants, which are the fields `static.<name>`.
    #[must_use]
    pub fn with_statics<N, V>(self, constants: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: AsRef<str>,
        V: AsRef<str>,
    {
        let constants = constants
            .into_iter()
            .map(|(name, value)| {
                (format!("static.{}", name.as_ref()), value.as_ref().as_bytes().into())
            })
            .collect();
        Self { constants, ..self }
    }

    /// The classes of these fields, in the order in which `--list` shows them: those of the table,
    /// then those registered at run time.
    pub fn classes(&self) -> impl Iterator<Item = &Class> {
        let is_listed = |class: &&Class| {
            self.knows(&class.scope) && (class.scope != Scope::Containers || self.containers)
        };
        let known = classes().iter().filter(is_listed);
        known.chain(self.classes.iter().map(|class| class.class()))
    }

    /// Name of the source.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Names of the fields `static.<name>`, which belong to no class.
    pub fn statics(&self) -> impl Iterator<Item = &str> {
        self.constants.iter().map(|(name, _)| name.as_str())
    }

    /// Those of them that conditions and outputs can't refer to: the grammar of field names has no
    /// such characters, as in `static.kubernetes.io/role`.
    pub fn unusable_statics(&self) -> impl Iterator<Item = &str> {
        self.statics().filter(|name| !self.is_expressible(name))
    }

    /// Names of the fields that every alert should show.
    pub fn suggested(&self) -> impl Iterator<Item = &str> {
        let defined = self.definitions().filter(|d| d.options.suggested).map(|d| &*d.name);
        defined.chain(self.statics().filter(|name| self.is_expressible(name)))
    }

    /// Whether a condition or an output with this name refers to the field, not to a shorter one.
    fn is_expressible(&self, name: &str) -> bool {
        parse_operand(name, DEFAULT_MAX_DEPTH).is_ok_and(|(operand, len)| {
            len == name.len() && CompiledOperand::new(&operand, self).is_ok()
        })
    }

    /// The field of the table with the longest name that is a prefix of the text.
    fn longest(&self, text: &str) -> Option<&'static Definition> {
        // Nearly always the whole word is a name, and no longer one begins with it.
        let word = text.bytes().position(|byte| !is_of_name(byte)).unwrap_or(text.len());
        let whole = text.get(..word).and_then(|word| WHOLE_NAMES.get(word));
        if let Some((scope, definition)) = whole
            && self.knows(scope)
        {
            return Some(definition);
        }
        let mut key = text;
        loop {
            // A name that is a prefix of the text is also one of the greatest name up to the text.
            let below = BY_NAME.partition_point(|(_, definition)| *definition.name <= *key);
            let (scope, definition) = BY_NAME.get(below.checked_sub(1)?)?;
            let name: &str = &definition.name;
            if text.starts_with(name) && self.knows(scope) {
                return Some(definition);
            }
            let common = name.bytes().zip(text.bytes()).take_while(|(a, b)| a == b).count();
            key = name.get(..common.min(name.len() - 1))?;
        }
    }

    /// The same for the classes registered at run time.
    fn longest_registered(&self, text: &str) -> Option<(&Arc<RuntimeClass>, &Definition)> {
        let fields = self
            .classes
            .iter()
            .flat_map(|class| class.class().fields.iter().map(move |field| (class, field)));
        fields
            .filter(|(_, field)| text.starts_with(&*field.name))
            .max_by_key(|(_, field)| field.name.len())
    }

    fn knows(&self, scope: &Scope) -> bool {
        let syscall = *self.source == *SourceNames::SYSCALL;
        match scope {
            Scope::All => true,
            Scope::Syscall => syscall,
            Scope::Containers => syscall && (self.containers || self.unlisted_containers),
            Scope::Kubernetes => syscall && self.kubernetes,
            Scope::Sources(names) => names.contains(&self.source),
        }
    }

    fn definitions(&self) -> impl Iterator<Item = &Definition> {
        self.classes().flat_map(|class| class.fields.iter())
    }
}

impl Field {
    /// Its row in the table.
    pub(crate) fn definition(&self) -> &Definition {
        let row = match &self.arg {
            Arg::Registered(field) => field.definition(),
            _ => self.id.definition(),
        };
        debug_assert!(row.is_some(), "{self:?} has no row");
        row.unwrap_or(&CONSTANT)
    }

    /// What must be known of the container for it to have its value.
    pub fn needs(&self) -> Needs {
        self.definition().needs
    }

    /// Whether it has an argument.
    pub(crate) fn has_argument(&self) -> bool {
        match &self.arg {
            Arg::None => false,
            Arg::Registered(field) => field.has_argument(),
            _ => true,
        }
    }
}

/// Whether names of fields may have this character.
fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.')
}

/// The fields of the table by their names.
static WHOLE_NAMES: LazyLock<HashMap<&'static str, (&'static Scope, &'static Definition)>> =
    LazyLock::new(|| BY_NAME.iter().map(|&field| (&*field.1.name, field)).collect());

/// All fields of the table in order of their names.
static BY_NAME: LazyLock<Vec<(&'static Scope, &'static Definition)>> = LazyLock::new(|| {
    let scoped = |class: &'static Class| class.fields.iter().map(|field| (&class.scope, field));
    let mut all: Vec<_> = classes().iter().flat_map(scoped).collect();
    all.sort_by_key(|(_, definition)| &*definition.name);
    all
});

impl Vocabulary for Fields {
    type Field = Field;

    fn never(&self, field: &Field) -> Option<(&'static str, &'static str)> {
        never::reason(field.id, &self.source, self.kubernetes)
    }

    fn may_lack_values(&self, text: &str) -> bool {
        never::may_name(text)
    }

    fn resolve(&self, text: &str) -> Result<Resolved<Field>, FieldError> {
        let unknown = || FieldError::Unknown { name: token(text).to_owned() };
        let built_in = self.longest(text);
        if let Some((class, definition)) = self.longest_registered(text)
            && built_in.is_none_or(|known| known.name.len() < definition.name.len())
        {
            let resolved = resolve(definition, text)?;
            return resolved.and_then(|r| registered(class, r)).ok_or_else(unknown);
        }
        if let Some(definition) = built_in {
            return resolve(definition, text)?.ok_or_else(unknown);
        }
        let constants = self.constants.iter().filter(|(name, _)| text.starts_with(name.as_str()));
        let (name, value) = constants.max_by_key(|(name, _)| name.len()).ok_or_else(unknown)?;
        Ok(Resolved {
            field: Field { id: FieldId::Static, arg: Arg::Text(Arc::clone(value)) },
            len: name.len(),
            ty: CONSTANT.ty,
            format: CONSTANT.format,
            list: CONSTANT.options.list,
            each: CONSTANT.options.each,
            limits: CONSTANT.options.limits,
        })
    }

    fn check_literal(&self, field: &Field, literal: &[u8]) -> Result<(), UnknownLiteral> {
        let is_async = || self.async_names.iter().any(|name| name.as_bytes() == literal);
        if field.id != FieldId::Syscall(Syscall::Type) || is_event_name(literal) || is_async() {
            return Ok(());
        }
        let literal = String::from_utf8_lossy(literal).into_owned();
        Err(UnknownLiteral { kind: "event type", literal })
    }

    fn similar(&self, name: &str) -> Vec<String> {
        let names = self.definitions().map(|d| &*d.name).chain(self.statics());
        similar(token(name), names)
    }

    fn is_distance(&self, field: &Field) -> bool {
        field.id == FieldId::Syscall(Syscall::Around)
    }
}

/// Resolves a field of a definition. `None` when its argument names nothing that exists.
fn resolve(definition: &Definition, text: &str) -> Result<Option<Resolved<Field>>, FieldError> {
    let Some((arg, len)) = argument(definition, text)? else { return Ok(None) };
    let (ty, format) = match (&arg, definition.argument) {
        (Arg::Param(param), Argument::RawParam) => (param.ty, param.format),
        _ => (definition.ty, definition.format),
    };
    Ok(Some(Resolved {
        each: definition.options.each.filter(|_| has_several_values(definition, &arg)),
        field: Field { id: definition.id, arg },
        len: definition.name.len() + len,
        ty,
        format,
        list: definition.options.list,
        limits: definition.options.limits,
    }))
}

/// Completes a field of a class registered at run time with a reference to the class.
fn registered(class: &Arc<RuntimeClass>, resolved: Resolved<Field>) -> Option<Resolved<Field>> {
    let Field { id, arg } = resolved.field;
    let FieldId::Plugin(index) = id else { return None };
    let argument = match arg {
        Arg::Index(index) => FieldArgument::Index(index),
        Arg::Text(key) => FieldArgument::Key(key),
        _ => FieldArgument::None,
    };
    let arg = Arg::Registered(RegisteredField::new(class, index, argument)?);
    Some(Resolved { field: Field { id, arg }, ..resolved })
}

/// Whether the field has several values, given its argument. With the number of an ancestor it has
/// one, except `proc.aenv`: Falco compares `proc.aenv[2]` with the environments of all ancestors.
fn has_several_values(definition: &Definition, arg: &Arg) -> bool {
    match arg {
        Arg::None => true,
        Arg::Index(_) => definition.argument == Argument::AncestorVariable,
        _ => false,
    }
}

/// Parses the argument after the name; the second value is its length.
fn argument(definition: &Definition, text: &str) -> Result<Option<(Arg, usize)>, FieldError> {
    let rest = text.get(definition.name.len()..).unwrap_or_default();
    let syntax = || FieldError::Argument(format!("filter syntax error: {}", token(text)));
    let bracket = || in_brackets(rest);
    let dotted = rest.strip_prefix('.').map(word);
    let optional = Ok(Some((Arg::None, 0)));
    match definition.argument {
        Argument::None => match (definition.id, bracket()) {
            // After other fields, the bracket may be text of an output template.
            (FieldId::Plugin(_), Some(inside)) => Err(unwanted_argument(definition, text, inside)),
            _ => optional,
        },
        Argument::Param => match (bracket(), dotted) {
            (Some(number), _) => Ok(Some((Arg::Index(parse(number)?), number.len() + 2))),
            (_, Some(name)) => param(name),
            _ => Err(syntax()),
        },
        Argument::RawParam => match (rest.starts_with('['), dotted) {
            (true, _) => {
                Err(FieldError::Argument("evt.arg fields must be expressed explicitly".into()))
            }
            (_, Some(name)) => param(name),
            _ => Err(syntax()),
        },
        Argument::Event => Ok(event(dotted.ok_or_else(syntax)?)),
        Argument::Time => match (bracket(), dotted) {
            (Some(number), _) => Ok(Some((Arg::Index(parse(number)?), number.len() + 2))),
            (_, Some(_)) => Err(FieldError::Argument("wrong syntax for evt.around".into())),
            _ => Err(syntax()),
        },
        Argument::WhichPath => Ok(Some(if rest.starts_with(".src") {
            (Arg::Path(WhichPath::First), 4)
        } else if rest.starts_with(".dst") {
            (Arg::Path(WhichPath::Second), 4)
        } else {
            (Arg::None, 0)
        })),
        // Without a number in range, the bracket may be text of an output template.
        Argument::Index => match bracket().map(|number| (parse(number), number.len())) {
            Some((Ok(number), len)) if number <= u32::MAX.into() => {
                Ok(Some((Arg::Index(number), len + 2)))
            }
            _ => optional,
        },
        Argument::FdNumber => match bracket() {
            Some(number) => Ok(Some((Arg::Index(parse(number)?), number.len() + 2))),
            None => optional,
        },
        Argument::Variable | Argument::AncestorVariable => Ok(Some(match bracket() {
            None | Some("") => (Arg::None, 0),
            Some(name) => (variable(definition.argument, name), name.len() + 2),
        })),
        Argument::Subsystem => {
            let name = dotted.ok_or_else(syntax)?;
            let len = name.bytes().take_while(|b| b.is_ascii_alphabetic() || *b == b'_').count();
            let name = name.get(..len).filter(|name| !name.is_empty()).ok_or_else(syntax)?;
            Ok(Some((Arg::Text(name.as_bytes().into()), len + 1)))
        }
        Argument::Key | Argument::IndexOrPattern => {
            let inside = bracket().ok_or_else(|| missing_argument(definition, text))?;
            let arg = match definition.argument {
                Argument::Key => Arg::Text(unquoted(inside).as_bytes().into()),
                _ => index_or_pattern(unquoted(inside))?,
            };
            Ok(Some((arg, inside.len() + 2)))
        }
        Argument::Declared(ListedArgument { required, index, key }) => {
            let Some(inside) = bracket() else {
                return if required { Err(missing_argument(definition, text)) } else { optional };
            };
            let leading = inside.len() > 1 && inside.starts_with('0');
            let arg = match parse(inside) {
                Ok(number) if index && !leading => Arg::Index(number),
                _ if !key => return Err(bad_index(definition, text, inside)),
                _ => Arg::Text(inside.as_bytes().into()),
            };
            Ok(Some((arg, inside.len() + 2)))
        }
    }
}

fn param(text: &str) -> Result<Option<(Arg, usize)>, FieldError> {
    let param = Param::longest(text)
        .ok_or_else(|| FieldError::Argument(format!("unknown event argument {text}")))?;
    let len = param.name.len() + 1;
    Ok(Some((Arg::Param(param), len)))
}

/// Event types by name, or one by its code.
fn event(text: &str) -> Option<(Arg, usize)> {
    let name = text.split('.').next().unwrap_or_default();
    let code = name.parse().ok();
    let events: EventSet =
        EventType::all().filter(|ty| ty.name() == name || Some(ty.code()) == code).collect();
    (!events.is_empty()).then(|| (Arg::Events(events), name.len() + 1))
}

/// A number means an ancestor for `proc.aenv` and the whole environment for `proc.env`.
fn variable(argument: Argument, name: &str) -> Arg {
    match name.parse::<u32>() {
        Ok(number) if argument == Argument::AncestorVariable => Arg::Index(u64::from(number)),
        Ok(_) => Arg::None,
        Err(_) => Arg::Text(name.as_bytes().into()),
    }
}

fn index_or_pattern(text: &str) -> Result<Arg, FieldError> {
    let plain = text == "0" || !text.starts_with('0');
    match text.parse() {
        Ok(index) if plain => Ok(Arg::Index(index)),
        _ => Pattern::new(text).map(Arg::Pattern).map_err(|error| {
            FieldError::Argument(format!("{text} is no regular expression: {error}"))
        }),
    }
}

#[cfg(test)]
mod tests;
