//! What is said about rules files: Falco's texts, which tools read, and the explained form, which
//! people read.

use std::io::{self, IsTerminal};

use peregrine_alert::Priority;
use peregrine_config::LogFormat;
use peregrine_rules::{Finding, LoadResult};
use peregrine_runtime::{Log, LogSettings};

use super::setup::{Setup, log_settings};
use crate::print::print_problems;

/// Whether the explained form stands alone: on a terminal.
pub fn stands_alone() -> bool {
    io::stderr().is_terminal()
}

/// Logs the warnings of a valid file in Falco's words.
pub fn log_warnings(setup: &Setup, result: &LoadResult) {
    if result.warnings().next().is_none() {
        return;
    }
    if !stands_alone() {
        setup.log.warning(result.to_text());
    } else if setup.config().log_syslog {
        let elsewhere = LogSettings { stderr: false, ..log_settings(setup.config()) };
        Log::open(elsewhere).warning(result.to_text());
    }
}

/// Prints all errors and warnings, each with its place and line.
pub fn explain<'r>(results: impl IntoIterator<Item = &'r LoadResult>) {
    for result in results.into_iter().filter(|result| !result.findings.is_empty()) {
        print_problems(&format!("{}\n", result.explanation().trim_end()));
    }
}

/// The same where a run begins: warnings of valid files follow the log. Where it does not go to
/// standard error, or in JSON, those that Falco does not give are lines of the log.
pub fn explain_run(setup: &Setup, results: &[LoadResult]) {
    let config = setup.config();
    let text = config.log_stderr && config.log_format == LogFormat::Text;
    let shown = text && setup.log.is_logged(Priority::Warning);
    explain(results.iter().filter(|result| shown || !result.successful()));
    let logged = results.iter().filter(|result| !text && result.successful());
    let own = logged.flat_map(|result| &result.findings).filter(|finding| finding.is_own());
    own.for_each(|finding| setup.log.warning(finding.to_problem().to_line()));
}

/// The error message of files with errors: Falco's text, or a line for each file where the
/// explained form stands alone.
pub fn failure(results: &[LoadResult], falco: impl FnOnce() -> String) -> String {
    if !stands_alone() {
        return falco();
    }
    let failed = results.iter().filter(|result| !result.successful());
    failed.map(verdict).collect::<Vec<_>>().join("\n")
}

/// `rules.yaml: 2 errors, 1 warning`
pub fn verdict(result: &LoadResult) -> String {
    let errors = result.findings.iter().filter(|finding| Finding::is_error(finding)).count();
    let warnings = result.findings.len() - errors;
    let counted = |count: usize, word: &str| match count {
        0 => None,
        1 => Some(format!("1 {word}")),
        _ => Some(format!("{count} {word}s")),
    };
    let counts: Vec<_> =
        [counted(errors, "error"), counted(warnings, "warning")].into_iter().flatten().collect();
    let counts = if counts.is_empty() { "ok".to_owned() } else { counts.join(", ") };
    format!("{}: {counts}", result.name)
}
