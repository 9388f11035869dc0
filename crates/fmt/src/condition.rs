//! Layout of conditions: the words of the author, with other blanks and line breaks.
//!
//! The engine's own parser finds the tests of a condition, so that no second grammar has to agree
//! with it. Between tests there are only `and`, `or`, `not` and parentheses, which are kept.

use peregrine_filter::{Check, Comparison, Expr, ExprKind, RULES_MAX_DEPTH, Right, Span, parse};
use peregrine_yaml::Node;

use super::fill::{WIDTH, fill};

/// Stands for the condition that a text such as `and not proc.name = cat` is appended to.
const BASE: &str = "base ";

/// A condition, ready to be written on one line or on several.
pub(super) struct Condition {
    top: Part,
    appended: bool,
}

impl Condition {
    /// The parts of a condition. `None` if the engine does not understand it as it stands here, or
    /// if blanks in it count; its text is then left alone.
    pub(super) fn of(text: &str) -> Option<Self> {
        if text.trim().is_empty() || text.chars().any(is_odd) {
            return None;
        }
        let (text, expr) = read(text)?;
        let appended = text.starts_with(BASE);
        let tokens = tokens(&text, &expr)?;
        let mut tokens = tokens.into_iter().peekable();
        let top = or(&mut tokens)?;
        tokens.next().is_none().then_some(Self { top, appended })
    }

    /// On one line.
    pub(super) fn flat(&self) -> String {
        let mut text = String::with_capacity(self.top.width);
        self.top.flat(&mut text);
        match text.strip_prefix(BASE) {
            Some(rest) if self.appended => rest.to_owned(),
            _ => text,
        }
    }

    /// One operand of `and` or `or` on each line, the lines indented by so many blanks at least.
    pub(super) fn lines(&self, indent: usize) -> Vec<String> {
        let mut out = Vec::new();
        match &self.top.kind {
            Kind::And(parts) if self.appended => Part::others("and ", parts, indent, &mut out),
            Kind::Or(parts) if self.appended => {
                if let Some(Kind::And(parts)) = parts.first().map(|part| &part.kind) {
                    Part::others("and ", parts, indent, &mut out);
                }
                Part::others("or ", parts, indent, &mut out);
            }
            _ => self.top.lines(indent, &mut out),
        }
        out
    }
}

/// The text of the condition of an item, if it is a rule or macro.
pub(super) fn condition_of(item: &Node) -> Option<&str> {
    let has_condition = item.get("rule").is_some() || item.get("macro").is_some();
    item.get("condition").filter(|_| has_condition)?.as_str()
}

/// Whether two conditions mean the same: blanks apart they are one text, and the engine reads both
/// alike.
pub(super) fn same(a: &str, b: &str) -> bool {
    a == b
        || match (read(a), read(b)) {
            (Some((_, a)), Some((_, b))) => a == b,
            _ => false,
        }
}

/// The condition as the engine reads it, and its text; one that is appended to another comes with a
/// stand-in for that.
fn read(text: &str) -> Option<(String, Expr)> {
    if let Ok(expr) = parse(text, RULES_MAX_DEPTH) {
        return Some((text.to_owned(), expr));
    }
    let text = format!("{BASE}{text}");
    parse(&text, RULES_MAX_DEPTH).ok().map(|expr| (text, expr))
}

