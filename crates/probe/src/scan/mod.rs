//! The processes of this machine: read from `/proc` when monitoring starts, and later for threads
//! that appear in events only.
//!
//! ```no_run
//! use peregrine_event::snapshot::Item;
//! use peregrine_probe::scan::Scanner;
//!
//! # fn main() -> Result<(), peregrine_probe::scan::ScanError> {
//! let scan = Scanner::open("/".as_ref())?.scan(None)?;
//! let threads = scan.filter(|item| matches!(item, Item::Thread(_))).count();
//! println!("{threads} threads");
//! # Ok(())
//! # }
//! ```

pub(crate) mod accounts;
pub(crate) mod budget;
mod cgroup_root;
mod cgroups;
pub(crate) mod dir;
mod fds;
mod foreign;
mod machine;
mod mounts;
#[doc(hidden)]
pub mod parsers;
mod process;
pub(crate) mod scope;
mod sockets;
mod status;

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hashbrown::{HashMap, HashSet};
use peregrine_event::snapshot::{Fd, Item};
use peregrine_telemetry::Heartbeat;
use thiserror::Error;

use budget::{Deadline, ReadOutcome};
use dir::{Dir, MAX_FILE};
pub(crate) use process::Depth;
use process::Processes;

/// Most processes between a thread and the first one.
const MAX_ANCESTORS: usize = 256;
/// How old the socket tables may be in which the sockets of an unknown thread are looked up.
const MAX_AGE: Duration = Duration::from_secs(1);

