//! The web server, as the configuration wants it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use peregrine_config::{Config, ListenAddress};
use peregrine_server::{Listen, Pages, Server, ServerChange, ServerSettings, ServerSlot};
use peregrine_telemetry::Scraper;

use super::agent::Agent;
use super::setup::Setup;
use crate::version;

/// What a server is made of.
#[derive(Clone, PartialEq)]
pub struct ServerPlan {
    settings: ServerSettings,
    health_path: String,
    stall_timeout: Duration,
    /// Whether there is a page with metrics.
    metrics: bool,
}

/// The server that the configuration wants; a replay has none.
pub fn plan(setup: &Setup) -> Option<ServerPlan> {
    let config = setup.config();
    (config.webserver.enabled && !setup.replays()).then(|| ServerPlan::new(config))
}

impl ServerPlan {
    fn new(config: &Config) -> Self {
        let keys = &config.webserver;
        let settings = ServerSettings {
            listen: match &keys.listen_address {
                ListenAddress::Ip(address) => {
                    Listen::Tcp { address: address.clone(), port: keys.listen_port }
                }
                ListenAddress::Unix(path) => Listen::Unix(path.clone()),
            },
            tls_file: keys.ssl_enabled.then(|| PathBuf::from(&keys.ssl_certificate)),
            threadiness: keys.threadiness as usize,
        };
        Self {
            settings,
            health_path: keys.k8s_healthz_endpoint.clone(),
            stall_timeout: Duration::from_millis(keys.healthz_timeout.into()),
            metrics: config.metrics.enabled && keys.prometheus_metrics_enabled,
        }
    }

    fn pages(&self, agent: &Agent, scraper: Option<Scraper>) -> Pages {
        Pages {
            health_path: self.health_path.clone(),
            stall_timeout: self.stall_timeout,
            heartbeat: Arc::clone(&agent.heartbeat),
            versions: version::json().to_string(),
            scraper: scraper.filter(|_| self.metrics),
            stats: Arc::clone(&agent.web),
        }
    }
}

/// From one plan to another.
///
/// # Errors
/// The new server can't run.
pub fn change(
    old: Option<&ServerPlan>,
    new: Option<&ServerPlan>,
    agent: &Agent,
    scraper: Option<Scraper>,
) -> anyhow::Result<ServerChange> {
    if old == new {
        return Ok(ServerChange::Stay);
    }
    let new = new.map(|new| (new.settings.clone(), new.pages(agent, scraper)));
    let change = ServerChange::new(old.map(|old| &old.settings), new);
    change.context("an error occurred while starting webserver")
}

/// Puts a change into force.
pub fn apply(change: ServerChange, web: &ServerSlot, agent: &Agent) -> anyhow::Result<()> {
    let started = |server: &Server| {
        agent.log.info(format_args!("Starting health webserver with {server}"));
        if server.address().is_on_all_interfaces() {
            agent.log.info(
                "The webserver can be reached from the network; webserver.listen_address=127.0.0.1 or unix:///run/falco.sock \
                 serves this host alone",
            );
        }
    };
    web.apply(change, started).context("an error occurred while starting webserver")
}
