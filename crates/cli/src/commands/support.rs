//! `peregrine support` and `--support`: what a bug report needs, as one JSON object.

use anyhow::Context;
use peregrine_config::dump;
use serde_json::json;

use peregrine_args::SupportCommand;
use peregrine_wiring::print::print;
use peregrine_wiring::rules::{self, Rules};
use peregrine_wiring::setup::Setup;
use peregrine_wiring::version;

/// Prints the object, on one line.
pub(crate) fn run(args: &SupportCommand) -> anyhow::Result<()> {
    let setup = Setup::load(&args.config)?;
    let rules = rules::load(&setup, &args.rules)?;
    Ok(print(report(&setup, &rules)?)?)
}

fn report(setup: &Setup, rules: &Rules) -> anyhow::Result<String> {
    let system = rustix::system::uname();
    let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    let rules_files: Vec<_> = rules
        .texts
        .iter()
        .map(|(name, content)| {
            let content = String::from_utf8_lossy(content);
            json!({ "name": name, "variants": [{ "content": content }] })
        })
        .collect();
    let report = json!({
        "version": version::FALCO,
        "engine_info": version::json(),
        "system_info": {
            "sysname": text(system.sysname()),
            "nodename": text(system.nodename()),
            "release": text(system.release()),
            "version": text(system.version()),
            "machine": text(system.machine()),
        },
        "cmdline": version::command_line(),
        "config": dump(&setup.loaded.printable),
        "rules_files": rules_files,
    });
    let report = serde_json::to_string(&report).context("Could not write the report")?;
    Ok(report + "\n")
}
