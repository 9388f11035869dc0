//! From what docker and podman answer to descriptions of containers.

use std::net::Ipv4Addr;

use peregrine_state::{Container, ContainerKind, Mount, PortMapping, Resources};
use serde_json::Value;

use crate::healthcheck::healthcheck;
use crate::image::ImageName;
use crate::json::{cpus, flag, items, labels, number, seconds, text, texts};
use crate::told::short_id;

/// What docker says of a container; `image` is what it says of its image, and `joined` of the
/// container whose network it has.
pub(crate) fn describe_docker(
    json: &Value,
    image: &Value,
    joined: Option<&Value>,
) -> Option<Container> {
    let container = describe(json, joined, ContainerKind::Docker)?;
    let asked = text(json, "/Config/Image");
    let id = text(json, "/Image").trim_start_matches("sha256:").to_owned();
    let (tags, digests) = (texts(image, "/RepoTags"), texts(image, "/RepoDigests"));
    let by_id = ImageName::is_id(&asked, &id);
    let first = tags.first().or(digests.first());
    let named = if by_id { first.map_or("", String::as_str) } else { &asked };
    let name = ImageName::parse(named);
    let same = |other: &&String| ImageName::parse(other).repository == name.repository;
    // A name that has neither is completed by docker; the tag may be newer than `image`.
    let usual = if by_id || named.is_empty() || !name.digest.is_empty() { "" } else { "latest" };
    let tag = match name.tag {
        "" => tags.iter().find(same).map_or(usual, |tag| ImageName::parse(tag).tag),
        tag => tag,
    };
    let digest = match name.digest {
        "" => digests.iter().find(same).or(digests.first()),
        _ => None,
    };
    let digest = digest.map_or(name.digest, |digest| ImageName::parse(digest).digest);
    Some(Container {
        image_repo: name.repository.to_owned(),
        image_tag: tag.to_owned(),
        image_digest: digest.to_owned(),
        image_id: id,
        image: asked,
        ..container
    })
}

/// What podman says of a container.
pub(crate) fn describe_podman(json: &Value, joined: Option<&Value>) -> Option<Container> {
    let container = describe(json, joined, ContainerKind::Podman)?;
    let asked = text(json, "/ImageName");
    let name = ImageName::parse(&asked);
    let digest = text(json, "/ImageDigest");
    Some(Container {
        image_repo: name.repository.to_owned(),
        image_tag: name.tag.to_owned(),
        image_digest: if digest.is_empty() { name.digest.to_owned() } else { digest },
        image_id: text(json, "/Image").trim_start_matches("sha256:").to_owned(),
        image: asked,
        is_pod_sandbox: container.is_pod_sandbox || flag(json, "/IsInfra"),
        ..container
    })
}

/// What both say alike.
fn describe(json: &Value, joined: Option<&Value>, kind: ContainerKind) -> Option<Container> {
    let full_id = text(json, "/Id");
    if full_id.is_empty() {
        return None;
    }
    let name = text(json, "/Name").trim_start_matches('/').to_owned();
    let is_host = |at: &str| json.pointer(at).and_then(Value::as_str) == Some("host");
    let labels = labels(json, "/Config/Labels");
    let check = texts(json, "/Config/Healthcheck/Test");
    let check = healthcheck(check, texts(json, "/Config/Shell"));
    let ip = address(json).or_else(|| joined.and_then(address)).unwrap_or_default();
    let host_network = is_host("/HostConfig/NetworkMode");
    // podman says `initialized` while the first process waits to be started.
    let before = matches!(text(json, "/State/Status").as_str(), "created" | "initialized");
    Some(Container {
        id: short_id(&full_id).to_owned(),
        kind,
        starting: before && ip.is_empty() && !host_network,
        ip,
        user: text(json, "/Config/User"),
        privileged: flag(json, "/HostConfig/Privileged"),
        host_pid: is_host("/HostConfig/PidMode"),
        host_network,
        host_ipc: is_host("/HostConfig/IpcMode"),
        mounts: items(json, "/Mounts").map(mount).collect(),
        env: texts(json, "/Config/Env"),
        probes: check.into_iter().collect(),
        // As the kubelet names the containers that hold the namespaces of a pod.
        is_pod_sandbox: name.contains("k8s_POD"),
        pod_sandbox_id: labels.get("io.kubernetes.sandbox.id").cloned().unwrap_or_default(),
        labels,
        created: seconds(json, "/Created"),
        ports: ports(json),
        resources: Resources {
            cpu_period: number(json, "/HostConfig/CpuPeriod"),
            cpu_quota: number(json, "/HostConfig/CpuQuota"),
            cpu_shares: number(json, "/HostConfig/CpuShares"),
            cpuset_cpu_count: cpus(&text(json, "/HostConfig/CpusetCpus")),
            memory_limit: number(json, "/HostConfig/Memory"),
            swap_limit: number(json, "/HostConfig/MemorySwap"),
        },
        size: json.get("SizeRw").and_then(Value::as_i64).unwrap_or(-1),
        pid: number(json, "/State/Pid"),
        name,
        full_id,
        ..Container::default()
    })
}

/// The address in the default network, else in the first one that has one.
fn address(json: &Value) -> Option<String> {
    let networks = json.pointer("/NetworkSettings/Networks").and_then(Value::as_object);
    let others = networks.into_iter().flatten().map(|(_, network)| text(network, "/IPAddress"));
    let own = text(json, "/NetworkSettings/IPAddress");
    [own].into_iter().chain(others).find(|address| !address.is_empty())
}

