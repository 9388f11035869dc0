//! Explains a YAML syntax error by the text around it.
//!
//! The scanner stops where it can't go on, which is often lines behind the mistake. Here each
//! common mistake has a detector, which proposes a repair near the error. A repair is tried on the
//! lines around it: the first one after which the text parses names the mistake. This costs
//! nothing until there is an error.

mod context;
mod flow;
mod keys;
mod lines;
mod marks;
mod text;

use std::ops::Range;

pub use context::{Explanation, SyntaxCause, TextEdit};

use context::{Context, base, starts_section};
use lines::Line;

use crate::Error;
use crate::build::parse_any;

/// Limit on the bytes that are parsed again to try repairs.
const MAX_WORK: usize = 4 << 20;

/// The mistake behind the error that [`parse`](crate::parse) has returned for this text.
///
/// ```
/// let text = "- rule: Shell\n  priority INFO\n  # for now\n  tags: [a]\n";
/// let error = peregrine_yaml::parse(text).unwrap_err();
/// let explanation = peregrine_yaml::explain(text, &error);
/// assert_eq!(explanation.message, "missing `:` after `priority`");
/// assert_eq!(&text[explanation.span], "priority");
/// ```
#[must_use]
pub fn explain(text: &str, error: &Error) -> Explanation {
    let lines = lines::read(text);
    let context = Context::new(text, &lines, error);
    if let Some(explanation) = limit(&context).or_else(|| marks::find(&context)) {
        return explanation;
    }
    let mut trials = Trials::new(&context);
    let mut second = None;
    for detect in DETECTORS {
        for proposal in detect(&context) {
            match trials.outcome(&proposal.edits) {
                Outcome::Parses => return proposal,
                Outcome::FailsLater => second = second.or(Some(proposal)),
                Outcome::Fails => {}
            }
        }
    }
    second.unwrap_or_else(|| other(&context))
}

/// The parts of a text that are read independently of each other: items of the outermost list, or
/// keys of the outermost map.
pub(crate) fn sections(text: &str) -> Vec<Range<usize>> {
    let lines = lines::read(text);
    let base = base(&lines);
    let begins = |line: &&Line<'_>| starts_section(line, base);
    let starts: Vec<_> = lines.iter().filter(begins).map(|line| line.start).collect();
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    starts.iter().copied().zip(ends).map(|(start, end)| start..end).collect()
}

/// Proposes repairs, the likeliest first.
type Detector = fn(&Context<'_>) -> Vec<Explanation>;

/// In this order: of two repairs after which a text parses, the first is the better guess.
const DETECTORS: [Detector; 16] = [
    marks::tabs,
    marks::lookalikes,
    keys::dash,
    text::quotes,
    text::escapes,
    text::block_header,
    text::block_text,
    flow::brackets,
    flow::commas,
    text::indicators,
    text::comments,
    keys::colon,
    keys::indentation,
    text::continuation,
    keys::missing_dash,
    keys::colon_in_value,
];

/// What comes of a repair.
enum Outcome {
    Parses,
    /// The next error is in a later line.
    FailsLater,
    Fails,
}

/// Tries repairs on the lines around an error.
struct Trials<'t> {
    text: &'t str,
    /// Byte at which these lines start.
    from: usize,
    /// Their line that the error is in.
    line: usize,
    work: usize,
}

impl<'t> Trials<'t> {
    fn new(context: &Context<'t>) -> Self {
        let byte = |at: usize| context.line(at).map_or(context.text.len(), |line| line.start);
        let Range { start, end } = &context.tried;
        let from = byte(*start);
        let part = context.text.get(from..byte(*end)).unwrap_or_default();
        let line = context.error.at.line.saturating_sub(*start);
        let fails_alike = parse_any(part).is_err_and(|error| error.at.line.abs_diff(line) <= 1);
        let work = part.len();
        match fails_alike {
            true => Self { text: part, from, line, work },
            false => Self { text: context.text, from: 0, line: context.error.at.line, work },
        }
    }

