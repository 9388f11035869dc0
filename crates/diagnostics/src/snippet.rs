//! A place in a text, with its line and carets under what is meant.

use std::fmt;

use crate::{Source, Span};

/// Characters of a line that are shown around the place.
const WIDTH: usize = 120;

/// Shows a span as `file:line:column` (counted from 1, as editors do), its first line, and carets
/// under what is meant.
///
/// ```
/// use peregrine_diagnostics::{Snippet, Source};
///
/// let source = Source::new("rules.yaml", "- rule: Shell\n  prio: HIGH\n");
/// let shown = Snippet::new(&source, source.span(16..20)).help(Some("did you mean `priority`?"));
/// assert_eq!(
///     shown.to_string().lines().collect::<Vec<_>>(),
///     [
///         " --> rules.yaml:2:3",
///         "  |",
///         "2 |   prio: HIGH",
///         "  |   ^^^^",
///         "  = help: did you mean `priority`?",
///     ]
/// );
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Snippet<'a> {
    source: &'a Source,
    span: Span,
    help: Option<&'a str>,
}

impl<'a> Snippet<'a> {
    /// A part of a text. An empty span gets one caret.
    #[must_use]
    pub fn new(source: &'a Source, span: Span) -> Self {
        Self { source, span, help: None }
    }

    /// What would be right, on a line below.
    #[must_use]
    pub fn help(self, help: Option<&'a str>) -> Self {
        Self { help, ..self }
    }
}

impl fmt::Display for Snippet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Span { mut start, end } = self.span;
        let line_end = char::from(self.source.line_end());
        if line_end == '\r' {
            // Others count such a text as one line.
            start = self.source.position(start.offset);
        }
        let begin = start.offset.saturating_sub(start.column);
        let line = self.source.text.get(begin..).and_then(|rest| rest.split(line_end).next());
        let line = line.unwrap_or_default().trim_end_matches('\r');
        // The place may lie on the line break or past the end of the text.
        let before = line.get(..start.column).unwrap_or(line);
        let rest = line.get(before.len()..).unwrap_or_default();
        let marked = end.offset.saturating_sub(start.offset).min(rest.len());
        let marked = rest.get(..marked).unwrap_or(rest);

        // An option of the command line is shown as it is written there.
        let (option, prefix) = (self.source.is_option(), self.source.option_prefix());
        let number = if option { " ".to_owned() } else { (start.line + 1).to_string() };
        let gutter = " ".repeat(number.len());
        let column = before.chars().count();
        match option {
            true => writeln!(f, "{gutter}--> {}", self.source.name)?,
            false => writeln!(f, "{gutter}--> {}:{number}:{}", self.source.name, column + 1)?,
        }
        writeln!(f, "{gutter} |")?;

        let skip = column.saturating_sub(WIDTH / 2);
        let shown: String = line.chars().skip(skip).take(WIDTH).map(printable).collect();
        let cut = if skip > 0 { "…" } else { "" };
        writeln!(f, "{number} | {prefix}{cut}{}", shown.trim_end())?;
        let indent = " ".repeat(prefix.len() + column - skip + cut.chars().count());
        let carets = "^".repeat(marked.trim_end().chars().count().clamp(1, WIDTH / 2));
        writeln!(f, "{gutter} | {indent}{carets}")?;
        if let Some(help) = self.help {
            writeln!(f, "{gutter} = help: {help}")?;
        }
        Ok(())
    }
}

/// One column for one character, and nothing that a terminal interprets.
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
    use crate::Position;

    #[test]
    fn long_lines_are_cut_around_the_place() {
        let source = Source::new("f", format!("{}here{}", "x".repeat(300), "y".repeat(300)));
        let shown = Snippet::new(&source, source.span(300..304)).to_string();
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[0], " --> f:1:301");
        let caret = lines[3].chars().position(|c| c == '^').unwrap();
        assert_eq!(lines[2].chars().skip(caret).take(4).collect::<String>(), "here");
        assert!(lines[2].chars().count() < 140);
    }

    #[test]
    fn spans_outside_of_the_text_are_shown_at_its_end() {
        for (text, offset, column) in
            [("ü", 9, 9), ("ü", 2, 2), ("ü", 1, 5), ("ü", 0, 3), ("", 0, 0)]
        {
            let start = Position { offset, line: 0, column };
            let source = Source::new("f", text);
            assert!(Snippet::new(&source, Span { start, end: start }).to_string().contains('^'));
        }
    }
}
