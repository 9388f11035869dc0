//! What other threads tell a source: those that ask the API server of Kubernetes.

use std::time::Duration;

use peregrine_event::inbox::{Feed, inbox};
use peregrine_kubernetes::Service;

use crate::kubernetes;
use crate::setup::Setup;

/// How long the first event waits for what is told about the start.
const INITIAL_WAIT: Duration = Duration::from_secs(1);

/// Threads that tell a source; they end when this is dropped.
pub struct Feeders {
    _kubernetes: Option<Service>,
}

/// Starts them, if the configuration asks for any and events do not come from a file.
///
/// # Errors
/// When there can be no thread.
pub fn start(setup: &Setup) -> anyhow::Result<(Option<Feed>, Feeders)> {
    if setup.replays() || !kubernetes::is_enabled(setup) {
        return Ok((None, Feeders { _kubernetes: None }));
    }
    let (sender, inbox) = inbox();
    let service = kubernetes::start(setup, sender)?;
    let requests = Box::new(|_: &_| false);
    let feed = Feed { inbox, initial_wait: INITIAL_WAIT, requests };
    Ok((Some(feed), Feeders { _kubernetes: Some(service) }))
}