/// Why the machine cannot be scanned.
#[derive(Debug, Error)]
pub enum ScanError {
    /// There is no `/proc` to read.
    #[error(
        "the directory '{}' doesn't exist on the system. Check the usage of the 'HOST_ROOT' env variable.",
        .path.display()
    )]
    Proc {
        /// Where it should be.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The processes of a control group can't be listed.
    #[error("cannot list the processes of control group {}: {source}", .path.display())]
    Scope {
        /// Its directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Reads the machine's `/proc`.
#[derive(Debug)]
pub struct Scanner {
    processes: Processes,
    host_root: PathBuf,
}

/// What precedes the processes in a scan, and these.
pub(crate) type Plan = (VecDeque<Item>, Vec<(i64, Depth)>);

/// The machine as it was found, item by item: machine, interfaces, users, groups, then threads and
/// open files process by process. Each process is read when its turn comes, so that memory stays
/// small.
#[derive(Debug)]
pub struct Scan {
    scanner: Scanner,
    processes: std::vec::IntoIter<(i64, Depth)>,
    ready: VecDeque<Item>,
}

impl Scanner {
    /// For the machine whose root directory is here: `/`, or where a container has the host's.
    ///
    /// # Errors
    /// When there is no `/proc`.
    pub fn open(host_root: &Path) -> Result<Self, ScanError> {
        let path = host_root.join("proc");
        match Dir::open(&path) {
            Ok(proc) => {
                Ok(Self { processes: Processes::new(proc), host_root: host_root.to_owned() })
            }
            Err(error) => Err(ScanError::Proc { path, source: error.into() }),
        }
    }

    /// Tells when processes began by this time of boot, nanoseconds since the epoch.
    #[must_use]
    pub fn with_boot(mut self, boot_epoch: u64) -> Self {
        self.processes.boot = boot_epoch;
        self
    }

    /// Shows here which process is being read.
    #[must_use]
    pub fn with_heartbeat(mut self, heartbeat: &Arc<Heartbeat>) -> Self {
        self.processes.heartbeat = Arc::clone(heartbeat);
        self
    }

    /// Everything, or only the processes in a cgroup v2 directory and below it, and of their
    /// ancestors what they are and no more.
    ///
    /// # Errors
    /// When the processes can't be listed.
    pub fn scan(mut self, scope: Option<&Path>) -> Result<Scan, ScanError> {
        let (ready, processes) = self.plan(scope)?;
        Ok(Scan { scanner: self, processes: processes.into_iter(), ready })
    }

    /// Describes a thread with its process and those of its ancestors that are not `known`, the
    /// highest first. Empty when it is gone. With a scope, ancestors are read only as far as they
    /// are of a scoped [`scan`](Self::scan).
    ///
    /// What takes longer than `time` is cut short, at the granularity of a file: open files and
    /// threads are missing then, or distant ancestors, and the second value is true.
    pub fn resolve(
        &mut self,
        tid: i64,
        scoped: bool,
        known: impl Fn(i64) -> bool,
        time: Duration,
    ) -> (Vec<Item>, bool) {
        self.processes.fds.sockets.expire(MAX_AGE);
        self.processes.mounts.expire();
        let deadline = Deadline::within(time);
        let Some((pid, ppid)) = self.processes.process_of(tid) else { return (Vec::new(), false) };
        let above = if scoped { Depth::Ancestor } else { Depth::Whole };
        let ancestors = self.ancestors(ppid, known).into_iter().map(|pid| (pid, above));
        self.processes.deadline = deadline;
        let mut found = Vec::new();
        for (pid, depth) in [(pid, Depth::Whole)].into_iter().chain(ancestors) {
            let mut items = Vec::new();
            self.processes.read(pid, depth, |item| add(&mut items, item));
            found.push(items);
            if deadline.is_over() {
                break;
            }
        }
        self.processes.deadline = Deadline::default();
        (found.into_iter().rev().flatten().collect(), deadline.is_over())
    }

    /// Before a process is read for others: by which time of boot starts are told, for how long it
    /// is read, whether only what it can't delay, and whether nothing old is used.
    pub(crate) fn prepare(&mut self, boot: u64, time: Duration, safe: bool, fresh: bool) {
        if fresh {
            self.processes.fds.sockets.expire(MAX_AGE);
            self.processes.mounts.expire();
        }
        self.processes.boot = boot;
        self.processes.deadline = Deadline::within(time);
        self.processes.safe = safe;
        self.processes.mounts.refused = 0;
    }

    /// Has this thread read before the other threads of its process; `alone`, if these are many.
    pub(crate) fn prefer(&mut self, tid: i64, alone: bool) {
        self.processes.first = Some(tid);
        self.processes.few = alone;
        self.processes.left_out = false;
    }

    /// How the reading since [`prepare`](Self::prepare) went.
    pub(crate) fn outcome(&self) -> ReadOutcome {
        ReadOutcome {
            cut: self.processes.deadline.is_over() || self.processes.left_out,
            tables_refused: self.processes.mounts.refused,
        }
    }

    /// The id of the process of a thread, then those of its ancestors.
    pub(crate) fn process_and_ancestors(&mut self, tid: i64) -> Option<Vec<i64>> {
        let (pid, ppid) = self.processes.process_of(tid)?;
        let ancestors = self.ancestors(ppid, |_| false);
        Some([pid].into_iter().chain(ancestors).collect())
    }

    /// The working directories of processes, which takes much less time than to read the processes.
    pub(crate) fn working_directories(&mut self, pids: &[i64]) -> HashMap<i64, Arc<[u8]>> {
        let of = |pid: &i64| {
            let dir = self.processes.proc.dir(rustix::path::DecInt::new(*pid).as_c_str()).ok()?;
            Some((*pid, self.processes.directories(&dir).1))
        };
        pids.iter().filter_map(of).collect()
    }

    /// Gives the items about a process.
    pub(crate) fn read_process(&mut self, pid: i64, depth: Depth, give: impl FnMut(Item)) {
        self.processes.read(pid, depth, give);
    }

    /// Gives what some open files of a thread are.
    pub(crate) fn read_files(&mut self, tid: i64, numbers: &[i64], give: impl FnMut(Vec<Fd>)) {
        self.processes.read_files(tid, numbers, give);
    }

    /// The numbers of all open files of a process. `None` when it is gone.
    pub(crate) fn open_numbers(&self, pid: i64, into: &mut Vec<i64>) -> Option<()> {
        self.processes.open_numbers(pid, into)
    }

    /// What precedes the processes in a scan, and the processes, with how much of each is read.
    pub(crate) fn plan(&mut self, scope: Option<&Path>) -> Result<Plan, ScanError> {
        let processes = match scope {
            Some(scope) => self.scoped(scope)?,
            None => self.all_processes()?.into_iter().map(|pid| (pid, Depth::Whole)).collect(),
        };
        Ok((self.preamble(), processes))
    }

    /// A process that is known already: its threads and what it has open, then the numbers of all
    /// its open files. Nothing when it is gone.
    pub fn process(&mut self, pid: i64) -> (Vec<Item>, Vec<i64>) {
        let (mut items, mut open) = (Vec::new(), Vec::new());
        self.processes.read(pid, Depth::Whole, |item| add(&mut items, item));
        if self.processes.open_numbers(pid, &mut open).is_none() {
            // It has ended while it was read.
            return (Vec::new(), Vec::new());
        }
        (items, open)
    }

    /// The ids of all processes.
    ///
    /// # Errors
    /// When they can't be listed.
    pub fn all_processes(&self) -> Result<Vec<i64>, ScanError> {
        let mut pids = Vec::new();
        self.processes.proc.numbers(".", &mut pids).map_err(|error| ScanError::Proc {
            path: self.host_root.join("proc"),
            source: error.into(),
        })?;
        Ok(pids)
    }

    /// What precedes the processes.
    fn preamble(&self) -> VecDeque<Item> {
        let mut items = VecDeque::from([Item::Machine(machine::machine(&self.processes.proc))]);
        items.extend(machine::interfaces().into_iter().map(Item::Interface));
        // Some hosts have no account files.
        if let Ok(etc) = Dir::open(&self.host_root.join("etc")) {
            items.extend(accounts::items(|name, into| etc.read(name, MAX_FILE, into)));
        }
        items
    }

    fn scoped(&mut self, scope: &Path) -> Result<Vec<(i64, Depth)>, ScanError> {
        let members = scope::members(scope)
            .map_err(|error| ScanError::Scope { path: scope.to_owned(), source: error.into() })?;
        let mut seen: HashSet<i64> = members.iter().copied().collect();
        let mut processes = Vec::new();
        for &pid in &members {
            let Some((_, ppid)) = self.processes.process_of(pid) else { continue };
            let ancestors = self.ancestors(ppid, |pid| seen.contains(&pid));
            seen.extend(&ancestors);
            processes.extend(ancestors.into_iter().map(|pid| (pid, Depth::Ancestor)));
        }
        processes.extend(members.into_iter().map(|pid| (pid, Depth::Whole)));
        Ok(processes)
    }

    /// This process, its parent and so on, up to one that is known.
    fn ancestors(&mut self, mut pid: i64, known: impl Fn(i64) -> bool) -> Vec<i64> {
        let mut ancestors = Vec::new();
        while pid > 0 && !known(pid) && ancestors.len() < MAX_ANCESTORS {
            let Some((_, ppid)) = self.processes.process_of(pid) else { break };
            ancestors.push(pid);
            pid = ppid;
        }
        ancestors
    }
}

/// Adds an item; open files of a process that come in parts become one item.
pub(crate) fn add(items: &mut Vec<Item>, item: Item) {
    match (items.last_mut(), item) {
        (Some(Item::Fds(pid, fds)), Item::Fds(of, more)) if *pid == of => fds.extend(more),
        (_, item) => items.push(item),
    }
}

impl Iterator for Scan {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(item);
            }
            let (pid, depth) = self.processes.next()?;
            self.scanner.processes.read(pid, depth, |item| self.ready.push_back(item));
        }
    }
}

#[cfg(test)]
mod tests;
