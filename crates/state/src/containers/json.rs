//! The JSON in which runtimes and captures describe containers.

use peregrine_limits::CONTAINER_JSON_BYTES;
use serde_json::{Map, Value, json};
use thiserror::Error;

use super::{
    Container, ContainerKind, HealthProbe, Lacks, Mount, PortMapping, ProbeKind, Resources,
};

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
            created: number(json, "created_time"),
            ports: objects(json, "port_mappings").map(port).collect(),
            resources: Resources {
                cpu_period: number(json, "cpu_period"),
                cpu_quota: number(json, "cpu_quota"),
                cpu_shares: number(json, "cpu_shares"),
                cpuset_cpu_count: number(json, "cpuset_cpu_count"),
                memory_limit: number(json, "memory_limit"),
                swap_limit: number(json, "swap_limit"),
            },
            size: json.get("size").and_then(Value::as_i64).unwrap_or(-1),
            pid: number(json, "pid"),
            starting: flag("starting"),
            lacks: LACKS.into_iter().find(|(_, word)| *word == text("lacks")).unwrap_or_default().0,
        })
    }

    /// The JSON of container events, which [`from_json`](Self::from_json) reads. Beside what the
    /// reference writes, it has the pid of the first process, the health probes, whether the
    /// container has yet to start, and what the description lacks.
    pub fn to_json(&self) -> String {
        let mut json = json!({
            "type": self.kind.code(),
            "id": self.id,
            "name": self.name,
            "image": self.image,
            "imagedigest": self.image_digest,
            "imageid": self.image_id,
            "imagerepo": self.image_repo,
            "imagetag": self.image_tag,
            "User": self.user,
            "cni_json": self.pod_sandbox_cni,
            "cpu_period": self.resources.cpu_period,
            "cpu_quota": self.resources.cpu_quota,
            "cpu_shares": self.resources.cpu_shares,
            "cpuset_cpu_count": self.resources.cpuset_cpu_count,
            "created_time": self.created,
            "env": self.env,
            "full_id": self.full_id,
            "host_ipc": self.host_ipc,
            "host_network": self.host_network,
            "host_pid": self.host_pid,
            "ip": self.ip,
            "size": self.size,
            "is_pod_sandbox": self.is_pod_sandbox,
            "labels": self.labels,
            "memory_limit": self.resources.memory_limit,
            "swap_limit": self.resources.swap_limit,
            "pod_sandbox_id": self.pod_sandbox_id,
            "privileged": self.privileged,
            "pod_sandbox_labels": self.pod_sandbox_labels,
            "port_mappings": self.ports.iter().map(port_json).collect::<Vec<_>>(),
            "Mounts": self.mounts.iter().map(mount_json).collect::<Vec<_>>(),
        });
        if let Value::Object(json) = &mut json {
            if self.pid > 0 {
                json.insert("pid".to_owned(), self.pid.into());
            }
            if self.starting {
                json.insert("starting".to_owned(), true.into());
            }
            let lacks = LACKS.into_iter().find(|(lacks, _)| *lacks == self.lacks);
            json.extend(lacks.map(|(_, word)| ("lacks".to_owned(), word.into())));
            for probe in &self.probes {
                let key = PROBES.iter().find(|(_, kind)| *kind == probe.kind).map(|(key, _)| *key);
                let value = json!({ "exe": probe.exe, "args": probe.args });
                json.extend(key.map(|key| (key.to_owned(), value)));
            }
        }
        json!({ "container": json }).to_string()
    }
}

/// What a description may lack.
const LACKS: [(Lacks, &str); 2] =
    [(Lacks::Address, "address"), (Lacks::Configuration, "configuration")];

/// Keys of health probes.
const PROBES: [(&str, ProbeKind); 3] = [
    ("Healthcheck", ProbeKind::Healthcheck),
    ("LivenessProbe", ProbeKind::Liveness),
    ("ReadinessProbe", ProbeKind::Readiness),
];

type Json = Map<String, Value>;

fn text(json: &Json, key: &str) -> String {
    json.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn number(json: &Json, key: &str) -> i64 {
    json.get(key).and_then(Value::as_i64).unwrap_or_default()
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
    let probe = |(key, kind): (&str, _)| {
        let json = json.get(key)?.as_object()?;
        Some(HealthProbe { kind, exe: text(json, "exe"), args: texts(json, "args") })
    };
    PROBES.into_iter().filter_map(probe).collect()
}

fn port(json: &Json) -> PortMapping {
    let number = |key: &str| json.get(key).and_then(Value::as_u64).unwrap_or_default();
    PortMapping {
        host_ip: number("HostIp").try_into().unwrap_or_default(),
        host_port: number("HostPort").try_into().unwrap_or_default(),
        container_port: number("ContainerPort").try_into().unwrap_or_default(),
    }
}

fn port_json(port: &PortMapping) -> Value {
    json!({
        "HostIp": port.host_ip,
        "HostPort": port.host_port,
        "ContainerPort": port.container_port,
    })
}

fn mount_json(mount: &Mount) -> Value {
    json!({
        "Source": mount.source,
        "Destination": mount.destination,
        "Mode": mount.mode,
        "RW": mount.writable,
        "Propagation": mount.propagation,
    })
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
    fn what_is_written_is_read_again() {
        let container = Container {
            id: "32a1026ccb88".to_owned(),
            kind: ContainerKind::Crio,
            name: "web \" \u{1}".to_owned(),
            labels: [("app".to_owned(), String::new())].into(),
            env: vec!["A=b".to_owned()],
            mounts: vec![Mount { source: "/a".to_owned(), writable: true, ..Mount::default() }],
            probes: vec![HealthProbe {
                kind: ProbeKind::Readiness,
                exe: "cat".to_owned(),
                args: vec!["/ready".to_owned()],
            }],
            ports: vec![PortMapping { host_ip: 0x7f00_0001, host_port: 80, container_port: 8080 }],
            resources: Resources { cpu_quota: -1, swap_limit: 7, ..Resources::default() },
            size: -1,
            pid: 17,
            created: 5,
            starting: true,
            lacks: Lacks::Address,
            ..Container::default()
        };
        assert_eq!(Container::from_json(container.to_json().as_bytes()).unwrap(), container);
        for code in (0..12).chain([0xfffe, 0xffff]) {
            assert_eq!(ContainerKind::from_code(code).code(), code);
        }
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
