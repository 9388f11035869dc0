//! Conditions as their authors wrote them: lists are expanded, macros are names, and each part has
//! its place in the text.

use std::ops::Range;
use std::sync::Arc;

use peregrine_diagnostics::{Label, Source};
use peregrine_filter::{Expr, RULES_MAX_DEPTH, Span, Vocabulary, parse};

use crate::compile::Compiler;
use crate::condition::show;
use crate::define::{Definitions, ListDef, RuleDef};
use crate::exception::with_exceptions;
use crate::expand::{Expanded, Lists};
use crate::{CONDITION, Loader, Place};

/// The conditions of all macros and rules as they are written.
#[derive(Debug, Default)]
pub struct WrittenConditions {
    /// Macros, in the order of their first definition.
    pub macros: Vec<Arc<WrittenCondition>>,
    /// Rules, in the order of their first definition.
    pub rules: Vec<Arc<WrittenCondition>>,
    /// Names of the lists, and where they are defined and appended to.
    pub lists: Vec<(String, Vec<Label>)>,
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
    /// Its text with exceptions, before lists are expanded.
    text: String,
    expanded: Expanded,
    /// Where each exception begins in the text.
    exception_starts: Vec<usize>,
    /// Where each exception is defined.
    exception_labels: Vec<Option<Label>>,
    /// The text without exceptions.
    own: String,
    /// Bytes before that text: a condition with exceptions is enclosed in parentheses.
    before: usize,
    /// The place of that text, and that of the macro or rule.
    place: Place,
    item: Option<Label>,
}

impl WrittenCondition {
    /// The bytes of a part in the text of the condition, as the rules file has it: where the part
    /// comes from a list, the name of that list. `None` for parts of exceptions.
    #[must_use]
    pub fn original(&self, span: Span) -> Option<Range<usize>> {
        let part = self.expanded.original(span.start..span.end);
        let (start, end) =
            (part.start.checked_sub(self.before)?, part.end.checked_sub(self.before)?);
        (end <= self.own.len()).then_some(start..end)
    }

    /// A part as it is written, with the names of lists; blanks and line breaks become one blank.
    #[must_use]
    pub fn text(&self, span: Span) -> String {
        let part = self.expanded.original(span.start..span.end);
        let part = self.text.get(part).unwrap_or_default();
        part.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Names of the lists in a part.
    pub fn lists(&self, span: Span) -> impl Iterator<Item = &str> {
        let names = self.expanded.lists(span.start..span.end);
        names.filter_map(|name| self.text.get(name))
    }

    /// The exception that a part belongs to.
    #[must_use]
    pub fn exception(&self, span: Span) -> Option<&str> {
        self.exceptions.get(self.exception_index(span)?).map(String::as_str)
    }

    fn exception_index(&self, span: Span) -> Option<usize> {
        let at = self.expanded.original(span.start..span.end).start;
        self.exception_starts.partition_point(|from| *from <= at).checked_sub(1)
    }

    /// Where a part is written; the whole condition if the part can't be found in the file. For
    /// parts of exceptions, where the exception is defined.
    #[must_use]
    pub fn label(&self, span: Span) -> Option<Label> {
        if let Some(index) = self.exception_index(span) {
            return self.exception_labels.get(index)?.clone();
        }
        let spot = self.place.clone();
        let place = show(spot, &self.own, &self.place, &self.expanded, span.start..span.end);
        place.labels().into_iter().next()
    }

    /// Where the macro or rule is defined.
    #[must_use]
    pub fn item(&self) -> Option<&Label> {
        self.item.as_ref()
    }

    /// The condition `own` of a macro or rule.
    fn parse(
        name: &str,
        own: &str,
        [item, place]: [&Place; 2],
        exceptions: Exceptions,
        lists: &mut Lists,
    ) -> Option<Self> {
        let Exceptions { text, names, starts, labels } = exceptions;
        let expanded = lists.expand(&text).ok()?;
        let expr = parse(&expanded.text, RULES_MAX_DEPTH).ok()?;
        Some(Self {
            name: name.to_owned(),
            expr,
            exceptions: names,
            text,
            exception_starts: starts,
            exception_labels: labels,
            before: usize::from(!expanded.is_of(own)),
            expanded,
            own: own.to_owned(),
            place: place.clone(),
            item: item.labels().into_iter().next(),
        })
    }
}

/// A condition with its exceptions.
#[derive(Default)]
struct Exceptions {
    text: String,
    names: Vec<String>,
    starts: Vec<usize>,
    labels: Vec<Option<Label>>,
}

impl Exceptions {
    fn none(condition: &str) -> Self {
        Self { text: condition.to_owned(), ..Self::default() }
    }

