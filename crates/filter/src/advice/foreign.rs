//! Words and signs of other languages.

use peregrine_diagnostics::closest;

use super::context::{Context, cut, is_field};
use super::tokens::{Token, TokenKind};
use super::types::{Advice, Fault};
use crate::parser::ParseErrorKind;
use crate::{Operator, Span, Transformer};

/// `{{ x }}`, `${X}`, `$x`, `%proc.name`.
pub(super) fn template(context: &Context<'_>) -> Option<Advice> {
    let is_template = |token: &Token<'_>| {
        token.kind == TokenKind::Word
            && ["{{", "{%", "${"].iter().any(|it| token.text.starts_with(it))
    };
    let before = [context.before(2), context.before(1)].into_iter().flatten().find(is_template);
    let token = before.or(context.here())?;
    let rest = context.text.get(token.span.start..)?;
    if let Some(name) = token.text.strip_prefix('%')
        && is_field(name)
    {
        let span = Span { start: token.span.start, end: token.span.start + 1 };
        let message = "fields in conditions have no `%`";
        return Some(
            Advice::new(Fault::Template, token.span, message)
                .help(format!("write `{}`", cut(name)))
                .repair("remove the `%`", vec![(span, String::new())]),
        );
    }
    let close = match rest {
        _ if rest.starts_with("{{") => "}}",
        _ if rest.starts_with("{%") => "%}",
        _ if rest.starts_with("${") => "}",
        _ if rest.starts_with('$') => "",
        _ => return None,
    };
    let len = match close {
        "" => token.text.len(),
        close => rest.find(close).map_or(token.text.len(), |at| at + close.len()),
    };
    let span = Span { start: token.span.start, end: token.span.start + len };
    let message = "this is a placeholder of a template language: nothing has replaced it";
    let help = "render the template before it is loaded; names of lists and macros are written without a sign";
    Some(Advice::new(Fault::Template, span, message).help(help))
}

/// `# …` and `// …`.
pub(super) fn comment(context: &Context<'_>) -> Option<Advice> {
    let token = context.here()?;
    if !["#", "//", "--", "/*"].iter().any(|sign| token.text.starts_with(sign)) {
        return None;
    }
    let line = context.text.get(token.span.start..)?.lines().next()?;
    let span = Span { start: token.span.start, end: token.span.start + line.len() };
    let help = "move the comment above `condition:`; inside a block of text (`>` or `|`), `#` begins no comment";
    Some(Advice::new(Fault::Syntax, span, "a condition can't contain comments").help(help))
}

/// `&&` and `||`, and `!` behind them.
pub(super) fn signs_between(context: &Context<'_>) -> Option<Advice> {
    let near = [context.before(1), context.here()].into_iter().flatten();
    let is_sign = |token: &Token<'_>| {
        token.kind != TokenKind::Quoted && ["&&", "||"].iter().any(|it| token.text.contains(it))
            || matches!(token.text, "&" | "|")
    };
    let first = near.into_iter().find(is_sign)?;
    let mut edits = Vec::new();
    for token in context.tokens.iter().filter(|token| token.kind != TokenKind::Quoted) {
        let mut from = 0;
        while let Some(rest) = token.text.get(from..)
            && let Some((at, word, len)) = first_sign(token.text, rest)
        {
            let start = token.span.start + from + at;
            edits.push(spaced(context.text, Span { start, end: start + len }, word));
            from += at + len;
        }
        if token.kind == TokenKind::Signs && token.text.ends_with('!') && token.text != "!" {
            let end = token.span.end;
            edits.push(spaced(context.text, Span { start: end - 1, end }, "not"));
        }
    }
    let (sign, word) = match first.text.find("||").or(first.text.find('|')) {
        Some(_) if !first.text.contains("&&") => ("||", "or"),
        _ => ("&&", "and"),
    };
    let at = first.text.find(sign).unwrap_or(0);
    let len = if first.text.contains(sign) { sign.len() } else { first.text.len() };
    let span = Span { start: first.span.start + at, end: first.span.start + at + len };
    let message = format!("`{}` is not an operator", context.text.get(span.start..span.end)?);
    Some(
        Advice::new(Fault::ForeignOperator, span, message)
            .help(format!("conditions are joined by `{word}`"))
            .repair("write `and`, `or` and `not`", edits),
    )
}

