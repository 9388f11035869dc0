//! Makes a long capture out of a short one for benchmarks: its events repeated, with advancing
//! times.

use std::collections::HashSet;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use flate2::read::MultiGzDecoder;
use peregrine_event::{Class, EventType};

/// Time between one round and the next.
const PAUSE: u64 = 1_000_000;

/// An event block: its bytes, the offset of its header, and the decoded header.
struct Block<'a> {
    bytes: &'a [u8],
    header: usize,
    ts: u64,
    tid: u64,
    ty: Option<EventType>,
}

/// Writes the snapshot of `input`, then its events `times` times.
pub(crate) fn run(input: &Path, times: u64, output: &Path) -> Result<()> {
    let mut bytes = std::fs::read(input).with_context(|| input.display().to_string())?;
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let packed = std::mem::take(&mut bytes);
        MultiGzDecoder::new(&*packed).read_to_end(&mut bytes)?;
    }
    let (mut out, mut events, mut rest) = (Vec::new(), Vec::new(), &*bytes);
    while let (Some(ty), Some(len)) = (word(rest, 0), word(rest, 4)) {
        let (len, rest_len) = (len as usize, rest.len());
        ensure!(len >= 12 && len <= rest_len, "a block of {len} bytes where {rest_len} are left");
        let (block, after) = rest.split_at(len);
        match event(ty, block) {
            Some(event) => events.push(event),
            None => out.extend_from_slice(block),
        }
        rest = after;
    }
    // Events that do not come from the machine may have no time.
    let timed = |ts: u64| ts > 0 && ts < 1 << 63;
    let times_seen = || events.iter().map(|event| event.ts).filter(|&ts| timed(ts));
    let (first, last) = (times_seen().min().unwrap_or(0), times_seen().max().unwrap_or(0));
    for round in 0..times {
        let mut entered = HashSet::new();
        for event in &events {
            if is_enter(event.ty) {
                entered.insert(event.tid);
            } else if round > 0 && event.ty.is_some_and(EventType::is_exit) {
                // Its enter event may be in the previous round.
                if !entered.contains(&event.tid) {
                    continue;
                }
            }
            let start = out.len();
            out.extend_from_slice(event.bytes);
            let ts = event.ts + if timed(event.ts) { round * (last - first + PAUSE) } else { 0 };
            if let Some(slot) = out.get_mut(start + event.header..start + event.header + 8) {
                slot.copy_from_slice(&ts.to_le_bytes());
            }
        }
    }
    std::fs::write(output, out).with_context(|| output.display().to_string())
}

/// The event in a block of this type, if it is one.
fn event(block: u32, bytes: &[u8]) -> Option<Block<'_>> {
    let header = match block {
        0x204 | 0x8010_ABCD | 0x216 | 0x221 => 10,
        0x208 | 0x217 | 0x222 => 14,
        _ => return None,
    };
    let long = |at: usize| Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    let code = u16::from_le_bytes(*bytes.get(header + 20..)?.first_chunk()?);
    let (ts, tid) = (long(header)?, long(header + 8)?);
    Some(Block { bytes, header, ts, tid, ty: EventType::from_code(code) })
}

fn is_enter(ty: Option<EventType>) -> bool {
    ty.is_some_and(|ty| !ty.is_exit() && ty.info().classes.contains(&Class::Syscall))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
