//! The JSON in which events describe pods and other objects.

use std::collections::BTreeMap;
use std::sync::Arc;

use peregrine_limits::KUBERNETES_JSON_BYTES;
use serde_json::{Map, Value, json};
use thiserror::Error;

use super::{Object, ObjectKind, Pod};
use crate::containers::{HealthProbe, ProbeKind};

/// What an event says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A pod is new, or has changed.
    Pod(Arc<Pod>),
    /// Another object is new, or has changed.
    Object(ObjectKind, Arc<Object>),
    /// The pod or object with this uid is gone.
    Removed(String),
}

/// Why a text describes no change.
#[derive(Debug, Error)]
pub enum KubernetesError {
    /// It is no JSON.
    #[error("the description of an object is no JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// It is too long.
    #[error("the description of an object has {0} bytes, more than {KUBERNETES_JSON_BYTES}")]
    Long(usize),
    /// It lacks what all have, or has another reason than those that are known.
    #[error("the description of an object has no valid `{0}`")]
    Lacks(&'static str),
}

/// Annotation with the uid under which the kubelet runs a pod from a file.
const STATIC_UID: &str = "kubernetes.io/config.hash";

impl Change {
    /// Reads the JSON of an event `k8s`. `None` for an object of a kind that no field tells of.
    /// What is missing or of another type is taken as empty.
    ///
    /// # Errors
    /// When the text is too long, no JSON or lacks its reason, kind or uid.
    pub fn from_json(bytes: &[u8]) -> Result<Option<Self>, KubernetesError> {
        if bytes.len() > KUBERNETES_JSON_BYTES.get() {
            KUBERNETES_JSON_BYTES.reach();
            return Err(KubernetesError::Long(bytes.len()));
        }
        let event: Value = serde_json::from_slice(bytes)?;
        let text = |key| event.get(key).and_then(Value::as_str);
        let uid = text("uid").filter(|uid| !uid.is_empty()).ok_or(KubernetesError::Lacks("uid"))?;
        let kind = text("kind").ok_or(KubernetesError::Lacks("kind"))?;
        match text("reason") {
            Some("Create" | "Update") => {}
            Some("Delete") => return Ok(Some(Self::Removed(uid.to_owned()))),
            _ => return Err(KubernetesError::Lacks("reason")),
        }
        let meta = inner(&event, "meta")?;
        let object = object(uid, &meta);
        if kind == "Pod" {
            let pod = pod(object, &event, &meta)?;
            return Ok(Some(Self::Pod(Arc::new(pod))));
        }
        Ok(ObjectKind::from_name(kind).map(|kind| Self::Object(kind, Arc::new(object))))
    }

