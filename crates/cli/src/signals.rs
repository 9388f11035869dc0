//! Signals, as flags that the event loop looks at between two events.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::flag;

/// What was asked for from outside.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signals {
    stop: Arc<AtomicBool>,
    reopen: Arc<AtomicBool>,
}

impl Signals {
    /// Flags that the signals of this process raise from now on. A second request to stop ends the
    /// process at once, should the first one find nobody who looks.
    pub(crate) fn listen() -> std::io::Result<Self> {
        let signals = Self::default();
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_shutdown(signal, 1, Arc::clone(&signals.stop))?;
            flag::register(signal, Arc::clone(&signals.stop))?;
        }
        flag::register(SIGUSR1, Arc::clone(&signals.reopen))?;
        Ok(signals)
    }

    /// Whether to end (SIGINT, SIGTERM). Stays so.
    pub(crate) fn stop_asked(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Whether outputs are to be reopened (SIGUSR1). Asks once.
    pub(crate) fn take_reopen(&self) -> bool {
        self.reopen.load(Ordering::Relaxed) && self.reopen.swap(false, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reopening_is_asked_once_and_stopping_stays() {
        let signals = Signals::listen().unwrap();
        assert!(!signals.take_reopen() && !signals.stop_asked());
        signal_hook::low_level::raise(SIGUSR1).unwrap();
        assert!(signals.take_reopen());
        assert!(!signals.take_reopen());
        signal_hook::low_level::raise(SIGTERM).unwrap();
        assert!(signals.stop_asked() && signals.stop_asked());
    }
}
