//! The web server, as the configuration wants it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use peregrine_server::{Pages, Server, ServerSettings};
use peregrine_telemetry::{Heartbeat, Scraper};

use super::prepare::PreparedRun;
use crate::version;

/// Starts the server where it is enabled. The run does not start without it.
pub(crate) fn start(
    prepared: &PreparedRun<'_>,
    heartbeat: &Arc<Heartbeat>,
    scraper: Option<Scraper>,
) -> anyhow::Result<Option<Server>> {
    let keys = &prepared.config.webserver;
    if !keys.enabled {
        return Ok(None);
    }
    let settings = ServerSettings {
        address: keys.listen_address.as_str().to_owned(),
        port: keys.listen_port,
        tls_file: keys.ssl_enabled.then(|| PathBuf::from(&keys.ssl_certificate)),
        threadiness: keys.threadiness as usize,
    };
    let pages = Pages {
        health_path: keys.k8s_healthz_endpoint.clone(),
        stall_timeout: Duration::from_millis(keys.healthz_timeout.into()),
        heartbeat: heartbeat.clone(),
        versions: version::json().to_string(),
        scraper: scraper.filter(|_| keys.prometheus_metrics_enabled),
    };
    let server = Server::start(&settings, pages);
    let server = server.context("an error occurred while starting webserver")?;
    prepared.log.info(format_args!("Starting health webserver with {server}"));
    Ok(Some(server))
}
