//! Records of the rings: two bytes with the origin of the event, the event in the wire format, and
//! unused space.

use std::ops::Range;

use peregrine_event::Event;
use peregrine_event::wire::{Abi, WireError};

use crate::bpf::abi::COMPAT;

/// Bytes before the event.
const FRONT: usize = 2;
/// Offset of the id of the thread.
const TID: Range<usize> = 10..18;
/// Offset of the length of the event, without the front.
const LEN: Range<usize> = 16..20;

/// The event of a record.
///
/// # Errors
/// If it is malformed.
#[inline]
pub fn event_of(record: &[u8]) -> Result<Event<'_>, WireError> {
    let Some((front, bytes)) = record.split_first_chunk() else {
        return Err(WireError::Header { len: 0 });
    };
    let front = u16::from_ne_bytes(*front);
    // The kernel side reserves space before the length is known.
    let len = bytes.get(LEN).and_then(<[u8]>::first_chunk).map(|len| u32::from_le_bytes(*len));
    let bytes = len.and_then(|len| bytes.get(..len as usize)).unwrap_or(bytes);
    let mut event = Event::parse(bytes, front & !COMPAT)?;
    if front & COMPAT != 0 {
        event.abi = Abi::COMPAT;
    }
    Ok(event)
}

/// The timestamp of the event of a record. `None` if the record is too short.
#[inline]
pub(crate) fn ts_of(record: &[u8]) -> Option<u64> {
    record.get(FRONT..).and_then(<[u8]>::first_chunk).map(|ts| u64::from_le_bytes(*ts))
}

/// The id of the thread that the event of a record is of. `None` if the record is too short.
#[inline]
pub(crate) fn tid_of(record: &[u8]) -> Option<i64> {
    record.get(TID).and_then(<[u8]>::first_chunk).map(|tid| i64::from_le_bytes(*tid))
}

#[cfg(test)]
mod tests {
    use peregrine_event::{Builder, EventType};

    use super::*;

    #[test]
    fn the_front_says_cpu_and_way_of_calling() {
        let mut bytes = Vec::new();
        Builder::new(EventType::SyscallCloseX, 5, 7).i64(0).i64(3).finish(&mut bytes).unwrap();
        for (front, cpu, abi) in [(8191, 8191, Abi::Native), (1 << 15 | 3, 3, Abi::COMPAT)] {
            let record = [&u16::to_ne_bytes(front)[..], &bytes, b"room"].concat();
            let event = event_of(&record).unwrap();
            assert_eq!((event.cpu, event.abi, event.bytes()), (cpu, abi, bytes.as_slice()));
            assert_eq!((ts_of(&record), tid_of(&record)), (Some(5), Some(7)));
        }
    }

    #[test]
    fn scraps_are_no_events() {
        for len in 0..20 {
            assert!(event_of(&[0; 20][..len]).is_err());
        }
        assert_eq!((ts_of(&[0; 9]), tid_of(&[0; 17]), ts_of(&[])), (None, None, None));
    }
}
