//! Colours of the text form, for terminals.

const BOLD: &str = "\x1b[1m";
const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[1;33m";
const BLUE: &str = "\x1b[1;34m";
const GREEN: &str = "\x1b[1;32m";
const RESET: &str = "\x1b[0m";

/// The text of problems ([`Problem`](crate::Problem) with `{}`) with colours: those of the
/// compiler of Rust.
#[must_use]
pub fn paint(text: &str) -> String {
    let mut painted = String::with_capacity(text.len() * 2);
    let mut carets = RED;
    for line in text.split_inclusive('\n') {
        let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
        if let Some((word, rest)) = line.split_once(": ")
            && let Some(colour) = colour_of(word)
        {
            carets = colour;
            painted += &format!("{colour}{word}{RESET}{BOLD}: {rest}{RESET}{end}");
            continue;
        }
        painted += &match gutter(line) {
            Some((gutter, rest)) => match rest.strip_prefix("= ") {
                Some(help) => format!("{BLUE}{gutter}= {RESET}{}", paint_word(help)),
                None if rest.trim_start_matches(['|', ' ', '^']).is_empty() => {
                    let bar = rest.get(..1).unwrap_or_default();
                    let marks = rest.get(1..).unwrap_or_default();
                    format!("{BLUE}{gutter}{bar}{RESET}{carets}{marks}{RESET}")
                }
                None => {
                    let len = if rest.starts_with("--> ") { 4 } else { 1 };
                    let (bar, text) = rest.split_at_checked(len).unwrap_or((rest, ""));
                    format!("{BLUE}{gutter}{bar}{RESET}{text}")
                }
            },
            None => line.to_owned(),
        };
        painted += end;
    }
    painted
}

fn colour_of(word: &str) -> Option<&'static str> {
    Some(match word {
        "error" => RED,
        "warning" => YELLOW,
        "note" | "help" => GREEN,
        _ => return None,
    })
}

fn paint_word(help: &str) -> String {
    match help.split_once(": ") {
        Some((word, rest)) => format!("{BOLD}{word}{RESET}: {rest}"),
        None => help.to_owned(),
    }
}

/// The number of a line or the blanks below it, and what follows.
fn gutter(line: &str) -> Option<(&str, &str)> {
    let rest = line.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start_matches(' ');
    let begins = ["|", "-->", "= "].iter().any(|begin| rest.starts_with(begin));
    begins.then(|| line.split_at(line.len() - rest.len()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Label, Problem, Source};

    #[test]
    fn colours_change_no_character() {
        let source = Arc::new(Source::new("f.yaml", "a: 1\nb: |x\n"));
        let problem = Problem::warning("W1", "odd").at(Label::bytes(source, 8..9)).help("better");
        let painted = paint(&problem.to_string());
        let mut plain = painted.clone();
        for colour in [BOLD, RED, YELLOW, BLUE, GREEN, RESET] {
            plain = plain.replace(colour, "");
        }
        assert_eq!(plain, problem.to_string());
        assert!(painted.starts_with("\x1b[1;33mwarning\x1b[0m"), "{painted:?}");
        assert!(painted.contains(&format!("{YELLOW}    ^")), "{painted:?}");
    }
}
