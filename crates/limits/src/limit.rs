//! One limit.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A bound on something that others decide about, and how often it was reached.
#[derive(Debug)]
pub struct Limit {
    pub(crate) name: &'static str,
    pub(crate) value: usize,
    pub(crate) unit: Unit,
    pub(crate) about: &'static str,
    pub(crate) key: Option<&'static str>,
    pub(crate) reached: &'static AtomicU64,
}

/// The unit of a [`Limit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// A number of entries, levels or calls, as the description says.
    Count,
    /// Milliseconds.
    Milliseconds,
}

impl Limit {
    /// Its name in metrics, log and documentation: `account_file_bytes`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Its value, in [`unit`](Self::unit). With a [`key`](Self::key), the default of that key.
    #[must_use]
    pub const fn get(&self) -> usize {
        self.value
    }

    /// Its value as a time; milliseconds are the unit.
    #[must_use]
    pub const fn duration(&self) -> Duration {
        Duration::from_millis(self.value as u64)
    }

    /// The unit of its value.
    #[must_use]
    pub const fn unit(&self) -> Unit {
        self.unit
    }

    /// What it bounds, and what happens when it is reached.
    #[must_use]
    pub const fn about(&self) -> &'static str {
        self.about
    }

    /// The configuration key that sets it, if there is one.
    #[must_use]
    pub const fn key(&self) -> Option<&'static str> {
        self.key
    }

    /// Counts that it was reached.
    #[cold]
    pub fn reach(&self) {
        self.reached.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it was reached since the program started.
    #[must_use]
    pub fn reached(&self) -> u64 {
        self.reached.load(Ordering::Relaxed)
    }
}

/// The value with its unit: `4 MiB`, `65,536`, `20 ms`.
impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.unit, self.value) {
            (Unit::Milliseconds, value) => write!(f, "{} ms", Grouped(value)),
            (Unit::Count, value) => write!(f, "{}", Grouped(value)),
            (Unit::Bytes, value) if value > 0 && value.is_multiple_of(1 << 30) => {
                write!(f, "{} GiB", Grouped(value >> 30))
            }
            (Unit::Bytes, value) if value > 0 && value.is_multiple_of(1 << 20) => {
                write!(f, "{} MiB", Grouped(value >> 20))
            }
            (Unit::Bytes, value) if value > 0 && value.is_multiple_of(1 << 10) => {
                write!(f, "{} KiB", Grouped(value >> 10))
            }
            (Unit::Bytes, value) => write!(f, "{} bytes", Grouped(value)),
        }
    }
}

/// A number with commas between its thousands.
struct Grouped(usize);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(number) = *self;
        if number < 1000 {
            return number.fmt(f);
        }
        write!(f, "{},{:03}", Self(number / 1000), number % 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_with_their_unit() {
        static REACHED: AtomicU64 = AtomicU64::new(0);
        let text = |value, unit| {
            let (name, about) = ("x", "X.");
            Limit { name, value, unit, about, key: None, reached: &REACHED }.to_string()
        };
        assert_eq!(text(4 << 20, Unit::Bytes), "4 MiB");
        assert_eq!(text(2 << 30, Unit::Bytes), "2 GiB");
        assert_eq!(text(1023, Unit::Bytes), "1,023 bytes");
        assert_eq!(text(4 << 10, Unit::Bytes), "4 KiB");
        assert_eq!(text(4_000_000, Unit::Count), "4,000,000");
        assert_eq!(text(20, Unit::Milliseconds), "20 ms");
    }
}
