//! The log: lines on stderr and in syslog, in Falco's form.

use std::fmt::Display;
use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use peregrine_alert::Priority;

/// Destinations of log lines, and the least severe level that is logged.
#[derive(Debug)]
pub(crate) struct Log {
    level: Priority,
    stderr: bool,
    syslog: Option<UnixDatagram>,
    iso_8601: bool,
}

impl Log {
    /// The log until the configuration is known: `info` and above, on stderr.
    pub(crate) fn at_start() -> Self {
        Self { level: Priority::Informational, stderr: true, syslog: None, iso_8601: false }
    }

    /// The configured log. Without a syslog daemon, lines to it are lost, as with `syslog(3)`.
    pub(crate) fn new(level: Priority, stderr: bool, syslog: bool, iso_8601: bool) -> Self {
        let syslog = if syslog { connect_syslog().ok() } else { None };
        Self { level, stderr, syslog, iso_8601 }
    }

    /// Whether lines reach stderr.
    pub(crate) fn reaches_stderr(&self) -> bool {
        self.stderr
    }

    /// Whether lines of this level go anywhere.
    pub(crate) fn is_logged(&self, level: Priority) -> bool {
        level <= self.level && (self.stderr || self.syslog.is_some())
    }

    /// Logs a message, which may have several lines.
    pub(crate) fn line(&self, level: Priority, message: impl Display) {
        if !self.is_logged(level) {
            return;
        }
        let message = message.to_string();
        let message = message.trim_end_matches('\n');
        let now = Timestamp::now();
        if let Some(syslog) = &self.syslog {
            let packet = syslog_packet(level, now, message);
            // A full or vanished syslog must not block the program.
            let _ = syslog.send(packet.as_bytes());
        }
        if self.stderr {
            let _ = writeln!(io::stderr().lock(), "{}: {message}", stamp(now, self.iso_8601));
        }
    }

    /// Logs a failure.
    pub(crate) fn error(&self, message: impl Display) {
        self.line(Priority::Error, message);
    }

    /// Logs why the program ends; on stderr even if the log does not go there.
    pub(crate) fn runtime_error(&self, error: impl Display) {
        let line = format!("Runtime error: {error}. Exiting.");
        if !self.stderr {
            let _ = writeln!(io::stderr(), "{line}");
        }
        self.error(line);
    }

    /// Logs something that is probably not intended.
    pub(crate) fn warning(&self, message: impl Display) {
        self.line(Priority::Warning, message);
    }

    /// Logs progress.
    pub(crate) fn info(&self, message: impl Display) {
        self.line(Priority::Informational, message);
    }

    /// Logs details for debugging.
    pub(crate) fn debug(&self, message: impl Display) {
        self.line(Priority::Debug, message);
    }
}

/// `Sun Nov 22 09:38:00 2026` in local time, or `2026-11-22T09:38:00+0000`.
fn stamp(now: Timestamp, iso_8601: bool) -> String {
    if iso_8601 {
        now.strftime("%Y-%m-%dT%H:%M:%S+0000").to_string()
    } else {
        now.to_zoned(TimeZone::system()).strftime("%a %b %d %H:%M:%S %Y").to_string()
    }
}

fn connect_syslog() -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect("/dev/log")?;
    Ok(socket)
}

/// A packet as `syslog(3)` sends it: facility "user", local time, the program's name.
fn syslog_packet(level: Priority, now: Timestamp, message: &str) -> String {
    const FACILITY_USER: u8 = 1 << 3;
    let time = now.to_zoned(TimeZone::system()).strftime("%b %e %H:%M:%S").to_string();
    format!("<{}>{time} {}: {message}", FACILITY_USER | level as u8, crate::version::program())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps() {
        let time = Timestamp::from_second(1_795_340_280).unwrap();
        assert_eq!(stamp(time, true), "2026-11-22T09:38:00+0000");
        assert_eq!(stamp(time, false).len(), "Sun Nov 22 09:38:00 2026".len());
    }

    #[test]
    fn syslog_packets_carry_facility_and_level() {
        let packet = syslog_packet(
            Priority::Warning,
            Timestamp::from_second(1_795_340_280).unwrap(),
            "two\nlines",
        );
        assert!(packet.starts_with("<12>Nov 22 "), "{packet}");
        assert!(packet.ends_with(": two\nlines"), "{packet}");
    }
}
