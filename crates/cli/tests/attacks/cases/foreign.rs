//! What is read of a monitored process: files below its root directory, and its mounts.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;

use crate::agent::Alerts;
use crate::attacker::{Attacker, UNPRIVILEGED};
use crate::trial::{MEMORY, Trial};

/// A ring of 1 MiB, so that little is lost with few events.
const SMALL_RING: [&str; 2] = ["-o", "engine.modern_ebpf.buf_size_preset=1"];
/// Mounts, and open files in detached ones.
const MOUNTS: &str = "3000";
/// More events than a small ring holds.
const FLOOD: &str = "40000";

/// A FIFO of the host, and how often it was opened for reading.
pub(super) struct Trap {
    path: PathBuf,
    stop: Arc<AtomicBool>,
    opened: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Trap {
    pub(super) fn set(path: PathBuf) -> Self {
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let (stop, opened) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (stopped, count, fifo) = (Arc::clone(&stop), Arc::clone(&opened), path.clone());
        let thread = thread::spawn(move || {
            while !stopped.load(Relaxed) {
                // Fails unless a reader has opened it or waits to.
                let writer = OpenOptions::new()
                    .write(true)
                    .custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32)
                    .open(&fifo);
                count.fetch_add(u64::from(writer.is_ok()), Relaxed);
                thread::sleep(Duration::from_millis(5));
            }
        });
        Self { path, stop, opened, thread: Some(thread) }
    }

    fn opened(&self) -> u64 {
        self.opened.load(Relaxed)
    }
}

impl Drop for Trap {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

pub(super) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Two processes, each unprivileged in namespaces of its own, with a root directory in which
/// `/proc/1/stat` is a FIFO, and a symlink to a FIFO of the host.
pub(super) fn foreign_roots(trial: &Trial, group: &Path, trap: &Trap) -> [Attacker; 2] {
    let (fifo, link) = (trial.place.path("fifo"), trial.place.path("link"));
    [
        Attacker::start(group, UNPRIVILEGED, &["foreign-root", text(&fifo)]),
        Attacker::start(group, UNPRIVILEGED, &["foreign-root", text(&link), text(&trap.path)]),
    ]
}

pub(super) fn fifo_before_start(trial: &mut Trial) {
    let trap = Trap::set(trial.place.path("trap"));
    let _attackers = foreign_roots(trial, &trial.place.group("attack"), &trap);
    trial.start(Alerts::Stdout, &[]);
    trial.pass(Duration::from_secs(4));
    not_opened(trial, &trap);
    trial.conclude(Signal::TERM, MEMORY);
}

/// One process becomes known by its own losses, the other by entering the monitored group.
pub(super) fn fifo_at_runtime(trial: &mut Trial) {
    let trap = Trap::set(trial.place.path("trap"));
    let (group, outside) = (trial.place.group("attack"), trial.place.outside("attack"));
    trial.start(Alerts::Stdout, &SMALL_RING);
    let mut attackers = foreign_roots(trial, &group, &trap);
    let mut unknown = Attacker::start(
        &outside,
        UNPRIVILEGED,
        &["foreign-root", text(&trial.place.path("unknown"))],
    );
    lose(trial, &mut attackers);
    trial.place.enter(&outside, &group);
    unknown.tell("100");
    trial.pass(Duration::from_secs(4));
    not_opened(trial, &trap);
    trial.conclude(Signal::INT, MEMORY);
}

pub(super) fn not_opened(trial: &mut Trial, trap: &Trap) {
    let opened = trap.opened();
    trial.promise(opened == 0, || format!("a path of the host was opened {opened} times"));
}

/// Makes the agent lose events of these attackers: it is stopped meanwhile.
fn lose(trial: &mut Trial, attackers: &mut [Attacker]) {
    if let Some(agent) = trial.agent() {
        agent.signal(Signal::STOP);
    }
    for attacker in attackers.iter_mut() {
        attacker.does(FLOOD);
    }
    if let Some(agent) = trial.agent() {
        agent.signal(Signal::CONT);
    }
}

pub(super) fn mounts_before_start(trial: &mut Trial) {
    let directory = trial.place.path("mounts");
    std::fs::create_dir(&directory).unwrap();
    let group = trial.place.group("attack");
    let _attacker = Attacker::start(&group, UNPRIVILEGED, &["mounts", text(&directory), MOUNTS]);
    trial.start(Alerts::Stdout, &[]);
    trial.pass(Duration::from_secs(2));
    trial.conclude(Signal::TERM, MEMORY);
}

pub(super) fn mounts_at_runtime(trial: &mut Trial) {
    let directory = trial.place.path("mounts");
    std::fs::create_dir(&directory).unwrap();
    let outside = trial.place.outside("attack");
    let actor = ["mounts", text(&directory), MOUNTS];
    let mut attackers = [Attacker::start(&outside, UNPRIVILEGED, &actor)];
    trial.start(Alerts::Stdout, &SMALL_RING);
    trial.place.enter(&outside, &trial.place.group("attack"));
    // After its losses it is read as a whole.
    lose(trial, &mut attackers);
    trial.pass(Duration::from_secs(4));
    trial.conclude(Signal::TERM, MEMORY);
}
