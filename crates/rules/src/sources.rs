//! What rules are compiled for: event sources, and what the configuration adds to outputs.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use peregrine_diagnostics::Label;
use peregrine_event::source::{SourceId, SourceNames};

/// An event source and its fields.
#[derive(Clone, Debug)]
pub struct EventSource<V> {
    /// Id that its events carry.
    pub id: SourceId,
    /// Name, as in the key `source` of rules.
    pub name: String,
    /// Fields of its events.
    pub vocabulary: V,
}

impl<V> EventSource<V> {
    /// The source `syscall`, whose events have these fields.
    pub fn syscall(vocabulary: V) -> Self {
        Self { id: SourceId::SYSCALL, name: SourceNames::SYSCALL.to_owned(), vocabulary }
    }
}

/// Additions of the configuration to the outputs of rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputAddition {
    /// Only for rules of this source.
    pub source: Option<String>,
    /// Only for the rule of this name.
    pub rule: Option<String>,
    /// Only for rules that have all these tags.
    pub tags: BTreeSet<String>,
    /// The addition.
    pub what: Addition,
    /// Where it is written.
    pub origin: Origin,
}

/// Where an addition of the configuration is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// What messages call it: `-p`, `append_output[0].extra_output`.
    pub name: String,
    /// The text that contains it.
    pub label: Option<Label>,
}

impl OutputAddition {
    /// Where a part of it is written: the words themselves if they are found, or all of it.
    pub(crate) fn label(&self, part: Range<usize>) -> Option<Label> {
        let label = self.origin.label.as_ref()?;
        let (Addition::Text(text) | Addition::Raw(text) | Addition::Formatted { format: text, .. }) =
            &self.what;
        let range = label.span.start.offset..label.span.end.offset;
        let found = label.source.text.get(range.clone()).and_then(|written| written.find(text));
        let Some(at) = found else { return Some(label.clone()) };
        let start = range.start + at + part.start.min(text.len());
        let end = range.start + at + part.end.min(text.len());
        Some(Label::bytes(Arc::clone(&label.source), start..end.max(start)))
    }
}

/// An addition to an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addition {
    /// Text at its end, after a blank.
    Text(String),
    /// An output field with a formatted text.
    Formatted {
        /// Name of the output field.
        key: String,
        /// Format of the text.
        format: String,
    },
    /// An output field with the typed value of a field.
    Raw(String),
}

impl Default for Addition {
    fn default() -> Self {
        Self::Text(String::new())
    }
}
