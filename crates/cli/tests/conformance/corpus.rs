//! Small inputs: rules files, configurations, replays and command lines.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};

use crate::answers::{Answer, Case, Run, lines, path};
use crate::extract::extract;
use crate::json::{apart, as_texts, difference, without_order};
use crate::program::{Outcome, Place, each};
use crate::report::Report;

/// Runs all cases of a directory.
pub(crate) fn folder(name: &'static str) -> Report {
    let cases: Vec<Case> = lines(format!("corpus/{name}.jsonl.gz"));
    let mut report = Report::new(name);
    each(&cases, |case| run(name, case)).into_iter().for_each(|part| report.merge(part));
    report
}

fn run(group: &'static str, case: &Case) -> Report {
    let place = Place::new();
    place.write("../common/base.yaml", fs::read(path("corpus/base.yaml")).unwrap());
    case.files.iter().for_each(|(name, content)| place.write(name, content.bytes()));
    let mut report = Report::new(group);
    for run in &case.runs {
        let variables = run.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let outcome = place.run(run.args.iter().map(String::as_str), variables);
        compare(&format!("{} {}", case.case, run.what), run, &outcome, &place, &mut report);
    }
    report
}

/// Compares an outcome with the recorded one: the answer itself, and its wording.
fn compare(name: &str, run: &Run, outcome: &Outcome, place: &Place, report: &mut Report) {
    let counters = || run.stderr.as_ref().and_then(|want| texts(want, &outcome.counters()));
    let different = exit(run, outcome)
        .or_else(|| answer(run, outcome))
        .or_else(|| written(run, place))
        .or_else(counters);
    report.add(name.to_owned(), different);
    if let Answer::LoadResults(want) = &run.answer {
        let got = serde_json::from_str(&outcome.stdout).unwrap_or_default();
        report.add(format!("{name}: wording"), difference(want, &got));
    }
    if let Some(want) = &run.error {
        let got = outcome.error();
        report.add(format!("{name}: error"), (*want != got).then(|| apart(want, &got)));
    }
    if let Some(want) = &run.log {
        let mut got = outcome.log();
        // Machines differ.
        got.retain(|line| !line.starts_with("System info:") && !line.starts_with("CLI args"));
        report.add(format!("{name}: log"), texts(want, &got));
    }
}

fn exit(run: &Run, outcome: &Outcome) -> Option<String> {
    let right = run.exit.map_or((0..=1).contains(&outcome.code), |code| code == outcome.code);
    let why = || format!("exit code {}, want {:?}\n{}", outcome.code, run.exit, outcome.error());
    (!right).then(why)
}

fn answer(run: &Run, outcome: &Outcome) -> Option<String> {
    let stdout = outcome.stdout.as_str();
    let got = serde_json::from_str::<Value>(stdout);
    match &run.answer {
        Answer::None => None,
        Answer::AnyJson => got.err().map(|error| format!("no JSON: {error}")),
        Answer::LoadResults(want) => match got {
            Ok(got) => difference(&codes(want), &codes(&got)),
            Err(error) => Some(format!("no JSON: {error}")),
        },
        Answer::Description(want) => match got {
            Ok(got) => difference(&without_order(want), &without_order(&got)),
            Err(error) => Some(format!("no JSON: {error}")),
        },
        Answer::Effective(want) => {
            let config = got.ok().and_then(|got| Some(got.get("config")?.as_str()?.to_owned()));
            let config = config.and_then(|text| serde_json::from_str(&text).ok());
            let (want, mut got) = (as_texts(want), as_texts(&config.unwrap_or(Value::Null)));
            expand_variables(&want, &mut got, &run.env);
            difference(&want, &got)
        }
        Answer::Lines(want) => texts(want, &stdout.lines().collect::<Vec<_>>()),
        Answer::Extract { how, value } => difference(value, &extract(how, outcome)),
    }
}

/// `--support` shows variables of the environment by their names, the reference shows their values.
fn expand_variables(want: &Value, got: &mut Value, variables: &BTreeMap<String, String>) {
    match (want, got) {
        (Value::String(want), Value::String(got)) if want != got => {
            let expanded = peregrine_config::expand(got, &|name| variables.get(name).cloned());
            *got = expanded.unwrap_or_else(|| got.clone());
        }
        (Value::Array(want), Value::Array(got)) => {
            want.iter().zip(got).for_each(|(want, got)| expand_variables(want, got, variables));
        }
        (Value::Object(want), Value::Object(got)) => {
            for (key, got) in got {
                expand_variables(want.get(key).unwrap_or(&Value::Null), got, variables);
            }
        }
        _ => {}
    }
}

/// For each file whether it is valid, and the codes of errors and warnings.
fn codes(results: &Value) -> Value {
    let items = |of: &Value, key: &str| of[key].as_array().cloned().unwrap_or_default();
    let codes = |of: &Value, key: &str| -> Vec<Value> {
        items(of, key).iter().map(|finding| finding["code"].clone()).collect()
    };
    let results: Vec<_> = items(results, "falco_load_results")
        .iter()
        .map(|file| json!([file["successful"], codes(file, "errors"), codes(file, "warnings")]))
        .map(|file| without_order(&file))
        .collect();
    Value::Array(results)
}

fn written(run: &Run, place: &Place) -> Option<String> {
    run.written.iter().find_map(|(name, want)| {
        let got = fs::read_to_string(place.folder().join(name)).unwrap_or_default();
        texts(want, &got.lines().collect::<Vec<_>>())
    })
}

/// Lines that are JSON are compared as such.
fn texts(want: &[String], got: &[impl AsRef<str>]) -> Option<String> {
    let object = |line: &str| serde_json::from_str::<Value>(line).ok().filter(Value::is_object);
    for at in 0..want.len().max(got.len()) {
        let want = want.get(at).map_or("(end)", String::as_str);
        let got = got.get(at).map_or("(end)", AsRef::as_ref);
        let objects = object(want).zip(object(got));
        if want != got && objects.is_none_or(|(want, got)| want != got) {
            return Some(format!("line {}{}", at + 1, apart(want, got)));
        }
    }
    None
}
