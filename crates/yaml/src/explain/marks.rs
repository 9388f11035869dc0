//! Marks of other tools in a text, tabs, and characters that look like others.

use std::ops::Range;

use super::context::{Context, Explanation, SyntaxCause, TextEdit};
use super::lines::{Kind, Line};

/// Marks that explain an error without a trial: nothing of the text is as it was meant.
pub(super) fn find(context: &Context<'_>) -> Option<Explanation> {
    conflict(context).or_else(|| template(context)).or_else(|| fence(context))
}

fn conflict(context: &Context<'_>) -> Option<Explanation> {
    let mark = |line: &&Line<'_>| {
        ["<<<<<<<", ">>>>>>>", "|||||||", "======="].iter().any(|mark| {
            let rest = line.text.strip_prefix(mark);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        })
    };
    let line = context.lines.iter().take(context.at + 2).find(mark)?;
    // A line of `=` alone also underlines.
    let is_underline = line.text.starts_with('=')
        && !context.lines.iter().any(|line| line.text.starts_with(">>>>>>> "));
    (!is_underline).then(|| Explanation {
        cause: SyntaxCause::Conflict,
        message: "this is the mark of a merge conflict".to_owned(),
        span: line.body_range(),
        help: "keep one side, and remove the lines `<<<<<<<`, `=======` and `>>>>>>>`".to_owned(),
        title: "",
        edits: Vec::new(),
    })
}

/// The first expression of a template at a place where it changes the structure of the text.
fn template(context: &Context<'_>) -> Option<Explanation> {
    let open = |text: &str| ["{{", "{%", "{#"].iter().any(|open| text.starts_with(open));
    let line = |line: &Line<'_>| {
        if !matches!(line.kind, Kind::Content) {
            return None;
        }
        let (column, content) = line.content();
        let at = match line.key() {
            _ if open(content) => column,
            Some(key) if open(key.value) => key.value_column,
            _ => return None,
        };
        Some(line.start + at..line.start + line.trimmed().len())
    };
    let span = context.lines.iter().take(context.at + 2).find_map(line)?;
    Some(Explanation {
        cause: SyntaxCause::Template,
        message: "this is a template that has not been rendered".to_owned(),
        span,
        help: "load the rendered file: what `helm template`, Ansible, Jinja or another renderer \
               makes of it"
            .to_owned(),
        title: "",
        edits: Vec::new(),
    })
}

fn fence(context: &Context<'_>) -> Option<Explanation> {
    let is_fence = |line: &&Line<'_>| line.kind != Kind::Block && line.text.starts_with("```");
    let fences: Vec<_> = context.lines.iter().filter(is_fence).collect();
    let first = fences.iter().find(|line| line.start <= context.error.at.offset)?;
    let whole = |line: &&Line<'_>| {
        let end = line.range().end;
        let rest = context.text.get(end..).unwrap_or_default();
        let newline = rest.len() - rest.trim_start_matches('\r').strip_prefix('\n')?.len();
        Some((line.start..end + newline, String::new()))
    };
    Some(Explanation {
        cause: SyntaxCause::Fence,
        message: "this is the fence of a code block in Markdown".to_owned(),
        span: first.body_range(),
        help: "remove the lines that begin with three backticks".to_owned(),
        title: "remove the fences",
        edits: fences.iter().filter_map(whole).collect(),
    })
}

/// Tabs in indentation and behind dashes.
pub(super) fn tabs(context: &Context<'_>) -> Vec<Explanation> {
    let tab = |at: usize| {
        let line = context.line(at)?;
        let (column, _) = line.content();
        let dash = line.text.get(column..)?.starts_with("-\t");
        let blanks = line.text.get(..line.indent())?;
        let start = blanks.find('\t').or_else(|| dash.then_some(column + 1))?;
        let rest = line.text.get(start..)?;
        let end = line.text.len() - rest.trim_start_matches(['\t', ' ']).len();
        matches!(line.kind, Kind::Content | Kind::Block)
            .then_some((line.start + start..line.start + end, dash))
    };
    let tabs: Vec<(Range<usize>, bool)> = context.tried.clone().filter_map(tab).collect();
    let near = |at: usize| context.line(at).filter(|line| line.kind == Kind::Content).map(|_| at);
    let Some((span, dash)) = context.near.clone().filter_map(near).find_map(tab) else {
        return Vec::new();
    };
    let help = match dash {
        true => "put a blank after the `-`",
        false => "replace each tab by blanks: YAML allows no tabs there",
    };
    let proposal = |width: usize| {
        let edit = |(range, dash): &(Range<usize>, bool)| -> TextEdit {
            let written = context.text.get(range.clone()).unwrap_or_default();
            let blanks = written.replace('\t', &" ".repeat(if *dash { 1 } else { width }));
            (range.clone(), blanks)
        };
        Explanation {
            cause: SyntaxCause::Tab,
            message: match dash {
                true => "a tab after a `-`".to_owned(),
                false => "a tab in the indentation".to_owned(),
            },
            span: span.clone(),
            help: help.to_owned(),
            title: "replace the tabs by blanks",
            edits: tabs.iter().map(edit).collect(),
        }
    };
    [2, 4, 8, 1, 0].map(proposal).into()
}

/// What is meant by characters that look like it.
const LOOKALIKES: [(char, &str, &str); 12] = [
    ('\u{a0}', " ", "a no-break space"),
    ('\u{2002}', " ", "an en space"),
    ('\u{2003}', " ", "an em space"),
    ('\u{2009}', " ", "a thin space"),
    ('\u{202f}', " ", "a narrow no-break space"),
    ('\u{3000}', "  ", "an ideographic space"),
    ('\u{200b}', "", "a zero-width space"),
    ('\u{feff}', "", "a byte order mark"),
    ('\u{2010}', "-", "a hyphen that is no `-`"),
    ('\u{2013}', "-", "an en dash"),
    ('\u{2022}', "-", "a bullet"),
    ('\u{ff1a}', ": ", "a full-width colon"),
];

/// Characters before and behind a key that are not what they look like.
pub(super) fn lookalikes(context: &Context<'_>) -> Vec<Explanation> {
    let known = |c: char| LOOKALIKES.iter().find(|(odd, ..)| *odd == c);
    let mut edits: Vec<TextEdit> = Vec::new();
    let mut first = None;
    for at in context.tried.clone() {
        let Some(line) = context.line(at).filter(|line| line.kind == Kind::Content) else {
            continue;
        };
        // Up to the second word: behind it stands text, which may have any character.
        let mut words = 0;
        let mut in_word = false;
        for (column, c) in line.text.char_indices() {
            if let Some((_, meant, name)) = known(c) {
                let start = line.start + column;
                first.get_or_insert((start..start + c.len_utf8(), *name));
                edits.push((start..start + c.len_utf8(), (*meant).to_owned()));
            }
            let blank = c.is_whitespace() || c == '-' || known(c).is_some();
            words += usize::from(!blank && !in_word);
            in_word = !blank;
            if words > 1 {
                break;
            }
        }
    }
    let Some((span, name)) = first else { return Vec::new() };
    let meant = edits.first().map(|(_, meant)| meant.trim()).unwrap_or_default();
    let help = match meant {
        "" => "replace it by a blank, or remove it".to_owned(),
        meant => format!("write `{meant}`"),
    };
    let message = format!("{name} stands where YAML expects a plain character");
    let cause = SyntaxCause::Lookalike;
    vec![Explanation { cause, message, span, help, title: "replace the character", edits }]
}
