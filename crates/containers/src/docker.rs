//! The client of docker and podman, whose interfaces differ in few points.

mod bundle;
mod describe;
mod said;

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use peregrine_limits::{RUNTIME_ANSWER_BYTES, RUNTIME_LIST_BYTES};
use peregrine_state::{Container, Lacks};
use serde_json::Value;
use tokio::time::timeout;

use crate::client::{
    Answer, Change, ChangeKind, Changes, ClientError, ClientOptions, Hello, Listed, RuntimeClient,
};
use crate::http::{Http, Lines};
use crate::json::{items, text};
use crate::settings::EngineKind;

pub(crate) use describe::{describe_docker, describe_podman};

/// Images whose description is remembered, and for how long: tags move.
const IMAGES: usize = 256;
const IMAGE_TIME: Duration = Duration::from_secs(30);
/// How long what an event says of a container waits for what there is to know of its image.
const IMAGE_WAIT: Duration = Duration::from_millis(30);

/// A client of docker, or of podman.
pub(crate) struct Docker {
    http: Http,
    with_size: bool,
    podman: bool,
    /// Version of podman's own interface.
    version: RefCell<String>,
    images: RefCell<HashMap<String, (Instant, Rc<Value>)>>,
    host_root: PathBuf,
    /// Whether files may be read that the runtime names.
    reads_files: bool,
    /// Where podman has written down what containers are.
    bundles: RefCell<Option<bundle::Place>>,
}

impl Docker {
    pub(crate) fn new(kind: EngineKind, socket: &Path, options: &ClientOptions) -> Self {
        Self {
            http: Http::new(socket.to_owned()),
            with_size: options.with_size,
            podman: kind == EngineKind::Podman,
            version: RefCell::new("4.0.0".to_owned()),
            images: RefCell::default(),
            host_root: options.host_root.clone(),
            reads_files: kind == EngineKind::Podman && bundle::is_of_root(socket),
            bundles: RefCell::default(),
        }
    }

    /// `/version` would take seconds: podman asks the package manager about its helpers then.
    async fn ping(&self) -> Result<Hello, ClientError> {
        let headers = self.http.headers("/_ping").await?;
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let libpod = text("libpod-api-version");
        if libpod.is_some() != self.podman {
            let (found, wanted) = match self.podman {
                true => ("docker", "podman"),
                false => ("podman", "docker"),
            };
            let message = format!("{found} answers there, which is no socket of {wanted}");
            return Err(ClientError::Other(message));
        }
        let api = libpod.or_else(|| text("api-version")).unwrap_or_default();
        if self.podman && is_plain(api) {
            self.version.replace(api.to_owned());
        }
        // `Docker/20.10.24 (linux)`
        let server = text("server").unwrap_or_default();
        let version = server.split_once('/').map_or("", |(_, version)| version);
        let version = version.split(' ').next().unwrap_or_default();
        let name = if self.podman { "podman" } else { "docker" };
        let runtime = format!("{name} {version}").trim_end().to_owned();
        Ok(Hello { runtime, api: api.to_owned() })
    }

    /// A path of the interface.
    fn path(&self, path: &str) -> String {
        if self.podman {
            format!("/v{}/libpod{path}", self.version.borrow())
        } else {
            path.to_owned()
        }
    }

    async fn ask_list(&self) -> Result<Vec<Listed>, ClientError> {
        let path = self.path("/containers/json?all=true");
        let json = self.http.json(&path, &RUNTIME_LIST_BYTES).await?;
        let json = json.ok_or_else(|| ClientError::Unreadable("it has no list".to_owned()))?;
        Ok(items(&json, "").filter_map(listed).collect())
    }

    async fn ask_inspect(&self, id: &str) -> Result<Option<Container>, ClientError> {
        // The id becomes a part of a path.
        if !is_plain(id) {
            return Ok(None);
        }
        let size = match (self.with_size, self.podman) {
            (true, true) => "?size=true",
            (true, false) => "?size=1",
            (false, _) => "",
        };
        let Some(json) = self.inspected(id, size).await? else { return Ok(None) };
        let network = text(&json, "/HostConfig/NetworkMode");
        // What joins another container has its address.
        let joined = match network.strip_prefix("container:") {
            Some(other) if is_plain(other) => self.inspected(other, "").await?,
            _ => None,
        };
        if self.podman {
            if self.reads_files && self.bundles.borrow().is_none() {
                self.bundles.replace(bundle::Place::of(&json));
            }
            return Ok(describe_podman(&json, joined.as_ref()));
        }
        let image = text(&json, "/Image");
        let image = if is_plain(image.trim_start_matches("sha256:")) {
            self.image(&image).await?
        } else {
            Rc::new(Value::Null)
        };
        Ok(describe_docker(&json, &image, joined.as_ref()))
    }

