//! What is being written at a place of a rules file.
//!
//! While an item is typed it is rarely YAML, so the place is found from lines and their
//! indentation, not from a tree.

use std::ops::Range;

/// What is being written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cursor<'t> {
    /// The item: `rule`, `macro`, `list` or a requirement; `None` if no key says it yet.
    pub(crate) item: Option<&'static str>,
    /// Keys of the item, in source order.
    pub(crate) present: Vec<&'t str>,
    /// The keys around the place, from the item inwards.
    pub(crate) path: Vec<&'t str>,
    /// What stands there.
    pub(crate) place: Place<'t>,
}

/// What stands at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place<'t> {
    /// A key, so far.
    Key {
        /// Its bytes in the text.
        word: Range<usize>,
        /// Whether the key begins an item: directly behind a dash, or without one.
        begins: Begins,
    },
    /// A value.
    Value {
        /// Its text from the beginning to the place, with line breaks, without the opening quote.
        before: &'t str,
        /// Where that begins.
        start: usize,
        /// Whether it is an entry of a sequence.
        entry: bool,
    },
}

/// Where the key of an item stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begins {
    /// Behind the dash.
    Dash,
    /// At the beginning of a line outside of an item: the dash is missing.
    Line,
    /// Inside of an item.
    Nothing,
}

/// Keys that say what an item is.
pub(crate) const ITEMS: [&str; 5] =
    ["rule", "macro", "list", "required_engine_version", "required_plugin_versions"];

/// A key with its value.
#[derive(Clone, Copy)]
struct Frame<'t> {
    column: usize,
    key: &'t str,
    /// The first byte of its value.
    value: usize,
    /// Whether the value begins on the line of the key.
    scalar: bool,
}

/// What is being written at `at`, in an item whose first line begins at `start`.
pub(crate) fn cursor(text: &str, start: usize, at: usize) -> Cursor<'_> {
    let mut reader = Reader { frames: Vec::new() };
    let mut line_start = start;
    let before = text.get(start..at).unwrap_or_default();
    let mut place = None;
    for line in before.split_inclusive('\n') {
        place = Some(reader.line(line, line_start, text));
        line_start += line.len();
    }
    if before.is_empty() || before.ends_with('\n') {
        place = Some(reader.line("", at, text));
    }
    let begins = Begins::Line;
    let place = place.unwrap_or(Place::Key { word: at..at, begins });
    let path = reader.frames.iter().map(|frame| frame.key).collect();
    let present = present(text, start);
    let item = ITEMS.into_iter().find(|item| present.contains(item));
    Cursor { item, present, path, place }
}

struct Reader<'t> {
    frames: Vec<Frame<'t>>,
}

impl<'t> Reader<'t> {
    /// Reads a line up to the place; `at` is where it begins in the text.
    fn line(&mut self, line: &str, at: usize, text: &'t str) -> Place<'t> {
        let shown = line.trim_end_matches(['\r', '\n']);
        let rest = shown.trim_start_matches(' ');
        let mut column = shown.len() - rest.len();
        let end = at + shown.len();
        if let Some(frame) = self.frames.last()
            && frame.scalar
            && column > frame.column
        {
            return value(text, frame.value, end, false);
        }
        let mut rest = rest;
        let mut dashes = 0;
        while let Some(after) =
            rest.strip_prefix('-').filter(|it| it.is_empty() || it.starts_with(' '))
        {
            self.leave(column, true);
            let trimmed = after.trim_start_matches(' ');
            column += rest.len() - trimmed.len();
            rest = trimmed;
            dashes += 1;
        }
        if dashes == 0 {
            self.leave(column, false);
        }
        let begin = at + column;
        if let Some(length) = key_length(rest) {
            let key = text.get(begin..begin + length).unwrap_or_default();
            let after = rest.get(length + 1..).unwrap_or_default();
            let scalar = !after.trim().is_empty() && !after.trim_start().starts_with('#');
            let blanks = after.len() - after.trim_start().len();
            let value_at = begin + length + 1 + blanks.min(after.len());
            self.frames.push(Frame { column, key, value: value_at, scalar });
            return value(text, value_at.min(end), end, false);
        }
        match self.frames.last() {
            Some(frame) if dashes > 0 && frame.key != "exceptions" && frame.key != "tests" => {
                value(text, begin, end, true)
            }
            // A value may begin on the line below its key.
            Some(frame) if !frame.scalar && takes_text(frame.key) => {
                value(text, begin.min(end), end, false)
            }
            frames => {
                let begins = match (frames, dashes, column) {
                    (None, 1.., _) => Begins::Dash,
                    (None, 0, 0) => Begins::Line,
                    _ => Begins::Nothing,
                };
                Place::Key { word: begin.min(end)..end, begins }
            }
        }
    }

    /// Closes the keys that a line in this column does not belong to. The dashes of a sequence may
    /// stand in the column of its key.
    fn leave(&mut self, column: usize, dash: bool) {
        let inside = |frame: &Frame<'_>| {
            frame.column < column || dash && frame.column == column && !frame.scalar
        };
        while self.frames.last().is_some_and(|frame| !inside(frame)) {
            self.frames.pop();
        }
    }
}

/// Keys whose value is a text that may have several lines.
fn takes_text(key: &str) -> bool {
    matches!(key, "condition" | "output" | "desc")
}

fn value(text: &str, start: usize, end: usize, entry: bool) -> Place<'_> {
    let all = text.get(start..end).unwrap_or_default();
    let skipped = match all.chars().next() {
        Some('"' | '\'') if !entry || !all.contains('[') => 1,
        Some('|' | '>') => all.find('\n').map_or(all.len(), |at| at + 1),
        _ => 0,
    };
    Place::Value { before: all.get(skipped..).unwrap_or_default(), start: start + skipped, entry }
}

