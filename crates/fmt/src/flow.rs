//! Collections in brackets: where they end, and the words of lists.

/// How deep lists in brackets are understood.
const MAX_DEPTH: usize = 20;

/// The length of the collection in brackets at the start of a text; the text goes on after it.
pub(super) fn end(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    // Whether a value may start here, so that a quote opens a text and `#` a comment.
    let (mut fresh, mut blank) = (true, true);
    let mut at = 0;
    loop {
        let rest = text.get(at..)?;
        let c = rest.chars().next()?;
        let mut len = c.len_utf8();
        match c {
            '"' | '\'' if fresh => len = quoted_end(rest)?,
            '#' if blank => len = rest.find('\n')?,
            '[' | '{' => depth += 1,
            ']' | '}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + len);
                }
            }
            _ => {}
        }
        blank = c.is_whitespace();
        fresh = matches!(c, '[' | '{' | ',' | ':') || fresh && (blank || c == '#');
        at += len;
    }
}

/// The length of the quoted text at the start of a text, with its quotes.
pub(super) fn quoted_end(text: &str) -> Option<usize> {
    let quote = text.chars().next()?;
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == '\\' && quote == '"' {
            chars.next();
        } else if c == quote {
            if quote == '\'' && chars.next_if(|(_, next)| *next == quote).is_some() {
                continue;
            }
            return Some(at + 1);
        }
    }
    None
}

/// The items of a list in brackets, each as it is written on one line. `None` if there is more in
/// it than texts and lists: maps, comments, anchors, tags.
pub(super) fn items(list: &str) -> Option<Vec<String>> {
    let (items, end) = sequence(list, 0)?;
    (end == list.len()).then_some(items)
}

/// The items of the list at the start of a text, and where it ends.
fn sequence(text: &str, depth: usize) -> Option<(Vec<String>, usize)> {
    if depth > MAX_DEPTH {
        return None;
    }
    let mut items = Vec::new();
    let mut at = text.strip_prefix('[').map(|_| 1)?;
    loop {
        at += blanks(text.get(at..)?);
        let rest = text.get(at..)?;
        match rest.chars().next()? {
            ']' => return Some((items, at + 1)),
            '[' => {
                let (inner, len) = sequence(rest, depth + 1)?;
                items.push(format!("[{}]", inner.join(", ")));
                at += len;
            }
            '"' | '\'' => {
                let len = quoted_end(rest)?;
                let word = rest.get(..len).filter(|word| !word.contains('\n'))?;
                items.push(word.to_owned());
                at += len;
            }
            _ => {
                let len = rest.find([',', '[', ']', '{', '}'])?;
                items.push(plain(rest.get(..len)?)?);
                at += len;
            }
        }
        at += blanks(text.get(at..)?);
        match text.get(at..)?.chars().next()? {
            ',' => at += 1,
            ']' => {}
            _ => return None,
        }
    }
}

fn blanks(text: &str) -> usize {
    text.len() - text.trim_start_matches([' ', '\n']).len()
}

/// A text without quotes; one on two lines is joined, as YAML does.
fn plain(word: &str) -> Option<String> {
    let word = word.trim_matches([' ', '\n']);
    let special = |c: char| "&*!|>%@`?#-\t:".contains(c);
    // `-x` is a text as long as no blank follows.
    let begins = match word.strip_prefix('-') {
        Some(rest) => rest.starts_with(|c: char| !c.is_whitespace() && c != '-'),
        None => !word.starts_with(special) && !word.is_empty(),
    };
    if !begins || word.contains('\t') || word.contains(": ") || word.ends_with(':') {
        return None;
    }
    let mut lines = word.split('\n').map(|line| line.trim_matches(' '));
    let mut joined = lines.next()?.to_owned();
    for line in lines {
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        joined.push(' ');
        joined.push_str(line);
    }
    (!joined.contains(" #")).then_some(joined)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collections_end_at_their_bracket() {
        for (text, rest) in [
            ("[a, b]\nc", "\nc"),
            ("['it''s]', \"a\\\"]\"] ]", " ]"),
            ("[it's, x] y", " y"),
            ("[a # ]\n]", ""),
            ("[\n# it's\nb]x", "x"),
            ("{a: [b]}, c", ", c"),
        ] {
            assert_eq!(text.get(end(text).unwrap()..), Some(rest), "{text}");
        }
        assert_eq!(end("[a"), None);
        assert_eq!(end("['a]"), None);
    }

    #[test]
    fn items_are_as_written() {
        let words = |text| items(text).map(|items| items.join("|"));
        assert_eq!(
            words("[a,  'b,c' ,\n  d\n e,-x, [f,g,],]").as_deref(),
            Some("a|'b,c'|d e|-x|[f, g]")
        );
        assert_eq!(words("[]").as_deref(), Some(""));
        for text in [
            "[a: b]",
            "[{a: b}]",
            "[a, # b\n c]",
            "[&x a]",
            "[*x]",
            "[a, , b]",
            "[a\n\nb]",
            "[!x a]",
            "['a\nb']",
            "[a] b",
            "[- a]",
            "['a' b]",
            "[#a\n]",
            "[a:]",
        ] {
            assert_eq!(items(text), None, "{text}");
        }
    }
}
