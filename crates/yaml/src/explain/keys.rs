//! Keys and dashes: their colon, their blank and their column.

use super::context::{Context, Explanation, SyntaxCause, TextEdit};
use super::lines::{Kind, Line, quoted, without_comment, word};

/// `-rule: x`
pub(super) fn dash(context: &Context<'_>) -> Vec<Explanation> {
    let proposal = |(_, line): (usize, &Line<'_>)| {
        let body = line.body();
        let rest = body.strip_prefix('-')?;
        let begins = rest.starts_with(|c: char| c.is_alphanumeric() || "\"'[{*_/".contains(c));
        let at = line.body_range().start;
        begins.then(|| Explanation {
            cause: SyntaxCause::MissingDash,
            message: "missing blank after `-`".to_owned(),
            span: at..at + 1,
            help: format!("write `- {rest}`"),
            title: "insert a blank",
            edits: vec![(at + 1..at + 1, " ".to_owned())],
        })
    };
    context.nearest().filter_map(proposal).collect()
}

/// Words with which a condition goes on.
const OPERATORS: [&str; 4] = ["and", "or", "not", "in"];

/// `priority INFO`, `priority:INFO`, `priority = INFO`
pub(super) fn colon(context: &Context<'_>) -> Vec<Explanation> {
    let proposal = |(_, line): (usize, &Line<'_>)| {
        let (column, content) = line.content();
        let len = word(content)?;
        let name = content.get(..len)?;
        let rest = content.get(len..)?;
        let value = rest.trim_start_matches([' ', '\t']);
        if name.contains('.') || OPERATORS.contains(&name) || line.key().is_some() {
            return None;
        }
        let start = line.start + column;
        let end = start + len;
        let after = end + (rest.len() - value.len());
        let (message, span, edit): (_, _, TextEdit) = match value.chars().next() {
            Some(':') => {
                let message = format!("missing blank after `{name}:`");
                (message, start..after + 1, (end..after + 1, ": ".to_owned()))
            }
            Some('=') if !value.starts_with("==") => {
                let skipped = value.len() - value.get(1..)?.trim_start().len();
                let message = format!("`=` where `:` must stand after `{name}`");
                (message, start..after + 1, (end..after + skipped, ": ".to_owned()))
            }
            Some(c) if "|>'\"[{-/%(".contains(c) || c.is_alphanumeric() || c == '_' => {
                // `proc_name in (…)` goes on with a condition.
                let next = value.split_whitespace().next()?;
                if OPERATORS.contains(&next) {
                    return None;
                }
                (format!("missing `:` after `{name}`"), start..end, (end..end, ":".to_owned()))
            }
            None => (format!("missing `:` after `{name}`"), start..end, (end..end, ":".to_owned())),
            Some(_) => return None,
        };
        let value = value.trim_start_matches([':', '=', ' ', '\t']);
        Some(Explanation {
            cause: SyntaxCause::MissingColon,
            message,
            span,
            help: format!("write `{}`", format!("{name}: {}", shortened(value)).trim_end()),
            title: "write `key: value`",
            edits: vec![edit],
        })
    };
    let mut proposals: Vec<_> = context.nearest().filter_map(proposal).collect();
    proposals.extend(all_at_once(&proposals));
    proposals
}

/// Several keys of an item without colon: each repair alone would leave the error where it is.
fn all_at_once(proposals: &[Explanation]) -> Option<Explanation> {
    let mut all: Vec<_> = proposals.iter().collect();
    all.sort_by_key(|proposal| proposal.span.start);
    let (first, others) = all.split_first().filter(|(_, others)| !others.is_empty())?;
    let message = match others.len() {
        1 => format!("{}, and so is one in a line below", first.message),
        count => format!("{}, and so are {count} in lines below", first.message),
    };
    let edits = all.iter().flat_map(|proposal| proposal.edits.clone()).collect();
    Some(Explanation { message, edits, ..(*first).clone() })
}

/// The start of a text, for help.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 40;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// An item of the outermost list without its dash: `rule: x` before `- rule: y`.
pub(super) fn missing_dash(context: &Context<'_>) -> Vec<Explanation> {
    let proposal = |(at, line): (usize, &Line<'_>)| {
        let key = line.key().filter(|key| key.column == line.indent())?;
        let indent = |line: &Line<'_>| " ".repeat(line.indent() + 2);
        let below = (at + 1..context.lines.len()).map_while(|at| context.line(at));
        let below = below.take_while(|line| !line.has_dash() || line.indent() > key.column);
        let below = below.filter(|line| line.kind != Kind::Blank);
        let edit = |line: &Line<'_>| (line.start..line.start + line.indent(), indent(line));
        let start = line.start + key.column;
        // The keys below it are indented already, or are not.
        let first = (start..start, "- ".to_owned());
        let all = std::iter::once(first.clone()).chain(below.map(edit)).collect();
        let proposal = |edits| Explanation {
            cause: SyntaxCause::MissingDash,
            message: format!("missing `- ` before `{}`", key.name),
            span: start..start + key.name.len(),
            help: format!("every item of a list begins with `- `: write `- {}`", line.body()),
            title: "insert `- `",
            edits,
        };
        Some([proposal(vec![first]), proposal(all)])
    };
    context.nearest().filter_map(proposal).flatten().collect()
}

