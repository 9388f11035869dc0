//! Where a system log is, and how messages look there.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use super::super::tls::TlsSettings;

/// The system log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyslogOutput {
    /// Where it is.
    pub receiver: SyslogReceiver,
    /// How messages look.
    pub form: SyslogForm,
    /// Number of the facility.
    pub facility: u8,
    /// Name of the program in each message.
    pub app_name: String,
    /// Messages of [`SyslogForm::Rfc5424`] have rule, priority, id and tags as structured data.
    pub structured_data: bool,
}

/// Where a system log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyslogReceiver {
    /// At a socket of this machine.
    Local(PathBuf),
    /// At a UDP port.
    Udp(SyslogAddress),
    /// At a TCP port.
    Tcp {
        /// The port.
        address: SyslogAddress,
        /// How messages are told apart.
        framing: SyslogFraming,
        /// Sends through TLS.
        tls: Option<TlsSettings>,
    },
}

/// A port of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyslogAddress {
    /// Name or address, an IPv6 address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// The facility `user`.
pub const FACILITY_USER: u8 = 1;
/// How messages look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyslogForm {
    /// `<13>Nov 30 05:45:31 host program: text`; without the host in the log of this machine.
    #[default]
    Rfc3164,
    /// `<13>1 2026-11-30T05:45:31.123456Z host program 4711 alert - text`
    Rfc5424,
}

/// How messages are told apart in a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyslogFraming {
    /// The length in front of each.
    #[default]
    OctetCounting,
    /// A newline behind each.
    Newline,
}

impl SyslogAddress {
    /// The addresses that it stands for now.
    pub(crate) fn resolve(&self) -> io::Result<impl Iterator<Item = SocketAddr>> {
        (self.host.as_str(), self.port).to_socket_addrs()
    }
}

impl SyslogOutput {
    /// The log of this machine, as `syslog(3)` reaches it.
    #[must_use]
    pub fn local(socket: PathBuf, app_name: String) -> Self {
        let (receiver, form) = (SyslogReceiver::Local(socket), SyslogForm::Rfc3164);
        Self { receiver, form, facility: FACILITY_USER, app_name, structured_data: false }
    }

    /// How it uses TLS, if it does.
    pub(crate) fn tls(&self) -> Option<&TlsSettings> {
        match &self.receiver {
            SyslogReceiver::Tcp { tls, .. } => tls.as_ref(),
            SyslogReceiver::Local(_) | SyslogReceiver::Udp(_) => None,
        }
    }
}
