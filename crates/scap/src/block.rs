//! The block that nearly all events are in, found without going through its parts.

use peregrine_event::wire::HEADER_LEN;

use crate::appendix;
use crate::format::{
    BLOCK_HEADER, BLOCK_TRAILER, EVENT_FLAGS_V2, EVENT_V2, Flags, MAX_SMALL_EVENT,
};

/// A fully buffered event block of the current format.
pub(crate) struct UsualBlock<'a> {
    pub(crate) total: usize,
    pub(crate) cpu: u16,
    pub(crate) flags: Flags,
    /// Offset of the event in the block.
    pub(crate) start: usize,
    pub(crate) event: &'a [u8],
}

impl<'a> UsualBlock<'a> {
    /// The block at the start of `bytes`, if it is complete.
    #[inline]
    pub(crate) fn first(bytes: &'a [u8]) -> Option<Self> {
        const WITH_FLAGS: usize = BLOCK_HEADER + 6;
        const WITHOUT: usize = BLOCK_HEADER + 2;
        // The size of the shortest block of either kind, so that one check covers all fields before
        // the event.
        let front = bytes.first_chunk::<{ WITHOUT + HEADER_LEN + BLOCK_TRAILER }>()?;
        let [t0, t1, t2, t3, l0, l1, l2, l3, c0, c1, f0, f1, f2, f3, ..] = *front;
        let len_at = |start: usize| {
            let len = front.get(start + 16..)?.first_chunk()?;
            Some(u32::from_le_bytes(*len) as usize)
        };
        let (start, flags, len) = match u32::from_le_bytes([t0, t1, t2, t3]) {
            EVENT_FLAGS_V2 => {
                (WITH_FLAGS, u32::from_le_bytes([f0, f1, f2, f3]), len_at(WITH_FLAGS)?)
            }
            EVENT_V2 => (WITHOUT, 0, len_at(WITHOUT)?),
            _ => return None,
        };
        let total = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        if total > BLOCK_HEADER + MAX_SMALL_EVENT
            || total > bytes.len()
            // An event that is longer than its block has a great number behind it.
            || total.wrapping_sub(start + len + BLOCK_TRAILER) >= appendix::SHORTEST
        {
            return None;
        }
        let event = bytes.get(start..start + len)?;
        let (cpu, flags) = (u16::from_le_bytes([c0, c1]), Flags(flags));
        Some(Self { total, cpu, flags, start, event })
    }
}
