//! The web server, as the configuration wants it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use peregrine_config::{Config, ListenAddress};
use peregrine_server::{Listen, Pages, Server, ServerSettings};
use peregrine_telemetry::Scraper;

use super::agent::Agent;
use super::setup::Setup;
use crate::version;

/// What a server is made of.
#[derive(Clone, PartialEq)]
pub(crate) struct ServerPlan {
    settings: ServerSettings,
    health_path: String,
    stall_timeout: Duration,
    /// Whether there is a page with metrics.
    metrics: bool,
}

/// The server of a run, if it has one. A reload may replace it.
#[derive(Clone, Default)]
pub(crate) struct WebServer(Arc<Mutex<Option<Server>>>);

/// What a reload does to the server.
#[derive(Default)]
pub(crate) enum ServerChange {
    /// Nothing.
    #[default]
    Stay,
    /// Another one listens already.
    Replace(Option<Server>),
    /// The address is the same, so the old one ends before the new one begins.
    Restart(ServerPlan, Option<Scraper>),
}

/// The server that the configuration wants; a replay has none.
pub(crate) fn plan(setup: &Setup) -> Option<ServerPlan> {
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

    fn start(&self, agent: &Agent, scraper: Option<Scraper>) -> anyhow::Result<Server> {
        let pages = Pages {
            health_path: self.health_path.clone(),
            stall_timeout: self.stall_timeout,
            heartbeat: Arc::clone(&agent.heartbeat),
            versions: version::json().to_string(),
            scraper: scraper.filter(|_| self.metrics),
            stats: Arc::clone(&agent.web),
        };
        let server = Server::start(&self.settings, pages);
        let server = server.context("an error occurred while starting webserver")?;
        agent.log.info(format_args!("Starting health webserver with {server}"));
        if server.address().is_on_all_interfaces() {
            agent.log.info(
                "The webserver can be reached from the network; webserver.listen_address=127.0.0.1 or unix:///run/falco.sock \
                 serves this host alone",
            );
        }
        Ok(server)
    }
}

impl ServerChange {
    /// From one plan to another; checks what it can.
    pub(crate) fn new(
        old: Option<&ServerPlan>,
        new: Option<&ServerPlan>,
        agent: &Agent,
        scraper: Option<Scraper>,
    ) -> anyhow::Result<Self> {
        Ok(match (old, new) {
            (old, new) if old == new => Self::Stay,
            (_, None) => Self::Replace(None),
            (Some(old), Some(new)) if old.settings.listen == new.settings.listen => {
                new.settings.check()?;
                Self::Restart(new.clone(), scraper)
            }
            (_, Some(new)) => Self::Replace(Some(new.start(agent, scraper)?)),
        })
    }
}

impl WebServer {
    /// Starts the first server. The run does not start without it.
    pub(crate) fn start(
        &self,
        plan: Option<&ServerPlan>,
        agent: &Agent,
        scraper: Option<Scraper>,
    ) -> anyhow::Result<()> {
        self.apply(ServerChange::new(None, plan, agent, scraper)?, agent)
    }

    /// Changes the server.
    ///
    /// # Errors
    /// When it can't be restarted. Then there is none.
    pub(crate) fn apply(&self, change: ServerChange, agent: &Agent) -> anyhow::Result<()> {
        let mut server = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match change {
            ServerChange::Stay => {}
            ServerChange::Replace(new) => *server = new,
            ServerChange::Restart(plan, scraper) => {
                *server = None;
                *server = Some(plan.start(agent, scraper)?);
            }
        }
        Ok(())
    }

    /// Ends the server.
    pub(crate) fn stop(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}
