//! The API of containerd, in which CRI is one of several users.

pub(crate) mod messages;
pub(crate) mod record;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use peregrine_limits::{
    CONTAINERS as MAX_CONTAINERS, RUNTIME_ANSWER_BYTES, RUNTIME_CACHE, RUNTIME_LIST_BYTES,
};
use prost::Message;
use serde_json::Value;

use self::messages::{
    Container, ContainerEvent, Envelope, GetContainerResponse, GetImageResponse, GetRequest,
    ListRequest, ListedContainer, Namespace, ReadContentRequest, ReadContentResponse, STOPPED,
    SubscribeRequest, Task, TaskExit, VersionResponse,
};
use crate::client::Listed;
use crate::cri::image::ImageNames;
use crate::cri::known;
use crate::cri::messages::{Empty, List};
use crate::grpc::{CallError, Channel, Messages, Method};

/// The namespace of the containers of CRI.
pub(crate) const CRI_NAMESPACE: &str = "k8s.io";
/// Characters of an id that users see.
const SHORT_ID: usize = 12;
/// That of docker, which knows more of its containers.
const DOCKER_NAMESPACE: &str = "moby";

/// A containerd.
#[derive(Debug)]
pub(crate) struct Containerd {
    channel: Channel,
    pub(crate) version: String,
    /// Whether containers of other namespaces than that of CRI are wanted.
    all_namespaces: bool,
    /// Ids of images by the digest of their manifest.
    image_ids: RefCell<HashMap<String, String>>,
}

const fn method(path: &'static str) -> Method {
    Method { path, answer_bytes: RUNTIME_ANSWER_BYTES.get() }
}

const VERSION: Method = method("/containerd.services.version.v1.Version/Version");
const NAMESPACES: Method = method("/containerd.services.namespaces.v1.Namespaces/List");
const CONTAINERS: Method = method("/containerd.services.containers.v1.Containers/ListStream");
const TASKS: Method = Method {
    path: "/containerd.services.tasks.v1.Tasks/List",
    answer_bytes: RUNTIME_LIST_BYTES.get(),
};
const CONTAINER: Method = method("/containerd.services.containers.v1.Containers/Get");
const IMAGE: Method = method("/containerd.services.images.v1.Images/Get");
const CONTENT: Method = method("/containerd.services.content.v1.Content/Read");
const EVENTS: Method = method("/containerd.services.events.v1.Events/Subscribe");

/// What happened to a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Happening {
    pub(crate) namespace: String,
    pub(crate) id: String,
    pub(crate) topic: Topic,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    Create,
    Update,
    Start,
    Exit,
    Delete,
}

impl Topic {
    const ALL: [(&'static str, Self); 5] = [
        ("/containers/create", Self::Create),
        ("/containers/update", Self::Update),
        ("/tasks/start", Self::Start),
        ("/tasks/exit", Self::Exit),
        ("/containers/delete", Self::Delete),
    ];
}

impl Containerd {
    /// Asks for its version. Fails where another runtime listens.
    pub(crate) async fn new(channel: Channel, all_namespaces: bool) -> Result<Self, CallError> {
        let answer: VersionResponse = channel.call(VERSION, None, &Empty {}).await?;
        let version = answer.version;
        Ok(Self { channel, version, all_namespaces, image_ids: RefCell::default() })
    }

    /// The namespaces that are looked at, that of CRI first.
    pub(crate) async fn namespaces(&self) -> Result<Vec<String>, CallError> {
        let first = [CRI_NAMESPACE.to_owned()].into_iter();
        if !self.all_namespaces {
            return Ok(first.collect());
        }
        let all: List<Namespace> = self.channel.call(NAMESPACES, None, &Empty {}).await?;
        let all = all.0.into_iter().map(|namespace| namespace.name);
        Ok(first.chain(all.filter(|name| is_other(name))).collect())
    }

    /// The containers of a namespace.
    pub(crate) async fn list(&self, namespace: &str) -> Result<Vec<Listed>, CallError> {
        let tasks: List<Task> = self.channel.call(TASKS, Some(namespace), &Empty {}).await?;
        let running = tasks.0.into_iter().filter(|task| task.status != STOPPED);
        let running: HashSet<String> = running
            .map(|task| if task.container_id.is_empty() { task.id } else { task.container_id })
            .collect();
        let containers = self.stream_containers(namespace, Vec::new()).await?;
        let listed = |ListedContainer { id, created_at }| Listed {
            created: created_at.unwrap_or_default().seconds,
            running: running.contains(&id),
            id,
        };
        Ok(containers.into_iter().map(listed).collect())
    }

    /// One message for each container: together they may be longer than a message may be.
    async fn stream_containers(
        &self,
        namespace: &str,
        filters: Vec<String>,
    ) -> Result<Vec<ListedContainer>, CallError> {
        let request = ListRequest { filters };
        let mut messages: Messages<List<ListedContainer>> =
            self.channel.stream(CONTAINERS, Some(namespace), &request).await?;
        let mut containers = Vec::new();
        while let Some(message) = messages.next().await? {
            if containers.len() >= MAX_CONTAINERS.get() {
                MAX_CONTAINERS.reach();
                break;
            }
            containers.extend(message.0.into_iter().next());
        }
        Ok(containers)
    }

