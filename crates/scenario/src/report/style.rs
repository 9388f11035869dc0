//! How text is shown.

/// How text is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// With colours, for a terminal.
    pub colour: bool,
    /// With a line for each test that passed.
    pub verbose: bool,
}

impl Style {
    pub(super) fn paint(self, text: &str, colour: &str) -> String {
        if self.colour { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