/// Line breaks and other characters that a folded text does not keep.
fn is_odd(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t') || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

enum Token {
    And,
    Or,
    Not,
    Open,
    Close,
    Test(Part),
}

/// A part of a condition and its length on one line.
struct Part {
    kind: Kind,
    width: usize,
}

enum Kind {
    Or(Vec<Part>),
    And(Vec<Part>),
    /// So many `not`, and what they stand before.
    Not(usize, Box<Part>),
    Group(Box<Part>),
    Test(String),
    /// A comparison with a list: the text before the list, and its items.
    List(String, Vec<String>),
}

impl Part {
    fn new(kind: Kind) -> Self {
        let sum = |parts: &[Self], between: usize| {
            parts.iter().map(|part| part.width).sum::<usize>()
                + between * parts.len().saturating_sub(1)
        };
        let width = match &kind {
            Kind::Or(parts) => sum(parts, " or ".len()),
            Kind::And(parts) => sum(parts, " and ".len()),
            Kind::Not(times, part) => part.width + times * "not ".len(),
            Kind::Group(part) => part.width + 2,
            Kind::Test(text) => text.chars().count(),
            Kind::List(before, items) => {
                let commas = ", ".len() * items.len().saturating_sub(1);
                let items: usize = items.iter().map(|item| item.chars().count()).sum();
                before.chars().count() + " ()".len() + items + commas
            }
        };
        Self { kind, width }
    }

    fn flat(&self, out: &mut String) {
        let mut join = |parts: &[Self], between: &str| {
            for (at, part) in parts.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { between });
                part.flat(out);
            }
        };
        match &self.kind {
            Kind::Or(parts) => join(parts, " or "),
            Kind::And(parts) => join(parts, " and "),
            Kind::Not(times, part) => {
                out.push_str(&"not ".repeat(*times));
                part.flat(out);
            }
            Kind::Group(part) => {
                out.push('(');
                part.flat(out);
                out.push(')');
            }
            Kind::Test(text) => out.push_str(text),
            Kind::List(before, items) => {
                out.push_str(before);
                out.push_str(" (");
                out.push_str(&items.join(", "));
                out.push(')');
            }
        }
    }

    /// The operands of `and` and `or` stand on lines of their own, each with the word before it.
    fn lines(&self, indent: usize, out: &mut Vec<String>) {
        let (Kind::And(parts) | Kind::Or(parts)) = &self.kind else {
            return self.operand("", indent, out);
        };
        let word = if matches!(self.kind, Kind::And(_)) { "and " } else { "or " };
        if let Some(first) = parts.first() {
            first.operand("", indent, out);
        }
        Self::others(word, parts, indent, out);
    }

    /// All but the first operand of `and` or `or`.
    fn others(word: &str, parts: &[Self], indent: usize, out: &mut Vec<String>) {
        for part in parts.iter().skip(1) {
            part.operand(word, indent, out);
        }
    }

    fn fits(&self, word: &str, indent: usize) -> bool {
        indent + word.len() + self.width <= WIDTH
    }

    /// On one line if it fits, with what is between parentheses on lines of its own if not.
    fn operand(&self, word: &str, indent: usize, out: &mut Vec<String>) {
        let mut line = " ".repeat(indent) + word;
        if self.fits(word, indent) {
            self.flat(&mut line);
            out.push(line);
            return;
        }
        match &self.kind {
            Kind::Not(times, part) => {
                part.operand(&(word.to_owned() + &"not ".repeat(*times)), indent, out);
            }
            Kind::Group(part) => {
                out.push(line + "(");
                part.lines(indent + 2, out);
                out.push(" ".repeat(indent) + ")");
            }
            Kind::List(before, items) => {
                out.push(line + before + " (");
                out.extend(fill(items, indent + 2));
                out.push(" ".repeat(indent) + ")");
            }
            // An operand of `or`. Deeper than that, because `and` binds stronger.
            Kind::And(parts) => {
                if let Some(first) = parts.first() {
                    first.operand(word, indent, out);
                }
                Self::others("and ", parts, indent + 2, out);
            }
            Kind::Or(_) | Kind::Test(_) => {
                self.flat(&mut line);
                out.push(line);
            }
        }
    }
}

type Tokens = std::iter::Peekable<std::vec::IntoIter<Token>>;

fn or(tokens: &mut Tokens) -> Option<Part> {
    let mut parts = vec![and(tokens)?];
    while tokens.next_if(|token| matches!(token, Token::Or)).is_some() {
        parts.push(and(tokens)?);
    }
    Some(if parts.len() == 1 { parts.remove(0) } else { Part::new(Kind::Or(parts)) })
}

