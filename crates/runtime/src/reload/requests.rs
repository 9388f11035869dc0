//! Requests to reload, from the thread that receives signals.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use peregrine_watch::Watcher;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

/// Pause after changes, so that a directory in which other files change all the time takes little
/// CPU time.
const PAUSE: Duration = Duration::from_millis(50);

/// Requests of all threads; several that wait are one.
#[derive(Clone, Debug)]
pub struct Requests(Arc<OwnedFd>);

impl Requests {
    /// No request yet.
    ///
    /// # Errors
    /// When the process has too many open files.
    pub fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)))
    }

    /// Requests a reload.
    pub fn send(&self) {
        // An error says that very many are waiting.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    /// Whether there was a request since the last call.
    pub(super) fn take(&self) -> bool {
        rustix::io::read(&self.0, &mut [0; size_of::<u64>()]).is_ok()
    }

    /// Waits for a request or a change, at most this time.
    pub(super) fn wait(&self, watcher: Option<&Watcher>, most: Option<Duration>) {
        let most = most.and_then(|most| Timespec::try_from(most).ok());
        let mut sources = vec![PollFd::new(&*self.0, PollFlags::IN)];
        sources.extend(watcher.map(|watcher| PollFd::new(watcher, PollFlags::IN)));
        // An interrupted wait is a short one.
        if poll(&mut sources, most.as_ref()).is_err()
            || sources.get(1).is_some_and(|changes| !changes.revents().is_empty())
        {
            thread::sleep(PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_end_the_wait_and_are_taken_together() {
        let requests = Requests::new().unwrap();
        assert!(!requests.take());
        requests.clone().send();
        requests.send();
        requests.wait(None, None);
        assert!(requests.take());
        assert!(!requests.take());
        requests.wait(None, Some(Duration::ZERO));
    }
}
