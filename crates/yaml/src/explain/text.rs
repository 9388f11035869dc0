//! Texts: their quotes, their first character and their indentation.

use super::context::{Context, Explanation, SyntaxCause, TextEdit};
use super::lines::{Kind, Line, is_block_header, quoted, without_comment};

/// A quote that ends a text too early, text behind a closing quote, and one that is not closed.
pub(super) fn quotes(context: &Context<'_>) -> Vec<Explanation> {
    let mut proposals = Vec::new();
    for (_, line) in context.nearest() {
        let Some((column, value)) = line.value() else { continue };
        let start = line.start + column;
        if value.starts_with('[') {
            proposals.extend(items(value).into_iter().filter_map(|(at, item)| {
                let quote = item.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
                let lone = lone_quotes(item.get(1..)?, quote).is_empty();
                lone.then(|| unclosed(start + at, quote, item))
            }));
        }
        let Some(quote) = value.chars().next().filter(|c| matches!(c, '\'' | '"')) else {
            continue;
        };
        let inner = value.get(1..).unwrap_or_default();
        let ends = lone_quotes(inner, quote);
        match ends.split_last() {
            None => proposals.push(unclosed(start, quote, value)),
            Some((last, early)) if !early.is_empty() && is_over(inner, *last) => {
                proposals.extend(too_early(start, quote, early));
            }
            Some((_, _)) => {}
        }
        if let Some(end) = ends.first()
            && !is_over(inner, *end)
        {
            let text = without_comment(value);
            let rest = value.get(end + 2..text.len()).unwrap_or_default();
            let behind = start + text.len() - rest.trim_start().len()..start + text.len();
            proposals.push(Explanation {
                cause: SyntaxCause::Quote,
                message: format!("text after the closing quote `{quote}`"),
                span: behind,
                help: "put the quotes around the whole value".to_owned(),
                title: "quote the whole value",
                edits: vec![(start..start + text.len(), quoted(text))],
            });
        }
    }
    proposals
}

/// Whether nothing but a comment stands behind the quote at this byte.
fn is_over(inner: &str, quote: usize) -> bool {
    let rest = inner.get(quote + 1..).unwrap_or_default();
    rest.trim().is_empty() || rest.starts_with([' ', '\t']) && rest.trim().starts_with('#')
}

/// Bytes of the quotes in a text that would end it.
fn lone_quotes(inner: &str, quote: char) -> Vec<usize> {
    let mut found = Vec::new();
    let mut chars = inner.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            ('"', '\\') => drop(chars.next()),
            ('\'', '\'') if chars.next_if(|(_, next)| *next == '\'').is_some() => {}
            (_, c) if c == quote => found.push(at),
            _ => {}
        }
    }
    found
}

fn unclosed(start: usize, quote: char, value: &str) -> Explanation {
    let text = match value.contains(" #") {
        true => without_comment(value),
        false => value,
    };
    let end = start + text.len();
    Explanation {
        cause: SyntaxCause::UnclosedQuote,
        message: format!("the quote `{quote}` is never closed"),
        span: start..start + 1,
        help: format!("write `{quote}` at the end of the text"),
        title: "close the quote",
        edits: vec![(end..end, quote.to_string())],
    }
}

fn too_early(start: usize, quote: char, early: &[usize]) -> Option<Explanation> {
    let at = |inner: &usize| start + 1 + inner;
    let span = at(early.first()?)..at(early.first()?) + 1;
    let (name, escaped, other) = match quote {
        '"' => ("double", "\\\"", "single"),
        _ => ("single", "''", "double"),
    };
    let edit = |inner: &usize| (at(inner)..at(inner) + 1, escaped.to_owned());
    Some(Explanation {
        cause: SyntaxCause::Quote,
        message: format!("this `{quote}` ends the text in {name} quotes"),
        span,
        help: format!("write `{escaped}` for it, or put the text in {other} quotes"),
        title: "escape the quotes within the text",
        edits: early.iter().map(edit).collect(),
    })
}

