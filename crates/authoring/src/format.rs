//! The forms in which listings are printed.

use std::str::FromStr;

/// Form of a listing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Plain text, for a terminal.
    #[default]
    Text,
    /// Markdown, for documents.
    Markdown,
    /// JSON, for programs.
    Json,
}

/// No format has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownFormat;

impl FromStr for Format {
    type Err = UnknownFormat;

    /// The name of a format, in any case.
    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        let formats = [("text", Self::Text), ("markdown", Self::Markdown), ("json", Self::Json)];
        let mut formats = formats.into_iter();
        let found = formats.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, format)| format).ok_or(UnknownFormat)
    }
}
