//! Runtimes behind a gRPC socket: CRI, containerd, or both on the same socket.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join;
use peregrine_limits::RUNTIME_CACHE;
use peregrine_state::{Container, ContainerKind};
use serde_json::Value;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::client::{
    Answer, Change, ChangeKind, Changes, ClientError, Hello, Listed, RuntimeClient,
};
use crate::containerd::messages::Envelope;
use crate::containerd::record::{Origin, Record};
use crate::containerd::{CRI_NAMESPACE, Containerd, Happening, Topic};
use crate::cri::Cri;
use crate::cri::image::ImageNames;
use crate::cri::messages::{
    CREATED_EVENT, ContainerEvent, DELETED_EVENT, STARTED_EVENT, STOPPED_EVENT,
};
use crate::cri::pod::Pod;
use crate::grpc::{CallError, Channel, Messages};

/// What is asked for at a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GrpcServices {
    /// Containers of pods, by CRI.
    pub(crate) cri: bool,
    /// Containers of all namespaces of containerd, not only of CRI's.
    pub(crate) all_namespaces: bool,
    /// Whether the sizes of writable layers are asked for.
    pub(crate) with_size: bool,
}

/// A client of what listens at a socket. It connects with its first question.
pub(crate) struct GrpcClient {
    socket: PathBuf,
    services: GrpcServices,
    runtime: OnceCell<Rc<Runtime>>,
}

impl GrpcClient {
    pub(crate) fn new(socket: &Path, services: GrpcServices) -> Self {
        Self { socket: socket.to_owned(), services, runtime: OnceCell::new() }
    }

    async fn runtime(&self) -> Result<&Rc<Runtime>, CallError> {
        let connect = || async { Runtime::connect(&self.socket, self.services).await.map(Rc::new) };
        self.runtime.get_or_try_init(connect).await
    }
}

impl RuntimeClient for GrpcClient {
    fn hello(&self) -> Answer<'_, Hello> {
        Box::pin(async { Ok(self.runtime().await?.hello()) })
    }

    fn watch(&self) -> Answer<'_, Box<dyn Changes>> {
        Box::pin(async { self.runtime().await?.watch().await })
    }

    fn list(&self) -> Answer<'_, Vec<Listed>> {
        Box::pin(async { Ok(self.runtime().await?.list().await?) })
    }

    fn inspect<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Container>> {
        Box::pin(async { Ok(self.runtime().await?.inspect(id).await?) })
    }

    /// Its events have ids only.
    fn describe_said(&self, _said: Value) -> Answer<'_, Option<Container>> {
        Box::pin(async { Ok(None) })
    }
}

/// A connection to a runtime.
struct Runtime {
    cri: Option<Cri>,
    containerd: Option<Containerd>,
    with_size: bool,
    /// Sandboxes of which nothing more will become known, by id.
    pods: RefCell<HashMap<String, Rc<Pod>>>,
}

impl Runtime {
    async fn connect(socket: &Path, services: GrpcServices) -> Result<Self, CallError> {
        let channel = Channel::connect(socket).await?;
        let cri = match services.cri {
            true => supported(Cri::new(channel.clone()).await)?,
            false => None,
        };
        let containerd = match &cri {
            Some(cri) if cri.kind() != ContainerKind::Containerd => None,
            Some(_) => supported(Containerd::new(channel, services.all_namespaces).await)?,
            // It may have no CRI.
            None => Some(Containerd::new(channel, services.all_namespaces).await?),
        };
        let with_size = services.with_size;
        Ok(Self { cri, containerd, with_size, pods: RefCell::default() })
    }

    fn hello(&self) -> Hello {
        match (&self.cri, &self.containerd) {
            (Some(cri), _) => Hello {
                runtime: format!("{} {}", cri.name, cri.version),
                api: format!("CRI {}", cri.api),
            },
            (None, Some(containerd)) => {
                Hello { runtime: format!("containerd {}", containerd.version), api: String::new() }
            }
            (None, None) => Hello::default(),
        }
    }