    /// The JSON of an event that says that this is there, which [`from_json`](Self::from_json)
    /// reads. `None` for what is gone.
    #[must_use]
    pub fn to_json(&self) -> Option<String> {
        let (kind, object, pod) = match self {
            Self::Pod(pod) => ("Pod", &pod.object, Some(pod)),
            Self::Object(kind, object) => (kind.name(), &**object, None),
            Self::Removed(_) => return None,
        };
        let mut meta = Json::new();
        let mut event = Json::new();
        for (key, text) in [("reason", "Create"), ("uid", &object.uid), ("kind", kind)] {
            event.insert(key.into(), text.into());
        }
        for (key, text) in
            [("name", &object.name), ("namespace", &object.namespace), ("uid", &object.uid)]
        {
            meta.extend((!text.is_empty()).then(|| (key.into(), text.as_str().into())));
        }
        meta.insert("labels".into(), json!(object.labels));
        if let Some(pod) = pod {
            if !pod.static_uid.is_empty() {
                meta.insert("annotations".into(), json!({ (STATIC_UID): pod.static_uid }));
            }
            let status = match pod.ip.as_str() {
                "" => json!({}),
                ip => json!({ "podIP": ip }),
            };
            event.insert("status".into(), status.to_string().into());
            event.insert("refs".into(), json!({ "resources": resources(pod) }));
            if !pod.probes.is_empty() {
                let containers: Vec<_> = pod.probes.iter().filter_map(container_json).collect();
                event.insert("spec".into(), json!({ "containers": containers }).to_string().into());
            }
        }
        event.insert("meta".into(), Value::Object(meta).to_string().into());
        Some(Value::Object(event).to_string())
    }
}

/// Uids of what a pod belongs to, by kind.
fn resources(pod: &Pod) -> Json {
    let kinds = ObjectKind::ALL.into_iter().filter_map(|kind| {
        let uids: Vec<_> = pod.uids(kind).collect();
        (!uids.is_empty()).then(|| (kind.name().to_owned(), json!({ "list": uids })))
    });
    kinds.collect()
}

/// A container with one command that watches it.
fn container_json((name, probe): &(String, HealthProbe)) -> Option<Value> {
    let (key, _) = PROBES.iter().find(|(_, kind)| *kind == probe.kind)?;
    let command: Vec<_> = std::iter::once(&probe.exe).chain(&probe.args).collect();
    Some(json!({ "name": name, (*key): { "exec": { "command": command } } }))
}

/// Keys of the commands that watch a container.
const PROBES: [(&str, ProbeKind); 2] =
    [("livenessProbe", ProbeKind::Liveness), ("readinessProbe", ProbeKind::Readiness)];

type Json = Map<String, Value>;

/// A JSON text inside the JSON; empty when it is absent.
fn inner(event: &Value, key: &str) -> Result<Json, serde_json::Error> {
    let text = event.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    text.map_or_else(|| Ok(Json::new()), serde_json::from_str)
}

fn object(uid: &str, meta: &Json) -> Object {
    let labels = meta.get("labels").and_then(Value::as_object);
    let label = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
    let labels: BTreeMap<_, _> = labels.into_iter().flatten().filter_map(label).collect();
    Object {
        uid: uid.to_owned(),
        name: text(meta, "name").to_owned(),
        namespace: text(meta, "namespace").to_owned(),
        labels,
    }
}

fn pod(object: Object, event: &Value, meta: &Json) -> Result<Pod, serde_json::Error> {
    let (spec, status) = (inner(event, "spec")?, inner(event, "status")?);
    let annotations = meta.get("annotations").and_then(Value::as_object);
    let static_uid = annotations.map_or("", |annotations| text(annotations, STATIC_UID));
    let containers = ["containers", "initContainers"].map(|key| objects(&spec, key));
    Ok(Pod {
        object,
        ip: text(&status, "podIP").to_owned(),
        belongs_to: references(event),
        probes: containers.into_iter().flatten().flat_map(probes).collect(),
        static_uid: static_uid.to_owned(),
    })
}

/// `refs.resources.<kind>.list`: uids.
fn references(event: &Value) -> Vec<(ObjectKind, String)> {
    let lists = event.pointer("/refs/resources").and_then(Value::as_object);
    let lists = lists.into_iter().flatten();
    lists
        .filter_map(|(kind, list)| Some((ObjectKind::from_name(kind)?, list.get("list")?)))
        .flat_map(|(kind, list)| {
            let uids = list.as_array().into_iter().flatten().filter_map(Value::as_str);
            uids.map(move |uid| (kind, uid.to_owned()))
        })
        .collect()
}

/// The commands that watch a container, with its name.
fn probes(container: &Json) -> Vec<(String, HealthProbe)> {
    let probe = |(key, kind): (&str, _)| {
        let command = container.get(key)?.pointer("/exec/command")?.as_array()?;
        let mut words = command.iter().filter_map(Value::as_str).map(str::to_owned);
        let probe = HealthProbe { kind, exe: words.next()?, args: words.collect() };
        Some((text(container, "name").to_owned(), probe))
    };
    PROBES.into_iter().filter_map(probe).collect()
}

fn objects<'a>(json: &'a Json, key: &str) -> impl Iterator<Item = &'a Json> {
    let items = json.get(key).and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_object)
}