fn first_sign(word: &str, rest: &str) -> Option<(usize, &'static str, usize)> {
    if matches!(word, "&" | "|") {
        return (rest == word).then_some((0, if word == "&" { "and" } else { "or" }, 1));
    }
    let (and, or) = (rest.find("&&"), rest.find("||"));
    match (and, or) {
        (Some(and), or) if or.is_none_or(|or| and < or) => Some((and, "and", 2)),
        (_, Some(or)) => Some((or, "or", 2)),
        _ => None,
    }
}

/// A word in place of signs, with blanks around it where there are none.
fn spaced(text: &str, span: Span, word: &str) -> (Span, String) {
    let blank = |c: char| c.is_ascii_whitespace();
    let before = text.get(..span.start).is_some_and(|it| !it.is_empty() && !it.ends_with(blank));
    let after = text.get(span.end..).is_some_and(|it| !it.is_empty() && !it.starts_with(blank));
    let (before, after) = (if before { " " } else { "" }, if after { " " } else { "" });
    (span, format!("{before}{word}{after}"))
}

/// `AND`, `Or`, `NOT`.
pub(super) fn words_between(context: &Context<'_>) -> Option<Advice> {
    let lower = |token: &Token<'_>| {
        ["and", "or", "not"].into_iter().find(|word| {
            token.kind == TokenKind::Word
                && token.text.eq_ignore_ascii_case(word)
                && token.text != *word
        })
    };
    let near = [context.before(1), context.here()].into_iter().flatten();
    let (first, word) = near.into_iter().find_map(|token| Some((token, lower(&token)?)))?;
    let all = context.tokens.iter().filter_map(|token| Some((token, lower(token)?)));
    let edits = all.map(|(token, word)| (token.span, word.to_owned())).collect();
    let message = format!("`{}` is written in lower case", first.text);
    Some(
        Advice::new(Fault::ForeignOperator, first.span, message)
            .help(format!("write `{word}`"))
            .repair("write `and`, `or` and `not` in lower case", edits),
    )
}

/// `!x`
pub(super) fn negation(context: &Context<'_>) -> Option<Advice> {
    let token = context.here().filter(|token| token.text == "!")?;
    if context.before(1).is_some_and(|before| is_field(before.text)) {
        return None;
    }
    let signs = context.tokens.iter().enumerate().filter(|(at, token)| {
        let follows = at.checked_sub(1).and_then(|at| context.tokens.get(at));
        token.text == "!" && follows.is_none_or(|it| matches!(it.text, "(" | "and" | "or" | "not"))
    });
    let edits = signs.map(|(_, token)| spaced(context.text, token.span, "not")).collect();
    Some(
        Advice::new(Fault::ForeignOperator, token.span, "`!` is not an operator")
            .help("a condition is negated by `not`")
            .repair("write `not`", edits),
    )
}

/// `proc.name not in (…)`, `proc.name is not x`
pub(super) fn not_behind_field(context: &Context<'_>) -> Option<Advice> {
    if *context.kind != ParseErrorKind::ExpectedOperator {
        return None;
    }
    let not = context.here().filter(|token| token.text.eq_ignore_ascii_case("not"))?;
    let operator = context.after(1)?;
    let start = context.operand_start(context.at)?;
    let field = context.text.get(start..context.before(1)?.span.end)?;
    let insert = (Span { start, end: start }, "not ".to_owned());
    let remove = (Span { start: not.span.start, end: operator.span.start }, String::new());
    let span = Span { start: not.span.start, end: operator.span.end };
    let field = cut(field);
    Some(
        Advice::new(Fault::ForeignOperator, span, "`not` stands in front of the whole comparison")
            .help(format!("write `not {field} {} …`", cut(operator.text)))
            .repair("move `not` to the front", vec![insert, remove]),
    )
}

