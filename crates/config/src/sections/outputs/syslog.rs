//! Alerts to a system log.

use std::path::PathBuf;

use peregrine_yaml::Node;
use serde_json::{Value as Json, json};

use super::{AlertFormat, FieldChanges, Presentation, Select, Spool, Tls, WhenFull};
use crate::declare::{Definitions, Row, Setting, section, words};
use crate::issue::{ConfigCode, ConfigIssue};

section! {
    /// Alerts to a system log.
    pub SyslogOutput "SyslogOutput" extra { "minProperties": 1 } {
        /// Use it.
        enabled: bool = false;
        /// When its queue is full; see file_output.when_full.
        when_full: WhenFull = WhenFull::Auto, extra { "$comment": "Peregrine" };
        /// Settings that Falco does not have.
        peregrine: OwnSyslogKeys = OwnSyslogKeys::default(), extra { "$comment": "Peregrine" };
    }
}

section! {
    /// Keys of `syslog_output.peregrine`.
    pub OwnSyslogKeys "SyslogOutputPeregrine" {
        /// How alerts look; see http_output.peregrine.format.
        format: AlertFormat = AlertFormat::Auto;
        /// Which alerts the output gets.
        select: Select = Select::default();
        /// Changes to the fields of alerts.
        fields: FieldChanges = FieldChanges::default();
        /// Where the system log is: the path of its socket, which log lines of the program go to as
        /// well, or udp://host:514, tcp://host:601 or tls://host:6514.
        address: SyslogAddress = SyslogAddress::default();
        /// Form of messages: rfc3164 or rfc5424.
        form: SyslogForm = SyslogForm::Rfc3164;
        /// How messages are told apart over TCP and TLS: octet_counting or newline.
        framing: SyslogFraming = SyslogFraming::OctetCounting;
        /// Facility of messages and of the program's log lines: user, daemon, auth, local0 to
        /// local7, and so on.
        facility: Facility = Facility(1);
        /// Name of the program in messages and in its log lines; empty: the name under which it was
        /// started.
        app_name: AppName = AppName(String::new());
        /// With rfc5424, put id, rule, priority and tags into structured data.
        structured_data: bool = true;
        /// Certificates for tls://.
        tls: Tls = Tls::default();
        /// Keep alerts on the disk until the receiver takes them, with tcp:// and tls://.
        spool: Spool = Spool::default();
    }
}

impl OwnSyslogKeys {
    /// Which alerts it gets and how they look.
    #[must_use]
    pub fn presentation(&self) -> Presentation {
        let Self { format, select, fields, .. } = self.clone();
        Presentation { format, select, fields }
    }
}

/// Where a system log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyslogAddress {
    /// At a socket of this machine.
    Local(PathBuf),
    /// At a UDP port of a host.
    Udp(String, u16),
    /// At a TCP port of a host.
    Tcp(String, u16),
    /// At a TCP port of a host, through TLS.
    Tls(String, u16),
}

impl Default for SyslogAddress {
    fn default() -> Self {
        Self::Local("/dev/log".into())
    }
}

impl SyslogAddress {
    /// Reads a path, or `scheme://host` with a port.
    fn parse(text: &str) -> Result<Self, &'static str> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return if text.starts_with('/') {
                Ok(Self::Local(text.into()))
            } else {
                Err("is neither a path nor a URL")
            };
        };
        let (build, port): (fn(String, u16) -> Self, _) = match scheme {
            "unix" if rest.starts_with('/') => return Ok(Self::Local(rest.into())),
            "unix" => return Err("has no absolute path"),
            "udp" => (Self::Udp, 514),
            "tcp" => (Self::Tcp, 601),
            "tls" => (Self::Tls, 6514),
            _ => return Err("has another scheme than udp, tcp, tls and unix"),
        };
        let (host, port) = match rest.rsplit_once(':') {
            // The colons of an IPv6 address stand in brackets.
            Some((host, digits)) if !digits.ends_with(']') => {
                let port = digits.parse().ok().filter(|port| *port > 0);
                (host, port.ok_or("has no port between 1 and 65535")?)
            }
            _ => (rest, port),
        };
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = bracketed.unwrap_or(host);
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        let is_host = !host.is_empty()
            && (bracketed.is_some() && host.parse::<std::net::Ipv6Addr>().is_ok()
                || bracketed.is_none() && host.chars().all(allowed));
        if is_host { Ok(build(host.to_owned(), port)) } else { Err("has no host") }
    }
}

impl Setting for SyslogAddress {
    fn schema(_: &mut Definitions) -> Json {
        json!({ "type": "string", "minLength": 1 })
    }

