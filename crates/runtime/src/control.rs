//! Requests to a running event loop: one channel for all of them.
//!
//! The loop polls the [`Heartbeat`] between two events, which costs one relaxed load. A request
//! raises it, and only then the loop receives from the channel.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use peregrine_telemetry::Heartbeat;

use crate::Update;
use crate::service::Service;

/// A request to a run.
pub enum Control {
    /// End as if the source had ended.
    Stop,
    /// Reopen the files and connections of outputs.
    Reopen,
    /// Go on with other rules, outputs and settings from the next event on.
    Reload {
        /// What changes.
        update: Box<Update>,
        /// Gets the time that the event thread took for it.
        installed: Sender<Duration>,
    },
}

/// Sends requests to a run, from any thread.
#[derive(Clone, Debug)]
pub struct Controller {
    sender: Sender<Control>,
    heartbeat: Arc<Heartbeat>,
    stop: Arc<Stop>,
}

/// The receiving end, for the event loop.
#[derive(Debug)]
pub struct Controls {
    receiver: Receiver<Control>,
    heartbeat: Arc<Heartbeat>,
    stop: Arc<Stop>,
    /// Keeps the channel connected when all controllers are gone.
    _sender: Sender<Control>,
}

/// Whether a stop is requested, and what is to be done then without the event loop.
#[derive(Default)]
struct Stop {
    requested: Arc<AtomicBool>,
    hook: OnceLock<Box<dyn Fn() + Send + Sync>>,
    undelivered: OnceLock<Box<dyn Fn() -> Undelivered + Send + Sync>>,
    service: OnceLock<Service>,
}

/// Outputs with alerts that wait for them, and the number of these.
pub type Undelivered = Vec<(&'static str, u64)>;

/// A channel to a run.
///
/// ```
/// use peregrine_runtime::control::{Control, channel};
///
/// let (controller, controls) = channel();
/// assert!(controls.poll() && controls.next().is_none(), "the first poll is a sign of life");
/// assert!(!controls.poll());
/// controller.send(Control::Stop);
/// assert!(controls.poll());
/// assert!(matches!(controls.next(), Some(Control::Stop)));
/// ```
pub fn channel() -> (Controller, Controls) {
    let heartbeat = Arc::new(Heartbeat::new());
    let stop = Arc::new(Stop::default());
    let (sender, receiver) = mpsc::channel();
    let controller = Controller {
        sender: sender.clone(),
        heartbeat: Arc::clone(&heartbeat),
        stop: Arc::clone(&stop),
    };
    (controller, Controls { receiver, heartbeat, stop, _sender: sender })
}

impl Controller {
    /// Sends a request. Has no effect after the end of the run.
    pub fn send(&self, control: Control) {
        if matches!(control, Control::Stop) {
            self.stop.request();
        }
        // An error says that the run is over.
        let _ = self.sender.send(control);
        self.heartbeat.request();
    }

    /// Alerts that wait for their outputs.
    pub fn undelivered(&self) -> Undelivered {
        self.stop.undelivered.get().map(|count| count()).unwrap_or_default()
    }

    /// The service manager is told what the run does. Only the first call has an effect.
    pub fn set_service(&self, service: Service) {
        let _ = self.stop.service.set(service);
    }

    /// The service manager.
    pub(crate) fn service(&self) -> Service {
        self.stop.service()
    }

    /// Requests a reload. The receiver gets the time that the event thread took for it, once
    /// they are in force, or an error if the run ends before.
    pub fn reload(&self, update: Update) -> Receiver<Duration> {
        let (installed, receiver) = mpsc::channel();
        self.send(Control::Reload { update: Box::new(update), installed });
        receiver
    }

    /// The heartbeat of the event loop, which shows whether it makes progress.
    pub fn heartbeat(&self) -> &Arc<Heartbeat> {
        &self.heartbeat
    }
}

impl Controls {
    /// Whether something was requested since the last poll.
    #[inline]
    pub fn poll(&self) -> bool {
        self.heartbeat.poll()
    }

    /// Whether a stop was requested, also before the requests ahead of it are received.
    pub fn stop_requested(&self) -> bool {
        self.stop.requested.load(SeqCst)
    }

    /// Whether a stop was requested, for threads that are to take nothing new then.
    pub fn stop_flag(&self) -> &Arc<AtomicBool> {
        &self.stop.requested
    }

    /// What the thread that requests a stop does itself, because the event loop may wait for it:
    /// it must not block. Only the first call has an effect. If a stop is requested already, it
    /// happens at once.
    pub fn on_stop(&self, hook: impl Fn() + Send + Sync + 'static) {
        let _ = self.stop.hook.set(Box::new(hook));
        if self.stop_requested() {
            self.stop.run_hook();
        }
    }

    /// How [`Controller::undelivered`] counts. Only the first call has an effect.
    pub fn on_undelivered(&self, count: impl Fn() -> Undelivered + Send + Sync + 'static) {
        let _ = self.stop.undelivered.set(Box::new(count));
    }

    /// The service manager.
    pub(crate) fn service(&self) -> Service {
        self.stop.service()
    }

    /// The next request, in the order of sending.
    pub fn next(&self) -> Option<Control> {
        self.receiver.try_recv().ok()
    }

    /// The heartbeat that [`poll`](Self::poll) answers.
    pub fn heartbeat(&self) -> &Arc<Heartbeat> {
        &self.heartbeat
    }

    /// Waits until this time has passed or [`Control::Stop`] arrives.
    pub fn wait_for_stop(&self, duration: Duration) {
        let deadline = Instant::now() + duration;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.receiver.recv_timeout(left) {
                Ok(Control::Stop) | Err(_) => return,
                Ok(Control::Reopen | Control::Reload { .. }) => {}
            }
        }
    }
}

impl Stop {
    fn request(&self) {
        self.requested.store(true, SeqCst);
        self.service().stopping();
        self.run_hook();
    }

    fn service(&self) -> Service {
        self.service.get().cloned().unwrap_or_default()
    }

    fn run_hook(&self) {
        if let Some(hook) = self.hook.get() {
            hook();
        }
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stop => "Stop",
            Self::Reopen => "Reopen",
            Self::Reload { .. } => "Reload",
        })
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stop").field("requested", &self.requested).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn requests_arrive_in_order_and_stay_until_they_are_received() {
        let (controller, controls) = channel();
        controls.poll();
        controller.send(Control::Reopen);
        assert!(!controls.stop_requested());
        controller.clone().send(Control::Stop);
        assert!(controls.stop_requested());
        assert!(controls.poll());
        assert!(matches!(controls.next(), Some(Control::Reopen)));
        assert!(matches!(controls.next(), Some(Control::Stop)));
        assert!(controls.next().is_none() && !controls.poll());
    }

    #[test]
    fn the_hook_runs_with_each_stop_before_or_after_it_is_set() {
        let count = Arc::new(AtomicUsize::new(0));
        for early in [false, true] {
            let (controller, controls) = channel();
            if early {
                controller.send(Control::Stop);
            }
            let counted = Arc::clone(&count);
            controls.on_stop(move || {
                counted.fetch_add(1, SeqCst);
            });
            controller.send(Control::Stop);
        }
        assert_eq!(count.load(SeqCst), 3);
    }

    #[test]
    fn a_wait_ends_with_a_stop() {
        let (controller, controls) = channel();
        controls.wait_for_stop(Duration::ZERO);
        controller.send(Control::Reopen);
        controller.send(Control::Stop);
        controls.wait_for_stop(Duration::from_secs(3600));
    }
}
