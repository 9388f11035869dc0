//! The excerpts of machine-readable load results, byte for byte as Falco prints them.

/// Widest excerpt, in bytes.
const WIDTH: usize = 160;

/// The line around a byte, at most half a width to both sides, and a caret below.
#[must_use]
pub fn excerpt(text: &[u8], offset: usize) -> String {
    const HALF: usize = WIDTH / 2;
    let Some(last) = text.len().checked_sub(1) else {
        return "<No context available>\n".to_owned();
    };
    let newline = |at: usize| text.get(at) == Some(&b'\n');

    // A place may lie past the end, or on the end of its line: show what stands before.
    let mut at = offset.min(last);
    if offset <= last || last > 0 {
        while at > 0 && newline(at) {
            at -= 1;
        }
    }
    let mut from = at;
    while from > 0 && !newline(from) && at - from < HALF {
        from -= 1;
    }
    let mut to = at;
    while to < last && !newline(to) && to - at < HALF {
        to += 1;
    }
    let (cut_before, cut_after) = (at - from >= HALF, to - at >= HALF);
    if newline(from) {
        from += 1;
    }
    if newline(to) {
        to = to.saturating_sub(1);
    }
    let mut line = text.get(from..=to).unwrap_or_default().to_vec();
    if line.is_empty() {
        return "<No context available>\n".to_owned();
    }
    if cut_before {
        line.splice(..3.min(line.len()), *b"...");
    }
    if cut_after {
        line.splice(line.len().saturating_sub(3).., *b"...");
    }
    let width = line.len();
    let mut shown = String::from_utf8_lossy(&line).into_owned();
    shown.push('\n');
    let caret = at.saturating_sub(from);
    if caret <= width {
        shown.push_str(&" ".repeat(caret));
        shown.push_str("^\n");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts_show_one_line() {
        assert_eq!(excerpt(b"one\ntwo three\nfour", 8), "two three\n    ^\n");
        assert_eq!(excerpt(b"one\ntags:\n", 10), "tags:\n    ^\n");
        assert_eq!(excerpt(b"one", 99), "one\n  ^\n");
        assert_eq!(excerpt(b"", 0), "<No context available>\n");
        assert_eq!(excerpt(b"\n", 0), "<No context available>\n");
    }

    #[test]
    fn excerpts_of_long_lines_are_cut() {
        let text = "x".repeat(500);
        let shown = excerpt(text.as_bytes(), 250);
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines[0].starts_with("...x") && lines[0].ends_with("x..."));
        assert_eq!(lines[0].len(), 161);
        assert_eq!(lines[1].len(), 81);
    }
}
