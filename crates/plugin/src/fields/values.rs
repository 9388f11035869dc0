//! Values that plugins gave about the current event.

use std::cell::RefCell;
use std::net::IpAddr;
use std::ops::Range;

use peregrine_fields::{FieldArgument, View};
use peregrine_filter::Value;

use crate::{FieldType, FieldValue};

/// What plugins said about one event. The memory is used again for the next.
#[derive(Debug, Default)]
pub(super) struct Values(RefCell<Kept>);

#[derive(Debug, Default)]
struct Kept {
    entries: Vec<Entry>,
    members: Vec<Single>,
    texts: Vec<u8>,
}

/// The answer to one request: members of a list, or a single value.
#[derive(Debug)]
struct Entry {
    class: usize,
    field: usize,
    argument: FieldArgument,
    list: bool,
    members: Range<usize>,
}

#[derive(Clone, Debug)]
enum Single {
    Uint(u64),
    Bool(bool),
    Text(Range<usize>),
    Ip(IpAddr),
}

/// Which value is wanted: of a class, by its place in memory, a field with its argument.
pub(super) struct ValueKey<'k> {
    pub(super) class: usize,
    pub(super) field: usize,
    pub(super) argument: &'k FieldArgument,
}

/// Takes the answer of a plugin to one request.
#[derive(Debug)]
pub struct Answer<'a> {
    ty: FieldType,
    members: &'a mut Vec<Single>,
    texts: &'a mut Vec<u8>,
}

impl Answer<'_> {
    /// Adds a value. One of another type than the field counts as none.
    pub fn push(&mut self, value: FieldValue<'_>) {
        let single = match (self.ty, value) {
            (FieldType::Uint | FieldType::Duration | FieldType::Time, FieldValue::Uint(number)) => {
                Single::Uint(number)
            }
            (FieldType::Bool, FieldValue::Bool(is_set)) => Single::Bool(is_set),
            (FieldType::Address | FieldType::Network, FieldValue::Ip(address)) => {
                Single::Ip(address)
            }
            (FieldType::Text, FieldValue::Text(text)) => {
                let start = self.texts.len();
                self.texts.extend_from_slice(text);
                Single::Text(start..self.texts.len())
            }
            _ => return,
        };
        self.members.push(single);
    }
}

impl Values {
    /// Forgets the values of the event before.
    pub(super) fn clear(&mut self) {
        let Kept { entries, members, texts } = self.0.get_mut();
        entries.clear();
        members.clear();
        texts.clear();
    }

    /// The value of a field; `ask` is called for the first request.
    pub(super) fn get<'a>(
        &self,
        view: &View<'a>,
        ValueKey { class, field, argument }: ValueKey<'_>,
        (ty, list): (FieldType, bool),
        ask: impl FnOnce(&mut Answer<'_>),
    ) -> Option<Value<'a>> {
        // While a plugin is asked, nothing else reads fields of plugins.
        let mut kept = self.0.try_borrow_mut().ok()?;
        let Kept { entries, members, texts } = &mut *kept;
        let is_it = |entry: &&Entry| {
            (entry.class, entry.field) == (class, field) && entry.argument == *argument
        };
        let known = entries.iter().position(|entry| is_it(&entry));
        let index = known.unwrap_or_else(|| {
            let first = members.len();
            ask(&mut Answer { ty, members, texts });
            let argument = argument.clone();
            entries.push(Entry { class, field, argument, list, members: first..members.len() });
            entries.len() - 1
        });
        let entry = entries.get(index)?;
        let members = members.get(entry.members.clone())?;
        let value = |single: &Single| match single {
            Single::Uint(number) => Value::Uint(*number),
            Single::Bool(is_set) => Value::Bool(*is_set),
            Single::Ip(address) => Value::Ip(*address),
            Single::Text(range) => Value::Text(view.text(|out| {
                out.extend_from_slice(texts.get(range.clone()).unwrap_or_default());
            })),
        };
        match members {
            [] => None,
            members if entry.list => Some(view.list(members.iter().map(value))),
            [single, ..] => Some(value(single)),
        }
    }
}
