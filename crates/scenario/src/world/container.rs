//! The container of an event and the accounts in it.

use peregrine_event::snapshot::{Group, User};
use peregrine_state::ContainerKind;
use peregrine_yaml::Node;
use serde_json::{Map, Value as Json, json};

use super::process::{SECOND, START};
use super::values::Values;
use crate::Cause;

/// Id of a container, unless it is given.
const ID: &str = "3ad7b26ded6d";
/// Digits of a whole id.
const FULL_ID: usize = 64;

/// A container as runtimes describe it.
pub(super) struct Described {
    /// Short id.
    pub(super) id: String,
    /// Control groups of its processes.
    pub(super) cgroups: Vec<u8>,
    /// The text of its event; `None` if its runtime has not described it.
    pub(super) json: Option<String>,
}

/// The container of an event; `None` on the host. `address` is that of its sockets.
pub(super) fn read(values: &mut Values<'_>, address: Option<String>) -> Option<Described> {
    let host = |values: &Values<'_>, name| {
        values.spec.get(name).and_then(|given| given.value.as_str()) == Some("host")
    };
    let host = host(values, "container.id")
        || host(values, "container.name")
        || host(values, "container.type");
    let of_pod = |name: &str| name.starts_with("k8s.");
    let of_container = |name: &str| {
        name.starts_with("container.") || name.starts_with("proc.is_container_") || of_pod(name)
    };
    // A field that is given without a value says nothing of a container.
    let given = values.spec.fields.iter().filter(|it| !it.value.is_null());
    let names: Vec<_> =
        given.map(|it| it.key.name.clone()).filter(|name| of_container(name)).collect();
    if host || names.is_empty() {
        return None;
    }
    let kind = values.string("container.type");
    let pod = names.iter().any(|name| of_pod(name));
    let kind = kind.unwrap_or_else(|| if pod { "containerd" } else { "docker" }.to_owned());
    let full = values.string("container.full_id");
    let id = values.string("container.id").or_else(|| full.as_ref()?.get(..12).map(str::to_owned));
    let id = id.unwrap_or_else(|| ID.to_owned());
    let hex = id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let full = full.unwrap_or_else(|| if hex { format!("{id:0<FULL_ID$}") } else { id.clone() });
    let path = match kind.as_str() {
        _ if full.len() != FULL_ID || !hex => format!("/default/{full}"),
        "docker" => format!("/docker/{full}"),
        "podman" => format!("/machine.slice/libpod-{full}.scope"),
        "cri-o" => format!("/kubepods.slice/crio-{full}.scope"),
        _ => format!("/kubepods.slice/cri-containerd-{full}.scope"),
    };
    let cgroups = ["cpuset", "cpu", "memory"].map(|name| format!("{name}={path}\0")).concat();
    let described = !values.is_none(0, "container.name");
    let json = described.then(|| describe(values, &id, &full, &kind, address));
    Some(Described { id, cgroups: cgroups.into_bytes(), json })
}

/// The JSON of a container event.
fn describe(
    values: &mut Values<'_>,
    id: &str,
    full: &str,
    kind: &str,
    address: Option<String>,
) -> String {
    let mut json = Map::new();
    json.insert("id".into(), id.into());
    json.insert("full_id".into(), full.into());
    match (0..=11).find(|code| ContainerKind::from_code(*code).name() == kind) {
        Some(code) => drop(json.insert("type".into(), code.into())),
        None => {
            if let Some(given) = values.spec.get("container.type") {
                let message = format!("`{kind}` is no runtime of containers");
                let problem = Cause::Value.at(&given.label, message);
                values
                    .problems
                    .push(problem.help("docker, podman, containerd, cri-o, cri, lxc, bpm …"));
            }
        }
    }
    images(values, &mut json);
    let texts = [
        ("container.name", "name"),
        ("container.image.id", "imageid"),
        ("container.image.digest", "imagedigest"),
        ("container.cni.json", "cni_json"),
        ("k8s.pod.cni.json", "cni_json"),
        ("k8s.pod.sandbox_id", "pod_sandbox_id"),
        ("k8s.pod.full_sandbox_id", "pod_sandbox_id"),
    ];
    for (field, key) in texts {
        if let Some(text) = values.string(field) {
            json.insert(key.into(), text.into());
        }
    }
    json.entry("name").or_insert_with(|| format!("container-{}", id.get(..6).unwrap_or(id)).into());
    let ip = values.string("container.ip").or_else(|| values.string("k8s.pod.ip")).or(address);
    if let Some(ip) = ip {
        json.insert("ip".into(), ip.into());
    }
    for name in ["privileged", "host_pid", "host_network", "host_ipc"] {
        if let Some(flag) = values.bool(0, &format!("container.{name}")) {
            json.insert(name.into(), flag.into());
        }
    }
    labels(values, &mut json);
    mounts(values, &mut json);
    probes(values, &mut json);
    let started = values.u64(0, "container.start_ts");
    let age = values.u64(0, "container.duration").unwrap_or(3600 * SECOND);
    let started = started.unwrap_or_else(|| START.saturating_sub(age)) / SECOND;
    json.insert("created_time".into(), started.into());
    json!({ "container": json }).to_string()
}