/// Length of a key at the beginning of a text: a word with a colon.
fn key_length(text: &str) -> Option<usize> {
    let length = text.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-')))?;
    let after = text.get(length..)?.strip_prefix(':')?;
    (length > 0 && (after.is_empty() || after.starts_with([' ', '\n', '\r']))).then_some(length)
}

/// The keys of the item that begins at a place.
fn present(text: &str, start: usize) -> Vec<&str> {
    let mut keys = Vec::new();
    let mut column = None;
    for line in text.get(start..).unwrap_or_default().lines() {
        let rest = line.trim_start_matches([' ', '-']);
        let found = line.len() - rest.len();
        let dash = line.trim_start().starts_with('-');
        match column {
            None if dash => column = Some(found),
            None => continue,
            // The next item.
            Some(of) if dash && found <= of => break,
            Some(_) => {}
        }
        if column == Some(found) && (!dash || keys.is_empty()) {
            keys.extend(key_length(rest).and_then(|length| rest.get(..length)));
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The cursor at the `|` of a text.
    fn at(text: &str) -> (String, usize) {
        (text.replacen('¦', "", 1), text.find('¦').unwrap())
    }

    fn values(text: &str) -> (Vec<String>, String) {
        let (text, at) = at(text);
        let cursor = cursor(&text, 0, at);
        let path = cursor.path.iter().map(|&key| key.to_owned()).collect();
        match cursor.place {
            Place::Value { before, .. } => (path, before.to_owned()),
            place => panic!("{place:?} at {path:?}"),
        }
    }

    fn keys(text: &str) -> (Vec<String>, String, Begins) {
        let (text, at) = at(text);
        let cursor = cursor(&text, 0, at);
        let path = cursor.path.iter().map(|&key| key.to_owned()).collect();
        match cursor.place {
            Place::Key { word, begins } => (path, text[word].to_owned(), begins),
            place => panic!("{place:?} at {path:?}"),
        }
    }

    #[test]
    fn values_begin_at_their_key() {
        for (text, path, before) in [
            ("- rule: a\n  condition: evt.ty¦", "condition", "evt.ty"),
            (
                "- rule: a\n  condition: >\n    a and\n    b¦ and c\n",
                "condition",
                "    a and\n    b",
            ),
            ("- rule: a\n  condition: a and\n    b¦", "condition", "a and\n    b"),
            ("- rule: a\n  condition:\n    b¦", "condition", "b"),
            ("- rule: a\n  output: \"x %proc.¦\"", "output", "x %proc."),
            ("- rule: a\n  tags: [x, ¦]", "tags", "[x, "),
            ("- rule: a\n  tags:\n  - x\n  - y¦", "tags", "y"),
            ("- rule: a\n  priority: ¦", "priority", ""),
            ("- rule: a\n  override:\n    condition: ¦", "override condition", ""),
            (
                "- rule: a\n  exceptions:\n  - name: x\n    fields: [proc.¦",
                "exceptions fields",
                "[proc.",
            ),
            (
                "- rule: a\n  exceptions:\n    - name: x\n      values:\n      - [a, ¦",
                "exceptions values",
                "[a, ",
            ),
            ("- list: a¦", "list", "a"),
        ] {
            let path: Vec<_> = path.split(' ').map(str::to_owned).collect();
            assert_eq!(values(text), (path, before.to_owned()), "{text}");
        }
    }

    #[test]
    fn keys_know_what_they_are_in() {
        for (text, path, word, begins) in [
            ("¦", "", "", Begins::Line),
            ("- ¦", "", "", Begins::Dash),
            ("- ru¦", "", "ru", Begins::Dash),
            ("- rule: a\n  ¦", "", "", Begins::Nothing),
            ("- rule: a\n  condition: b\n  ou¦\n  priority: INFO", "", "ou", Begins::Nothing),
            ("- rule: a\n  override:\n    con¦", "override", "con", Begins::Nothing),
            ("- rule: a\n  exceptions:\n  - n¦", "exceptions", "n", Begins::Nothing),
            ("- rule: a\n  exceptions:\n  - name: x\n    f¦", "exceptions", "f", Begins::Nothing),
            ("- rule: a\n  desc: >\n    b\n¦", "", "", Begins::Line),
        ] {
            let path: Vec<_> = path.split_whitespace().map(str::to_owned).collect();
            assert_eq!(keys(text), (path, word.to_owned(), begins), "{text}");
        }
    }

    #[test]
    fn items_have_their_keys() {
        let (text, at) = at("- macro: m\n  ¦\n  condition: a\n  # c\n- rule: r\n");
        let cursor = cursor(&text, 0, at);
        assert_eq!((cursor.item, cursor.present), (Some("macro"), vec!["macro", "condition"]));
    }

    proptest! {
        #[test]
        fn any_place_has_a_cursor(
            lines in proptest::collection::vec(" {0,4}(- ){0,2}([a-c]{1,3}:)?( [ü\\[\"'>|#a]{0,4})?", 0..8),
            at in 0..80_usize,
        ) {
            let text = lines.join("\n");
            let at = text.floor_char_boundary(at.min(text.len()));
            let cursor = cursor(&text, 0, at);
            match cursor.place {
                Place::Key { word, .. } => prop_assert!(word.end <= at && text.get(word).is_some()),
                Place::Value { before, start, .. } => {
                    prop_assert!(start + before.len() <= at);
                    prop_assert_eq!(text.get(start..start + before.len()), Some(before));
                }
            }
        }
    }
}
