//! Advice on output templates.

use super::check::unknown_field;
use super::context::cut;
use super::types::{Advice, Fault};
use crate::error::CompileErrorKind;
use crate::parser::{DEFAULT_MAX_DEPTH, parse_operand};
use crate::{CompiledOperand, FieldError, Span, Vocabulary};

const LITERAL: &str = "a percent sign is written `%%` (Falco has no way to write one)";

/// Advice on all that is wrong in an output that does not compile.
#[must_use]
pub fn advise_output<V>(text: &str, vocabulary: &V) -> Vec<Advice>
where
    V: Vocabulary + ?Sized,
{
    if text.is_empty() {
        let message = "the output is empty";
        return vec![Advice::new(Fault::Output, Span::default(), message)];
    }
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = text.get(from..).and_then(|rest| rest.find('%')).map(|at| from + at) {
        let token = text.get(at + 1..).unwrap_or_default();
        let digits = token.len() - token.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let field = token.get(digits..).unwrap_or_default();
        if token.starts_with('%') {
            from = at + 2;
            continue;
        }
        let one = Percent { text, at, field: at + 1 + digits, rest: field };
        match one.read(vocabulary) {
            Ok(len) => from = one.field + len.max(1),
            Err((advice, len)) => {
                found.push(*advice);
                from = one.field + len;
            }
        }
        from = text.ceil_char_boundary(from);
    }
    found
}

/// Advice on what is printed as it is, although it looks as if a value was meant.
#[must_use]
pub fn doubtful_output<V>(text: &str, vocabulary: &V) -> Vec<Advice>
where
    V: Vocabulary + ?Sized,
{
    // Looking for similar fields costs more than all else.
    const MOST: usize = 100;
    let mut found = Vec::new();
    let signs = text.char_indices().filter(|(_, c)| matches!(c, '{' | '$' | '%'));
    for (at, c) in signs.take(MOST) {
        let rest = text.get(at + 1..).unwrap_or_default();
        let advice = if c == '%' {
            tail(at, rest, vocabulary)
        } else if text.get(..at).is_some_and(|before| before.ends_with(['{', '$', '%'])) {
            None
        } else {
            placeholder(at, text, vocabulary)
        };
        found.extend(advice);
    }
    found
}

/// A `%` of a template.
struct Percent<'t> {
    text: &'t str,
    at: usize,
    /// Where the field begins: behind the width.
    field: usize,
    rest: &'t str,
}

impl Percent<'_> {
    /// Length of the field, or advice and the length of what it is about.
    fn read<V>(&self, vocabulary: &V) -> Result<usize, (Box<Advice>, usize)>
    where
        V: Vocabulary + ?Sized,
    {
        let rest = self.rest;
        let name = name(rest);
        let bracket = rest.get(name.len()..).unwrap_or_default().starts_with(['[', '(']);
        match parse_operand(rest, DEFAULT_MAX_DEPTH) {
            Ok((operand, len)) => match CompiledOperand::new(&operand, vocabulary) {
                Ok(_) => return Ok(len),
                Err(CompileErrorKind::FieldArgument(_)) => {
                    return Err((Box::new(self.argument(name)), name.len().max(1)));
                }
                Err(CompileErrorKind::UnknownField(field)) if bracket => {
                    let at = self.field + rest.find(&field).unwrap_or(0);
                    let span = Span { start: at, end: at + field.len() };
                    return Err((Box::new(unknown_field(&field, span, vocabulary)), len));
                }
                Err(CompileErrorKind::UnknownField(_)) => {}
                Err(error) => {
                    let span = Span { start: self.field, end: self.field + len };
                    let advice = Advice::new(Fault::Transformer, span, error.to_string());
                    return Err((Box::new(advice), len));
                }
            },
            Err(_) if rest.is_empty() => {
                let what = if self.field == self.at + 1 {
                    "the `%` at the end begins no field"
                } else {
                    "a field is missing behind the width"
                };
                return Err((Box::new(self.stray(what)), 0));
            }
            Err(_) => {}
        }
        // The longest field that the text begins with counts: `%proc.names` is a name and an `s`.
        if let Ok(found) = vocabulary.resolve(rest) {
            return Ok(found.len);
        }
        if let Err(FieldError::Argument(_)) = vocabulary.resolve(name) {
            return Err((Box::new(self.argument(name)), name.len().max(1)));
        }
        Err(self.unknown(name, vocabulary))
    }

    fn unknown<V>(&self, name: &str, vocabulary: &V) -> (Box<Advice>, usize)
    where
        V: Vocabulary + ?Sized,
    {
        let rest = self.rest;
        if let Some((close, inner)) = enclosed(rest) {
            let len = close;
            let span = Span { start: self.at, end: self.field + len };
            let written = self.text.get(span.start..span.end).unwrap_or_default();
            let message = format!("`{}` is not how a field is written", cut(written));
            let advice = Advice::new(Fault::ForeignPlaceholder, span, message);
            let exists = vocabulary.resolve(inner).is_ok_and(|found| found.len == inner.len());
            let inner = if exists { inner } else { "proc.name" };
            let advice = advice.help(format!("write `%{inner}`"));
            let edits = vec![(span, format!("%{inner}"))];
            let advice = match exists {
                true => advice.repair(format!("write `%{inner}`"), edits),
                false => advice,
            };
            return (Box::new(advice), len);
        }
        let span = Span { start: self.field, end: self.field + name.len() };
        if name.contains('.') {
            return (Box::new(unknown_field(name, span, vocabulary)), name.len());
        }
        if matches!(name, "s" | "d" | "v" | "u" | "x" | "f") {
            let advice = Advice::new(
                Fault::ForeignPlaceholder,
                Span { start: self.at, end: span.end },
                format!("`%{name}` is not a field"),
            );
            return (Box::new(advice.help("write the field itself: `%proc.name`")), name.len());
        }
        let what = "this `%` begins no field";
        (Box::new(self.stray(what)), name.len())
    }

    fn stray(&self, what: &str) -> Advice {
        let span = Span { start: self.at, end: self.at + 1 };
        Advice::new(Fault::StrayPercent, span, what)
            .help(LITERAL)
            .offer("write `%%`", vec![(span, "%%".to_owned())])
    }

    fn argument(&self, name: &str) -> Advice {
        let span = Span { start: self.field, end: self.field + name.len() };
        let message = format!("the argument of `{name}` is missing or wrong");
        let help = format!(
            "write it between brackets: `%{name}[…]`; `peregrine fields {name}` shows an example"
        );
        Advice::new(Fault::FieldArgument, span, message).help(help)
    }
}