/// Image, repository and tag: each that is not given follows from the others.
fn images(values: &mut Values<'_>, json: &mut Map<String, Json>) {
    let image = values.string("container.image");
    let repository = values.string("container.image.repository");
    let tag = values.string("container.image.tag");
    let (whole, _) = image.as_deref().map_or((None, None), |it| match it.split_once('@') {
        Some((name, digest)) => (Some(name), Some(digest)),
        None => (Some(it), None),
    });
    // A colon before the last slash belongs to a port.
    let split = whole.map(|name| match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (name, "latest"),
    });
    let (of_image, tag_of_image) = split.unwrap_or(("example/app", "latest"));
    let repository = repository.unwrap_or_else(|| of_image.to_owned());
    let tag = tag.unwrap_or_else(|| tag_of_image.to_owned());
    let image = image.unwrap_or_else(|| format!("{repository}:{tag}"));
    json.insert("image".into(), image.into());
    json.insert("imagerepo".into(), repository.into());
    json.insert("imagetag".into(), tag.into());
}

fn labels(values: &mut Values<'_>, json: &mut Map<String, Json>) {
    let mut own = Map::new();
    let mut of_pod = Map::new();
    let names = [
        ("k8s.pod.name", "io.kubernetes.pod.name"),
        ("k8s.ns.name", "io.kubernetes.pod.namespace"),
        ("k8s.pod.uid", "io.kubernetes.pod.uid"),
        ("k8s.pod.id", "io.kubernetes.pod.uid"),
    ];
    for (field, label) in names {
        if let Some(value) = values.string(field) {
            own.insert(label.into(), value.into());
        }
    }
    for (start, labels) in [("container.label[", &mut own), ("k8s.pod.label[", &mut of_pod)] {
        for (name, given) in values.spec.starting(start) {
            let name = name.strip_suffix(']').unwrap_or(name);
            labels.insert(name.into(), given.value.as_str().unwrap_or_default().into());
        }
    }
    json.insert("labels".into(), own.into());
    json.insert("pod_sandbox_labels".into(), of_pod.into());
}

/// Mounts: of `container.mounts` as a list of maps, or of texts in the form of the field.
fn mounts(values: &mut Values<'_>, json: &mut Map<String, Json>) {
    let Some(given) = values.spec.get("container.mounts") else { return };
    let listed: Vec<Json> = match given.value.as_seq() {
        Some(items) => items.iter().filter_map(mount).collect(),
        None => given.value.as_str().unwrap_or_default().split(',').filter_map(written).collect(),
    };
    json.insert("Mounts".into(), listed.into());
}

fn mount(node: &Node) -> Option<Json> {
    if let Some(text) = node.as_str() {
        return written(text);
    }
    let text = |key: &str| node.get(key).and_then(Node::as_str).unwrap_or_default();
    let writable = node.get("rdwr").and_then(Node::as_bool).unwrap_or(true);
    Some(json!({
        "Source": text("source"), "Destination": text("dest"), "Mode": text("mode"),
        "RW": writable, "Propagation": text("propagation"),
    }))
}

/// `source:destination:mode:rdwr:propagation`, as `container.mounts` prints it.
fn written(text: &str) -> Option<Json> {
    let mut parts = text.split(':');
    let source = parts.next().filter(|source| !source.is_empty())?;
    let mut part = || parts.next().unwrap_or_default();
    let (destination, mode, writable, propagation) = (part(), part(), part(), part());
    Some(json!({
        "Source": source, "Destination": destination, "Mode": mode,
        "RW": writable != "false", "Propagation": propagation,
    }))
}

fn probes(values: &mut Values<'_>, json: &mut Map<String, Json>) {
    let commands = [
        ("container.healthcheck", "Healthcheck"),
        ("container.liveness_probe", "LivenessProbe"),
        ("container.readiness_probe", "ReadinessProbe"),
    ];
    for (field, key) in commands {
        let Some(text) = values.string(field).filter(|text| text != "NONE") else { continue };
        let mut words = text.split(' ').map(str::to_owned);
        let exe = words.next().unwrap_or_default();
        let args: Vec<_> = words.collect();
        json.insert(key.into(), json!({ "exe": exe, "args": args }));
    }
}

/// The user and the group of an event, with their accounts.
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) users: Vec<User>,
    pub(super) groups: Vec<Group>,
}

impl Account {
    pub(super) fn read(values: &mut Values<'_>) -> Self {
        let name = values.text(0, "user.name");
        let by_name = |name: &Option<Vec<u8>>| match name.as_deref() {
            None | Some(b"root") => 0,
            Some(_) => 1000,
        };
        let uid = values.uid("user.uid").unwrap_or_else(|| by_name(&name));
        let group = values.text(0, "group.name");
        let gid = values.uid("group.gid").unwrap_or_else(|| match group {
            Some(_) => by_name(&group),
            None => uid,
        });
        let default =
            |id: u32, name: &str| if id == 0 { "root".to_owned() } else { name.to_owned() };
        let name = name.unwrap_or_else(|| default(uid, "user").into_bytes());
        let home = if uid == 0 { b"/root".to_vec() } else { [b"/home/", name.as_slice()].concat() };
        let home = values.text(0, "user.homedir").unwrap_or(home);
        let shell = values.text(0, "user.shell").unwrap_or_else(|| b"/bin/sh".to_vec());
        let mut users = vec![User { uid, gid, name, home, shell }];
        if let Some(name) = values.text(0, "user.loginname") {
            let uid = values.uid("user.loginuid").unwrap_or(u32::MAX);
            if uid != u32::MAX && users.iter().all(|user| user.uid != uid) {
                let (home, shell) = (b"/".to_vec(), b"/bin/sh".to_vec());
                users.push(User { uid, gid: uid, name, home, shell });
            }
        }
        for (name, uid) in values.users() {
            if users.iter().all(|user| user.uid != uid) {
                let (home, shell) = (b"/".to_vec(), b"/bin/sh".to_vec());
                users.push(User { uid, gid: uid, name, home, shell });
            }
        }
        let name = group.unwrap_or_else(|| default(gid, "group").into_bytes());
        Self { uid, gid, users, groups: vec![Group { gid, name }] }
    }
}
