//! Two columns of text: names and their explanations.

/// Column where explanations begin in listings, and where all lines end.
const TEXT_COLUMN: usize = 30;
const TEXT_WIDTH: usize = 100;

/// A name with its explanation beside it, wrapped.
pub(crate) fn columns(name: &str, text: &str) -> String {
    two_columns(name, text, TEXT_COLUMN)
}

/// A name with a text that begins at this column, wrapped. A long name stands on a line of its own.
pub fn two_columns(name: &str, text: &str, start: usize) -> String {
    let mut line = name.to_owned();
    let mut column = name.chars().count();
    if column >= start {
        line.push('\n');
        column = 0;
    }
    for word in text.split_whitespace() {
        if column + 1 + word.chars().count() > TEXT_WIDTH {
            line.push('\n');
            column = 0;
        }
        let gap = if column < start { start - column } else { 1 };
        line += &" ".repeat(gap);
        line += word;
        column += gap + word.chars().count();
    }
    line + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_stand_alone() {
        let line = columns("a.name.that.is.longer.than.its.column", "words");
        assert_eq!(line.lines().count(), 2);
        assert!(line.ends_with(&format!("\n{}words\n", " ".repeat(TEXT_COLUMN))));
    }
}
