//! Parentheses, quotes, lists, and conditions of which a part is missing.

use super::context::{Context, cut, is_field};
use super::tokens::{Token, TokenKind};
use super::types::{Advice, Fault};
use crate::parser::ParseErrorKind;
use crate::{Operator, Span};

/// `proc.name = "sh`
pub(super) fn unclosed_quote(context: &Context<'_>) -> Option<Advice> {
    let token = context.here().filter(|token| token.kind == TokenKind::Unclosed)?;
    let quote = token.text.get(..1)?;
    let span = Span { start: token.span.start, end: token.span.start + 1 };
    let other = if quote == "'" { "\"" } else { "'" };
    let escaped = token.text.ends_with(&format!("\\{quote}"));
    let glued = context.before(1).is_some_and(|before| {
        before.kind == TokenKind::Word && before.span.end == token.span.start
    });
    let help = match () {
        () if escaped => format!(
            "a quote behind a backslash closes nothing: end the text otherwise, or write `\\x5c{quote}`"
        ),
        () if glued => format!("put a text that contains `{quote}` between `{other}`"),
        () => format!("close the text with `{quote}`"),
    };
    Some(Advice::new(Fault::UnclosedQuote, span, "this quote is not closed").help(help))
}

/// A part that `append` has added without `and` or `or` in front is not known here: it looks like
/// any two conditions without one. This recognises `and` and `or` at the start.
pub(super) fn appended(context: &Context<'_>) -> Option<Advice> {
    let word = context.before(1).filter(|word| matches!(word.text, "and" | "or"))?;
    if context.at != 1 || context.here().is_none() {
        return None;
    }
    let message = format!("a condition can't begin with `{}`", word.text);
    let help = "only a condition that is appended begins with `and` or `or`: is `override: {condition: append}` missing?";
    let span = Span { start: word.span.start, end: context.here()?.span.start };
    Some(
        Advice::new(Fault::MissingCondition, word.span, message)
            .help(help)
            .offer(format!("remove `{}`", word.text), vec![(span, String::new())]),
    )
}

/// `a and and b`, `a and`, `(and a)`.
pub(super) fn missing_condition(context: &Context<'_>) -> Option<Advice> {
    let is_join = |token: &Token<'_>| matches!(token.text, "and" | "or");
    let is_word = |token: &Token<'_>| is_join(token) || token.text == "not";
    let advice = |span, message: String| Advice::new(Fault::MissingCondition, span, message);
    match (context.before(2), context.before(1), context.here()) {
        // The second word was read as the name of a macro.
        (Some(first), Some(second), Some(here)) if is_word(&first) && is_join(&second) => {
            let span = Span { start: first.span.start, end: second.span.end };
            let remove = Span { start: second.span.start, end: here.span.start };
            let advice = advice(
                span,
                format!("a condition is missing between `{}` and `{}`", first.text, second.text),
            )
            .help("remove one of the two words, or write a condition between them");
            Some(match first.text == second.text {
                true => advice.repair("remove one of the two", vec![(remove, String::new())]),
                false => advice,
            })
        }
        (_, Some(last), None) if is_word(&last) => Some(trailing(context, last)),
        (_, Some(last), Some(here)) if is_word(&last) && here.kind == TokenKind::Close => {
            Some(trailing(context, last))
        }
        // `(and x)`: `and` was read as the name of a macro.
        (Some(open), Some(word), Some(_)) if open.kind == TokenKind::Open && is_join(&word) => {
            let message = format!("a condition is missing in front of `{}`", word.text);
            Some(advice(word.span, message).help(format!("write one, or remove `{}`", word.text)))
        }
        _ => None,
    }
}

fn trailing(context: &Context<'_>, word: Token<'_>) -> Advice {
    let start = context.tokens.iter().rev().find(|it| it.span.end <= word.span.start);
    let start = start.map_or(word.span.start, |it| it.span.end);
    let remove = Span { start, end: word.span.end };
    Advice::new(
        Fault::MissingCondition,
        word.span,
        format!("a condition is missing behind `{}`", word.text),
    )
    .help(format!("write one, or remove `{}`", word.text))
    .offer(format!("remove `{}`", word.text), vec![(remove, String::new())])
}

