//! `peregrine run`, also without the word: processes events.

use std::fs;
use std::process::ExitCode;

use peregrine_runtime::control;

use crate::args::{RulesArgs, RunArgs, RunCommand};
use crate::signals;
use crate::wiring::rules::{self, Rules};
use crate::wiring::setup::Setup;
use crate::wiring::{checks, job};

/// Exit code if the pid file can't be written; scripts tell it from other failures.
const NO_PIDFILE: u8 = 255;

/// Runs until the events end or a signal stops it.
pub(crate) fn run(args: RunCommand) -> anyhow::Result<ExitCode> {
    let mut setup = Setup::load_for_run(&args.config)?;
    setup.loaded.config.buffered_outputs &= !args.run.unbuffered;
    start(&setup, &args.rules, &args.run, &|| ())
}

/// Runs with this configuration; `opened` is called when the kernel is being monitored.
pub(super) fn start(
    setup: &Setup,
    rules: &RulesArgs,
    args: &RunArgs,
    opened: &dyn Fn(),
) -> anyhow::Result<ExitCode> {
    let log = &setup.log;
    let Rules { texts, set } = rules::load(setup, rules)?;
    checks::outputs(setup)?;
    let (controller, controls) = control::channel();
    if !args.dry_run {
        signals::forward(controller)?;
    }
    if let Some(path) = args.pidfile.as_ref().filter(|_| !args.dry_run)
        && fs::write(path, std::process::id().to_string()).is_err()
    {
        let path = path.display();
        log.error(format_args!("Could not write pid to pidfile {path}. Exiting."));
        return Ok(ExitCode::from(NO_PIDFILE));
    }
    let job = job::job(setup, set, &texts, args, controls, opened)?;
    checks::buffers(setup)?;
    checks::metrics(setup)?;
    if args.dry_run {
        log.debug("Skipping event processing in dry-run");
        return Ok(ExitCode::SUCCESS);
    }
    crate::run::run(&job)?;
    Ok(ExitCode::SUCCESS)
}