/// `"\d"`
pub(super) fn escapes(context: &Context<'_>) -> Vec<Explanation> {
    const KNOWN: &str = "0abtnvfre \"/\\N_LPxuU\t";
    if !context.error.message.contains("escape") {
        return Vec::new();
    }
    let mut proposals = Vec::new();
    for (_, line) in context.nearest().take(1) {
        let mut edits: Vec<TextEdit> = Vec::new();
        let mut first = None;
        let mut chars = line.text.char_indices();
        let mut inside = false;
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => inside = !inside,
                '\\' if inside => {
                    let Some((_, next)) = chars.next() else { break };
                    if !KNOWN.contains(next) {
                        let start = line.start + at;
                        first.get_or_insert((start..start + 1 + next.len_utf8(), next));
                        edits.push((start..start, "\\".to_owned()));
                    }
                }
                _ => {}
            }
        }
        if let Some((span, next)) = first {
            proposals.push(Explanation {
                cause: SyntaxCause::Escape,
                message: format!("`\\{next}` is no escape of double quotes"),
                span,
                help: format!("write `\\\\{next}`, or put the text in single quotes"),
                title: "double the backslashes",
                edits,
            });
        }
    }
    proposals
}

/// `desc: | text`
pub(super) fn block_header(context: &Context<'_>) -> Vec<Explanation> {
    let proposal = |(_, line): (usize, &Line<'_>)| {
        let (column, value) = line.value()?;
        let text = value.strip_prefix(['|', '>'])?;
        let sign = value.get(..1)?;
        if is_block_header(value) {
            return None;
        }
        let start = line.start + column;
        let owner = line.key().map_or(line.indent(), |key| key.column);
        let skipped = text.len() - text.trim_start().len();
        let below = format!("\n{}", " ".repeat(owner + 2));
        Some(Explanation {
            cause: SyntaxCause::Indicator,
            message: format!("text in the line of `{sign}`"),
            span: start..start + value.len(),
            help: format!("begin the text in the line below `{sign}`, or quote the value"),
            title: "begin the text in the next line",
            edits: vec![(start + 1..start + 1 + skipped, below)],
        })
    };
    context.nearest().filter_map(proposal).collect()
}

/// Lines below `|` or `>` that are not indented.
pub(super) fn block_text(context: &Context<'_>) -> Vec<Explanation> {
    let mut proposals = Vec::new();
    let mut order: Vec<_> = context.nearest().collect();
    order.retain(|(_, line)| line.value().is_some_and(|(_, value)| is_block_header(value)));
    for (at, line) in order {
        let owner = line.key().map_or(line.indent(), |key| key.column);
        let mut first = at + 1;
        let mut wanted = None;
        while let Some(text) = context.line(first) {
            match text.kind {
                Kind::Block if wanted.is_some_and(|wanted| text.indent() < wanted) => break,
                Kind::Block => wanted = wanted.or(Some(text.indent())),
                Kind::Blank => {}
                Kind::Comment | Kind::Content => break,
            }
            first += 1;
        }
        let name = line.key().map_or("this text", |key| key.name);
        proposals.extend(indent(context, first, wanted.unwrap_or(owner + 2), name));
    }
    proposals
}

/// Lines with which a value goes on, and which are not indented more than its key.
pub(super) fn continuation(context: &Context<'_>) -> Vec<Explanation> {
    let mut proposals = Vec::new();
    for (at, line) in context.nearest() {
        let Some((_, before)) = context.previous(at) else { continue };
        let Some(key) = before.key().filter(|key| !key.value.is_empty()) else { continue };
        let ends = line.begins_entry() || line.body().starts_with("...");
        if ends || line.indent() > key.column || is_block_header(key.value) {
            continue;
        }
        proposals.extend(indent(context, at, key.column + 2, key.name));
    }
    proposals
}

/// Indents the lines from this one on that are neither keys nor list items.
fn indent(context: &Context<'_>, first: usize, wanted: usize, key: &str) -> Option<Explanation> {
    let belongs = |at: &usize| {
        context.line(*at).is_some_and(|line| match line.kind {
            Kind::Blank | Kind::Block => true,
            Kind::Comment | Kind::Content => !line.begins_entry(),
        })
    };
    let lines = (first..context.lines.len()).take_while(belongs);
    let line = |at: usize| context.line(at).filter(|line| line.kind != Kind::Blank);
    let edit = |line: &Line<'_>| {
        (line.start..line.start + line.indent(), " ".repeat(wanted.max(line.indent())))
    };
    let edits: Vec<TextEdit> = lines.filter_map(line).map(edit).collect();
    let start = line(first)?;
    (!edits.is_empty()).then(|| Explanation {
        cause: SyntaxCause::UnindentedText,
        message: format!("this line is not indented below `{key}`"),
        span: start.body_range(),
        help: format!(
            "put {wanted} blanks before it: the text of a key is indented more than the key"
        ),
        title: "indent the text",
        edits,
    })
}

