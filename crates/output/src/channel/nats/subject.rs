//! The subject of an alert.

use std::str::FromStr;

use peregrine_alert::Alert;
use thiserror::Error;

use crate::channel::network::Encoder;

/// A subject with `{hostname}`, `{priority}`, `{source}` and `{rule}` in it, such as
/// `alerts.{hostname}.{priority}`.
///
/// Each of them becomes one token: priorities in lower case, and `_` for every character that is
/// not an ASCII letter, a digit, `-` or `_`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectTemplate(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Hostname,
    Priority,
    Source,
    Rule,
}

/// Why a text is no template of subjects.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SubjectError {
    /// There is nothing of this name.
    #[error("`{{{0}}}` is unknown: {{hostname}}, {{priority}}, {{source}} and {{rule}} exist")]
    Unknown(String),
    /// A brace has no counterpart.
    #[error("a brace is not closed or not opened")]
    Brace,
    /// A character that subjects do not have, or that means something to subscribers.
    #[error("{0:?} cannot be in the subject of a message")]
    Character(char),
    /// Two dots, or one at the beginning or the end.
    #[error("a part between dots is empty")]
    EmptyToken,
}

impl FromStr for SubjectTemplate {
    type Err = SubjectError;

    fn from_str(text: &str) -> Result<Self, SubjectError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or(SubjectError::Brace)?;
            parts.push(Part::text(before)?);
            parts.push(match name {
                "hostname" => Part::Hostname,
                "priority" => Part::Priority,
                "source" => Part::Source,
                "rule" => Part::Rule,
                _ => return Err(SubjectError::Unknown(name.to_owned())),
            });
            rest = after;
        }
        parts.push(Part::text(rest)?);
        // A name is never empty, whatever it becomes.
        let shape: String = parts.iter().map(|part| part.fixed().unwrap_or("_")).collect();
        if shape.split('.').any(str::is_empty) {
            return Err(SubjectError::EmptyToken);
        }
        Ok(Self(parts))
    }
}

impl SubjectTemplate {
    /// Appends the subject of an alert.
    fn write(&self, alert: &Alert, out: &mut Vec<u8>) {
        let rule = alert.rule();
        for part in &self.0 {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Hostname => token(rule.hostname(), out),
                Part::Priority => token(&alert.priority().name().to_ascii_lowercase(), out),
                Part::Source => token(rule.source(), out),
                Part::Rule => token(rule.name(), out),
            }
        }
    }
}

impl Part {
    fn text(text: &str) -> Result<Self, SubjectError> {
        let wrong = |c: &char| !c.is_ascii_graphic() || matches!(c, '*' | '>' | '}' | '{');
        match text.chars().find(wrong) {
            None => Ok(Self::Text(text.to_owned())),
            Some('{' | '}') => Err(SubjectError::Brace),
            Some(other) => Err(SubjectError::Character(other)),
        }
    }

    fn fixed(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Appends a name as one token of a subject.
fn token(name: &str, out: &mut Vec<u8>) {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if name.is_empty() {
        out.push(b'_');
    }
    out.extend(name.chars().map(|c| if allowed(c) { c as u8 } else { b'_' }));
}

/// Puts the subject before the body of another encoder. [`split`] takes them apart.
pub(super) struct WithSubject<E> {
    pub(super) subject: SubjectTemplate,
    pub(super) encoder: E,
}

/// Ends the subject. It cannot be in one.
const END: u8 = b'\n';

impl<E: Encoder> Encoder for WithSubject<E> {
    fn encode(&mut self, alert: &Alert, body: &mut Vec<u8>) {
        self.subject.write(alert, body);
        body.push(END);
        self.encoder.encode(alert, body);
    }
}

/// The subject and the payload of a record's body.
pub(super) fn split(body: &[u8]) -> Option<(&str, &[u8])> {
    let end = body.iter().position(|byte| *byte == END)?;
    let (subject, payload) = body.split_at_checked(end)?;
    Some((std::str::from_utf8(subject).ok()?, payload.get(1..)?))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use peregrine_alert::RuleRegistry;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{alert, formatter, line, rule_alert};

    fn subject(template: &str, alert: &Alert) -> String {
        let mut out = Vec::new();
        template.parse::<SubjectTemplate>().unwrap().write(alert, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn names_become_tokens() {
        let alert = rule_alert(&Arc::new(RuleRegistry::new()), "A shell > in.box ü");
        assert_eq!(subject("alerts.{hostname}.{priority}", &alert), "alerts.HOST.notice");
        assert_eq!(subject("x-{source}.{rule}", &alert), "x-syscall.A_shell___in_box__");
        assert_eq!(subject("alerts", &alert), "alerts");
    }

    #[test]
    fn wrong_templates_are_refused() {
        let error = |template: &str| template.parse::<SubjectTemplate>().unwrap_err();
        for empty in ["", "a..b", ".a", "a.", "{rule}..x", "."] {
            assert_eq!(error(empty), SubjectError::EmptyToken, "{empty}");
        }
        assert_eq!(error("a.{tag}"), SubjectError::Unknown("tag".to_owned()));
        assert_eq!(error("a.{rule"), SubjectError::Brace);
        assert_eq!(error("a.rule}"), SubjectError::Brace);
        assert_eq!(error("alerts.*"), SubjectError::Character('*'));
        assert_eq!(error("alerts >"), SubjectError::Character(' '));
        assert_eq!(error("a\r\nb"), SubjectError::Character('\r'));
    }

    #[test]
    fn subject_and_payload_are_told_apart() {
        let subject = "alerts.{hostname}".parse().unwrap();
        let mut encoder = WithSubject { subject, encoder: formatter() };
        let mut body = Vec::new();
        encoder.encode(&alert("two\nlines"), &mut body);
        let payload = line("two\\nlines");
        assert_eq!(split(&body), Some(("alerts.HOST", payload.as_bytes())));
        assert_eq!(split(b"no end"), None);
        assert_eq!(split(b"\xff\nx"), None);
    }

    proptest! {
        #[test]
        fn any_rule_has_a_valid_subject(rule in "\\PC*") {
            let alert = rule_alert(&Arc::new(RuleRegistry::new()), &rule);
            let subject = subject("{rule}", &alert);
            prop_assert!(!subject.is_empty());
            prop_assert!(subject.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)));
        }
    }
}
