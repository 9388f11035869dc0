//! The end of a run that does not heed a stop.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use peregrine_alert::Priority;
use rustix::process::getpid;
use signal_hook::low_level;

use crate::Log;
use crate::control::Controller;
use crate::watchdog::blocking_syscall;

/// Time for the run to end after a stop is requested. Service managers kill later.
const GRACE: Duration = Duration::from_secs(4);
/// Longest time to write the message about a run that hangs: stderr may be what it hangs on.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// Exit code of a run that did not end in time.
const HUNG: i32 = 3;

/// To be called when a stop is requested, on a thread that has nothing else to do: waits for the
/// end of the process, and ends it when that takes too long, with a message that says what the main
/// thread hangs on.
pub(crate) fn end_in_time(controller: &Controller, log: &Log) {
    thread::sleep(GRACE);
    let (controller, log, (done, written)) = (controller.clone(), log.clone(), mpsc::channel());
    let write = move || {
        let message = message(&controller);
        // Without a lock: the thread that hangs may hold it.
        let line = format!("Error: {message}\n");
        let _ = rustix::io::write(rustix::stdio::stderr(), line.as_bytes());
        log.line(Priority::Critical, &message);
        log.flush(LAST_WORDS);
        let _ = done.send(());
    };
    if thread::Builder::new().spawn(write).is_ok() {
        let _ = written.recv_timeout(LAST_WORDS);
    }
    // Without the cleanup of the standard library, which waits for stdout.
    low_level::exit(HUNG);
}

fn message(controller: &Controller) -> String {
    let syscall = blocking_syscall(getpid());
    let syscall = syscall.map_or_else(String::new, |name| format!(" (in {name})"));
    let lost = undelivered(&controller.undelivered());
    let (seconds, phase) = (GRACE.as_secs(), controller.heartbeat().phase());
    format!(
        "the run did not end within {seconds} s of the signal: it hangs while {phase}{syscall}{lost}"
    )
}

/// ". 7 alerts are not delivered (file: 5, http: 2)"
fn undelivered(outputs: &[(&str, u64)]) -> String {
    let waiting: Vec<_> = outputs.iter().filter(|(_, alerts)| *alerts > 0).collect();
    let names: Vec<_> = waiting.iter().map(|(name, alerts)| format!("{name}: {alerts}")).collect();
    match waiting.iter().map(|(_, alerts)| alerts).sum() {
        0 => String::new(),
        1 => format!(". One alert is not delivered ({})", names.join(", ")),
        alerts => format!(". {alerts} alerts are not delivered ({})", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_that_still_have_alerts_are_named() {
        assert_eq!(undelivered(&[("file", 0)]), "");
        assert_eq!(
            undelivered(&[("file", 0), ("http", 1)]),
            ". One alert is not delivered (http: 1)"
        );
        assert_eq!(
            undelivered(&[("file", 5), ("http", 2)]),
            ". 7 alerts are not delivered (file: 5, http: 2)"
        );
    }
}
