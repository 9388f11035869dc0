//! The part of CRI v1 that a kubelet uses: gRPC with messages written by hand.

use std::path::PathBuf;

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::UnixStream;

use crate::place::wait_until;

/// A client of a runtime's socket.
pub(crate) struct Cri {
    socket: PathBuf,
    runtime: tokio::runtime::Runtime,
}

/// A message of protocol buffers.
#[derive(Clone, Default)]
pub(crate) struct Message(Vec<u8>);

/// A pod that runs.
pub(crate) struct Pod {
    pub(crate) id: String,
    pub(crate) namespaces: Namespaces,
    config: Message,
}

/// Namespaces of a pod.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Namespaces {
    /// A network with an address by CNI; a pid namespace for each container, as the kubelet has it.
    Usual,
    /// The network of the node.
    NodeNetwork,
    /// The network of the node, and one pid namespace for all containers.
    SharedPids,
}

/// What a container of a pod runs.
pub(crate) struct Spec<'a> {
    pub(crate) name: &'a str,
    pub(crate) image: &'a str,
    pub(crate) command: &'a [&'a str],
    pub(crate) labels: &'a [(&'a str, &'a str)],
}

/// `NamespaceMode`.
const CONTAINER: u64 = 1;
const NODE: u64 = 2;
/// `ContainerState`.
const EXITED: u64 = 2;

impl Cri {
    pub(crate) fn new(socket: PathBuf) -> Self {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
        Self { socket, runtime }
    }

    /// Starts a pod as the kubelet does, with its labels and annotations.
    #[track_caller]
    pub(crate) fn run_pod(
        &self,
        (name, uid): (&str, &str),
        parent: &str,
        namespaces: Namespaces,
        labels: &[(&str, &str)],
        annotations: &[(&str, &str)],
    ) -> Pod {
        let metadata = Message::default().text(1, name).text(2, uid).text(3, "shop");
        let options = namespaces.options();
        let linux =
            Message::default().text(1, parent).message(2, &Message::default().message(1, &options));
        let own = [
            ("io.kubernetes.pod.name", name),
            ("io.kubernetes.pod.namespace", "shop"),
            ("io.kubernetes.pod.uid", uid),
        ];
        let config = Message::default()
            .message(1, &metadata)
            .map(6, &own)
            .map(6, labels)
            .map(7, annotations)
            .message(8, &linux);
        let reply = self.call("RunPodSandbox", &Message::default().message(1, &config));
        Pod { id: reply.unwrap().first_text(1), config, namespaces }
    }

    /// Creates and starts a container of a pod. Its id.
    #[track_caller]
    pub(crate) fn run(&self, pod: &Pod, spec: &Spec<'_>) -> String {
        let security = Message::default().message(3, &pod.namespaces.options());
        let mut config = Message::default()
            .message(1, &Message::default().text(1, spec.name))
            .message(2, &Message::default().text(1, spec.image));
        for word in spec.command {
            config = config.text(3, word);
        }
        let config = config
            .map(9, &[("io.kubernetes.container.name", spec.name)])
            .map(9, spec.labels)
            .message(15, &Message::default().message(2, &security));
        let request =
            Message::default().text(1, &pod.id).message(2, &config).message(3, &pod.config);
        let id = self.call("CreateContainer", &request).unwrap().first_text(1);
        self.call("StartContainer", &Message::default().text(1, &id)).unwrap();
        id
    }

    /// Runs a command in a container, as an exec probe does.
    #[track_caller]
    pub(crate) fn exec(&self, container: &str, command: &[&str]) {
        let mut request = Message::default().text(1, container);
        for word in command {
            request = request.text(2, word);
        }
        let reply = self.call("ExecSync", &request).unwrap();
        assert_eq!(reply.first_number(3), None, "it fails");
    }

