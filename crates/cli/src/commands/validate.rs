//! `peregrine validate` and `-V`: whether rules files are valid.

use std::io::{self, IsTerminal};
use std::mem::ManuallyDrop;
use std::process::ExitCode;

use anyhow::bail;
use peregrine_diagnostics::Tool;
use peregrine_fields::Field;
use peregrine_rules::{LoadResult, NotLoaded, RuleSet};
use serde_json::json;

use super::describe;
use peregrine_args::{Described, ResultFormat, ValidateCommand};
use peregrine_wiring::print::print;
use peregrine_wiring::setup::Setup;
use peregrine_wiring::version;
use peregrine_wiring::{checks, explain, rules};

/// Loads the files one after the other, so that later ones see what earlier ones define, and prints
/// the results.
pub(crate) fn run(args: &ValidateCommand) -> anyhow::Result<ExitCode> {
    let setup = Setup::load(&args.config)?;
    checks::plugins(&setup)?;
    checks::sources(&setup, &args.load)?;
    let files = rules::named(&setup, &args.files)?;
    let texts = rules::read(&files)?;
    setup.log.info("Validating rules file(s):");
    files.iter().for_each(|name| setup.log.info(format_args!("   {name}")));

    // The process ends with the answer: freeing thousands of trees before would take a tenth of it.
    let mut loader = ManuallyDrop::new(rules::loader(&setup, &args.load)?);
    let mut results = Vec::new();
    for (name, text) in &texts {
        results.push(loader.load(name, text));
        rules::check_plugins(&setup, &loader)?;
    }
    let successful = results.iter().all(LoadResult::successful);
    let summary = summary(&setup, &results);
    let described = args.describe.as_ref().filter(|_| successful);
    let format = args.format.unwrap_or(match setup.config().json_output {
        true => ResultFormat::Json,
        false => ResultFormat::Text,
    });
    let answer = match format {
        ResultFormat::Text => text(&shown(&summary, &results), loader.rules(), described),
        ResultFormat::Json => json(&setup, &results, loader.rules(), described),
        ResultFormat::Sarif => Ok(sarif(&results)),
    };
    match answer {
        Ok(answer) => print(answer)?,
        Err(error) => return Ok(describe::not_loaded(&setup, &error)),
    }
    if format == ResultFormat::Text {
        explain::explain(&results);
    }
    if !successful {
        bail!("{}", explain::failure(&results, || summary));
    }
    Ok(ExitCode::SUCCESS)
}

/// What stands on standard output: Falco's text, or on a terminal a line for each file.
fn shown(summary: &str, results: &[LoadResult]) -> String {
    if !(io::stdout().is_terminal() && explain::stands_alone()) {
        return summary.to_owned();
    }
    results.iter().map(explain::verdict).collect::<Vec<_>>().join("\n")
}

/// The verdicts, and the description that was asked for.
fn text(
    summary: &str,
    rules: &RuleSet<Field>,
    described: Option<&Described>,
) -> Result<String, NotLoaded> {
    let mut answer = format!("{summary}\n");
    if let Some(described) = described {
        answer += &format!("\n{}", rules.describe_as_text(described.name())?);
    }
    Ok(answer)
}

/// The same as one JSON object, with Falco's keys.
fn json(
    setup: &Setup,
    results: &[LoadResult],
    rules: &RuleSet<Field>,
    described: Option<&Described>,
) -> Result<String, NotLoaded> {
    let results: Vec<_> = results.iter().map(LoadResult::to_json).collect();
    let mut answer = json!({ "falco_load_results": results });
    if let Some(described) = described {
        answer["falco_describe_results"] = describe::as_json(setup, rules, described.name())?;
    }
    Ok(format!("{answer}\n"))
}

/// All errors and warnings as a SARIF log. Its places are in files: those within a condition, which
/// has been put together from macros and exceptions, are left out.
fn sarif(results: &[LoadResult]) -> String {
    let problems = results.iter().flat_map(|result| {
        result.problems().map(|mut problem| {
            problem.labels.retain(|label| label.source.name == result.name);
            problem
        })
    });
    let tool = Tool { name: "peregrine", version: version::OWN };
    let log = peregrine_diagnostics::sarif(tool, &problems.collect::<Vec<_>>());
    format!("{log}\n")
}

/// The verdict on each file, with all errors. Warnings of valid files go into the log.
fn summary(setup: &Setup, results: &[LoadResult]) -> String {
    let parts: Vec<_> = results
        .iter()
        .map(|result| {
            if !result.successful() || result.warnings().next().is_none() {
                return result.to_text();
            }
            explain::log_warnings(setup, result);
            format!("{}: Ok, with warnings", result.name)
        })
        .collect();
    parts.join("\n")
}