/// Lists with other brackets, without commas, with too many, and in the place of values.
pub(super) fn list(context: &Context<'_>) -> Option<Advice> {
    let here = context.here()?;
    let before = context.before(1)?;
    let advice = |span, message: &str| Advice::new(Fault::ListForm, span, message);
    let is_list_operator = matches!(before.text, "in" | "intersects" | "pmatch");
    // `in [a, b]`, `in {a, b}`
    if is_list_operator && let Some(open) = here.text.chars().next().filter(|c| "[{".contains(*c)) {
        let close = if open == '[' { ']' } else { '}' };
        let start = here.span.start;
        let end = context.text.get(start..)?.find(close).map(|at| start + at)?;
        let edits = vec![
            (Span { start, end: start + 1 }, "(".to_owned()),
            (Span { start: end, end: end + 1 }, ")".to_owned()),
        ];
        return Some(
            advice(Span { start, end: end + 1 }, "a list is written in parentheses")
                .help("write `in (a, b)`")
                .repair("use parentheses", edits),
        );
    }
    // `in a, b`
    if here.kind == TokenKind::Comma
        && context.before(2).is_some_and(|it| matches!(it.text, "in" | "intersects" | "pmatch"))
    {
        let mut last = context.at;
        while context.tokens.get(last).is_some_and(|it| it.kind == TokenKind::Comma)
            && context.tokens.get(last + 1).is_some_and(is_value)
        {
            last += 2;
        }
        let end = context.tokens.get(last.checked_sub(1)?)?.span.end;
        let start = before.span.start;
        let (open, close) = (Span { start, end: start }, Span { start: end, end });
        return Some(
            advice(Span { start, end }, "a list is written in parentheses")
                .help("write `in (a, b)`")
                .repair("add parentheses", vec![(open, "(".into()), (close, ")".into())]),
        );
    }
    // `= (a, b)`
    if before.kind == TokenKind::Signs
        && here.kind == TokenKind::Open
        && *context.kind != ParseErrorKind::ExpectedCheck
    {
        let (word, not) = match before.text {
            "=" | "==" => ("in", false),
            "!=" => ("in", true),
            _ => return None,
        };
        let mut edits = vec![(before.span, word.to_owned())];
        if not {
            let start = context.operand_start(context.at - 1)?;
            edits.insert(0, (Span { start, end: start }, "not ".to_owned()));
        }
        let help = match not {
            true => "write `not FIELD in (a, b)`",
            false => "write `FIELD in (a, b)`",
        };
        let message = format!("`{}` compares with one value, not with a list", before.text);
        return Some(advice(before.span, &message).help(help).repair("write `in`", edits));
    }
    // `contains (a, b)`
    if here.kind == TokenKind::Open && Operator::ALL.iter().any(|op| op.as_str() == before.text) {
        let end = Span { start: before.span.end, end: before.span.end };
        let message = format!("`{}` compares with one value, not with a list", before.text);
        return Some(
            advice(here.span, &message)
                .help(format!("write `{} anyof (a, b)`", before.text))
                .repair("add `anyof`", vec![(end, " anyof".to_owned())]),
        );
    }
    let in_list = matches!(context.kind, ParseErrorKind::ExpectedClosing) && inside_list(context);
    // `(a b)`
    if in_list && is_value(&here) && is_value(&before) {
        let end = Span { start: before.span.end, end: before.span.end };
        return Some(
            advice(here.span, "a comma is missing between two items")
                .help("write `(a, b)`, and a text that contains blanks between quotes")
                .offer("insert a comma", vec![(end, ",".to_owned())]),
        );
    }
    // `(a, b,)` and `(a,, b)`
    if *context.kind == ParseErrorKind::ExpectedText && before.kind == TokenKind::Comma {
        let remove = Span { start: before.span.start, end: before.span.end };
        return Some(
            advice(before.span, "an item is missing behind this comma")
                .help("remove the comma")
                .repair("remove the comma", vec![(remove, String::new())]),
        );
    }
    None
}

fn is_value(token: &Token<'_>) -> bool {
    matches!(token.kind, TokenKind::Word | TokenKind::Quoted)
        && !matches!(token.text, "and" | "or" | "not")
}

/// Whether the innermost open parenthesis is that of a list.
fn inside_list(context: &Context<'_>) -> bool {
    let Some(open) = innermost(context) else { return false };
    let before = open.checked_sub(1).and_then(|at| context.tokens.get(at));
    before.is_some_and(|it| {
        matches!(it.text, "in" | "intersects" | "pmatch" | "anyof" | "oneof" | "allof")
    })
}

/// Index of the innermost parenthesis that is open where reading stopped.
fn innermost(context: &Context<'_>) -> Option<usize> {
    let mut open = Vec::new();
    for (at, token) in context.tokens.iter().enumerate().take(context.at) {
        match token.kind {
            TokenKind::Open => open.push(at),
            TokenKind::Close => drop(open.pop()),
            _ => {}
        }
    }
    open.pop()
}

