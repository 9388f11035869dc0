//! Alerts as lines, written to a descriptor so that each is there whole or not at all.

use std::io::{self, ErrorKind};

use peregrine_alert::Alert;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::AsFd;
use rustix::fs::{FileType, SeekFrom, fstat, ftruncate, seek};
use rustix::io::Errno;

use super::deliver::Outcome;
use crate::format::Formatter;

/// Bytes that are collected before they are written.
const BUFFER: usize = 64 * 1024;

/// Lines that wait to be written.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    pending: Vec<u8>,
    /// Where each alert ends in `pending`.
    ends: Vec<usize>,
    /// The last line written is incomplete, and could not be removed.
    torn: bool,
}

impl Lines {
    /// Adds an alert.
    pub(crate) fn add(&mut self, alert: &Alert, format: &mut Formatter) {
        if self.pending.is_empty() && self.torn {
            self.pending.push(b'\n');
        }
        format.line(alert, &mut self.pending);
        self.pending.push(b'\n');
        self.ends.push(self.pending.len());
    }

    /// Whether it is time to write.
    pub(crate) fn is_full(&self) -> bool {
        self.pending.len() >= BUFFER
    }

    /// The bytes that wait.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.pending
    }

    /// Alerts that these first bytes hold completely.
    pub(crate) fn whole(&self, bytes: usize) -> usize {
        self.ends.partition_point(|end| *end <= bytes)
    }

    /// Removes all. Gives back how many alerts it were.
    pub(crate) fn clear(&mut self) -> usize {
        self.pending.clear();
        let alerts = self.ends.len();
        self.ends.clear();
        alerts
    }

    /// Writes all. What cannot be written is lost: of a line that is written in part, nothing stays
    /// in a regular file.
    pub(crate) fn write_to(&mut self, to: impl AsFd) -> Outcome {
        if self.pending.is_empty() {
            return Outcome::default();
        }
        let (written, result) = write_all(to.as_fd(), &self.pending);
        let whole = self.whole(written);
        let end = whole.checked_sub(1).and_then(|last| self.ends.get(last)).copied();
        let partial = written - end.unwrap_or_default();
        let removed = partial == 0 || remove_last(to, partial);
        // Without a whole line, an incomplete one before these stays the last.
        self.torn = !removed || self.torn && whole == 0;
        let lost = self.clear() - whole;
        Outcome::of(whole, Ok(())).and(match result {
            Ok(()) => Outcome::default(),
            Err(error) => Outcome::of(lost, Err(error.into())),
        })
    }
}

/// Writes to a descriptor, which may be a non-blocking one. Gives back how many bytes it has taken.
fn write_all(to: impl AsFd, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut left = bytes;
    let result = loop {
        if left.is_empty() {
            break Ok(());
        }
        match rustix::io::write(&to, left) {
            Ok(0) => break Err(ErrorKind::WriteZero.into()),
            Ok(written) => left = left.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let _ = poll(&mut [PollFd::new(&to, PollFlags::OUT)], None);
            }
            Err(error) => break Err(error.into()),
        }
    };
    (bytes.len() - left.len(), result)
}

/// Removes the last bytes of a regular file, unless another process has written after them.
fn remove_last(file: impl AsFd, bytes: usize) -> bool {
    let (Ok(stat), Ok(end)) = (fstat(&file), seek(&file, SeekFrom::Current(0))) else {
        return false;
    };
    let is_last = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
        && u64::try_from(stat.st_size) == Ok(end);
    let Some(end) = end.checked_sub(bytes as u64).filter(|_| is_last) else { return false };
    ftruncate(&file, end).is_ok() && seek(&file, SeekFrom::Start(end)).is_ok()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    use std::thread;

    use proptest::prelude::*;

    use super::*;
    use crate::testing::{alerts, formatter, lines};

    fn pending(texts: &[&str]) -> Lines {
        let mut pending = Lines::default();
        alerts(texts).iter().for_each(|alert| pending.add(alert, &mut formatter()));
        pending
    }

    #[test]
    fn a_destination_that_is_not_ready_is_waited_for() {
        let (to, mut from) = UnixStream::pair().unwrap();
        to.set_nonblocking(true).unwrap();
        let text = "x".repeat(10_000);
        let texts = vec![text.as_str(); 200];
        let reader = thread::spawn(move || {
            let mut all = String::new();
            from.read_to_string(&mut all).unwrap();
            all
        });
        assert_eq!(pending(&texts).write_to(&to).unwrap(), 200);
        drop(to);
        assert_eq!(reader.join().unwrap(), lines(&texts));
    }

    #[test]
    fn a_closed_destination_loses_what_it_has_not_taken() {
        let (to, from) = UnixStream::pair().unwrap();
        drop(from);
        let outcome = pending(&["a", "b"]).write_to(&to);
        assert_eq!((outcome.delivered, outcome.failed), (0, 2));
    }

    #[test]
    fn a_line_after_a_torn_one_begins_anew() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"half").unwrap();
        let mut pending = Lines { torn: true, ..Lines::default() };
        for text in ["a", "b"] {
            alerts(&[text]).iter().for_each(|alert| pending.add(alert, &mut formatter()));
            assert_eq!(pending.write_to(&file).unwrap(), 1);
        }
        let mut all = String::new();
        io::Seek::rewind(&mut file).unwrap();
        file.read_to_string(&mut all).unwrap();
        assert_eq!(all, format!("half\n{}", lines(&["a", "b"])));
    }

    proptest! {
        #[test]
        fn an_alert_is_whole_if_its_line_end_is_there(
            texts in prop::collection::vec("[a-z]{0,20}", 1..10), share in 0.0..1.0_f64
        ) {
            let texts: Vec<_> = texts.iter().map(String::as_str).collect();
            let pending = pending(&texts);
            let bytes = (pending.bytes().len() as f64 * share) as usize;
            let ends = pending.bytes()[..bytes].iter().filter(|byte| **byte == b'\n').count();
            prop_assert_eq!(pending.whole(bytes), ends);
        }
    }
}
