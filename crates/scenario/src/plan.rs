//! Which files have tests, and which rules the tests of each run against.

use std::io;
use std::path::{Path, PathBuf};

use peregrine_diagnostics::Problem;
use thiserror::Error;

use crate::{Case, TestFile};

/// Names and texts of files.
pub type Texts = Vec<(String, Vec<u8>)>;

/// Why files of tests can't be read.
#[derive(Debug, Error)]
pub enum FilesError {
    /// A file can't be read.
    #[error("cannot read {0}: {1}")]
    Read(String, io::Error),
    /// A directory can't be read.
    #[error("{0}")]
    Directory(String),
    /// A file is not YAML.
    #[error("the file is not YAML\n{0}")]
    Yaml(Box<Problem>),
}

/// The files with tests: those that are `named`, which may be directories, or else the rules files
/// of the configuration; and the files of tests beside each.
///
/// # Errors
/// When one of them can't be read.
pub fn read_tests(named: &[String], configured: &Texts) -> Result<Vec<TestFile>, FilesError> {
    let mut texts = if named.is_empty() { configured.clone() } else { Texts::new() };
    for path in named {
        let found = peregrine_rules::files_at(path);
        let found = found.map_err(|error| FilesError::Directory(error.to_string()))?.files;
        let found = if found.is_empty() { vec![path.clone()] } else { found };
        for name in found {
            texts.push(read(&name)?);
        }
    }
    let beside: Vec<_> =
        texts.iter().filter_map(|(name, _)| TestFile::tests_beside(name)).collect();
    for name in beside {
        if texts.iter().all(|(known, _)| *known != name) {
            texts.push(read(&name)?);
        }
    }
    let file = |(name, text): &(String, Vec<u8>)| TestFile::read(name, text);
    texts.iter().map(file).collect::<Result<_, _>>().map_err(FilesError::Yaml)
}

fn read(name: &str) -> Result<(String, Vec<u8>), FilesError> {
    let text = peregrine_rules::read_file(Path::new(name));
    let text = text.map_err(|error| FilesError::Read(name.to_owned(), error))?;
    Ok((name.to_owned(), text))
}

/// Files of tests that run against the same rules.
#[derive(Clone, Debug)]
pub struct PlannedSuite {
    /// Names of the rules files, in the order of loading.
    pub rules: Vec<String>,
    /// The files with the tests.
    pub files: Vec<TestFile>,
    /// Names of the rules that the tests should cover.
    pub covered: Vec<String>,
}

/// Files by the rules that their tests run against, in the order of the files.
///
/// Tests in a rules file, or in a file beside it, run against the `configured` rules if these
/// include it. Otherwise they run against that file alone, or against the configured rules and then
/// that file if the command line has `named` these. Tests of any other file run against the
/// configured rules.
#[must_use]
pub fn plan(files: Vec<TestFile>, configured: &[String], named: bool) -> Vec<PlannedSuite> {
    let mut suites: Vec<PlannedSuite> = Vec::new();
    for file in files.into_iter().filter(|file| !file.tests.is_empty()) {
        let own = own_rules(&file);
        let mut rules = configured.to_vec();
        if let Some((own, _)) = &own
            && !configured.iter().any(|name| is_same(name, own))
        {
            if !named {
                rules.clear();
            }
            rules.push(own.clone());
        }
        let covered = own.map_or_else(|| tested(&file), |(_, covered)| covered);
        let at = suites.iter().position(|suite| suite.rules == rules).unwrap_or_else(|| {
            suites.push(PlannedSuite { rules, files: Vec::new(), covered: Vec::new() });
            suites.len() - 1
        });
        if let Some(suite) = suites.get_mut(at) {
            let new = covered.into_iter().filter(|rule| !suite.covered.contains(rule));
            let new: Vec<_> = new.collect();
            suite.covered.extend(new);
            suite.files.push(file);
        }
    }
    suites
}

impl PlannedSuite {
    /// The texts of its rules files, those of the configuration as they are known.
    ///
    /// # Errors
    /// When one of them can't be read.
    pub fn texts(&self, configured: &Texts) -> Result<Texts, FilesError> {
        let text = |name: &String| {
            let known = configured.iter().find(|(known, _)| known == name);
            known.map_or_else(|| read(name), |text| Ok(text.clone()))
        };
        self.rules.iter().map(text).collect()
    }

    /// The tests whose names, or names of rules, contain a text.
    pub fn cases<'a>(&'a self, filter: &'a str) -> impl Iterator<Item = &'a Case> {
        let cases = self.files.iter().flat_map(|file| &file.tests);
        cases.filter(move |case| {
            let rules = case.test.as_ref().map(|test| test.rules.as_slice()).unwrap_or_default();
            case.name.contains(filter) || rules.iter().any(|rule| rule.name.contains(filter))
        })
    }
}

/// The rules file that a file of tests is about, with the names of its rules.
fn own_rules(file: &TestFile) -> Option<(String, Vec<String>)> {
    if file.has_rules {
        return Some((file.source.name.clone(), file.rules.clone()));
    }
    let beside = TestFile::beside(&file.source.name)?;
    let text = peregrine_rules::read_file(&beside).ok()?;
    let name = beside.to_string_lossy().into_owned();
    let rules = TestFile::read(&name, &text).map(|file| file.rules).unwrap_or_default();
    Some((name, rules))
}

/// The rules that the tests of a file name.
fn tested(file: &TestFile) -> Vec<String> {
    let tests = file.tests.iter().filter_map(|case| case.test.as_ref().ok());
    let mut names = Vec::new();
    for rule in tests.flat_map(|test| &test.rules) {
        if !names.contains(&rule.name) {
            names.push(rule.name.clone());
        }
    }
    names
}

fn is_same(one: &str, other: &str) -> bool {
    let canonical = |name: &str| -> Option<PathBuf> { Path::new(name).canonicalize().ok() };
    one == other || canonical(one).is_some_and(|path| Some(path) == canonical(other))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const RULE: &str =
        "- {rule: r, desc: d, condition: evt.type = open, output: o, priority: INFO}\n";
    const TEST: &str = "- {test: t, rules: r, given: {evt.type: open}, match: true}\n";

    #[test]
    fn tests_run_against_the_set_that_includes_their_rules() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).to_string_lossy().into_owned();
        fs::write(path("a.yaml"), RULE).unwrap();
        let file = |name: &str, text: &str| TestFile::read(&path(name), text.as_bytes()).unwrap();
        let rules = |file: TestFile, named: bool, configured: &[&str]| {
            let configured: Vec<_> = configured.iter().map(|name| path(name)).collect();
            let mut suites = plan(vec![file], &configured, named);
            let suite = suites.remove(0);
            assert_eq!(suite.covered, ["r"]);
            let name = |name: &String| name.rsplit('/').next().unwrap().to_owned();
            suite.rules.iter().map(name).collect::<Vec<_>>()
        };
        let both = format!("{RULE}{TEST}");
        assert_eq!(rules(file("a.yaml", &both), false, &["base.yaml"]), ["a.yaml"]);
        assert_eq!(rules(file("a.yaml", &both), true, &["base.yaml"]), ["base.yaml", "a.yaml"]);
        assert_eq!(
            rules(file("a.yaml", &both), false, &["a.yaml", "b.yaml"]),
            ["a.yaml", "b.yaml"]
        );
        assert_eq!(rules(file("a.test.yaml", TEST), false, &["base.yaml"]), ["a.yaml"]);
        assert_eq!(rules(file("other.yaml", TEST), false, &["base.yaml"]), ["base.yaml"]);
    }
}
