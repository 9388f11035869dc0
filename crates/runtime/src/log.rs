//! The log: lines about the program itself, in Falco's form or as JSON, on stderr and in syslog.

mod background;
mod repeats;

use std::fmt::{self, Display};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use peregrine_alert::Priority;
use peregrine_output::{SyslogSocket, syslog_head};
use serde_json::json;

pub use background::BackgroundLog;
use background::{Line, Queue};
use repeats::{Repeats, Report};

/// Writes lines to the log of the program. Cheap to clone, usable from every thread.
#[derive(Clone)]
pub struct Log {
    /// Levels below this number go somewhere.
    levels: Arc<AtomicU8>,
    write: Arc<WriteLine>,
    /// Absent where lines are handed to a function.
    destinations: Option<Arc<Destinations>>,
}

type WriteLine = dyn Fn(Priority, &dyn Display) + Send + Sync;

/// Where log lines go, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// The least severe level that is logged.
    pub level: Priority,
    /// Write to stderr.
    pub stderr: bool,
    /// Send to syslog at this socket. Without a daemon, lines to it are lost, as with `syslog(3)`.
    pub syslog: Option<PathBuf>,
    /// Form of the lines on stderr.
    pub format: LogFormat,
    /// Times of text lines as `2026-11-22T09:38:00+0000`.
    pub iso_8601: bool,
    /// Name of the program, as syslog shows it.
    pub program: String,
    /// Number of the facility there.
    pub facility: u8,
}

/// Form of the lines on stderr.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Falco's: time and message.
    #[default]
    Text,
    /// An object with `time`, `level` and `message`; a message of several lines is one line.
    Json,
}

/// The destinations of lines.
struct Destinations {
    opened: RwLock<Arc<Opened>>,
    /// Locked while a line is written or queued, so that lines are in the order of their times.
    repeats: Mutex<Repeats>,
    queue: Arc<Queue>,
}

/// Destinations as they are configured now.
struct Opened {
    settings: LogSettings,
    syslog: Option<Mutex<SyslogSocket>>,
}

impl Log {
    /// Opens the destinations. A line that repeats more than a few times within a minute is written
    /// once more after it, with the number of repeats.
    #[must_use]
    pub fn open(settings: LogSettings) -> Self {
        let opened = Opened::new(settings);
        let levels = Arc::new(AtomicU8::new(opened.levels()));
        let (repeats, queue) = (Mutex::default(), Arc::default());
        let opened = RwLock::new(Arc::new(opened));
        let destinations = Arc::new(Destinations { opened, repeats, queue });
        let writer = Arc::clone(&destinations);
        let write = move |level, message: &dyn Display| writer.line(level, message);
        Self { levels, write: Arc::new(write), destinations: Some(destinations) }
    }

    /// Opens other destinations in place of these, for all clones.
    pub fn reopen(&self, settings: LogSettings) {
        let Some(destinations) = &self.destinations else { return };
        if destinations.opened().settings == settings {
            return;
        }
        let opened = Opened::new(settings);
        self.levels.store(opened.levels(), Relaxed);
        *destinations.opened.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(opened);
    }

    /// Writes lines on a thread of its own until the answer is dropped: a full destination then
    /// holds up no thread that logs. Lines that do not fit into the queue are counted, and the
    /// number is logged. `None` if there is no thread for it, or nothing to write.
    pub fn in_background(&self) -> Option<BackgroundLog> {
        let destinations = Arc::clone(self.destinations.as_ref()?);
        let queue = Arc::clone(&destinations.queue);
        BackgroundLog::start(queue, move |line| destinations.write(line)).ok()
    }

    /// Waits until lines in the background are written, for this long at most.
    pub fn flush(&self, most: Duration) {
        if let Some(destinations) = &self.destinations {
            destinations.queue.flush(most);
        }
    }

    /// Reports the repeats that were not written, at the end of a run.
    pub fn report_repeats(&self) {
        if let Some(destinations) = &self.destinations {
            destinations.report_repeats();
        }
    }

    /// Hands lines of every level to `write`.
    pub fn new(write: impl Fn(Priority, &dyn Display) + Send + Sync + 'static) -> Self {
        let levels = Arc::new(AtomicU8::new(u8::MAX));
        Self { levels, write: Arc::new(write), destinations: None }
    }

    /// Whether lines of this level go anywhere.
    #[must_use]
    pub fn is_logged(&self, level: Priority) -> bool {
        (level as u8) < self.levels.load(Relaxed)
    }

    /// A message of any level, which may have several lines.
    pub fn line(&self, level: Priority, message: impl Display) {
        if self.is_logged(level) {
            (self.write)(level, &message);
        }
    }

    /// Something has failed.
    pub fn error(&self, message: impl Display) {
        self.line(Priority::Error, message);
    }

    /// Something that is probably not intended.
    pub fn warning(&self, message: impl Display) {
        self.line(Priority::Warning, message);
    }

    /// What the program is doing.
    pub fn info(&self, message: impl Display) {
        self.line(Priority::Informational, message);
    }

