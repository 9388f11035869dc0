//! Checks an ordered set of files again and again while they change.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use peregrine_diagnostics::{Problem, Source};
use peregrine_filter::Vocabulary;

use crate::compile::Compiler;
use crate::define::{Definitions, RuleDef};
use crate::doubtful;
use crate::futile;
use crate::load::{KnownSources, vocabulary_of};
use crate::memo::Memo;
use crate::parts::ReadPart;
use crate::read::{self, Items, Partial};
use crate::{
    Cause, DefinitionKind, EventSource, Finding, OutlineItem, RuleSet, RulesPart, RulesText,
};

/// Memory of earlier checks is dropped after so many, because it keeps tests that no rule has.
const KEEP_FOR: usize = 5_000;

/// Finds the problems of files that are loaded together. After a change, only rules that it
/// concerns are compiled.
///
/// Unlike a [`Loader`](crate::Loader) it reads all files to the end, whatever is wrong, and
/// compiles them together: a macro is unused if no file uses it.
///
/// ```
/// use peregrine_fields::Fields;
/// use peregrine_rules::{Checker, EventSource, RulesText};
///
/// let mut checker = Checker::new(vec![EventSource::syscall(Fields::syscall())]);
/// let file = RulesText::new("rules.yaml", "- macro: m\n  condition: n\n");
/// let problems = checker.check(&[&file]);
/// assert_eq!(problems[0].severity.name(), "error");
/// let file = file.changed("- list: l\n  items: []\n");
/// assert_eq!(checker.check(&[&file])[0].wider, Some("LOAD_UNUSED_LIST"));
/// ```
#[derive(Debug)]
pub struct Checker<V: Vocabulary> {
    sources: Vec<EventSource<V>>,
    rules: RuleSet<V::Field>,
    memo: Memo<V::Field>,
    doubts: doubtful::Memo,
    definitions: Definitions,
    /// What was read from parts that define a rule, by the address of the part.
    plain: HashMap<usize, Plain>,
    /// For each other rule of `definitions` the items that it was made of.
    origins: HashMap<String, Vec<Origin>>,
    checks: usize,
}

/// A part that defines a rule without errors, and what it reads as.
#[derive(Debug)]
struct Plain {
    /// Keeps its address.
    _part: Arc<ReadPart>,
    rule: Arc<RuleDef>,
    /// Its warnings.
    findings: Vec<Finding>,
}

/// An item: the text of its part, and its first byte there.
type Origin = (Arc<Source>, usize);

impl<V: Vocabulary> Checker<V> {
    /// A checker for rules about events of these sources.
    #[must_use]
    pub fn new(sources: Vec<EventSource<V>>) -> Self {
        Self {
            sources,
            rules: RuleSet::default(),
            memo: Memo::default(),
            doubts: doubtful::Memo::default(),
            definitions: Definitions::default(),
            plain: HashMap::new(),
            origins: HashMap::new(),
            checks: 0,
        }
    }

    /// All problems of these files, which are loaded in this order. Their places are in the texts
    /// of [parts](crate::RulesPart).
    pub fn check(&mut self, files: &[&RulesText]) -> Vec<Problem> {
        self.checks += 1;
        if self.checks.is_multiple_of(KEEP_FOR) {
            *self = Self { checks: self.checks, ..Self::new(std::mem::take(&mut self.sources)) };
        }
        let mut findings = Vec::new();
        let (Partial { mut definitions, refused }, ends) = self.read(files, &mut findings);
        let later = uses_of_later_files(&definitions, &ends);
        let origins = self.origins(files);
        for (name, now) in &origins {
            let before = self.origins.get(name).into_iter().flatten();
            if before.map(pointer).eq(now.iter().map(pointer)) {
                definitions.rules.adopt(&self.definitions.rules, name);
            }
        }
        let compiled = findings.len();
        let compiler = Compiler::new(&self.sources, &[], &definitions).lenient();
        let compiled_all = compiler.compile(&mut self.rules, &mut self.memo, &mut findings);
        let partial = Partial { definitions, refused };
        let mut follows = findings.split_off(compiled);
        if !partial.refused.is_empty() {
            follows.retain(|finding| !partial.causes(finding));
        }
        findings.extend(follows);
        if compiled_all {
            let early = later.into_iter().flat_map(|(rule, end)| self.early(&partial, &rule, end));
            findings.extend(early);
        }
        let vocabulary = |source: Option<&str>| vocabulary_of(&self.sources, source);
        futile::warn_of_fields(&partial.definitions, vocabulary, None, &mut findings);
        self.doubts.warn_of_values(&partial.definitions, vocabulary, None, &mut findings);
        futile::refine_directions(&partial.definitions, &mut findings);
        (self.definitions, self.origins) = (partial.definitions, origins);
        findings.iter().map(Finding::to_problem).collect()
    }

