//! The system log.

use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use peregrine_alert::Alert;

use super::deliver::{Channel, Outcome};
use super::error::ChannelError;
use crate::format::Formatter;
use crate::time;

/// The system log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyslogOutput {
    /// The socket, `/dev/log` as a rule.
    pub socket: PathBuf,
    /// Name of the program, in front of each message.
    pub ident: String,
}

/// The facility `user`, shifted to its place beside the severity.
const FACILITY_USER: u8 = 1 << 3;

#[derive(Debug)]
pub(crate) struct Syslog {
    output: SyslogOutput,
    format: Formatter,
    /// The message being sent; kept for its memory.
    message: Vec<u8>,
    connected: Option<UnixDatagram>,
}

impl Syslog {
    pub(crate) fn new(output: SyslogOutput, format: Formatter) -> Self {
        Self { output, format, message: Vec::new(), connected: None }
    }

    fn deliver_one(&mut self, alert: &Alert) -> io::Result<()> {
        self.message.clear();
        write!(self.message, "<{}>", FACILITY_USER | alert.priority() as u8)?;
        time::syslog_now(&mut self.message);
        write!(self.message, " {}: ", self.output.ident)?;
        self.format.line(alert, &mut self.message);
        // The daemon may have restarted: connect once more before giving up.
        self.send().or_else(|_| self.send())
    }

    fn send(&mut self) -> io::Result<()> {
        let socket = match self.connected.take() {
            Some(socket) => socket,
            None => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(&self.output.socket)?;
                socket
            }
        };
        socket.send(&self.message)?;
        self.connected = Some(socket);
        Ok(())
    }
}

impl Channel for Syslog {
    fn name(&self) -> &'static str {
        "syslog"
    }

    fn deliver(&mut self, alerts: &[Alert]) -> Outcome {
        let mut send = |alert| Outcome::of(1, self.deliver_one(alert).map_err(ChannelError::from));
        alerts.iter().fold(Outcome::default(), |outcome, alert| outcome.and(send(alert)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn messages_survive_a_restart_of_the_daemon() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("log");
        let output = SyslogOutput { socket: socket.clone(), ident: "engine".to_owned() };
        let mut syslog = Syslog::new(output, testing::formatter());
        let alert = testing::alert("line with é");
        let line = testing::line("line with é");
        assert_eq!(syslog.deliver(std::slice::from_ref(&alert)).failed, 1);
        for _ in 0..2 {
            let daemon = UnixDatagram::bind(&socket).unwrap();
            syslog.deliver(std::slice::from_ref(&alert)).unwrap();
            let mut buffer = [0; 256];
            let len = daemon.recv(&mut buffer).unwrap();
            let message = std::str::from_utf8(&buffer[..len]).unwrap();
            assert!(message.starts_with("<13>"), "{message}");
            assert!(message.ends_with(&format!(" engine: {line}")), "{message}");
            assert_eq!(message.len(), format!("<13>Jan  1 00:00:00 engine: {line}").len());
            std::fs::remove_file(&socket).unwrap();
        }
    }
}
