//! Values that other languages expand and conditions compare as they are: wildcards, `~`, `$HOME`,
//! fields with `%`, words for a missing value; paths that are not absolute, a `;` at the end.

use std::ops::Range;

use peregrine_event::ParamType;
use peregrine_filter::{
    Check, Comparison, CompiledOperand, Expr, ExprKind, Operand, OperandKind, Operator, Right,
    Vocabulary, compile, list_items,
};

use super::condition::Condition;
use crate::expand::is_delimiter;
use crate::{Cause, Finding};

/// Words of other languages for a missing value.
const MISSING: [&str; 5] = ["null", "NULL", "nil", "None", "undefined"];

/// Fields whose paths are absolute.
const PATHS: [&str; 9] = [
    "fd.name",
    "fd.directory",
    "fs.path.name",
    "fs.path.source",
    "fs.path.target",
    "proc.exepath",
    "proc.pexepath",
    "proc.aexepath",
    "proc.cwd",
];

/// Beginnings of paths that a shell expands.
const HOME: [&str; 3] = ["~/", "$HOME/", "${HOME}"];

/// A quick search: whether a condition may have such a value.
pub(super) fn may_be_in(text: &str) -> bool {
    let is_missing = |sign: usize| {
        let value = text.get(sign + 1..).unwrap_or_default().trim_start();
        MISSING.iter().any(|word| value.starts_with(word))
    };
    has_sign(text)
        || memchr::memchr_iter(b'=', text.as_bytes()).any(is_missing)
        || is_path_below_name(text) && PATHS.iter().any(|field| text.contains(field))
}

/// The same for the values of a comparison.
fn may_be_of(left: &Operand, values: &str) -> bool {
    let OperandKind::Field(field) = &left.node else { return false };
    has_sign(values)
        || MISSING.contains(&values)
        || PATHS.contains(&&*field.name) && is_path_below_name(values)
}

fn has_sign(text: &str) -> bool {
    let bytes = text.as_bytes();
    memchr::memchr3(b'*', b'$', b'%', bytes).is_some()
        || memchr::memchr(b';', bytes).is_some()
        || text.contains("~/")
}

/// Whether a word has a slash and does not begin with one.
fn is_path_below_name(text: &str) -> bool {
    memchr::memchr_iter(b'/', text.as_bytes()).any(|slash| {
        let before = text.get(..slash).unwrap_or_default();
        let word = before.rfind(is_delimiter).map_or(0, |delimiter| delimiter + 1);
        let begin = before.get(word..).unwrap_or_default().trim_start_matches(['"', '\'']);
        !begin.is_empty() && !begin.starts_with('/')
    })
}

pub(super) fn check<V: Vocabulary>(
    condition: &Condition<'_>,
    expr: &Expr,
    vocabulary: &V,
    findings: &mut Vec<Finding>,
) {
    expr.walk(&mut |part| {
        let ExprKind::Check(check) = &part.node else { return };
        let Check::Compare(Comparison { left, op, right, .. }) = &**check else { return };
        let span = right.span();
        let values = condition.text.get(span.start..span.end).unwrap_or_default();
        // Most comparisons have no such value, and fields are dear to resolve.
        if matches!(right, Right::Operand(_))
            || !may_be_of(left, values)
            || !is_plain_text(left, vocabulary)
        {
            return;
        }
        let test = Test { condition, left, op: *op };
        let mut found = Vec::new();
        for span in list_items(condition.text, span) {
            let word = condition.text.get(span.start..span.end).unwrap_or_default();
            let place = span.start..span.end;
            found.extend(
                test.wildcard(word, place.clone())
                    .or_else(|| test.foreign(word, place, vocabulary)),
            );
        }
        // What does not compile has an error.
        if !found.is_empty() && compile(part, vocabulary).is_ok() {
            findings.append(&mut found);
        }
    });
}

/// Whether an operand is a text in which signs have no meaning of their own, unlike those of
/// command lines and data.
fn is_plain_text<V: Vocabulary>(operand: &Operand, vocabulary: &V) -> bool {
    let OperandKind::Field(field) = &operand.node else { return false };
    let free = ["cmdline", "args", "arg.", "arg[", "exeline", "env", "buffer", "data"];
    let text = field.text();
    let ty = CompiledOperand::new(operand, vocabulary).ok().map(|operand| operand.ty());
    matches!(ty, Some(ParamType::Charbuf | ParamType::Fspath | ParamType::Fsrelpath))
        && !free.iter().any(|word| text.contains(word))
}

/// A comparison with values.
struct Test<'t> {
    condition: &'t Condition<'t>,
    left: &'t Operand,
    op: Operator,
}

