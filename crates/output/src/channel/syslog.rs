//! The system log.

use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;

use super::{Channel, ChannelError, SyslogOutput};
use crate::{Alert, time};

/// The facility `user`, shifted to its place beside the severity.
const FACILITY_USER: u8 = 1 << 3;

#[derive(Debug)]
pub(crate) struct Syslog {
    output: SyslogOutput,
    connected: Option<UnixDatagram>,
}

impl Syslog {
    pub(crate) fn new(output: SyslogOutput) -> Self {
        Self { output, connected: None }
    }

    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let socket = match self.connected.take() {
            Some(socket) => socket,
            None => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(&self.output.socket)?;
                socket
            }
        };
        socket.send(message)?;
        self.connected = Some(socket);
        Ok(())
    }
}

impl Channel for Syslog {
    fn name(&self) -> &'static str {
        "syslog"
    }

    fn deliver(&mut self, alerts: &[Alert]) -> Result<(), ChannelError> {
        for alert in alerts {
            let mut message = Vec::with_capacity(alert.line.len() + 64);
            write!(message, "<{}>", FACILITY_USER | alert.priority as u8)?;
            time::syslog_now(&mut message);
            write!(message, " {}: ", self.output.ident)?;
            message.extend_from_slice(&alert.line);
            // The daemon may have been started anew; a second failure is one.
            if self.send(&message).is_err() {
                self.send(&message)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use peregrine_alert::Priority;

    use super::*;

    #[test]
    fn messages_survive_a_restart_of_the_daemon() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("log");
        let mut syslog =
            Syslog::new(SyslogOutput { socket: socket.clone(), ident: "engine".to_owned() });
        let alert = Alert { priority: Priority::Critical, line: b"line with \xc3\xa9".to_vec() };
        assert!(syslog.deliver(std::slice::from_ref(&alert)).is_err());
        for _ in 0..2 {
            let daemon = UnixDatagram::bind(&socket).unwrap();
            syslog.deliver(std::slice::from_ref(&alert)).unwrap();
            let mut buffer = [0; 256];
            let len = daemon.recv(&mut buffer).unwrap();
            let message = std::str::from_utf8(&buffer[..len]).unwrap();
            assert!(message.starts_with("<10>"), "{message}");
            assert!(message.ends_with(" engine: line with é"), "{message}");
            assert_eq!(message.len(), "<10>Jan  1 00:00:00 engine: line with é".len());
            std::fs::remove_file(&socket).unwrap();
        }
    }
}
