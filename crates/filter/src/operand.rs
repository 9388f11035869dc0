//! Compiled operands: fields and transformers with their types.

use std::io::Write;

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use peregrine_event::{Format, ParamType};

use crate::error::CompileErrorKind;
use crate::kind::type_name;
use crate::transform::{self, Optstring};
use crate::{
    Argument, Call, FieldError, Limits, MultiValue, Operand, OperandKind, Resolved, Supplier,
    Transformer, Value, Vocabulary,
};

/// A compiled operand: it gives a value for each event, of a type that is known.
///
/// Output templates use it for `%tolower(proc.name)`, conditions for both sides of comparisons.
#[derive(Clone, Debug)]
pub struct CompiledOperand<F> {
    source: Source<F>,
    /// Name of the field it is made of, for messages.
    name: String,
    base: Typed,
    typed: Typed,
    format: Format,
    each: Option<MultiValue>,
    limits: Limits,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Typed {
    ty: ParamType,
    list: bool,
}

const TEXT: Typed = Typed { ty: ParamType::Charbuf, list: false };
const TEXTS: Typed = Typed { ty: ParamType::Charbuf, list: true };

#[derive(Clone, Debug)]
enum Source<F> {
    Field(F),
    Literal(Box<[u8]>),
    List(Box<[CompiledOperand<F>]>),
    Map(Map, Box<Source<F>>),
    Concat(Box<[CompiledOperand<F>]>),
    Join(Box<[Source<F>; 2]>),
    Getopt(Box<Getopt<F>>),
}

#[derive(Clone, Debug)]
struct Getopt<F> {
    args: Source<F>,
    options: Source<F>,
    /// `options` parsed at compile time, when it is a literal.
    known: Option<Optstring>,
    select: Option<u8>,
}

/// A transformer of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Map {
    B64,
    Basename,
    Len,
    ToLower,
    ToUpper,
}

impl<F> CompiledOperand<F> {
    /// Compiles an operand.
    ///
    /// # Errors
    /// When a field does not exist, or a transformer does not apply to its arguments.
    pub fn new<V>(operand: &Operand, vocabulary: &V) -> Result<Self, CompileErrorKind>
    where
        V: Vocabulary<Field = F> + ?Sized,
    {
        match &operand.node {
            OperandKind::Call(call) => Self::call(call, vocabulary),
            OperandKind::Field(field) => match &field.arg {
                None => Self::field(&field.name, &field.name, vocabulary),
                Some(_) => Self::field(&field.text(), &field.name, vocabulary),
            },
        }
    }

    /// Type of the value, or of each of its values.
    pub fn ty(&self) -> ParamType {
        self.typed.ty
    }

    /// Base in which numbers are printed.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Whether the value is a list.
    pub fn is_list(&self) -> bool {
        self.typed.list
    }

    /// Restrictions on its use.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// The field, when it is one without a transformer.
    pub fn as_field(&self) -> Option<&F> {
        match &self.source {
            Source::Field(field) => Some(field),
            _ => None,
        }
    }

    /// The value for one event.
    pub fn value<'s, S>(&'s self, supplier: &'s S) -> Option<Value<'s>>
    where
        S: Supplier<F> + ?Sized,
    {
        self.source.value(supplier)
    }