    /// The rules without errors that the last check has found.
    #[must_use]
    pub fn rules(&self) -> &RuleSet<V::Field> {
        &self.rules
    }

    /// The definitions of all files, and the first index of definitions behind each file.
    fn read(&mut self, files: &[&RulesText], findings: &mut Vec<Finding>) -> (Partial, Vec<u32>) {
        let sources = KnownSources(&self.sources);
        let mut definitions = Definitions::default();
        let (mut refused, mut ends) = (Vec::new(), Vec::new());
        let mut known = std::mem::take(&mut self.plain);
        self.plain.reserve(known.len());
        for file in files {
            for part in file.parts() {
                let part = &part.read;
                let address = Arc::as_ptr(part).addr();
                if let Some(plain) = known.remove(&address)
                    && definitions.define_again(&plain.rule)
                {
                    findings.extend_from_slice(&plain.findings);
                    self.plain.insert(address, plain);
                    continue;
                }
                let mut of_part = part.findings.clone();
                if part.form.known {
                    refused.extend_from_slice(&part.form.refused);
                    let items = Items {
                        documents: &part.form.documents,
                        file: &part.file,
                        refused: std::mem::take(&mut refused),
                    };
                    let before = items.refused.clone();
                    match read::read(items, &mut definitions, &sources, &mut of_part) {
                        Some(partial) => {
                            (definitions, refused) = (partial.definitions, partial.refused);
                        }
                        None => {
                            refused = before;
                            let name = part.rule.as_deref();
                            if let Some(rule) = name.and_then(|it| definitions.rules.shared(it)) {
                                let (_part, rule) = (Arc::clone(part), Arc::clone(rule));
                                let plain = Plain { _part, rule, findings: of_part.clone() };
                                self.plain.insert(address, plain);
                            }
                        }
                    }
                }
                findings.extend(of_part);
            }
            ends.push(definitions.now());
        }
        (Partial { definitions, refused }, ends)
    }

    /// The items of rules that are not only defined by parts that are known.
    fn origins(&self, files: &[&RulesText]) -> HashMap<String, Vec<Origin>> {
        let parts = || files.iter().flat_map(|file| file.parts());
        let other =
            parts().filter(|part| !self.plain.contains_key(&Arc::as_ptr(&part.read).addr()));
        let names: HashSet<_> =
            other.flat_map(rules_in).map(|rule| rule.name.text.as_str()).collect();
        let mut origins: HashMap<String, Vec<Origin>> = HashMap::new();
        for part in parts() {
            for rule in rules_in(part).filter(|rule| names.contains(rule.name.text.as_str())) {
                let origin = (Arc::clone(part.outline.source()), rule.range.start);
                origins.entry(rule.name.text.clone()).or_default().push(origin);
            }
        }
        origins
    }

