//! The texts of events: the form of the reference's plugin `k8smeta`, which has JSON inside JSON.

use serde_json::{Map, Value, json};

use crate::api::{Container, Item};

/// Which objects of each kind a pod belongs to: kind and uid, in the order in which they are shown.
pub(crate) type References = Vec<(String, String)>;

/// An object that is new, or has changed. A pod has references.
pub(crate) fn changed(
    new: bool,
    kind: &str,
    item: &Item,
    references: Option<&References>,
) -> String {
    let mut event = Map::new();
    event.insert("reason".into(), if new { "Create" } else { "Update" }.into());
    event.insert("uid".into(), item.metadata.uid.as_str().into());
    event.insert("kind".into(), kind.into());
    event.insert("meta".into(), metadata(item).to_string().into());
    if let Some(references) = references {
        let ip = item.status.as_ref().and_then(|status| status.pod_ip.as_deref());
        let status = ip.map_or_else(|| json!({}), |ip| json!({ "podIP": ip }));
        event.insert("status".into(), status.to_string().into());
        event.insert("refs".into(), resources(references));
        let probed: Vec<_> = containers(item).filter(|container| container.has_command()).collect();
        if !probed.is_empty() {
            event.insert("spec".into(), json!({ "containers": probed }).to_string().into());
        }
    }
    Value::Object(event).to_string()
}

/// An object that is gone.
pub(crate) fn removed(kind: &str, uid: &str) -> String {
    json!({ "reason": "Delete", "uid": uid, "kind": kind }).to_string()
}

/// Writes an object in both ways; for the fuzz target.
pub(crate) fn fuzz(item: &Item) {
    changed(true, "Pod", item, Some(&Vec::new()));
    changed(false, "Namespace", item, None);
}

fn metadata(item: &Item) -> Value {
    let meta = &item.metadata;
    let mut object = Map::new();
    if let Some(hash) = meta.annotations.as_ref().and_then(|all| all.config_hash.as_ref()) {
        object.insert("annotations".into(), json!({ "kubernetes.io/config.hash": hash }));
    }
    if let Some(labels) = meta.labels.as_ref().filter(|labels| !labels.is_empty()) {
        object.insert("labels".into(), json!(labels));
    }
    object.insert("name".into(), meta.name.as_str().into());
    if !meta.namespace.is_empty() {
        object.insert("namespace".into(), meta.namespace.as_str().into());
    }
    object.insert("uid".into(), meta.uid.as_str().into());
    Value::Object(object)
}

fn resources(references: &References) -> Value {
    let mut kinds: Map<String, Value> = Map::new();
    for (kind, uid) in references {
        let list = kinds.entry(kind.as_str()).or_insert_with(|| json!({ "list": [] }));
        if let Some(list) = list.get_mut("list").and_then(Value::as_array_mut) {
            list.push(uid.as_str().into());
        }
    }
    json!({ "resources": kinds })
}

fn containers(item: &Item) -> impl Iterator<Item = &Container> {
    let spec = item.spec.as_ref();
    let lists = spec.map(|spec| [&spec.containers, &spec.init_containers]);
    lists.into_iter().flatten().flatten().flatten()
}

impl Container {
    /// Whether a command watches it.
    fn has_command(&self) -> bool {
        let probes = [&self.liveness_probe, &self.readiness_probe];
        probes.into_iter().flatten().any(|probe| probe.exec.is_some())
    }
}

#[cfg(test)]
mod tests {
    use peregrine_state::{KubernetesChange, ObjectKind};

    use super::*;

    /// What the state reads from the text.
    fn read(text: &str) -> KubernetesChange {
        KubernetesChange::from_json(text.as_bytes()).unwrap().unwrap()
    }

    fn item(json: Value) -> Item {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn the_state_reads_all_of_a_pod() {
        let pod = item(json!({
            "metadata": {
                "name": "web-1", "namespace": "shop", "uid": "u", "labels": { "app": "web" },
                "annotations": { "kubernetes.io/config.hash": "h", "other": "x" },
            },
            "spec": { "containers": [
                { "name": "web", "livenessProbe": { "exec": { "command": ["cat", "/live"] } } },
                { "name": "plain", "readinessProbe": { "httpGet": { "port": 80 } } },
            ] },
            "status": { "podIP": "10.0.0.7" },
        }));
        let references = [("Namespace", "n"), ("Service", "s"), ("Service", "t"), ("Job", "j")];
        let references = references.map(|(kind, uid)| (kind.to_owned(), uid.to_owned())).into();
        let KubernetesChange::Pod(pod) = read(&changed(true, "Pod", &pod, Some(&references)))
        else {
            panic!("no pod");
        };
        assert_eq!((&*pod.object.name, &*pod.object.namespace), ("web-1", "shop"));
        assert_eq!((&*pod.object.uid, &*pod.static_uid, &*pod.ip), ("u", "h", "10.0.0.7"));
        assert_eq!(pod.object.labels["app"], "web");
        assert_eq!(pod.uids(ObjectKind::Service).collect::<Vec<_>>(), ["s", "t"]);
        assert_eq!(pod.probes.len(), 1);
        assert_eq!((&*pod.probes[0].0, &*pod.probes[0].1.args), ("web", &["/live".to_owned()][..]));
    }

    #[test]
    fn texts_have_the_form_of_the_reference() {
        let namespace = item(json!({ "metadata": { "name": "shop", "uid": "n" } }));
        assert_eq!(
            changed(false, "Namespace", &namespace, None),
            r#"{"kind":"Namespace","meta":"{\"name\":\"shop\",\"uid\":\"n\"}","reason":"Update","uid":"n"}"#
        );
        assert_eq!(removed("Pod", "u"), r#"{"kind":"Pod","reason":"Delete","uid":"u"}"#);
        let KubernetesChange::Removed(uid) = read(&removed("Pod", "u")) else { panic!() };
        assert_eq!(uid, "u");
    }
}
