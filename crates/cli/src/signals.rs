//! Signals, turned into requests to the run.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::{io, thread};

use peregrine_runtime::control::{Control, Controller};
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::flag;
use signal_hook::iterator::Signals;

/// Forwards the signals of this process from now on: SIGINT and SIGTERM stop the run, SIGUSR1
/// reopens its outputs. A second request to stop ends the process at once, should the run not heed
/// the first.
pub(crate) fn forward(controller: Controller) -> io::Result<()> {
    let stopping = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, 1, Arc::clone(&stopping))?;
        flag::register(signal, Arc::clone(&stopping))?;
    }
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGUSR1])?;
    let forward = move || {
        for signal in signals.forever() {
            controller.send(match signal {
                SIGUSR1 => Control::Reopen,
                _ => Control::Stop,
            });
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(forward)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use peregrine_runtime::control::channel;

    use super::*;

    #[test]
    fn signals_become_requests() {
        let (controller, controls) = channel();
        forward(controller).unwrap();
        controls.poll();
        let wait = || {
            while !controls.poll() {
                thread::sleep(Duration::from_millis(1));
            }
            controls.next()
        };
        signal_hook::low_level::raise(SIGUSR1).unwrap();
        assert!(matches!(wait(), Some(Control::Reopen)));
        signal_hook::low_level::raise(SIGTERM).unwrap();
        assert!(matches!(wait(), Some(Control::Stop)));
    }
}