    /// Details for debugging.
    pub fn debug(&self, message: impl Display) {
        self.line(Priority::Debug, message);
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("levels", &self.levels).finish_non_exhaustive()
    }
}

impl Opened {
    fn new(settings: LogSettings) -> Self {
        // A full or vanished syslog must not block the program. One that comes back is found again.
        let socket = |path| Mutex::new(SyslogSocket::new(path, None));
        let syslog = settings.syslog.clone().map(socket);
        Self { settings, syslog }
    }

    /// Number of the least severe level that goes anywhere, plus one.
    fn levels(&self) -> u8 {
        let any = self.settings.stderr || self.syslog.is_some();
        if any { self.settings.level as u8 + 1 } else { 0 }
    }
}

impl Destinations {
    fn opened(&self) -> Arc<Opened> {
        Arc::clone(&self.opened.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn line(&self, level: Priority, message: &dyn Display) {
        let message = message.to_string();
        let message = message.trim_end_matches('\n');
        let mut repeats = self.repeats.lock().unwrap_or_else(PoisonError::into_inner);
        let (admitted, reports) = repeats.admit(Instant::now(), level, message);
        reports.into_iter().for_each(|Report { level, message }| self.queue(level, message));
        if admitted {
            self.queue(level, message.to_owned());
        }
    }

    fn report_repeats(&self) {
        let mut repeats = self.repeats.lock().unwrap_or_else(PoisonError::into_inner);
        let reports = repeats.finish();
        reports.into_iter().for_each(|Report { level, message }| self.queue(level, message));
    }

    /// Queues a line, or writes it if there is no thread for that.
    fn queue(&self, level: Priority, message: String) {
        let line = Line { time: Timestamp::now(), level, message };
        if let Some(line) = self.queue.push(line) {
            self.write(&line);
        }
    }

    fn write(&self, line: &Line) {
        let Line { time, level, message } = line;
        let (now, level) = (*time, *level);
        let opened = self.opened();
        let Opened { settings, syslog } = &*opened;
        if let Some(syslog) = syslog {
            let mut packet = Vec::new();
            syslog_head(level, settings.facility, now, &settings.program, &mut packet);
            packet.extend_from_slice(message.as_bytes());
            let _ = syslog.lock().unwrap_or_else(PoisonError::into_inner).send(&packet);
        }
        if settings.stderr {
            let line = match settings.format {
                LogFormat::Text => format!("{}: {message}\n", stamp(now, settings.iso_8601)),
                LogFormat::Json => json_line(level, now, message),
            };
            // One write: lines of other threads and processes are not written into it.
            let _ = io::stderr().lock().write_all(line.as_bytes());
        }
    }
}

impl Drop for Destinations {
    fn drop(&mut self) {
        self.report_repeats();
    }
}

fn json_line(level: Priority, now: Timestamp, message: &str) -> String {
    let level = match level {
        Priority::Informational => "info".to_owned(),
        other => other.name().to_ascii_lowercase(),
    };
    let line = json!({ "time": now.to_string(), "level": level, "message": message });
    format!("{line}\n")
}

/// `Sun Nov 22 09:38:00 2026` in local time, or `2026-11-22T09:38:00+0000`.
fn stamp(now: Timestamp, iso_8601: bool) -> String {
    if iso_8601 {
        now.strftime("%Y-%m-%dT%H:%M:%S+0000").to_string()
    } else {
        now.to_zoned(TimeZone::system()).strftime("%a %b %d %H:%M:%S %Y").to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn lines_below_the_level_are_not_formatted() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let all = Log::new(move |_, line| sink.lock().unwrap().push(line.to_string()));
        let levels = Arc::new(AtomicU8::new(Priority::Warning as u8 + 1));
        let warnings = Log { levels, ..all.clone() };
        warnings.info("hidden");
        warnings.error("shown");
        all.debug("all");
        assert_eq!(*lines.lock().unwrap(), ["shown", "all"]);
        let nowhere = LogSettings {
            level: Priority::Debug,
            stderr: false,
            syslog: None,
            format: LogFormat::Text,
            iso_8601: false,
            program: "engine".to_owned(),
            facility: 1,
        };
        let log = Log::open(nowhere.clone());
        let other = log.clone();
        assert!(!other.is_logged(Priority::Emergency));
        log.reopen(LogSettings { level: Priority::Error, stderr: true, ..nowhere });
        assert!(other.is_logged(Priority::Error) && !other.is_logged(Priority::Warning));
    }

    #[test]
    fn stamps() {
        let time = Timestamp::from_second(1_795_340_280).unwrap();
        assert_eq!(stamp(time, true), "2026-11-22T09:38:00+0000");
        assert_eq!(stamp(time, false).len(), "Sun Nov 22 09:38:00 2026".len());
    }

    #[test]
    fn a_json_line_is_one_line() {
        let time = Timestamp::from_second(1_795_340_280).unwrap();
        let line = json_line(Priority::Informational, time, "two\n\"lines\"");
        assert_eq!(line.find('\n'), Some(line.len() - 1));
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        let expected = json!({
            "time": "2026-11-22T09:38:00Z", "level": "info", "message": "two\n\"lines\""
        });
        assert_eq!(line, expected);
    }
}
