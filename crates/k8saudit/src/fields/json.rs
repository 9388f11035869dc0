//! `json.*`, and `jevt.*` for old rules.

use peregrine_event::until_nul;
use peregrine_fields::table::ListedArgument;
use peregrine_fields::{FieldArgument, FieldExtractor, RuntimeField, View};
use peregrine_filter::Value;

use super::field::text_field;
use super::payload::{indexed, payload};
use super::read;
use crate::json::append_indented;

/// Supplies them.
#[derive(Debug)]
pub(super) struct JsonFields;

const POINTER: ListedArgument = ListedArgument { required: true, index: false, key: true };

/// In the order of the table; the three of `jevt` are the same again.
const ROWS: [(&str, Option<ListedArgument>, &str); 3] = [
    (
        "value",
        Some(POINTER),
        "What the payload has at a JSON pointer (RFC 6901), as in json.value[/user/username].",
    ),
    ("obj", None, "The whole payload, indented."),
    ("rawtime", None, "Nanoseconds since the epoch at which the event happened."),
];

/// The table.
pub(super) fn fields() -> Vec<RuntimeField> {
    let of = |prefix: &'static str| {
        ROWS.iter().map(move |(name, argument, about)| {
            let about = match prefix {
                "json" => (*about).to_owned(),
                _ => format!("The same as json.{name}."),
            };
            text_field(format!("{prefix}.{name}"), about, false, *argument)
        })
    };
    of("json").chain(of("jevt")).collect()
}

impl FieldExtractor for JsonFields {
    fn extract<'a>(
        &self,
        view: &View<'a>,
        field: usize,
        argument: &FieldArgument,
    ) -> Option<Value<'a>> {
        let (index, text) = indexed(view)?;
        let text = match (field % ROWS.len(), argument) {
            (0, FieldArgument::Key(pointer)) => {
                let mut value = index.root(text)?;
                if !pointer.is_empty() {
                    let pointer = pointer.strip_prefix(b"/").unwrap_or(pointer);
                    for key in pointer.split(|byte| *byte == b'/') {
                        value = value.get(&unescaped(key))?;
                    }
                }
                read::text(view, value)
            }
            (1, _) => {
                let payload = payload(view.event())?;
                until_nul(view.text(|out| {
                    // It is JSON: it has an index.
                    let _ = append_indented(payload, out);
                }))
            }
            (2, _) => {
                view.text(|out| out.extend_from_slice(view.event().ts.to_string().as_bytes()))
            }
            _ => return None,
        };
        Some(Value::Text(text))
    }
}

/// A part of a pointer without its escapes.
fn unescaped(key: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    if !key.contains(&b'~') {
        return key.into();
    }
    let mut out = Vec::with_capacity(key.len());
    let mut rest = key;
    while let Some((&(mut byte), after)) = rest.split_first() {
        (byte, rest) = match (byte, after) {
            (b'~', [b'0', after @ ..]) => (b'~', after),
            (b'~', [b'1', after @ ..]) => (b'/', after),
            _ => (byte, after),
        };
        out.push(byte);
    }
    out.into()
}
