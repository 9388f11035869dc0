//! Servers that are started for a test.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::wait_until;

/// A server. It is ended when the test ends.
#[derive(Debug)]
pub(crate) struct Server(Child);

impl Server {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }

    /// The same, and waits until it accepts connections.
    #[track_caller]
    pub(crate) fn start_on(command: &mut Command, port: u16) -> Self {
        let mut server = Self::start(command);
        wait_until("the server listens", || {
            assert_eq!(server.0.try_wait().unwrap(), None, "the server has ended");
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        server
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id() as i32), signal).unwrap();
    }

    /// Waits for the end.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("it ends", || {
            status = self.0.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// Ends it at once, as a crash does.
    pub(crate) fn crash(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // With SIGTERM, processes of the server end too.
        let _ = kill(Pid::from_raw(self.0.id() as i32), Signal::SIGTERM);
        let begun = Instant::now();
        while matches!(self.0.try_wait(), Ok(None)) {
            if begun.elapsed() > Duration::from_secs(5) {
                let _ = self.0.kill();
                let _ = self.0.wait();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The file of a program.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    let directories = std::env::split_paths(&path).chain(usual);
    directories.map(|directory| directory.join(program)).find(|file| Path::is_file(file))
}

/// Says that a test can't run because something is not there. In CI it is installed, so the test
/// fails.
#[track_caller]
pub(crate) fn skip_or_fail(what: &str) {
    let in_ci = std::env::var("PEREGRINE_CI").is_ok_and(|value| value == "1");
    assert!(!in_ci, "{what} is missing");
    eprintln!("skipped: {what} is missing");
}
