//! Events of the first block format, whose header lacks the number of parameters.

use peregrine_event::EventType;
use peregrine_event::wire::{self, MAX_PARAMS};

use crate::error::Damage;

/// Bytes before the parameter lengths.
pub(crate) const HEADER_LEN: usize = wire::HEADER_LEN - 4;
/// Old writers overstate the length of these two events by this many bytes.
const MISCOUNT: usize = 3;

/// Writes the event at the start of `bytes` to `out` in the second block format.
pub(crate) fn upgrade(ty: EventType, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Damage> {
    let says = bytes.get(16..20).and_then(wire::uint).unwrap_or(0) as usize;
    let miscounted = matches!(ty, EventType::NotificationE | EventType::InfrastructureEventE);
    let len = says.saturating_sub(if miscounted { MISCOUNT } else { 0 });
    let (Some(header), Some(rest)) =
        (bytes.first_chunk::<HEADER_LEN>(), bytes.get(HEADER_LEN..len))
    else {
        let header = u32::try_from(len).unwrap_or(u32::MAX);
        return Err(wire::WireError::Length { header, actual: bytes.len() }.into());
    };
    let nparams = count_params(ty, rest).ok_or(Damage::ParamCount { ty, len })?;
    out.clear();
    out.extend_from_slice(&header[..16]);
    out.extend_from_slice(&((len + 4) as u32).to_le_bytes());
    out.extend_from_slice(&header[20..]);
    out.extend_from_slice(&(nparams as u32).to_le_bytes());
    out.extend_from_slice(rest);
    Ok(())
}

/// The number of parameters whose lengths add up to the available bytes. Old writers knew no more
/// parameters than the current table, so the search starts there.
fn count_params(ty: EventType, rest: &[u8]) -> Option<usize> {
    let width = ty.length_width();
    let most = usize::from(ty.info().format_params).min(MAX_PARAMS);
    for nparams in (0..=most).rev() {
        let Some(lengths) = rest.get(..nparams * width) else { continue };
        let values: u64 = lengths.chunks_exact(width).filter_map(wire::uint).sum();
        let size = lengths.len() as u64 + values;
        if size == rest.len() as u64 {
            return Some(nparams);
        }
        if size < rest.len() as u64 {
            return None;
        }
    }
    None
}