fn text<'a>(json: &'a Json, key: &str) -> &'a str {
    json.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(kind: &str, meta: &Value) -> Value {
        json!({ "reason": "Create", "uid": "u", "kind": kind, "meta": meta.to_string() })
    }

    fn read(event: &Value) -> Result<Option<Change>, KubernetesError> {
        Change::from_json(event.to_string().as_bytes())
    }

    #[test]
    fn reads_a_pod_with_its_references() {
        let meta = json!({
            "name": "web-1", "namespace": "shop", "labels": { "app": "web", "bad": 1 },
            "annotations": { "kubernetes.io/config.hash": "abc" },
        });
        let mut pod = event("Pod", &meta);
        pod["status"] = json!(r#"{"podIP":"10.0.0.7"}"#);
        pod["refs"] = json!({ "resources": {
            "Namespace": { "list": ["n"] }, "Service": { "list": ["s", "t", 3] },
            "DaemonSet": { "list": ["d"] },
        } });
        let probe = json!({ "exec": { "command": ["cat", "/ready"] } });
        let spec = json!({ "containers": [
            { "name": "web", "readinessProbe": probe, "livenessProbe": { "httpGet": {} } },
        ] });
        pod["spec"] = json!(spec.to_string());
        let Some(Change::Pod(pod)) = read(&pod).unwrap() else { panic!("no pod") };
        assert_eq!((&*pod.object.name, &*pod.object.namespace), ("web-1", "shop"));
        assert_eq!((&*pod.ip, &*pod.static_uid), ("10.0.0.7", "abc"));
        assert_eq!(pod.object.labels.len(), 1);
        assert_eq!(pod.uids(ObjectKind::Service).collect::<Vec<_>>(), ["s", "t"]);
        assert_eq!(pod.belongs_to.len(), 3);
        let (container, probe) = &pod.probes[0];
        assert_eq!((&**container, probe.kind, &*probe.exe), ("web", ProbeKind::Readiness, "cat"));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let probe = |kind, exe: &str| HealthProbe { kind, exe: exe.into(), args: vec!["x".into()] };
        let object = Object {
            uid: "u".into(),
            name: "web \"1\"".into(),
            namespace: "shop".into(),
            labels: [("app".into(), "web".into())].into(),
        };
        let pod = Pod {
            object: object.clone(),
            ip: "10.0.0.7".into(),
            belongs_to: vec![
                (ObjectKind::Namespace, "n".into()),
                (ObjectKind::Service, "s".into()),
                (ObjectKind::Service, "t".into()),
            ],
            probes: vec![
                ("web".into(), probe(ProbeKind::Liveness, "cat")),
                ("web".into(), probe(ProbeKind::Readiness, "test")),
            ],
            static_uid: "h".into(),
        };
        let bare =
            Pod { object: Object { uid: "v".into(), ..Object::default() }, ..Pod::default() };
        for change in [
            Change::Pod(Arc::new(pod)),
            Change::Pod(Arc::new(bare)),
            Change::Object(ObjectKind::Deployment, Arc::new(object)),
        ] {
            let json = change.to_json().unwrap();
            assert_eq!(Change::from_json(json.as_bytes()).unwrap(), Some(change));
        }
        assert_eq!(Change::Removed("u".into()).to_json(), None);
    }

    #[test]
    fn kinds_without_fields_are_no_change() {
        assert_eq!(read(&event("DaemonSet", &json!({}))).unwrap(), None);
        assert!(matches!(read(&event("Namespace", &json!({}))), Ok(Some(Change::Object(..)))));
        let gone = json!({ "reason": "Delete", "uid": "u", "kind": "Pod" });
        assert_eq!(read(&gone).unwrap(), Some(Change::Removed("u".into())));
    }

    #[test]
    fn says_why_not() {
        let error = |event: Value| read(&event).unwrap_err().to_string();
        let without = |key| {
            let mut event = event("Pod", &json!({}));
            event.as_object_mut().map(|event| event.remove(key));
            error(event)
        };
        for key in ["uid", "kind", "reason"] {
            assert_eq!(without(key), format!("the description of an object has no valid `{key}`"));
        }
        let mut broken = event("Pod", &json!({}));
        broken["meta"] = json!("{");
        assert!(error(broken).starts_with("the description of an object is no JSON"));
        let long = " ".repeat(KUBERNETES_JSON_BYTES.get() + 1);
        let error = Change::from_json(long.as_bytes()).unwrap_err().to_string();
        assert_eq!(error, "the description of an object has 1048577 bytes, more than 1 MiB");
    }
}
