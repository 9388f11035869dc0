//! Renamed files: what becomes of them, and their names.

use std::ffi::{OsStr, OsString};
use std::num::{NonZeroU64, NonZeroUsize};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use jiff::Timestamp;
use peregrine_files::{FileError, Siblings};

/// When a file is renamed and begun anew, and what becomes of the renamed ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Before it has more bytes than this.
    pub max_bytes: Option<NonZeroU64>,
    /// Before the first alert of a new interval; intervals are counted from 1970 on, in UTC.
    pub every: Option<Duration>,
    /// Renamed files that are kept; `None` keeps all.
    pub keep: Option<NonZeroUsize>,
    /// Renamed files are compressed.
    pub compression: Option<FileCompression>,
}

/// How renamed files are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileCompression {
    /// `.gz`
    Gzip,
    /// `.zst`
    Zstd,
}

/// When a file was renamed, in microseconds since the epoch: part of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stamp(pub(crate) i64);

/// Names sort by time.
const STAMP: &str = "%Y%m%dT%H%M%S%.6fZ";
const STAMP_LENGTH: usize = "20261130T054531.123456Z".len();

impl Stamp {
    /// The renamed files, in the order of their times, with what follows the stamp in the name.
    pub(crate) fn of_files(
        files: &Siblings,
        name: &OsStr,
    ) -> Result<Vec<(Self, OsString)>, FileError> {
        let prefix = [name.as_bytes(), b"."].concat();
        let names = files.names(OsStr::from_bytes(&prefix))?;
        let stamp = |found: &OsString| {
            let rest = found.as_bytes().strip_prefix(&*prefix)?;
            let (stamp, form) = rest.split_at_checked(STAMP_LENGTH)?;
            Some((Self::parse(stamp)?, OsStr::from_bytes(form).to_owned()))
        };
        Ok(names.iter().filter_map(stamp).collect())
    }

    /// The name of a file that was renamed then.
    pub(crate) fn name(self, name: &OsStr) -> OsString {
        let time = Timestamp::from_microsecond(self.0).unwrap_or_default();
        let mut name = name.to_owned();
        name.push(format!(".{}", time.strftime(STAMP)));
        name
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
        let time = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%S%.f", text).ok()?;
        Some(Self(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_microsecond()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn names_sort_by_time(a in 0_i64..200_000_000_000_000_000, b in 0_i64..200_000_000_000_000_000) {
            let name = |stamp| Stamp(stamp).name(OsStr::new("log"));
            prop_assert_eq!(a.cmp(&b), name(a).cmp(&name(b)));
            let text = name(a);
            let stamp = text.as_bytes().strip_prefix(b"log.").unwrap();
            prop_assert_eq!(stamp.len(), STAMP_LENGTH);
            prop_assert_eq!(Stamp::parse(stamp), Some(Stamp(a)));
        }
    }
}
