//! From what an API server sends or writes to events in the format of captures.

use jiff::Timestamp;
use peregrine_event::{Builder, EventType};
use peregrine_limits::AUDIT_EVENT_BYTES;
use thiserror::Error;

use crate::PLUGIN_ID;
use crate::json::{JsonError, Scanner, append_compact, append_unescaped};

/// Events, one after the other, as captures have them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batch {
    /// Their bytes.
    pub(crate) bytes: Vec<u8>,
    /// Where each of them ends.
    pub(crate) ends: Vec<usize>,
}

/// What became of the events of a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// Events.
    pub events: u64,
    /// Events without a valid `stageTimestamp`. They are left out.
    pub invalid: u64,
    /// Events that are too large. They are left out.
    pub too_large: u64,
}

/// Why a document holds no events.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum SplitError {
    /// It is not JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// Neither an `Event`, nor an `EventList`, nor a list of them.
    #[error("data not recognized as a k8s audit event")]
    NoEvent,
}

impl Split {
    /// Splits a document whose events are dropped, for fuzzing and to try documents out.
    ///
    /// # Errors
    /// When it holds no events.
    pub fn of(document: &[u8], max_event_bytes: usize) -> Result<Self, SplitError> {
        Splitter::new(max_event_bytes).split(document).map(|(_, split)| split)
    }
}

/// Splits documents.
#[derive(Debug)]
pub(crate) struct Splitter {
    max_event_bytes: usize,
    builder: Builder,
    event: Vec<u8>,
    text: Vec<u8>,
}

/// Lists in lists that are looked into for events.
const MAX_LISTS: usize = 4;

impl Splitter {
    pub(crate) fn new(max_event_bytes: usize) -> Self {
        let builder = Builder::new(EventType::PlugineventE, 0, -1);
        Self { max_event_bytes, builder, event: Vec::new(), text: Vec::new() }
    }

    /// The events of a document: an event, a list of events as the webhook sends it, or a JSON list
    /// of both.
    pub(crate) fn split(&mut self, document: &[u8]) -> Result<(Batch, Split), SplitError> {
        let mut scanner = Scanner::new(document);
        scanner.blanks();
        let value = scanner.value()?;
        scanner.end()?;
        let (mut batch, mut split) = (Batch::default(), Split::default());
        self.document(value, 0, &mut batch, &mut split)?;
        Ok((batch, split))
    }

    fn document(
        &mut self,
        value: &[u8],
        depth: usize,
        batch: &mut Batch,
        split: &mut Split,
    ) -> Result<(), SplitError> {
        // Each level of lists is searched again.
        if depth > MAX_LISTS {
            return Err(SplitError::NoEvent);
        }
        let mut scanner = Scanner::new(value);
        if value.starts_with(b"[") {
            return scanner.elements(|element| self.document(element, depth + 1, batch, split));
        }
        let (mut kind, mut items) = (None, None);
        if value.starts_with(b"{") {
            scanner.members(|key, value| {
                match key {
                    b"kind" if kind.is_none() => kind = Some(value),
                    b"items" if items.is_none() => items = Some(value),
                    _ => {}
                }
                Ok::<_, SplitError>(())
            })?;
        }
        match (kind, items) {
            (Some(b"\"Event\""), _) => self.event(value, batch, split),
            (Some(b"\"EventList\""), Some(items)) if items.starts_with(b"[") => {
                Scanner::new(items).elements(|item| self.event(item, batch, split))
            }
            _ => Err(SplitError::NoEvent),
        }
    }

    fn event(
        &mut self,
        value: &[u8],
        batch: &mut Batch,
        split: &mut Split,
    ) -> Result<(), SplitError> {
        let Some(ts) = timestamp(value)? else {
            split.invalid += 1;
            return Ok(());
        };
        self.text.clear();
        append_compact(value, &mut self.text);
        if self.text.len() > self.max_event_bytes {
            AUDIT_EVENT_BYTES.reach();
            split.too_large += 1;
            return Ok(());
        }
        let event = self.builder.reset(EventType::PlugineventE, ts, -1);
        event.u32(PLUGIN_ID).param(&self.text);
        if event.finish(&mut self.event).is_err() {
            split.too_large += 1;
            return Ok(());
        }
        split.events += 1;
        batch.bytes.extend_from_slice(&self.event);
        batch.ends.push(batch.bytes.len());
        Ok(())
    }
}

