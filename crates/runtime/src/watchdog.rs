//! The watchdog of the event thread: an alert and a line of the log when it makes no progress, and
//! when it goes on.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use peregrine_alert::{AlertOrigin, InternalRule, Priority, Scalar};
use peregrine_event::{native_syscalls, syscall_name};
use peregrine_output::AlertSender;
use peregrine_telemetry::{Heartbeat, Periodic, Phase, StallChange, StallMonitor, Ticker, Turn};
use rustix::thread::Pid;

use crate::Log;
use crate::clock::now;
use crate::observers::StallLimit;

/// Rule names of the alerts.
const STALLED: &str = "Falco internal: event thread stalled";
const RESUMED: &str = "Falco internal: event thread resumed";
/// Time between two checks.
const INTERVAL: Duration = Duration::from_millis(250);

/// Watches until it is dropped.
#[derive(Debug)]
pub(crate) struct Watchdog {
    _periodic: Periodic,
    /// A thread of its own: that of the watchdog may wait for the log, and health must not.
    _ticker: Ticker,
}

/// Reports stalls.
struct Reporter {
    stalled: InternalRule,
    resumed: InternalRule,
    alerts: AlertSender,
    log: Log,
    /// The event thread.
    tid: Pid,
}

impl Watchdog {
    /// Watches the calling thread, whose heartbeat this is. It stalls when it makes no progress for
    /// longer than `limit`; zero is never.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(crate) fn start(
        heartbeat: &Arc<Heartbeat>,
        limit: StallLimit,
        origin: &AlertOrigin,
        alerts: AlertSender,
        log: Log,
    ) -> io::Result<Self> {
        let ticker = Ticker::start(Arc::clone(heartbeat))?;
        let reporter = Reporter {
            stalled: InternalRule::new(origin, STALLED, Priority::Critical),
            resumed: InternalRule::new(origin, RESUMED, Priority::Notice),
            alerts,
            log,
            tid: rustix::thread::gettid(),
        };
        let limit_now = move || Duration::from_nanos(limit.load(Relaxed));
        let mut monitor = StallMonitor::new(Arc::clone(heartbeat), limit_now());
        let watch = move |turn| {
            let limit = limit_now();
            monitor.set_limit(limit);
            if turn == Turn::Due
                && let Some(change) = monitor.check().filter(|_| !limit.is_zero())
            {
                reporter.report(change);
            }
        };
        let periodic = Periodic::start("watchdog", INTERVAL, watch)?;
        Ok(Self { _periodic: periodic, _ticker: ticker })
    }
}

impl Reporter {
    /// The alert goes first: writing the log may wait.
    fn report(&self, change: StallChange) {
        match change {
            StallChange::Began { silence, phase } => {
                let syscall = blocking_syscall(self.tid);
                let text = format!("{STALLED}. {}.", describe(silence, phase, syscall));
                let fields = fields(silence, Some(phase), syscall);
                self.alerts.submit(self.stalled.alert(now(), &text, fields));
                self.log.line(Priority::Critical, text);
            }
            StallChange::Ended { length } => {
                let text = format!("{RESUMED} after {:.1} s.", length.as_secs_f64());
                self.alerts.submit(self.resumed.alert(now(), &text, fields(length, None, None)));
                self.log.line(Priority::Notice, text);
            }
        }
    }
}

/// What a thread without progress is doing: "No progress for 4.2 s while reading the capture (in
/// read)".
fn describe(silence: Duration, phase: Phase, syscall: Option<&str>) -> String {
    let syscall = syscall.map_or_else(String::new, |name| format!(" (in {name})"));
    format!("No progress for {:.1} s while {phase}{syscall}", silence.as_secs_f64())
}

/// The system call that a thread of this process is in. `None` while it runs, and where the kernel
/// does not tell.
pub(crate) fn blocking_syscall(tid: Pid) -> Option<&'static str> {
    let path = format!("/proc/self/task/{}/syscall", tid.as_raw_nonzero());
    let text = std::fs::read_to_string(path).ok()?;
    let number: u16 = text.split(' ').next()?.parse().ok()?;
    let call = native_syscalls().iter().find(|call| call.nr == number)?;
    syscall_name(call.sc)
}

