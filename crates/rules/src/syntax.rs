//! Files that can't be read as rules: errors of YAML, all of them, and files of another kind.

use std::ops::Range;

use peregrine_diagnostics::{Edit, Fix, Label};
use peregrine_yaml::{Explanation, Node, Recovered, SyntaxCause, recover};

use crate::foreign::{self, Foreign};
use crate::keys::Item;
use crate::result::Explained;
use crate::{Cause, Finding, ItemKind, Place};

/// What can be read of a file that is not YAML.
#[derive(Default)]
pub(crate) struct Rest {
    /// The items without errors.
    pub(crate) documents: Vec<Node>,
    /// Names that the items with errors define.
    pub(crate) refused: Vec<String>,
}

/// Reports every error of a text that is not YAML.
pub(crate) fn explain(file: &Place, findings: &mut Vec<Finding>) -> Rest {
    let text = file.source().text.as_str();
    let Recovered { documents, errors, dropped } = recover(text);
    let foreign = foreign::recognise(text, None);
    for (error, explanation) in errors {
        let place = file.spot(ItemKind::ValueFor, error.at);
        if let Some(foreign) = foreign {
            findings.push(foreign_file(file, Cause::ForeignFile, error.message, place, foreign));
            return Rest::default();
        }
        let (cause, help) = (cause(explanation.cause), Some(explanation.help.clone()));
        let finding = Finding::new(cause, error.message, place).help(help);
        findings.push(finding.explained(explained(file, explanation)));
    }
    let refused = dropped.iter().filter_map(|part| text.get(part.clone())).filter_map(name_in);
    Rest { documents, refused: refused.collect() }
}

/// A finding about a file that holds no rules.
pub(crate) fn foreign_file(
    file: &Place,
    cause: Cause,
    message: impl Into<String>,
    place: Place,
    foreign: Foreign,
) -> Finding {
    let Foreign { what, help, span: (start, end) } = foreign;
    let label = file.part(start..end);
    let message_of_ours = format!("this is no rules file: it seems to be {what}");
    let explained =
        Explained { message: message_of_ours, labels: vec![label], ..Explained::default() };
    Finding::new(cause, message, place).help(Some(help.to_owned())).explained(explained)
}

/// Reports a document that is not a list of items and that no known program would read.
pub(crate) fn not_items(file: &Place, message: &str, document: &Node) -> Finding {
    let is_item = Item::of(document).is_some();
    let below = document
        .entries()
        .iter()
        .find(|(_, value)| value.items().iter().any(|item| Item::of(item).is_some()));
    let first = document.entries().first().map_or(document, |(key, _)| key);
    let (said, help, node) = match below.and_then(|(key, _)| Some((key, key.as_str()?))) {
        Some((key, name)) => (
            format!("the items stand below `{name}`"),
            "a rules file is a list: remove this key and the indentation below it".to_owned(),
            key,
        ),
        None if is_item => (
            "this is one item, not a list of items".to_owned(),
            "begin it with `- ` and indent its other keys by two blanks".to_owned(),
            first,
        ),
        None => (
            format!("a rules file is a list of items, not {}", document.kind()),
            "write each rule, macro and list as an item: `- rule: NAME`".to_owned(),
            first,
        ),
    };
    let line = node.start.offset..node.end.offset.max(node.start.offset);
    let labels = vec![file.part(line)];
    let explained = Explained { message: said, labels, ..Explained::default() };
    Finding::new(Cause::NotItems, message, file.clone()).help(Some(help)).explained(explained)
}

fn explained(file: &Place, explanation: Explanation) -> Explained {
    let Explanation { cause, message, span, title, edits, .. } = explanation;
    let edit = |(range, text): (Range<usize>, String)| Edit { label: file.part(range), text };
    let edits: Vec<_> = edits.into_iter().map(edit).collect();
    // A bracket, a quote or a column may be meant otherwise.
    let guessed = matches!(
        cause,
        SyntaxCause::Bracket
            | SyntaxCause::UnclosedQuote
            | SyntaxCause::Indentation
            | SyntaxCause::Comment
    );
    let fix = (!edits.is_empty()).then(|| Fix { title: title.to_owned(), edits, safe: !guessed });
    let labels: Vec<Label> = vec![file.part(span)];
    Explained { message, labels, fix, ..Explained::default() }
}

/// The name in the text of an item that can't be read.
fn name_in(item: &str) -> Option<String> {
    let mut words = item.split_whitespace().skip_while(|word| *word == "-");
    let kind = words.next()?.trim_start_matches('-').trim_end_matches(':');
    let line = item.lines().next()?;
    let (_, name) = line.split_once(kind)?;
    let name = name.trim_start_matches(':').trim().trim_matches(['\'', '"']);
    matches!(kind, "rule" | "macro" | "list").then(|| name.to_owned())
}

fn cause(cause: SyntaxCause) -> Cause {
    match cause {
        SyntaxCause::Other => Cause::InvalidYaml,
        SyntaxCause::Limit => Cause::YamlTooLarge,
        SyntaxCause::Conflict => Cause::MergeConflict,
        SyntaxCause::Template => Cause::Template,
        SyntaxCause::Fence => Cause::CodeFence,
        SyntaxCause::Tab => Cause::Tab,
        SyntaxCause::Lookalike => Cause::Lookalike,
        SyntaxCause::MissingColon => Cause::MissingColon,
        SyntaxCause::MissingDash => Cause::MissingDash,
        SyntaxCause::Indentation => Cause::Indentation,
        SyntaxCause::UnindentedText => Cause::UnindentedText,
        SyntaxCause::Quote => Cause::Quote,
        SyntaxCause::UnclosedQuote => Cause::UnclosedQuote,
        SyntaxCause::Escape => Cause::Escape,
        SyntaxCause::Bracket => Cause::Bracket,
        SyntaxCause::Comma => Cause::Comma,
        SyntaxCause::Indicator => Cause::Indicator,
        SyntaxCause::ColonInValue => Cause::ColonInValue,
        SyntaxCause::Comment => Cause::CommentInValue,
    }
}
