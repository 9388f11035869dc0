//! Versions of plugins and of what they need.

use std::fmt;

/// Three numbers.
///
/// ```
/// use peregrine_plugin::Version;
/// assert_eq!(Version::parse("1.2.3-rc1"), Some(Version { major: 1, minor: 2, patch: 3 }));
/// assert_eq!(Version::parse("1.2"), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Changes when something becomes incompatible.
    pub major: u32,
    /// Changes when something is added.
    pub minor: u32,
    /// Changes when something is repaired.
    pub patch: u32,
}

impl Version {
    /// Version of the interface that the host offers.
    pub const API: Self = {
        let [major, minor, patch] = crate::abi::VERSION;
        Self { major, minor, patch }
    };

    /// The version that a text begins with. What follows it does not count, as in the reference.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '.');
        let mut whole = || parts.next()?.parse().ok();
        let (major, minor) = (whole()?, whole()?);
        let rest = text.splitn(3, '.').nth(2)?;
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        Some(Self { major, minor, patch: rest.get(..digits)?.parse().ok()? })
    }

    /// Why a host with this version can't run what needs the other.
    pub(crate) fn refuses(self, needed: Self) -> Option<Mismatch> {
        if self.major != needed.major {
            Some(Mismatch::Major)
        } else if self.minor < needed.minor {
            Some(Mismatch::Minor)
        } else if self.minor == needed.minor && self.patch < needed.patch {
            Some(Mismatch::Patch)
        } else {
            None
        }
    }
}

/// The first number of a version that is not what another needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// Another major version.
    Major,
    /// An older minor version.
    Minor,
    /// An older patch.
    Patch,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Major => "major versions disagree",
            Self::Minor => "framework's minor is less than the requested one",
            Self::Patch => "framework's patch is less than the requested one",
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_three_numbers_and_a_rest() {
        let version = |major, minor, patch| Some(Version { major, minor, patch });
        assert_eq!(Version::parse("3.1.0-rc1"), version(3, 1, 0));
        assert_eq!(Version::parse("0.10.2.7"), version(0, 10, 2));
        for wrong in ["", "three", "3", "3.1", "3.1.", "3.-1.0", "3.1.x", "99999999999.0.0"] {
            assert_eq!(Version::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_older_plugin_of_the_same_major_version_is_taken() {
        let host = Version { major: 3, minor: 12, patch: 1 };
        let needs = |text| host.refuses(Version::parse(text).unwrap());
        assert_eq!(needs("3.12.1"), None);
        assert_eq!(needs("3.11.9"), None);
        assert_eq!(needs("2.0.0"), Some(Mismatch::Major));
        assert_eq!(needs("3.13.0"), Some(Mismatch::Minor));
        assert_eq!(needs("3.12.2"), Some(Mismatch::Patch));
    }
}
