//! Messages of the system log: RFC 5424, and the older form that RFC 3164 describes.

use std::io::Write;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use peregrine_alert::{Alert, Priority};

use super::super::network::Encoder;
use super::settings::{SyslogForm, SyslogOutput, SyslogReceiver};
use crate::format::Formatter;

/// Writes alerts as messages.
#[derive(Debug)]
pub(crate) struct Messages {
    form: SyslogForm,
    facility: u8,
    app_name: String,
    structured_data: bool,
    local: bool,
    zone: TimeZone,
    format: Formatter,
}

/// Our structured data. The number is the one that RFC 5612 sets aside for examples: the project
/// has none of its own.
const STRUCTURED_DATA: &str = "peregrine@32473";
/// Longest host name of RFC 5424.
const HOST_BYTES: usize = 255;

impl Messages {
    pub(crate) fn new(output: &SyslogOutput, format: Formatter) -> Self {
        let SyslogOutput { receiver, form, facility, app_name, structured_data } = output;
        Self {
            form: *form,
            facility: *facility,
            app_name: app_name.clone(),
            structured_data: *structured_data,
            local: matches!(receiver, SyslogReceiver::Local(_)),
            zone: TimeZone::system(),
            format,
        }
    }

    /// Appends the message about an alert. Always UTF-8, and one line.
    pub(crate) fn write(&mut self, alert: &Alert, out: &mut Vec<u8>) {
        match self.form {
            SyslogForm::Rfc3164 => {
                // As `syslog(3)`: the local daemon knows the host, and the time is now.
                let (time, host) = match self.local {
                    true => (Timestamp::now(), None),
                    false => (time(alert), Some(alert.rule().hostname())),
                };
                let head = Head { level: alert.priority(), facility: self.facility, time, host };
                head.write(&self.zone, &self.app_name, out);
            }
            SyslogForm::Rfc5424 => {
                let number = self.facility << 3 | alert.priority() as u8;
                let _ =
                    write!(out, "<{number}>1 {} ", time(alert).strftime("%Y-%m-%dT%H:%M:%S%.6fZ"));
                word(alert.rule().hostname(), HOST_BYTES, out);
                let _ = write!(out, " {} {} alert ", self.app_name, std::process::id());
                if self.structured_data {
                    structured_data(alert, out);
                } else {
                    out.push(b'-');
                }
                out.push(b' ');
            }
        }
        self.format.line(alert, out);
    }
}

impl Encoder for Messages {
    fn encode(&mut self, alert: &Alert, body: &mut Vec<u8>) {
        self.write(alert, body);
    }
}

/// What a message of the older form begins with.
struct Head<'a> {
    level: Priority,
    facility: u8,
    time: Timestamp,
    host: Option<&'a str>,
}

impl Head<'_> {
    fn write(&self, zone: &TimeZone, program: &str, out: &mut Vec<u8>) {
        let time = self.time.to_zoned(zone.clone());
        let _ = write!(out, "<{}>", self.facility << 3 | self.level as u8);
        let _ = write!(out, "{} ", time.strftime("%b %e %H:%M:%S"));
        if let Some(host) = self.host {
            word(host, HOST_BYTES, out);
            out.push(b' ');
        }
        let _ = write!(out, "{program}: ");
    }
}

/// Appends what a message to the log of this machine begins with, as `syslog(3)` writes it: for the
/// program's own log lines, so that they have the same sender as alerts.
pub fn syslog_head(
    level: Priority,
    facility: u8,
    time: Timestamp,
    program: &str,
    out: &mut Vec<u8>,
) {
    Head { level, facility, time, host: None }.write(&TimeZone::system(), program, out);
}

fn time(alert: &Alert) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(alert.time())).unwrap_or_default()
}

fn structured_data(alert: &Alert, out: &mut Vec<u8>) {
    let rule = alert.rule();
    let _ = write!(out, "[{STRUCTURED_DATA}");
    parameter("id", &alert.id().to_string(), out);
    parameter("rule", rule.name(), out);
    parameter("priority", alert.priority().name(), out);
    parameter("tags", &rule.tags().join(","), out);
    out.push(b']');
}

