//! Results for people and for CI systems.

mod json;
mod junit;
mod results;
mod style;
mod text;

use std::str::FromStr;

pub use results::Report;
pub use style::Style;

/// Forms of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object.
    Json,
    /// JUnit XML, which CI systems show.
    Junit,
}

impl FromStr for Format {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            "junit" => Ok(Self::Junit),
            _ => Err("valid values are: text, json, junit"),
        }
    }
}

impl Report {
    /// The report in a form.
    #[must_use]
    pub fn print(&self, format: Format, style: Style) -> String {
        match format {
            Format::Text => text::print(self, style),
            Format::Json => format!("{:#}\n", json::value(self)),
            Format::Junit => junit::print(self),
        }
    }
}