    async fn list(&self) -> Result<Vec<Listed>, CallError> {
        let mut all = match &self.cri {
            Some(cri) => cri.list().await?,
            None => Vec::new(),
        };
        if let Some(containerd) = &self.containerd {
            for namespace in containerd.namespaces().await? {
                if namespace != CRI_NAMESPACE || self.cri.is_none() {
                    all.extend(containerd.list(&namespace).await?);
                }
            }
        }
        Ok(all)
    }

    async fn inspect(self: &Rc<Self>, id: &str) -> Result<Option<Container>, CallError> {
        // Containerd knows a container before its CRI does.
        if let Some(containerd) = &self.containerd
            && let Some((namespace, container)) = containerd.find(id).await?
        {
            let record = Record::new(container);
            return self.describe(containerd, &namespace, record).await.map(Some);
        }
        // Its ids are hex numbers.
        let Some(cri) = self.cri.as_ref().filter(|_| id.bytes().all(|b| b.is_ascii_hexdigit()))
        else {
            return Ok(None);
        };
        if let Some(mut container) = cri.container(id).await? {
            let pod = self.pod(&container.sandbox).await?;
            container.size = self.size(&container.id).await;
            return Ok(Some(container.describe(cri.kind(), pod.as_deref())));
        }
        let pod = cri.sandbox(id).await?.map(|pod| self.keep(pod));
        Ok(pod.map(|pod| pod.describe(cri.kind())))
    }

    async fn describe(
        &self,
        containerd: &Containerd,
        namespace: &str,
        mut record: Record,
    ) -> Result<Container, CallError> {
        match std::mem::replace(&mut record.origin, Origin::Client) {
            Origin::Sandbox(metadata) => {
                let image = containerd.image(namespace, &record.image).await;
                let pod = self.keep(record.pod(&metadata, image));
                Ok(pod.describe(ContainerKind::Containerd))
            }
            Origin::Container(metadata) => {
                let text = |name| metadata.get(name).and_then(Value::as_str).unwrap_or_default();
                let image = async {
                    match &self.cri {
                        Some(cri) => cri.image(text("ImageRef")).await,
                        None => None,
                    }
                };
                let (pod, image) = join(self.pod(text("SandboxID")), image).await;
                // A local image has no digest among its names.
                let name = match &image {
                    None => Some(&record.image),
                    Some(image) if image.repo_digests.is_empty() => image.repo_tags.first(),
                    Some(_) => None,
                };
                let digest = match name {
                    Some(name) => containerd.image_digest(namespace, name).await,
                    None => None,
                };
                let mut container = record.container(&metadata, image.as_ref(), digest);
                container.size = self.size(&container.id).await;
                Ok(container.describe(ContainerKind::Containerd, pod?.as_deref()))
            }
            Origin::Client => {
                let image = match record.image.as_str() {
                    "" => ImageNames::default(),
                    name => containerd.image(namespace, name).await,
                };
                Ok(record.describe(image))
            }
        }
    }

    async fn size(&self, id: &str) -> i64 {
        match &self.cri {
            Some(cri) if self.with_size => cri.size(id).await.unwrap_or(-1),
            _ => -1,
        }
    }

    /// The pod with this sandbox.
    async fn pod(&self, sandbox: &str) -> Result<Option<Rc<Pod>>, CallError> {
        if sandbox.is_empty() {
            return Ok(None);
        }
        if let Some(pod) = self.pods.borrow().get(sandbox) {
            return Ok(Some(Rc::clone(pod)));
        }
        if let Some(containerd) = &self.containerd
            && let Some(container) = containerd.get(CRI_NAMESPACE, sandbox).await?
        {
            let record = Record::new(container);
            if let Origin::Sandbox(metadata) = &record.origin {
                let image = containerd.image(CRI_NAMESPACE, &record.image).await;
                return Ok(Some(self.keep(record.pod(metadata, image))));
            }
        }
        // The sandboxes of virtual machines are no containers.
        let Some(cri) = &self.cri else { return Ok(None) };
        Ok(cri.sandbox(sandbox).await?.map(|pod| self.keep(pod)))
    }

