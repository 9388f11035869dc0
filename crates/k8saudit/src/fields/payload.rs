//! The payload of an event, indexed once for all fields that are read from it.

use std::cell::Ref;

use peregrine_event::params::pluginevent_e;
use peregrine_event::{Event, EventType};
use peregrine_fields::View;

use crate::json::Index;

/// The payload of an event of a plugin.
pub(super) fn payload<'a>(event: &Event<'a>) -> Option<&'a [u8]> {
    let payload = event.param(pluginevent_e::EVENT_DATA);
    payload.filter(|_| event.ty == EventType::PlugineventE)
}

/// An index of the last payload that was read with a scratch memory.
#[derive(Debug, Default)]
pub(super) struct Indexed {
    index: Index,
    valid: bool,
}

/// The payload of the event with its index, if it is a JSON list or map.
pub(super) fn indexed<'a>(view: &View<'a>) -> Option<(Ref<'a, Index>, &'a [u8])> {
    let payload = payload(view.event()).filter(|payload| matches!(payload, [b'{' | b'[', ..]))?;
    let indexed = view.memo(|indexed: &mut Indexed| {
        indexed.valid = indexed.index.read(payload).is_ok();
    })?;
    indexed.valid.then(|| (Ref::map(indexed, |indexed| &indexed.index), payload))
}
