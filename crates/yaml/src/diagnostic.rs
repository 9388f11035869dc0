//! A place in a text, shown to the one who wrote it.

use std::fmt;

use crate::Mark;

/// Something to say about a place: shown as `file:line:column` (counted from 1, as editors do),
/// the line, and a mark under what is meant.
///
/// ```
/// use peregrine_yaml::{Diagnostic, parse};
///
/// let text = "- rule: Shell\n  prio: HIGH\n";
/// let documents = parse(text)?;
/// let key = &documents[0].items()[0].entries()[1].0;
/// let shown = Diagnostic::new("rules.yaml", text, key.start)
///     .up_to(key.end)
///     .help("did you mean `priority`?")
///     .to_string();
/// assert_eq!(
///     shown.lines().collect::<Vec<_>>(),
///     [
///         " --> rules.yaml:2:3",
///         "  |",
///         "2 |   prio: HIGH",
///         "  |   ^^^^",
///         "  = help: did you mean `priority`?",
///     ]
/// );
/// # Ok::<(), peregrine_yaml::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Diagnostic<'a> {
    file: &'a str,
    text: &'a str,
    start: Mark,
    end: usize,
    help: Option<String>,
}

/// Characters of a line that are shown around the place.
const WIDTH: usize = 120;

impl<'a> Diagnostic<'a> {
    /// A place of a text.
    #[must_use]
    pub fn new(file: &'a str, text: &'a str, start: Mark) -> Self {
        Self { file, text, start, end: start.offset, help: None }
    }

    /// Underlines up to here instead of one character.
    #[must_use]
    pub fn up_to(mut self, end: Mark) -> Self {
        self.end = end.offset;
        self
    }

    /// Says what would be right.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Diagnostic<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let begin = self.start.offset.saturating_sub(self.start.column);
        let line = self.text.get(begin..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        // The place may lie on the line break or past the end of the text.
        let before = line.get(..self.start.column).unwrap_or(line);
        let rest = line.get(before.len()..).unwrap_or_default();
        let marked = self.end.saturating_sub(self.start.offset).min(rest.len());
        let marked = rest.get(..marked).unwrap_or(rest);

        let number = (self.start.line + 1).to_string();
        let gutter = " ".repeat(number.len());
        let column = before.chars().count();
        writeln!(f, "{gutter}--> {}:{number}:{}", self.file, column + 1)?;
        writeln!(f, "{gutter} |")?;

        let skip = column.saturating_sub(WIDTH / 2);
        let shown: String = line.chars().skip(skip).take(WIDTH).map(printable).collect();
        let cut = if skip > 0 { "…" } else { "" };
        writeln!(f, "{number} | {cut}{}", shown.trim_end())?;
        let indent = " ".repeat(column - skip + cut.chars().count());
        let carets = "^".repeat(marked.trim_end().chars().count().clamp(1, WIDTH / 2));
        writeln!(f, "{gutter} | {indent}{carets}")?;
        if let Some(help) = &self.help {
            writeln!(f, "{gutter} = help: {help}")?;
        }
        Ok(())
    }
}

/// One column for one character, and nothing that a terminal obeys.
fn printable(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_cut_around_the_place() {
        let text = format!("{}here{}", "x".repeat(300), "y".repeat(300));
        let start = Mark { offset: 300, line: 0, column: 300 };
        let end = Mark { offset: 304, ..start };
        let shown = Diagnostic::new("f", &text, start).up_to(end).to_string();
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[0], " --> f:1:301");
        let caret = lines[3].chars().position(|c| c == '^').unwrap();
        assert_eq!(lines[2].chars().skip(caret).take(4).collect::<String>(), "here");
        assert!(lines[2].chars().count() < 140);
    }

    #[test]
    fn places_outside_of_the_text_are_no_trouble() {
        for (offset, column) in [(9, 9), (2, 2), (1, 5), (0, 3)] {
            let start = Mark { offset, line: 0, column };
            assert!(Diagnostic::new("f", "ü", start).to_string().contains('^'));
        }
        assert!(Diagnostic::new("f", "", Mark::default()).to_string().contains('^'));
    }
}
