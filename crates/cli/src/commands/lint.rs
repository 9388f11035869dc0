//! `peregrine rules lint`: rules that load, but do not do what they seem to.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use peregrine_args::{ConfigArgs, LintCommand, LintFormat};
use peregrine_authoring::lint::{
    Baseline, EventMix, Input, ReportFormat, Settings, cost_estimates, cost_table, lint, report,
    summary,
};
use peregrine_diagnostics::Tool;
use peregrine_files::FileMode;
use peregrine_rules::Outline;
use peregrine_scap::Reader;

use peregrine_wiring::print::{print, print_error, print_problems};
use peregrine_wiring::setup::Setup;
use peregrine_wiring::version;
use peregrine_wiring::{checks, prepare, rules};

/// Exit code where the rules could not be checked.
const NOT_CHECKED: u8 = 2;

/// Prints the findings; 1 if there is an error among them.
pub(crate) fn run(args: &LintCommand) -> anyhow::Result<ExitCode> {
    match check(args) {
        Ok(code) => Ok(ExitCode::from(code)),
        Err(error) if error.is::<std::io::Error>() => Err(error),
        Err(error) => {
            print_error(format!("Error: {error:#}\n"));
            Ok(ExitCode::from(NOT_CHECKED))
        }
    }
}

fn check(args: &LintCommand) -> anyhow::Result<u8> {
    let settings = Settings::of(&args.select, &args.allow, &args.deny)?;
    let known = args.baseline.as_deref().map(read_baseline).transpose()?;
    let mut overrides = vec!["log_level=error".to_owned()];
    overrides.extend(args.config.overrides.clone());
    let setup = Setup::load(&ConfigArgs { config: args.config.config.clone(), overrides })?;
    checks::plugins(&setup)?;
    let named: Vec<_> = args.rules.rules.iter().chain(&args.files).cloned().collect();
    let texts = rules::chosen(&setup, &named)?;
    let loader = rules::loaded(&setup, &args.rules.load, &texts)?;
    let decoded = texts.iter().map(|(name, text)| (name.as_str(), peregrine_yaml::decode(text)));
    let input = Input {
        written: &loader.written_conditions(),
        rules: &rules::select(&setup, loader.into_rules()),
        outline: &Outline::read(decoded),
        fields: &rules::vocabulary(&setup),
        matching: prepare::generation_settings(setup.config()).matching,
    };
    if args.costs {
        let mix = args.capture.as_deref().map(event_mix).transpose()?;
        print(cost_table(&cost_estimates(input, mix.as_ref())))?;
        return Ok(0);
    }
    let mut found = lint(input, &settings);
    if let Some(path) = &args.write_baseline {
        let baseline = Baseline::of(&found.findings);
        let written = peregrine_files::create(path, FileMode::PUBLIC)
            .map_err(anyhow::Error::from)
            .and_then(|mut file| Ok(file.write_all(baseline.write().as_bytes())?));
        written.map_err(|error| anyhow!("{} cannot be written: {error}", path.display()))?;
        print_error(format!("{}: {} findings\n", path.display(), baseline.len()));
        return Ok(0);
    }
    let mut notes = String::new();
    if let Some(known) = known {
        let (old, gone) = known.remove_from(&mut found.findings);
        notes += &format!(", {old} known from the baseline");
        if gone > 0 {
            notes += &format!(" ({gone} of it no longer occur: write it again)");
        }
    }
    if found.silenced > 0 {
        notes += &format!(", {} silenced by comments", found.silenced);
    }
    let tool = Tool { name: "peregrine", version: version::OWN };
    let format = match args.format {
        LintFormat::Text => ReportFormat::Text,
        LintFormat::Json => ReportFormat::Json,
        LintFormat::Sarif => ReportFormat::Sarif,
        LintFormat::Github => ReportFormat::Github,
    };
    print(report(&found.findings, format, tool))?;
    print_problems(&format!("{}{notes}\n", summary(&found.findings)));
    Ok(u8::from(found.has_errors()))
}

fn read_baseline(path: &Path) -> anyhow::Result<Baseline> {
    let name = path.display();
    let text = fs::read_to_string(path).map_err(|error| anyhow!("{name} cannot be read: {error}"));
    Baseline::read(&text?).with_context(|| name.to_string())
}

fn event_mix(path: &Path) -> anyhow::Result<EventMix> {
    let name = path.display();
    let file = File::open(path).map_err(|error| anyhow!("{name} cannot be read: {error}"))?;
    EventMix::of(&mut Reader::new(file)).map_err(|error| anyhow!("{name}: {error}"))
}