    async fn inspected(&self, id: &str, query: &str) -> Result<Option<Value>, ClientError> {
        let path = self.path(&format!("/containers/{id}/json{query}"));
        self.http.json(&path, &RUNTIME_ANSWER_BYTES).await
    }

    /// The description of an image, `null` when it was removed.
    async fn image(&self, id: &str) -> Result<Rc<Value>, ClientError> {
        let known = self.images.borrow().get(id).cloned();
        if let Some((asked, image)) = known
            && asked.elapsed() < IMAGE_TIME
        {
            return Ok(image);
        }
        let image = Rc::new(self.ask_image(id).await?);
        let mut images = self.images.borrow_mut();
        if images.len() >= IMAGES {
            images.clear();
        }
        images.insert(id.to_owned(), (Instant::now(), Rc::clone(&image)));
        Ok(image)
    }

    /// The description of an image with this id or name.
    async fn ask_image(&self, name: &str) -> Result<Value, ClientError> {
        let path = self.path(&format!("/images/{name}/json"));
        let image = self.http.json(&path, &RUNTIME_ANSWER_BYTES).await?.unwrap_or_default();
        // Other parts of it can be long.
        let parts = ["Id", "Digest", "RepoTags", "RepoDigests"];
        let part = |key: &str| Some((key.to_owned(), image.get(key)?.clone()));
        Ok(parts.into_iter().filter_map(part).collect())
    }

    /// Asks about the image only: podman does not answer about a container while it starts it.
    async fn describe_said(&self, mut said: Value) -> Option<Container> {
        let name = text(&said, "/ImageName");
        let image = match is_image(&name) {
            true => timeout(IMAGE_WAIT, self.ask_image(&name)).await.ok().and_then(Result::ok),
            false => None,
        };
        let image = image.unwrap_or_default();
        said::add_image(&mut said, &image);
        let container = match self.podman {
            true => describe_podman(&said, None),
            false => describe_docker(&said, &image, None),
        };
        let container = Container { lacks: Lacks::Configuration, ..container? };
        let bundles = self.bundles.borrow().clone();
        Some(match bundles {
            Some(place) => place.complete(container, &self.host_root).await,
            None => container,
        })
    }

    /// The stream of events of podman reads a file every 250 ms. What it has of one container is
    /// read at once, also while podman starts or removes that container.
    async fn ask_recorded(&self, id: &str) -> Result<Option<Value>, ClientError> {
        /// Events that are looked at.
        const MOST: usize = 64;
        // {"container":["…"]}
        const FILTERS: &str = "filters=%7B%22container%22%3A%5B%22";
        if !self.podman || !is_plain(id) {
            return Ok(None);
        }
        let query = format!("stream=false&since=10m&{FILTERS}{id}%22%5D%7D");
        let mut events = Events(self.http.lines(&self.path(&format!("/events?{query}"))).await?);
        for _ in 0..MOST {
            let Some(Change { id: own, said, .. }) = events.next().await? else { break };
            // A container may be called like the beginning of another one's id.
            if said.is_some() && own.starts_with(id) {
                return Ok(said);
            }
        }
        Ok(None)
    }

    async fn ask_watch(&self) -> Result<Box<dyn Changes>, ClientError> {
        // {"type":["container"]}
        const FILTERS: &str = "filters=%7B%22type%22%3A%5B%22container%22%5D%7D";
        let path = if self.podman {
            self.path(&format!("/events?stream=true&{FILTERS}"))
        } else {
            format!("/events?{FILTERS}")
        };
        let lines = self.http.lines(&path).await?;
        Ok(Box::new(Events(lines)))
    }
}

impl RuntimeClient for Docker {
    fn hello(&self) -> Answer<'_, Hello> {
        Box::pin(self.ping())
    }

    fn watch(&self) -> Answer<'_, Box<dyn Changes>> {
        Box::pin(self.ask_watch())
    }

    fn list(&self) -> Answer<'_, Vec<Listed>> {
        Box::pin(self.ask_list())
    }

    fn inspect<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Container>> {
        Box::pin(self.ask_inspect(id))
    }

    fn recorded<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Value>> {
        Box::pin(self.ask_recorded(id))
    }

    fn describe_said(&self, said: Value) -> Answer<'_, Option<Container>> {
        Box::pin(async { Ok(self.describe_said(said).await) })
    }
}

