//! `peregrine rules fix`: applies the fixes of what is wrong with rules files.

use std::path::Path;
use std::process::ExitCode;

use anyhow::anyhow;
use peregrine_args::FixCommand;
use peregrine_authoring::fix::{Fixed, Which, fix};
use peregrine_authoring::unified_diff;
use peregrine_diagnostics::Problem;
use peregrine_files::replace;

use peregrine_wiring::print::{print, print_error};
use peregrine_wiring::setup::Setup;
use peregrine_wiring::{checks, rules};

/// Fixes the files, which are loaded together.
pub(crate) fn run(args: &FixCommand) -> anyhow::Result<ExitCode> {
    match fixed(args) {
        Ok(code) => Ok(code),
        Err(error) => {
            print_error(format!("Error: {error}\n"));
            Ok(ExitCode::from(2))
        }
    }
}

fn fixed(args: &FixCommand) -> anyhow::Result<ExitCode> {
    let setup = Setup::load(&args.config)?;
    checks::plugins(&setup)?;
    let mut files = Vec::new();
    for (name, bytes) in rules::read(&args.files)? {
        let text = String::from_utf8(bytes)
            .map_err(|_| anyhow!("{name}: stays as it is: it is not UTF-8"))?;
        files.push((name, text));
    }
    // Checks the configuration once; the loads below are the same.
    rules::loader(&setup, &args.load)?;
    let problems = |files: &[(String, String)]| -> Vec<Problem> {
        let Ok(mut loader) = rules::loader(&setup, &args.load) else { return Vec::new() };
        let results = files.iter().map(|(name, text)| loader.load(name, text.as_bytes()));
        results.flat_map(|result| result.problems().collect::<Vec<_>>()).collect()
    };
    let which = if args.all { Which::All } else { Which::Safe };
    let mut changed = false;
    for Fixed { name, before, after, done } in fix(files, which, problems) {
        if before == after {
            continue;
        }
        changed = true;
        if args.diff {
            print(unified_diff(&name, &before, &after))?;
            continue;
        }
        replace(Path::new(&name), after.as_bytes())
            .map_err(|error| anyhow!("{name}: cannot be written: {error}"))?;
        done.iter().try_for_each(|done| print(format!("{name}:{done}\n")))?;
    }
    Ok(ExitCode::from(u8::from(changed && args.diff)))
}
