//! Signals, turned into requests to the run; a run that does not heed a stop is ended.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::{io, thread};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGXFSZ};
use signal_hook::flag;
use signal_hook::iterator::Signals;

use crate::Log;
use crate::control::{Control, Controller};
use crate::stop::end_in_time;

/// Forwards the signals of this process from now on: SIGINT and SIGTERM stop the run, SIGUSR1
/// reopens its outputs, SIGXFSZ has no effect, SIGHUP calls `hangup`; without that, SIGHUP ends the
/// process, as is usual.
/// A run that has not ended some seconds after a stop is ended with the process, whatever its
/// threads do; a second request to stop ends the process at once.
///
/// # Errors
/// When the system has no thread left, or refuses a handler.
pub fn forward(
    controller: Controller,
    log: &Log,
    hangup: Option<Box<dyn Fn() + Send>>,
) -> io::Result<()> {
    let (own, log) = (controller.clone(), log.clone());
    forward_with(controller, move || end_in_time(&own, &log), hangup)
}

/// `stopping` is called when the first stop is requested.
fn forward_with(
    controller: Controller,
    stopping: impl Fn() + Send + 'static,
    hangup: Option<Box<dyn Fn() + Send>>,
) -> io::Result<()> {
    let stopped = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, 1, Arc::clone(&stopped))?;
        flag::register(signal, Arc::clone(&stopped))?;
    }
    // A file that reaches the limit of its size (`RLIMIT_FSIZE`) is an error like a full disk.
    flag::register(SIGXFSZ, Arc::default())?;
    let hangups = hangup.is_some().then_some(SIGHUP);
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGUSR1].into_iter().chain(hangups))?;
    let forward = move || {
        for signal in signals.forever() {
            match signal {
                SIGUSR1 => controller.send(Control::Reopen),
                SIGHUP => hangup.iter().for_each(|hangup| hangup()),
                _ => {
                    controller.send(Control::Stop);
                    stopping();
                }
            }
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(forward)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use signal_hook::low_level;

    use super::*;
    use crate::control::channel;

    #[test]
    fn signals_become_requests() {
        let (controller, controls) = channel();
        let (stopping, stops) = mpsc::channel();
        let (hangup, hangups) = mpsc::channel();
        let hangup: Box<dyn Fn() + Send> = Box::new(move || hangup.send(()).unwrap());
        forward_with(controller, move || stopping.send(()).unwrap(), Some(hangup)).unwrap();
        controls.poll();
        let wait = || {
            while !controls.poll() {
                thread::sleep(Duration::from_millis(1));
            }
            controls.next()
        };
        low_level::raise(SIGUSR1).unwrap();
        assert!(matches!(wait(), Some(Control::Reopen)));
        low_level::raise(SIGHUP).unwrap();
        assert!(hangups.recv().is_ok());
        low_level::raise(SIGTERM).unwrap();
        assert!(matches!(wait(), Some(Control::Stop)));
        assert!(stops.recv().is_ok());
    }
}
