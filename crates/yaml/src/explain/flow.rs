//! `[a, b]` and `{a: b}`: brackets and commas.

use super::context::{Context, Explanation, SyntaxCause};
use super::lines::{Kind, Line, quoted, without_comment};

/// Brackets that are never closed, never opened, or closed by another one.
pub(super) fn brackets(context: &Context<'_>) -> Vec<Explanation> {
    let mut proposals = Vec::new();
    for (at, line) in context.nearest() {
        let (column, value) = line.value().unwrap_or_else(|| line.content());
        if value.starts_with(['[', '{']) {
            proposals.extend(walk(context, at, line.start + column));
            proposals.extend(behind(line.start + column, value));
        }
    }
    proposals
}

/// Follows the brackets from the one at this byte.
fn walk(context: &Context<'_>, at: usize, from: usize) -> Option<Explanation> {
    let owner = context.line(at).map(|line| line.key().map_or(line.indent(), |key| key.column))?;
    let mut open: Vec<(usize, char)> = Vec::new();
    let mut quote: Option<char> = None;
    let mut last = from;
    for line in (at..context.lines.len()).map_while(|at| context.line(at)) {
        let first = line.start <= from;
        let ends = !first && quote.is_none() && line.begins_entry() && line.indent() <= owner + 1;
        if ends {
            break;
        }
        let mut before = ' ';
        let skipped = from.saturating_sub(line.start);
        for (column, c) in line.text.char_indices().skip_while(|(column, _)| *column < skipped) {
            let byte = line.start + column;
            let fresh = matches!(before, ' ' | '\t' | '[' | '{' | ',' | ':');
            match (quote, c) {
                (Some(open), c) => quote = Some(open).filter(|open| *open != c),
                (None, '#') if before.is_whitespace() && column > 0 => break,
                (None, '\'' | '"') if fresh => quote = Some(c),
                (None, '[') => open.push((byte, ']')),
                (None, '{') => open.push((byte, '}')),
                (None, ']' | '}') => match open.pop() {
                    Some((_, wanted)) if wanted == c => {
                        if open.is_empty() {
                            return too_many(context, byte + 1);
                        }
                    }
                    Some((start, wanted)) => return Some(mismatch(context, start, byte, wanted)),
                    None => return None,
                },
                (None, _) => {}
            }
            if !c.is_whitespace() {
                last = byte + c.len_utf8();
            }
            before = c;
        }
    }
    let (start, wanted) = *open.last()?;
    let bracket = context.text.get(start..=start)?;
    Some(Explanation {
        cause: SyntaxCause::Bracket,
        message: format!("`{bracket}` is never closed"),
        span: start..start + 1,
        help: format!("write `{wanted}` at its end"),
        title: "close the bracket",
        edits: vec![(last..last, open.iter().rev().map(|(_, wanted)| *wanted).collect())],
    })
}

/// A closing bracket too many, behind the end of a collection.
fn too_many(context: &Context<'_>, end: usize) -> Option<Explanation> {
    let rest = context.text.get(end..)?;
    let at = end + rest.len() - rest.trim_start_matches(' ').len();
    let bracket = context.text.get(at..)?.chars().next().filter(|c| matches!(c, ']' | '}'))?;
    Some(Explanation {
        cause: SyntaxCause::Bracket,
        message: format!("this `{bracket}` closes nothing"),
        span: at..at + 1,
        help: "remove it".to_owned(),
        title: "remove the bracket",
        edits: vec![(at..at + 1, String::new())],
    })
}

fn mismatch(context: &Context<'_>, start: usize, end: usize, wanted: char) -> Explanation {
    let open = context.text.get(start..=start).unwrap_or_default();
    Explanation {
        cause: SyntaxCause::Bracket,
        message: format!("this does not close `{open}`"),
        span: end..end + 1,
        help: format!("write `{wanted}`"),
        title: "correct the bracket",
        edits: vec![(end..end + 1, wanted.to_string())],
    }
}

/// `[a, b],` and `[a] b`
fn behind(start: usize, value: &str) -> Option<Explanation> {
    let text = without_comment(value);
    let close = text.rfind([']', '}'])?;
    let rest = text.get(close + 1..)?.trim();
    let at = start + text.len() - rest.len();
    if rest.starts_with(',') {
        return Some(Explanation {
            cause: SyntaxCause::Comma,
            message: "a comma after the closing bracket".to_owned(),
            span: at..at + 1,
            help: "remove it".to_owned(),
            title: "remove the comma",
            edits: vec![(at..at + 1, String::new())],
        });
    }
    (!rest.is_empty()).then(|| Explanation {
        cause: SyntaxCause::Bracket,
        message: "text after the closing bracket".to_owned(),
        span: at..at + rest.len(),
        help: "quote the whole value if it is text, or remove this".to_owned(),
        title: "quote the whole value",
        edits: vec![(start..start + text.len(), quoted(text))],
    })
}

/// A comma too many, or one that is missing between two quoted items.
pub(super) fn commas(context: &Context<'_>) -> Vec<Explanation> {
    let offset = context.text.floor_char_boundary(context.error.at.offset);
    let Some((before, rest)) = context.text.split_at_checked(offset) else { return Vec::new() };
    let mut proposals = Vec::new();
    if rest.starts_with(',') {
        proposals.push(Explanation {
            cause: SyntaxCause::Comma,
            message: "a comma without an item before it".to_owned(),
            span: offset..offset + 1,
            help: "remove it, or write the item: an empty text is `''`".to_owned(),
            title: "remove the comma",
            edits: vec![(offset..offset + 1, String::new())],
        });
    }
    let is_content = |line: &&Line<'_>| line.kind == Kind::Content;
    let in_list = context.line(context.at).filter(is_content).is_some();
    let item = rest.trim_start_matches(' ');
    let end = before.trim_end().len();
    if in_list && before.trim_end().ends_with(['"', '\'', ']', '}']) && !item.is_empty() {
        let at = context.text.len() - item.len();
        let width = item.find([',', ']', '}', '\n']).unwrap_or(item.len());
        proposals.push(Explanation {
            cause: SyntaxCause::Comma,
            message: "a comma is missing before this item".to_owned(),
            span: at..at + width,
            help: "separate items by commas".to_owned(),
            title: "insert a comma",
            edits: vec![(end..end, ",".to_owned())],
        });
    }
    proposals
}
