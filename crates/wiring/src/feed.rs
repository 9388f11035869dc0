//! What other threads tell a source: those that ask container runtimes, and the API server of
//! Kubernetes.

use std::sync::Arc;
use std::time::Duration;

use peregrine_containers::Control;
use peregrine_event::inbox::{ContainerRequests, Feed, inbox};
use peregrine_telemetry::ContainerCounters;

use crate::setup::Setup;
use crate::{containers, kubernetes};

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

/// Starts those that are wanted, if events do not come from a file. Container runtimes are asked if
/// there are counters for that.
///
/// # Errors
/// When there can be no thread.
pub fn start(
    setup: &Setup,
    counters: Option<&Arc<ContainerCounters>>,
) -> anyhow::Result<(Option<Feed>, Feeders)> {
    let (asks_runtimes, asks_cluster) = (counters.is_some(), setup.loaded.asks_kubernetes());
    if setup.replays() || !(asks_runtimes || asks_cluster) {
        return Ok((None, Feeders::default()));
    }
    let (sender, mut inbox) = inbox();
    if asks_runtimes && asks_cluster {
        inbox.await_one_more();
    }
    let mut feeders = Feeders::default();
    let mut requests: ContainerRequests = Box::new(|_| true);
    if let Some(counters) = counters {
        let (service, asked) = containers::start(setup, counters, sender.clone())?;
        (feeders.containers, requests) = (Some(service), asked);
    }
    if asks_cluster {
        feeders._kubernetes = Some(kubernetes::start(setup, sender)?);
    }
    let initial_wait = Duration::from_millis(setup.config().containers.start_wait_ms.into());
    Ok((Some(Feed { inbox, initial_wait, requests }), feeders))
}
