//! Numbers with a leading zero, which look octal and are read as decimal.

use hashbrown::HashSet;
use peregrine_diagnostics::{Edit, Fix};
use peregrine_event::ParamType;
use peregrine_filter::{
    Check, Comparison, CompiledOperand, Expr, ExprKind, Right, Vocabulary, list_items,
};

use super::condition::Condition;
use crate::define::{Definitions, ListDef};
use crate::expand::is_delimiter;
use crate::result::Explained;
use crate::{Cause, Finding};

/// Looks for such numbers in conditions, and in the lists that they name.
pub(super) struct LeadingZeros<'d> {
    definitions: &'d Definitions,
    /// Lists that have such a number.
    lists: Vec<&'d str>,
    reported: HashSet<&'d str>,
}

impl<'d> LeadingZeros<'d> {
    pub(super) fn new(definitions: &'d Definitions) -> Self {
        let has = |list: &&ListDef| list.items.iter().any(|item| has_leading_zero(item));
        let lists = definitions.lists.iter().map(|list| &**list).filter(has);
        let lists = lists.map(|list| list.name.as_str()).collect();
        Self { definitions, lists, reported: HashSet::new() }
    }

    /// A quick search: whether a condition may have such a number.
    pub(super) fn may_be_in(&self, text: &str) -> bool {
        let bytes = text.as_bytes();
        let begins = |at: &usize| {
            let before = at.checked_sub(1).and_then(|before| bytes.get(before));
            before.is_none_or(|byte| is_delimiter(char::from(*byte)) || matches!(byte, b'<' | b'>'))
                && bytes.get(at + 1).is_some_and(u8::is_ascii_digit)
        };
        memchr::memchr_iter(b'0', bytes).any(|at| begins(&at))
            || self.lists.iter().any(|list| text.contains(list))
    }

    pub(super) fn check<V: Vocabulary>(
        &mut self,
        condition: &Condition<'d>,
        expr: &Expr,
        vocabulary: &V,
        findings: &mut Vec<Finding>,
    ) {
        expr.walk(&mut |part| {
            let ExprKind::Check(check) = &part.node else { return };
            let Check::Compare(Comparison { left, right, .. }) = &**check else { return };
            let span = right.span();
            let values = condition.text.get(span.start..span.end).unwrap_or_default();
            // Most comparisons have no such number, and fields are dear to resolve.
            if matches!(right, Right::Operand(_)) || !self.may_be_in(values) {
                return;
            }
            let ty = CompiledOperand::new(left, vocabulary).ok().map(|operand| operand.ty());
            if !ty.is_some_and(is_number) {
                return;
            }
            for span in list_items(condition.text, span) {
                let word = condition.text.get(span.start..span.end).unwrap_or_default();
                if has_leading_zero(word.trim_matches(['"', '\''])) {
                    findings.push(in_condition(condition, span.start..span.end));
                } else if let Some(list) = self.definitions.lists.get(word)
                    && self.reported.insert(&list.name)
                {
                    findings.extend(in_list(list));
                }
            }
        });
    }
}

fn in_condition(condition: &Condition<'_>, part: std::ops::Range<usize>) -> Finding {
    let written = condition.text.get(part.clone()).unwrap_or_default();
    let (message, help, decimal) = explain(written.trim_matches(['"', '\'']));
    let finding = condition.finding(Cause::LeadingZero, message, help, part.clone());
    finding.with_fix(condition, format!("write `{decimal}`"), &[(part, decimal)])
}

fn in_list(list: &ListDef) -> Vec<Finding> {
    let items = list.items.iter().enumerate().filter(|(_, item)| has_leading_zero(item));
    let finding = |(at, item): (usize, &String)| {
        let (message, help, decimal) = explain(item);
        let place = list.place_of(at);
        let labels: Vec<_> = place.word(item).into_iter().collect();
        let edits = labels.iter().map(|label| Edit { label: label.clone(), text: decimal.clone() });
        let fix = Fix::offered(format!("write `{decimal}`"), edits.collect());
        let fix = Some(fix).filter(|fix| !fix.edits.is_empty());
        let explained = Explained { message: message.clone(), labels, related: Vec::new(), fix };
        let finding = Finding::new(Cause::LeadingZero, message, place.clone());
        finding.help(Some(help)).explained(explained)
    };
    items.map(finding).collect()
}

/// Message, remedy, and the number as it is read.
fn explain(written: &str) -> (String, String, String) {
    let decimal = written.trim_start_matches('0').to_owned();
    let octal = u64::from_str_radix(&decimal, 8);
    let message = format!("`{written}` is read as the decimal number {decimal}");
    let help = match octal {
        Ok(octal) if octal > 7 => format!(
            "write `{decimal}` if this is meant, and `{octal}` for the octal number: a leading zero has no meaning"
        ),
        _ => format!("write `{decimal}`: a leading zero has no meaning"),
    };
    (message, help, decimal)
}

fn has_leading_zero(word: &str) -> bool {
    let digits = word.strip_prefix('0').unwrap_or_default();
    !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && digits.bytes().any(|byte| byte != b'0')
}

/// Whether values of a type are numbers that conditions write in decimal.
fn is_number(ty: ParamType) -> bool {
    use ParamType as T;
    matches!(
        ty,
        T::Int8
            | T::Int16
            | T::Int32
            | T::Int64
            | T::Uint8
            | T::Uint16
            | T::Uint32
            | T::Uint64
            | T::Fd
            | T::Pid
            | T::Errno
            | T::Port
            | T::Uid
            | T::Gid
            | T::Mode
            | T::Flags8
            | T::Flags16
            | T::Flags32
            | T::Reltime
            | T::Abstime
            | T::Double
    )
}
