//! The end of a run, for threads that wait.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Tells the threads of a channel that the run ends. It wakes those that [`pause`](Self::pause).
#[derive(Debug, Default)]
pub(crate) struct Shutdown {
    phase: Mutex<Phase>,
    changed: Condvar,
}

/// How far the end has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// It has not begun.
    #[default]
    Running,
    /// No alert is submitted any more. What waits is still delivered.
    Closing,
    /// Nothing more is delivered.
    Ended,
}

impl Shutdown {
    /// How far the end has come.
    pub(crate) fn phase(&self) -> Phase {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// No alert follows: a pause that has begun ends now, so that one more attempt is made at once.
    pub(crate) fn close(&self) {
        self.advance(Phase::Closing);
    }

    /// Nothing more is to be delivered: all pauses end.
    pub(crate) fn end(&self) {
        self.advance(Phase::Ended);
    }

    /// Waits for this time, or until the next phase.
    pub(crate) fn pause(&self, time: Duration) -> Phase {
        let mut seen = self.phase();
        self.pause_from(time, &mut seen);
        seen
    }

    /// Waits for this time, but only while the phase is the one seen before. Updates that.
    pub(crate) fn pause_from(&self, time: Duration, seen: &mut Phase) {
        let phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        let stays = |now: &mut Phase| now == seen && *now != Phase::Ended;
        let waited = self.changed.wait_timeout_while(phase, time, stays);
        *seen = *waited.unwrap_or_else(PoisonError::into_inner).0;
    }

    fn advance(&self, to: Phase) {
        let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        *phase = to.max(*phase);
        drop(phase);
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn each_phase_ends_a_pause() {
        let shutdown = Arc::new(Shutdown::default());
        assert_eq!(shutdown.pause(Duration::from_millis(1)), Phase::Running);
        let pauses = {
            let shutdown = shutdown.clone();
            thread::spawn(move || [shutdown.pause(LONG), shutdown.pause(LONG)])
        };
        shutdown.close();
        shutdown.close();
        assert_eq!(shutdown.pause(Duration::from_millis(1)), Phase::Closing);
        thread::sleep(Duration::from_millis(5));
        shutdown.end();
        shutdown.close();
        assert_eq!(pauses.join().unwrap()[1], Phase::Ended);
        assert_eq!(shutdown.pause(LONG), Phase::Ended);
    }
}
