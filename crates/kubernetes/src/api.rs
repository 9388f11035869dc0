//! What the API server answers: the parts of its objects that are of use here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// An object: a pod, a service, or the metadata of any other. What is absent is empty.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
pub(crate) struct Item {
    #[serde(default)]
    pub(crate) metadata: Meta,
    #[serde(default)]
    pub(crate) spec: Option<Spec>,
    #[serde(default)]
    pub(crate) status: Option<Status>,
}

/// What all objects have.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Meta {
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) uid: String,
    pub(crate) resource_version: String,
    pub(crate) labels: Option<BTreeMap<String, String>>,
    pub(crate) annotations: Option<Annotations>,
    pub(crate) owner_references: Option<Vec<Owner>>,
}

/// The annotations that are of use.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
pub(crate) struct Annotations {
    /// The uid under which the kubelet runs a pod from a file.
    #[serde(default, rename = "kubernetes.io/config.hash")]
    pub(crate) config_hash: Option<String>,
}

/// An object that another belongs to.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Owner {
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) controller: Option<bool>,
}

/// The specification of a pod or a service.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Spec {
    pub(crate) containers: Option<Vec<Container>>,
    pub(crate) init_containers: Option<Vec<Container>>,
    /// Labels of the pods of a service.
    pub(crate) selector: Option<BTreeMap<String, String>>,
}

/// A container of a pod, with what watches it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Container {
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) liveness_probe: Option<Probe>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) readiness_probe: Option<Probe>,
}

/// A probe; those without a command are requests of the kubelet.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default)]
pub(crate) struct Probe {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) exec: Option<Exec>,
}

/// A command.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default)]
pub(crate) struct Exec {
    pub(crate) command: Option<Vec<String>>,
}

/// The status of a pod.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub(crate) struct Status {
    #[serde(rename = "podIP")]
    pub(crate) pod_ip: Option<String>,
}

/// A page of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Page {
    pub(crate) metadata: PageMeta,
    /// `null` for an empty list.
    pub(crate) items: Option<Vec<Item>>,
}

/// Where a list stands.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct PageMeta {
    pub(crate) resource_version: String,
    /// Names the next page; empty on the last.
    #[serde(rename = "continue")]
    pub(crate) next: Option<String>,
}

/// A line of a watch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// An object is new or has changed.
    Changed(Box<Item>),
    /// An object is gone, or no longer selected.
    Deleted(Box<Item>),
    /// Nothing has changed up to this version.
    Bookmark(String),
    /// The watch has ended for this reason: a code of HTTP and a text.
    Error(u16, String),
}

/// Why something failed, as the server says it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Failure {
    pub(crate) code: u16,
    pub(crate) message: String,
}

#[derive(Deserialize)]
struct Head {
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Body<T> {
    object: T,
}

impl Line {
    /// Reads a line of a watch; `None` for a type of line that is not known.
    pub(crate) fn parse(line: &[u8]) -> serde_json::Result<Option<Self>> {
        // The type decides what the object is, and may stand behind it.
        let Head { kind } = serde_json::from_slice(line)?;
        let item = || serde_json::from_slice::<Body<Item>>(line).map(|body| Box::new(body.object));
        Ok(Some(match kind.as_str() {
            "ADDED" | "MODIFIED" => Self::Changed(item()?),
            "DELETED" => Self::Deleted(item()?),
            "BOOKMARK" => Self::Bookmark(item()?.metadata.resource_version),
            "ERROR" => {
                let Body { object: Failure { code, message } } = serde_json::from_slice(line)?;
                Self::Error(code, message)
            }
            _ => return Ok(None),
        }))
    }
}

impl Item {
    /// The object that manages this one.
    pub(crate) fn owner(&self) -> Option<&Owner> {
        let owners = self.metadata.owner_references.as_deref().unwrap_or_default();
        owners.iter().find(|owner| owner.controller == Some(true))
    }

    /// Whether this service selects a pod with these labels.
    pub(crate) fn selects(&self, labels: Option<&BTreeMap<String, String>>) -> bool {
        let selector = self.spec.as_ref().and_then(|spec| spec.selector.as_ref());
        // A service without a selector has endpoints of its own.
        let Some(selector) = selector.filter(|selector| !selector.is_empty()) else { return false };
        let Some(labels) = labels else { return false };
        selector.iter().all(|(key, value)| labels.get(key) == Some(value))
    }
}

/// Reads bytes as everything that the server sends; for the fuzz target.
pub fn fuzz(bytes: &[u8]) {
    let _ = Line::parse(bytes);
    let _ = serde_json::from_slice::<Page>(bytes);
    let _ = serde_json::from_slice::<Failure>(bytes);
    if let Ok(item) = serde_json::from_slice::<Item>(bytes) {
        let _ = item.selects(item.metadata.labels.as_ref());
        crate::event::fuzz(&item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lines_of_a_watch() {
        let line = |text: &str| Line::parse(text.as_bytes()).unwrap();
        let changed = line(r#"{"type":"ADDED","object":{"metadata":{"uid":"u"},"spec":null}}"#);
        assert!(matches!(changed, Some(Line::Changed(item)) if item.metadata.uid == "u"));
        let text = r#"{"object":{"metadata":{"resourceVersion":"7"}},"type":"BOOKMARK"}"#;
        assert_eq!(line(text), Some(Line::Bookmark("7".into())));
        // The object is a `Status`, whose fields are not those of a pod.
        let text = r#"{"type":"ERROR","object":{"metadata":{},"status":"Failure","code":410}}"#;
        assert_eq!(line(text), Some(Line::Error(410, String::new())));
        assert_eq!(line(r#"{"type":"NEW","object":{}}"#), None);
        assert!(Line::parse(b"{}").is_err());
    }

    #[test]
    fn empty_lists_may_be_null() {
        let page: Page = serde_json::from_str(r#"{"metadata":{},"items":null}"#).unwrap();
        assert!(page.items.is_none() && page.metadata.next.is_none());
    }

    #[test]
    fn services_select_by_all_labels_of_their_selector() {
        let labels = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|&(key, value)| (key.into(), value.into())).collect()
        };
        let service = |selector| {
            let spec = Spec { selector: Some(selector), ..Spec::default() };
            Item { spec: Some(spec), ..Item::default() }
        };
        let pod = labels(&[("app", "web"), ("tier", "1")]);
        assert!(service(labels(&[("app", "web")])).selects(Some(&pod)));
        assert!(!service(labels(&[("app", "web"), ("tier", "2")])).selects(Some(&pod)));
        assert!(!service(labels(&[])).selects(Some(&pod)));
        assert!(!service(labels(&[("app", "web")])).selects(None));
    }
}
