//! From configuration and command line to the settings of a run.

use std::time::Duration;

use peregrine_config::{CaptureMode, Engine};
use peregrine_engine::held::MaxWaits;
use peregrine_runtime::capture::{FileSettings, MatchCaptureSettings, OldestReader};
use peregrine_runtime::observers::{RunPolicies, TimeoutSettings};
use peregrine_runtime::{RunSettings, SourceSettings};
use peregrine_telemetry::{DropAction, DropPolicy};

use super::prepare::PreparedRun;
use super::setup::Setup;

/// Everything but rules and outputs.
pub fn settings(
    prepared: &PreparedRun<'_>,
    source: SourceSettings,
    policies: RunPolicies,
) -> RunSettings {
    let (options, mode) = (prepared.options, prepared.config.files.mode);
    let oldest_reader = oldest_reader(prepared.config.capture.oldest_reader);
    if let Some(MatchCaptureSettings { all_rules, path_prefix, .. }) = &policies.captures {
        prepared.agent.log.info(format_args!(
            "Capture is enabled in mode '{}'. Capturing events to {path_prefix}",
            if *all_rules { "all_rules" } else { "rules" },
        ));
    }
    let record_all = options.write.as_deref();
    RunSettings {
        source,
        state: peregrine_state::Config {
            lookup_containers: prepared.agent.containers.is_some(),
            ..state(prepared)
        },
        policies,
        // `-M`: zero and less is no limit.
        limit: u64::try_from(options.seconds)
            .ok()
            .filter(|&seconds| seconds > 0)
            .map(Duration::from_secs),
        record_all: record_all.map(|path| FileSettings {
            mode,
            oldest_reader,
            ..FileSettings::by_name(path)
        }),
        profile: options.profile || options.profile_folded.is_some(),
    }
}

/// What a reload may change.
pub fn policies(setup: &Setup) -> RunPolicies {
    let config = setup.config();
    let drops = &config.syscall_event_drops;
    // A service that is monitored alone may have nothing to do: its silence is reported once.
    let alone = matches!(&config.engine, Engine::Live { settings, .. } if !settings.scope.cgroup.is_empty());
    let waits_for_events = !matches!(config.engine, Engine::NoDriver);
    let max_timeouts = config.syscall_event_timeouts.max_consecutives.get();
    RunPolicies {
        matchers: None,
        max_waits: MaxWaits {
            metadata: Duration::from_millis(config.containers.max_delay_ms.into()),
            accounts: Duration::from_millis(config.containers.accounts_max_wait_ms.into()),
        },
        drops: DropPolicy {
            actions: drops.actions.as_slice().iter().copied().map(drop_action).collect(),
            threshold: drops.threshold.get(),
            rate: drops.rate,
            max_burst: drops.max_burst,
            simulate: drops.simulate_drops,
        },
        timeouts: TimeoutSettings {
            max_consecutives: if waits_for_events { max_timeouts } else { u32::MAX },
            repeats: !alone,
        },
        stall_timeout: Duration::from_millis(config.webserver.healthz_timeout.into()),
        captures: captures(setup),
    }
}

fn drop_action(action: peregrine_config::DropAction) -> DropAction {
    match action {
        peregrine_config::DropAction::Ignore => DropAction::Ignore,
        peregrine_config::DropAction::Log => DropAction::Log,
        peregrine_config::DropAction::Alert => DropAction::Alert,
        peregrine_config::DropAction::Exit => DropAction::Exit,
    }
}

/// Recording around matches.
fn captures(setup: &Setup) -> Option<MatchCaptureSettings> {
    let (keys, mode) = (&setup.config().capture, setup.config().files.mode);
    keys.enabled.then(|| MatchCaptureSettings {
        path_prefix: keys.path_prefix.clone(),
        all_rules: keys.mode == CaptureMode::AllRules,
        default_duration: Duration::from_millis(keys.default_duration.into()),
        max_bytes: (keys.max_file_size_mb > 0).then_some(keys.max_file_size_mb << 20),
        mode,
        oldest_reader: oldest_reader(keys.oldest_reader),
    })
}

fn oldest_reader(key: peregrine_config::OldestReader) -> OldestReader {
    match key {
        peregrine_config::OldestReader::Falco0_42 => OldestReader::Falco0_42,
        peregrine_config::OldestReader::Falco0_43 => OldestReader::Falco0_43,
        peregrine_config::OldestReader::Falco0_44 => OldestReader::Falco0_44,
    }
}

/// Sizes of the state.
pub fn state(prepared: &PreparedRun<'_>) -> peregrine_state::Config {
    peregrine_state::Config {
        max_threads: prepared.config.falco_libs.thread_table_size as usize,
        containers: prepared.containers,
        matchers: prepared.matchers.clone(),
        ..peregrine_state::Config::default()
    }
}