/// `exists proc.name`
pub(super) fn exists_in_front(context: &Context<'_>) -> Option<Advice> {
    let exists = context.before(1).filter(|token| token.text.eq_ignore_ascii_case("exists"))?;
    let here = context.here()?;
    let (field, edits) = if here.kind == TokenKind::Open {
        let (field, close) = (context.after(1)?, context.after(2)?);
        let closed = close.kind == TokenKind::Close && is_field(field.text);
        let front = Span { start: exists.span.start, end: field.span.start };
        let back = (close.span, " exists".to_owned());
        (closed.then_some(field)?, vec![(front, String::new()), back])
    } else {
        let field = Some(here).filter(|here| is_field(here.text))?;
        let front = Span { start: exists.span.start, end: field.span.start };
        let end = Span { start: field.span.end, end: field.span.end };
        (field, vec![(front, String::new()), (end, " exists".to_owned())])
    };
    Some(
        Advice::new(Fault::ForeignOperator, exists.span, "`exists` stands behind the field")
            .help(format!("write `{} exists`", cut(field.text)))
            .repair("move `exists` behind the field", edits),
    )
}

/// Operators of other languages, and what is written instead. The last value says whether both
/// always mean the same.
const OPERATORS: &[(&[&str], &str, bool)] = &[
    (
        &[
            "starts_with",
            "start_with",
            "startwith",
            "begins_with",
            "beginswith",
            "hasprefix",
            "starts",
            "begins",
        ],
        "startswith",
        true,
    ),
    (&["ends_with", "end_with", "endwith", "hassuffix", "ends"], "endswith", true),
    (&["contain", "containing", "has", "includes", "include", "contains_any"], "contains", true),
    (&["is", "equals", "eq", "equal", "===", "=="], "=", true),
    (&["ne", "neq", "isnt", "<>", "=!", "!==", "~="], "!=", true),
    (&["lt"], "<", true),
    (&["gt"], ">", true),
    (&["le", "lte", "=<"], "<=", true),
    (&["ge", "gte", "=>"], ">=", true),
    (&["exist", "exists", "isset", "defined"], "exists", true),
    (&["isin", "is_in", "in_list", "within", "one_of"], "in", true),
    (&["like", "ilike", "wildcard", "fnmatch"], "glob", false),
    (
        &["matches", "match", "=~", "~", "rlike", "regexp", "re", "rx", "pcre", "similar"],
        "regex",
        false,
    ),
];

