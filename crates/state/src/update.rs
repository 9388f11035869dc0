//! The event that tells what the kernel knows of a task after a change. The kernel side makes it,
//! `bpf/update.h`: an asynchronous event with the name `task`.
//!
//! It is the whole state and not the change, so that it is right whatever was known before: at the
//! start of monitoring, after losses, and where a call changes more than its arguments say.

use peregrine_event::EventType as Ty;

/// Name of the event.
pub(crate) const TASK: &[u8] = b"task";

/// The event of the call that made the change follows.
const BY_CALL: u32 = 1;
/// Working directory or open files are not those of the process.
const OWN_DIRECTORY: u32 = 2;
const OWN_FILES: u32 = 4;
/// The ids of the threads of the process come last.
const THREADS: u32 = 8;
/// The task joins the scope.
const JOINS: u32 = 16;
/// Bytes of the name of a thread.
const COMM: usize = 16;

/// The data of the event.
pub(crate) struct Update<'e> {
    pub(crate) pid: i64,
    pub(crate) ptid: i64,
    pub(crate) vtid: i64,
    pub(crate) vpid: i64,
    /// The thread that has made the task, where that is not its parent.
    pub(crate) maker: i64,
    pub(crate) cap_inheritable: u64,
    pub(crate) cap_permitted: u64,
    pub(crate) cap_effective: u64,
    pub(crate) pgid: i64,
    pub(crate) vpgid: i64,
    /// As the host sees it.
    pub(crate) sid: i64,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) by_call: bool,
    pub(crate) own_directory: bool,
    pub(crate) own_files: bool,
    /// It joins what is monitored: its directory is not known before the next update.
    pub(crate) joins: bool,
    pub(crate) comm: &'e [u8],
    /// Empty where it is not known.
    pub(crate) cwd: &'e [u8],
    threads: &'e [[u8; 4]],
}

/// What the update before the event of a call has told already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Updated {
    /// Credentials, group, session and name.
    pub(crate) task: bool,
    /// The working directory.
    pub(crate) directory: bool,
}

impl Updated {
    /// Whether nothing is left that the event of a call could change.
    pub(crate) fn covers(self, ty: Ty) -> bool {
        match ty {
            Ty::SyscallChdirX | Ty::SyscallFchdirX => self.directory,
            Ty::SyscallSetsidX
            | Ty::SyscallSetuidX
            | Ty::SyscallSetreuidX
            | Ty::SyscallSetresuidX
            | Ty::SyscallSetgidX
            | Ty::SyscallSetregidX
            | Ty::SyscallSetresgidX
            | Ty::SyscallCapsetX
            | Ty::SyscallUnshareX
            | Ty::SyscallSetnsX => self.task,
            _ => false,
        }
    }
}

impl<'e> Update<'e> {
    /// `None` when it is too short.
    pub(crate) fn parse(data: &'e [u8]) -> Option<Self> {
        let (ids, rest) = data.split_first_chunk::<40>()?;
        let (words, rest) = rest.split_first_chunk::<48>()?;
        let (halves, rest) = rest.split_first_chunk::<12>()?;
        let (comm, rest) = rest.split_at_checked(COMM)?;
        let [inheritable, permitted, effective, pgid, vpgid, sid] = *words.as_chunks::<8>().0
        else {
            return None;
        };
        let [pid, ptid, vtid, vpid, maker] = *ids.as_chunks::<8>().0 else { return None };
        let [uid, gid, what] = *halves.as_chunks::<4>().0 else { return None };
        let what = u32::from_le_bytes(what);
        let cwd = until_nul(rest);
        let threads = rest.get(cwd.len() + 1..).filter(|_| what & THREADS != 0);
        Some(Self {
            pid: i64::from_le_bytes(pid),
            ptid: i64::from_le_bytes(ptid),
            vtid: i64::from_le_bytes(vtid),
            vpid: i64::from_le_bytes(vpid),
            maker: i64::from_le_bytes(maker),
            cap_inheritable: u64::from_le_bytes(inheritable),
            cap_permitted: u64::from_le_bytes(permitted),
            cap_effective: u64::from_le_bytes(effective),
            pgid: i64::from_le_bytes(pgid),
            vpgid: i64::from_le_bytes(vpgid),
            sid: i64::from_le_bytes(sid),
            uid: u32::from_le_bytes(uid),
            gid: u32::from_le_bytes(gid),
            by_call: what & BY_CALL != 0,
            own_directory: what & OWN_DIRECTORY != 0,
            own_files: what & OWN_FILES != 0,
            joins: what & JOINS != 0,
            comm: until_nul(comm),
            cwd,
            threads: threads.unwrap_or_default().as_chunks().0,
        })
    }

    /// The threads of the process, where they are told.
    pub(crate) fn threads(&self) -> impl Iterator<Item = i64> {
        self.threads.iter().map(|tid| i32::from_le_bytes(*tid).into())
    }
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|&b| b == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_is_read_as_the_kernel_side_writes_it() {
        let mut data: Vec<u8> = (10u64..=14).chain(1..=6).flat_map(u64::to_le_bytes).collect();
        data.extend([7u32, 8, 11].into_iter().flat_map(u32::to_le_bytes));
        data.extend(b"name\0garbage....");
        data.extend(b"/tmp/a\0");
        data.extend([21u32, 22].into_iter().flat_map(u32::to_le_bytes));
        let update = Update::parse(&data).unwrap();
        assert_eq!((update.cap_inheritable, update.cap_effective, update.sid), (1, 3, 6));
        assert_eq!((update.pgid, update.vpgid, update.uid, update.gid), (4, 5, 7, 8));
        assert!(update.by_call && update.own_directory && !update.own_files);
        assert_eq!((update.comm, update.cwd), (&b"name"[..], &b"/tmp/a"[..]));
        assert_eq!((update.pid, update.ptid, update.vtid, update.maker), (10, 11, 12, 14));
        assert_eq!(update.threads().collect::<Vec<_>>(), [21, 22]);
        assert!(Update::parse(&data[..115]).is_none());
        let short = Update::parse(&data[..116]).unwrap();
        assert_eq!((short.cwd, short.threads().count()), (&b""[..], 0));
    }
}