/// `proc.name =`
pub(super) fn missing_value(context: &Context<'_>) -> Option<Advice> {
    let operator = context.before(1)?;
    let is_operator = operator.kind == TokenKind::Signs
        || Operator::ALL.iter().any(|op| op.as_str() == operator.text);
    let wants_value = matches!(
        context.kind,
        ParseErrorKind::ExpectedTextOrOperand
            | ParseErrorKind::ExpectedNumberOrOperand
            | ParseErrorKind::ExpectedListOrOperand
            | ParseErrorKind::ExpectedList
            // `proc.name contains` at the end: the blank behind the word is missing too.
            | ParseErrorKind::ExpectedOperator
    );
    if !is_operator || !wants_value {
        return at_bare_operator(context);
    }
    match context.here() {
        None => Some(no_value(operator)),
        Some(here) if here.kind == TokenKind::Close || matches!(here.text, "and" | "or") => {
            Some(no_value(operator))
        }
        Some(here) if *context.kind == ParseErrorKind::ExpectedNumberOrOperand => Some(
            Advice::new(
                Fault::InvalidNumber,
                here.span,
                format!("`{}` compares numbers, and `{}` is none", operator.text, cut(here.text)),
            )
            .help("write a number without a unit and without quotes, or `val(FIELD)`"),
        ),
        Some(here) if *context.kind == ParseErrorKind::ExpectedListOrOperand => {
            // `in "a"`, `in /etc`
            let edits = vec![(here.span, format!("({})", here.text))];
            let single = is_value(&here);
            let advice =
                Advice::new(Fault::ListForm, here.span, "a list is written in parentheses")
                    .help(format!("write `{} ({})`", operator.text, cut(here.text)));
            Some(if single { advice.repair("add parentheses", edits) } else { advice })
        }
        Some(_) => None,
    }
}

/// `proc.name contains` at the end of the text.
fn at_bare_operator(context: &Context<'_>) -> Option<Advice> {
    if *context.kind != ParseErrorKind::ExpectedOperator || context.after(1).is_some() {
        return None;
    }
    let here = context.here()?;
    Operator::ALL.iter().any(|op| op.as_str() == here.text).then(|| no_value(here))
}

fn no_value(operator: Token<'_>) -> Advice {
    Advice::new(
        Fault::MissingValue,
        operator.span,
        format!("a value is missing behind `{}`", operator.text),
    )
    .help("write one; an empty text is `\"\"`")
}

/// `proc.name` alone, and `[` without its end.
pub(super) fn missing_operator(context: &Context<'_>) -> Option<Advice> {
    if matches!(
        context.kind,
        ParseErrorKind::ExpectedFieldArgument | ParseErrorKind::ExpectedClosingBracket
    ) {
        let open = context
            .tokens
            .iter()
            .take(context.at + 1)
            .rev()
            .find_map(|token| token.text.rfind('[').map(|at| token.span.start + at))?;
        let span = Span { start: open, end: open + 1 };
        let message = "the argument of the field is missing, or this bracket is not closed";
        let help = "write the argument between brackets, without blanks: `proc.aname[2]`, `proc.env[HOME]`";
        return Some(Advice::new(Fault::Unbalanced, span, message).help(help));
    }
    if *context.kind != ParseErrorKind::ExpectedOperator {
        return None;
    }
    let ends = match context.here() {
        None => true,
        Some(here) => here.kind == TokenKind::Close || matches!(here.text, "and" | "or"),
    };
    let field = context.before(1).filter(|_| ends)?;
    let start = context.operand_start(context.at)?;
    let written = cut(context.text.get(start..field.span.end)?);
    let span = Span { start, end: field.span.end };
    Some(
        Advice::new(Fault::MissingOperator, span, format!("`{written}` is compared with nothing"))
            .help(format!("write `{written} exists`, `{written} = VALUE` or `{written} in (A, B)`"))
            .offer(
                "add `exists`",
                vec![(Span { start: span.end, end: span.end }, " exists".into())],
            ),
    )
}

