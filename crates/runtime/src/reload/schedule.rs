//! When changed files are read: once they are quiet, and at most once a second.

use std::time::{Duration, Instant};

/// Time without a change before files are read: an editor or a package manager changes several.
const QUIET: Duration = Duration::from_millis(300);
/// Files that never become quiet are read after this time. Also the shortest time between two
/// readings.
const PERIOD: Duration = Duration::from_secs(1);

/// Changes that are not read yet.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    /// The first and the last change.
    changes: Option<(Instant, Instant)>,
    /// The end of the last reading.
    done: Option<Instant>,
}

impl Schedule {
    /// A file has changed.
    pub(super) fn changed(&mut self, now: Instant) {
        let (first, _) = self.changes.unwrap_or((now, now));
        self.changes = Some((first, now));
    }

    /// It is too early: as if the first change were now.
    pub(super) fn postpone(&mut self, now: Instant) {
        self.changes = Some((now, now));
    }

    /// Everything up to now is read.
    pub(super) fn done(&mut self, now: Instant) {
        *self = Self { changes: None, done: Some(now) };
    }

    /// When the files are to be read, if they have changed.
    pub(super) fn due(&self) -> Option<Instant> {
        let (first, last) = self.changes?;
        let due = (last + QUIET).min(first + PERIOD);
        Some(self.done.map_or(due, |done| due.max(done + PERIOD)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn files_are_read_when_they_are_quiet() {
        let (mut schedule, start) = (Schedule::default(), Instant::now());
        assert_eq!(schedule.due(), None);
        schedule.changed(start);
        schedule.changed(start + 200 * MS);
        assert_eq!(schedule.due(), Some(start + 500 * MS));
    }

    #[test]
    fn files_that_never_become_quiet_are_read_once_a_second() {
        let (mut schedule, start) = (Schedule::default(), Instant::now());
        let mut read = Vec::new();
        for time in 0..5000 {
            let now = start + time * MS;
            schedule.changed(now);
            if schedule.due().is_some_and(|due| due <= now) {
                read.push(time);
                schedule.done(now);
            }
        }
        assert_eq!(read, [1000, 2001, 3002, 4003]);
    }

    #[test]
    fn changes_soon_after_a_reading_wait() {
        let (mut schedule, start) = (Schedule::default(), Instant::now());
        schedule.done(start);
        schedule.changed(start + MS);
        assert_eq!(schedule.due(), Some(start + 1000 * MS));
        schedule.postpone(start + 1200 * MS);
        assert_eq!(schedule.due(), Some(start + 1500 * MS));
    }
}
