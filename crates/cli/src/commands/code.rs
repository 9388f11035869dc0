//! `peregrine code`: what an error or warning code of a rules file or of the configuration means,
//! and what to do about it.

use peregrine_authoring::codes::{self, Code, Example};
use peregrine_authoring::lint::{Level, Lint};
use peregrine_config::ConfigCode;
use peregrine_scenario::Cause;

use peregrine_wiring::print::print;

/// Prints the page of a code, or the list of all.
pub(crate) fn run(name: Option<&str>) -> anyhow::Result<()> {
    if let Some(lint) = name.and_then(Lint::of_code) {
        return Ok(print(lint.page_text())?);
    }
    let lints = Lint::ALL.iter().map(|lint| of_lint(*lint));
    let tests = Cause::ALL.iter().map(|cause| of_test(*cause));
    let codes = codes::of_rules().chain(ConfigCode::ALL.map(of_config)).chain(lints).chain(tests);
    let codes: Vec<_> = codes.collect();
    Ok(print(match name {
        Some(name) => codes::page(&codes, name)?,
        None => codes::listing(&codes),
    })?)
}

fn of_test(cause: Cause) -> Code {
    Code {
        name: cause.id(),
        severity: "error",
        title: cause.title(),
        meaning: cause.meaning(),
        remedy: cause.remedy(),
        example: cause
            .example()
            .map_or(Example::None, |(wrong, right)| Example::File(wrong, right)),
        ..Code::WIDE
    }
}

fn of_config(code: ConfigCode) -> Code {
    Code {
        name: code.name(),
        severity: code.severity().name(),
        title: code.title(),
        meaning: code.meaning(),
        remedy: code.remedy(),
        ..Code::WIDE
    }
}

fn of_lint(lint: Lint) -> Code {
    let severity = if lint.default_level() == Level::Deny { "error" } else { "warning" };
    let page = lint.page();
    let (title, meaning, remedy) = (lint.title(), page.meaning, page.remedy);
    Code { name: lint.code(), severity, title, meaning, remedy, ..Code::WIDE }
}