/// The name at the start of a text, without a point that ends a sentence.
fn name(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_')));
    text.get(..end.unwrap_or(text.len())).unwrap_or(text).trim_end_matches('.')
}

/// `{name}`, `(name)`, `{{ .name }}`: the length, and the name.
fn enclosed(text: &str) -> Option<(usize, &str)> {
    let close = match text.chars().next()? {
        '{' if text.starts_with("{{") => "}}",
        '{' => "}",
        '(' => ")",
        '[' => "]",
        _ => return None,
    };
    // Names are short, and a text may have many brackets that are never closed.
    let end = text.get(..text.floor_char_boundary(128))?.find(close)? + close.len();
    let inner = text.get(..end)?.trim_matches(['{', '}', '(', ')', '[', ']', ' ', '.', '%', '$']);
    (inner.len() < 100).then_some((end, inner))
}

/// `{{ .proc.name }}`, `${proc.name}`, `{proc.name}` and `$proc.name`.
fn placeholder<V>(at: usize, text: &str, vocabulary: &V) -> Option<Advice>
where
    V: Vocabulary + ?Sized,
{
    let rest = text.get(at..)?;
    let body = rest.strip_prefix('$').unwrap_or(rest);
    let (len, inner) = match enclosed(body) {
        Some((len, inner)) => (len + rest.len() - body.len(), inner),
        None if rest.starts_with('$') => (1 + name(body).len(), name(body)),
        None => return None,
    };
    let exists = vocabulary.resolve(inner).is_ok_and(|found| found.len == inner.len());
    let span = Span { start: at, end: at + len };
    let edits = vec![(span, format!("%{inner}"))];
    let written = cut(rest.get(..len)?);
    exists.then(|| {
        Advice::new(Fault::ForeignPlaceholder, span, format!("`{written}` is printed as it is"))
            .help(format!("a field is written `%{inner}`"))
            .repair(format!("write `%{inner}`"), edits)
    })
}

/// A field with letters behind it that belong to no field: `%proc.exe_path`.
fn tail<V>(at: usize, rest: &str, vocabulary: &V) -> Option<Advice>
where
    V: Vocabulary + ?Sized,
{
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let rest = rest.get(digits..)?;
    let word = name(rest);
    let found = vocabulary.resolve(word).ok().filter(|found| found.len < word.len())?;
    let (field, tail) = word.split_at_checked(found.len)?;
    let is_unit = matches!(tail, "s" | "ms" | "us" | "ns" | "B" | "KB" | "MB" | "h" | "m");
    let other = vocabulary.similar(word).into_iter().find(|other| other != field)?;
    if is_unit || !other.starts_with(field.split('.').next()?) {
        return None;
    }
    let start = at + 1 + digits;
    let span = Span { start, end: start + word.len() };
    let message = format!("`%{}` prints `{field}` and then the letters `{tail}`", cut(word));
    Some(
        Advice::new(Fault::FieldWithTail, span, message)
            .help(format!("did you mean `%{other}`?"))
            .offer(format!("write `%{other}`"), vec![(span, other.clone())]),
    )
}
