//! Pods as the API server of Kubernetes describes them: `k8smeta.*`, and those of `k8s.*` that no
//! container runtime knows.

use std::collections::BTreeMap;

use peregrine_filter::Value;
use peregrine_state::{Object, ObjectKind, Pod};

use crate::table::{Container, Kubernetes};
use crate::view::View;
use crate::vocabulary::Arg;

/// What is asked of an object.
#[derive(Clone, Copy)]
enum Part<'a> {
    Name,
    Uid,
    Label(&'a [u8]),
    Labels,
}

/// Value of a field `k8smeta.*`.
pub(crate) fn value<'a>(view: &View<'a>, field: Kubernetes, arg: &Arg) -> Option<Value<'a>> {
    use Kubernetes as F;
    let pod = view.state.pod(view.thread()?)?;
    let (label, one) = (Part::Label(key(arg)), |kind, part| one(view, pod, kind, part));
    match field {
        F::PodName => text(&pod.object.name),
        F::PodUid => text(&pod.object.uid),
        F::PodLabel => label_of(&pod.object.labels, key(arg)).map(Value::Text),
        F::PodLabels => list(view, labels(view, &pod.object.labels)),
        F::PodIp => text(&pod.ip),
        F::NsName => text(&pod.object.namespace),
        F::NsUid => one(ObjectKind::Namespace, Part::Uid),
        F::NsLabel => one(ObjectKind::Namespace, label),
        F::NsLabels => one(ObjectKind::Namespace, Part::Labels),
        F::DeploymentName => one(ObjectKind::Deployment, Part::Name),
        F::DeploymentUid => one(ObjectKind::Deployment, Part::Uid),
        F::DeploymentLabel => one(ObjectKind::Deployment, label),
        F::DeploymentLabels => one(ObjectKind::Deployment, Part::Labels),
        F::SvcName => list(view, services(view, pod, Part::Name)),
        F::SvcUid => list(view, services(view, pod, Part::Uid)),
        F::SvcLabel => list(view, services(view, pod, label)),
        F::SvcLabels => list(view, services(view, pod, Part::Labels)),
        F::RsName => one(ObjectKind::ReplicaSet, Part::Name),
        F::RsUid => one(ObjectKind::ReplicaSet, Part::Uid),
        F::RsLabel => one(ObjectKind::ReplicaSet, label),
        F::RsLabels => one(ObjectKind::ReplicaSet, Part::Labels),
        F::RcName => one(ObjectKind::ReplicationController, Part::Name),
        F::RcUid => one(ObjectKind::ReplicationController, Part::Uid),
        F::RcLabel => one(ObjectKind::ReplicationController, label),
        F::RcLabels => one(ObjectKind::ReplicationController, Part::Labels),
    }
}

/// Value of a field `k8s.*` that only the API server knows. Each is one text, as when the reference
/// queried the API server itself.
pub(crate) fn of_pod<'a>(view: &View<'a>, field: Container, arg: &Arg) -> Option<Value<'a>> {
    use Container as F;
    let label = Part::Label(key(arg));
    let (kind, part) = match field {
        F::NsId => (ObjectKind::Namespace, Part::Uid),
        F::NsLabel => (ObjectKind::Namespace, label),
        F::NsLabels => (ObjectKind::Namespace, Part::Labels),
        F::DeploymentName => (ObjectKind::Deployment, Part::Name),
        F::DeploymentId => (ObjectKind::Deployment, Part::Uid),
        F::DeploymentLabel => (ObjectKind::Deployment, label),
        F::DeploymentLabels => (ObjectKind::Deployment, Part::Labels),
        F::SvcName => (ObjectKind::Service, Part::Name),
        F::SvcId => (ObjectKind::Service, Part::Uid),
        F::SvcLabel => (ObjectKind::Service, label),
        F::SvcLabels => (ObjectKind::Service, Part::Labels),
        F::RsName => (ObjectKind::ReplicaSet, Part::Name),
        F::RsId => (ObjectKind::ReplicaSet, Part::Uid),
        F::RsLabel => (ObjectKind::ReplicaSet, label),
        F::RsLabels => (ObjectKind::ReplicaSet, Part::Labels),
        F::RcName => (ObjectKind::ReplicationController, Part::Name),
        F::RcId => (ObjectKind::ReplicationController, Part::Uid),
        F::RcLabel => (ObjectKind::ReplicationController, label),
        F::RcLabels => (ObjectKind::ReplicationController, Part::Labels),
        _ => return None,
    };
    let pod = view.state.pod(view.thread()?)?;
    joined(view, parts(view, pod, kind, part))
}