/// Values that begin with a character that means something to YAML.
pub(super) fn indicators(context: &Context<'_>) -> Vec<Explanation> {
    let mut proposals = Vec::new();
    for (at, line) in context.nearest() {
        let Some((column, value)) = line.value() else {
            proposals.extend(below_key(context, at, line));
            continue;
        };
        let start = line.start + column;
        let mut edits: Vec<TextEdit> = Vec::new();
        if value.starts_with('[') {
            edits.extend(items(value).into_iter().filter_map(|(at, item)| {
                meaning(item)?;
                Some((start + at..start + at + item.len(), quoted(item)))
            }));
        } else if meaning(value).is_some() {
            let text = without_comment(value);
            edits.push((start..start + text.len(), quoted(text)));
        }
        let Some((range, new)) = edits.first().cloned() else { continue };
        let text = context.text.get(range.clone()).unwrap_or_default();
        let Some(meaning) = meaning(text) else { continue };
        let indicator = match text.chars().next().unwrap_or_default() {
            '`' => "a backtick".to_owned(),
            other => format!("`{other}`"),
        };
        proposals.push(Explanation {
            cause: SyntaxCause::Indicator,
            message: format!("an unquoted value can't begin with {indicator}: {meaning}"),
            span: range,
            help: format!("quote it: {new}"),
            title: "quote the value",
            edits,
        });
    }
    proposals
}

/// A value that begins in the line below its key.
fn below_key(context: &Context<'_>, at: usize, line: &Line<'_>) -> Option<Explanation> {
    let meaning = meaning(line.body())?;
    let (_, before) = context.previous(at)?;
    let key = before.key().filter(|key| key.value.is_empty())?;
    let end = before.start + before.trimmed().len();
    Some(Explanation {
        cause: SyntaxCause::Indicator,
        message: format!(
            "an unquoted value can't begin with `{}`: {meaning}",
            line.body().chars().next().unwrap_or_default()
        ),
        span: line.body_range(),
        help: format!("write `{}: >` in the line above", key.name),
        title: "write the value below `>`",
        edits: vec![(end..end, " >".to_owned())],
    })
}

/// A comment between the lines of an unquoted text, which ends the text.
pub(super) fn comments(context: &Context<'_>) -> Vec<Explanation> {
    let mut proposals = Vec::new();
    for (at, line) in context.nearest().filter(|(_, line)| !line.begins_entry()) {
        let is_comment =
            |at: &usize| context.line(*at).is_some_and(|line| line.kind == Kind::Comment);
        let comments: Vec<_> = (context.near.start..at).rev().take_while(is_comment).collect();
        let Some(last) = comments.first().and_then(|at| context.line(*at)) else { continue };
        let edit = |at: usize| {
            let next = context.line(at + 1)?;
            Some((context.line(at)?.start..next.start, String::new()))
        };
        proposals.push(Explanation {
            cause: SyntaxCause::Comment,
            message: "this comment ends the value above it".to_owned(),
            span: last.body_range(),
            help: format!("move it above the key: `{}` is to go on with the value", line.body()),
            title: "remove the comment",
            edits: comments.iter().rev().copied().filter_map(edit).collect(),
        });
    }
    proposals
}

/// What YAML takes the first character of a value for, if that is not text.
fn meaning(value: &str) -> Option<&'static str> {
    Some(match value.chars().next()? {
        '*' => "it would refer to an anchor",
        '&' => "it would name an anchor",
        '!' => "it would be a tag",
        '%' => "it would be a directive",
        '@' | '`' => "YAML reserves it",
        ']' | '}' => "it would close a bracket",
        ',' => "it would separate items",
        _ => return None,
    })
}

/// Items of `[a, b]` in one line, with their places.
fn items(value: &str) -> Vec<(usize, &str)> {
    let inner = value.get(1..).unwrap_or_default();
    let inner = inner.get(..inner.rfind(']').unwrap_or(inner.len())).unwrap_or_default();
    let mut at = 1;
    let mut found = Vec::new();
    for item in inner.split(',') {
        let blanks = item.len() - item.trim_start().len();
        found.push((at + blanks, item.trim()));
        at += item.len() + 1;
    }
    found
}
