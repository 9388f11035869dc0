//! Renames the file when it is large or old enough.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use peregrine_files::{FileMode, Siblings};

use super::super::error::ChannelError;
use super::renamed::{Rotation, Stamp};
use super::tidy::Tidy;

#[derive(Debug)]
pub(crate) struct Rotator {
    rotation: Rotation,
    tidy: Tidy,
    /// The last name that was given, in microseconds since the epoch.
    last: i64,
    begun: bool,
}

impl Rotator {
    pub(crate) fn new(path: PathBuf, mode: FileMode, rotation: Rotation) -> Self {
        let tidy = Tidy::new(path, mode, rotation);
        Self { rotation, tidy, last: 0, begun: false }
    }

    /// Whether a new file begins before this many bytes more.
    pub(crate) fn is_due(&self, file: &File, more: usize) -> bool {
        let metadata = file.metadata().ok();
        let Some(metadata) = metadata.filter(|file| file.is_file() && file.len() > 0) else {
            return false;
        };
        let Rotation { max_bytes, every, .. } = self.rotation;
        let is_large =
            max_bytes.is_some_and(|max| metadata.len().saturating_add(more as u64) > max.get());
        let is_old = every.is_some_and(|every| {
            let written = metadata.modified().unwrap_or(SystemTime::now());
            interval(written, every) < interval(SystemTime::now(), every)
        });
        is_large || is_old
    }

    /// Renames the file.
    pub(crate) fn rename(&mut self, path: &Path) -> Result<(), ChannelError> {
        let failed = |source| ChannelError::Rotate { path: path.to_owned(), source };
        let (files, name) = Siblings::of(path).map_err(failed)?;
        if self.last == 0 {
            let last = Stamp::of_files(&files, name).map_err(failed)?.pop();
            self.last = last.map_or(0, |(Stamp(last), _)| last);
        }
        // Also if the clock was set back.
        let stamp = Timestamp::now().as_microsecond().max(self.last.saturating_add(1));
        files.rename(name, &Stamp(stamp).name(name)).map_err(failed)?;
        self.last = stamp;
        self.tidy.request()
    }

    /// Does at the start what an interrupted run has left, on a thread of its own. Reports what
    /// went wrong there.
    pub(crate) fn tidy_at_start(&mut self) -> Result<(), ChannelError> {
        if !std::mem::replace(&mut self.begun, true) {
            self.tidy.request()?;
        }
        self.tidy.take_error().map_or(Ok(()), Err)
    }

    /// Waits for that thread, for a moment at most: what it has not done is done at the next start.
    pub(crate) fn finish(self) -> Result<(), ChannelError> {
        self.tidy.finish()
    }
}

/// The number of the interval that a time is in.
fn interval(time: SystemTime, length: Duration) -> u128 {
    let time = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    time.as_nanos() / length.as_nanos().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_begin_at_midnight_in_utc() {
        let day = Duration::from_secs(86_400);
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(interval(at(86_400 - 1), day), 0);
        assert_eq!(interval(at(86_400), day), 1);
        assert_eq!(interval(at(2 * 86_400 - 1), day), 1);
    }
}
