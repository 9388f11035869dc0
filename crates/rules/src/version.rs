//! Versions of the engine and of plugins.

use std::fmt;

/// Version of the rules language that this engine implements.
pub const ENGINE_VERSION: Version = Version { major: 0, minor: 63, patch: 0 };

/// Three numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Incremented by incompatible changes.
    pub major: u32,
    /// Incremented by additions.
    pub minor: u32,
    /// Incremented by fixes.
    pub patch: u32,
}

impl Version {
    /// Parses `1.2.3`; trailing text is ignored.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (major, rest) = number(text.trim_start())?;
        let (minor, rest) = number(rest.strip_prefix('.')?)?;
        let (patch, _) = number(rest.strip_prefix('.')?)?;
        Some(Self { major, minor, patch })
    }

    /// What to write in place of a text that is no version.
    pub(crate) fn wanted(text: &str) -> String {
        let text = text.trim().trim_start_matches(['v', 'V', '>', '=', '^', '~', ' ']);
        let mut parts = text.split('.').map(str::parse::<u32>).map(Result::ok);
        let numbers = [0; 3].map(|zero| parts.next().unwrap_or(Some(zero)));
        match (numbers, parts.next()) {
            ([Some(major), Some(minor), Some(patch)], None) => {
                format!("write `{}`", Self { major, minor, patch })
            }
            _ => "write three numbers: `0.31.0`".to_owned(),
        }
    }

    /// Whether this version satisfies a requirement.
    #[must_use]
    pub fn satisfies(self, required: Self) -> bool {
        self.major == required.major && self >= required
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

fn number(text: &str) -> Option<(u32, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
}

/// A required plugin, or one of its alternatives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginRequirement {
    /// Name of the plugin.
    pub name: String,
    /// Version as written.
    pub version: String,
}

impl PluginRequirement {
    /// Whether a plugin with this name and version satisfies the requirement.
    #[must_use]
    pub fn satisfied_by(&self, name: &str, version: Version) -> bool {
        self.name == name
            && Version::parse(&self.version).is_some_and(|required| version.satisfies(required))
    }
}

impl fmt::Display for PluginRequirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (>= {})", self.name, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_three_numbers() {
        assert_eq!(Version::parse("0.63.0"), Some(ENGINE_VERSION));
        assert_eq!(Version::parse("1.2.3-rc1"), Some(Version { major: 1, minor: 2, patch: 3 }));
        for text in ["", "1", "0.5", "-4", "a.b.c", "1..2", "99999999999.0.0"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_version_has_a_remedy() {
        for (text, wanted) in [
            ("v0.31.0", "write `0.31.0`"),
            ("0.31", "write `0.31.0`"),
            (">= 0.31", "write `0.31.0`"),
            ("latest", "write three numbers: `0.31.0`"),
            ("1.2.3.4", "write three numbers: `0.31.0`"),
        ] {
            assert_eq!(Version::wanted(text), wanted);
        }
    }

    #[test]
    fn same_major_and_not_newer() {
        let version = |text| Version::parse(text).unwrap();
        assert!(ENGINE_VERSION.satisfies(version("0.31.0")));
        assert!(!ENGINE_VERSION.satisfies(version("0.64.0")));
        assert!(!version("2.0.0").satisfies(version("1.0.0")));
    }
}
