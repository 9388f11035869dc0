//! Output templates: text with `%fields` in it.

use std::sync::Arc;

use peregrine_event::render::Buffers;
use thiserror::Error;

use crate::parser::{DEFAULT_MAX_DEPTH, parse_operand};
use crate::print::{PrintFormat, value_text};
use crate::{
    Argument, CompiledOperand, Operand, OperandKind, OutputKind, OutputValue, Supplier, Value,
    Vocabulary,
};

/// A compiled output template: `%proc.name opened %20fd.name`.
///
/// `%` is followed by an optional width (`%20fd.name` fills with blanks or cuts to 20 bytes) and a
/// field or a transformer: the longest text that is one. `%%` is a percent sign, which Falco has no
/// way to write. A leading `*` is dropped: fields without a value print `<NA>` with and without it.
#[derive(Clone, Debug)]
pub struct Template<F> {
    parts: Vec<Part<F>>,
    fields: Vec<OutputField<F>>,
    names: Vec<String>,
    has_tail: bool,
}

/// A field of a template, with its name among the output fields.
#[derive(Clone, Debug)]
pub struct OutputField<F> {
    name: String,
    extractor: Arc<CompiledOperand<F>>,
}

/// Why a text is not an output template.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TemplateError {
    /// The text is empty.
    #[error("empty formatting token")]
    Empty,
    /// A width without a field.
    #[error("invalid formatting syntax: formatting cannot end with a number")]
    EndsWithNumber,
    /// A lone `%` at the end.
    #[error("invalid formatting syntax: formatting cannot end with a %")]
    EndsWithPercent,
    /// No field starts after a `%`. The message is cut where Falco cuts it, because tools compare
    /// it.
    #[error("unknown filter: unexpected token after '")]
    Unknown {
        /// Offset in the text of what is not a field.
        at: usize,
    },
}

#[derive(Clone, Debug)]
enum Part<F> {
    Literal(String),
    Value { extractor: Arc<CompiledOperand<F>>, width: Option<usize> },
}

/// Printed for a field without a value.
const NOT_AVAILABLE: &[u8] = b"<NA>";
/// Widest width; wider ones cost memory for each alert and help no reader.
const WIDTH_MAX: usize = 65_535;

impl<F: Clone> Template<F> {
    /// Compiles an output template.
    ///
    /// # Errors
    /// When the text is empty, ends after `%` or a width, or a `%` is not followed by a field.
    pub fn compile<V>(text: &str, vocabulary: &V) -> Result<Self, TemplateError>
    where
        V: Vocabulary<Field = F> + ?Sized,
    {
        if text.is_empty() {
            return Err(TemplateError::Empty);
        }
        let mut template =
            Self { parts: Vec::new(), fields: Vec::new(), names: Vec::new(), has_tail: false };
        let mut rest = text.strip_prefix('*').unwrap_or(text);
        while let Some((literal, token)) = rest.split_once('%') {
            template.literal(literal);
            if token.is_empty() {
                return Err(TemplateError::EndsWithPercent);
            }
            if let Some(after) = token.strip_prefix('%') {
                template.literal("%");
                rest = after;
                continue;
            }
            let (width, token) = width(token);
            if token.is_empty() {
                return Err(TemplateError::EndsWithNumber);
            }
            let (operand, extractor, after) = operand(token, vocabulary)
                .ok_or(TemplateError::Unknown { at: text.len() - token.len() })?;
            let extractor = Arc::new(extractor);
            Mentioned { template: &mut template, vocabulary, after_call: false }
                .operand(&operand, Some(&extractor));
            template.parts.push(Part::Value { extractor, width });
            template.has_tail |= after.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
                || after.strip_prefix('.').is_some_and(|it| it.starts_with(char::is_alphabetic));
            rest = after;
        }
        template.literal(rest);
        template.fields.sort_by(|a, b| a.name.cmp(&b.name));
        template.fields.dedup_by(|a, b| a.name == b.name);
        Ok(template)
    }

    fn literal(&mut self, text: &str) {
        if !text.is_empty() {
            self.parts.push(Part::Literal(text.to_owned()));
        }
    }
}

impl<F> Template<F> {
    /// Appends the text for one event.
    pub fn render<S>(&self, supplier: &S, buffers: Buffers, out: &mut Vec<u8>)
    where
        S: Supplier<F> + ?Sized,
    {
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Part::Value { extractor, width } => {
                    let start = out.len();
                    match output_value(extractor, supplier, OutputKind::Text) {
                        Some(shown) => {
                            value_text(out, shown.value, form(extractor, &shown, buffers));
                        }
                        None => out.extend_from_slice(NOT_AVAILABLE),
                    }
                    if let Some(width) = width {
                        out.resize(start + width, b' ');
                    }
                }
            }
        }
    }

    /// Whether it reads a field for which `wanted` holds.
    pub fn reads(&self, wanted: impl Fn(&F) -> bool) -> bool {
        self.parts.iter().any(|part| match part {
            Part::Literal(_) => false,
            Part::Value { extractor, .. } => extractor.fields().any(&wanted),
        })
    }

    /// Whether letters follow a field without a blank, as if its name went on.
    #[must_use]
    pub fn has_tail(&self) -> bool {
        self.has_tail
    }

    /// The output fields: each once, sorted by name.
    #[must_use]
    pub fn fields(&self) -> &[OutputField<F>] {
        &self.fields
    }

    /// All fields and transformers of the text in its order, transformers after their arguments.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

