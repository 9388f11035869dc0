//! Words in lines.

/// Columns that lines are filled to. Texts that can't be broken may be longer.
pub(super) const WIDTH: usize = 100;

/// Words with commas between them on as few lines as possible.
pub(super) fn fill(words: &[String], indent: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut width = 0;
    for (at, word) in words.iter().enumerate() {
        let comma = if at + 1 < words.len() { "," } else { "" };
        let len = word.chars().count() + comma.len();
        if !line.is_empty() && width + 1 + len > WIDTH {
            lines.push(std::mem::take(&mut line));
        }
        if line.is_empty() {
            line = " ".repeat(indent);
            width = indent;
        } else {
            line.push(' ');
            width += 1;
        }
        line = line + word + comma;
        width += len;
    }
    lines.extend((!line.is_empty()).then_some(line));
    lines
}
