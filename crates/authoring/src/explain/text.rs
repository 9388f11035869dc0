//! Explanations as text, for a terminal of 80 columns.

use super::explanation::{Explanation, Part, PartKind, Place, Reading};
use crate::paint::Paint;

/// Columns of a line.
pub(super) const WIDTH: usize = 80;
/// Columns of the mark and the value in front of the tree.
const MARGIN: usize = 10;
/// Column of the values that tests read, where they stand beside the test.
const VALUE_COLUMN: usize = 48;
/// Most lines of one test.
const MAX_LINES: usize = 6;

impl Explanation {
    /// The tree, one part a line: its value, its text, what it read. The part that decided first is
    /// marked with `>`; values of parts that the engine does not evaluate are in parentheses.
    #[must_use]
    pub fn to_text(&self, paint: Paint) -> String {
        let file = self.root.place.as_ref().map(|place| place.file.as_str());
        let mut tree = Tree { paint, file, text: String::new() };
        tree.part(&self.root, "", "", None);
        let mut text = tree.text;
        if !self.lists.is_empty() {
            let list = |(name, places): &(String, Vec<Place>)| {
                let places: Vec<_> = places.iter().map(|place| place.seen_from(file)).collect();
                format!("{name} ({})", places.join(", "))
            };
            let lists: Vec<_> = self.lists.iter().map(list).collect();
            text.push('\n');
            for line in wrap(&format!("Lists: {}", lists.join(", ")), WIDTH) {
                text += &format!("{line}\n");
            }
        }
        text
    }
}

struct Tree<'e> {
    paint: Paint,
    /// The file of the condition; places in it are lines.
    file: Option<&'e str>,
    text: String,
}

impl Tree<'_> {
    /// Prints a part and all below it. `lead` stands before its first line, `below` before all
    /// others; `exception` is that of the part around it.
    fn part(&mut self, part: &Part, lead: &str, below: &str, exception: Option<&str>) {
        let line = Line::of(part);
        let mut text = line.text.clone();
        let exception_here = part.exception.as_deref();
        if exception_here.is_some() && exception_here != exception {
            text += &format!("  [exception {}]", exception_here.unwrap_or_default());
        }
        if let Some(place) = line.place {
            let width = WIDTH - MARGIN - width(lead);
            text = beside(&text, &place.seen_from(self.file), width);
        }
        self.lines(part, &line, &text, lead, below);
        let last = line.parts.len().saturating_sub(1);
        for (index, inner) in line.parts.iter().enumerate() {
            let (here, after) = if index == last { ("└ ", "  ") } else { ("├ ", "│ ") };
            self.part(inner, &format!("{below}{here}"), &format!("{below}{after}"), exception_here);
        }
    }

    /// The lines of one part.
    fn lines(&mut self, part: &Part, line: &Line<'_>, text: &str, lead: &str, below: &str) {
        let inside = if line.parts.is_empty() { "  " } else { "│ " };
        let readings = line.readings.iter().enumerate();
        let readings: Vec<_> = readings.map(|(at, it)| reading(it, at > 0)).collect();
        let readings = readings.join(", ");
        let indent = width(lead);
        let room = WIDTH - MARGIN.min(WIDTH) - indent.min(WIDTH / 2);
        let mut lines = wrap(text, room);
        if !readings.is_empty() {
            let column = VALUE_COLUMN.saturating_sub(MARGIN + indent);
            let last = lines.last_mut();
            let fits = |last: &String| width(last).max(column) + 2 + width(&readings) <= room;
            match last.filter(|last| fits(last)) {
                Some(last) => {
                    let gap = column.saturating_sub(width(last)).max(2);
                    *last += &" ".repeat(gap);
                    *last += &self.paint.bold(&readings);
                }
                None => {
                    let wrapped = wrap(&readings, room.saturating_sub(4));
                    lines.extend(wrapped.iter().map(|it| format!("  {}", self.paint.bold(it))));
                }
            }
        }
        if lines.len() > MAX_LINES {
            lines.truncate(MAX_LINES);
            if let Some(last) = lines.last_mut() {
                *last += " …";
            }
        }
        let mark = if line.decisive { self.paint.bold("> ") } else { "  ".to_owned() };
        for (index, text) in lines.iter().enumerate() {
            let start = match index {
                0 => format!("{mark}{}{lead}", self.value(part)),
                _ => format!("{}{below}{inside}", " ".repeat(MARGIN)),
            };
            let text = if part.reached { text.clone() } else { self.paint.dim(text) };
            self.text += format!("{start}{text}").trim_end();
            self.text.push('\n');
        }
    }

    /// The value of a part, in eight columns.
    fn value(&self, part: &Part) -> String {
        let (word, paint): (_, fn(Paint, String) -> String) = match part.value {
            Some(true) => ("true", |paint, text| paint.good(text)),
            Some(false) => ("false", |paint, text| paint.bad(text)),
            None => ("unread", |paint, text| paint.dim(text)),
        };
        let word = if part.reached { word.to_owned() } else { format!("({word})") };
        paint(self.paint, format!("{word:<8}"))
    }
}

