//! Plugins in libraries, written for this: what is loaded and refused, sources, fields, captures.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

use crate::answers::{Content, captures, lines, path};
use crate::json::{apart, difference, unordered};
use crate::program::{Outcome, Place, each};
use crate::report::{Report, say};

/// Files of a directory, and command lines that run in it one after the other.
#[derive(Debug, Deserialize)]
struct Case {
    case: String,
    files: BTreeMap<PathBuf, Content>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    steps: Vec<Step>,
}

/// A command line and its outcome.
#[derive(Debug, Deserialize)]
struct Step {
    args: Vec<String>,
    exit: i32,
    error: Option<String>,
    /// Lines of standard output; those that are JSON as objects.
    stdout: Option<Vec<Value>>,
    #[serde(default)]
    unordered: bool,
    /// What the plugins logged.
    log: Option<Vec<String>>,
    #[serde(default)]
    unordered_log: bool,
}

/// Runs all cases; without a C compiler, none.
pub(crate) fn run(name: &'static str) -> Option<Report> {
    let plugins = build()?;
    let cases: Vec<Case> = lines("plugins/cases.jsonl.gz");
    let mut report = Report::new(name);
    let reports = each(&cases, |case| compare(name, case, plugins.path()));
    reports.into_iter().for_each(|part| report.merge(part));
    Some(report)
}

/// A directory with the plugins. `None`, with a line that says so, where they can't be built.
fn build() -> Option<TempDir> {
    let place = tempfile::tempdir().unwrap();
    let built = Command::new("make")
        .args(["-s", "-j2", "-C"])
        .arg(path("plugins/src"))
        .arg(format!("OUT={}", place.path().display()))
        .output();
    match built {
        Ok(output) if output.status.success() => Some(place),
        // Sources that do not compile are a mistake here, a missing compiler is not.
        Ok(output) if Command::new("cc").arg("--version").output().is_ok() => {
            panic!("{}", String::from_utf8_lossy(&output.stderr))
        }
        _ => {
            let in_ci = std::env::var("PEREGRINE_CI").is_ok_and(|value| value == "1");
            assert!(!in_ci, "make and cc are needed");
            say(format_args!("SKIPPED: plugins: there is no make or no cc"));
            None
        }
    }
}

fn compare(group: &'static str, case: &Case, plugins: &Path) -> Report {
    let (place, mut report) = (Place::new(), Report::new(group));
    let names = Names { plugins, place: &place };
    for (name, content) in &case.files {
        match content {
            Content::Text(text) => place.write(name, names.put(text)),
            bytes @ Content::Bytes { .. } => place.write(name, bytes.bytes()),
        }
    }
    for (number, step) in case.steps.iter().enumerate() {
        let arguments: Vec<_> = step.args.iter().map(|argument| names.put(argument)).collect();
        let variables = case.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let outcome = place.run(arguments.iter().map(String::as_str), variables);
        let name = format!("{group}/{} {}", case.case, number + 1);
        report.add(name.clone(), step.difference(&outcome, &names));
        if let Some(want) = &step.error {
            let (want, got) = (want.replace("@CASE@/", ""), names.hide(&outcome.error()));
            report.add(format!("{name}: error"), (want != got).then(|| apart(&want, &got)));
        }
    }
    report
}

/// What names in the cases stand for.
struct Names<'a> {
    plugins: &'a Path,
    place: &'a Place,
}

impl Names<'_> {
    fn all(&self) -> [(&'static str, String); 3] {
        [
            ("@PLUGINS@", self.plugins.display().to_string()),
            ("@CASE@", self.place.folder().display().to_string()),
            ("@SCAP@", captures()),
        ]
    }

    fn put(&self, text: &str) -> String {
        let all = self.all().into_iter();
        let text = all.fold(text.to_owned(), |text, (name, value)| text.replace(name, &value));
        // The capture that the step before has recorded.
        let Some((before, rest)) = text.split_once("@GLOB:rec*.scap@") else { return text };
        let files = fs::read_dir(self.place.folder()).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        let recorded =
            names.filter(|name| name.starts_with("rec") && name.ends_with(".scap")).min();
        format!("{before}{}{rest}", recorded.unwrap_or("nothing".to_owned()))
    }

    fn hide(&self, text: &str) -> String {
        let all = self.all().into_iter();
        all.fold(text.to_owned(), |text, (name, value)| text.replace(&value, name))
    }
}

impl Step {
    fn difference(&self, outcome: &Outcome, names: &Names<'_>) -> Option<String> {
        if self.exit != outcome.code {
            return Some(format!("exit code {}, not {}", outcome.code, self.exit));
        }
        if self.error.is_some() && outcome.error().is_empty() {
            return Some("no error".to_owned());
        }
        let stdout = self.stdout.as_ref().and_then(|want| {
            let line = |line: &str| match line.starts_with('{') {
                true => serde_json::from_str(line).unwrap_or(Value::Null),
                false => Value::from(names.hide(line.trim_end())),
            };
            let got: Vec<_> = outcome.stdout.lines().map(line).collect();
            compare_lines(want, &got, self.unordered)
        });
        stdout.or_else(|| {
            let want: Vec<Value> =
                self.log.as_ref()?.iter().map(|line| line.as_str().into()).collect();
            let got: Vec<Value> = outcome
                .log()
                .into_iter()
                .filter(|line| is_of_plugins(line))
                .map(Value::from)
                .collect();
            compare_lines(&want, &got, self.unordered_log)
        })
    }
}

/// Whether a line of the log is one that these plugins write.
fn is_of_plugins(line: &str) -> bool {
    let line = line.strip_prefix("[libs]: ").unwrap_or_default();
    ["t_", "opener", "loud", "routine"].iter().any(|component| line.starts_with(component))
}

fn compare_lines(want: &[Value], got: &[Value], without_order: bool) -> Option<String> {
    match without_order {
        true => unordered(want, got),
        false => difference(&Value::from(want), &Value::from(got)),
    }
}
