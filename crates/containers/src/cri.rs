//! The Container Runtime Interface, version 1.

pub(crate) mod image;
pub(crate) mod messages;
pub(crate) mod pod;
pub(crate) mod status;

use peregrine_limits::{RUNTIME_ANSWER_BYTES, RUNTIME_LIST_BYTES};
use peregrine_state::ContainerKind;

use self::image::{CriImage, ImageNames};
use self::messages::{
    ALIVE, ContainerEvent, ContainerStatusResponse, Empty, Image, ImageSpec, ImageStatusRequest,
    ImageStatusResponse, List, ListedContainer, ListedSandbox, READY, SandboxStatusResponse,
    StatsRequest, StatsResponse, StatusRequest, VersionResponse,
};
use self::pod::{Pod, PodContainer};
use crate::client::Listed;
use crate::grpc::{CallError, Channel, Messages, Method};
use crate::json::borrowed;

/// A runtime with this interface.
#[derive(Clone, Debug)]
pub(crate) struct Cri {
    channel: Channel,
    /// As it calls itself: `containerd`, `cri-o`, `docker` …
    pub(crate) name: String,
    pub(crate) version: String,
    /// Version of the interface.
    pub(crate) api: String,
}

const fn method(path: &'static str) -> Method {
    Method { path, answer_bytes: RUNTIME_ANSWER_BYTES.get() }
}

const fn list(path: &'static str) -> Method {
    Method { path, answer_bytes: RUNTIME_LIST_BYTES.get() }
}

const VERSION: Method = method("/runtime.v1.RuntimeService/Version");
const CONTAINERS: Method = list("/runtime.v1.RuntimeService/ListContainers");
const SANDBOXES: Method = list("/runtime.v1.RuntimeService/ListPodSandbox");
const CONTAINER: Method = method("/runtime.v1.RuntimeService/ContainerStatus");
const SANDBOX: Method = method("/runtime.v1.RuntimeService/PodSandboxStatus");
const IMAGE: Method = method("/runtime.v1.ImageService/ImageStatus");
const STATS: Method = method("/runtime.v1.RuntimeService/ContainerStats");
const EVENTS: Method = method("/runtime.v1.RuntimeService/GetContainerEvents");

impl Cri {
    /// Asks what runtime listens.
    pub(crate) async fn new(channel: Channel) -> Result<Self, CallError> {
        let version: VersionResponse = channel.call(VERSION, None, &Empty {}).await?;
        Ok(Self {
            channel,
            name: version.runtime_name,
            version: version.runtime_version,
            api: version.runtime_api_version,
        })
    }

    pub(crate) fn kind(&self) -> ContainerKind {
        match self.name.as_str() {
            "containerd" => ContainerKind::Containerd,
            // By cri-dockerd.
            "docker" => ContainerKind::Docker,
            "cri-o" => ContainerKind::Crio,
            _ => ContainerKind::Cri,
        }
    }

    /// Whether its stream of events may be read. That of containerd 1.7 gives each event to only
    /// one of its readers, so that it would be missing to the kubelet; older ones have none.
    pub(crate) fn has_events(&self) -> bool {
        let major = self.version.trim_start_matches('v').split('.').next();
        match self.name.as_str() {
            "cri-o" => true,
            "containerd" => major.and_then(|major| major.parse::<u32>().ok()) >= Some(2),
            _ => false,
        }
    }

    /// All containers and sandboxes.
    pub(crate) async fn list(&self) -> Result<Vec<Listed>, CallError> {
        let sandboxes: List<ListedSandbox> = self.channel.call(SANDBOXES, None, &Empty {}).await?;
        let sandboxes = sandboxes.0.into_iter().map(|ListedSandbox { id, state, created_at }| {
            Listed { id, created: created_at, running: state == READY }
        });
        let containers: List<ListedContainer> =
            self.channel.call(CONTAINERS, None, &Empty {}).await?;
        let containers =
            containers.0.into_iter().map(|ListedContainer { id, state, created_at }| Listed {
                id,
                created: created_at,
                running: ALIVE.contains(&state),
            });
        Ok(sandboxes.chain(containers).collect())
    }

    /// The container with this id, which may be a part of it.
    pub(crate) async fn container(&self, id: &str) -> Result<Option<PodContainer>, CallError> {
        let request = StatusRequest { id: id.to_owned(), verbose: true };
        let answer = self.channel.call(CONTAINER, None, &request).await;
        let Some(answer) = known::<ContainerStatusResponse>(answer)? else { return Ok(None) };
        let info = status::info(&answer.info);
        let image = match &answer.status {
            Some(status) if !status.image_id.is_empty() => self.image(&status.image_id).await,
            Some(status) => self.image(&status.image_ref).await,
            None => None,
        };
        Ok(status::container(answer, &info, image.as_ref()))
    }

    /// The sandbox with this id, which may be a part of it.
    pub(crate) async fn sandbox(&self, id: &str) -> Result<Option<Pod>, CallError> {
        let request = StatusRequest { id: id.to_owned(), verbose: true };
        let answer = self.channel.call(SANDBOX, None, &request).await;
        let Some(answer) = known::<SandboxStatusResponse>(answer)? else { return Ok(None) };
        let info = status::info(&answer.info);
        let Some(status) = answer.status else { return Ok(None) };
        let image = match borrowed(&info, "/image") {
            "" => ImageNames::default(),
            name => match self.image(name).await {
                Some(image) => ImageNames::from_cri(&CriImage {
                    requested: name,
                    names: &[name],
                    tags: &image.repo_tags,
                    digests: &image.repo_digests,
                    ids: &[&image.id],
                }),
                None => ImageNames::from_name(name, "", ""),
            },
        };
        Ok(Some(Pod::from_status(status, &info, image)))
    }

    /// All names of an image. Without them, a container has the one name that its status says.
    pub(crate) async fn image(&self, id: &str) -> Option<Image> {
        if id.is_empty() {
            return None;
        }
        let image = ImageSpec { image: id.to_owned(), ..ImageSpec::default() };
        let request = ImageStatusRequest { image: Some(image) };
        let answer = self.channel.call::<ImageStatusResponse>(IMAGE, None, &request).await;
        answer.ok()?.image
    }

    /// Bytes of the writable layer of a container.
    pub(crate) async fn size(&self, id: &str) -> Option<i64> {
        let request = StatsRequest { container_id: id.to_owned() };
        let answer = self.channel.call::<StatsResponse>(STATS, None, &request).await.ok()?;
        i64::try_from(answer.stats?.writable_layer?.used_bytes?.value).ok()
    }

    /// The stream of events, where [there is one](Self::has_events).
    pub(crate) async fn events(&self) -> Result<Messages<ContainerEvent>, CallError> {
        let messages = self.channel.stream(EVENTS, None, &Empty {}).await?;
        // Once this is answered, the request before it has been taken.
        let _: VersionResponse = self.channel.call(VERSION, None, &Empty {}).await?;
        Ok(messages)
    }
}

/// What the runtime knows nothing about is no error.
pub(crate) fn known<A>(answer: Result<A, CallError>) -> Result<Option<A>, CallError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
