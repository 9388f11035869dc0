//! `peregrine rules test`: the tests of rules.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;
use peregrine_args::{ConfigArgs, TestCommand, TestFormat};
use peregrine_files::{FileMode, create};
use peregrine_scenario::record::{Wanted, record};
use peregrine_scenario::report::{Format, Report, Style};
use peregrine_scenario::{Demand, RunSettings, Suite, SuiteSettings, Texts, plan, read_tests};

use peregrine_wiring::print::{print, print_error};
use peregrine_wiring::rules;
use peregrine_wiring::setup::Setup;
use peregrine_wiring::{checks, prepare};

/// Runs tests or records one. What keeps tests from running has an exit code of its own.
pub(crate) fn run(args: &TestCommand) -> anyhow::Result<ExitCode> {
    let good = attempt(args).or_else(|error| match error.is::<io::Error>() {
        true => Err(error),
        false => {
            print_error(format!("Error: {error:#}\n"));
            Ok(2)
        }
    });
    good.map(ExitCode::from)
}

fn attempt(args: &TestCommand) -> anyhow::Result<u8> {
    // What is wrong with rules that can be loaded is for `validate` and `lint` to say.
    let overrides = [&["log_level=error".to_owned()], args.config.overrides.as_slice()].concat();
    let setup = Setup::load(&ConfigArgs { overrides, ..args.config.clone() })?;
    checks::plugins(&setup)?;
    // Files that bring their rules need none of the configuration.
    let none = args.rules.rules.is_empty() && setup.loaded.rules.is_empty() && !setup.built_in();
    let configured = match none && !args.files.is_empty() {
        true => Texts::new(),
        false => rules::chosen(&setup, &args.rules.rules)?,
    };
    if let Some(capture) = &args.record {
        return record_one(&setup, args, &configured, capture);
    }
    let files = read_tests(&args.files, &configured)?;
    let names: Vec<_> = configured.iter().map(|(name, _)| name.clone()).collect();
    let mut report = Report {
        min_coverage: args.min_coverage.map(f64::from),
        shows_coverage: args.coverage || args.min_coverage.is_some(),
        ..Report::default()
    };
    for planned in plan(files, &names, !args.rules.rules.is_empty()) {
        let cases: Vec<_> = planned.cases(&args.filter).collect();
        if args.list {
            print(cases.iter().map(|case| format!("{}\n", case.name)).collect::<String>())?;
            continue;
        }
        let suite = suite(&setup, args, &planned.texts(&configured)?, &Demand::of(&cases))?;
        let settings = RunSettings { captures: args.captures.clone(), threads: None };
        let results = peregrine_scenario::run(&suite, &cases, &settings);
        report.add(&suite, results, &planned.covered);
    }
    if args.list {
        return Ok(0);
    }
    if report.results.is_empty() {
        bail!("there are no tests{}", if args.filter.is_empty() { "" } else { " of that name" });
    }
    let style = Style { colour: io::stdout().is_terminal(), verbose: args.verbose };
    if let Some(path) = &args.junit {
        let mut file = create(path, FileMode::PUBLIC)?;
        file.write_all(report.print(Format::Junit, Style::default()).as_bytes())?;
    }
    let format = match args.format {
        TestFormat::Text => Format::Text,
        TestFormat::Json => Format::Json,
        TestFormat::Junit => Format::Junit,
    };
    print(report.print(format, style))?;
    Ok(u8::from(!report.is_good()))
}

fn record_one(
    setup: &Setup,
    args: &TestCommand,
    texts: &Texts,
    capture: &Path,
) -> anyhow::Result<u8> {
    let wanted = match (args.event, &args.condition) {
        (Some(number), _) => Wanted::Number(number),
        (None, Some(text)) => Wanted::Condition(text.clone()),
        (None, None) => Wanted::Matching,
    };
    let rules = args.rule.as_deref().into_iter().collect();
    let demand = Demand { rules, conditions: args.condition.as_deref().into_iter().collect() };
    let suite = suite(setup, args, texts, &demand)?;
    print(record(&suite, capture, &wanted, args.rule.as_deref())?)?;
    Ok(0)
}

fn suite(
    setup: &Setup,
    args: &TestCommand,
    texts: &Texts,
    demand: &Demand<'_>,
) -> anyhow::Result<Suite> {
    let loader = rules::loaded(setup, &args.rules.load, texts)?;
    let settings = SuiteSettings {
        evaluation: prepare::generation_settings(setup.config()),
        content: peregrine_delivery::content(setup.config(), &[]),
        containers: setup.containers(),
    };
    let select = |set| rules::select(setup, set);
    Ok(Suite::new(loader, &rules::vocabulary(setup), settings, demand, select))
}
