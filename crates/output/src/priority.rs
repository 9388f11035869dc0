//! How bad it is.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Priority of a rule and of its alerts. The numbers are the severities of syslog: 0 is the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Priority {
    Emergency,
    Alert,
    Critical,
    Error,
    Warning,
    Notice,
    Informational,
    Debug,
}

/// The text is no priority.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("Unknown priority value: {0}")]
pub struct UnknownPriority(String);

impl Priority {
    /// All, from the worst on.
    pub const ALL: [Self; 8] = [
        Self::Emergency,
        Self::Alert,
        Self::Critical,
        Self::Error,
        Self::Warning,
        Self::Notice,
        Self::Informational,
        Self::Debug,
    ];

    /// Name as alerts show it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Emergency => "Emergency",
            Self::Alert => "Alert",
            Self::Critical => "Critical",
            Self::Error => "Error",
            Self::Warning => "Warning",
            Self::Notice => "Notice",
            Self::Informational => "Informational",
            Self::Debug => "Debug",
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Priority {
    type Err = UnknownPriority;

    /// Case does not matter, and `info` is another name of `Informational`.
    fn from_str(text: &str) -> Result<Self, UnknownPriority> {
        let named = |priority: &Self| text.eq_ignore_ascii_case(priority.name());
        match Self::ALL.into_iter().find(named) {
            Some(priority) => Ok(priority),
            None if text.eq_ignore_ascii_case("info") => Ok(Self::Informational),
            None => Err(UnknownPriority(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_understood_in_any_case() {
        for priority in Priority::ALL {
            assert_eq!(priority.name().to_uppercase().parse(), Ok(priority));
        }
        assert_eq!("INFO".parse(), Ok(Priority::Informational));
        assert_eq!(
            "fatal".parse::<Priority>().unwrap_err().to_string(),
            "Unknown priority value: fatal"
        );
    }

    #[test]
    fn numbers_are_those_of_syslog() {
        assert_eq!(Priority::Emergency as u8, 0);
        assert_eq!(Priority::Debug as u8, 7);
    }
}