fn mount(json: &Value) -> Mount {
    Mount {
        source: text(json, "/Source"),
        destination: text(json, "/Destination"),
        mode: text(json, "/Mode"),
        writable: flag(json, "/RW"),
        propagation: text(json, "/Propagation"),
    }
}

/// The ports of the host that lead into the container by TCP over IPv4.
fn ports(json: &Value) -> Vec<PortMapping> {
    let ports = json.pointer("/NetworkSettings/Ports").and_then(Value::as_object);
    let of_port = |(name, bindings): (&String, &Value)| -> Vec<PortMapping> {
        let port = match name.split_once('/') {
            Some((port, "tcp")) => port.parse().ok(),
            Some(_) => None,
            None => name.parse().ok(),
        };
        let Some(container_port) = port else { return Vec::new() };
        let mapping = |binding: &Value| {
            let address = text(binding, "/HostIp");
            let host_ip = match address.as_str() {
                "" => Ipv4Addr::UNSPECIFIED,
                address => address.parse().ok()?,
            };
            let host_port = text(binding, "/HostPort").parse().ok()?;
            Some(PortMapping { host_ip: host_ip.into(), host_port, container_port })
        };
        items(bindings, "").filter_map(mapping).collect()
    };
    ports.into_iter().flatten().flat_map(of_port).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ID: &str = "ad95e3a2b1f55e4e6e2f9b0a3e5f0f8f8c1c6b0b4e0e4e9c7b3e8d8f1a2b3c4d";

    fn docker() -> Value {
        json!({
            "Id": ID, "Name": "/web", "Created": "2026-11-30T10:00:00.123456789Z",
            "Image": "sha256:0123456789abcdef", "State": {"Pid": 77},
            "Config": {"Image": "bb:1.0", "User": "1000:1000", "Env": ["A=b"],
                "Labels": {"app": "x"}, "Healthcheck": {"Test": ["CMD", "cat", "/etc/group"]}},
            "HostConfig": {"Privileged": true, "PidMode": "host", "NetworkMode": "own",
                "IpcMode": "private", "CpusetCpus": "0-1", "Memory": 4096},
            "Mounts": [{"Source": "/a", "Destination": "/b", "Mode": "ro", "RW": false,
                "Propagation": "rprivate"}],
            "NetworkSettings": {"IPAddress": "", "Networks": {"own": {"IPAddress": "10.9.0.2"}},
                "Ports": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"},
                    {"HostIp": "::", "HostPort": "8080"}], "53/udp": [{"HostPort": "5"}],
                    "81/tcp": null}},
        })
    }

    #[test]
    fn docker_describes_a_container() {
        let image = json!({"RepoTags": ["old:2", "bb:1.0"], "RepoDigests": ["old@sha256:1", "bb@sha256:2"]});
        insta::assert_debug_snapshot!(describe_docker(&docker(), &image, None).unwrap());
    }

    #[test]
    fn the_image_is_named_as_it_was_asked_for() {
        let of = |asked: &str, image: Value| {
            let mut json = docker();
            json["Config"]["Image"] = asked.into();
            let container = describe_docker(&json, &image, None).unwrap();
            [container.image_repo, container.image_tag, container.image_digest].join(" ")
        };
        let image = json!({"RepoTags": ["a:1", "b:latest"], "RepoDigests": ["a@sha256:1"]});
        assert_eq!(of("b", image.clone()), "b latest sha256:1");
        assert_eq!(of("c", image.clone()), "c latest sha256:1");
        assert_eq!(of("c:7", image.clone()), "c 7 sha256:1");
        assert_eq!(of("a@sha256:9", image.clone()), "a 1 sha256:9");
        assert_eq!(of("sha256:0123456789abcdef", image.clone()), "a 1 sha256:1");
        assert_eq!(of("01234567", image), "a 1 sha256:1");
        assert_eq!(of("sha256:0123456789abcdef", Value::Null), "  ");
    }

    #[test]
    fn a_joined_network_gives_the_address() {
        let mut json = docker();
        json["NetworkSettings"] = Value::Null;
        let address =
            |joined: Option<&Value>| describe_docker(&json, &Value::Null, joined).unwrap().ip;
        assert_eq!(
            (address(None), address(Some(&docker()))),
            (String::new(), "10.9.0.2".to_owned())
        );
    }

    #[test]
    fn podman_describes_a_container() {
        let json = json!({
            "Id": ID, "Name": "web", "Created": "2026-11-30T10:00:00.1+02:00",
            "Image": "0123456789abcdef", "ImageName": "localhost/bb:1.0",
            "ImageDigest": "sha256:77", "IsInfra": false, "State": {"Pid": 0},
            "Config": {"User": "", "Labels": null,
                "Healthcheck": {"Test": ["CMD-SHELL", "test -e /ready"]}},
            "HostConfig": {"NetworkMode": "host", "PidMode": "private", "IpcMode": "host"},
            "NetworkSettings": {"Ports": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}},
        });
        insta::assert_debug_snapshot!(describe_podman(&json, None).unwrap());
    }

    #[test]
    fn values_of_other_types_are_empty() {
        assert_eq!(describe_docker(&json!({"Id": 1}), &Value::Null, None), None);
        let json = json!({"Id": "x", "Name": [], "Config": 1, "Mounts": {}, "NetworkSettings":
            {"Ports": [], "Networks": ""}, "State": {"Pid": "1"}, "Created": "no time"});
        let container = describe_docker(&json, &json!([]), None).unwrap();
        let kind = ContainerKind::Docker;
        let expected = Container {
            id: "x".to_owned(),
            full_id: "x".to_owned(),
            kind,
            size: -1,
            ..Container::default()
        };
        assert_eq!(container, expected);
    }
}