    /// Errors of a rule that uses macros of later files: its own file would be refused.
    fn early(&self, partial: &Partial, rule: &str, end: u32) -> Vec<Finding> {
        let definitions = &partial.definitions;
        let (Some(def), Some(kept)) = (definitions.rules.get(rule), self.memo.rules.get(rule))
        else {
            return Vec::new();
        };
        let later = kept.resolved.macros().filter_map(|name| definitions.macros.get(name));
        let later = later.filter(|found| found.order.index >= end);
        let error = |found: &crate::define::MacroDef| {
            let message = format!("Undefined macro '{}' used in filter.", found.name);
            let file = &found.place.source().name;
            let help = format!("`{}` is defined in {file}, which is loaded later", found.name);
            let place = def.condition_place.clone();
            Finding::new(Cause::UndefinedMacro, message, place).help(Some(help))
        };
        later.map(error).collect()
    }
}

/// Rules with the first index of definitions behind the file that changes them last, where macros
/// have been defined behind it.
fn uses_of_later_files(definitions: &Definitions, ends: &[u32]) -> Vec<(String, u32)> {
    if ends.len() < 2 {
        return Vec::new();
    }
    let last = definitions.macros.iter().map(|found| found.order.index).max().unwrap_or_default();
    let end = |visibility: u32| {
        ends.get(ends.partition_point(|end| *end <= visibility)).copied().unwrap_or(u32::MAX)
    };
    let rules =
        definitions.rules_changed().map(|(rule, changed)| (rule.name.clone(), end(changed)));
    rules.filter(|(_, end)| *end <= last).collect()
}

fn rules_in(part: &RulesPart) -> impl Iterator<Item = &OutlineItem> {
    part.outline.items().iter().filter(|item| item.kind == DefinitionKind::Rule)
}

fn pointer((source, start): &Origin) -> (*const Source, usize) {
    (Arc::as_ptr(source), *start)
}

#[cfg(test)]
mod tests {
    use peregrine_fields::Fields;
    use proptest::prelude::*;

    use super::*;
    use crate::Loader;

    const BASE: &str = "\
- list: shells
  items: [sh, bash]
- macro: shell
  condition: proc.name in (shells)
- rule: Shell
  desc: d
  condition: evt.type = execve and shell and evt.dir = <
  output: a shell %proc.name
  priority: INFO
- rule: Open
  desc: d
  condition: evt.type = open and fd.name startswith /etc
  output: a file %fd.name
  priority: INFO
";

    const LOCAL: &str = "\
- macro: quiet
  condition: not shell
- rule: Open
  condition: and quiet
  override:
    condition: append
- rule: Close
  desc: d
  condition: evt.type = close and quiet
  output: closed %fd.num
  priority: INFO
";

    fn source() -> Vec<EventSource<Fields>> {
        vec![EventSource::syscall(Fields::syscall())]
    }

    /// Problems with their places in the files.
    fn placed(files: &[&RulesText], problems: &[Problem]) -> Vec<String> {
        let place = |source: &Arc<Source>, offset: usize| {
            let parts =
                files.iter().flat_map(|file| file.parts().iter().map(move |part| (file, part)));
            let found =
                parts.into_iter().find(|(_, part)| Arc::ptr_eq(part.outline.source(), source));
            found.map(|(file, part)| format!("{}:{}", file.name(), part.start + offset))
        };
        let text = |problem: &Problem| {
            let places: Vec<_> = problem
                .labels
                .iter()
                .map(|label| place(&label.source, label.span.start.offset))
                .collect();
            format!("{} {} {:?} {:?}", problem.code, problem.message, problem.help, places)
        };
        problems.iter().map(text).collect()
    }

