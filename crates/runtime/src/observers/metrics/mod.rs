//! Metrics of a run.
//!
//! The event loop hands counters over when the collecting thread wants a snapshot; that thread
//! writes reports to the alerts and to a file, and answers scrapes of the web server.

mod costs;
mod groups;
mod sink;
mod snapshot;

use std::io;
use std::sync::Arc;

use peregrine_alert::{AlertOrigin, RuleId};
use peregrine_engine::Generation;
use peregrine_engine::held::HeldStats;
use peregrine_engine::meter::RuleCost;
use peregrine_fields::Field;
use peregrine_output::{AlertSender, Delivery, Outputs, Summary};
use peregrine_probe::Live;
use peregrine_rules::Rule;
use peregrine_state::State;
use peregrine_telemetry::metrics::{RuleInfo, ThrottleStats};
use peregrine_telemetry::{Collector, CollectorSettings, Heartbeat, Ledger, Scraper};

pub(crate) use costs::SyscallCosts;
pub(crate) use groups::GroupSampler;

use sink::{Destinations, Reports};

/// Selected metrics and destinations of their reports.
pub struct MetricsSettings {
    /// Groups, interval and facts about the run.
    pub collector: CollectorSettings,
    /// The file that reports are written to.
    pub file: Option<Delivery>,
    /// Whether reports are alerts.
    pub as_alert: bool,
    /// Whether costs of system calls and rules are measured.
    pub costs: bool,
}

/// The part of metrics that belongs to the event loop.
pub struct Metrics {
    collector: Collector,
    destinations: Destinations,
    /// The active rules of the generation, by id.
    ids: Box<[RuleId]>,
    /// Names, priorities and tags of these rules.
    active: Arc<[RuleInfo]>,
    /// Names of all rules of the generation.
    names: Box<[String]>,
    live: bool,
    costs: bool,
}

/// Changes the settings of metrics, from any thread.
#[derive(Clone)]
pub struct MetricsControl {
    collector: Scraper,
    destinations: Destinations,
}

/// State of the event loop that a snapshot is taken of.
pub(crate) struct LoopState<'a> {
    /// Events that rules were evaluated on.
    pub events: u64,
    /// Matches by rule.
    pub summary: &'a Summary,
    /// What throttling has done.
    pub throttling: ThrottleStats,
    /// What waited for containers.
    pub held: HeldStats,
    /// Events left out of capture files.
    pub capture_drops: u64,
    /// The output queue.
    pub outputs: &'a Outputs,
    /// Events by control group, if they are counted.
    pub groups: Option<&'a GroupSampler>,
    /// Losses.
    pub ledger: &'a Ledger,
    /// Process and fd tables.
    pub state: &'a State,
    /// Costs of system calls, if they are measured.
    pub syscalls: Option<&'a SyscallCosts>,
    /// Costs of the rules of the generation, if they are measured.
    pub rules: &'a dyn Fn() -> Option<Vec<RuleCost>>,
}

impl Metrics {
    /// Opens the file of the reports and starts the collecting thread.
    pub fn start(
        settings: MetricsSettings,
        generation: &Generation,
        heartbeat: Arc<Heartbeat>,
        alerts: AlertSender,
        origin: &AlertOrigin,
        report: peregrine_output::Report,
    ) -> io::Result<Self> {
        let destinations = Destinations::new(alerts, report);
        destinations.configure(settings.file, settings.as_alert)?;
        let sink = Box::new(Reports::new(origin, destinations.clone()));
        let mut metrics = Self {
            collector: Collector::start(settings.collector, heartbeat, sink)?,
            destinations,
            ids: Box::default(),
            active: Arc::default(),
            names: Box::default(),
            live: false,
            costs: settings.costs,
        };
        metrics.install(generation);
        Ok(metrics)
    }

    /// Names and counts the rules of this generation from now on.
    pub(crate) fn install(&mut self, generation: &Generation) {
        let active = || generation.iter().filter(|(_, rule)| rule.active);
        self.ids = active().map(|(id, _)| id).collect();
        self.active = active().map(|(_, rule)| rule_info(rule)).collect();
        self.names = generation.iter().map(|(_, rule)| rule.name.clone()).collect();
    }

    /// A handle for changes of the settings.
    pub fn control(&self) -> MetricsControl {
        let (collector, destinations) = (self.collector.scraper(), self.destinations.clone());
        MetricsControl { collector, destinations }
    }

    /// A handle for scrapes.
    pub fn scraper(&self) -> Scraper {
        self.collector.scraper()
    }

    /// Adds the counters of the kernel side, unless they are.
    pub(crate) fn attach_kernel(&mut self, live: &Live) {
        if std::mem::replace(&mut self.live, true) {
            return;
        }
        let (kernel, plan) = snapshot::kernel(live);
        self.collector.attach_kernel(Box::new(kernel), plan.to_owned());
    }

    /// Whether costs of system calls and rules are measured.
    pub(crate) fn counts_costs(&self) -> bool {
        self.costs
    }

    /// Submits a snapshot if the collecting thread requests one. To be called at every heartbeat.
    pub(crate) fn poll(&self, event_loop: &LoopState<'_>) {
        if self.collector.wants_snapshot() {
            self.collector.submit(self.snapshot(event_loop));
        }
    }

    /// Reopens the file of the reports.
    pub(crate) fn reopen(&self) {
        self.collector.reopen();
    }
}

impl MetricsControl {
    /// Goes on with other settings, except for costs. Reports keep their numbers, and a file that
    /// stays the same stays open.
    ///
    /// # Errors
    /// When a thread cannot be created.
    pub fn configure(&self, settings: MetricsSettings) -> io::Result<()> {
        self.destinations.configure(settings.file, settings.as_alert)?;
        self.collector.configure(settings.collector);
        Ok(())
    }

    /// A handle for scrapes.
    pub fn scraper(&self) -> Scraper {
        self.collector.clone()
    }
}

fn rule_info(rule: &Rule<Field>) -> RuleInfo {
    RuleInfo {
        name: rule.name.clone(),
        priority: rule.priority as u8,
        source: rule.source.clone(),
        tags: rule.tags.clone(),
    }
}
