//! Colours of a terminal, or none.

use std::fmt::Display;

use anstyle::{AnsiColor, Style};

/// Colours texts for a terminal, or leaves them as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paint {
    on: bool,
}

impl Paint {
    /// With colours, or without.
    #[must_use]
    pub fn new(on: bool) -> Self {
        Self { on }
    }

    /// What is true, or has been added.
    pub(crate) fn good(self, text: impl Display) -> String {
        self.style(AnsiColor::Green.on_default(), text)
    }

    /// What is false, or is gone.
    pub(crate) fn bad(self, text: impl Display) -> String {
        self.style(AnsiColor::Red.on_default(), text)
    }

    /// What is less important.
    pub(crate) fn dim(self, text: impl Display) -> String {
        self.style(Style::new().dimmed(), text)
    }

    /// What is most important.
    pub(crate) fn bold(self, text: impl Display) -> String {
        self.style(Style::new().bold(), text)
    }

    fn style(self, style: Style, text: impl Display) -> String {
        if self.on { format!("{style}{text}{style:#}") } else { text.to_string() }
    }
}
