//! Texts of JSON values, in the event or in the memory that is freed after it.

use peregrine_event::until_nul;
use peregrine_fields::View;
use peregrine_filter::Value as FieldValue;
use smallvec::SmallVec;

use crate::json::{Kind, Value, append_compact, append_unescaped, has_escapes};

/// The text of a value: of a string what it stands for, else JSON without blanks.
pub(super) fn text<'a>(view: &View<'a>, value: Value<'_, 'a>) -> &'a [u8] {
    let text = match value.between_quotes() {
        Some(string) if has_escapes(string) => view.text(|out| append_unescaped(string, out)),
        Some(string) => string,
        None if value.has_blanks() && matches!(value.kind(), Kind::Object | Kind::Array) => {
            view.text(|out| append_compact(value.raw(), out))
        }
        None => value.raw(),
    };
    // Values of fields end where a plugin's would.
    until_nul(text)
}

/// Texts as the value of a list field; no texts are no value.
pub(super) fn list<'a>(view: &View<'a>, texts: Texts<'a>) -> Option<FieldValue<'a>> {
    (!texts.is_empty()).then(|| view.list(texts.into_iter().map(FieldValue::Text)))
}

/// The texts of a list, before they are one value.
pub(super) type Texts<'a> = SmallVec<[&'a [u8]; 16]>;
