//! Advice on texts that are not conditions.

use super::context::{Context, class, cut};
use super::tokens::{TokenKind, tokens};
use super::types::{Advice, Fault};
use super::{foreign, literal, shape};
use crate::parser::{ParseError, ParseErrorKind};
use crate::{EscapeError, Span};

/// Advice on a text that [`parse`](crate::parse) refuses.
#[must_use]
pub fn advise_syntax(text: &str, error: &ParseError) -> Advice {
    let context = Context::new(text, error);
    let recognise = |rule: &fn(&Context<'_>) -> Option<Advice>| rule(&context);
    RULES.iter().find_map(recognise).unwrap_or_else(|| general(&context))
}

/// What is recognised, the most certain first.
const RULES: &[fn(&Context<'_>) -> Option<Advice>] = &[
    too_deep,
    escape,
    |context| odd_characters(context.text),
    foreign::template,
    foreign::comment,
    shape::unclosed_quote,
    foreign::signs_between,
    foreign::words_between,
    foreign::negation,
    shape::appended,
    foreign::not_behind_field,
    foreign::exists_in_front,
    shape::missing_condition,
    foreign::operator,
    unit,
    shape::list,
    shape::missing_value,
    shape::missing_operator,
    shape::loose_value,
    shape::unbalanced,
    foreign::function,
    shape::between,
];

/// Characters that look like quotes or blanks of the language, or like nothing: where texts are
/// copied from web pages and documents.
#[must_use]
pub fn odd_characters(text: &str) -> Option<Advice> {
    if text.is_ascii() {
        return None;
    }
    let mut edits = Vec::new();
    let mut first = None;
    for token in tokens(text).into_iter().filter(|token| token.kind != TokenKind::Quoted) {
        for (at, c) in token.text.char_indices() {
            let Some((name, plain)) = plain(c) else { continue };
            let start = token.span.start + at;
            let span = Span { start, end: start + c.len_utf8() };
            first.get_or_insert((span, name, plain));
            edits.push((span, plain.to_owned()));
        }
    }
    let (span, name, plain) = first?;
    let help = match plain {
        "" => "remove it".to_owned(),
        " " => "write a plain blank".to_owned(),
        plain => format!("write {plain}"),
    };
    let message = format!("the text contains a {name}, which has no meaning in conditions");
    let title = match plain {
        "" => "remove invisible characters",
        " " => "use plain blanks",
        _ => "use plain quotes",
    };
    Some(Advice::new(Fault::OddCharacter, span, message).help(help).repair(title, edits))
}

/// What a character is called, and what is meant by it.
fn plain(c: char) -> Option<(&'static str, &'static str)> {
    Some(match c {
        '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{201f}' | '\u{ab}' | '\u{bb}' | '\u{ff02}' => {
            ("typographic quote", "\"")
        }
        '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}' | '\u{2032}' | '\u{ff07}' => {
            ("typographic quote", "'")
        }
        '\u{a0}' | '\u{2007}' | '\u{202f}' | '\u{2002}' | '\u{2003}' | '\u{2009}' | '\u{3000}' => {
            ("no-break or typographic blank", " ")
        }
        '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{ad}' => {
            ("character without width", "")
        }
        '\u{2028}' | '\u{2029}' | '\u{85}' => ("line separator", " "),
        '\u{ff08}' => ("wide parenthesis", "("),
        '\u{ff09}' => ("wide parenthesis", ")"),
        '\u{ff0c}' => ("wide comma", ","),
        '\u{ff1d}' => ("wide equals sign", "="),
        '\u{2260}' => ("sign of mathematics", "!="),
        '\u{2264}' => ("sign of mathematics", "<="),
        '\u{2265}' => ("sign of mathematics", ">="),
        _ => return None,
    })
}

fn too_deep(context: &Context<'_>) -> Option<Advice> {
    let ParseErrorKind::TooDeep(most) = context.kind else { return None };
    let message = format!("the condition nests deeper than {most} levels");
    let help = "move parts of it into macros, or write `in (a, b)` instead of nested `or`";
    Some(Advice::new(Fault::TooDeep, context.span(), message).help(help))
}

fn escape(context: &Context<'_>) -> Option<Advice> {
    let ParseErrorKind::Escape(error) = context.kind else { return None };
    let quoted = context.before(1).filter(|token| token.kind == TokenKind::Quoted)?;
    let (at, len) = find_escape(quoted.text, error)?;
    let start = quoted.span.start + at;
    let span = Span { start, end: start + len };
    let written = quoted.text.get(at..at + len).unwrap_or_default();
    let advice = |message: String| Advice::new(Fault::InvalidEscape, span, message);
    let in_regex = context.before(2).is_some_and(|it| it.text == "regex");
    if let EscapeError::Unknown(c) = error
        && let Some(class) = class(*c).filter(|_| in_regex)
    {
        return Some(
            advice(format!("there is no class of characters `{written}`"))
                .help(format!("write `{class}`"))
                .repair(format!("write `{class}`"), vec![(span, class.to_owned())]),
        );
    }
    Some(match error {
        EscapeError::Unknown(c) => advice(format!("`{written}` is not an escape sequence"))
            .help(format!("write `\\\\{c}` for a backslash and `{c}`"))
            .repair("double the backslash", vec![(span, format!("\\\\{c}"))]),
        EscapeError::WrongQuote { escaped, .. } => {
            advice(format!("`{written}` needs no backslash between the other kind of quotes"))
                .help(format!("write `{escaped}`"))
                .repair("remove the backslash", vec![(span, escaped.to_string())])
        }
        EscapeError::BadHex(_) | EscapeError::TruncatedHex => advice(format!(
            "`{written}` is not a byte in hex"
        ))
        .help(
            "write `\\x` and two hex digits, such as `\\x7f`, or `\\\\x` for a backslash and an x",
        ),
    })
}

/// `evt.latency > 10ms`: the number was read, and its unit is left.
fn unit(context: &Context<'_>) -> Option<Advice> {
    let here = context.here().filter(|here| here.span.start < context.offset)?;
    let ParseErrorKind::TrailingToken { after } = context.kind else { return None };
    if !here.text.starts_with(after.as_str()) || !after.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let advice = Advice::new(
        Fault::InvalidNumber,
        here.span,
        format!("`{}` is not a number", cut(here.text)),
    );
    Some(match literal::with_unit(here.text) {
        Some((number, of)) => advice
            .help(format!("numbers have no unit: {} is {number} {of}", here.text))
            .repair(format!("write {number}"), vec![(here.span, number.to_string())]),
        None => advice.help("a number consists of digits only"),
    })
}

/// Where the escape sequence of an error stands in a quoted text, and its length.
fn find_escape(quoted: &str, error: &EscapeError) -> Option<(usize, usize)> {
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        if c != '\\' {
            continue;
        }
        let (_, escaped) = chars.next()?;
        let rest = quoted.get(at + 2..)?;
        let is_hex = rest.get(..2).is_some_and(|two| two.bytes().all(|b| b.is_ascii_hexdigit()));
        match error {
            EscapeError::Unknown(c) if *c == escaped => return Some((at, 1 + c.len_utf8())),
            EscapeError::WrongQuote { escaped: c, .. } if *c == escaped => return Some((at, 2)),
            EscapeError::BadHex(_) | EscapeError::TruncatedHex if escaped == 'x' && !is_hex => {
                let digits = rest.char_indices().nth(2).map_or(rest.len(), |(end, _)| end);
                return Some((at, 2 + digits.min(rest.len().saturating_sub(1))));
            }
            _ => {}
        }
    }
    None
}

/// What is said when nothing more is known than what could stand there.
fn general(context: &Context<'_>) -> Advice {
    let what = match context.here() {
        Some(token) => format!("`{}` can't stand here", cut(token.text)),
        None => "the condition is not complete".to_owned(),
    };
    let wanted = match context.kind {
        ParseErrorKind::ExpectedCheck | ParseErrorKind::Empty => {
            "a condition such as `proc.name = cat`, a macro or a `(` must stand here"
        }
        ParseErrorKind::ExpectedOperator => {
            "an operator such as `=`, `in` or `contains` must follow a field"
        }
        ParseErrorKind::TrailingToken { .. } => "join conditions with `and` or `or`",
        ParseErrorKind::ExpectedNumberOrOperand => "`<`, `<=`, `>` and `>=` compare numbers",
        ParseErrorKind::ExpectedArgument | ParseErrorKind::ExpectedListArgument => {
            "a transformer takes a field, a quoted text or a number"
        }
        ParseErrorKind::ExpectedField => "`val(…)` takes a field, such as `val(proc.pname)`",
        ParseErrorKind::ExpectedFieldArgument | ParseErrorKind::ExpectedClosingBracket => {
            "write the argument of a field between brackets: `proc.aname[2]`"
        }
        _ => "",
    };
    let advice = Advice::new(Fault::Syntax, context.span(), what);
    if wanted.is_empty() { advice } else { advice.help(wanted) }
}