/// A key or a list item in another column than those beside it.
pub(super) fn indentation(context: &Context<'_>) -> Vec<Explanation> {
    let mut proposals = Vec::new();
    for (at, line) in context.nearest() {
        if !line.begins_entry() {
            continue;
        }
        for wanted in columns_beside(context, at, line) {
            proposals.extend(move_to(context, at, line, wanted));
        }
    }
    proposals
}

/// Columns in which keys, or dashes, of the lines around begin, the nearest first.
fn columns_beside(context: &Context<'_>, at: usize, line: &Line<'_>) -> Vec<usize> {
    let mut columns: Vec<usize> = Vec::new();
    let around = (context.tried.start..at).rev().chain(at + 1..context.tried.end);
    for other in around.filter_map(|other| context.line(other)) {
        let column = match (line.has_dash(), other.has_dash()) {
            (false, _) => other.key().map(|key| key.column),
            (true, true) => Some(other.indent()),
            (true, false) => None,
        };
        let content = other.kind == Kind::Content;
        if let Some(column) = column.filter(|column| content && *column != line.indent())
            && !columns.contains(&column)
        {
            columns.push(column);
        }
    }
    columns.truncate(4);
    columns
}

/// Moves a line, and those indented below it, to a column.
fn move_to(
    context: &Context<'_>,
    at: usize,
    line: &Line<'_>,
    wanted: usize,
) -> Option<Explanation> {
    let indent = line.indent();
    let below = (at + 1..context.lines.len()).take_while(|below| {
        context.line(*below).is_some_and(|it| it.kind == Kind::Blank || it.indent() > indent)
    });
    let edit = |at: usize| -> Option<TextEdit> {
        let moved = context.line(at).filter(|line| line.kind != Kind::Blank)?;
        let column = (moved.indent() + wanted).saturating_sub(indent);
        Some((moved.start..moved.start + moved.indent(), " ".repeat(column)))
    };
    let edits: Vec<_> = std::iter::once(at).chain(below).filter_map(edit).collect();
    let (what, others) = match line.key() {
        Some(key) if !line.has_dash() => (format!("`{}` begins", key.name), "the keys"),
        _ => ("this list item begins".to_owned(), "those"),
    };
    let span = line.body_range();
    let width = word(line.body()).unwrap_or(1);
    Some(Explanation {
        cause: SyntaxCause::Indentation,
        message: format!(
            "{what} in column {}, but {others} beside it in column {}",
            indent + 1,
            wanted + 1
        ),
        span: span.start..span.start + width,
        help: match wanted {
            0 => "remove the blanks before it".to_owned(),
            1 => "put 1 blank before it".to_owned(),
            _ => format!("put {wanted} blanks before it"),
        },
        title: "correct the indentation",
        edits,
    })
}

/// `output: a: b`
pub(super) fn colon_in_value(context: &Context<'_>) -> Vec<Explanation> {
    let mut proposals = Vec::new();
    for (at, line) in context.nearest() {
        let Some((column, value)) = line.value() else { continue };
        let value = without_comment(value);
        if value.starts_with(['\'', '"', '[', '{', '|', '>', '&', '*', '!']) {
            continue;
        }
        let start = line.start + column;
        let help = "quote the value, or write it below `>`; another key begins a line of its own"
            .to_owned();
        let message = "`: ` within an unquoted value would begin a map".to_owned();
        let cause = SyntaxCause::ColonInValue;
        let colon = value.find(": ").or_else(|| value.strip_suffix(':').map(str::len));
        if let Some(colon) = colon {
            let edits = vec![(start..start + value.len(), quoted(value))];
            let span = start + colon..start + colon + 1;
            proposals.push(Explanation {
                cause,
                message,
                span,
                help,
                title: "quote the value",
                edits,
            });
            continue;
        }
        // The value goes on in the next lines.
        let owner = line.key().map_or(line.indent(), |key| key.column);
        let more = (at + 1..context.tried.end).map_while(|at| context.line(at));
        let mut more = more.take_while(|line| line.indent() > owner || line.kind == Kind::Blank);
        let found = more.find_map(|line| Some(line.start + line.text.find(": ")?));
        if let Some(colon) = found {
            let edits = vec![match value {
                "" => (line.start + line.trimmed().len()..line.range().end, " >".to_owned()),
                _ => (start..start, format!(">\n{}", " ".repeat(owner + 2))),
            }];
            let span = colon..colon + 1;
            let title = "write the value below `>`";
            proposals.push(Explanation { cause, message, span, help, title, edits });
        }
    }
    proposals
}