/// What one line shows: a part, with the parts that are written in the same line.
struct Line<'p> {
    text: String,
    place: Option<&'p Place>,
    readings: &'p [Reading],
    parts: &'p [Part],
    decisive: bool,
}

impl<'p> Line<'p> {
    fn of(part: &'p Part) -> Self {
        let inner = part.parts.first();
        let mut line = Self {
            text: part.text.clone(),
            place: None,
            readings: &part.readings,
            parts: &part.parts,
            decisive: part.decisive,
        };
        match (&part.kind, inner) {
            (PartKind::All, _) => line.text = "all of".to_owned(),
            (PartKind::Any, _) => line.text = "any of".to_owned(),
            // What is negated stands in the same line.
            (PartKind::Not, Some(inner)) => {
                let Line { text, place, readings, parts, decisive } = Line::of(inner);
                line = Line {
                    text: format!("not {text}"),
                    place,
                    readings,
                    parts,
                    decisive: decisive || line.decisive,
                };
            }
            // So does the first word of the condition of a macro.
            (PartKind::Macro(name, place), Some(inner)) => {
                line.place = place.as_ref();
                line.text.clone_from(name);
                if matches!(inner.kind, PartKind::All | PartKind::Any) {
                    line.text += if inner.kind == PartKind::All { ": all of" } else { ": any of" };
                    line.parts = &inner.parts;
                    line.decisive |= inner.decisive;
                }
            }
            (PartKind::Not | PartKind::Macro(..) | PartKind::Test, _) => {}
        }
        line
    }
}

/// What a test read. The operand on the left is the first word of the test, so it is not repeated.
pub(super) fn reading(reading: &Reading, named: bool) -> String {
    let name = if named { format!("{} ", reading.operand) } else { String::new() };
    match reading.value.as_deref() {
        None => format!("{name}has no value"),
        Some("") => format!("{name}is empty"),
        Some(value) => format!("{name}is {value}"),
    }
}

/// A text with another at the end of its line, or in a line below.
pub(super) fn beside(text: &str, right: &str, columns: usize) -> String {
    let gap = columns.saturating_sub(width(text) + width(right));
    if gap >= 2 {
        return format!("{text}{}{right}", " ".repeat(gap));
    }
    format!("{text}  {right}")
}

/// Splits a text into lines at blanks; words that are longer than a line are cut.
pub(super) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(16);
    // Blanks at the end of a line and between two columns are kept.
    if width(text) <= columns {
        return vec![text.to_owned()];
    }
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let mut word = word;
        loop {
            let Some(line) = lines.last_mut() else { return lines };
            let used = width(line) + usize::from(!line.is_empty());
            if used + width(word) <= columns {
                if !line.is_empty() {
                    line.push(' ');
                }
                line.push_str(word);
                break;
            }
            if !line.is_empty() {
                lines.push(String::new());
                continue;
            }
            let cut = word.char_indices().nth(columns).map_or(word.len(), |(at, _)| at);
            let (front, rest) = word.split_at(cut);
            line.push_str(front);
            if rest.is_empty() {
                break;
            }
            lines.push(String::new());
            word = rest;
        }
    }
    lines
}

pub(super) fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_wrapped_at_blanks() {
        assert_eq!(wrap("a list of (several, words)", 16), ["a list of", "(several, words)"]);
        assert_eq!(wrap(&"x".repeat(20), 16), ["x".repeat(16), "x".repeat(4)]);
        assert_eq!(wrap("", 16), [""]);
    }
}