    /// All fields that it reads.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &F> {
        // Most operands are a field alone, which needs no list.
        let only = self.as_field();
        let mut others = Vec::new();
        if only.is_none() {
            self.source.collect_fields(&mut others);
        }
        only.into_iter().chain(others)
    }

    pub(crate) fn each(&self) -> Option<MultiValue> {
        self.each
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn field<V>(text: &str, name: &str, vocabulary: &V) -> Result<Self, CompileErrorKind>
    where
        V: Vocabulary<Field = F> + ?Sized,
    {
        let unknown = || CompileErrorKind::UnknownField(text.to_owned());
        let Resolved { field, len, ty, format, list, each, limits } =
            vocabulary.resolve(text).map_err(|e| match e {
                FieldError::Unknown { .. } => unknown(),
                FieldError::Argument(message) => CompileErrorKind::FieldArgument(message),
            })?;
        if len != text.len() {
            return Err(unknown());
        }
        let typed = Typed { ty, list };
        let (source, name) = (Source::Field(field), name.to_owned());
        Ok(Self { source, name, base: typed, typed, format, each, limits })
    }

    fn made(source: Source<F>, typed: Typed) -> Self {
        Self {
            source,
            name: String::from("NA"),
            base: typed,
            typed,
            format: Format::Na,
            each: None,
            limits: Limits::default(),
        }
    }

    fn call<V>(call: &Call, vocabulary: &V) -> Result<Self, CompileErrorKind>
    where
        V: Vocabulary<Field = F> + ?Sized,
    {
        let mut args = Vec::with_capacity(call.args.len());
        for arg in &call.args {
            args.push(Self::argument(arg, vocabulary)?);
        }
        let transformer = call.transformer;
        if call.arg.is_some() && (args.len() == 1 || transformer != Transformer::Getopt) {
            return Err(CompileErrorKind::TransformerArgument(transformer));
        }
        if args.len() == 1 {
            let Some(only) = args.pop() else {
                return Err(CompileErrorKind::UnknownTransformer(transformer));
            };
            let map = match transformer {
                Transformer::Val => return Ok(only),
                Transformer::B64 => Map::B64,
                Transformer::Basename => Map::Basename,
                Transformer::Len => Map::Len,
                Transformer::ToLower => Map::ToLower,
                Transformer::ToUpper => Map::ToUpper,
                Transformer::Join | Transformer::Concat | Transformer::Getopt => {
                    return Err(CompileErrorKind::UnknownTransformer(transformer));
                }
            };
            return only.map(map, transformer);
        }
        match transformer {
            Transformer::Concat => Self::concat(args),
            Transformer::Getopt => Self::getopt(args, call.arg.as_deref()),
            Transformer::Join => Self::join(args),
            _ => Err(CompileErrorKind::TooManyArguments(transformer)),
        }
    }

    fn argument<V>(argument: &Argument, vocabulary: &V) -> Result<Self, CompileErrorKind>
    where
        V: Vocabulary<Field = F> + ?Sized,
    {
        match argument {
            Argument::List(list) => {
                let mut members = Vec::with_capacity(list.node.len());
                for member in &list.node {
                    members.push(Self::argument(member, vocabulary)?);
                }
                Ok(Self::made(Source::List(members.into()), TEXTS))
            }
            Argument::Literal(text) => {
                Ok(Self::made(Source::Literal(text.node.as_bytes().into()), TEXT))
            }
            Argument::Operand(operand) => Self::new(operand, vocabulary),
        }
    }

    fn map(self, map: Map, transformer: Transformer) -> Result<Self, CompileErrorKind> {
        use ParamType as T;
        if self.limits.no_transformer {
            return Err(CompileErrorKind::NoTransformer(self.name));
        }
        let Typed { ty, list } = self.typed;
        let text = matches!(ty, T::Charbuf | T::Fspath | T::Fsrelpath);
        let typed = match map {
            Map::Len if list || text || ty == T::Bytebuf => Typed { ty: T::Uint64, list: false },
            Map::B64 if matches!(ty, T::Charbuf | T::Bytebuf) => self.typed,
            Map::Basename | Map::ToLower | Map::ToUpper if text => self.typed,
            _ => {
                return Err(CompileErrorKind::TransformerOfType {
                    transformer,
                    ty: type_name(ty),
                    list,
                    field: self.name,
                });
            }
        };
        let format = if map == Map::Len { Format::Dec } else { self.format };
        let source = Source::Map(map, Box::new(self.source));
        Ok(Self { source, typed, format, ..self })
    }

    fn concat(args: Vec<Self>) -> Result<Self, CompileErrorKind> {
        if args.iter().any(|arg| arg.base != TEXT) {
            return Err(CompileErrorKind::ConcatOfOthers);
        }
        Ok(Self::made(Source::Concat(args.into()), TEXT))
    }

    fn join(args: Vec<Self>) -> Result<Self, CompileErrorKind> {
        let [separator, list] =
            <[Self; 2]>::try_from(args).map_err(|_| CompileErrorKind::JoinArguments)?;
        if separator.base.list {
            return Err(CompileErrorKind::JoinSeparator);
        }
        if !list.base.list {
            return Err(CompileErrorKind::JoinList);
        }
        Ok(Self::made(Source::Join(Box::new([separator.source, list.source])), TEXT))
    }

    fn getopt(args: Vec<Self>, select: Option<&str>) -> Result<Self, CompileErrorKind> {
        let [args, options] =
            <[Self; 2]>::try_from(args).map_err(|_| CompileErrorKind::GetoptArguments)?;
        if !args.base.list {
            return Err(CompileErrorKind::GetoptList);
        }
        if options.base.list {
            return Err(CompileErrorKind::GetoptOptions);
        }
        if args.base != TEXTS || options.base != TEXT {
            return Err(CompileErrorKind::GetoptOfOthers);
        }
        let select = match select.map(str::as_bytes) {
            None => None,
            Some([option]) => Some(*option),
            Some(_) => return Err(CompileErrorKind::GetoptSelector),
        };
        let known = match &options.source {
            Source::Literal(text) => Some(Optstring::new(text)),
            _ => None,
        };
        let getopt = Getopt { args: args.source, options: options.source, known, select };
        let made = Self::made(Source::Getopt(Box::new(getopt)), TEXT);
        // To transformers of several values this is one text, even when it is a list.
        Ok(Self { typed: if select.is_some() { TEXT } else { TEXTS }, ..made })
    }
}