fn fields(time: Duration, phase: Option<Phase>, syscall: Option<&str>) -> BTreeMap<String, Scalar> {
    let mut fields = vec![("stall.seconds", Scalar::Double(time.as_secs_f64()))];
    fields.extend(phase.map(|phase| ("stall.phase", Scalar::Text(phase.to_string()))));
    let pid = phase.and_then(Phase::pid);
    fields.extend(pid.map(|pid| ("stall.pid", Scalar::Uint(pid.into()))));
    fields.extend(syscall.map(|name| ("stall.syscall", Scalar::Text(name.to_owned()))));
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};
    use std::thread;
    use std::time::Instant;

    use peregrine_alert::RuleRegistry;
    use peregrine_files::FileMode;
    use peregrine_output::{
        AlertFilter, ChannelOutput, ChannelSettings, Delivery, Drain, FileOutput, Format,
        JsonStyle, Layout, Outputs, QueueLimits, WhenFull,
    };

    use super::*;
    use crate::observers::nanoseconds;

    /// Waits until a condition holds.
    fn until(what: &str, condition: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(60);
        while !condition() {
            assert!(Instant::now() < end, "{what}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn a_stall_and_its_end_are_alerts_and_lines_of_the_log() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("alerts");
        let file = FileOutput::new(path.clone(), FileMode::PRIVATE);
        let (output, when_full) = (ChannelOutput::File(file), WhenFull::DropNewest);
        let format = Format::new(Layout::Json(JsonStyle::default()));
        let filter = AlertFilter::default();
        let delivery = Delivery {
            channels: vec![ChannelSettings { output, format, filter, when_full, spool: None }],
            buffered: false,
            queue: QueueLimits { alerts: None, bytes: 1 << 20 },
            timeout: Duration::from_secs(2),
        };
        let outputs = Outputs::start(delivery, Arc::new(|incident| panic!("{incident}"))).unwrap();
        let origin = AlertOrigin::new(Arc::new(RuleRegistry::new()), "HOST");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = lines.clone();
        let log =
            Log::new(move |level, line| kept.lock().unwrap().push(format!("{level}: {line}")));

        let heartbeat = Arc::new(Heartbeat::aged(Duration::from_secs(9)));
        let reading = heartbeat.enter(Phase::ReadingProcess(12));
        let limit = nanoseconds(Duration::from_secs(4));
        let limit = StallLimit::new(limit.into());
        let watchdog = Watchdog::start(&heartbeat, limit, &origin, outputs.sender(), log).unwrap();
        until("a stall", || lines.lock().unwrap().len() == 1);
        heartbeat.tick();
        drop(reading);
        until("its end", || lines.lock().unwrap().len() == 2);
        drop(watchdog);
        outputs.close(Drain::WhileProgress);

        let lines = lines.lock().unwrap();
        assert!(
            lines[0]
                .starts_with("Critical: Falco internal: event thread stalled. No progress for ")
                && lines[0].contains(" s while reading /proc of process 12"),
            "{}",
            lines[0]
        );
        assert!(lines[1].starts_with("Notice: Falco internal: event thread resumed after "));
        let alerts = std::fs::read_to_string(path).unwrap();
        let alerts: Vec<_> = alerts.lines().collect();
        assert!(alerts[0].contains(r#""stall.phase":"reading /proc of process 12""#));
        assert!(alerts[0].contains(r#""stall.pid":12"#));
        assert!(alerts[1].contains(r#""rule":"Falco internal: event thread resumed""#));
    }

    #[test]
    fn the_kernel_tells_the_system_call_of_a_thread() {
        let (sender, receiver) = mpsc::channel();
        let (reader, writer) = io::pipe().unwrap();
        let waiting = thread::spawn(move || {
            sender.send(rustix::thread::gettid()).unwrap();
            io::read_to_string(reader).unwrap();
        });
        let tid = receiver.recv().unwrap();
        until("a blocking call", || blocking_syscall(tid) == Some("read"));
        drop(writer);
        waiting.join().unwrap();
    }
}
