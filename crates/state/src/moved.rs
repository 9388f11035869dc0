//! The event about a process that was moved to other control groups. The kernel side makes it,
//! `bpf/families/process.h`: an asynchronous event with the name `moved`.

use peregrine_event::Event;
use peregrine_event::params::asyncevent_e as asyncevent;

use crate::update::TASK;

/// Name of the event.
pub(crate) const MOVED: &[u8] = b"moved";
/// The whole process was moved, not only the thread.
const WHOLE_PROCESS: u32 = 1;
/// Bytes of the name of a thread.
const COMM: usize = 16;

/// The data of the event.
pub(crate) struct Moved<'e> {
    pub(crate) pid: i64,
    pub(crate) ptid: i64,
    pub(crate) vtid: i64,
    pub(crate) vpid: i64,
    pub(crate) pidns_init_start: u64,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) flags: u32,
    pub(crate) whole_process: bool,
    pub(crate) comm: &'e [u8],
    pub(crate) groups: &'e [u8],
}

impl<'e> Moved<'e> {
    /// `None` when it is too short.
    pub(crate) fn parse(data: &'e [u8]) -> Option<Self> {
        let (words, rest) = data.split_first_chunk::<40>()?;
        let (halves, rest) = rest.split_first_chunk::<16>()?;
        let (comm, groups) = rest.split_at_checked(COMM)?;
        let [pid, ptid, vtid, vpid, start] = *words.as_chunks::<8>().0 else { return None };
        let [uid, gid, flags, what] = *halves.as_chunks::<4>().0 else { return None };
        Some(Self {
            pid: i64::from_le_bytes(pid),
            ptid: i64::from_le_bytes(ptid),
            vtid: i64::from_le_bytes(vtid),
            vpid: i64::from_le_bytes(vpid),
            pidns_init_start: u64::from_le_bytes(start),
            uid: u32::from_le_bytes(uid),
            gid: u32::from_le_bytes(gid),
            flags: u32::from_le_bytes(flags),
            whole_process: u32::from_le_bytes(what) & WHOLE_PROCESS != 0,
            comm: comm.split(|&b| b == 0).next().unwrap_or_default(),
            groups,
        })
    }
}

/// Whether the kernel side tells with this event about its thread.
pub(crate) fn is_about_thread(event: &Event<'_>) -> bool {
    matches!(event.text(asyncevent::NAME), Some(MOVED | TASK))
}
