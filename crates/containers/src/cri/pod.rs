//! A pod, as its sandbox describes it, and the containers in it.

use std::collections::BTreeMap;

use peregrine_state::{Container, ContainerKind, HealthProbe, Mount, ProbeKind, Resources};
use serde_json::{Map, Value};

use super::messages::{NODE, SandboxStatus};
use crate::cri::image::ImageNames;
use crate::json::{flag, items, labels, number, text, texts};
use crate::oci::Spec;
use crate::told::short_id;

/// Bytes of a network plugin's answer that are kept, as in the reference.
const CNI_BYTES: usize = 4096;
/// The name that Kubernetes gives the container that holds the namespaces of a pod.
const SANDBOX_NAME: &str = "POD";

/// The sandbox of a pod. What the runtime did not say is empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Pod {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) uid: String,
    pub(crate) labels: BTreeMap<String, String>,
    /// What the kubelet executes in its containers, by their names.
    pub(crate) probes: BTreeMap<String, Vec<HealthProbe>>,
    pub(crate) ip: String,
    pub(crate) cni: String,
    pub(crate) host_network: bool,
    pub(crate) host_pid: bool,
    pub(crate) host_ipc: bool,
    pub(crate) privileged: bool,
    /// Nanoseconds since the epoch.
    pub(crate) created: i64,
    /// Image of the sandbox itself, where there is one.
    pub(crate) image: ImageNames,
    /// User and environment of the process of the sandbox.
    pub(crate) user: Option<i64>,
    pub(crate) env: Vec<String>,
    /// That process as the host knows it, or 0.
    pub(crate) pid: i64,
    pub(crate) resources: Resources,
}

/// A container in a pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PodContainer {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) sandbox: String,
    /// Nanoseconds since the epoch.
    pub(crate) created: i64,
    pub(crate) image: ImageNames,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) mounts: Vec<Mount>,
    pub(crate) env: Vec<String>,
    pub(crate) user: Option<i64>,
    pub(crate) privileged: bool,
    pub(crate) resources: Resources,
    /// Bytes of its writable layer; -1 if not asked for.
    pub(crate) size: i64,
    /// Its first process as the host knows it, or 0.
    pub(crate) pid: i64,
}

/// The annotation that `kubectl apply` writes.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

impl Pod {
    /// From the answer of a CRI runtime; `info` is the JSON that it adds when asked for details.
    pub(crate) fn from_status(status: SandboxStatus, info: &Value, image: ImageNames) -> Self {
        let metadata = status.metadata.unwrap_or_default();
        let options = status.linux.and_then(|linux| linux.namespaces);
        let options = options.and_then(|namespaces| namespaces.options).unwrap_or_default();
        let spec = info.get("runtimeSpec").unwrap_or(&Value::Null);
        let privileged = flag(info, "/config/linux/security_context/privileged");
        Self {
            id: status.id,
            name: metadata.name,
            namespace: metadata.namespace,
            uid: metadata.uid,
            labels: status.labels,
            probes: status
                .annotations
                .get(LAST_APPLIED)
                .map_or_else(BTreeMap::new, |it| probes(it)),
            ip: status.network.unwrap_or_default().ip,
            cni: cni(info.get("cniResult"), Spec(spec)),
            host_network: options.network == NODE,
            host_pid: options.pid == NODE,
            host_ipc: options.ipc == NODE,
            privileged: privileged
                || Spec(spec).annotation("io.kubernetes.cri-o.PrivilegedRuntime") == "true",
            created: status.created_at,
            image,
            user: Spec(spec).uid(),
            env: Spec(spec).env(),
            pid: number(info, "/pid"),
            resources: Spec(spec).resources(),
        }
    }

    /// From the metadata that containerd keeps with the sandbox, and its specification.
    pub(crate) fn from_metadata(metadata: &Value, spec: Spec<'_>) -> Self {
        let config = metadata.get("Config").unwrap_or(&Value::Null);
        let host = |kind: &str| {
            let mode = format!("/linux/security_context/namespace_options/{kind}");
            config.pointer(&mode).and_then(Value::as_i64) == Some(i64::from(NODE))
        };
        let privileged = flag(config, "/linux/security_context/privileged");
        let annotation = config.get("annotations").and_then(|all| all.get(LAST_APPLIED));
        Self {
            id: text(metadata, "/ID"),
            name: text(config, "/metadata/name"),
            namespace: text(config, "/metadata/namespace"),
            uid: text(config, "/metadata/uid"),
            labels: labels(config, "/labels"),
            probes: annotation.and_then(Value::as_str).map_or_else(BTreeMap::new, probes),
            ip: text(metadata, "/IP"),
            cni: cni(metadata.get("CNIResult"), spec),
            host_network: host("network"),
            host_pid: host("pid"),
            host_ipc: host("ipc"),
            privileged,
            created: 0,
            image: ImageNames::default(),
            user: spec.uid(),
            env: spec.env(),
            pid: 0,
            resources: spec.resources(),
        }
    }