    fn read(node: &Node, key: &str) -> Result<Option<Self>, ConfigIssue> {
        let Some(text) = node.as_str() else { return Ok(None) };
        Self::parse(text).map(Some).map_err(|what| {
            let message = format!("{key}: '{}' {what}", peregrine_diagnostics::redact(text));
            let help = "such as `/dev/log`, `udp://host:514`, `tcp://host:601`, `tls://host:6514`";
            ConfigIssue::new(ConfigCode::Value, message).at(node).help(help)
        })
    }

    fn rows(&self, key: &str, about: &str, rows: &mut Vec<Row>) {
        rows.push(Row { key: key.into(), default: "\"/dev/log\"".into(), about: about.into() });
    }
}

/// Form of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyslogForm {
    /// The one of `syslog(3)`.
    Rfc3164,
    /// The one of RFC 5424.
    Rfc5424,
}

words!(
    SyslogForm,
    { "type": "string", "enum": ["rfc3164", "rfc5424"] }, "rfc3164",
    { "rfc3164" => Self::Rfc3164, "rfc5424" => Self::Rfc5424 },
    str::to_owned,
    |word| ConfigIssue::in_file(format!("form '{word}' is unknown."))
);

/// How messages are told apart in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyslogFraming {
    /// The length in front of each.
    OctetCounting,
    /// A newline behind each.
    Newline,
}

words!(
    SyslogFraming,
    { "type": "string", "enum": ["octet_counting", "newline"] }, "octet_counting",
    { "octet_counting" => Self::OctetCounting, "newline" => Self::Newline },
    str::to_owned,
    |word| ConfigIssue::in_file(format!("framing '{word}' is unknown."))
);

/// Number of a facility.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facility(pub u8);

/// In the order of their numbers.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];

impl Setting for Facility {
    fn schema(_: &mut Definitions) -> Json {
        json!({ "type": "string", "enum": FACILITIES })
    }

    fn read(node: &Node, key: &str) -> Result<Option<Self>, ConfigIssue> {
        let Some(text) = node.as_str() else { return Ok(None) };
        let number = (0..).zip(FACILITIES).find(|(_, name)| *name == text);
        let facility = number.map(|(number, _)| Self(number)).ok_or_else(|| {
            let message = format!("{key}: '{text}' is no facility");
            let help = format!("one of {}", FACILITIES.join(", "));
            ConfigIssue::new(ConfigCode::Value, message).at(node).help(help)
        });
        facility.map(Some)
    }

    fn rows(&self, key: &str, about: &str, rows: &mut Vec<Row>) {
        rows.push(Row { key: key.into(), default: "user".into(), about: about.into() });
    }
}

/// Name of the program in messages; empty where it is not set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppName(pub String);

impl Setting for AppName {
    fn schema(_: &mut Definitions) -> Json {
        json!({ "type": "string", "maxLength": 48 })
    }

    fn read(node: &Node, key: &str) -> Result<Option<Self>, ConfigIssue> {
        let Some(text) = node.as_str() else { return Ok(None) };
        if text.len() > 48 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            let message = format!("{key}: the name is too long, or has other than ASCII in it");
            let help = "up to 48 letters, digits and signs without blanks";
            return Err(ConfigIssue::new(ConfigCode::Value, message).at(node).help(help));
        }
        Ok(Some(Self(text.to_owned())))
    }

    fn rows(&self, key: &str, about: &str, rows: &mut Vec<Row>) {
        rows.push(Row { key: key.into(), default: "\"\"".into(), about: about.into() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_the_port_of_their_protocol() {
        let host = "log.example".to_owned();
        for (text, address) in [
            ("/run/log", SyslogAddress::Local("/run/log".into())),
            ("unix:///run/log", SyslogAddress::Local("/run/log".into())),
            ("udp://log.example", SyslogAddress::Udp(host.clone(), 514)),
            ("tcp://log.example:5140", SyslogAddress::Tcp(host.clone(), 5140)),
            ("tls://log.example", SyslogAddress::Tls(host, 6514)),
            ("tcp://[::1]", SyslogAddress::Tcp("::1".to_owned(), 601)),
            ("tls://[fe80::1]:7000", SyslogAddress::Tls("fe80::1".to_owned(), 7000)),
        ] {
            assert_eq!(SyslogAddress::parse(text), Ok(address), "{text}");
        }
        for text in [
            "",
            "log",
            "udp://",
            "udp://:514",
            "tcp://host:0",
            "tcp://host:x",
            "http://host",
            "unix://log",
            "tcp://::1",
            "tcp://user@host",
            "tcp://[host]",
            "tcp://host/path",
        ] {
            assert!(SyslogAddress::parse(text).is_err(), "{text}");
        }
    }
}