    fn keep(&self, pod: Pod) -> Rc<Pod> {
        let pod = Rc::new(pod);
        if pod.is_complete() {
            let mut pods = self.pods.borrow_mut();
            if pods.len() >= RUNTIME_CACHE.get() {
                RUNTIME_CACHE.reach();
                pods.clear();
            }
            pods.insert(pod.id.clone(), Rc::clone(&pod));
        }
        pod
    }

    async fn watch(self: &Rc<Self>) -> Result<Box<dyn Changes>, ClientError> {
        let runtime = Rc::clone(self);
        match (&self.containerd, &self.cri) {
            (Some(containerd), _) => {
                let messages = containerd.events().await?;
                Ok(Box::new(ContainerdChanges { runtime, messages }))
            }
            (None, Some(cri)) if cri.has_events() => {
                let mut messages = cri.events().await?;
                // A CRI-O that is not configured to have events ends the stream at once.
                let first = match timeout(NO_EVENTS, messages.next()).await {
                    Err(_) => None,
                    Ok(Ok(None)) => return Err(ClientError::Unsupported),
                    Ok(Err(error)) if error.is_unimplemented() => {
                        return Err(ClientError::Unsupported);
                    }
                    Ok(message) => message?,
                };
                Ok(Box::new(CriChanges { runtime, first, messages }))
            }
            _ => Err(ClientError::Unsupported),
        }
    }
}

/// How long the end of a stream is waited for that a runtime ends at once.
const NO_EVENTS: Duration = Duration::from_millis(100);

/// What the runtime has no service for is no error.
fn supported<T>(service: Result<T, CallError>) -> Result<Option<T>, CallError> {
    match service {
        Ok(service) => Ok(Some(service)),
        Err(error) if error.is_unimplemented() => Ok(None),
        Err(error) => Err(error),
    }
}

/// The events of containerd.
struct ContainerdChanges {
    runtime: Rc<Runtime>,
    messages: Messages<Envelope>,
}

impl Changes for ContainerdChanges {
    fn next(&mut self) -> Answer<'_, Option<Change>> {
        Box::pin(async {
            loop {
                let Some(event) = self.messages.next().await? else { return Ok(None) };
                let Some(Happening { namespace, id, topic }) = Happening::new(event) else {
                    continue;
                };
                let complete = || self.runtime.pods.borrow().contains_key(&id);
                let kind = match topic {
                    Topic::Create => ChangeKind::Created,
                    // The network of a pod is set up after its sandbox was made.
                    Topic::Update if namespace == CRI_NAMESPACE && complete() => continue,
                    Topic::Update => ChangeKind::Updated,
                    Topic::Start => ChangeKind::Started,
                    Topic::Exit => ChangeKind::Stopped,
                    Topic::Delete => ChangeKind::Removed,
                };
                if kind == ChangeKind::Removed {
                    self.runtime.pods.borrow_mut().remove(&id);
                }
                return Ok(Some(Change { id, kind, said: None }));
            }
        })
    }
}

/// The events of CRI.
struct CriChanges {
    runtime: Rc<Runtime>,
    first: Option<ContainerEvent>,
    messages: Messages<ContainerEvent>,
}

impl Changes for CriChanges {
    fn next(&mut self) -> Answer<'_, Option<Change>> {
        Box::pin(async {
            loop {
                let event = match self.first.take() {
                    None => self.messages.next().await?,
                    first => first,
                };
                let Some(ContainerEvent { container_id: id, kind }) = event else {
                    return Ok(None);
                };
                let kind = match kind {
                    CREATED_EVENT => ChangeKind::Created,
                    STARTED_EVENT => ChangeKind::Started,
                    STOPPED_EVENT => ChangeKind::Stopped,
                    DELETED_EVENT => ChangeKind::Removed,
                    _ => continue,
                };
                if kind == ChangeKind::Removed {
                    self.runtime.pods.borrow_mut().remove(&id);
                }
                return Ok(Some(Change { id, kind, said: None }));
            }
        })
    }
}

#[cfg(test)]
mod tests;