fn and(tokens: &mut Tokens) -> Option<Part> {
    let mut parts = vec![operand(tokens)?];
    while tokens.next_if(|token| matches!(token, Token::And)).is_some() {
        parts.push(operand(tokens)?);
    }
    Some(if parts.len() == 1 { parts.remove(0) } else { Part::new(Kind::And(parts)) })
}

fn operand(tokens: &mut Tokens) -> Option<Part> {
    let mut negations = 0;
    while tokens.next_if(|token| matches!(token, Token::Not)).is_some() {
        negations += 1;
    }
    let part = match tokens.next()? {
        Token::Test(part) => part,
        // As deep as the engine's parser allows.
        Token::Open => {
            let inner = or(tokens)?;
            tokens.next_if(|token| matches!(token, Token::Close))?;
            Part::new(Kind::Group(Box::new(inner)))
        }
        Token::And | Token::Or | Token::Not | Token::Close => return None,
    };
    Some(if negations == 0 { part } else { Part::new(Kind::Not(negations, Box::new(part))) })
}

fn tokens(text: &str, expr: &Expr) -> Option<Vec<Token>> {
    let mut tests = Vec::new();
    collect(expr, &mut tests);
    let mut tokens = Vec::new();
    let mut at = 0;
    for (span, check) in tests {
        between(text.get(at..span.start)?, &mut tokens)?;
        let kind = match check {
            None => Kind::Test(text.get(span.start..span.end)?.trim().to_owned()),
            Some(check) => test(text, check)?,
        };
        tokens.push(Token::Test(Part::new(kind)));
        at = span.end;
    }
    between(text.get(at..)?, &mut tokens)?;
    Some(tokens)
}

/// The tests and macros of a condition, in the order of the text.
fn collect<'e>(expr: &'e Expr, tests: &mut Vec<(Span, Option<&'e Check>)>) {
    match &expr.node {
        ExprKind::And(all) | ExprKind::Or(all) => all.iter().for_each(|one| collect(one, tests)),
        ExprKind::Not(one) => collect(one, tests),
        ExprKind::Check(check) => tests.push((expr.span, Some(check))),
        ExprKind::Macro(_) => tests.push((expr.span, None)),
    }
}

fn between(text: &str, tokens: &mut Vec<Token>) -> Option<()> {
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let words = [
            ("(", Token::Open),
            (")", Token::Close),
            ("and", Token::And),
            ("or", Token::Or),
            ("not", Token::Not),
        ];
        let (word, token) = words.into_iter().find(|(word, _)| rest.starts_with(word))?;
        tokens.push(token);
        rest = rest.get(word.len()..)?.trim_start();
    }
    Some(())
}

fn test(text: &str, check: &Check) -> Option<Kind> {
    let part = |span: Span| one_blank(text.get(span.start..span.end)?);
    Some(match check {
        Check::Exists(operand) => Kind::Test(part(operand.span)? + " exists"),
        Check::Compare(Comparison { left, op, quantifier, right }) => {
            let left = part(left.span)?;
            let quantifier = quantifier.map_or(String::new(), |word| format!(" {word}"));
            let before = format!("{left} {op}{quantifier}");
            match right {
                Right::List(list) => {
                    let written = text.get(list.span.start..list.span.end)?.trim();
                    Kind::List(before, items(written)?)
                }
                Right::Operand(_) | Right::Value(_) => {
                    Kind::Test(format!("{before} {}", part(right.span())?))
                }
            }
        }
    })
}

/// The items of a list in parentheses.
fn items(list: &str) -> Option<Vec<String>> {
    let inside = list.strip_prefix('(')?.strip_suffix(')')?;
    let mut items = Vec::new();
    let mut start = 0;
    outside_quotes(inside, |at, c| {
        if c == ',' {
            items.push(inside.get(start..at).unwrap_or_default());
            start = at + 1;
        }
    });
    items.push(inside.get(start..)?);
    if items.len() == 1 && items.first().is_some_and(|item| item.trim().is_empty()) {
        items.clear();
    }
    items.into_iter().map(one_blank).collect()
}

