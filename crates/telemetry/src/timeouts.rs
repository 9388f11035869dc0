//! Detects that no events arrive: `syscall_event_timeouts` of the configuration.

/// A wait for events ends without one after this time, at first.
const SHORTEST: u64 = 500_000;
/// It doubles each time, up to this.
const LONGEST: u64 = 30_000_000;

/// Counts consecutive waits that end without an event.
///
/// Falco counts its own waits. How long ours are depends on the size of the rings, so they are
/// counted as if they were Falco's: a thousand of them are half a minute.
#[derive(Clone, Debug)]
pub struct TimeoutMonitor {
    max_consecutives: u32,
    repeats: bool,
    /// Time of the last event, nanoseconds since the epoch; 0 before the first.
    last_event: u64,
    silence: Option<Silence>,
}

#[derive(Clone, Copy, Debug)]
struct Silence {
    timeouts: u32,
    /// End and length of the current wait.
    ends: u64,
    wait: u64,
    reported: bool,
}

impl TimeoutMonitor {
    /// Reports more than this many consecutive timeouts, once or repeatedly while the silence
    /// lasts.
    pub fn new(max_consecutives: u32, repeats: bool) -> Self {
        Self { max_consecutives, repeats, last_event: 0, silence: None }
    }

    /// Changes what is reported from now on.
    pub fn configure(&mut self, max_consecutives: u32, repeats: bool) {
        (self.max_consecutives, self.repeats) = (max_consecutives, repeats);
    }

    /// An event arrived at this time, in nanoseconds.
    #[inline]
    pub fn event(&mut self, ts: u64) {
        self.last_event = ts;
        self.silence = None;
    }

    /// No event is available at this time. Returns whether to report the silence.
    pub fn idle(&mut self, now: u64) -> bool {
        let silence = self.silence.get_or_insert(Silence {
            timeouts: 0,
            ends: now.saturating_add(SHORTEST),
            wait: SHORTEST,
            reported: false,
        });
        while silence.ends <= now {
            silence.wait = (silence.wait * 2).min(LONGEST);
            silence.ends = silence.ends.saturating_add(silence.wait);
            silence.timeouts += 1;
            if silence.timeouts > self.max_consecutives {
                silence.timeouts = 0;
                silence.ends = now.saturating_add(silence.wait);
                return !std::mem::replace(&mut silence.reported, true) || self.repeats;
            }
        }
        false
    }

    /// Time of the last event, if there was one.
    pub fn last_event(&self) -> Option<u64> {
        Some(self.last_event).filter(|&ts| ts != 0)
    }

    /// Consecutive timeouts that are not reported.
    pub fn max_consecutives(&self) -> u32 {
        self.max_consecutives
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    const START: u64 = 1_700_000_000_000_000_000;

    /// The milliseconds, within a range, at which silence is reported.
    fn reported(monitor: &mut TimeoutMonitor, from: u64, len: u64) -> Vec<u64> {
        (from..from + len).filter(|ms| monitor.idle(START + ms * MS)).collect()
    }

    #[test]
    fn silence_is_told_after_more_than_so_many_timeouts_and_again() {
        let mut monitor = TimeoutMonitor::new(1000, true);
        // Half, one, two, four, eight and sixteen milliseconds, then thirty each.
        let first = 32 + 995 * 30;
        assert_eq!(reported(&mut monitor, 0, 70_000), [first, first + 1001 * 30]);
        assert_eq!(monitor.last_event(), None);
    }

    #[test]
    fn an_event_ends_the_silence() {
        let mut monitor = TimeoutMonitor::new(3, false);
        assert_eq!(reported(&mut monitor, 0, 7), []);
        monitor.event(START + 7 * MS);
        assert_eq!(reported(&mut monitor, 8, 100), [16]);
        monitor.event(START + 200 * MS);
        assert_eq!(reported(&mut monitor, 300, 1000), [308]);
        assert_eq!(monitor.last_event(), Some(START + 200 * MS));
    }

    #[test]
    fn a_machine_that_slept_is_told_of_once() {
        let mut monitor = TimeoutMonitor::new(10, true);
        assert!(!monitor.idle(START));
        assert!(monitor.idle(START + 3_600_000 * MS));
        assert!(!monitor.idle(START + 3_600_001 * MS));
    }
}
