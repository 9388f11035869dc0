//! Classes of containers and pods.

use std::collections::BTreeMap;
use std::io::Write;

use peregrine_filter::Value;
use peregrine_state::{Container as Info, ContainerKind, Mount, ProbeKind};

use super::common::{SECOND, flag};
use crate::table::Container;
use crate::view::View;
use crate::vocabulary::Arg;

pub(crate) fn value<'a>(view: &View<'a>, field: Container, arg: &Arg) -> Option<Value<'a>> {
    let info = view.container();
    if field == Container::Id && info.is_none() {
        // The id is known from the control group before the runtime reports the container.
        return text(&view.thread()?.container);
    }
    let info = info?;
    match field {
        Container::Id => any_text(&info.id),
        Container::FullId => any_text(&info.full_id),
        Container::Name => any_text(&info.name),
        Container::Type => any_text(info.kind.name()),
        Container::Image => any_text(&info.image),
        Container::ImageId => any_text(&info.image_id),
        Container::ImageRepository => any_text(&info.image_repo),
        Container::ImageTag => any_text(&info.image_tag),
        Container::ImageDigest => any_text(&info.image_digest),
        Container::Ip | Container::PodIp => any_text(&info.ip),
        // The host has a container name, but nothing else of a container.
        _ if info.kind == ContainerKind::Host => None,
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
            text(view.text(|out| write_mount(mount, out)))
        }
        Container::MountSource => {
            text(mount(info, arg, |mount| &mount.destination)?.source.as_bytes())
        }
        Container::MountDest => {
            text(mount(info, arg, |mount| &mount.source)?.destination.as_bytes())
        }
        Container::MountMode => text(mount(info, arg, |mount| &mount.source)?.mode.as_bytes()),
        Container::MountRdwr => text(rdwr(mount(info, arg, |mount| &mount.source)?)),
        Container::MountPropagation => {
            text(mount(info, arg, |mount| &mount.source)?.propagation.as_bytes())
        }
        Container::Healthcheck => probe(view, info, ProbeKind::Healthcheck),
        Container::LivenessProbe => probe(view, info, ProbeKind::Liveness),
        Container::ReadinessProbe => probe(view, info, ProbeKind::Readiness),
        Container::IsHealthcheck => runs_probe(view, info, ProbeKind::Healthcheck),
        Container::IsLivenessProbe => runs_probe(view, info, ProbeKind::Liveness),
        Container::IsReadinessProbe => runs_probe(view, info, ProbeKind::Readiness),
        Container::StartTs => started(info).map(Value::Uint),
        Container::Duration => {
            started(info).map(|start| Value::Uint(view.event.ts.saturating_sub(start)))
        }
        Container::CniJson | Container::PodCniJson => text(info.pod_sandbox_cni.as_bytes()),
        Container::Label => label(&info.labels, arg),
        Container::Labels => labels(view, &info.labels),
        Container::PodName => text(info.labels.get("io.kubernetes.pod.name")?.as_bytes()),
        Container::NsName => text(info.labels.get("io.kubernetes.pod.namespace")?.as_bytes()),
        Container::PodId | Container::PodUid => {
            text(info.labels.get("io.kubernetes.pod.uid")?.as_bytes())
        }
        Container::PodSandboxId => {
            let id = info.pod_sandbox_id.as_bytes();
            text(id.get(..SHORT_ID).unwrap_or(id))
        }
        Container::PodFullSandboxId => text(info.pod_sandbox_id.as_bytes()),
        Container::PodLabel => label(&info.pod_sandbox_labels, arg),
        Container::PodLabels => labels(view, &info.pod_sandbox_labels),
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

/// Characters of a shortened id.
const SHORT_ID: usize = 12;

/// A text, possibly empty.
fn any_text<'a>(text: &'a str) -> Option<Value<'a>> {
    Some(Value::Text(text.as_bytes()))
}

/// A text; `None` when it is empty because the runtime did not report it.
fn text(text: &[u8]) -> Option<Value<'_>> {
    (!text.is_empty()).then_some(Value::Text(text))
}

/// A mount by number, or by one of its paths.
fn mount<'a>(info: &'a Info, arg: &Arg, path: impl Fn(&Mount) -> &str) -> Option<&'a Mount> {
    match arg {
        Arg::Index(index) => info.mounts.get(usize::try_from(*index).ok()?),
        Arg::Text(key) => info.mounts.iter().find(|mount| path(mount).as_bytes() == &**key),
        _ => None,
    }
}

fn rdwr(mount: &Mount) -> &'static [u8] {
    if mount.writable { b"true" } else { b"false" }
}

fn write_mount(mount: &Mount, out: &mut Vec<u8>) {
    let Mount { source, destination, mode, propagation, writable } = mount;
    // Writing to memory can't fail.
    let _ = write!(out, "{source}:{destination}:{mode}:{writable}:{propagation}");
}

/// The command of a health check or probe.
fn probe<'a>(view: &View<'a>, info: &'a Info, kind: ProbeKind) -> Option<Value<'a>> {
    let Some(probe) = info.probes.iter().find(|probe| probe.kind == kind) else {
        return Some(Value::Text(b"NONE"));
    };
    text(view.text(|out| {
        out.extend_from_slice(probe.exe.as_bytes());
        for arg in &probe.args {
            out.push(b' ');
            out.extend_from_slice(arg.as_bytes());
        }
    }))
}

/// Whether the process or one of its ancestors is the command of a health check or probe.
fn runs_probe<'a>(view: &View<'_>, info: &Info, kind: ProbeKind) -> Option<Value<'a>> {
    if info.probes.is_empty() {
        return flag(false);
    }
    let thread = view.thread()?;
    let leader = view.state.leader(thread)?;
    let lineage = std::iter::once(leader).chain(view.state.ancestors(leader));
    let mut own = lineage.take_while(|process| process.container == thread.container);
    flag(own.any(|process| info.probe(&process.exec.exe, process.exec.args.iter()) == Some(kind)))
}

fn started(info: &Info) -> Option<u64> {
    let seconds = u64::try_from(info.created).ok().filter(|&seconds| seconds != 0)?;
    Some(seconds.saturating_mul(SECOND))
}

fn label<'a>(labels: &'a BTreeMap<String, String>, arg: &Arg) -> Option<Value<'a>> {
    let Arg::Text(key) = arg else { return None };
    text(labels.get(std::str::from_utf8(key).ok()?)?.as_bytes())
}

fn labels<'a>(view: &View<'a>, labels: &BTreeMap<String, String>) -> Option<Value<'a>> {
    text(view.text(|out| {
        for (key, value) in labels {
            let comma = if out.is_empty() { "" } else { ", " };
            // Writing to memory can't fail.
            let _ = write!(out, "{comma}{key}:{value}");
        }
    }))
}
