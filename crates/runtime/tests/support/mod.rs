//! The observer of a run, as tests need it.

use std::sync::Arc;
use std::time::Duration;

use peregrine_alert::AlertOrigin;
use peregrine_engine::Generation;
use peregrine_engine::held::MaxWaits;
use peregrine_output::{ChannelSettings, Delivery, Outputs, QueueLimits};
use peregrine_runtime::Log;
use peregrine_runtime::capture::{Backpressure, MatchCaptureSettings};
use peregrine_runtime::observers::drops::Drops;
use peregrine_runtime::observers::{
    Observers, Recorder, RecordingSettings, RunObserver, TimeoutSettings,
};
use peregrine_telemetry::DropPolicy;

/// What differs from test to test.
pub(crate) struct Given {
    pub(crate) channels: Vec<ChannelSettings>,
    pub(crate) captures: MatchCaptureSettings,
    pub(crate) max_waits: MaxWaits,
    pub(crate) limit: Option<Duration>,
}

/// An observer that captures around matches. A line of the log or an incident of an output fails
/// the test.
pub(crate) fn observer(generation: &Generation, origin: &AlertOrigin, given: Given) -> RunObserver {
    let Given { channels, captures, max_waits, limit } = given;
    let delivery = Delivery {
        channels,
        buffered: true,
        queue: QueueLimits { alerts: None, bytes: 1 << 20 },
        timeout: Duration::from_secs(2),
    };
    let outputs = Outputs::start(delivery, Arc::new(|incident| panic!("{incident}"))).unwrap();
    let policy = DropPolicy {
        actions: Vec::new(),
        threshold: 0.1,
        rate: 0.03,
        max_burst: 1.0,
        simulate: false,
    };
    let recording = RecordingSettings { all: None, matches: Some(captures) };
    let log = Log::new(|_, line| panic!("{line}"));
    let parts = Observers {
        drops: Drops::new(policy, outputs.sender(), origin, log.clone()),
        recorder: Recorder::start(recording, Backpressure::Wait, &log).unwrap(),
        metrics: None,
        timeouts: TimeoutSettings { max_consecutives: 1000, repeats: true },
        stall_limit: Arc::default(),
        outputs,
        heartbeat: Arc::default(),
        max_waits,
        limit,
    };
    RunObserver::new(parts, generation, origin)
}