fn parameter(name: &str, value: &str, out: &mut Vec<u8>) {
    let _ = write!(out, " {name}=\"");
    for character in value.chars() {
        match character {
            '"' | '\\' | ']' => out.push(b'\\'),
            _ => {}
        }
        // A message is one line.
        let shown = if character.is_control() { ' ' } else { character };
        out.extend_from_slice(shown.encode_utf8(&mut [0; 4]).as_bytes());
    }
    out.push(b'"');
}

/// Appends printable ASCII without blanks, or `-` if there is none.
fn word(text: &str, most: usize, out: &mut Vec<u8>) {
    let before = out.len();
    out.extend(text.bytes().filter(u8::is_ascii_graphic).take(most));
    if out.len() == before {
        out.push(b'-');
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use peregrine_alert::{AlertBuilder, AlertOrigin, RuleInfo, RuleRegistry};
    use proptest::prelude::*;

    use super::super::settings::SyslogAddress;
    use super::*;
    use crate::testing::formatter;

    fn output(form: SyslogForm, structured_data: bool) -> SyslogOutput {
        let address = SyslogAddress { host: "log".to_owned(), port: 514 };
        SyslogOutput {
            receiver: SyslogReceiver::Udp(address),
            form,
            facility: 16,
            app_name: "engine".to_owned(),
            structured_data,
        }
    }

    fn message(output: &SyslogOutput, rule: &str, tag: &str) -> String {
        let origin = AlertOrigin::new(Arc::new(RuleRegistry::new()), "host 1");
        let tags = vec!["mitre".to_owned(), tag.to_owned()];
        let rule = RuleInfo::new(&origin, "syscall", rule, Priority::Warning, tags, vec![]);
        let text = |text: &mut Vec<u8>| text.extend_from_slice("dé\n]".as_bytes());
        let alert = AlertBuilder::new(Arc::new(rule), 1_795_340_280_123_456_789, 1, text).finish();
        let mut messages = Messages::new(output, formatter());
        messages.zone = TimeZone::UTC;
        let mut message = Vec::new();
        messages.write(&alert, &mut message);
        String::from_utf8(message).unwrap()
    }

    #[test]
    fn messages_of_both_forms() {
        let old = message(&output(SyslogForm::Rfc3164, false), "R", "t");
        let text = "09:38:00.123456789: Warning dé\\n]";
        assert_eq!(old, format!("<132>Nov 22 09:38:00 host1 engine: {text}"));
        let pid = std::process::id();
        let new = message(&output(SyslogForm::Rfc5424, false), "R", "t");
        let head = format!("<132>1 2026-11-22T09:38:00.123456Z host1 engine {pid} alert");
        assert_eq!(new, format!("{head} - {text}"));
        let new = message(&output(SyslogForm::Rfc5424, true), "a \"b]\\", "t\nu");
        let (before, after) = new.split_once(" id=\"").unwrap();
        assert_eq!(before, format!("{head} [peregrine@32473"));
        let rest = r#"" rule="a \"b\]\\" priority="Warning" tags="mitre,t u"] "#;
        assert_eq!(after.split_at(26).1, format!("{rest}{text}"));
    }

    #[test]
    fn the_local_log_knows_the_host() {
        let output = SyslogOutput::local("/dev/log".into(), "engine".to_owned());
        let message = message(&output, "R", "t");
        assert!(message.starts_with("<12>"), "{message}");
        assert_eq!(
            message.len(),
            "<12>Jan  1 00:00:00 engine: 09:38:00.123456789: Warning dé\\n]".len()
        );
    }

    proptest! {
        #[test]
        fn structured_data_can_be_read_back(value in any::<String>()) {
            let mut out = Vec::new();
            parameter("name", &value, &mut out);
            let text = String::from_utf8(out).unwrap();
            let quoted = text.strip_prefix(" name=\"").unwrap().strip_suffix('"').unwrap();
            let (mut read, mut escaped) = (String::new(), false);
            for character in quoted.chars() {
                if character == '\\' && !escaped {
                    escaped = true;
                    continue;
                }
                prop_assert!(escaped || !matches!(character, '"' | ']'));
                escaped = false;
                read.push(character);
            }
            prop_assert!(!escaped && !text.chars().any(char::is_control));
            let shown: String =
                value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            prop_assert_eq!(read, shown);
        }
    }
}
