//! Sleep that ends early when a ring is half full.
//!
//! The kernel side does not wake the reader for each event, which would cost more than the event.
//! It does when a ring is half full, and then a sleeping reader must hurry.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};

/// Rings reported per wakeup; others are reported by the next one.
const AT_ONCE: usize = 16;
const AT_LAST: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// Waits for these rings.
pub(crate) struct Waiter {
    epoll: OwnedFd,
    /// epoll drops closed descriptors, so they are kept open.
    _rings: Vec<OwnedFd>,
}

impl Waiter {
    /// # Errors
    /// When the system refuses.
    pub(crate) fn new(rings: Vec<OwnedFd>) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for ring in &rings {
            // Edge-triggered: only a wakeup counts, not that the ring is not empty.
            let when = epoll::EventFlags::IN | epoll::EventFlags::ET;
            epoll::add(&epoll, ring, epoll::EventData::new_u64(0), when)?;
        }
        Ok(Self { epoll, _rings: rings })
    }

    /// Sleeps for this time, or until a ring is half full. Returns whether one was.
    pub(crate) fn wait(&self, time: Duration) -> bool {
        let time = Timespec {
            tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: time.subsec_nanos().into(),
        };
        // This takes shorter times than epoll does on kernels before 5.11.
        let mut fds = [PollFd::new(&self.epoll, PollFlags::IN)];
        if !poll(&mut fds, Some(&time)).is_ok_and(|ready| ready > 0) {
            return false;
        }
        let mut ready = [MaybeUninit::uninit(); AT_ONCE];
        let ready = epoll::wait(&self.epoll, ready.as_mut_slice(), Some(&AT_LAST));
        ready.is_ok_and(|(ready, _)| !ready.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn each_alarm_ends_one_sleep() {
        let (reader, mut writer) = UnixStream::pair().unwrap();
        let waiter = Waiter::new(vec![reader.into()]).unwrap();
        let short = Duration::from_millis(1);
        assert!(!waiter.wait(short));
        writer.write_all(b"x").unwrap();
        assert!(waiter.wait(Duration::from_secs(60)));
        // What is still there is known already.
        assert!(!waiter.wait(short));
        writer.write_all(b"x").unwrap();
        assert!(waiter.wait(Duration::from_secs(60)));
    }
}
