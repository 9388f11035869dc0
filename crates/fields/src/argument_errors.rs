//! Errors about the arguments of fields, in the words of Falco.

use peregrine_filter::FieldError;

use crate::argument::{in_brackets, word};
use crate::table::Definition;

pub(crate) fn missing_argument(definition: &Definition, text: &str) -> FieldError {
    let (text, name) = (token(text), &definition.name);
    FieldError::Argument(format!("filter '{text}': {name} requires an argument but none provided"))
}

pub(crate) fn unwanted_argument(definition: &Definition, text: &str, argument: &str) -> FieldError {
    let (text, name) = (token(text), &definition.name);
    FieldError::Argument(format!(
        "filter '{text}': {name} does not allow nor require an argument but one is provided: {argument}"
    ))
}

pub(crate) fn bad_index(definition: &Definition, text: &str, index: &str) -> FieldError {
    let (text, name) = (token(text), &definition.name);
    let why = match index.bytes().all(|byte| byte.is_ascii_digit()) {
        true if index.starts_with('0') => "starting with 0",
        _ => "not composed only by digits",
    };
    FieldError::Argument(format!(
        "filter {text} {name} has an invalid index argument {why}: {index}"
    ))
}

/// The name and bracket at the start of a text, as errors show them.
pub(crate) fn token(text: &str) -> &str {
    let name = word(text).len();
    let bracket = text.get(name..).and_then(in_brackets).map_or(0, |inside| inside.len() + 2);
    text.get(..name + bracket).unwrap_or_default()
}
