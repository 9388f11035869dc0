//! Reads rules files one after the other.

use std::sync::Arc;

use peregrine_diagnostics::{Position, Source, closest};
use peregrine_filter::{DEFAULT_MAX_DEPTH, Vocabulary, parse_operand};
use peregrine_yaml::{Node, Value, duplicate_keys, parse};

use crate::compile::Compiler;
use crate::define::{Definitions, Sources};
use crate::keys::Item;
use crate::memo::Memo;
use crate::read::Partial;
use crate::result::{Finding, LoadResult};
use crate::sources::{EventSource, OutputAddition};
use crate::syntax::Rest;
use crate::{
    Cause, ItemKind, Place, PluginRequirement, RuleSet, altered, doubtful, futile, legacy, read,
    schema, syntax,
};

/// Reads rules files one after the other. Each sees what those before it defined.
///
/// ```
/// use peregrine_fields::Fields;
/// use peregrine_rules::{EventSource, Loader};
///
/// let syscall = EventSource::syscall(Fields::syscall());
/// let mut loader = Loader::new(vec![syscall], Vec::new());
/// let result = loader.load("rules.yaml", b"
/// - macro: shell
///   condition: proc.name in (sh, bash)
/// - rule: Shell
///   desc: someone has a shell
///   condition: evt.type = execve and shel
///   output: shell %proc.name
///   priority: NOTICE
/// ");
/// assert!(!result.successful());
/// assert!(result.explanation().contains("did you mean the macro `shell`?"));
/// ```
#[derive(Debug)]
pub struct Loader<V: Vocabulary> {
    pub(crate) sources: Vec<EventSource<V>>,
    pub(crate) additions: Vec<OutputAddition>,
    pub(crate) definitions: Definitions,
    rules: RuleSet<V::Field>,
    /// Results that later files reuse.
    memo: Memo<V::Field>,
}

impl<V: Vocabulary> Loader<V> {
    /// A loader for rules about events of these sources.
    #[must_use]
    pub fn new(sources: Vec<EventSource<V>>, additions: Vec<OutputAddition>) -> Self {
        let definitions = Definitions::default();
        let (rules, memo) = (RuleSet::default(), Memo::default());
        Self { sources, additions, definitions, rules, memo }
    }

    /// Reads a file and compiles all current rules. On errors the rules stay those of the last
    /// valid file.
    pub fn load(&mut self, name: &str, content: &[u8]) -> LoadResult {
        let text = peregrine_yaml::decode(content).into_owned();
        let file = Place::file(Arc::new(Source::new(name, text)));
        let mut result =
            LoadResult { name: name.to_owned(), findings: Vec::new(), schema_warnings: None };
        let form = documents(&file, &mut result);
        if !form.known {
            return result;
        }
        warn_of_duplicate_keys(&form.documents, &file, &mut result.findings);
        let sources = KnownSources(&self.sources);
        let findings = &mut result.findings;
        let items = read::Items { documents: &form.documents, file: &file, refused: form.refused };
        match read::read(items, &mut self.definitions, &sources, findings) {
            None => {
                let compiler = Compiler::new(&self.sources, &self.additions, &self.definitions);
                compiler.compile(&mut self.rules, &mut self.memo, findings);
            }
            Some(partial) => findings.extend(self.errors_of(&partial)),
        }
        let vocabulary = |source: Option<&str>| vocabulary_of(&self.sources, source);
        futile::warn_of_fields(&self.definitions, vocabulary, Some(&file), findings);
        doubtful::warn_of_values(&self.definitions, vocabulary, Some(&file), findings);
        futile::refine_directions(&self.definitions, findings);
        result
    }

    /// Errors in the conditions and outputs of a file that has other errors too.
    fn errors_of(&self, partial: &Partial) -> Vec<Finding> {
        let mut findings = Vec::new();
        let compiler = Compiler::new(&self.sources, &self.additions, &partial.definitions);
        compiler.compile(&mut RuleSet::default(), &mut Memo::default(), &mut findings);
        findings.retain(|finding| finding.is_error() && !partial.causes(finding));
        findings
    }

    /// Discards reusable results before the next file.
    #[cfg(test)]
    pub(crate) fn forget(&mut self) {
        self.memo = Memo::default();
    }

    /// The rules of all files so far.
    #[must_use]
    pub fn rules(&self) -> &RuleSet<V::Field> {
        &self.rules
    }

    /// The rules of all files.
    #[must_use]
    pub fn into_rules(self) -> RuleSet<V::Field> {
        self.rules
    }

    /// Plugins that the files so far require, files with errors included: for each requirement its
    /// alternatives, the preferred one first.
    #[must_use]
    pub fn required_plugins(&self) -> &[Vec<PluginRequirement>] {
        &self.definitions.plugins
    }
}