    /// What is kept of the container with this whole id.
    pub(crate) async fn get(
        &self,
        namespace: &str,
        id: &str,
    ) -> Result<Option<Container>, CallError> {
        let request = GetRequest { name: id.to_owned() };
        let answer = self.channel.call(CONTAINER, Some(namespace), &request).await;
        Ok(known::<GetContainerResponse>(answer)?.and_then(|answer| answer.container))
    }

    /// The container with this id, and its namespace. The id may be cut to what users see of it.
    pub(crate) async fn find(&self, id: &str) -> Result<Option<(String, Container)>, CallError> {
        // Most are here, so that the other namespaces need not be listed.
        if let Some(container) = self.get_short(CRI_NAMESPACE, id).await? {
            return Ok(Some((CRI_NAMESPACE.to_owned(), container)));
        }
        for namespace in self.namespaces().await?.into_iter().skip(1) {
            if let Some(container) = self.get_short(&namespace, id).await? {
                return Ok(Some((namespace, container)));
            }
        }
        Ok(None)
    }

    async fn get_short(&self, namespace: &str, id: &str) -> Result<Option<Container>, CallError> {
        if id.len() != SHORT_ID {
            return self.get(namespace, id).await;
        }
        let characters = id.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if !characters {
            return Ok(None);
        }
        let filter = format!("id~=\"^{}\"", id.replace('.', "[.]"));
        let begin_so = self.stream_containers(namespace, vec![filter]).await?;
        let same = begin_so.iter().find(|container| container.id == id);
        match same.or(begin_so.first()) {
            Some(container) => self.get(namespace, &container.id).await,
            None => Ok(None),
        }
    }

    /// The digest of the manifest, or of the list of manifests, of an image.
    pub(crate) async fn image_digest(&self, namespace: &str, name: &str) -> Option<String> {
        if name.is_empty() {
            return None;
        }
        let request = GetRequest { name: name.to_owned() };
        let answer = self.channel.call::<GetImageResponse>(IMAGE, Some(namespace), &request).await;
        answer.ok()?.image?.target.map(|target| target.digest)
    }

    /// The names of an image. Its id stands in its manifest.
    pub(crate) async fn image(&self, namespace: &str, name: &str) -> ImageNames {
        let digest = self.image_digest(namespace, name).await.unwrap_or_default();
        let id = self.image_id(namespace, &digest).await.unwrap_or_default();
        ImageNames::from_name(name, &digest, &id)
    }

    async fn image_id(&self, namespace: &str, digest: &str) -> Option<String> {
        if digest.is_empty() {
            return None;
        }
        if let Some(id) = self.image_ids.borrow().get(digest) {
            return Some(id.clone());
        }
        let mut manifest = self.read_json(namespace, digest).await?;
        if let Some(own) = record::own_manifest(&manifest) {
            manifest = self.read_json(namespace, &own).await?;
        }
        let id = manifest.pointer("/config/digest")?.as_str()?.to_owned();
        let mut known = self.image_ids.borrow_mut();
        if known.len() >= RUNTIME_CACHE.get() {
            RUNTIME_CACHE.reach();
            known.clear();
        }
        known.insert(digest.to_owned(), id.clone());
        Some(id)
    }

    async fn read_json(&self, namespace: &str, digest: &str) -> Option<Value> {
        let request = ReadContentRequest { digest: digest.to_owned() };
        let messages = self.channel.stream(CONTENT, Some(namespace), &request).await;
        let mut messages: Messages<ReadContentResponse> = messages.ok()?;
        let mut content = Vec::new();
        while let Some(part) = messages.next().await.ok()? {
            if content.len() + part.data.len() > RUNTIME_ANSWER_BYTES.get() {
                RUNTIME_ANSWER_BYTES.reach();
                return None;
            }
            content.extend_from_slice(&part.data);
        }
        serde_json::from_slice(&content).ok()
    }

    /// What happens to containers from now on.
    pub(crate) async fn events(&self) -> Result<Messages<Envelope>, CallError> {
        let namespaces = if self.all_namespaces {
            format!("namespace!={DOCKER_NAMESPACE}")
        } else {
            format!("namespace=={CRI_NAMESPACE}")
        };
        let filter = |(topic, _)| format!("topic==\"{topic}\",{namespaces}");
        let filters = Topic::ALL.map(filter).to_vec();
        let request = SubscribeRequest { filters };
        let messages = self.channel.stream(EVENTS, None, &request).await?;
        // Once this is answered, the request before it has been taken.
        let _: VersionResponse = self.channel.call(VERSION, None, &Empty {}).await?;
        Ok(messages)
    }
}

fn is_other(namespace: &str) -> bool {
    namespace != CRI_NAMESPACE && namespace != DOCKER_NAMESPACE
}

impl Happening {
    /// What an event says, if it is about a container.
    pub(crate) fn new(event: Envelope) -> Option<Self> {
        let (_, topic) = Topic::ALL.into_iter().find(|(topic, _)| *topic == event.topic)?;
        let value = event.event?.value;
        let id = match topic {
            Topic::Exit => {
                let TaskExit { container, process } = TaskExit::decode(value).ok()?;
                (container == process).then_some(container)?
            }
            _ => ContainerEvent::decode(value).ok()?.id,
        };
        Some(Self { namespace: event.namespace, id, topic })
    }
}
