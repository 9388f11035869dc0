//! What a CRI-O and a containerd answer that have a pod.

use std::collections::BTreeMap;

use hyper::body::Bytes;
use prost::Message;
use serde_json::{Value, json};

use super::server::Reply;
use crate::containerd::CRI_NAMESPACE;
use crate::containerd::messages as api;
use crate::cri::messages as cri;

pub(super) fn version(name: &str, version: &str) -> Reply {
    let answer = cri::VersionResponse {
        runtime_name: name.to_owned(),
        runtime_version: version.to_owned(),
        runtime_api_version: "v1".to_owned(),
    };
    Reply::Message(answer.encode_to_vec())
}

pub(super) fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

pub(super) const UNIMPLEMENTED: u16 = 12;
pub(super) const NOT_FOUND: u16 = 5;
pub(super) const CONTAINER: &str =
    "c0ffee0123450000000000000000000000000000000000000000000000000000";
pub(super) const SANDBOX: &str = "5a4db0c012340000000000000000000000000000000000000000000000000000";
pub(super) const IMAGE: &str =
    "sha256:1111111111111111111111111111111111111111111111111111111111111111";
pub(super) const DIGEST: &str =
    "sha256:2222222222222222222222222222222222222222222222222222222222222222";
pub(super) const MANIFEST: &str =
    "sha256:3333333333333333333333333333333333333333333333333333333333333333";

/// A CRI-O with a pod and a container in it.
pub(super) fn crio(method: &str, request: &Bytes) -> Reply {
    let id = || cri::StatusRequest::decode(request.clone()).unwrap().id;
    match method {
        "Version" => version("cri-o", "1.31.0"),
        "ContainerStatus" if CONTAINER.starts_with(&id()) => {
            let info = json!({
                "sandboxID": SANDBOX, "pid": 77, "privileged": true,
                "runtimeSpec": {
                    "process": {"env": ["A=b"], "user": {"uid": 33}},
                    "annotations": {"io.kubernetes.cri-o.ImageName": "quay.io/a/web:1"},
                },
            });
            let mount = |host: &str, readonly, propagation| cri::Mount {
                container_path: format!("/mnt{host}"),
                host_path: host.to_owned(),
                readonly,
                propagation,
            };
            let status = cri::ContainerStatus {
                id: CONTAINER.to_owned(),
                metadata: Some(cri::ContainerMetadata { name: "web".to_owned() }),
                created_at: 7_000_000_001,
                image: Some(cri::ImageSpec {
                    image: "quay.io/a/web:1".to_owned(),
                    ..cri::ImageSpec::default()
                }),
                image_ref: format!("quay.io/a/web@{DIGEST}"),
                labels: map(&[("app", "web"), ("io.kubernetes.pod.name", "web-0")]),
                mounts: vec![mount("/a", true, 0), mount("/b", false, 2)],
                image_id: IMAGE.to_owned(),
                user: None,
            };
            let info = map(&[("info", &info.to_string())]);
            Reply::Message(
                cri::ContainerStatusResponse { status: Some(status), info }.encode_to_vec(),
            )
        }
        "PodSandboxStatus" if SANDBOX.starts_with(&id()) => {
            let info = json!({
                "image": "registry.k8s.io/pause:3.10", "pid": 70,
                "runtimeSpec": {"annotations": {
                    "io.kubernetes.cri-o.CNIResult": "{\"ips\":[]}",
                }},
            });
            let command = json!({"spec": {"containers": [
                {"name": "other"},
                {"name": "web", "livenessProbe": {"exec": {"command": ["cat", "/ok"]}},
                 "readinessProbe": {"httpGet": {"path": "/"}}},
            ]}});
            let last_applied =
                ("kubectl.kubernetes.io/last-applied-configuration", &*command.to_string());
            let status = cri::SandboxStatus {
                id: SANDBOX.to_owned(),
                metadata: Some(cri::SandboxMetadata {
                    name: "web-0".to_owned(),
                    uid: "u-1".to_owned(),
                    namespace: "shop".to_owned(),
                }),
                created_at: 6_000_000_000,
                network: Some(cri::SandboxNetwork { ip: "10.1.2.3".to_owned() }),
                linux: Some(cri::LinuxSandboxStatus {
                    namespaces: Some(cri::Namespaces {
                        options: Some(cri::NamespaceOption { network: 0, pid: cri::NODE, ipc: 0 }),
                    }),
                }),
                labels: map(&[("app", "web"), ("tier", "")]),
                annotations: map(&[last_applied]),
            };
            let info = map(&[("info", &info.to_string())]);
            Reply::Message(
                cri::SandboxStatusResponse { status: Some(status), info }.encode_to_vec(),
            )
        }
        "ContainerStatus" | "PodSandboxStatus" => Reply::Status(NOT_FOUND, "could not find it"),
        "ImageStatus" => {
            let image = cri::Image {
                id: IMAGE.to_owned(),
                repo_tags: vec!["quay.io/a/other:9".to_owned(), "quay.io/a/web:1".to_owned()],
                repo_digests: vec![
                    format!("quay.io/a/other@{IMAGE}"),
                    format!("quay.io/a/web@{DIGEST}"),
                ],
            };
            Reply::Message(cri::ImageStatusResponse { image: Some(image) }.encode_to_vec())
        }
        "GetContainerEvents" => {
            let event = |id: &str, kind| {
                cri::ContainerEvent { container_id: id.to_owned(), kind }.encode_to_vec()
            };
            Reply::Ended(vec![
                event(CONTAINER, 0),
                event(SANDBOX, 1),
                event(CONTAINER, 9),
                event(SANDBOX, 3),
            ])
        }
        _ => Reply::Status(UNIMPLEMENTED, "unknown method"),
    }
}