/// The content of a file.
#[derive(Debug, Default)]
pub(crate) struct Form {
    pub(crate) documents: Vec<Node>,
    /// Names of items that can't be read.
    pub(crate) refused: Vec<String>,
    /// Whether there is something to read.
    pub(crate) known: bool,
}

/// The content of a file in either format. Errors of form are reported.
pub(crate) fn documents(file: &Place, result: &mut LoadResult) -> Form {
    let Source { name, text } = file.source();
    if legacy::is_legacy(name, text) {
        let document = legacy::document(file, &mut result.findings);
        let known = document.is_some();
        return Form { documents: Vec::from_iter(document), known, ..Form::default() };
    }
    if peregrine_yaml::has_bare_returns(text) {
        let message = "the lines of this file end in a carriage return alone";
        let help = "YAML reads them, but most tools see one line: replace them by line feeds";
        let place = file.spot(ItemKind::RulesContent, Position::default());
        let warning = Finding::new(Cause::BareReturns, message, place);
        result.findings.push(warning.help(Some(help.to_owned())));
    }
    let Ok(mut documents) = parse(text) else {
        let Rest { documents, refused } = syntax::explain(file, &mut result.findings);
        altered::warn(&documents, file, &mut result.findings);
        return Form { documents, refused, known: true };
    };
    // An empty document ends a file, as in the reference engine.
    if let Some(end) = documents.iter().position(Node::is_null) {
        documents.truncate(end);
    }
    documents.iter_mut().for_each(remove_tests);
    let checks: Vec<Vec<String>> = documents.iter().map(schema::check).collect();
    if let Some(first) = checks.first() {
        // A file counts as valid if its first document is.
        let valid = first.is_empty();
        let warnings = if valid { Vec::new() } else { checks.concat() };
        result.schema_warnings = Some(warnings);
    } else if text.trim().is_empty() {
        let message = "the file is empty";
        let help = "remove it from the configuration, or write rules into it";
        let place = file.spot(ItemKind::RulesContent, Position::default());
        let warning = Finding::new(Cause::EmptyFile, message, place);
        result.findings.push(warning.help(Some(help.to_owned())));
    }
    altered::warn(&documents, file, &mut result.findings);
    Form { documents, refused: Vec::new(), known: true }
}

/// The fields of a source, or those of the first one.
pub(crate) fn vocabulary_of<'v, V>(
    sources: &'v [EventSource<V>],
    name: Option<&str>,
) -> Option<&'v V> {
    let mut sources = sources.iter();
    let known = sources.find(|known| name.is_none_or(|name| known.name == name));
    known.map(|source| &source.vocabulary)
}

/// Removes the tests of rules, which are for `peregrine rules test`. Falco ignores them too.
fn remove_tests(document: &mut Node) {
    if let Value::Seq(items) = &mut document.value {
        items.retain(|item| !is_test(item));
    }
}

/// Whether an item of a rules file is a test of rules: it has the key `test`, and none that makes
/// it an item of another kind.
#[must_use]
pub fn is_test(item: &Node) -> bool {
    item.get("test").is_some() && Item::ALL.iter().all(|kind| item.get(kind.key()).is_none())
}

/// Of a key that an item has twice, the first one counts.
pub(crate) fn warn_of_duplicate_keys(
    documents: &[Node],
    file: &Place,
    findings: &mut Vec<Finding>,
) {
    for key in documents.iter().flat_map(duplicate_keys) {
        let name = key.path.rsplit('.').next().unwrap_or_default();
        let (first, again) = (key.first.start.line + 1, key.again.start.line + 1);
        let message = format!(
            "Key '{name}' is given twice, in lines {first} and {again}. The one in line {first} counts."
        );
        let place = file.spot(ItemKind::RulesContentItem, key.again.start);
        findings.push(Finding::new(Cause::DuplicateKey, message, place));
    }
}

pub(crate) struct KnownSources<'a, V>(pub(crate) &'a [EventSource<V>]);

impl<V: Vocabulary> Sources for KnownSources<'_, V> {
    fn has(&self, source: &str) -> bool {
        self.0.iter().any(|known| known.name == source)
    }

    fn similar(&self, source: &str) -> Option<&str> {
        closest(source, self.0.iter().map(|known| known.name.as_str()))
    }

    fn has_field(&self, source: &str, field: &str) -> bool {
        let Some(source) = self.0.iter().find(|known| known.name == source) else { return false };
        if field.contains('(') {
            let operand = parse_operand(field, DEFAULT_MAX_DEPTH);
            return operand.is_ok_and(|(_, len)| len == field.len());
        }
        source.vocabulary.resolve(field).is_ok_and(|resolved| resolved.len == field.len())
    }
}
