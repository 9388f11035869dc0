//! From configuration and command line to the settings of a run.

use std::time::Duration;

use peregrine_config::CaptureMode;
use peregrine_runtime::capture::{FileSettings, MatchCaptureSettings};
use peregrine_runtime::observers::{RecordingSettings, TimeoutSettings};
use peregrine_runtime::{RunSettings, SourceSettings};
use peregrine_telemetry::{DropAction, DropPolicy};

use super::prepare::PreparedRun;

/// Everything but rules and outputs.
pub(crate) fn settings(prepared: &PreparedRun<'_>, source: SourceSettings) -> RunSettings {
    let (options, config) = (prepared.options, prepared.config);
    let drops = &config.syscall_event_drops;
    // A service that is monitored alone may have nothing to do: its silence is reported once.
    let alone = matches!(&source, SourceSettings::Live(live) if live.probe.scope.is_some());
    let waits_for_events = !matches!(source, SourceSettings::Nothing);
    let max_timeouts = config.syscall_event_timeouts.max_consecutives.get();
    RunSettings {
        source,
        state: state(prepared),
        accounts_max_wait: Duration::from_millis(config.containers.accounts_max_wait_ms.into()),
        // `-M`: zero and less is no limit.
        limit: u64::try_from(options.seconds)
            .ok()
            .filter(|&seconds| seconds > 0)
            .map(Duration::from_secs),
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
        recording: recording(prepared),
        profile: options.profile || options.profile_folded.is_some(),
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

/// Which files are recorded.
fn recording(prepared: &PreparedRun<'_>) -> RecordingSettings {
    let (keys, mode) = (&prepared.config.capture, prepared.config.files.mode);
    let matches = keys.enabled.then(|| {
        let all_rules = keys.mode == CaptureMode::AllRules;
        prepared.log.info(format_args!(
            "Capture is enabled in mode '{}'. Capturing events to {}",
            if all_rules { "all_rules" } else { "rules" },
            keys.path_prefix
        ));
        MatchCaptureSettings {
            path_prefix: keys.path_prefix.clone(),
            all_rules,
            default_duration: Duration::from_millis(keys.default_duration.into()),
            max_bytes: (keys.max_file_size_mb > 0).then_some(keys.max_file_size_mb << 20),
            mode,
        }
    });
    let all = prepared.options.write.as_deref();
    let all = all.map(|path| FileSettings { mode, ..FileSettings::by_name(path) });
    RecordingSettings { all, matches }
}

/// Sizes of the state.
pub(crate) fn state(prepared: &PreparedRun<'_>) -> peregrine_state::Config {
    peregrine_state::Config {
        max_threads: prepared.config.falco_libs.thread_table_size as usize,
        containers: prepared.containers,
        ..peregrine_state::Config::default()
    }
}
