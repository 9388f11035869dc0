//! What is told about containers: events of the wire format.

use peregrine_event::{BuildError, Builder, EventType};
use peregrine_limits::CONTAINER_JSON_BYTES;
use peregrine_state::Container;

/// Digits of an id that users see.
const SHORT_ID: usize = 12;

/// The event about a container that exists.
pub(crate) const CONTAINER: &str = "container";
/// The event about a container that is gone.
pub(crate) const REMOVED: &str = "container_removed";

/// The beginning of an id, as control groups tell it.
pub(crate) fn short_id(id: &str) -> &str {
    id.get(..SHORT_ID).unwrap_or(id)
}

/// Leaves out labels with long values. Those that say which pod it is stay.
pub(crate) fn limit_labels(container: &mut Container, longest: usize) {
    const KEPT: [&str; 4] = [
        "io.kubernetes.sandbox.id",
        "io.kubernetes.pod.uid",
        "io.kubernetes.pod.name",
        "io.kubernetes.pod.namespace",
    ];
    let fits =
        |name: &String, value: &mut String| value.len() <= longest || KEPT.contains(&name.as_str());
    container.labels.retain(fits);
    container.pod_sandbox_labels.retain(fits);
}

/// The JSON of a container. Of one that is too long, parts are left out.
pub(crate) fn json(mut container: Container) -> String {
    let json = container.to_json();
    if json.len() <= CONTAINER_JSON_BYTES.get() {
        return json;
    }
    CONTAINER_JSON_BYTES.reach();
    container.env.clear();
    container.mounts.clear();
    let json = container.to_json();
    if json.len() <= CONTAINER_JSON_BYTES.get() {
        return json;
    }
    let Container { id, full_id, kind, name, image, image_repo, .. } = container;
    let mut short =
        Container { id, full_id, kind, name, image, image_repo, ..Container::default() };
    for text in [&mut short.full_id, &mut short.name, &mut short.image, &mut short.image_repo] {
        if text.len() > CONTAINER_JSON_BYTES.get() / 16 {
            text.clear();
        }
    }
    short.to_json()
}

/// The bytes of an event about a container. Its time is set when it is delivered.
///
/// # Errors
/// When it is too long for an event.
pub(crate) fn event(name: impl AsRef<[u8]>, json: &str) -> Result<Vec<u8>, BuildError> {
    let mut bytes = Vec::with_capacity(json.len() + 64);
    Builder::new(EventType::AsynceventE, 0, 0).u32(0).text(name).text(json).finish(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use peregrine_event::Event;

    use super::*;

    #[test]
    fn events_have_the_form_of_the_reference() {
        let container = Container { id: "ab".to_owned(), ..Container::default() };
        let bytes = event(CONTAINER, &json(container.clone())).unwrap();
        let event = Event::parse(&bytes, 0).unwrap();
        assert_eq!((event.u32(0), event.text(1)), (Some(0), Some(&b"container"[..])));
        assert_eq!(Container::from_json(event.text(2).unwrap()).unwrap().id, "ab");
        assert!(bytes.ends_with(b"}}\0"));
    }

    #[test]
    fn long_descriptions_are_cut() {
        let long = "x".repeat(CONTAINER_JSON_BYTES.get());
        let container = |name: &str| Container {
            id: "ab".to_owned(),
            name: name.to_owned(),
            env: vec![long.clone()],
            ..Container::default()
        };
        let read = |name| Container::from_json(json(container(name)).as_bytes()).unwrap();
        assert_eq!((read("web").name, read("web").env.len()), ("web".to_owned(), 0));
        assert_eq!((read(&long).id, read(&long).name), ("ab".to_owned(), String::new()));
    }

    #[test]
    fn long_labels_are_left_out() {
        let labels =
            ["a", "io.kubernetes.pod.name"].map(|name| (name.to_owned(), "long".to_owned()));
        let mut container = Container { labels: labels.into(), ..Container::default() };
        limit_labels(&mut container, 4);
        assert_eq!(container.labels.len(), 2);
        limit_labels(&mut container, 3);
        assert_eq!(container.labels.keys().collect::<Vec<_>>(), ["io.kubernetes.pod.name"]);
        assert_eq!((short_id("0123456789abcdef"), short_id("box")), ("0123456789ab", "box"));
    }
}