/// Value of a field of the pod that the runtime has not told: it is asked a little later than the
/// API server, which knows a pod before it runs.
pub(crate) fn of_described_pod<'a>(
    view: &View<'a>,
    field: Container,
    arg: &Arg,
) -> Option<Value<'a>> {
    use Container as F;
    let is_of_pod = matches!(
        field,
        F::PodName | F::NsName | F::PodId | F::PodUid | F::PodLabel | F::PodLabels | F::PodIp
    );
    let thread = view.thread().filter(|_| is_of_pod)?;
    let pod = view.state.pod(thread)?;
    match field {
        F::PodName => text(&pod.object.name),
        F::NsName => text(&pod.object.namespace),
        F::PodId | F::PodUid => text(&pod.object.uid),
        F::PodIp => text(&pod.ip),
        F::PodLabel => label_of(&pod.object.labels, key(arg)).map(Value::Text),
        F::PodLabels => joined(view, labels(view, &pod.object.labels)),
        _ => None,
    }
}

/// A part of the one object of a kind that the pod belongs to.
fn one<'a>(view: &View<'a>, pod: &'a Pod, kind: ObjectKind, part: Part<'_>) -> Option<Value<'a>> {
    let uid = pod.uids(kind).next()?;
    let mut values = part_of(view, uid, part);
    match part {
        Part::Labels => list(view, values),
        _ => values.next().map(Value::Text),
    }
}

fn services<'a>(view: &View<'a>, pod: &'a Pod, part: Part<'_>) -> impl Iterator<Item = &'a [u8]> {
    parts(view, pod, ObjectKind::Service, part)
}

/// A part of all objects of a kind that the pod belongs to.
fn parts<'a>(
    view: &View<'a>,
    pod: &'a Pod,
    kind: ObjectKind,
    part: Part<'_>,
) -> impl Iterator<Item = &'a [u8]> {
    pod.uids(kind).flat_map(move |uid| part_of(view, uid, part))
}

/// A part of an object: no value, one, or each label.
fn part_of<'a>(view: &View<'a>, uid: &'a str, part: Part<'_>) -> impl Iterator<Item = &'a [u8]> {
    let object = || view.state.kubernetes().object(uid);
    let single = match part {
        Part::Uid => Some(uid.as_bytes()),
        Part::Name => object().map(|object| object.name.as_bytes()),
        Part::Label(key) => object().and_then(|object| label_of(&object.labels, key)),
        Part::Labels => None,
    };
    let all = object().filter(|_| matches!(part, Part::Labels));
    single
        .into_iter()
        .chain(all.into_iter().flat_map(|object: &Object| labels(view, &object.labels)))
}

/// Each label as `key:value`.
fn labels<'a>(
    view: &View<'a>,
    labels: &'a BTreeMap<String, String>,
) -> impl Iterator<Item = &'a [u8]> {
    labels.iter().map(move |(key, value)| {
        view.text(|out| {
            out.extend_from_slice(key.as_bytes());
            out.push(b':');
            out.extend_from_slice(value.as_bytes());
        })
    })
}

/// All of them as one text, if there are any.
fn joined<'a>(view: &View<'a>, values: impl Iterator<Item = &'a [u8]>) -> Option<Value<'a>> {
    let mut values = values.peekable();
    values.peek()?;
    // Values may be built in the memory in which a text is.
    let values: bumpalo::collections::Vec<'a, &'a [u8]> =
        bumpalo::collections::Vec::from_iter_in(values, &view.scratch.bump);
    Some(Value::Text(view.text(|out| {
        for value in &values {
            if !out.is_empty() {
                out.extend_from_slice(b", ");
            }
            out.extend_from_slice(value);
        }
    })))
}

fn label_of<'a>(labels: &'a BTreeMap<String, String>, key: &[u8]) -> Option<&'a [u8]> {
    labels.get(std::str::from_utf8(key).ok()?).map(String::as_bytes)
}

fn key(arg: &Arg) -> &[u8] {
    match arg {
        Arg::Text(key) => key,
        _ => b"",
    }
}

/// A list, if it has a member.
fn list<'a>(view: &View<'a>, values: impl Iterator<Item = &'a [u8]>) -> Option<Value<'a>> {
    let mut values = values.peekable();
    values.peek()?;
    Some(view.list(values.map(Value::Text)))
}

/// A text, if the API server has given it.
fn text(text: &str) -> Option<Value<'_>> {
    (!text.is_empty()).then_some(Value::Text(text.as_bytes()))
}
