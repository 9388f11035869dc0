//! What other threads tell a source: those that ask container runtimes, and the API server of
//! Kubernetes.

use std::time::Duration;

use peregrine_containers::Control;
use peregrine_event::inbox::{ContainerRequests, Feed, inbox};

use crate::agent::Agent;
use crate::setup::Setup;

/// Threads that tell a source; they end when this is dropped.
#[derive(Default)]
pub struct Feeders {
    containers: Option<peregrine_containers::Service>,
    _kubernetes: Option<peregrine_kubernetes::Service>,
}

impl Feeders {
    /// What changes how container runtimes are asked, if they are.
    pub fn containers(&self) -> Option<Control> {
        self.containers.as_ref().map(peregrine_containers::Service::control)
    }
}

/// Starts those that the agent has counters for.
///
/// # Errors
/// When there can be no thread.
pub fn start(setup: &Setup, agent: &Agent) -> anyhow::Result<(Option<Feed>, Feeders)> {
    let Agent { containers, kubernetes, .. } = agent;
    if containers.is_none() && kubernetes.is_none() {
        return Ok((None, Feeders::default()));
    }
    let (sender, mut inbox) = inbox();
    if containers.is_some() && kubernetes.is_some() {
        inbox.await_one_more();
    }
    let mut feeders = Feeders::default();
    let mut requests: ContainerRequests = Box::new(|_| true);
    if let Some(counters) = containers {
        let (service, asked) = super::containers::start(setup, counters, sender.clone())?;
        (feeders.containers, requests) = (Some(service), asked);
    }
    if let Some(counters) = kubernetes {
        feeders._kubernetes = Some(super::kubernetes::start(setup, counters, sender)?);
    }
    let initial_wait = Duration::from_millis(setup.config().containers.start_wait_ms.into());
    Ok((Some(Feed { inbox, initial_wait, requests }), feeders))
}
