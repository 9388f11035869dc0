//! Metrics of a run.
//!
//! The event loop hands counters over when the collecting thread wants a snapshot; that thread writes reports to the alerts
//! and to a file, and answers scrapes of the web server.

mod sink;
mod snapshot;
mod tally;

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use peregrine_alert::AlertOrigin;
use peregrine_fields::Field;
use peregrine_output::{AlertSender, Delivery, Outputs, Summary};
use peregrine_probe::Live;
use peregrine_rules::Rule;
use peregrine_state::State;
use peregrine_telemetry::metrics::RuleInfo;
use peregrine_telemetry::{Collector, CollectorSettings, Heartbeat, Ledger, Scraper};

pub(crate) use tally::{RuleMeter, Tally};

use sink::Reports;

/// Which metrics there are, and where their reports go.
pub(crate) struct MetricsSettings {
    /// Groups, interval and facts of the run.
    pub(crate) collector: CollectorSettings,
    /// The file that reports are written to.
    pub(crate) file: Option<Delivery>,
    /// Reports are alerts.
    pub(crate) as_alert: bool,
    /// Costs of system calls and rules are counted.
    pub(crate) costs: bool,
}

/// The part of metrics that belongs to the event loop.
pub(crate) struct Metrics<'a> {
    collector: Collector,
    rules: &'a [Rule<Field>],
    /// Those of `rules` that are active.
    active: Arc<[RuleInfo]>,
    live: bool,
    costs: Option<Rc<Tally>>,
}

/// State of the event loop that a snapshot is taken of.
pub(crate) struct LoopState<'a> {
    /// Events that rules were evaluated on.
    pub(crate) events: u64,
    /// Matches by rule.
    pub(crate) summary: &'a Summary,
    /// The output queue.
    pub(crate) outputs: &'a Outputs,
    /// Losses.
    pub(crate) ledger: &'a Ledger,
    /// Process and fd tables.
    pub(crate) state: &'a State,
}

impl<'a> Metrics<'a> {
    /// Opens the file of the reports and starts the collecting thread.
    pub(crate) fn start(
        settings: MetricsSettings,
        rules: &'a [Rule<Field>],
        heartbeat: Arc<Heartbeat>,
        alerts: AlertSender,
        origin: &AlertOrigin,
        report: peregrine_output::Report,
    ) -> io::Result<Self> {
        let file = settings.file.map(|delivery| Outputs::start(delivery, report)).transpose()?;
        let alerts = settings.as_alert.then_some(alerts);
        let sink = Box::new(Reports::new(origin, file, alerts));
        let active = rules.iter().filter(|rule| rule.active).map(rule_info);
        Ok(Self {
            collector: Collector::start(settings.collector, heartbeat, sink)?,
            rules,
            active: active.collect(),
            live: false,
            costs: settings.costs.then(|| Rc::new(Tally::new(rules.len()))),
        })
    }

    /// A handle for scrapes.
    pub(crate) fn scraper(&self) -> Scraper {
        self.collector.scraper()
    }

    /// Adds the counters of the kernel side.
    pub(crate) fn attach_kernel(&mut self, live: &Live) {
        self.live = true;
        let (kernel, plan) = snapshot::kernel(live);
        self.collector.attach_kernel(Box::new(kernel), plan.to_owned());
    }

    /// Counts the costs of events, where they are counted.
    pub(crate) fn tally(&self) -> Option<Rc<Tally>> {
        self.costs.clone()
    }

    /// Counts the costs of rules, where they are counted.
    pub(crate) fn meter(&self) -> Option<RuleMeter> {
        self.costs.as_ref().map(Tally::meter)
    }

    /// Hands over a snapshot if the collecting thread wants one. To be called at every heartbeat.
    pub(crate) fn poll(&self, event_loop: &LoopState<'_>) {
        if self.collector.wants_snapshot() {
            self.collector.submit(self.snapshot(event_loop));
        }
    }

    /// Opens the file of the reports again.
    pub(crate) fn reopen(&self) {
        self.collector.reopen();
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