    /// Whether nothing more will become known: its network has been set up.
    pub(crate) fn is_complete(&self) -> bool {
        self.host_network || !self.ip.is_empty()
    }

    /// Describes the sandbox itself, in which the pause process runs.
    pub(crate) fn describe(&self, kind: ContainerKind) -> Container {
        let own = PodContainer {
            id: self.id.clone(),
            name: SANDBOX_NAME.to_owned(),
            sandbox: self.id.clone(),
            created: self.created,
            image: self.image.clone(),
            labels: self.labels.clone(),
            mounts: Vec::new(),
            env: self.env.clone(),
            user: self.user,
            privileged: self.privileged,
            resources: self.resources,
            size: -1,
            pid: self.pid,
        };
        let container = own.describe(kind, Some(self));
        Container { is_pod_sandbox: true, ..container }
    }
}

impl PodContainer {
    /// Describes it.
    pub(crate) fn describe(self, kind: ContainerKind, pod: Option<&Pod>) -> Container {
        let mut labels = self.labels;
        let mut add = |name: &str, value: &str| {
            if !value.is_empty() {
                labels.insert(name.to_owned(), value.to_owned());
            }
        };
        add("io.kubernetes.sandbox.id", &self.sandbox);
        if let Some(pod) = pod {
            add("io.kubernetes.pod.name", &pod.name);
            add("io.kubernetes.pod.namespace", &pod.namespace);
            add("io.kubernetes.pod.uid", &pod.uid);
        }
        let default = Pod::default();
        let pod = pod.unwrap_or(&default);
        Container {
            id: short_id(&self.id).to_owned(),
            probes: pod.probes.get(&self.name).cloned().unwrap_or_default(),
            full_id: self.id,
            kind,
            name: self.name,
            image: self.image.name,
            image_id: self.image.id,
            image_repo: self.image.repository,
            image_tag: self.image.tag,
            image_digest: self.image.digest,
            ip: pod.ip.clone(),
            user: self.user.map(|uid| uid.to_string()).unwrap_or_default(),
            privileged: self.privileged,
            host_pid: pod.host_pid,
            host_network: pod.host_network,
            host_ipc: pod.host_ipc,
            mounts: self.mounts,
            labels,
            env: self.env,
            pod_sandbox_id: self.sandbox,
            pod_sandbox_labels: pod.labels.clone(),
            pod_sandbox_cni: pod.cni.clone(),
            created: self.created / 1_000_000_000,
            resources: self.resources,
            size: self.size,
            pid: self.pid,
            ..Container::default()
        }
    }
}

/// The answer of the network plugin: what containerd keeps of the interfaces of the pod, or what
/// CRI-O keeps in an annotation.
fn cni(result: Option<&Value>, spec: Spec<'_>) -> String {
    let interfaces = result.and_then(|result| result.get("Interfaces")).and_then(Value::as_object);
    let mut text = match interfaces {
        Some(interfaces) => {
            let own = |name: &str| name != "lo" && !name.starts_with("veth");
            let own = interfaces.iter().filter(|(name, _)| own(name));
            let own: Map<_, _> = own.map(|(name, value)| (name.clone(), value.clone())).collect();
            Value::Object(own).to_string()
        }
        None => spec.annotation("io.kubernetes.cri-o.CNIResult").to_owned(),
    };
    text.truncate(text.floor_char_boundary(CNI_BYTES));
    text
}

/// The commands that the kubelet executes in the containers of a pod, from its configuration.
fn probes(last_applied: &str) -> BTreeMap<String, Vec<HealthProbe>> {
    let pod: Value = serde_json::from_str(last_applied).unwrap_or_default();
    let containers = ["/spec/containers", "/spec/initContainers"].into_iter();
    let containers = containers.flat_map(|path| items(&pod, path));
    let of_container = |container: &Value| {
        let kinds = [
            ("/livenessProbe/exec/command", ProbeKind::Liveness),
            ("/readinessProbe/exec/command", ProbeKind::Readiness),
        ];
        let probe = |(path, kind)| {
            let mut words = texts(container, path).into_iter();
            Some(HealthProbe { kind, exe: words.next()?, args: words.collect() })
        };
        let probes: Vec<_> = kinds.into_iter().filter_map(probe).collect();
        (!probes.is_empty()).then(|| (text(container, "/name"), probes))
    };
    containers.filter_map(of_container).collect()
}
