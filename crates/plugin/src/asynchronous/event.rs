//! One event of a plugin: what is checked of it.

use std::time::Duration;

use peregrine_limits::PLUGIN_ASYNC_EVENT_BYTES;

use crate::abi::EventHeader;

/// How far in the future the time of an event may be. What is further is dropped.
pub const MAX_AHEAD: Duration = Duration::from_secs(10);

/// Type of async events.
const ASYNC_EVENT: u16 = 402;
const HEADER: usize = size_of::<EventHeader>();
/// Where the first parameter begins: three lengths come before it.
const PARAMETERS: usize = HEADER + 3 * size_of::<u32>();

/// Why an event is refused. The texts are those of the reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AsyncFault {
    /// No handler is set.
    NoHandler,
    /// It is not an async event.
    Malformed,
    /// The plugin has not named it in `get_async_events`.
    Name(String),
    /// The plugin makes no events beside this source.
    Source(String),
    /// Events beside this source belong to no thread.
    Thread(String),
}

impl AsyncFault {
    pub(super) fn of(&self, plugin: &str) -> String {
        match self {
            Self::NoHandler => format!("async event sent with NULL handler: {plugin}"),
            Self::Malformed => format!("malformed async event produced by plugin: {plugin}"),
            Self::Name(name) => {
                format!("incompatible async event '{name}' produced by plugin: {plugin}")
            }
            Self::Source(source) => format!(
                "async events of plugin '{plugin}' are not compatible with open event source \
                 '{source}'"
            ),
            Self::Thread(source) => format!(
                "async events of plugin '{plugin}' can have no thread associated with open event \
                 source '{source}'"
            ),
        }
    }
}

/// A checked copy of the event at this address.
///
/// # Safety
/// The address is null, or there are as many bytes as the event says.
pub(super) unsafe fn copy(
    event: *const EventHeader,
    names: &[String],
) -> Result<Vec<u8>, AsyncFault> {
    if event.is_null() {
        return Err(AsyncFault::Malformed);
    }
    // SAFETY: the caller promises a header.
    let header = unsafe { event.read_unaligned() };
    let (ty, nparams, len) = (header.ty, header.nparams, header.len as usize);
    if ty != ASYNC_EVENT || nparams != 3 || len < PARAMETERS {
        return Err(AsyncFault::Malformed);
    }
    if len > PLUGIN_ASYNC_EVENT_BYTES.get() {
        PLUGIN_ASYNC_EVENT_BYTES.reach();
        return Err(AsyncFault::Malformed);
    }
    // SAFETY: the caller promises that there are so many.
    let bytes = unsafe { core::slice::from_raw_parts(event.cast::<u8>(), len) };
    let name = name(bytes).ok_or(AsyncFault::Malformed)?;
    if !names.iter().any(|known| known.as_bytes() == name) {
        return Err(AsyncFault::Name(String::from_utf8_lossy(name).into_owned()));
    }
    Ok(bytes.to_owned())
}

/// The name of an event whose lengths agree.
fn name(bytes: &[u8]) -> Option<&[u8]> {
    let mut lengths = bytes.get(HEADER..PARAMETERS)?.chunks_exact(4).map(|length| {
        length.try_into().map(u32::from_le_bytes).map_or(usize::MAX, |length| length as usize)
    });
    let (id, name, data) = (lengths.next()?, lengths.next()?, lengths.next()?);
    let rest = bytes.get(PARAMETERS..)?;
    if id != 4 || id.checked_add(name)?.checked_add(data)? != rest.len() {
        return None;
    }
    rest.get(id..id + name)?.strip_suffix(&[0]).filter(|name| !name.contains(&0))
}

/// Sets the id of the plugin whose source is open.
pub(super) fn set_id(bytes: &mut [u8], id: u32) {
    if let Some(place) = bytes.get_mut(PARAMETERS..PARAMETERS + 4) {
        place.copy_from_slice(&id.to_le_bytes());
    }
}

/// The time of an event, all ones for the time at which it is delivered.
pub(super) fn time(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(u64::MAX, |time| u64::from_le_bytes(*time))
}

pub(super) fn set_time(bytes: &mut [u8], time: u64) {
    if let Some(place) = bytes.first_chunk_mut() {
        *place = time.to_le_bytes();
    }
}

/// The thread of an event, all ones for none.
pub(super) fn tid(bytes: &[u8]) -> u64 {
    let tid = bytes.get(8..16).and_then(<[u8]>::first_chunk);
    tid.map_or(u64::MAX, |tid| u64::from_le_bytes(*tid))
}

#[cfg(test)]
mod tests {
    use peregrine_event::{Builder, EventType};
    use proptest::prelude::*;

    use super::*;

    fn event(name: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut event = Builder::new(EventType::AsynceventE, 7, -1);
        event.u32(0).text(name).text("data").finish(&mut bytes).unwrap();
        bytes
    }

    fn taken(bytes: &[u8]) -> Result<Vec<u8>, AsyncFault> {
        let mut memory = bytes.to_owned();
        memory.resize(bytes.len().max(HEADER), 0);
        let len = bytes.len() as u32;
        memory[16..20].copy_from_slice(&len.to_le_bytes());
        // SAFETY: there is a header, and as many bytes as it says.
        unsafe { copy(memory.as_ptr().cast(), &["ping".to_owned()]) }
    }

    #[test]
    fn events_are_checked_and_copied() {
        let ping = event("ping");
        assert_eq!(taken(&ping), Ok(ping.clone()));
        assert_eq!(taken(&event("pong")), Err(AsyncFault::Name("pong".to_owned())));
        // SAFETY: null is allowed.
        assert_eq!(unsafe { copy(core::ptr::null(), &[]) }, Err(AsyncFault::Malformed));
        let mut other = ping.clone();
        other[20] = 1;
        assert_eq!(taken(&other), Err(AsyncFault::Malformed));
        let mut lengths = ping.clone();
        lengths[30..34].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(taken(&lengths), Err(AsyncFault::Malformed));
        let mut copy = ping.clone();
        set_id(&mut copy, 9);
        set_time(&mut copy, 8);
        assert_eq!((time(&copy), tid(&copy), &copy[38..42]), (8, u64::MAX, &[9, 0, 0, 0][..]));
    }

    proptest! {
        /// No length that a plugin gives makes the host read beyond the event.
        #[test]
        fn any_bytes_are_an_event_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let mut bytes = bytes;
            if bytes.len() > 26 {
                bytes[20..22].copy_from_slice(&402_u16.to_le_bytes());
                bytes[22..26].copy_from_slice(&3_u32.to_le_bytes());
            }
            if let Ok(copy) = taken(&bytes) {
                prop_assert!(peregrine_event::Event::parse(&copy, 0).is_ok());
            }
        }
    }
}