impl<F> Source<F> {
    fn collect_fields<'s>(&'s self, fields: &mut Vec<&'s F>) {
        match self {
            Self::Field(field) => fields.push(field),
            Self::Literal(_) => {}
            Self::List(several) | Self::Concat(several) => {
                several.iter().for_each(|one| one.source.collect_fields(fields));
            }
            Self::Map(_, inner) => inner.collect_fields(fields),
            Self::Join(both) => both.iter().for_each(|one| one.collect_fields(fields)),
            Self::Getopt(getopt) => {
                getopt.args.collect_fields(fields);
                getopt.options.collect_fields(fields);
            }
        }
    }

    fn value<'s, S>(&'s self, supplier: &'s S) -> Option<Value<'s>>
    where
        S: Supplier<F> + ?Sized,
    {
        let scratch = supplier.scratch();
        match self {
            Self::Field(field) => supplier.value(field),
            Self::Literal(text) => Some(Value::Text(text)),
            Self::List(members) => {
                let mut values = BumpVec::with_capacity_in(members.len(), scratch);
                for member in members {
                    match member.value(supplier)? {
                        Value::List(several) => values.extend_from_slice_copy(several),
                        single => values.push(in_words(single, member.format, scratch)),
                    }
                }
                Some(Value::List(values.into_bump_slice()))
            }
            Self::Map(Map::Len, inner) => Some(Value::Uint(match inner.value(supplier)? {
                Value::List(several) => several.len() as u64,
                Value::Text(text) | Value::Bytes(text) => text.len() as u64,
                _ => return None,
            })),
            Self::Map(map, inner) => match inner.value(supplier)? {
                Value::List(several) => {
                    let mut mapped = BumpVec::with_capacity_in(several.len(), scratch);
                    for value in several {
                        mapped.push(map.apply(*value, scratch)?);
                    }
                    Some(Value::List(mapped.into_bump_slice()))
                }
                single => map.apply(single, scratch),
            },
            Self::Concat(parts) => {
                let mut text = BumpVec::new_in(scratch);
                for part in parts {
                    append(&mut text, part.value(supplier)?, part.format);
                }
                Some(Value::Text(text.into_bump_slice()))
            }
            Self::Join(both) => {
                let [separator, list] = &**both;
                let mut between = BumpVec::new_in(scratch);
                append(&mut between, separator.value(supplier)?, Format::Dec);
                let Value::List(values) = list.value(supplier)? else { return None };
                let mut text = BumpVec::new_in(scratch);
                for (k, value) in values.iter().enumerate() {
                    if k > 0 {
                        text.extend_from_slice_copy(&between);
                    }
                    append(&mut text, *value, Format::Dec);
                }
                Some(Value::Text(text.into_bump_slice()))
            }
            Self::Getopt(getopt) => getopt.value(supplier),
        }
    }
}

