//! A running program: its input, its end, and the processes that it has started.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::{Errno, ioctl_fionbio, ioctl_fionread, write};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, waitid,
};

use crate::shutdown::{Phase, Shutdown};

/// A running program, in a process group of its own.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    pid: Pid,
    /// Readable when the program has ended; kernels before 5.3 have none.
    exit: Option<OwnedFd>,
    shutdown: Arc<Shutdown>,
    started: Instant,
}

/// How a program has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// It was told to end by a signal, because it took too long.
    pub(crate) overdue: bool,
}

/// Time between two looks at whether the run is over.
const SLICE: Duration = Duration::from_millis(50);
/// Time between two looks at what the program has read: the first, and the longest.
const FIRST_LOOK: Duration = Duration::from_micros(50);
const LONGEST_LOOK: Duration = Duration::from_millis(20);
/// Time between SIGTERM and SIGKILL, and after SIGKILL; and that at the end of a run.
const GRACE: Duration = Duration::from_secs(1);
const LAST_GRACE: Duration = Duration::from_millis(200);

impl Process {
    /// Starts a command of the shell.
    pub(crate) fn start(command: &str, shutdown: Arc<Shutdown>) -> io::Result<Self> {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(command).stdin(Stdio::piped()).process_group(0);
        // The service manager wants signs of life of the agent only.
        for variable in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] {
            shell.env_remove(variable);
        }
        let mut child = shell.spawn()?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or(io::ErrorKind::InvalidData)?;
        let exit = pidfd_open(pid, PidfdFlags::empty()).ok();
        let input = child.stdin.take();
        if let Some(input) = &input {
            ioctl_fionbio(input, true)?;
        }
        Ok(Self { child, input, pid, exit, shutdown, started: Instant::now() })
    }

    /// How long it has been running.
    pub(crate) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Whether no process reads the input any more.
    pub(crate) fn is_deaf(&self) -> bool {
        let Some(input) = &self.input else { return true };
        is_ready(input, PollFlags::empty(), Duration::ZERO)
    }

    /// Writes bytes into the pipe until all are there, the program reads no more, the time has come
    /// or the run is over. Gives back how many it were.
    pub(crate) fn write(&self, bytes: &[u8], until: Option<Instant>) -> usize {
        let Some(input) = &self.input else { return 0 };
        let mut left = bytes;
        while !left.is_empty() {
            match write(input, left) {
                Ok(written) => left = left.get(written..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    let Some(slice) = self.slice(until) else { break };
                    is_ready(input, PollFlags::OUT, slice);
                }
                Err(_) => break,
            }
        }
        bytes.len() - left.len()
    }

    /// Waits until the program has read all that was written, reads no more, or the run is over.
    /// Gives back the number of bytes that it has not read.
    pub(crate) fn wait_until_read(&self) -> usize {
        let Some(input) = &self.input else { return 0 };
        // The kernel tells it also after the program has ended.
        let unread = || ioctl_fionread(input).map_or(0, |bytes| bytes as usize);
        let mut look = FIRST_LOOK;
        loop {
            match unread() {
                0 => return 0,
                left if self.slice(None).is_none() => return left,
                _ if is_ready(input, PollFlags::empty(), look) => return unread(),
                _ => look = LONGEST_LOOK.min(look * 2),
            }
        }
    }

    /// Closes the input and waits for the program to end. At this time, or when the run is over,
    /// its process group gets SIGTERM and then SIGKILL.
    pub(crate) fn end(mut self, until: Instant) -> io::Result<Ended> {
        self.input = None;
        let mut overdue = false;
        if !self.wait_for_exit(until) {
            overdue = true;
            let grace = self.slice(None).map_or(LAST_GRACE, |_| GRACE);
            for signal in [Signal::TERM, Signal::KILL] {
                // It is not waited for yet, so the number is not that of another group.
                let _ = kill_process_group(self.pid, signal);
                if self.wait(Instant::now() + grace, |_| Some(SLICE)) {
                    break;
                }
            }
        }
        let status = self.child.try_wait()?;
        status.map(|status| Ended { status, overdue }).ok_or_else(|| io::ErrorKind::TimedOut.into())
    }

    fn wait_for_exit(&self, until: Instant) -> bool {
        self.wait(until, |process| process.slice(Some(until)))
    }

    /// Waits until the program has ended, or until `slice` gives no more time.
    fn wait(&self, until: Instant, slice: impl Fn(&Self) -> Option<Duration>) -> bool {
        loop {
            if self.has_exited() {
                return true;
            }
            let left = until.saturating_duration_since(Instant::now());
            let Some(slice) = slice(self).filter(|_| !left.is_zero()) else { return false };
            match &self.exit {
                Some(exit) => {
                    is_ready(exit, PollFlags::IN, slice.min(left));
                }
                None => std::thread::sleep(LONGEST_LOOK),
            }
        }
    }

    fn has_exited(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        !matches!(waitid(WaitId::Pid(self.pid), options), Ok(None))
    }

    /// How long to wait before the next look at the time and at the run; `None` at the time, or if
    /// the run is over.
    fn slice(&self, until: Option<Instant>) -> Option<Duration> {
        if self.shutdown.pause(Duration::ZERO) == Phase::Ended {
            return None;
        }
        let left = until.map_or(SLICE, |until| until.saturating_duration_since(Instant::now()));
        Some(left.min(SLICE)).filter(|left| !left.is_zero())
    }
}

/// Waits for this at most. True at once if it is there, or the other end of a pipe is closed.
fn is_ready(fd: impl AsFd, flags: PollFlags, most: Duration) -> bool {
    let most = Timespec::try_from(most).ok();
    poll(&mut [PollFd::new(&fd, flags)], most.as_ref()).is_ok_and(|ready| ready > 0)
}
