//! The page of each lint: what it finds, an example, the example mended, and the remedy.

use std::fmt::Write;

use super::lints::{Level, Lint};

/// Widest line of a page.
const WIDTH: usize = 100;

/// What a lint finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// What it finds, and why that matters.
    pub meaning: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
    /// A rules file that has it.
    pub example: &'static str,
    /// The same without it.
    pub mended: &'static str,
}

/// All pages, each headed by `@@` and a code, with parts headed by `@`.
const PAGES: &str = include_str!("pages.txt");

impl Lint {
    /// Its page.
    #[must_use]
    pub fn page(self) -> Page {
        let mut pages = PAGES.split("@@ ");
        let Some(page) = pages.find_map(|page| page.strip_prefix(self.code())) else {
            return Page::default();
        };
        let mut parts = ["\n@ remedy\n", "\n@ example\n", "@ mended\n"].into_iter();
        let mut split = |text: &'static str| {
            let parts = parts.next().and_then(|head| text.split_once(head));
            parts.unwrap_or((text, ""))
        };
        let (meaning, rest) = split(page);
        let (remedy, rest) = split(rest);
        let (example, mended) = split(rest);
        Page { meaning: meaning.trim(), remedy, example, mended }
    }

    /// Its page as text.
    #[must_use]
    pub fn page_text(self) -> String {
        let level = match self.default_level() {
            Level::Deny => "error",
            Level::Warn => "warning",
            Level::Allow => "not reported by default",
        };
        let Page { meaning, remedy, example, mended } = self.page();
        let mut text = format!("{} ({level}): {}\n\n", self.code(), self.title());
        let mut put = |title: &str, lines: String| {
            // Writing into a string does not fail.
            let _ = write!(text, "{title}\n{lines}\n");
        };
        put("Meaning:", wrapped(meaning));
        put("Example:", indented(example));
        put("Mended:", indented(mended));
        put("Remedy:", wrapped(remedy));
        let code = self.code();
        put("To silence it, above the item:", format!("  # lint: allow({code}) the reason\n"));
        text.truncate(text.trim_end().len());
        text + "\n"
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

fn wrapped(text: &str) -> String {
    let (mut lines, mut column) = (String::new(), 0);
    for word in text.split_whitespace() {
        let len = word.chars().count();
        if column > 0 && column + 1 + len > WIDTH {
            lines.push('\n');
            column = 0;
        }
        lines += if column == 0 { "  " } else { " " };
        lines += word;
        column += len + if column == 0 { 2 } else { 1 };
    }
    lines + "\n"
}
