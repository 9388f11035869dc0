//! A thread that does the same again and again.

use std::io;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Does something at an interval, on a thread of its own, until it is dropped.
#[derive(Debug)]
pub struct Periodic {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Why a [`Periodic`] acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The interval has passed.
    Due,
    /// It is dropped, which waits for this turn.
    Last,
}

impl Periodic {
    /// Starts the thread; the first turn comes after one interval.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start(
        name: &str,
        interval: Duration,
        mut act: impl FnMut(Turn) + Send + 'static,
    ) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let run = move || {
            while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                act(Turn::Due);
            }
            act(Turn::Last);
        };
        let thread = thread::Builder::new().name(name.to_owned()).spawn(run)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Periodic {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