impl Test<'_> {
    /// `fd.name in (/etc/*.conf)`
    fn wildcard(&self, word: &str, place: Range<usize>) -> Option<Finding> {
        use Operator as O;
        let value = word.trim_matches(['"', '\'']);
        let literal = matches!(
            self.op,
            O::Eq
                | O::EqEq
                | O::Ne
                | O::In
                | O::Intersects
                | O::StartsWith
                | O::EndsWith
                | O::Contains
        );
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"_./-*".contains(&byte);
        if !literal
            || !value.contains('*')
            || !value.bytes().all(is_part)
            || !value.bytes().any(|byte| byte.is_ascii_alphanumeric())
        {
            return None;
        }
        let OperandKind::Field(field) = &self.left.node else { return None };
        let field = field.text();
        let message = format!("`*` in `{value}` is a character: `{}` knows no wildcards", self.op);
        let prefix = value.strip_suffix('*').filter(|rest| !rest.contains('*'));
        let help = match (self.op, prefix) {
            (O::StartsWith, Some(prefix)) => format!("write `{prefix}`"),
            (_, Some(prefix)) => {
                format!("write `{field} startswith {prefix}`, or `{field} glob {word}`")
            }
            (_, None) => format!("write `{field} glob {word}`"),
        };
        let finding = self.condition.finding(Cause::Wildcard, message, help, place.clone());
        let operator = self.left.span.end..place.start;
        let sign = self.condition.text.get(operator.clone()).unwrap_or_default();
        Some(match (self.op, prefix) {
            (O::StartsWith, Some(prefix)) => finding.with_fix(
                self.condition,
                format!("write `{prefix}`"),
                &[(place, prefix.to_owned())],
            ),
            (O::Eq, _) if sign.trim() == "=" => finding.with_fix(
                self.condition,
                "write `glob`".to_owned(),
                &[(operator, " glob ".to_owned())],
            ),
            _ => finding,
        })
    }

    /// `fd.name = ~/.bashrc`, `proc.name = %proc.pname`, `fd.name != null`
    fn foreign<V: Vocabulary>(
        &self,
        word: &str,
        place: Range<usize>,
        vocabulary: &V,
    ) -> Option<Finding> {
        use Operator as O;
        let OperandKind::Field(field) = &self.left.node else { return None };
        let field = field.text();
        let equal = matches!(self.op, O::Eq | O::EqEq | O::Ne | O::In);
        let value = word.trim_matches(['"', '\'']);
        let home = HOME.iter().find(|home| value.starts_with(*home));
        let (message, help, new) = if let (Some(home), true) =
            (home, equal || self.op == O::StartsWith)
        {
            let rest = value.trim_start_matches(home).trim_start_matches('/');
            let shown = home.trim_end_matches('/');
            (
                format!("`{shown}` is not expanded: the value is compared as it is"),
                format!("write the whole path, or `{field} glob /home/*/{rest}`"),
                None,
            )
        } else if let Some(name) = value.strip_prefix('%').filter(|_| equal)
            && vocabulary.resolve(name).is_ok_and(|resolved| resolved.len == name.len())
        {
            (
                format!("`{value}` is a text here: `%` stands in front of fields in outputs only"),
                format!("write `val({name})` to compare with the field"),
                Some(format!("val({name})")),
            )
        } else if MISSING.contains(&word) && matches!(self.op, O::Eq | O::EqEq | O::Ne) {
            let not = if self.op == O::Ne { "" } else { "not " };
            (
                format!("`{word}` is a text here, and no value of a field"),
                format!("a missing value is tested with `exists`: write `{not}{field} exists`"),
                None,
            )
        } else if let Some(name) = value.strip_suffix(';').filter(|_| equal && word == value) {
            (
                format!("`;` is a part of the value `{value}`"),
                format!("write `{name}`: a condition ends with its text"),
                Some(name.to_owned()),
            )
        } else if PATHS.contains(&field.as_ref())
            && (equal || self.op == O::StartsWith)
            && is_relative(value)
        {
            (
                format!("`{value}` is not absolute: the paths of `{field}` begin with `/`"),
                match value.starts_with('.') {
                    true => "write the whole path".to_owned(),
                    false => format!("write `/{value}`, or `{field} endswith /{value}`"),
                },
                None,
            )
        } else {
            return None;
        };
        let finding = self.condition.finding(Cause::ForeignValue, message, help, place.clone());
        let Some(new) = new else { return Some(finding) };
        Some(finding.with_fix(self.condition, format!("write `{new}`"), &[(place, new)]))
    }
}

/// Whether a value is a path below a directory that it does not name.
fn is_relative(value: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"_./-".contains(&byte);
    value.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '.')
        && value.contains('/')
        && value.bytes().all(is_part)
}
