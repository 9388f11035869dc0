//! The API server of Kubernetes: how it is asked, and what becomes of its answers.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use peregrine_event::inbox::{InboxFull, InboxSender, Told};
use peregrine_event::{Builder, EventType};
use peregrine_kubernetes::{Cluster, Message, Notice, NoticeSink, Service, Settings, Sink};
use peregrine_runtime::Log;
use peregrine_state::KUBERNETES_EVENT;
use peregrine_telemetry::KubernetesCounters;
use serde_json::Value;

use crate::host;
use crate::setup::Setup;

/// The environment variable with the name of the node, as charts of Falco set it.
const NODE_NAME: &str = "FALCO_K8S_NODE_NAME";

/// How it is asked.
fn settings(setup: &Setup) -> Settings {
    let keys = &setup.config().kubernetes;
    let cluster = match keys.kubeconfig.as_str() {
        "" => Cluster::InCluster,
        path => Cluster::Kubeconfig(PathBuf::from(path)),
    };
    let given = |name: &str| (!name.is_empty()).then(|| name.to_owned());
    let node = given(&keys.node_name).or_else(|| {
        let config: Value = serde_json::from_str(&setup.loaded.k8smeta()?.init_config).ok()?;
        given(config.get("nodeName")?.as_str()?)
    });
    let node = node.or_else(|| given(&std::env::var(NODE_NAME).ok()?)).unwrap_or_else(host::name);
    // The collector of the plugin always watches services.
    let services = keys.services || setup.loaded.k8smeta().is_some();
    Settings { cluster, node, services }
}

/// Begins to watch. What is learned goes into the inbox.
///
/// # Errors
/// When there can be no thread.
pub fn start(
    setup: &Setup,
    counters: &Arc<KubernetesCounters>,
    inbox: InboxSender,
) -> anyhow::Result<Service> {
    let log = setup.log.clone();
    if setup.loaded.k8smeta().is_some() {
        log.info("k8smeta: the API server is asked directly; the collector is not used");
    }
    let service = Service::start(settings(setup), Arc::clone(counters), sink(inbox), notices(log));
    service.context("cannot watch the API server of Kubernetes")
}

/// Makes an event of each text.
fn sink(inbox: InboxSender) -> Sink {
    Box::new(move |message| {
        let Message::Event(json) = message else { return inbox.initial_is_complete() };
        let mut bytes = Vec::with_capacity(json.len() + 64);
        let mut event = Builder::new(EventType::AsynceventE, 0, -1);
        event.u32(0).text(KUBERNETES_EVENT).text(json);
        // A text that is too long for an event is longer than the state reads.
        let Ok(()) = event.finish(&mut bytes) else { return true };
        !matches!(inbox.try_send(Told::event(bytes)), Err(InboxFull::Full(_)))
    })
}

fn notices(log: Log) -> NoticeSink {
    Box::new(move |notice| match notice {
        Notice::Connected { .. } => log.info(notice),
        Notice::Failed { .. } | Notice::Lacks { .. } => log.warning(notice),
    })
}
