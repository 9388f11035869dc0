//! Tells the service manager what the run does: the protocol of `sd_notify`.
//!
//! A thread of its own sends the messages. It feeds the watchdog of the manager only while the
//! event thread makes progress, so that a program whose event thread hangs is restarted.

mod socket;
mod status;

use std::env;
use std::ffi::OsString;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender};
use std::time::{Duration, Instant};
use std::{io, thread};

use peregrine_output::AlertSender;
use peregrine_probe::Losses;
use peregrine_telemetry::Heartbeat;
use rustix::time::{ClockId, clock_gettime};

use crate::Log;

use socket::NotifySocket;
use status::Status;

/// Time between two updates of the status.
const STATUS_INTERVAL: Duration = Duration::from_secs(10);
/// How long the end of the program waits for the message about it.
const LAST_MESSAGE: Duration = Duration::from_millis(200);

/// The service manager, if one has started this program and wants to be told.
#[derive(Clone, Debug, Default)]
pub struct Service(Option<Sender<Message>>);

/// How the manager is reached.
struct Settings {
    /// `NOTIFY_SOCKET`.
    socket: OsString,
    /// Longest time between two signs of life that the manager accepts; `None` if it wants none.
    watchdog: Option<Duration>,
    status_interval: Duration,
}

enum Message {
    /// What the status is about.
    Monitoring(Status),
    Running,
    Reloading,
    Reloaded(ReloadOutcome),
    /// The answer says that the manager has been told.
    Stopping(SyncSender<()>),
}

/// What a reload has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReloadOutcome {
    /// So many rules are in force.
    Rules(usize),
    /// Nothing has changed.
    Unchanged,
    /// The rules stay as they were.
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Starting,
    Running,
    Reloading,
    Stopping,
}

impl Service {
    /// The manager that the environment names. Nothing is sent if it names none; the log says why
    /// one that it names can't be told.
    pub fn of_environment(heartbeat: &Arc<Heartbeat>, log: &Log) -> Self {
        let Some(settings) = Settings::of_environment() else { return Self::default() };
        Self::start(&settings, heartbeat, log).unwrap_or_else(|error| {
            log.warning(format_args!("The service manager cannot be told: {error}"));
            Self::default()
        })
    }

    fn start(settings: &Settings, heartbeat: &Arc<Heartbeat>, log: &Log) -> io::Result<Self> {
        let (sender, messages) = mpsc::channel();
        let worker = Worker {
            socket: NotifySocket::open(&settings.socket)?,
            heartbeat: Arc::clone(heartbeat),
            watchdog: settings.watchdog,
            status_interval: settings.status_interval,
            stage: Stage::Starting,
            status: None,
            status_due: Instant::now(),
            said: String::new(),
            failed: false,
            log: log.clone(),
        };
        thread::Builder::new().name("service".to_owned()).spawn(move || worker.run(&messages))?;
        Ok(Self(Some(sender)))
    }

    /// The status is about these losses, if the kernel is monitored, these outputs, and so many
    /// rules.
    pub(crate) fn monitoring(&self, losses: Option<Losses>, alerts: AlertSender, rules: usize) {
        self.send(Message::Monitoring(Status::new(losses, alerts, rules)));
    }

    /// The snapshot is read, and events are processed.
    pub(crate) fn running(&self) {
        self.send(Message::Running);
    }

    /// Configuration and rules are read again.
    pub(crate) fn reloading(&self) {
        self.send(Message::Reloading);
    }

    /// A reload is over.
    pub(crate) fn reloaded(&self, outcome: ReloadOutcome) {
        self.send(Message::Reloaded(outcome));
    }

    /// The run ends. Does not wait.
    pub(crate) fn stopping(&self) {
        self.send(Message::Stopping(mpsc::sync_channel(1).0));
    }

    /// The same, and waits for a moment until the manager has been told.
    pub(crate) fn stopped(&self) {
        let (told, wait) = mpsc::sync_channel(1);
        self.send(Message::Stopping(told));
        // An error says that there is no manager.
        let _ = wait.recv_timeout(LAST_MESSAGE);
    }

    fn send(&self, message: Message) {
        if let Some(sender) = &self.0 {
            // An error says that the thread has ended.
            let _ = sender.send(message);
        }
    }
}

impl Settings {
    fn of_environment() -> Option<Self> {
        let socket = env::var_os("NOTIFY_SOCKET").filter(|socket| !socket.is_empty())?;
        let number = |name| env::var(name).ok()?.parse::<u64>().ok();
        let for_us = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|&time| for_us && time > 0);
        let watchdog = watchdog.map(Duration::from_micros);
        Some(Self { socket, watchdog, status_interval: STATUS_INTERVAL })
    }
}

struct Worker {
    socket: NotifySocket,
    heartbeat: Arc<Heartbeat>,
    watchdog: Option<Duration>,
    status_interval: Duration,
    stage: Stage,
    status: Option<Status>,
    status_due: Instant,
    /// The status that the manager has.
    said: String,
    /// Whether a message could not be sent. Only the first failure is logged.
    failed: bool,
    log: Log,
}