/// The stream of events.
struct Events(Lines);

impl Changes for Events {
    fn next(&mut self) -> Answer<'_, Option<Change>> {
        Box::pin(async {
            while let Some(line) = self.0.next().await? {
                let json: Value = serde_json::from_slice(&line)
                    .map_err(|error| ClientError::Unreadable(error.to_string()))?;
                if let Some(change) = change(&json) {
                    return Ok(Some(change));
                }
            }
            Ok(None)
        })
    }
}

/// The change of a container that an event reports; `None` for events of other kinds.
pub(crate) fn change(json: &Value) -> Option<Change> {
    let first = |keys: [&str; 3]| {
        let texts = keys.into_iter().filter_map(|key| json.pointer(key)?.as_str());
        texts.filter(|text| !text.is_empty()).map(str::to_owned).next()
    };
    let kind = match first(["/Action", "/status", "/Status"])?.as_str() {
        "create" => ChangeKind::Created,
        "start" | "restart" => ChangeKind::Started,
        "rename" | "update" => ChangeKind::Updated,
        "die" | "died" => ChangeKind::Stopped,
        "destroy" | "remove" => ChangeKind::Removed,
        _ => return None,
    };
    let id = first(["/Actor/ID", "/id", "/ID"]).filter(|id| is_plain(id))?;
    let said = match kind {
        ChangeKind::Created | ChangeKind::Started => {
            said::said(json, &id, kind == ChangeKind::Created)
        }
        _ => None,
    };
    Some(Change { id, kind, said })
}

pub(crate) fn listed(json: &Value) -> Option<Listed> {
    let id = text(json, "/Id");
    let id = if id.is_empty() { text(json, "/ID") } else { id };
    let created = match json.get("Created") {
        Some(Value::Number(number)) => number.as_i64().unwrap_or_default(),
        Some(Value::String(_)) => crate::json::seconds(json, "/Created"),
        _ => 0,
    };
    let running = matches!(text(json, "/State").as_str(), "running" | "paused" | "restarting");
    is_plain(&id).then_some(Listed { id, created, running })
}

/// Whether a text can be a part of a path as it is.
fn is_plain(text: &str) -> bool {
    const LONGEST: usize = 128;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=LONGEST).contains(&text.len()) && text.bytes().all(plain) && !text.starts_with('.')
}

/// Whether a name of an image can be a part of a path as it is.
fn is_image(name: &str) -> bool {
    const LONGEST: usize = 512;
    name.len() <= LONGEST && name.split(['/', ':', '@']).all(is_plain)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_become_changes() {
        let of = |json| change(&json).map(|change| (change.id, change.kind));
        let docker = json!({"status": "start", "id": "12ab", "Type": "container",
            "Action": "start", "Actor": {"ID": "12ab", "Attributes": {}}});
        assert_eq!(of(docker), Some(("12ab".to_owned(), ChangeKind::Started)));
        let old = json!({"status": "create", "id": "12ab"});
        assert_eq!(of(old), Some(("12ab".to_owned(), ChangeKind::Created)));
        let podman = json!({"Action": "remove", "Actor": {"ID": "ab"}});
        assert_eq!(of(podman), Some(("ab".to_owned(), ChangeKind::Removed)));
        assert_eq!(of(json!({"Action": "exec_create: sh", "id": "ab"})), None);
        assert_eq!(of(json!({"Action": "start", "id": "../images"})), None);
        assert_eq!(of(json!([1])), None);
    }

    #[test]
    fn lists_are_read() {
        let docker = json!({"Id": "12ab", "Created": 5, "State": "running"});
        let expected = Listed { id: "12ab".to_owned(), created: 5, running: true };
        assert_eq!(listed(&docker), Some(expected));
        let podman = json!({"Id": "12ab", "Created": "1970-01-01T00:00:07Z", "State": "exited"});
        let expected = Listed { id: "12ab".to_owned(), created: 7, running: false };
        assert_eq!(listed(&podman), Some(expected));
        assert_eq!(listed(&json!({"Id": "a/b"})), None);
    }

    #[test]
    fn names_of_images_lead_nowhere_else() {
        assert!(is_image("localhost:5000/a/b:1.0@sha256:12") && is_image("bb"));
        for name in ["", "../info", "a/../b", "a?x=1", "a//b", "a%2f", "a b"] {
            assert!(!is_image(name), "{name}");
        }
    }
}
