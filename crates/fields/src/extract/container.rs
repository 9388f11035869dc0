//! Classes of containers and pods.

use std::collections::BTreeMap;
use std::io::Write;

use peregrine_filter::Value;
use peregrine_state::{Container as Info, Lacks, Mount, ProbeKind};

use super::common::flag;
use crate::table::Container;
use crate::view::View;
use crate::vocabulary::Arg;

pub(crate) fn value<'a>(view: &View<'a>, field: Container, arg: &Arg) -> Option<Value<'a>> {
    let Some(info) = view.container() else {
        // The id is known from the control group before the runtime reports the container.
        return match field {
            Container::Id => filled(&view.thread()?.container),
            Container::StartTs | Container::Duration => since_start(view, field),
            _ => None,
        };
    };
    if info.lacks != Lacks::Nothing && is_lacking(field, info.lacks) {
        return None;
    }
    match field {
        Container::Id => text(&info.id),
        Container::FullId => text(&info.full_id),
        Container::Name => text(&info.name),
        Container::Type => text(info.kind.name()),
        Container::Image => text(&info.image),
        Container::ImageId => text(&info.image_id),
        Container::ImageRepository => text(&info.image_repo),
        Container::ImageTag => text(&info.image_tag),
        Container::ImageDigest => text(&info.image_digest),
        Container::Ip => text(&info.ip),
        Container::Privileged => flag(info.privileged),
        Container::HostPid => flag(info.host_pid),
        Container::HostNetwork => flag(info.host_network),
        Container::HostIpc => flag(info.host_ipc),
        Container::Mounts => Some(Value::Text(view.text(|out| {
            for mount in &info.mounts {
                if !out.is_empty() {
                    out.push(b',');
                }
                write_mount(mount, out);
            }
        }))),
        Container::Mount => {
            let mount = mount(info, arg, |mount| &mount.source)?;
            Some(Value::Text(view.text(|out| write_mount(mount, out))))
        }
        Container::MountSource => text(&mount(info, arg, |mount| &mount.destination)?.source),
        Container::MountDest => text(&mount(info, arg, |mount| &mount.source)?.destination),
        Container::MountMode => text(&mount(info, arg, |mount| &mount.source)?.mode),
        Container::MountRdwr => text(rdwr(mount(info, arg, |mount| &mount.source)?)),
        Container::MountPropagation => text(&mount(info, arg, |mount| &mount.source)?.propagation),
        Container::Healthcheck => probe(view, info, ProbeKind::Healthcheck),
        Container::LivenessProbe => probe(view, info, ProbeKind::Liveness),
        Container::ReadinessProbe => probe(view, info, ProbeKind::Readiness),
        Container::IsHealthcheck => runs_probe(view, info, ProbeKind::Healthcheck),
        Container::IsLivenessProbe => runs_probe(view, info, ProbeKind::Liveness),
        Container::IsReadinessProbe => runs_probe(view, info, ProbeKind::Readiness),
        Container::StartTs | Container::Duration => since_start(view, field),
        Container::CniJson => text(&info.pod_sandbox_cni),
        Container::Label => label(&info.labels, arg),
        Container::Labels => Some(labels(view, &info.labels)),
        Container::PodName => text(info.labels.get("io.kubernetes.pod.name")?),
        Container::NsName => text(info.labels.get("io.kubernetes.pod.namespace")?),
        Container::PodId | Container::PodUid => text(info.labels.get("io.kubernetes.pod.uid")?),
        Container::PodSandboxId => text(short(&info.pod_sandbox_id)),
        Container::PodFullSandboxId => text(&info.pod_sandbox_id),
        Container::PodLabel => sandbox(view, info)
            .and_then(|sandbox| label(&sandbox.pod_sandbox_labels, arg))
            .or_else(|| label(&info.pod_sandbox_labels, arg)),
        Container::PodLabels => {
            Some(labels(view, &sandbox(view, info).unwrap_or(info).pod_sandbox_labels))
        }
        Container::PodIp => text(&sandbox(view, info)?.ip),
        Container::PodCniJson => text(&sandbox(view, info)?.pod_sandbox_cni),
        // Only the API server has these: `kubernetes` extracts them.
        Container::RcName
        | Container::RcId
        | Container::RcLabel
        | Container::RcLabels
        | Container::SvcName
        | Container::SvcId
        | Container::SvcLabel
        | Container::SvcLabels
        | Container::NsId
        | Container::NsLabel
        | Container::NsLabels
        | Container::RsName
        | Container::RsId
        | Container::RsLabel
        | Container::RsLabels
        | Container::DeploymentName
        | Container::DeploymentId
        | Container::DeploymentLabel
        | Container::DeploymentLabels => None,
    }
}