impl<F> OutputField<F> {
    /// Name among the output fields (`proc.aname[2]`).
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value for one event, and how it prints.
    pub fn value<'s, S>(
        &'s self,
        supplier: &'s S,
        buffers: Buffers,
    ) -> Option<(Value<'s>, PrintFormat)>
    where
        S: Supplier<F> + ?Sized,
    {
        let shown = output_value(&self.extractor, supplier, OutputKind::Json)?;
        Some((shown.value, form(&self.extractor, &shown, buffers)))
    }
}

fn output_value<'s, F, S>(
    extractor: &'s CompiledOperand<F>,
    supplier: &'s S,
    kind: OutputKind,
) -> Option<OutputValue<'s>>
where
    S: Supplier<F> + ?Sized,
{
    match extractor.as_field() {
        // Fields for conditions only have no value in outputs.
        Some(_) if extractor.limits().filter_only => None,
        Some(field) => supplier.output_value(field, kind),
        None => extractor.value(supplier).map(|value| OutputValue { value, ty: None }),
    }
}

fn form<F>(
    extractor: &CompiledOperand<F>,
    shown: &OutputValue<'_>,
    buffers: Buffers,
) -> PrintFormat {
    let (ty, format) = shown.ty.unwrap_or((extractor.ty(), extractor.format()));
    PrintFormat { ty, format, buffers }
}

/// Splits a width off; 0 is no width.
fn width(token: &str) -> (Option<usize>, &str) {
    let digits = token.len() - token.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, rest) = token.split_at(digits);
    let width = match number {
        "" => 0,
        number => number.parse().unwrap_or(WIDTH_MAX).min(WIDTH_MAX),
    };
    ((width > 0).then_some(width), rest)
}

/// Splits off the longest text that is a field or a transformer of fields.
///
/// Any text may follow a field, so shorter and shorter texts are tried: `%proc.names` is the name
/// of a process and an `s`.
fn operand<'t, V>(
    token: &'t str,
    vocabulary: &V,
) -> Option<(Operand, CompiledOperand<V::Field>, &'t str)>
where
    V: Vocabulary + ?Sized,
{
    let mut end = token.len();
    while end > 0 {
        let shorter = match parse_operand(token.get(..end)?, DEFAULT_MAX_DEPTH) {
            Ok((operand, len)) => match CompiledOperand::new(&operand, vocabulary) {
                Ok(extractor) => return Some((operand, extractor, token.get(len..)?)),
                Err(_) => len - 1,
            },
            // Any longer text has the same error.
            Err(error) => error.offset.min(end - 1),
        };
        end = token.floor_char_boundary(shorter);
    }
    None
}

/// Collects output fields and names from one token.
struct Mentioned<'a, V: Vocabulary + ?Sized> {
    template: &'a mut Template<V::Field>,
    vocabulary: &'a V,
    /// Whether the last name is that of a transformer.
    after_call: bool,
}

impl<V: Vocabulary + ?Sized> Mentioned<'_, V> {
    /// `known` is the compiled operand, where there is one already.
    fn operand(&mut self, operand: &Operand, known: Option<&Arc<CompiledOperand<V::Field>>>) {
        let name = operand.described().to_string();
        match &operand.node {
            OperandKind::Call(call) => {
                call.args.iter().for_each(|argument| self.argument(argument));
                // Of nested transformers only the outer one is named.
                if self.after_call {
                    self.template.names.pop();
                }
            }
            OperandKind::Field(_) => {
                let found = || CompiledOperand::new(operand, self.vocabulary).ok().map(Arc::new);
                if let Some(extractor) = known.cloned().or_else(found) {
                    self.template.fields.push(OutputField { name: name.clone(), extractor });
                }
            }
        }
        self.after_call = matches!(operand.node, OperandKind::Call(_));
        self.template.names.push(name);
    }

    fn argument(&mut self, argument: &Argument) {
        match argument {
            Argument::List(list) => list.node.iter().for_each(|member| self.argument(member)),
            Argument::Literal(_) => {}
            Argument::Operand(operand) => self.operand(operand, None),
        }
    }
}

#[cfg(test)]
mod tests;