/// A word in the place of an operator.
pub(super) fn operator(context: &Context<'_>) -> Option<Advice> {
    let here = context.here();
    // `=~ x` is read as `= ~` and a surplus `x`.
    let before = context.before(1).filter(|token| token.kind == TokenKind::Signs);
    let signs = [here, before].into_iter().flatten().find(|token| {
        token.kind == TokenKind::Signs && known(token.text).is_some() && token.text != "=="
    });
    // `evt.dir=>` compares with `>`.
    let signs = signs.filter(|signs| {
        let field = context.tokens.iter().rev().find(|it| it.span.end <= signs.span.start);
        field.is_some_and(|field| field.text != "evt.dir" && field.kind != TokenKind::Signs)
    });
    let token = match signs {
        Some(signs) => signs,
        None if *context.kind == ParseErrorKind::ExpectedOperator => here?,
        None => return None,
    };
    let word = token.text.to_ascii_lowercase();
    let advice = |message: String| Advice::new(Fault::ForeignOperator, token.span, message);
    if token.text.starts_with("!~") {
        let start = context.operand_start(context.at)?;
        let not = (Span { start, end: start }, "not ".to_owned());
        return Some(
            advice("`!~` is not an operator".to_owned())
                .help("write `not FIELD regex PATTERN`; the pattern must match the whole text")
                .offer("write `not … regex`", vec![not, (token.span, "regex".to_owned())]),
        );
    }
    if word == "is"
        && let Some(next) = context.after(1).filter(|_| signs.is_none())
    {
        let not = next.text.eq_ignore_ascii_case("not");
        let value = if not { context.after(2) } else { Some(next) };
        let null = value
            .filter(|it| matches!(it.text.to_ascii_lowercase().as_str(), "null" | "none" | "nil"));
        if let Some(null) = null {
            let start = context.operand_start(context.at)?;
            let span = Span { start: token.span.start, end: null.span.end };
            let mut edits = vec![(span, "exists".to_owned())];
            if !not {
                edits.insert(0, (Span { start, end: start }, "not ".to_owned()));
            }
            let message = "a missing value is tested with `exists`";
            let help = "write `FIELD exists` or `not FIELD exists`";
            return Some(
                Advice::new(Fault::ForeignOperator, span, message)
                    .help(help)
                    .repair("write `exists`", edits),
            );
        }
        if not {
            let span = Span { start: token.span.start, end: next.span.end };
            return Some(
                Advice::new(Fault::ForeignOperator, span, "`is not` is not an operator")
                    .help("write `!=`")
                    .repair("write `!=`", vec![(span, "!=".to_owned())]),
            );
        }
    }
    if let Some((instead, same)) = known(&word) {
        if *instead == *token.text {
            return None;
        }
        let help = match instead {
            "glob" => "`glob` takes shell patterns with `*` and `?`, `contains` a part of the text",
            "regex" => {
                "`regex` takes a pattern that must match the whole text; begin and end it with `.*` to find a part"
            }
            instead => &format!("write `{instead}`"),
        };
        let advice = advice(format!("`{}` is not an operator", cut(token.text))).help(help);
        let edits = vec![spaced(context.text, token.span, instead)];
        let title = format!("write `{instead}`");
        return Some(if same { advice.repair(title, edits) } else { advice.offer(title, edits) });
    }
    if token.kind != TokenKind::Word || matches!(word.as_str(), "and" | "or" | "not") {
        return None;
    }
    let operators = || std::iter::once("exists").chain(Operator::ALL.iter().map(|op| op.as_str()));
    // An operator that is a word, without the blank that must follow it: `contains"x"`.
    if operators().any(|op| op == token.text) {
        let next = context.after(1)?;
        let end = Span { start: token.span.end, end: token.span.end };
        return (next.span.start == token.span.end).then(|| {
            advice(format!("a blank must follow `{}`", token.text))
                .help(format!("write `{} {}`", token.text, cut(next.text)))
                .repair("insert a blank", vec![(end, " ".to_owned())])
        });
    }
    let words = operators().filter(|op| op.len() > 2);
    let nearest = operators().find(|op| *op == word).or_else(|| closest(&word, words));
    let field = context.before(1)?;
    Some(match nearest {
        Some(nearest) => advice(format!("`{}` is not an operator", cut(token.text)))
            .help(format!("did you mean `{nearest}`?"))
            .repair(format!("write `{nearest}`"), vec![(token.span, nearest.to_owned())]),
        None if is_field(field.text) => {
            advice(format!("`{}` can't follow a field", cut(token.text))).help(
                "an operator must follow: =, !=, <, <=, >, >=, in, intersects, contains, icontains, startswith, \
                 endswith, glob, regex, pmatch or exists",
            )
        }
        None => return None,
    })
}

fn known(word: &str) -> Option<(&'static str, bool)> {
    let row = OPERATORS.iter().find(|(words, ..)| words.contains(&word))?;
    Some((row.1, row.2))
}

/// Transformers of other languages.
const FUNCTIONS: &[(&[&str], &str)] = &[
    (&["lower", "lowercase", "lcase", "tolowercase", "to_lower"], "tolower"),
    (&["upper", "uppercase", "ucase", "touppercase", "to_upper"], "toupper"),
    (&["length", "size", "strlen", "count"], "len"),
    (&["base64", "b64decode", "base64decode", "frombase64"], "b64"),
    (&["base", "filename", "base_name"], "basename"),
    (&["field", "value"], "val"),
];

/// `lower(proc.name)`
pub(super) fn function(context: &Context<'_>) -> Option<Advice> {
    let open = context.here().filter(|token| token.kind == TokenKind::Open)?;
    let name = context
        .before(1)
        .filter(|name| name.kind == TokenKind::Word && name.span.end == open.span.start)?;
    let word = name.text.to_ascii_lowercase();
    let known = FUNCTIONS.iter().find(|(words, _)| words.contains(&word.as_str()));
    let all = || Transformer::ALL.iter().map(|transformer| transformer.as_str());
    let exact = all().find(|transformer| *transformer == word);
    let nearest = known.map(|(_, name)| *name).or(exact).or_else(|| closest(&word, all()));
    let advice = Advice::new(
        Fault::Transformer,
        name.span,
        format!("there is no transformer `{}`", cut(name.text)),
    );
    Some(match nearest {
        Some(nearest) => advice
            .help(format!("did you mean `{nearest}`?"))
            .repair(format!("write `{nearest}`"), vec![(name.span, nearest.to_owned())]),
        None => {
            advice.help(format!("the transformers are {}", all().collect::<Vec<_>>().join(", ")))
        }
    })
}
