//! Holds back lines that repeat, and says how often they did.

use std::time::{Duration, Instant};

use peregrine_alert::Priority;

/// How often the same line may be written within [`WINDOW`].
const BURST: u32 = 5;
/// The time after which the repeats of a line are reported and it may be written again.
const WINDOW: Duration = Duration::from_secs(60);
/// Lines that are remembered. When there are more, the oldest is forgotten first.
const LINES: usize = 64;
/// A longer line is not remembered, and therefore never held back.
const LINE_BYTES: usize = 4 << 10;

/// The lines of the last minute.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    /// The oldest window first.
    recent: Vec<Recent>,
}

#[derive(Debug)]
struct Recent {
    level: Priority,
    message: String,
    since: Instant,
    written: u32,
    held_back: u64,
}

/// A line that replaces those that were held back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) level: Priority,
    pub(super) message: String,
}

impl Repeats {
    /// Whether this line is to be written, and the reports that are due before it.
    pub(super) fn admit(
        &mut self,
        now: Instant,
        level: Priority,
        message: &str,
    ) -> (bool, Vec<Report>) {
        let is_over = |recent: &Recent| now.saturating_duration_since(recent.since) >= WINDOW;
        let over = self.recent.iter().take_while(|recent| is_over(recent)).count();
        let mut reports: Vec<_> = self.recent.drain(..over).filter_map(Recent::report).collect();
        let mut known = self.recent.iter_mut();
        if let Some(known) = known.find(|known| known.level == level && known.message == message) {
            let admitted = known.written < BURST;
            known.written += u32::from(admitted);
            known.held_back += u64::from(!admitted);
            return (admitted, reports);
        }
        if message.len() <= LINE_BYTES {
            if self.recent.len() >= LINES {
                reports.extend(self.recent.remove(0).report());
            }
            let message = message.to_owned();
            self.recent.push(Recent { level, message, since: now, written: 1, held_back: 0 });
        }
        (true, reports)
    }

    /// What is left to report at the end.
    pub(super) fn finish(&mut self) -> Vec<Report> {
        self.recent.drain(..).filter_map(Recent::report).collect()
    }
}

impl Recent {
    fn report(self) -> Option<Report> {
        let Self { level, message, held_back, .. } = self;
        let times = if held_back == 1 { "time" } else { "times" };
        let message = format!("{message} (repeated {held_back} more {times} within a minute)");
        (held_back > 0).then_some(Report { level, message })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEVEL: Priority = Priority::Warning;

    #[test]
    fn a_burst_is_written_and_the_rest_counted() {
        let mut repeats = Repeats::default();
        let begin = Instant::now();
        let admitted = (0..100).filter(|_| repeats.admit(begin, LEVEL, "full").0).count();
        assert_eq!(admitted, BURST as usize);
        // Another line passes, and another level is another line.
        assert_eq!(repeats.admit(begin, LEVEL, "other"), (true, Vec::new()));
        assert_eq!(repeats.admit(begin, Priority::Error, "full"), (true, Vec::new()));

        let later = begin + WINDOW;
        let (admitted, reports) = repeats.admit(later, LEVEL, "full");
        let message = "full (repeated 95 more times within a minute)".to_owned();
        assert_eq!((admitted, reports), (true, vec![Report { level: LEVEL, message }]));
        assert_eq!(repeats.finish(), []);
    }

    #[test]
    fn the_end_reports_what_is_left() {
        let mut repeats = Repeats::default();
        let now = Instant::now();
        (0..=BURST).for_each(|_| drop(repeats.admit(now, LEVEL, "full")));
        let reports = repeats.finish();
        assert_eq!(reports.len(), 1);
        assert_eq!(reports[0].message, "full (repeated 1 more time within a minute)");
    }

    #[test]
    fn memory_is_bounded_and_no_count_is_lost() {
        let mut repeats = Repeats::default();
        let now = Instant::now();
        (0..=BURST).for_each(|_| drop(repeats.admit(now, LEVEL, "first")));
        let mut reports = Vec::new();
        for number in 0..1000 {
            reports.extend(repeats.admit(now, LEVEL, &number.to_string()).1);
        }
        assert_eq!((reports.len(), repeats.recent.len()), (1, LINES));
        let long = "x".repeat(LINE_BYTES + 1);
        assert!((0..100).all(|_| repeats.admit(now, LEVEL, &long).0));
    }
}
