//! Permissions of new files.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Permissions of a file that the agent creates. Its owner can always read and write it; it is
/// never executable, and never writable by every user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileMode(u32);

/// A text is no [`FileMode`].
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ModeError {
    /// The text is not an octal number.
    #[error("not an octal number")]
    NotOctal,
    /// The owner can't read and write the file.
    #[error("the owner must be able to read and write the file")]
    Owner,
    /// Every user can write to the file.
    #[error("every user could write to the file")]
    Everyone,
    /// There are other bits than those for reading and writing.
    #[error("only bits for reading and writing can be set")]
    OtherBits,
}

impl FileMode {
    /// 0600: for all that may hold secrets.
    pub const PRIVATE: Self = Self(0o600);
    /// 0644: for what other users may know.
    pub const PUBLIC: Self = Self(0o644);

    /// The permission bits.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0
    }
}

impl Default for FileMode {
    fn default() -> Self {
        Self::PRIVATE
    }
}

impl FromStr for FileMode {
    type Err = ModeError;

    /// Reads `0640`, `640` or `0o640`.
    fn from_str(text: &str) -> Result<Self, ModeError> {
        let digits = text.strip_prefix("0o").unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|digit| matches!(digit, b'0'..=b'7')) {
            return Err(ModeError::NotOctal);
        }
        match u32::from_str_radix(digits, 8).map_err(|_| ModeError::OtherBits)? {
            bits if bits & !0o666 != 0 => Err(ModeError::OtherBits),
            bits if bits & 0o600 != 0o600 => Err(ModeError::Owner),
            bits if bits & 0o002 != 0 => Err(ModeError::Everyone),
            bits => Ok(Self(bits)),
        }
    }
}

impl fmt::Display for FileMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_octal_and_for_files() {
        let bits = |text: &str| text.parse().map(FileMode::bits);
        assert_eq!(bits("0640"), Ok(0o640));
        assert_eq!(bits("600"), Ok(0o600));
        assert_eq!(bits("0o660"), Ok(0o660));
        assert_eq!(bits("0666"), Err(ModeError::Everyone));
        assert_eq!(bits("0440"), Err(ModeError::Owner));
        assert_eq!(bits("0700"), Err(ModeError::OtherBits));
        assert_eq!(bits("77777777777777"), Err(ModeError::OtherBits));
        for text in ["", "0o", "rw-r--r--", "0689", "+600", "-1"] {
            assert_eq!(bits(text), Err(ModeError::NotOctal), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_mode_reads_as_it_prints(text in "(0o)?[0-8]{0,5}") {
            if let Ok(mode) = text.parse::<FileMode>() {
                proptest::prop_assert_eq!(mode.to_string().parse(), Ok(mode));
            }
        }
    }
}