/// The time of an event: when its stage was reached.
fn timestamp(event: &[u8]) -> Result<Option<u64>, JsonError> {
    if !event.starts_with(b"{") {
        return Ok(None);
    }
    let mut found = None;
    Scanner::new(event).members(|key, value| {
        if key == b"stageTimestamp" && found.is_none() {
            found = Some(value);
        }
        Ok::<_, JsonError>(())
    })?;
    let text = found.and_then(|text| text.strip_prefix(b"\"")?.strip_suffix(b"\""));
    let mut plain = Vec::new();
    append_unescaped(text.unwrap_or_default(), &mut plain);
    let time = std::str::from_utf8(&plain).ok().and_then(|text| text.parse::<Timestamp>().ok());
    Ok(time.and_then(|time| u64::try_from(time.as_nanosecond()).ok()))
}

#[cfg(test)]
mod tests {
    use peregrine_event::Event;
    use peregrine_event::params::pluginevent_e;
    use proptest::prelude::*;

    use super::*;

    const TIME: &str = r#""stageTimestamp": "2026-03-02T10:00:01.250000Z""#;

    fn split(document: &str) -> Result<(Batch, Split), SplitError> {
        Splitter::new(64).split(document.as_bytes())
    }

    fn counts(document: &str) -> Result<(u64, u64, u64), SplitError> {
        split(document)
            .map(|(_, Split { events, invalid, too_large })| (events, invalid, too_large))
    }

    #[test]
    fn an_event_has_its_time_and_no_blanks() {
        let (batch, _) = split(&format!(r#" {{"kind": "Event", {TIME}}} "#)).unwrap();
        let event = Event::parse(&batch.bytes, 0).unwrap();
        assert_eq!((event.ts, event.tid), (1_772_445_601_250_000_000, -1));
        assert_eq!(event.u32(pluginevent_e::PLUGIN_ID), Some(1));
        let payload = event.param(pluginevent_e::EVENT_DATA).unwrap();
        assert_eq!(
            String::from_utf8_lossy(payload),
            r#"{"kind":"Event","stageTimestamp":"2026-03-02T10:00:01.250000Z"}"#
        );
    }

    #[test]
    fn lists_are_split() {
        let event = format!(r#"{{"kind": "Event", {TIME}}}"#);
        assert_eq!(counts(&event), Ok((1, 0, 0)));
        let list = format!(r#"{{"items": [{event}, {{{TIME}}}, 5, {{}}], "kind": "EventList"}}"#);
        assert_eq!(counts(&list), Ok((2, 2, 0)));
        assert_eq!(counts(&format!("[{event}, [{list}, {event}]]")), Ok((4, 2, 0)));
        assert_eq!(counts("[]"), Ok((0, 0, 0)));
        let long = format!(r#"{{"kind": "Event", {TIME}, "x": "{}"}}"#, "y".repeat(64));
        assert_eq!(counts(&long), Ok((0, 0, 1)));
    }

    #[test]
    fn other_documents_are_refused() {
        for document in [
            "{}",
            "5",
            r#"{"kind": "EventList"}"#,
            r#"{"kind": "EventList", "items": {}}"#,
            r#"{"kind": "Pod"}"#,
            r#"[{"kind": "Pod"}]"#,
        ] {
            assert_eq!(counts(document), Err(SplitError::NoEvent), "{document}");
        }
        assert_eq!(counts(r#"{"kind": "Event""#), Err(JsonError::Syntax(16).into()));
        assert_eq!(counts(r#"{"kind":"Event"}"#), Ok((0, 1, 0)));
        for time in ["5", "\"today\"", "\"1969-12-31T00:00:00Z\"", "null"] {
            let event = format!(r#"{{"kind":"Event","stageTimestamp":{time}}}"#);
            assert_eq!(counts(&event), Ok((0, 1, 0)), "{time}");
        }
    }

    proptest! {
        #[test]
        fn any_document_is_split_or_refused(document in ".{0,64}") {
            let _ = counts(&document);
        }

        #[test]
        fn each_event_of_a_list_is_delivered(texts in prop::collection::vec("[a-z]{0,5}", 0..20)) {
            let item = |text: &String| format!(r#"{{{TIME}, "a": "{text}"}}"#);
            let items = texts.iter().map(item).collect::<Vec<_>>().join(", ");
            let list = format!(r#"{{"kind":"EventList","items":[{items}]}}"#);
            let (batch, split) = split(&list).unwrap();
            prop_assert_eq!(split.events, texts.len() as u64);
            let mut start = 0;
            for (end, text) in batch.ends.iter().zip(&texts) {
                let event = Event::parse(&batch.bytes[start..*end], 0).unwrap();
                let payload = event.param(pluginevent_e::EVENT_DATA).unwrap();
                let json: serde_json::Value = serde_json::from_slice(payload).unwrap();
                prop_assert_eq!(json["a"].as_str(), Some(text.as_str()));
                start = *end;
            }
            prop_assert_eq!(start, batch.bytes.len());
        }
    }
}