    fn outcome(&mut self, edits: &[TextEdit]) -> Outcome {
        self.work = self.work.saturating_add(self.text.len());
        if self.work > MAX_WORK {
            return Outcome::Fails;
        }
        let Some(repaired) = apply(self.text, self.from, edits) else { return Outcome::Fails };
        match parse_any(&repaired) {
            Ok(_) => Outcome::Parses,
            Err(error) if error.at.line > self.line => Outcome::FailsLater,
            Err(_) => Outcome::Fails,
        }
    }
}

/// The part of a text that begins at byte `from` with these changes, which are in order.
fn apply(part: &str, from: usize, edits: &[TextEdit]) -> Option<String> {
    if edits.is_empty() {
        return None;
    }
    let mut repaired = String::with_capacity(part.len() + 16);
    let mut done = 0;
    for (range, new) in edits {
        repaired += part.get(done..range.start.checked_sub(from)?)?;
        repaired += new;
        done = range.end.checked_sub(from)?;
    }
    repaired += part.get(done..)?;
    Some(repaired)
}

fn limit(context: &Context<'_>) -> Option<Explanation> {
    let message = context.error.message.as_str();
    let help = match message {
        "nested too deep" => "a rules file or a configuration needs a depth of six at most",
        "aliases make the text too large" | "anchors make the text too large" => {
            "write the repeated part once, or generate the file"
        }
        _ => return None,
    };
    let message = format!("the text is refused: {message}");
    let start = context.text.floor_char_boundary(context.error.at.offset);
    let cause = SyntaxCause::Limit;
    let (title, edits) = ("", Vec::new());
    Some(Explanation { cause, message, span: start..start, help: help.to_owned(), title, edits })
}

/// The scanner's own error in plainer words.
fn other(context: &Context<'_>) -> Explanation {
    let left_out = context.line(context.at).is_some_and(|line| line.body() == "...");
    let (message, help) = match context.error.message.as_str() {
        _ if left_out => (
            "`...` ends a document, and the text goes on",
            "write what is left out here, or remove the line",
        ),
        "simple key expect ':'" | "simple key expected" => (
            "this line is neither a key nor part of a value",
            "look at it and at the line above: a `:` is missing, or the line must be indented more",
        ),
        "mapping values are not allowed in this context" => (
            "a `key:` can't stand here",
            "quote the value that it is part of, or give the line the indentation of the keys beside it",
        ),
        "while parsing a block mapping, did not find expected key" => (
            "a key is expected here",
            "check the indentation, and that brackets and quotes of the lines above are closed",
        ),
        "while parsing a block collection, did not find expected '-' indicator" => (
            "a list item that begins with `- ` is expected here",
            "check the indentation of this line",
        ),
        "did not find expected <document start>" => (
            "the text goes on where it must end",
            "give this line the indentation of the first item of the file",
        ),
        "while scanning a block scalar, did not find expected comment or line break" => (
            "only a digit, `+` or `-` may stand after `|` and `>`",
            "begin the text in the next line",
        ),
        "while parsing a flow mapping, did not find expected ',' or '}'"
        | "while parsing a flow sequence, expected ',' or ']'" => (
            "a comma or a closing bracket is expected here",
            "separate items by commas, and quote texts that hold `: `, commas or brackets",
        ),
        scanner => (scanner, "look at this line and at the one above it"),
    };
    let offset = context.text.floor_char_boundary(context.error.at.offset);
    let line = context.line(context.at);
    let span = match line {
        // The line that the error is in: from its place to the end.
        Some(line) if line.range().contains(&offset) => offset..line.start + line.trimmed().len(),
        // An error behind the last line is shown at its end.
        Some(line) => line.body_range(),
        None => offset..offset,
    };
    Explanation {
        cause: SyntaxCause::Other,
        message: message.to_owned(),
        span: span.start..span.end.max(span.start),
        help: help.to_owned(),
        title: "",
        edits: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
