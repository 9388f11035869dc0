//! The JSON in which runtimes and captures describe containers.

use peregrine_limits::CONTAINER_JSON_BYTES;
use serde_json::{Map, Value};
use thiserror::Error;

use super::{Container, ContainerKind, HealthProbe, Mount, ProbeKind};

/// Why a text describes no container.
#[derive(Debug, Error)]
pub enum ContainerError {
    /// It is no JSON.
    #[error("a container's description is no JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// It is too long.
    #[error("a container's description has {0} bytes, more than {CONTAINER_JSON_BYTES}")]
    Long(usize),
    /// It has no object `container`.
    #[error("a container's description lacks the object `container`")]
    Missing,
}

impl Container {
    /// Reads the JSON of container events. What is missing or of another type is taken as empty.
    ///
    /// # Errors
    /// When the text is too long, no JSON or describes no container.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ContainerError> {
        if bytes.len() > CONTAINER_JSON_BYTES.get() {
            CONTAINER_JSON_BYTES.reach();
            return Err(ContainerError::Long(bytes.len()));
        }
        let value: Value = serde_json::from_slice(bytes)?;
        let json = value.get("container").and_then(Value::as_object);
        let json = json.ok_or(ContainerError::Missing)?;
        let text = |key: &str| text(json, key);
        let flag = |key: &str| json.get(key).and_then(Value::as_bool).unwrap_or_default();
        let kind = json.get("type").and_then(Value::as_u64);
        Ok(Self {
            id: text("id"),
            full_id: text("full_id"),
            kind: kind.map_or(ContainerKind::Unknown, ContainerKind::from_code),
            name: text("name"),
            image: text("image"),
            image_id: text("imageid"),
            image_repo: text("imagerepo"),
            image_tag: text("imagetag"),
            image_digest: text("imagedigest"),
            ip: text("ip"),
            user: text("User"),
            privileged: flag("privileged"),
            host_pid: flag("host_pid"),
            host_network: flag("host_network"),
            host_ipc: flag("host_ipc"),
            mounts: objects(json, "Mounts").map(mount).collect(),
            labels: labels(json, "labels"),
            env: texts(json, "env"),
            probes: probes(json),
            is_pod_sandbox: flag("is_pod_sandbox"),
            pod_sandbox_id: text("pod_sandbox_id"),
            pod_sandbox_labels: labels(json, "pod_sandbox_labels"),
            pod_sandbox_cni: text("cni_json"),
            created: json.get("created_time").and_then(Value::as_i64).unwrap_or_default(),
        })
    }
}

type Json = Map<String, Value>;

fn text(json: &Json, key: &str) -> String {
    json.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn texts(json: &Json, key: &str) -> Vec<String> {
    let items = json.get(key).and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn objects<'a>(json: &'a Json, key: &str) -> impl Iterator<Item = &'a Json> {
    let items = json.get(key).and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_object)
}

fn labels(json: &Json, key: &str) -> std::collections::BTreeMap<String, String> {
    let items = json.get(key).and_then(Value::as_object).into_iter().flatten();
    items.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

fn mount(json: &Json) -> Mount {
    Mount {
        source: text(json, "Source"),
        destination: text(json, "Destination"),
        mode: text(json, "Mode"),
        writable: json.get("RW").and_then(Value::as_bool).unwrap_or_default(),
        propagation: text(json, "Propagation"),
    }
}

fn probes(json: &Json) -> Vec<HealthProbe> {
    let kinds = [
        ("Healthcheck", ProbeKind::Healthcheck),
        ("LivenessProbe", ProbeKind::Liveness),
        ("ReadinessProbe", ProbeKind::Readiness),
    ];
    let probe = |(key, kind): (&str, _)| {
        let json = json.get(key)?.as_object()?;
        Some(HealthProbe { kind, exe: text(json, "exe"), args: texts(json, "args") })
    };
    kinds.into_iter().filter_map(probe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_runtimes_write() {
        let container = Container::from_json(
            br#"{"container":{"id":"32a1026ccb88","type":11,"name":"web","privileged":true,
            "Mounts":[{"Source":"/a","Destination":"/b","Mode":"","RW":true,"Propagation":"rprivate"}],
            "labels":{"app":"x"},"pod_sandbox_labels":null,"cpu_shares":1024,
            "Healthcheck":{"exe":"curl","args":["-f","localhost"]}}}"#,
        )
        .unwrap();
        assert_eq!(container.kind.name(), "podman");
        assert!(container.privileged && !container.host_pid);
        assert_eq!(container.mounts[0].destination, "/b");
        assert_eq!(container.labels["app"], "x");
        let args = [&b"-f"[..], b"localhost"];
        assert_eq!(container.probe(b"curl", args.into_iter()), Some(ProbeKind::Healthcheck));
        assert_eq!(container.probe(b"curl", [].into_iter()), None);
    }

    #[test]
    fn says_why_not() {
        assert!(matches!(Container::from_json(b"{"), Err(ContainerError::Json(_))));
        assert!(matches!(Container::from_json(b"{}"), Err(ContainerError::Missing)));
        let long = " ".repeat(CONTAINER_JSON_BYTES.get() + 1);
        let error = Container::from_json(long.as_bytes()).unwrap_err().to_string();
        assert_eq!(error, "a container's description has 1048577 bytes, more than 1 MiB");
    }
}
