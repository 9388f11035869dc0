//! What a run needs privileges for, as the configuration says.

use peregrine_args::RunArgs;
use peregrine_config::{Config, Engine, ListenAddress};
use peregrine_runtime::privileges::{Needs, is_perf_restricted, reduce};

use super::containers;
use super::setup::Setup;

/// Ports from here on are for all users.
const FREE_PORTS: u32 = 1024;

/// Gives up what a live run does not need. To be called before the first thread starts.
pub fn drop_privileges(setup: &Setup, args: &RunArgs) {
    let config = setup.config();
    if args.dry_run || !drops(config) {
        return;
    }
    let needs = needs(config, args);
    match reduce(&needs) {
        Ok(()) => setup.log.debug(format_args!("Capabilities that are kept: {needs}")),
        Err(error) => setup.log.warning(format_args!("Privileges are not given up: {error}")),
    }
}

/// Warns of what a reloaded configuration needs that was given up at the start.
pub fn warn_of_lack(started: &Config, reloaded: &Setup, args: &RunArgs) {
    let (kept, now) = (needs(started, args), needs(reloaded.config(), args));
    for (needed, kept, what) in [
        (now.files, kept.files, "files in directories of other users"),
        (now.low_port, kept.low_port, "ports below 1024"),
        (now.programs, kept.programs, "programs"),
    ] {
        if drops(started) && needed && !kept {
            reloaded.log.warning(format_args!("The privileges for {what} need a restart"));
        }
    }
}

fn drops(config: &Config) -> bool {
    config.drop_privileges && matches!(config.engine, Engine::Live { .. })
}

fn needs(config: &Config, args: &RunArgs) -> Needs {
    let web = &config.webserver;
    let metrics = &config.metrics;
    Needs {
        monitors: true,
        counts_runs: metrics.enabled && metrics.bpf_enable_stats,
        restricted_perf: is_perf_restricted(),
        files: config.file_output.is_some()
            || config.capture.enabled
            || metrics.enabled && !metrics.output_file.is_empty()
            || web.enabled && matches!(web.listen_address, ListenAddress::Unix(_))
            || args.write.is_some()
            || args.profile_folded.is_some()
            || args.pidfile.is_some(),
        user_sockets: containers::asks_users(config),
        low_port: web.enabled && web.listen_port < FREE_PORTS,
        programs: config.program_output.is_some(),
    }
}
