//! What the status of a container says.

use std::collections::BTreeMap;

use peregrine_state::Mount;
use serde_json::Value;

use super::messages::{ContainerStatusResponse, Image, Mount as CriMount};
use super::pod::{PodContainer, number, text};
use crate::cri::image::{CriImage, ImageNames};
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
    let configured = text(info, "/config/image/image");
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
        text(info, "/config/image/user_specified_image"),
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
    let privileged = ["/config/linux/security_context/privileged", "/privileged"];
    let mut privileged = privileged.iter().filter_map(|path| info.pointer(path)?.as_bool());
    Some(PodContainer {
        name: status.metadata.unwrap_or_default().name,
        sandbox: text(info, "/sandboxID").to_owned(),
        created: status.created_at,
        image: ImageNames::from_cri(&names),
        labels: status.labels,
        mounts: status.mounts.into_iter().map(mount).collect(),
        env: match spec.env() {
            env if env.is_empty() => configured_env(info.pointer("/config/envs")),
            env => env,
        },
        user: spec.uid().or(uid),
        privileged: privileged.next().unwrap_or_default(),
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
pub(crate) fn configured_mounts(mounts: Option<&Value>) -> Vec<Mount> {
    let mounts = mounts.and_then(Value::as_array).into_iter().flatten();
    let mount = |mount: &Value| {
        let read_only = mount.get("readonly").and_then(Value::as_bool).unwrap_or_default();
        Mount {
            source: text(mount, "/host_path").to_owned(),
            destination: text(mount, "/container_path").to_owned(),
            mode: String::new(),
            writable: !read_only,
            propagation: propagation(number(mount, "/propagation")).to_owned(),
        }
    };
    mounts.map(mount).collect()
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
fn configured_env(env: Option<&Value>) -> Vec<String> {
    let entries = env.and_then(Value::as_array).into_iter().flatten();
    entries.map(|entry| format!("{}={}", text(entry, "/key"), text(entry, "/value"))).collect()
}
