//! Which limits were reached since the last look.

use std::fmt;

use crate::limit::Limit;
use crate::table::ALL;

/// Remembers how often each limit was reached, to tell what is new.
#[derive(Debug)]
pub struct Watch {
    seen: Vec<u64>,
}

/// A limit that was reached, and how often since the last look.
#[derive(Clone, Copy, Debug)]
pub struct Reached {
    /// The limit.
    pub limit: &'static Limit,
    /// How often.
    pub times: u64,
}

impl Watch {
    /// Tells what is reached from now on.
    #[must_use]
    pub fn new() -> Self {
        Self { seen: ALL.iter().map(|limit| limit.reached()).collect() }
    }

    /// The limits that were reached since the last call.
    pub fn reached(&mut self) -> Vec<Reached> {
        let new = |(&limit, seen): (&&'static Limit, &mut u64)| {
            let now = limit.reached();
            let times = now - std::mem::replace(seen, now);
            (times > 0).then_some(Reached { limit, times })
        };
        ALL.iter().zip(&mut self.seen).filter_map(new).collect()
    }
}

impl Default for Watch {
    fn default() -> Self {
        Self::new()
    }
}

/// A line of the log: the limit, how often it was reached, what it bounds, and the remedy.
impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, times } = self;
        let plural = if *times == 1 { "" } else { "s" };
        write!(f, "Limit {} reached {times} time{plural}: {}", limit.name(), limit.about())?;
        match limit.key() {
            Some(key) => write!(f, " Set by {key}; see docs/limits.md."),
            None => write!(f, " It is {limit}; see docs/limits.md."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ACCOUNT_FILE_BYTES, Unit};

    #[test]
    fn a_look_tells_what_is_new() {
        let limit = &ACCOUNT_FILE_BYTES;
        let mut watch = Watch::new();
        let times = |watch: &mut Watch| {
            let reached = watch.reached();
            reached.iter().find(|r| r.limit.name() == limit.name()).map(|r| r.times)
        };
        assert_eq!(times(&mut watch), None);
        limit.reach();
        limit.reach();
        assert_eq!(times(&mut watch), Some(2));
        assert_eq!(times(&mut watch), None);
        assert_eq!(limit.unit(), Unit::Bytes);
        let line = Reached { limit, times: 2 }.to_string();
        assert!(line.starts_with("Limit account_file_bytes reached 2 times: "), "{line}");
        assert!(line.ends_with(" It is 4 MiB; see docs/limits.md."), "{line}");
    }
}