    fn of(rule: &RuleDef) -> Option<Self> {
        let (mut names, mut starts, mut labels) = (Vec::new(), Vec::new(), Vec::new());
        let mut at = rule.condition.len() + "()".len();
        for exception in rule.exceptions.iter().filter(|exception| !exception.values.is_empty()) {
            names.push(exception.name.clone());
            starts.push(at);
            labels.push(exception.place.labels().into_iter().next());
            at += with_exceptions("", std::slice::from_ref(exception)).ok()?.len() - "()".len();
        }
        let text = with_exceptions(&rule.condition, &rule.exceptions).ok()?;
        Some(Self { text, names, starts, labels })
    }
}

impl<V: Vocabulary> Loader<V> {
    /// All conditions of the files so far as they are written. Those that can't be parsed are left
    /// out, so that an outer tool can go on with the others.
    #[must_use]
    pub fn written_conditions(&self) -> WrittenConditions {
        let Some(mut resolved) = self.lists() else { return WrittenConditions::default() };
        let Definitions { lists, macros, rules, .. } = &self.definitions;
        let mut written = WrittenConditions::default();
        for def in macros.iter() {
            let (text, places) = (&def.condition, [&def.place, &def.condition_place]);
            let none = Exceptions::none(text);
            let parsed = WrittenCondition::parse(&def.name, text, places, none, &mut resolved);
            written.macros.extend(parsed.map(Arc::new));
        }
        for def in rules.iter() {
            let Some(exceptions) = Exceptions::of(def) else { continue };
            let (text, places) = (&def.condition, [&def.place, &def.condition_place]);
            let parsed =
                WrittenCondition::parse(&def.name, text, places, exceptions, &mut resolved);
            written.rules.extend(parsed.map(Arc::new));
        }
        let places = |def: &Arc<ListDef>| {
            let appended = def.appended.iter().map(|(_, place)| place);
            let places = std::iter::once(&def.place).chain(appended);
            let labels = places.filter_map(|place| place.labels().into_iter().next());
            (def.name.clone(), labels.collect())
        };
        written.lists = lists.iter().map(places).collect();
        written
    }

    /// The condition that [`condition`](Self::condition) compiles, as it is written.
    #[must_use]
    pub fn written_condition(&self, text: &str) -> Option<Arc<WrittenCondition>> {
        let place = Place::file(Arc::new(Source::new(CONDITION, text)));
        let (places, none) = ([&place, &place], Exceptions::none(text));
        WrittenCondition::parse(CONDITION, text, places, none, &mut self.lists()?).map(Arc::new)
    }

    /// All lists, resolved; `None` where they can't be, which is an error of a file.
    fn lists(&self) -> Option<Lists> {
        let definitions = &self.definitions;
        let budget = Compiler::new(&self.sources, &self.additions, definitions).budget();
        Lists::resolve(&definitions.lists, budget).ok()
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
        assert_eq!(rule.exception(parts[1].span), Some("e"));
        assert_eq!(rule.exception(parts[0].span), None);
        assert_eq!(rule.label(parts[1].span).unwrap().span.start.line, 11);
        assert_eq!(rule.label(own[1].span).unwrap().span.start.line, 7);
        assert_eq!(rule.item().unwrap().span.start.line, 5);

        assert_eq!(shell.text(shell.expr.span), "proc.name in (shells)");
        assert_eq!(shell.lists(shell.expr.span).collect::<Vec<_>>(), ["shells"]);
        let (name, labels) = &written.lists[0];
        assert_eq!((name.as_str(), labels[0].span.start.line), ("shells", 1));
        let free = loader.written_condition("shell and proc.pid = 1").unwrap();
        assert_eq!(free.text(free.expr.span), "shell and proc.pid = 1");
    }
}