    /// Removes a container once it has ended.
    #[track_caller]
    pub(crate) fn remove(&self, container: &str) {
        let request = Message::default().text(1, container);
        wait_until("the container ends", || {
            let status = self.call("ContainerStatus", &request).unwrap();
            status.first_message(1).first_number(3) == Some(EXITED)
        });
        self.call("RemoveContainer", &request).unwrap();
    }

    /// The address of a pod; empty on the node's network.
    pub(crate) fn address(&self, pod: &Pod) -> String {
        let reply = self.call("PodSandboxStatus", &Message::default().text(1, &pod.id)).unwrap();
        reply.first_message(1).first_message(5).first_text(1)
    }

    /// Whether the runtime answers.
    pub(crate) fn answers(&self) -> bool {
        self.call("Version", &Message::default()).is_ok()
    }

    fn call(&self, method: &str, message: &Message) -> Result<Message, String> {
        self.runtime.block_on(self.ask(method, message)).map_err(|why| format!("{method}: {why}"))
    }

    async fn ask(&self, method: &str, message: &Message) -> Result<Message, String> {
        let told = |error: &dyn std::error::Error| format!("{error:?}");
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| told(&error))?;
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .map_err(|error| told(&error))?;
        let connection = tokio::spawn(connection);
        let mut body = vec![0];
        body.extend(u32::try_from(message.0.len()).unwrap().to_be_bytes());
        body.extend(&message.0);
        let request = Request::post(format!("http://cri/runtime.v1.RuntimeService/{method}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Full::new(Bytes::from(body)))
            .unwrap();
        let response = sender.send_request(request).await.map_err(|error| told(&error))?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| told(&error))?;
        // Without a message, the status is among the headers.
        let trailers = body.trailers().cloned().unwrap_or(head.headers);
        let bytes = body.to_bytes();
        connection.abort();
        if trailers.get("grpc-status").is_none_or(|status| status != "0") {
            return Err(format!("{trailers:?}"));
        }
        Ok(Message(bytes.get(5..).unwrap_or_default().to_vec()))
    }
}

impl Namespaces {
    /// `NamespaceOption`.
    fn options(self) -> Message {
        match self {
            Self::Usual => Message::default().number(2, CONTAINER),
            Self::NodeNetwork => Message::default().number(1, NODE).number(2, CONTAINER),
            Self::SharedPids => Message::default().number(1, NODE),
        }
    }
}

impl Message {
    fn number(mut self, field: u64, value: u64) -> Self {
        self.varint(field << 3);
        self.varint(value);
        self
    }

    fn text(self, field: u64, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    fn message(self, field: u64, message: &Self) -> Self {
        self.bytes(field, &message.0)
    }

    fn map(mut self, field: u64, entries: &[(&str, &str)]) -> Self {
        for (key, value) in entries {
            self = self.message(field, &Self::default().text(1, key).text(2, value));
        }
        self
    }

    fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn first_text(&self, field: u64) -> String {
        String::from_utf8(self.first_message(field).0).unwrap()
    }

    fn first_message(&self, field: u64) -> Self {
        let found = self.fields().into_iter().find(|(number, ..)| *number == field);
        Self(found.map(|(_, _, bytes)| bytes).unwrap_or_default())
    }

    /// A number that is 0 is left out.
    fn first_number(&self, field: u64) -> Option<u64> {
        self.fields().into_iter().find(|(number, ..)| *number == field).map(|(_, number, _)| number)
    }

    /// Number, value if it is a number, and bytes of each field.
    fn fields(&self) -> Vec<(u64, u64, Vec<u8>)> {
        let mut rest = self.0.iter().copied();
        let mut fields = Vec::new();
        while let Some(tag) = varint(&mut rest) {
            let number = varint(&mut rest).unwrap();
            let length = if tag & 7 == 2 { number as usize } else { 0 };
            fields.push((tag >> 3, number, rest.by_ref().take(length).collect()));
        }
        fields
    }
}

fn varint(bytes: &mut impl Iterator<Item = u8>) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = bytes.next()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    Some(value)
}