impl Worker {
    fn run(mut self, messages: &Receiver<Message>) {
        let interval = self.watchdog.map_or(self.status_interval, |watchdog| {
            self.status_interval.min(watchdog / 4).max(Duration::from_millis(1))
        });
        let mut due = Instant::now() + interval;
        loop {
            match messages.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Ok(message) => self.handle(message),
                Err(RecvTimeoutError::Timeout) => {
                    self.tick();
                    due = Instant::now() + interval;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Monitoring(status) => self.status = Some(status),
            Message::Running => self.ready(),
            Message::Reloading if self.stage == Stage::Running => {
                self.stage = Stage::Reloading;
                let time = monotonic_microseconds();
                self.tell(&format!(
                    "RELOADING=1\nMONOTONIC_USEC={time}\nSTATUS=Reading configuration and rules"
                ));
            }
            Message::Reloaded(outcome) => {
                if let Some(status) = &mut self.status {
                    status.reloaded(outcome);
                }
                if self.stage != Stage::Starting {
                    self.ready();
                }
            }
            Message::Stopping(told) => {
                if self.stage != Stage::Stopping {
                    self.stage = Stage::Stopping;
                    self.tell("STOPPING=1\nSTATUS=Delivering the last alerts");
                }
                let _ = told.send(());
            }
            Message::Reloading => {}
        }
    }

    fn ready(&mut self) {
        if self.stage != Stage::Stopping {
            self.stage = Stage::Running;
            let status = self.status();
            self.tell(&format!("READY=1\nSTATUS={status}"));
            self.said = status;
        }
    }

    /// Feeds the watchdog while the event thread makes progress, and updates the status.
    fn tick(&mut self) {
        // At the end, the event thread waits for outputs; the end of a run is bounded elsewhere.
        let alive = self.stage == Stage::Stopping
            || self.watchdog.is_some_and(|watchdog| self.heartbeat.silence() < watchdog / 2);
        self.heartbeat.tick();
        if self.stage == Stage::Starting {
            return;
        }
        if alive && self.watchdog.is_some() {
            self.tell("WATCHDOG=1");
        }
        if self.stage == Stage::Running && self.status_due <= Instant::now() {
            let status = self.status();
            if status != self.said {
                self.tell(&format!("STATUS={status}"));
                self.said = status;
            }
        }
    }

    fn status(&mut self) -> String {
        self.status_due = Instant::now() + self.status_interval;
        self.status.as_mut().map(Status::text).unwrap_or_default()
    }

    fn tell(&mut self, message: &str) {
        if let Err(error) = self.socket.send(message)
            && !std::mem::replace(&mut self.failed, true)
        {
            self.log.warning(format_args!("The service manager cannot be told: {error}"));
        }
    }
}

fn monotonic_microseconds() -> u64 {
    let now = Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or_default();
    now.as_micros().try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;

    const SOON: Duration = Duration::from_secs(60);

    /// A service manager.
    struct Manager {
        socket: UnixDatagram,
        directory: tempfile::TempDir,
    }

    impl Manager {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let socket = UnixDatagram::bind(directory.path().join("notify")).unwrap();
            socket.set_read_timeout(Some(SOON)).unwrap();
            Self { socket, directory }
        }

        fn start(&self, heartbeat: &Arc<Heartbeat>, watchdog: Option<Duration>) -> Service {
            let socket = self.directory.path().join("notify").into();
            let settings = Settings { socket, watchdog, status_interval: SOON };
            Service::start(&settings, heartbeat, &Log::new(|_, line| panic!("{line}"))).unwrap()
        }

        fn message(&self) -> String {
            let mut bytes = [0; 4096];
            let length = self.socket.recv(&mut bytes).unwrap();
            String::from_utf8(bytes[..length].to_vec()).unwrap()
        }

        /// The next message that is not about the watchdog.
        fn other(&self) -> String {
            loop {
                let message = self.message();
                if message != "WATCHDOG=1" {
                    return message;
                }
            }
        }
    }

    #[test]
    fn the_manager_is_told_of_each_stage_once() {
        let manager = Manager::new();
        let service = manager.start(&Arc::default(), None);
        // A reload during the start is part of it.
        service.reloading();
        service.reloaded(ReloadOutcome::Rules(3));
        service.running();
        service.reloading();
        service.reloaded(ReloadOutcome::Failed);
        service.stopping();
        service.running();
        service.stopped();
        assert!(manager.message().starts_with("READY=1\nSTATUS="));
        let reloading = manager.message();
        let lines: Vec<_> = reloading.lines().collect();
        let time: u64 = lines[1].strip_prefix("MONOTONIC_USEC=").unwrap().parse().unwrap();
        assert!(lines[0] == "RELOADING=1" && time > 0 && time <= monotonic_microseconds());
        assert!(manager.message().starts_with("READY=1\n"));
        assert!(manager.message().starts_with("STOPPING=1\n"));
        manager.socket.set_nonblocking(true).unwrap();
        assert!(manager.socket.recv(&mut [0]).is_err());
    }

    #[test]
    fn the_watchdog_is_fed_while_the_event_thread_makes_progress() {
        let manager = Manager::new();
        let heartbeat = Arc::new(Heartbeat::new());
        let watchdog = Duration::from_millis(400);
        let service = manager.start(&heartbeat, Some(watchdog));
        service.running();
        assert!(manager.message().starts_with("READY=1\n"));
        for _ in 0..3 {
            assert_eq!(manager.message(), "WATCHDOG=1");
            heartbeat.progress();
        }
        // The event thread hangs. Some messages may be on their way.
        manager.socket.set_read_timeout(Some(3 * watchdog)).unwrap();
        let fed = (0..100).take_while(|_| manager.socket.recv(&mut [0; 64]).is_ok()).count();
        assert!(fed < 100);
        manager.socket.set_read_timeout(Some(SOON)).unwrap();
        heartbeat.progress();
        assert_eq!(manager.message(), "WATCHDOG=1");
        // At the end it is fed whatever the event thread waits for.
        service.stopped();
        assert!(manager.other().starts_with("STOPPING=1\n"));
        for _ in 0..4 {
            assert_eq!(manager.message(), "WATCHDOG=1");
        }
    }

    #[test]
    fn nothing_is_sent_without_a_manager() {
        let service = Service::default();
        service.running();
        service.stopped();
    }
}
