//! The web server, as the configuration wants it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use peregrine_config::ListenAddress;
use peregrine_server::{Listen, Pages, Server, ServerSettings};
use peregrine_telemetry::{Scraper, WebStats};

use super::prepare::PreparedRun;
use crate::version;

/// Starts the server where it is enabled. The run does not start without it.
pub(crate) fn start(
    prepared: &PreparedRun<'_>,
    scraper: Option<Scraper>,
    stats: Arc<WebStats>,
) -> anyhow::Result<Option<Server>> {
    let keys = &prepared.config.webserver;
    if !keys.enabled {
        return Ok(None);
    }
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
    let pages = Pages {
        health_path: keys.k8s_healthz_endpoint.clone(),
        stall_timeout: Duration::from_millis(keys.healthz_timeout.into()),
        heartbeat: prepared.controls.heartbeat().clone(),
        versions: version::json().to_string(),
        scraper: scraper.filter(|_| keys.prometheus_metrics_enabled),
        stats,
    };
    let server = Server::start(&settings, pages);
    let server = server.context("an error occurred while starting webserver")?;
    prepared.log.info(format_args!("Starting health webserver with {server}"));
    if server.address().is_on_all_interfaces() {
        prepared.log.info(
            "The webserver can be reached from the network; webserver.listen_address=127.0.0.1 or unix:///run/falco.sock \
             serves this host alone",
        );
    }
    Ok(Some(server))
}
