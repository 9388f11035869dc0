//! What containerd keeps of a container.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use peregrine_state::{Container as Description, ContainerKind, PortMapping};
use serde_json::Value;

use super::messages::Container;
use crate::cri::image::{CriImage, ImageNames};
use crate::cri::messages::Image;
use crate::cri::pod::{Pod, PodContainer};
use crate::cri::status::configured_mounts;
use crate::healthcheck::healthcheck;
use crate::json::{borrowed, flag, items, labels, text, texts};
use crate::oci::Spec;
use crate::told::short_id;

/// A container, with what JSON in it says.
#[derive(Debug)]
pub(crate) struct Record {
    id: String,
    labels: BTreeMap<String, String>,
    pub(crate) image: String,
    /// Seconds since the epoch.
    created: i64,
    spec: Value,
    /// Who made it, with what that keeps of it.
    pub(crate) origin: Origin,
}

/// What made a container.
#[derive(Debug)]
pub(crate) enum Origin {
    /// CRI; it is the sandbox of a pod.
    Sandbox(Value),
    /// CRI.
    Container(Value),
    /// `ctr`, `nerdctl` or another client.
    Client,
}

impl Record {
    pub(crate) fn new(mut container: Container) -> Self {
        let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).ok();
        let metadata = |kind: &str| {
            let extension = container.extensions.get(&format!("io.cri-containerd.{kind}.metadata"));
            json(&extension?.value)?.get_mut("Metadata").map(Value::take)
        };
        let kind = container.labels.get("io.cri-containerd.kind").map(String::as_str);
        let origin = match kind {
            Some("sandbox") => metadata("sandbox").map(Origin::Sandbox),
            Some("container") => metadata("container").map(Origin::Container),
            _ => None,
        };
        // nerdctl writes the result of each health check here.
        container.labels.remove("nerdctl/healthstate");
        Self {
            spec: container.spec.and_then(|spec| json(&spec.value)).unwrap_or_default(),
            created: container.created_at.unwrap_or_default().seconds,
            id: container.id,
            labels: container.labels,
            image: container.image,
            origin: origin.unwrap_or(Origin::Client),
        }
    }

    /// The pod whose sandbox it is.
    pub(crate) fn pod(&self, metadata: &Value, image: ImageNames) -> Pod {
        let pod = Pod::from_metadata(metadata, Spec(&self.spec));
        Pod {
            id: self.id.clone(),
            created: self.created.saturating_mul(1_000_000_000),
            image,
            ..pod
        }
    }

    /// A container of CRI. `image` is what the runtime says of its image, `digest` that of a local
    /// one.
    pub(crate) fn container(
        self,
        metadata: &Value,
        image: Option<&Image>,
        digest: Option<String>,
    ) -> PodContainer {
        let spec = Spec(&self.spec);
        let config = metadata.get("Config").unwrap_or(&Value::Null);
        let configured = borrowed(config, "/image/image");
        let (image_id, tags, digests) = match image {
            Some(image) => (image.id.as_str(), &*image.repo_tags, &*image.repo_digests),
            None => ("", &[][..], &[][..]),
        };
        let names = CriImage {
            requested: borrowed(config, "/image/user_specified_image"),
            names: &[
                borrowed(metadata, "/ImageName"),
                spec.annotation("io.kubernetes.cri.image-name"),
                &self.image,
                configured,
            ],
            tags,
            digests,
            ids: &[image_id, borrowed(metadata, "/ImageRef"), configured],
        };
        let mut image = ImageNames::from_cri(&names);
        if let Some(digest) = digest
            && image.digest.is_empty()
        {
            image.digest = digest;
        }
        let privileged = flag(config, "/linux/security_context/privileged");
        PodContainer {
            name: text(config, "/metadata/name"),
            sandbox: text(metadata, "/SandboxID"),
            created: self.created.saturating_mul(1_000_000_000),
            image,
            labels: labels(config, "/labels"),
            mounts: configured_mounts(config),
            env: spec.env(),
            user: spec.uid(),
            privileged,
            resources: spec.resources(),
            size: -1,
            pid: 0,
            id: self.id,
        }
    }

    /// A container that no pod owns.
    pub(crate) fn describe(self, image: ImageNames) -> Description {
        let spec = Spec(&self.spec);
        // What nerdctl keeps.
        let label = |name: &str| self.labels.get(name).map(String::as_str).unwrap_or_default();
        let name = match label("nerdctl/name") {
            "" => self.id.clone(),
            name => name.to_owned(),
        };
        let json = |name| serde_json::from_str::<Value>(label(name)).unwrap_or_default();
        let check = healthcheck(texts(&json("nerdctl/healthcheck"), "/Test"), Vec::new());
        let privileged = spec.privileged() || label("nerdctl/privileged") == "true";
        Description {
            id: short_id(&self.id).to_owned(),
            kind: ContainerKind::Containerd,
            name,
            image: image.name,
            image_id: image.id,
            image_repo: image.repository,
            image_tag: image.tag,
            image_digest: image.digest,
            ip: label("nerdctl/ip").to_owned(),
            user: spec.uid().map(|uid| uid.to_string()).unwrap_or_default(),
            privileged,
            host_pid: spec.host_namespace("pid"),
            host_network: spec.host_namespace("network"),
            host_ipc: spec.host_namespace("ipc"),
            mounts: spec.mounts(),
            probes: check.into_iter().collect(),
            ports: ports(&json("nerdctl/ports")),
            env: spec.env(),
            resources: spec.resources(),
            size: -1,
            created: self.created,
            labels: self.labels,
            full_id: self.id,
            ..Description::default()
        }
    }
}

/// Ports of the host that lead into a container, as nerdctl 1 keeps them.
fn ports(all: &Value) -> Vec<PortMapping> {
    let port = |port: &Value| {
        let number = |name| u16::try_from(port.get(name)?.as_u64()?).ok();
        let host_ip = match borrowed(port, "/HostIP") {
            "" => Ipv4Addr::UNSPECIFIED,
            address => address.parse().ok()?,
        };
        (borrowed(port, "/Protocol") == "tcp").then_some(())?;
        let (host_port, container_port) = (number("HostPort")?, number("ContainerPort")?);
        Some(PortMapping { host_ip: host_ip.into(), host_port, container_port })
    };
    items(all, "").filter_map(port).collect()
}

/// The digest of the manifest for this machine, if a list of manifests is given.
pub(crate) fn own_manifest(list: &Value) -> Option<String> {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let manifests = list.get("manifests")?.as_array()?;
    let own = |manifest: &&Value| {
        borrowed(manifest, "/platform/os") == "linux"
            && borrowed(manifest, "/platform/architecture") == architecture
    };
    let manifest = manifests.iter().find(own).or_else(|| manifests.first())?;
    manifest.get("digest")?.as_str().map(str::to_owned)
}