    #[test]
    fn problems_are_those_of_a_load() {
        let wrong = BASE.replace("proc.name in", "proc.nmae in");
        for text in [BASE, &wrong, "- rule: a\n", "- rule: a\n  desc: 'x\n"] {
            let file = RulesText::new("f", text);
            let mut checker = Checker::new(source());
            let checked = placed(&[&file], &checker.check(&[&file]));
            let result = Loader::new(source(), Vec::new()).load("f", text.as_bytes());
            let loaded: Vec<_> = result
                .problems()
                .map(|it| format!("{} {} {:?}", it.code, it.message, it.help))
                .collect();
            assert_eq!(checked.len(), loaded.len(), "{text}\n{checked:#?}\n{loaded:#?}");
            for (checked, loaded) in checked.iter().zip(&loaded) {
                assert!(checked.starts_with(loaded), "{checked} is not {loaded}");
            }
        }
    }

    #[test]
    fn only_what_a_change_concerns_is_compiled() {
        let (base, local) = (RulesText::new("base", BASE), RulesText::new("local", LOCAL));
        let mut checker = Checker::new(source());
        checker.check(&[&base, &local]);
        let tree = |checker: &Checker<Fields>, name| {
            Arc::clone(&checker.rules().rule(name).unwrap().condition)
        };
        let names = ["Shell", "Open", "Close"];
        let before = names.map(|name| tree(&checker, name));
        // An error in one rule, and then its end, concern no other.
        let wrong = base.changed(&BASE.replace("evt.type = open", "evt.type = opne"));
        assert!(checker.check(&[&wrong, &local]).iter().any(|it| it.severity.name() == "error"));
        let right = wrong.changed(&BASE.replace("/etc", "/tmp"));
        checker.check(&[&right, &local]);
        let after = names.map(|name| tree(&checker, name));
        let same = [0, 1, 2].map(|at| Arc::ptr_eq(&before[at], &after[at]));
        assert_eq!(same, [true, false, true]);
    }

    #[test]
    fn a_macro_of_a_later_file_is_an_error() {
        let first = RulesText::new("a", &BASE.replace("shell and", "late and"));
        let second = RulesText::new("b", "- macro: late\n  condition: shell\n");
        let problems = Checker::new(source()).check(&[&first, &second]);
        let errors: Vec<_> = problems.iter().filter(|it| it.severity.name() == "error").collect();
        let help = errors[0].help.as_deref();
        assert_eq!(
            (errors.len(), help),
            (1, Some("`late` is defined in b, which is loaded later"))
        );
    }

    /// Changes as editors make them: words and lines.
    fn changes() -> impl Strategy<Value = Vec<(bool, usize, usize, &'static str)>> {
        let put = prop_oneof![
            Just(""),
            Just("shell"),
            Just(" and not quiet"),
            Just("\n"),
            Just("x"),
            Just("- list: l\n  items: [a]\n"),
            Just("'"),
            Just("  tags: [a]\n"),
            Just("[shells]"),
            Just(":"),
            Just("- rule: Open\n  enabled: false\n"),
            Just("- rule: Open\n  append: true\n  condition: and shell\n"),
            Just(
                "- rule: Shell\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: INFO\n"
            ),
            Just("  source: x\n"),
        ];
        proptest::collection::vec((any::<bool>(), 0..600_usize, 0..12_usize, put), 1..8)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn problems_after_changes_are_those_of_a_first_check(changes in changes()) {
            let mut texts = [BASE.to_owned(), LOCAL.to_owned()];
            let mut files = [RulesText::new("base", BASE), RulesText::new("local", LOCAL)];
            let mut checker = Checker::new(source());
            for (first, at, len, put) in changes {
                let which = usize::from(!first);
                let text = &mut texts[which];
                let start = at.min(text.len());
                let end = (start + len).min(text.len());
                text.replace_range(start..end, put);
                files[which] = files[which].changed(text);
                let all = [&files[0], &files[1]];
                let again = placed(&all, &checker.check(&all));
                let fresh = [RulesText::new("base", &texts[0]), RulesText::new("local", &texts[1])];
                let fresh = [&fresh[0], &fresh[1]];
                let first = placed(&fresh, &Checker::new(source()).check(&fresh));
                prop_assert_eq!(again, first);
            }
        }
    }
}
