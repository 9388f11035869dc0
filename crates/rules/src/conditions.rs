//! Conditions as their authors wrote them: lists are expanded, macros are names, and each part has
//! its place in the text.

use std::ops::Range;

use peregrine_filter::{Expr, RULES_MAX_DEPTH, Span, Vocabulary, parse};

use crate::Loader;
use crate::budget::Budget;
use crate::define::Definitions;
use crate::exception::with_exceptions;
use crate::expand::{Expanded, Lists};

/// The conditions of all macros and rules as they are written.
#[derive(Debug, Default)]
pub struct WrittenConditions {
    /// Macros, in the order of their first definition.
    pub macros: Vec<WrittenCondition>,
    /// Rules, in the order of their first definition.
    pub rules: Vec<WrittenCondition>,
}

/// The condition of a macro or rule as it is written.
#[derive(Debug)]
pub struct WrittenCondition {
    /// Name of the macro or rule.
    pub name: String,
    /// The tree, with lists expanded and macros as names. With `exceptions` it is a conjunction:
    /// the condition of the rule, then the negation of each exception.
    pub expr: Expr,
    /// Names of the exceptions that are part of the tree: those that have values.
    pub exceptions: Vec<String>,
    expanded: Expanded,
    /// Length of the text of the rule without exceptions.
    len: usize,
    /// Bytes before that text: a condition with exceptions is enclosed in parentheses.
    before: usize,
}

impl WrittenCondition {
    /// The bytes of a part in the text of the condition, as the rules file has it: where the part
    /// comes from a list, the name of that list. `None` for parts of exceptions.
    #[must_use]
    pub fn original(&self, span: Span) -> Option<Range<usize>> {
        let part = self.expanded.original(span.start..span.end);
        let (start, end) =
            (part.start.checked_sub(self.before)?, part.end.checked_sub(self.before)?);
        (end <= self.len).then_some(start..end)
    }

    fn parse(
        name: &str,
        own: &str,
        text: &str,
        exceptions: Vec<String>,
        lists: &mut Lists,
    ) -> Option<Self> {
        let expanded = lists.expand(text).ok()?;
        let expr = parse(&expanded.text, RULES_MAX_DEPTH).ok()?;
        let before = usize::from(!expanded.is_of(own));
        Some(Self { name: name.to_owned(), expr, exceptions, expanded, len: own.len(), before })
    }
}

impl<V: Vocabulary> Loader<V> {
    /// All conditions of the files so far as they are written. Those that can't be parsed are left
    /// out, so that an outer tool can go on with the others.
    #[must_use]
    pub fn written_conditions(&self) -> WrittenConditions {
        let Definitions { lists, macros, rules, .. } = &self.definitions;
        let items = || lists.iter().flat_map(|list| &list.items);
        let conditions = macros.iter().map(|def| def.condition.len());
        let conditions = conditions.chain(rules.iter().map(|def| def.condition.len()));
        let budget = Budget::new(items().count(), items().map(String::len).chain(conditions).sum());
        let Ok(mut lists) = Lists::resolve(lists, budget) else {
            return WrittenConditions::default();
        };
        let mut written = WrittenConditions::default();
        for def in macros.iter() {
            let text = &def.condition;
            let parsed = WrittenCondition::parse(&def.name, text, text, Vec::new(), &mut lists);
            written.macros.extend(parsed);
        }
        for def in rules.iter() {
            let Ok(text) = with_exceptions(&def.condition, &def.exceptions) else { continue };
            let with_values = def.exceptions.iter().filter(|it| !it.values.is_empty());
            let exceptions = with_values.map(|exception| exception.name.clone()).collect();
            let own = &def.condition;
            let parsed = WrittenCondition::parse(&def.name, own, &text, exceptions, &mut lists);
            written.rules.extend(parsed);
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use peregrine_fields::Fields;
    use peregrine_filter::ExprKind;

    use super::*;
    use crate::EventSource;

    #[test]
    fn parts_have_their_place_in_the_text() {
        let mut loader = Loader::new(vec![EventSource::syscall(Fields::syscall())], Vec::new());
        let result = loader.load(
            "rules.yaml",
            b"
- list: shells
  items: [sh, bash, zsh]
- macro: shell
  condition: proc.name in (shells)
- rule: R
  desc: d
  condition: evt.type = execve and shell
  output: o
  priority: INFO
  exceptions:
    - name: e
      fields: [proc.name]
      values: [[zsh]]
    - name: without_values
      fields: [proc.pname]
",
        );
        assert!(result.successful(), "{}", result.to_text());
        let written = loader.written_conditions();
        let shell = &written.macros[0];
        assert_eq!(shell.original(shell.expr.span), Some(0.."proc.name in (shells)".len()));

        let rule = &written.rules[0];
        assert_eq!(rule.exceptions, ["e"]);
        let ExprKind::And(parts) = &rule.expr.node else { panic!() };
        let ExprKind::And(own) = &parts[0].node else { panic!() };
        assert!(matches!(&own[1].node, ExprKind::Macro(name) if name == "shell"));
        let text = &loader.rules().rules[0].condition_text;
        assert_eq!(rule.original(own[1].span).map(|range| &text[range]), Some("shell"));
        assert_eq!(rule.original(parts[1].span), None);
    }
}