/// A containerd with a pod, a container in it, and one of `ctr`.
pub(super) fn containerd(method: &str, namespace: &str, request: &Bytes) -> Reply {
    let any = |value: Value| Some(api::Any { value: value.to_string().into_bytes().into() });
    let metadata = |kind: &str, value: Value| {
        let extension = any(json!({"Version": "v1", "Metadata": value})).unwrap();
        [(format!("io.cri-containerd.{kind}.metadata"), extension)].into_iter().collect()
    };
    let created_at = || Some(api::Timestamp { seconds: 5 });
    let spec = json!({
        "process": {"env": ["PATH=/bin", "A=b"], "user": {"uid": 0}},
        "linux": {"namespaces": [{"type": "pid"}, {"type": "ipc"}, {"type": "network"}],
                  "maskedPaths": ["/proc/kcore"]},
    });
    let found = |container| {
        Reply::Message(api::GetContainerResponse { container: Some(container) }.encode_to_vec())
    };
    match (method, namespace) {
        ("Version", _) => version("containerd", "1.7.24"),
        ("ContainerdVersion", _) => {
            Reply::Message(api::VersionResponse { version: "1.7.24".to_owned() }.encode_to_vec())
        }
        ("List", "") => {
            let names =
                ["default", "k8s.io", "moby"].map(|name| api::Namespace { name: name.to_owned() });
            Reply::Message(cri::List(names.to_vec()).encode_to_vec())
        }
        // The tasks of a namespace.
        ("List", _) => {
            let (container_id, id) = (String::new(), "my-container".to_owned());
            Reply::Message(
                cri::List(vec![api::Task { container_id, id, status: 2 }]).encode_to_vec(),
            )
        }
        ("Get", _) => match api::GetRequest::decode(request.clone()).unwrap().name.as_str() {
            CONTAINER if namespace == CRI_NAMESPACE => found(api::Container {
                id: CONTAINER.to_owned(),
                labels: map(&[("io.cri-containerd.kind", "container")]),
                image: IMAGE.to_owned(),
                spec: any(spec),
                created_at: created_at(),
                extensions: metadata(
                    "container",
                    json!({
                        "ID": CONTAINER, "SandboxID": SANDBOX, "ImageRef": IMAGE,
                        "Config": {
                            "metadata": {"name": "web"}, "image": {"image": IMAGE, "user_specified_image": "bb:1"},
                            "labels": {"app": "web"},
                            "mounts": [{"container_path": "/m", "host_path": "/h", "propagation": 1}],
                            "linux": {"security_context": {"privileged": true}},
                        },
                    }),
                ),
            }),
            SANDBOX if namespace == CRI_NAMESPACE => found(api::Container {
                id: SANDBOX.to_owned(),
                labels: map(&[("io.cri-containerd.kind", "sandbox")]),
                image: "localhost/pause:3".to_owned(),
                spec: any(spec),
                created_at: created_at(),
                extensions: metadata(
                    "sandbox",
                    json!({
                        "ID": SANDBOX, "IP": "10.4.0.9",
                        "Config": {
                            "metadata": {"name": "web-0", "namespace": "shop", "uid": "u-2"},
                            "labels": {"app": "web"},
                            "linux": {"security_context": {"namespace_options": {"ipc": 2}}},
                        },
                        "CNIResult": {"Interfaces": {"lo": {}, "veth12": {}, "eth0": {"Mac": "02"}}},
                    }),
                ),
            }),
            "my-container" if namespace == "default" => found(api::Container {
                id: "my-container".to_owned(),
                labels: map(&[
                    ("nerdctl/name", "shiny"),
                    ("nerdctl/healthstate", r#"{"Status": "healthy"}"#),
                    ("nerdctl/healthcheck", r#"{"Test": ["CMD-SHELL", "test -e /ok"]}"#),
                    (
                        "nerdctl/ports",
                        r#"[{"HostPort": 8080, "ContainerPort": 80, "Protocol": "tcp",
                             "HostIP": "0.0.0.0"}, {"Protocol": "udp"}, 7]"#,
                    ),
                ]),
                image: "docker.io/library/bb:2".to_owned(),
                spec: any(spec),
                created_at: created_at(),
                extensions: Default::default(),
            }),
            name if name.contains("bb:") || name.contains("pause:") => {
                let target = Some(api::Descriptor { digest: DIGEST.to_owned() });
                let image = Some(api::Image { target });
                Reply::Message(api::GetImageResponse { image }.encode_to_vec())
            }
            _ => Reply::Status(NOT_FOUND, "not found"),
        },
        ("ListStream", _) => {
            let filters = api::ListRequest::decode(request.clone()).unwrap().filters;
            let container = |id: &str| {
                let listed = api::ListedContainer { id: id.to_owned(), created_at: created_at() };
                cri::List(vec![listed]).encode_to_vec()
            };
            Reply::Ended(match (namespace, filters.first().map(String::as_str)) {
                (CRI_NAMESPACE, Some("id~=\"^c0ffee012345\"")) => vec![container(CONTAINER)],
                ("default", None | Some("id~=\"^my-container\"")) => {
                    vec![container("my-container-2"), container("my-container")]
                }
                _ => vec![],
            })
        }
        ("Read", _) => {
            let digest = api::ReadContentRequest::decode(request.clone()).unwrap().digest;
            let (os, architecture) =
                ("linux", if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" });
            let list = json!({"manifests": [
                {"digest": "sha256:0", "platform": {"os": "windows", "architecture": architecture}},
                {"digest": MANIFEST, "platform": {"os": os, "architecture": architecture}},
            ]});
            let manifest = json!({"config": {"digest": IMAGE}}).to_string();
            let content = match digest.as_str() {
                DIGEST => list.to_string(),
                MANIFEST => manifest,
                _ => return Reply::Status(NOT_FOUND, "not found"),
            };
            let (first, last) = content.split_at(10);
            let part = |data: &str| {
                api::ReadContentResponse { data: data.as_bytes().to_vec().into() }.encode_to_vec()
            };
            Reply::Ended(vec![part(first), part(last)])
        }
        ("ContainerStatus" | "PodSandboxStatus", _) => Reply::Status(NOT_FOUND, "not found"),
        ("ImageStatus", _) => {
            let image = cri::Image {
                id: IMAGE.to_owned(),
                repo_tags: vec!["docker.io/library/bb:1".to_owned()],
                repo_digests: vec![],
            };
            Reply::Message(cri::ImageStatusResponse { image: Some(image) }.encode_to_vec())
        }
        ("Subscribe", _) => {
            let event = |topic: &str, event: Vec<u8>| {
                let event = Some(api::Any { value: event.into() });
                let (namespace, topic) = (CRI_NAMESPACE.to_owned(), topic.to_owned());
                api::Envelope { namespace, topic, event }.encode_to_vec()
            };
            let id = |id: &str| api::ContainerEvent { id: id.to_owned() }.encode_to_vec();
            let exit = |container: &str, process: &str| {
                let (container, process) = (container.to_owned(), process.to_owned());
                api::TaskExit { container, process }.encode_to_vec()
            };
            Reply::Stream(vec![
                event("/containers/create", id(SANDBOX)),
                event("/containers/update", id(SANDBOX)),
                event("/images/create", id("image")),
                event("/tasks/start", id(CONTAINER)),
                event("/tasks/start", vec![0xff]),
                event("/tasks/exit", exit(CONTAINER, "exec-1")),
                event("/tasks/exit", exit(CONTAINER, CONTAINER)),
                event("/containers/delete", id(CONTAINER)),
            ])
        }
        _ => Reply::Status(UNIMPLEMENTED, "unknown method"),
    }
}
