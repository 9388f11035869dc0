//! A log that is reached over UDP (RFC 5426). Nothing tells whether a message has arrived.

use std::io;
use std::net::UdpSocket;

use peregrine_alert::Alert;
use peregrine_limits::SYSLOG_UDP_BYTES;

use super::super::deliver::{Channel, Outcome};
use super::message::Messages;
use super::settings::SyslogAddress;

#[derive(Debug)]
pub(crate) struct Udp {
    address: SyslogAddress,
    messages: Messages,
    /// The message being sent; kept for its memory.
    message: Vec<u8>,
    connected: Option<UdpSocket>,
}

impl Udp {
    pub(crate) fn new(address: SyslogAddress, messages: Messages) -> Self {
        Self { address, messages, message: Vec::new(), connected: None }
    }

    fn deliver_one(&mut self, alert: &Alert) -> io::Result<()> {
        self.message.clear();
        self.messages.write(alert, &mut self.message);
        cut(&mut self.message);
        // An error may be about an earlier message, or the name may lead elsewhere by now.
        self.send().or_else(|_| self.send())
    }

    fn send(&mut self) -> io::Result<()> {
        let socket = match self.connected.take() {
            Some(socket) => socket,
            None => connect(&self.address)?,
        };
        socket.send(&self.message)?;
        self.connected = Some(socket);
        Ok(())
    }
}

/// A socket that only sends to one address, so that errors of this address are reported.
fn connect(address: &SyslogAddress) -> io::Result<UdpSocket> {
    let mut last = io::ErrorKind::NotFound.into();
    for address in address.resolve()? {
        let own = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        match UdpSocket::bind(own).and_then(|socket| socket.connect(address).map(|()| socket)) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Cuts a message at the end of a character.
fn cut(message: &mut Vec<u8>) {
    let most = SYSLOG_UDP_BYTES.get();
    if message.len() > most {
        SYSLOG_UDP_BYTES.reach();
        let inside = |byte: &u8| byte & 0b1100_0000 == 0b1000_0000;
        let end = (0..=most).rev().find(|end| !message.get(*end).is_some_and(inside));
        message.truncate(end.unwrap_or_default());
    }
}

impl Channel for Udp {
    fn name(&self) -> &'static str {
        "syslog"
    }

    fn deliver(&mut self, alerts: &[Alert]) -> Outcome {
        let mut send = |alert| Outcome::of(1, self.deliver_one(alert).map_err(Into::into));
        alerts.iter().fold(Outcome::default(), |outcome, alert| outcome.and(send(alert)))
    }

    fn reopen(&mut self) -> Outcome {
        self.connected = None;
        Outcome::default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{FACILITY_USER, SyslogForm, SyslogOutput, SyslogReceiver};
    use super::*;
    use crate::testing::{alert, formatter, line};

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = receiver.local_addr().unwrap().port();
        let address = SyslogAddress { host: "127.0.0.1".to_owned(), port };
        let output = SyslogOutput {
            receiver: SyslogReceiver::Udp(address.clone()),
            form: SyslogForm::Rfc5424,
            facility: FACILITY_USER,
            app_name: "engine".to_owned(),
            structured_data: false,
        };
        let mut udp = Udp::new(address, Messages::new(&output, formatter()));
        let text = "é".repeat(40_000);
        udp.deliver(&[alert("short"), alert(&text)]).unwrap();
        let mut buffer = vec![0; 1 << 16];
        let mut receive = || {
            let len = receiver.recv(&mut buffer).unwrap();
            String::from_utf8(buffer[..len].to_vec()).unwrap()
        };
        assert!(receive().ends_with(&format!(" alert - {}", line("short"))));
        let long = receive();
        assert!(long.ends_with('é') && long.len() >= SYSLOG_UDP_BYTES.get() - 1);
    }
}
