//! What other threads tell a source: those that ask container runtimes, and the API server of
//! Kubernetes.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use peregrine_containers::{Control, Service};
use peregrine_event::inbox::{Feed, Preview, inbox};
use peregrine_telemetry::ContainerCounters;

use super::containers;
use crate::agent::Agent;
use crate::setup::Setup;

/// Threads that tell a source; they end when this is dropped.
#[derive(Default)]
pub struct Feeders {
    containers: Option<(Service, Arc<ContainerCounters>)>,
    _kubernetes: Option<peregrine_kubernetes::Service>,
}

/// Begins to ask container runtimes, or changes how they are asked.
pub struct RuntimeControl {
    /// What is to be started or configured.
    pub control: Control,
    /// What it counts.
    pub counters: Arc<ContainerCounters>,
}

impl Feeders {
    /// What asks container runtimes, or may be told to.
    pub fn containers(&self) -> Option<RuntimeControl> {
        let (service, counters) = self.containers.as_ref()?;
        Some(RuntimeControl { control: service.control(), counters: Arc::clone(counters) })
    }
}

/// Starts those that the agent has counters for. Runtimes may also be asked later, when rules that
/// are reloaded need it. A replay has none.
///
/// # Errors
/// When there can be no thread.
pub fn start(
    setup: &Setup,
    agent: &Agent,
    preview: Option<Preview>,
) -> anyhow::Result<(Option<Feed>, Feeders)> {
    if setup.replays() {
        return Ok((None, Feeders::default()));
    }
    let (sender, mut inbox) = inbox();
    let sender = sender.with_preview(preview);
    let asks = agent.containers.is_some();
    let counters = agent.containers.clone();
    let counters = counters.unwrap_or_else(|| Arc::new(containers::counters()));
    let (service, requests) = containers::service(setup, &counters, sender.clone());
    if asks {
        let started = service.control().start(containers::settings(setup)?);
        started.context("cannot start the thread that asks container runtimes")?;
    }
    match (asks, &agent.kubernetes) {
        (true, Some(_)) => inbox.await_one_more(),
        (false, None) => _ = sender.initial_is_complete(),
        _ => {}
    }
    let kubernetes = agent.kubernetes.as_ref();
    let kubernetes = kubernetes.map(|counters| super::kubernetes::start(setup, counters, sender));
    let initial_wait = Duration::from_millis(setup.config().containers.start_wait_ms.into());
    let feed = Feed { inbox, initial_wait, requests };
    let containers = Some((service, counters));
    Ok((Some(feed), Feeders { containers, _kubernetes: kubernetes.transpose()? }))
}