/// Without blanks around it, and with single blanks between its words. `None` if a quoted text goes
/// over several lines.
fn one_blank(text: &str) -> Option<String> {
    let text = text.trim();
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    outside_quotes(text, |at, c| {
        if c.is_ascii_whitespace() {
            out.push_str(text.get(copied..at).unwrap_or_default());
            if !out.ends_with(' ') {
                out.push(' ');
            }
            copied = at + 1;
        }
    });
    out.push_str(text.get(copied..)?);
    (!out.contains('\n')).then_some(out)
}

/// Calls with each character that is not between quotes. As in the lexer, a quote after a backslash
/// does not close.
fn outside_quotes(text: &str, mut each: impl FnMut(usize, char)) {
    let (mut quote, mut previous) = (None, '\0');
    for (at, c) in text.char_indices() {
        match quote {
            Some(open) if c == open && previous != '\\' => quote = None,
            Some(_) => {}
            None => {
                quote = matches!(c, '"' | '\'').then_some(c);
                each(at, c);
            }
        }
        previous = c;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> String {
        Condition::of(text).unwrap().lines(0).join("\n")
    }

    fn flat(text: &str) -> String {
        Condition::of(text).unwrap().flat()
    }

    #[test]
    fn blanks_are_the_same_everywhere() {
        for (text, want) in [
            ("evt.type=open", "evt.type = open"),
            (
                "a.b= \"x  y\"  and\n( not c.d in(x,y ,'z,w') )",
                "a.b = \"x  y\" and (not c.d in (x, y, 'z,w'))",
            ),
            ("a.b exists and not(m)", "a.b exists and not (m)"),
            ("fd.name startswith   anyof ( /etc,/usr )", "fd.name startswith anyof (/etc, /usr)"),
            ("a.b in ()", "a.b in ()"),
            ("tolower( proc.name )=x or not not m", "tolower( proc.name ) = x or not not m"),
            ("a.b contains and and c.d = or", "a.b contains and and c.d = or"),
            ("and not a.b=c", "and not a.b = c"),
            (" or m", "or m"),
            ("evt.arg[0]=x and a.b=val(c.d)", "evt.arg[0] = x and a.b = val(c.d)"),
        ] {
            assert_eq!(flat(text), want);
            assert_eq!(flat(want), want);
            assert!(same(text, want), "{text}");
        }
    }

    #[test]
    fn what_the_engine_does_not_read_is_left_alone() {
        for text in
            ["", "a.b =", "a.b > list_of_numbers", "a.b = 'x", "a b", "a.b = 'x\ny'", "m\u{85}"]
        {
            assert!(Condition::of(text).is_none(), "{text}");
        }
    }

    #[test]
    fn hostile_conditions_are_formatted_or_left_alone() {
        let nots = "not ".repeat(100_000) + "m";
        assert_eq!(flat(&nots), nots);
        for text in ["(".repeat(100_000), "m and ".repeat(100_000), "a.b in (".repeat(100_000)] {
            assert!(Condition::of(&text).is_none());
        }
        let deep = "(".repeat(150) + "m" + &")".repeat(150);
        assert_eq!(flat(&deep), deep);
    }

    #[test]
    fn other_conditions_are_not_the_same() {
        assert!(!same("a.b = c", "a.b = d"));
        assert!(!same("a.b = 'c d'", "a.b = 'c  d'"));
        assert!(!same("m", "not m"));
        assert!(!same("and m", "or m"));
        assert!(!same("a.b > x", "a.b  > x"));
    }

    #[test]
    fn operands_have_lines_of_their_own() {
        let long = "proc.cmdline contains aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
        let names = (1..30).map(|n| format!("name_{n}")).collect::<Vec<_>>().join(",");
        let all = [
            format!(
                "spawned_process and proc.name in ({names}) and not ({long} or ({long} and m)) \
                 or x and {long} and {long} or not y and not fd.name startswith anyof (a, b)"
            ),
            format!("and ({long} or {long}) or m"),
            format!("and {long} and {long} or m"),
            format!("not not ({long} and ({long} or {long} and proc.name in ({names})))"),
        ];
        insta::assert_snapshot!(all.map(|text| lines(&text)).join("\n\n"));
    }
}