impl<F> Getopt<F> {
    fn value<'s, S>(&'s self, supplier: &'s S) -> Option<Value<'s>>
    where
        S: Supplier<F> + ?Sized,
    {
        let read;
        let options = match &self.known {
            Some(known) => known,
            None => {
                let Value::Text(text) = self.options.value(supplier)? else { return None };
                read = Optstring::new(text);
                &read
            }
        };
        let Value::List(args) = self.args.value(supplier)? else { return None };
        match self.select {
            Some(option) => transform::option(args, options, option).map(Value::Text),
            None => {
                let found = transform::options(args, options, supplier.scratch());
                Some(Value::List(found))
            }
        }
    }
}

impl Map {
    fn apply<'s>(self, value: Value<'s>, scratch: &'s Bump) -> Option<Value<'s>> {
        let (text, is_text) = match value {
            Value::Text(text) => (text, true),
            Value::Bytes(text) => (text, false),
            _ => return None,
        };
        let mapped = match self {
            Self::B64 => transform::base64(text, scratch)?,
            Self::Basename => text.rsplit(|b| *b == b'/').next().unwrap_or_default(),
            Self::ToLower => scratch.alloc_slice_fill_iter(text.iter().map(u8::to_ascii_lowercase)),
            Self::ToUpper => scratch.alloc_slice_fill_iter(text.iter().map(u8::to_ascii_uppercase)),
            Self::Len => return Some(Value::Uint(text.len() as u64)),
        };
        Some(if is_text { Value::Text(until_nul(mapped)) } else { Value::Bytes(mapped) })
    }
}

fn until_nul(text: &[u8]) -> &[u8] {
    memchr::memchr(0, text).and_then(|end| text.get(..end)).unwrap_or(text)
}

/// Numbers in lists are texts.
fn in_words<'s>(value: Value<'s>, format: Format, scratch: &'s Bump) -> Value<'s> {
    match value {
        Value::Text(_) | Value::Bytes(_) | Value::List(_) => value,
        other => {
            let mut text = BumpVec::new_in(scratch);
            append(&mut text, other, format);
            Value::Text(text.into_bump_slice())
        }
    }
}

fn append(text: &mut BumpVec<'_, u8>, value: Value<'_>, format: Format) {
    // Writing to a vector can't fail.
    let _ = match (value, format) {
        (Value::Text(bytes) | Value::Bytes(bytes), _) => {
            text.extend_from_slice_copy(until_nul(bytes));
            Ok(())
        }
        (Value::Bool(v), _) => write!(text, "{v}"),
        (Value::Int(v), Format::Hex) => write!(text, "{v:X}"),
        (Value::Int(v), Format::Oct) => write!(text, "{v:o}"),
        (Value::Int(v), _) => write!(text, "{v}"),
        (Value::Uint(v), Format::Hex) => write!(text, "{v:X}"),
        (Value::Uint(v), Format::Oct) => write!(text, "{v:o}"),
        (Value::Uint(v), _) => write!(text, "{v}"),
        (Value::Double(v), _) => write!(text, "{v:.1}"),
        (Value::Ip(v), _) => write!(text, "{v}"),
        (Value::List(values), format) => {
            values.iter().for_each(|value| append(text, *value, format));
            Ok(())
        }
    };
}
