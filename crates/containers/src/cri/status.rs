//! What the status of a container says.

use std::collections::BTreeMap;

use peregrine_state::Mount;
use serde_json::Value;

use super::messages::{ContainerStatusResponse, Image, Mount as CriMount};
use super::pod::PodContainer;
use crate::cri::image::{CriImage, ImageNames};
use crate::json::{borrowed, flag, items, number, text};
use crate::oci::Spec;

/// The JSON of details in an answer.
pub(crate) fn info(info: &BTreeMap<String, String>) -> Value {
    info.get("info").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// A container by its status. `image` is what the runtime says of its image.
pub(crate) fn container(
    answer: ContainerStatusResponse,
    info: &Value,
    image: Option<&Image>,
) -> Option<PodContainer> {
    let status = answer.status?;
    let spec = Spec(info.get("runtimeSpec").unwrap_or(&Value::Null));
    let asked = status.image.unwrap_or_default();
    let configured = borrowed(info, "/config/image/image");
    let (image_id, tags, digests) = match image {
        Some(image) => (image.id.as_str(), &*image.repo_tags, &*image.repo_digests),
        None => ("", &[][..], &[][..]),
    };
    let by_digest = [status.image_ref.clone()];
    let digests = match digests {
        [] if status.image_ref.contains('@') => &by_digest[..],
        digests => digests,
    };
    let requested = [
        borrowed(info, "/config/image/user_specified_image"),
        &asked.user_specified_image,
        spec.annotation("io.kubernetes.cri-o.Image"),
    ];
    let names = CriImage {
        requested: requested.into_iter().find(|name| !name.is_empty()).unwrap_or_default(),
        names: &[
            &asked.image,
            spec.annotation("io.kubernetes.cri.image-name"),
            spec.annotation("io.kubernetes.cri-o.ImageName"),
            spec.annotation("io.kubernetes.cri-o.Image"),
            configured,
        ],
        tags,
        digests,
        ids: &[image_id, &status.image_id, &status.image_ref, configured],
    };
    let uid = status.user.and_then(|user| user.linux).map(|linux| linux.uid);
    let privileged = flag(info, "/config/linux/security_context/privileged")
        // As CRI-O says it.
        || flag(info, "/privileged");
    Some(PodContainer {
        name: status.metadata.unwrap_or_default().name,
        sandbox: text(info, "/sandboxID"),
        created: status.created_at,
        image: ImageNames::from_cri(&names),
        labels: status.labels,
        mounts: status.mounts.into_iter().map(mount).collect(),
        env: match spec.env() {
            env if env.is_empty() => configured_env(info),
            env => env,
        },
        user: spec.uid().or(uid),
        privileged,
        resources: spec.resources(),
        size: -1,
        pid: number(info, "/pid"),
        id: status.id,
    })
}

fn mount(mount: CriMount) -> Mount {
    Mount {
        source: mount.host_path,
        destination: mount.container_path,
        mode: String::new(),
        writable: !mount.readonly,
        propagation: propagation(i64::from(mount.propagation)).to_owned(),
    }
}

/// The mounts of a configuration that is kept as JSON.
pub(crate) fn configured_mounts(config: &Value) -> Vec<Mount> {
    let mount = |mount: &Value| Mount {
        source: text(mount, "/host_path"),
        destination: text(mount, "/container_path"),
        mode: String::new(),
        writable: !flag(mount, "/readonly"),
        propagation: propagation(number(mount, "/propagation")).to_owned(),
    };
    items(config, "/mounts").map(mount).collect()
}

/// The name of a `MountPropagation`.
fn propagation(number: i64) -> &'static str {
    match number {
        0 => "private",
        1 => "rslave",
        2 => "rshared",
        _ => "unknown",
    }
}

/// `NAME=VALUE` for each entry of a configuration.
fn configured_env(info: &Value) -> Vec<String> {
    let entries = items(info, "/config/envs");
    entries
        .map(|entry| format!("{}={}", borrowed(entry, "/key"), borrowed(entry, "/value")))
        .collect()
}
