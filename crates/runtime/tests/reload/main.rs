//! A run that is asked for a reload goes on with the new rules, and counts by rule over both
//! generations.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on has failed")]

mod live;
mod load;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use peregrine_alert::{AlertOrigin, RuleRegistry};
use peregrine_engine::held::MaxWaits;
use peregrine_engine::select::SyscallSet;
use peregrine_engine::{AlertContent, Generation, GenerationSettings, Matching};
use peregrine_event::render::Buffers;
use peregrine_fields::Fields;
use peregrine_files::FileMode;
use peregrine_output::{
    AlertFilter, ChannelOutput, ChannelSettings, Delivery, FileOutput, Format, Layout, Outputs,
    OutputsPlanner, QueueLimits, WhenFull,
};
use peregrine_probe::bpf::KernelTypes;
use peregrine_rules::{EventSource, Loader};
use peregrine_runtime::control::channel;
use peregrine_runtime::observers::{RunPolicies, TimeoutSettings};
use peregrine_runtime::{
    Log, MetricsChange, Run, RunContext, RunReport, RunSettings, SourceSettings, Update,
};
use peregrine_telemetry::DropPolicy;

const OLD: &str = "\
- {rule: all, desc: d, condition: evt.num > 0, output: old %evt.num, priority: INFO}
";
const NEW: &str = "\
- {rule: late, desc: d, condition: evt.num > 5, output: late %evt.num, priority: INFO}
- {rule: all, desc: d, condition: evt.num > 0, output: new %evt.num, priority: INFO}
";

/// Rules of which all matches are alerts, with the syscalls that a live run reports.
fn generation(rules: &str, origin: &AlertOrigin, selected: SyscallSet) -> Arc<Generation> {
    let fields = Fields::syscall();
    let mut loader = Loader::new(vec![EventSource::syscall(fields.clone())], Vec::new());
    let result = loader.load("rules.yaml", rules.as_bytes());
    assert!(result.successful(), "{}", result.explanation());
    let settings = GenerationSettings { matching: Matching::All, selected, ..Default::default() };
    let generation = Generation::new(loader.into_rules(), origin.registry(), settings);
    let content =
        AlertContent { fields: false, context: &[], iso_time: false, buffers: Buffers::Dots };
    Arc::new(generation.with_alerts(origin, content, &fields).unwrap())
}

fn settings(source: SourceSettings) -> RunSettings {
    RunSettings {
        source,
        state: peregrine_state::Config::default(),
        limit: None,
        policies: policies(),
        record_all: None,
        profile: false,
    }
}

fn policies() -> RunPolicies {
    let drops = DropPolicy {
        actions: Vec::new(),
        threshold: 0.1,
        rate: 0.03,
        max_burst: 1.0,
        simulate: false,
    };
    RunPolicies {
        matchers: None,
        max_waits: MaxWaits { metadata: Duration::ZERO, accounts: Duration::ZERO },
        drops,
        timeouts: TimeoutSettings { max_consecutives: 1000, repeats: true },
        stall_timeout: Duration::ZERO,
        captures: None,
    }
}

/// Other rules, and nothing else.
fn update(generation: Arc<Generation>, outputs: &OutputsPlanner, delivery: Delivery) -> Update {
    let outputs = outputs.prepare(delivery).unwrap();
    let (policies, metrics, types) = (policies(), MetricsChange::Stay, KernelTypes::read().ok());
    Update { generation, outputs, policies, metrics, types }
}

/// Writes the text of alerts to a file, at once unless `buffered`.
fn outputs(path: &Path, buffered: bool) -> Outputs {
    Outputs::start(delivery(path, buffered), Arc::new(|incident| panic!("{incident}"))).unwrap()
}

fn delivery(path: &Path, buffered: bool) -> Delivery {
    let file = FileOutput::new(path.to_owned(), FileMode::PRIVATE);
    let (output, when_full) = (ChannelOutput::File(file), WhenFull::DropNewest);
    let (format, filter) = (Format::new(Layout::Text), AlertFilter::default());
    Delivery {
        channels: vec![ChannelSettings { output, format, filter, when_full, spool: None }],
        buffered,
        queue: QueueLimits { alerts: None, bytes: 64 << 20 },
        timeout: Duration::from_secs(2),
    }
}

/// Replays a capture with a reload after its first event. Gives the number of alerts of the old
/// rules.
fn replay(capture: PathBuf) -> u64 {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("alerts");
    let origin = AlertOrigin::new(Arc::new(RuleRegistry::new()), "HOST");
    let old = generation(OLD, &origin, SyscallSet::default());
    let (controller, controls) = channel();
    let outputs = outputs(&path, true);
    // The loop receives it after the first event.
    let new = generation(NEW, &origin, SyscallSet::default());
    let installed = controller.reload(update(new, &outputs.planner(), delivery(&path, true)));
    let context = RunContext {
        generation: Arc::clone(&old),
        outputs,
        origin,
        metrics: None,
        feed: None,
        log: Log::new(|_, line| panic!("{line}")),
        opened: &|| (),
        others: Vec::new(),
        plugins: Vec::new(),
        parser: None,
    };
    let report =
        Run::prepare(settings(SourceSettings::Replay(capture)), context).unwrap().run(&controls);

    let RunReport { result, summary, events, .. } = report;
    result.unwrap();
    installed.recv().unwrap();
    let alerts = std::fs::read_to_string(path).unwrap();
    let texts: Vec<_> =
        alerts.lines().filter_map(|line| line.split_once("Informational ")).collect();
    let of = |word: &str| texts.iter().filter(|(_, text)| text.starts_with(word)).count() as u64;
    // Rules are not evaluated for a first event that describes the machine.
    assert!(of("old") <= 1);
    assert_eq!(of("old") + of("new"), events);
    let counted: Vec<_> = summary.rules().map(|(name, count)| (name.to_owned(), count)).collect();
    assert_eq!(counted, [("all".to_owned(), events), ("late".to_owned(), of("late"))]);
    of("old")
}

#[test]
fn a_reload_takes_effect_between_two_events() {
    let captures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../conformance/captures");
    let captures = std::fs::read_dir(captures).unwrap().map(|entry| entry.unwrap().path());
    let scap =
        captures.filter(|path| path.extension().is_some_and(|extension| extension == "scap"));
    let old: Vec<_> = scap.map(replay).collect();
    assert!(old.contains(&1) && old.len() > 1, "{old:?}");
}
