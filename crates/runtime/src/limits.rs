//! The report about limits that were reached.

use std::io;
use std::time::Duration;

use peregrine_limits::Watch;
use peregrine_telemetry::Periodic;

use crate::Log;

/// Time between two reports.
const MINUTE: Duration = Duration::from_secs(60);

/// Logs which limits were reached: once a minute while there are any, and when it is dropped.
#[derive(Debug)]
pub(crate) struct LimitReporter {
    _periodic: Periodic,
}

impl LimitReporter {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(crate) fn start(log: Log) -> io::Result<Self> {
        let mut watch = Watch::new();
        let report = move |_| {
            watch.reached().iter().for_each(|reached| log.warning(reached));
        };
        Ok(Self { _periodic: Periodic::start("limits", MINUTE, report)? })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn a_limit_that_was_reached_is_told_at_the_end() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let log = Log::new(move |_, line| sink.lock().unwrap().push(line.to_string()));
        let reporter = LimitReporter::start(log).unwrap();
        peregrine_limits::INTERFACES.reach();
        drop(reporter);
        let lines = lines.lock().unwrap();
        let told =
            lines.iter().filter(|line| line.starts_with("Limit interfaces reached 1 time: "));
        assert_eq!(told.count(), 1, "{lines:?}");
    }
}
