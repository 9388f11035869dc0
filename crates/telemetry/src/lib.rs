//! What the engine reports about itself: losses and the reaction to them, metrics and their text
//! forms, the heartbeat of the event thread.
//!
//! Counters come from the event loop and from a [`KernelSource`]; the crate reads `/proc` for CPU
//! and memory usage itself, on the thread of a [`Collector`]. It knows no kernel interface beyond
//! that, no network and no configuration: the runtime feeds it and sends what it returns.
//!
//! ```
//! use peregrine_event::EventCounters;
//! use peregrine_telemetry::{Ledger, coverage};
//!
//! let mut counters = EventCounters::default();
//! counters.seen[0] = 1000;
//! counters.lost[0][0] = 3;
//! let mut ledger = Ledger::new(0);
//! let period = ledger.record(1_000_000_000, &[counters], &[]);
//! assert_eq!((period.events.lost(), coverage(ledger.total())), (3, 99.7));
//! ```

mod audit;
mod collector;
mod containers;
mod drops;
mod heartbeat;
mod kubernetes;
mod ledger;
pub mod metrics;
mod periodic;
mod phase;
mod reloads;
mod resources;
mod stalls;
mod timeouts;
mod web;

pub use audit::{AuditCounts, AuditOutcome, AuditStats};
pub use collector::{
    Collector, CollectorSettings, HostInfo, KernelSource, KernelStats, MetricGroups, MetricReport,
    PluginMetrics, ReportSink, Scraper, SnapshotContext,
};
pub use containers::{ContainerCounters, EngineCounters};
pub use drops::{Check, DropAction, DropMonitor, DropPolicy, LifecycleLosses, Reaction};
pub use heartbeat::{Heartbeat, PhaseGuard, StallStats, Ticker};
pub use kubernetes::KubernetesCounters;
pub use ledger::{GroupLoss, Ledger, LossInterval, Period, coverage};
pub use periodic::{Periodic, Turn};
pub use phase::Phase;
pub use reloads::{LoadedFiles, Reloads};
pub use resources::{ResourceReader, process_age};
pub use stalls::{StallChange, StallMonitor};
pub use timeouts::TimeoutMonitor;
pub use web::WebStats;