/// `proc.name = 'a' or 'b'`, `proc.name = a b`, `fd.name startswith /etc or /usr`.
pub(super) fn loose_value(context: &Context<'_>) -> Option<Advice> {
    let here = context.here()?;
    let advice = |message: String| Advice::new(Fault::LooseValue, here.span, message);
    if *context.kind == ParseErrorKind::ExpectedCheck {
        if here.kind == TokenKind::Quoted {
            let inner = here.text.trim_matches(['"', '\'']);
            if is_field(inner) {
                return Some(
                    advice("fields are written without quotes".to_owned())
                        .help(format!("write `{inner}`"))
                        .repair("remove the quotes", vec![(here.span, inner.to_owned())]),
                );
            }
        }
        let join = context.before(1).filter(|it| matches!(it.text, "and" | "or"));
        return Some(match (here.kind, join) {
            (TokenKind::Word | TokenKind::Quoted, Some(join)) => {
                advice(format!("`{}` is a value, not a condition", cut(here.text))).help(format!(
                    "name the field behind `{}` again, or compare with a list: `FIELD in (A, B)`",
                    join.text
                ))
            }
            (TokenKind::Word | TokenKind::Quoted, None) => {
                advice(format!("`{}` is a value, not a condition", cut(here.text)))
                    .help("a condition begins with a field, a macro, `not` or `(`")
            }
            (TokenKind::Signs, _) => {
                advice(format!("the field in front of `{}` is missing", here.text))
                    .help("each comparison names its field")
            }
            _ => return None,
        });
    }
    let ParseErrorKind::TrailingToken { .. } = context.kind else { return None };
    let (value, operator) = (context.before(1)?, context.before(2)?);
    let is_text_operator = matches!(operator.text, "=" | "==" | "!=")
        || Operator::ALL.iter().any(|op| op.as_str() == operator.text && op.as_str().len() > 2);
    let field =
        context.before(3).is_some_and(|it| is_field(it.text) || it.kind == TokenKind::Close);
    if !is_text_operator || !field || !is_value(&value) || !is_value(&here) || is_field(here.text) {
        return None;
    }
    // All words up to the next `and` or `or` are one text.
    let rest = context.tokens.iter().skip(context.at);
    let words: Vec<_> = rest.take_while(|token| is_value(token)).collect();
    let end = words.last()?.span.end;
    let text = context.text.get(value.span.start..end)?;
    let span = Span { start: value.span.start, end };
    let follows = words.iter().any(|word| is_field(word.text));
    let advice = Advice::new(
        Fault::LooseValue,
        Span { start: here.span.start, end },
        format!("`{}` belongs to nothing", cut(context.text.get(here.span.start..end)?)),
    )
    .help("put a text that contains blanks between quotes, or join conditions with `and` or `or`");
    Some(match text.contains(['"', '\'', '\\']) || follows {
        true => advice,
        false => advice.offer("add quotes", vec![(span, format!("\"{text}\""))]),
    })
}

/// A parenthesis without its other half.
pub(super) fn unbalanced(context: &Context<'_>) -> Option<Advice> {
    let advice = |span, message: &str| Advice::new(Fault::Unbalanced, span, message);
    if let Some(here) = context.here().filter(|here| here.kind == TokenKind::Close)
        && innermost(context).is_none()
    {
        return Some(
            advice(here.span, "no parenthesis is open here")
                .help("remove this one, or add a `(` in front")
                .offer("remove it", vec![(here.span, String::new())]),
        );
    }
    let is_closing = matches!(
        context.kind,
        ParseErrorKind::ExpectedClosing
            | ParseErrorKind::ExpectedListClosing
            | ParseErrorKind::ExpectedTransformerClosing
    );
    if !is_closing || context.here().is_some_and(|here| is_value(&here)) {
        return None;
    }
    let open = context.tokens.get(innermost(context)?)?;
    let end = context.text.trim_end().len();
    let edits = vec![(Span { start: end, end }, ")".to_owned())];
    let advice = advice(open.span, "this parenthesis is not closed").help("add a `)`");
    Some(if context.here().is_none() {
        advice.offer("add a `)` at the end", edits)
    } else {
        advice
    })
}

/// Two conditions with nothing or with a comma between them.
pub(super) fn between(context: &Context<'_>) -> Option<Advice> {
    let here = context.here()?;
    let is_between = matches!(
        context.kind,
        ParseErrorKind::TrailingToken { .. } | ParseErrorKind::ExpectedClosing
    );
    if !is_between {
        return None;
    }
    let advice = |message: String| Advice::new(Fault::Syntax, here.span, message);
    if here.kind == TokenKind::Comma || here.text == ";" {
        return Some(
            advice(format!("`{}` does not join conditions", here.text))
                .help("join them with `and` or `or`"),
        );
    }
    let before = context.before(1)?;
    // `procname = x`: a name without a dot was read as a macro.
    if here.kind == TokenKind::Signs && before.kind == TokenKind::Word && !is_field(before.text) {
        return Some(
            Advice::new(
                Fault::UnknownField,
                before.span,
                format!("there is no field `{}`", cut(before.text)),
            )
            .help("names of fields have a dot: `proc.name`; `peregrine fields` lists them"),
        );
    }
    if is_field(here.text) || here.kind == TokenKind::Open || here.text == "not" {
        let at = Span { start: here.span.start, end: here.span.start };
        return Some(
            advice(format!("`and` or `or` is missing in front of `{}`", cut(here.text)))
                .help("join conditions with `and` or `or`; a condition that is appended begins with one of them")
                .offer("insert `and`", vec![(at, "and ".to_owned())]),
        );
    }
    None
}
