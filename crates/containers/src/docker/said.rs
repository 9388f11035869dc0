//! What an event of docker or podman says of a container.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::json::text;

/// Attributes of events that are no labels of the container.
const OWN: [&str; 4] = ["image", "name", "containerExitCode", "podId"];

/// The description of a container that an event has, in the form of an answer about it. `None` when
/// the event says nothing beside the id.
pub(crate) fn said(event: &Value, id: &str, is_create: bool) -> Option<Value> {
    let attributes = event.pointer("/Actor/Attributes")?.as_object()?;
    let own = |name: &str| attributes.get(name).and_then(Value::as_str).unwrap_or_default();
    let (image, name) = (own("image"), own("name"));
    if image.is_empty() && name.is_empty() {
        return None;
    }
    let labels = attributes.iter().filter(|(name, _)| !OWN.contains(&name.as_str()));
    let labels: Map<_, _> = labels.map(|(name, value)| (name.clone(), value.clone())).collect();
    let time = event.get("time").and_then(Value::as_i64).filter(|_| is_create);
    let time = time.and_then(|time| Timestamp::from_second(time).ok());
    Some(json!({
        "Id": id,
        "Name": name,
        "Created": time.map(|time| time.to_string()),
        "Config": {"Image": image, "Labels": labels},
        "ImageName": image,
        // Its address is not known, whatever the event is about.
        "State": {"Status": "created"},
    }))
}

/// Adds which image it is, from what is said of the image.
pub(crate) fn add_image(said: &mut Value, image: &Value) {
    if let Some(said) = said.as_object_mut() {
        said.insert("Image".to_owned(), text(image, "/Id").into());
        said.insert("ImageDigest".to_owned(), text(image, "/Digest").into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::{describe_docker, describe_podman};

    fn event(attributes: Value) -> Value {
        json!({"Type": "container", "Action": "create", "time": 1_796_050_846,
            "Actor": {"ID": "12ab", "Attributes": attributes}})
    }

    #[test]
    fn events_describe_containers() {
        let event =
            event(json!({"app": "x", "containerExitCode": "0", "image": "localhost/bb:1.0",
            "name": "web", "podId": ""}));
        let mut json = said(&event, "12ab", true).unwrap();
        add_image(&mut json, &json!({"Id": "77ff", "Digest": "sha256:88"}));
        let podman = describe_podman(&json, None).unwrap();
        assert_eq!((podman.name.as_str(), podman.created), ("web", 1_796_050_846));
        assert_eq!(
            (podman.image_repo.as_str(), podman.image_tag.as_str()),
            ("localhost/bb", "1.0")
        );
        assert_eq!((podman.image_id.as_str(), podman.image_digest.as_str()), ("77ff", "sha256:88"));
        assert_eq!(podman.labels.into_iter().collect::<Vec<_>>(), [("app".into(), "x".into())]);
        let docker =
            describe_docker(&json, &json!({"RepoDigests": ["localhost/bb@sha256:9"]}), None);
        let docker = docker.unwrap();
        assert_eq!(
            (docker.image.as_str(), docker.image_digest.as_str()),
            ("localhost/bb:1.0", "sha256:9")
        );
        assert!(docker.starting);
        let started = describe_docker(&said(&event, "12ab", false).unwrap(), &Value::Null, None);
        assert_eq!(started.unwrap().created, 0);
    }

    #[test]
    fn events_may_say_nothing() {
        assert_eq!(said(&event(json!({"app": "x"})), "12ab", true), None);
        assert_eq!(said(&event(json!([1])), "12ab", true), None);
        assert_eq!(said(&json!({"id": "12ab"}), "12ab", true), None);
        let odd = said(&event(json!({"name": "web", "image": 7, "n": 1})), "12ab", true).unwrap();
        assert_eq!(describe_podman(&odd, None).unwrap().image, "");
    }
}