/// Whether a description lacks the value of a field: an empty one would say that it has none.
#[cold]
fn is_lacking(field: Container, lacks: Lacks) -> bool {
    match field {
        Container::Ip
        | Container::Healthcheck
        | Container::LivenessProbe
        | Container::ReadinessProbe
        | Container::IsHealthcheck
        | Container::IsLivenessProbe
        | Container::IsReadinessProbe => true,
        Container::Privileged
        | Container::HostPid
        | Container::HostNetwork
        | Container::HostIpc
        | Container::Mounts
        | Container::Mount
        | Container::MountSource
        | Container::MountDest
        | Container::MountMode
        | Container::MountRdwr
        | Container::MountPropagation => lacks == Lacks::Configuration,
        _ => false,
    }
}

/// Characters of a shortened id.
const SHORT_ID: usize = 12;

/// A text, possibly empty.
fn text(text: &str) -> Option<Value<'_>> {
    Some(Value::Text(text.as_bytes()))
}

/// A text; `None` when it is empty because nothing reported it.
fn filled(text: &[u8]) -> Option<Value<'_>> {
    (!text.is_empty()).then_some(Value::Text(text))
}

fn short(id: &str) -> &str {
    id.get(..SHORT_ID).unwrap_or(id)
}

/// Who has the labels and the address of the pod of a container: its sandbox, the container itself
/// where that has the result of the network plugin, and the host for a container without a pod.
fn sandbox<'a>(view: &View<'a>, info: &'a Info) -> Option<&'a Info> {
    if !info.pod_sandbox_cni.is_empty() {
        return Some(info);
    }
    view.state.containers().get(short(&info.pod_sandbox_id).as_bytes())
}

/// A mount by number, or by one of its paths.
fn mount<'a>(info: &'a Info, arg: &Arg, path: impl Fn(&Mount) -> &str) -> Option<&'a Mount> {
    match arg {
        Arg::Index(index) => info.mounts.get(usize::try_from(*index).ok()?),
        Arg::Pattern(pattern) => info.mounts.iter().find(|mount| pattern.is_in(path(mount))),
        _ => None,
    }
}

fn rdwr(mount: &Mount) -> &'static str {
    if mount.writable { "true" } else { "false" }
}

fn write_mount(mount: &Mount, out: &mut Vec<u8>) {
    let Mount { source, destination, mode, propagation, writable } = mount;
    // Writing to memory can't fail.
    let _ = write!(out, "{source}:{destination}:{mode}:{writable}:{propagation}");
}

/// The command of a health check or probe. Captures of former releases have them, but the reference
/// engine no longer shows them: only those that a runtime reports here are shown.
fn probe<'a>(view: &View<'a>, info: &'a Info, kind: ProbeKind) -> Option<Value<'a>> {
    let probe = info.probes.iter().find(|probe| probe.kind == kind && view.state.is_live())?;
    filled(view.text(|out| {
        out.extend_from_slice(probe.exe.as_bytes());
        for arg in &probe.args {
            out.push(b' ');
            out.extend_from_slice(arg.as_bytes());
        }
    }))
}

/// Whether the process is, or comes from, the command of a health check or probe. The runtime
/// starts that from outside of the container; what a program of the container starts is none.
fn runs_probe<'a>(view: &View<'_>, info: &Info, kind: ProbeKind) -> Option<Value<'a>> {
    if !view.state.is_live() {
        return None;
    }
    if info.probes.is_empty() {
        return flag(false);
    }
    let entered = view.entered().filter(|(_, vpid)| *vpid != 1);
    let probe = entered.and_then(|(exec, _)| info.probe(&exec.exe, exec.args.iter()));
    flag(probe == Some(kind))
}

/// When the container of the event's thread started, or how long that was ago. Events about
/// containers have no thread.
fn since_start<'a>(view: &View<'_>, field: Container) -> Option<Value<'a>> {
    let start = view.state.container_start(view.thread()?);
    let start = start.filter(|_| !view.describes_container())?;
    Some(Value::Uint(match field {
        Container::Duration => view.event.ts.saturating_sub(start),
        _ => start,
    }))
}

fn label<'a>(labels: &'a BTreeMap<String, String>, arg: &Arg) -> Option<Value<'a>> {
    let Arg::Text(key) = arg else { return None };
    text(labels.get(std::str::from_utf8(key).ok()?)?)
}

/// All labels but those of Kubernetes itself.
fn labels<'a>(view: &View<'a>, labels: &BTreeMap<String, String>) -> Value<'a> {
    let own = |key: &str| !["annotation.", "io.kubernetes."].iter().any(|of| key.starts_with(of));
    Value::Text(view.text(|out| {
        for (key, value) in labels.iter().filter(|(key, _)| own(key)) {
            let comma = if out.is_empty() { "" } else { ", " };
            let colon = if value.is_empty() { "" } else { ":" };
            // Writing to memory can't fail.
            let _ = write!(out, "{comma}{key}{colon}{value}");
        }
    }))
}
