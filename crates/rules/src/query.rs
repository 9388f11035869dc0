//! Conditions and outputs that are in no file, such as those of the command line.

use std::sync::Arc;

use peregrine_alert::Priority;
use peregrine_diagnostics::Source;
use peregrine_filter::Vocabulary;

use crate::compile::Compiler;
use crate::define::RuleDef;
use crate::memo::Memo;
use crate::result::LoadResult;
use crate::{Finding, Loader, Place, Rule, RuleSet};

/// Name of the text of a condition that is in no file.
pub const CONDITION: &str = "condition";
/// Name of the text of an output that is in no file.
pub const OUTPUT: &str = "output format";

impl<V: Vocabulary> Loader<V> {
    /// Compiles a condition that is in no file, such as one of the command line, as that of a rule
    /// of this source. It may use the lists and macros of the files so far. Its places are in a
    /// text named [`CONDITION`].
    #[must_use]
    pub fn condition(&self, text: &str, source: &str) -> (LoadResult, Option<Rule<V::Field>>) {
        self.query(text, "%evt.num", source)
    }

    /// The same with an output, whose places are in a text named [`OUTPUT`].
    #[must_use]
    pub fn query(
        &self,
        text: &str,
        output: &str,
        source: &str,
    ) -> (LoadResult, Option<Rule<V::Field>>) {
        let place = Place::file(Arc::new(Source::new(CONDITION, text)));
        let rule = RuleDef {
            name: CONDITION.to_owned(),
            condition: text.to_owned(),
            condition_place: place.clone(),
            condition_parts: Default::default(),
            output: output.to_owned(),
            output_place: Place::file(Arc::new(Source::new(OUTPUT, output))),
            output_parts: Default::default(),
            place,
            description: String::new(),
            priority: Priority::Debug,
            source: source.to_owned(),
            unknown_source: false,
            tags: Default::default(),
            exceptions: Vec::new(),
            enabled: true,
            capture: false,
            capture_duration: 0,
            warn_evttypes: false,
            skip_if_unknown_filter: false,
        };
        let mut definitions = self.definitions.clone();
        definitions.rules = Default::default();
        definitions.rules.put(CONDITION, rule);
        let (mut rules, mut findings) = (RuleSet::default(), Vec::new());
        let compiler = Compiler::new(&self.sources, &[], &definitions);
        compiler.compile(&mut rules, &mut Memo::default(), &mut findings);
        let is_of_query =
            |finding: &Finding| [CONDITION, OUTPUT].contains(&&*finding.place.source().name);
        findings.retain(is_of_query);
        let name = CONDITION.to_owned();
        (LoadResult { name, findings, schema_warnings: None }, rules.rules.pop())
    }
}

#[cfg(test)]
mod tests {
    use peregrine_fields::Fields;

    use super::*;
    use crate::EventSource;

    #[test]
    fn a_condition_uses_the_lists_and_macros_of_the_files() {
        let mut loader = Loader::new(vec![EventSource::syscall(Fields::syscall())], Vec::new());
        let rules = b"
- {list: shells, items: [sh, bash]}
- {macro: opened, condition: 'evt.type in (open, openat)'}
";
        assert!(loader.load("f", rules).successful());
        let (result, rule) = loader.condition("opened and proc.name in (shells)", "syscall");
        assert!(result.successful() && result.findings.is_empty(), "{}", result.to_text());
        assert_eq!(rule.unwrap().condition.checks().len(), 2);

        let (result, rule) = loader.condition("opend and proc.name = x", "syscall");
        assert!(rule.is_none());
        assert!(result.explanation().contains("condition:1:1"), "{}", result.explanation());
        assert!(result.explanation().contains("did you mean the macro `opened`?"));
    }
}
