//! Reads tests from the YAML of rules files and of files of tests.

mod event;
mod place;
mod test;
mod variables;

use std::path::PathBuf;
use std::sync::Arc;

use peregrine_diagnostics::{Label, Problem, Source};
use peregrine_limits::RULE_TESTS;
use peregrine_yaml::Node;

use crate::Cause;

pub use event::EventSpec;
pub use test::{Case, Count, Expected, Given, Invalid, Named, RecordedEvents, Test};

pub(crate) use event::{Assigned, open_file};
pub(crate) use test::Pick;

/// The tests of one file.
#[derive(Clone, Debug)]
pub struct TestFile {
    /// Name and text of the file.
    pub source: Arc<Source>,
    /// Its tests, each combination of `for_each` as a test of its own.
    pub tests: Vec<Case>,
    /// Names of the rules that the file defines or changes.
    pub rules: Vec<String>,
    /// Whether it has anything but tests: lists, macros, rules.
    pub has_rules: bool,
}

impl TestFile {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// When the text is not YAML.
    pub fn read(name: &str, content: &[u8]) -> Result<Self, Box<Problem>> {
        let text = peregrine_yaml::decode(content).into_owned();
        let source = Arc::new(Source::new(name, text));
        let documents = peregrine_yaml::parse(&source.text).map_err(|error| {
            let at = error.at.offset;
            Box::new(Cause::Yaml.at(&Label::bytes(Arc::clone(&source), at..at + 1), error.message))
        })?;
        let mut file = Self {
            source: Arc::clone(&source),
            tests: Vec::new(),
            rules: Vec::new(),
            has_rules: false,
        };
        for item in documents.iter().flat_map(Node::items) {
            file.item(item);
        }
        Ok(file)
    }

    fn item(&mut self, item: &Node) {
        // An item with `test` and `rule` is a rule to Falco, and most likely meant to be a test.
        let mistaken = item.get("test").is_some() && item.get("given").is_some();
        if peregrine_rules::is_test(item) || mistaken {
            let room = RULE_TESTS.get().saturating_sub(self.tests.len());
            self.tests.extend(variables::cases(item, &self.source, room));
        } else {
            self.has_rules = true;
            self.rules.extend(item.get("rule").and_then(Node::as_str).map(str::to_owned));
        }
    }

    /// The file of tests beside a rules file: `NAME.test.yaml` for `NAME.yaml`.
    pub fn tests_beside(name: &str) -> Option<String> {
        let stem = name.strip_suffix(".yaml").or_else(|| name.strip_suffix(".yml"))?;
        let candidates = [format!("{stem}.test.yaml"), format!("{stem}.test.yml")];
        candidates.into_iter().find(|path| PathBuf::from(path).is_file())
    }

    /// The file whose rules a file of tests is about: `NAME.yaml` for `NAME.test.yaml`.
    #[must_use]
    pub fn beside(name: &str) -> Option<PathBuf> {
        let stem = name.strip_suffix(".test.yaml").or_else(|| name.strip_suffix(".test.yml"))?;
        let candidates = [format!("{stem}.yaml"), format!("{stem}.yml")];
        candidates.into_iter().map(PathBuf::from).find(|path| path.is_file())
    }
}
