//! gRPC over a unix socket. Answers are bounded in size; who calls bounds the time.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::marker::PhantomData;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http2::{self, SendRequest};
use hyper::http::uri::PathAndQuery;
use hyper::http::{Request, Response, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use prost::bytes::BufMut;
use thiserror::Error;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};
use tower_service::Service;

use crate::client::ClientError;

/// Why a call has no answer.
#[derive(Debug, Error)]
pub(crate) enum CallError {
    /// The socket can't be connected to, or the connection has ended.
    #[error("{0}")]
    Connection(#[from] io::Error),
    /// What listens does not speak HTTP/2.
    #[error("{0}")]
    Protocol(#[from] hyper::Error),
    /// The answer is longer than is read.
    #[error("more than {0} bytes")]
    TooLong(usize),
    /// The runtime answered with an error.
    #[error("{code:?}: {message}")]
    Status {
        /// Its code.
        code: Code,
        /// What it says, cut to [`MESSAGE_BYTES`].
        message: String,
    },
}

/// Bytes of a runtime's error that are kept.
const MESSAGE_BYTES: usize = 200;
/// Messages of a stream that wait to be looked at. More wait in the connection.
const WAITING: usize = 64;

impl CallError {
    /// The runtime does not know what was asked about.
    pub(crate) fn is_not_found(&self) -> bool {
        // Cri-dockerd gives the errors of docker no code.
        let says = |message: &str| {
            let message = message.to_ascii_lowercase();
            message.contains("no such container") || message.contains("not found")
        };
        match self {
            Self::Status { code: Code::NotFound, .. } => true,
            // Its own containers can't have such a name.
            Self::Status { code: Code::InvalidArgument, .. } => true,
            Self::Status { code: Code::Unknown, message } => says(message),
            _ => false,
        }
    }

    /// The runtime lacks the service or the method.
    pub(crate) fn is_unimplemented(&self) -> bool {
        matches!(self, Self::Status { code: Code::Unimplemented, .. })
    }

    fn new(status: &Status, method: Method) -> Self {
        // What tonic says when it reads no more.
        if status.code() == Code::OutOfRange && status.message().contains("message length too") {
            return Self::TooLong(method.answer_bytes);
        }
        // No status has come.
        if status.source().is_some() {
            return io::Error::new(ErrorKind::ConnectionReset, "the connection has ended").into();
        }
        let text = status.message();
        let end = text.floor_char_boundary(MESSAGE_BYTES);
        let message = text.get(..end).unwrap_or_default().replace(char::is_control, " ");
        Self::Status { code: status.code(), message }
    }
}

impl From<CallError> for ClientError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Connection(error) => Self::Io(error),
            CallError::Protocol(error) => Self::Unreadable(error.to_string()),
            CallError::TooLong(bytes) => Self::TooLong(bytes),
            CallError::Status { code: Code::DataLoss, message } => Self::Unreadable(message),
            status @ CallError::Status { .. } => Self::Refused(status.to_string()),
        }
    }
}

/// A method of a service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Method {
    /// `/package.Service/Method`.
    pub(crate) path: &'static str,
    /// Longest answer that is read.
    pub(crate) answer_bytes: usize,
}

/// A connection to a runtime. Calls run side by side.
#[derive(Clone, Debug)]
pub(crate) struct Channel(Connection);

impl Channel {
    /// Connects to a socket.
    pub(crate) async fn connect(socket: &Path) -> Result<Self, CallError> {
        let stream = TokioIo::new(UnixStream::connect(socket).await?);
        let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
        // It ends with the last sender, or when the runtime closes it. Then calls fail.
        tokio::spawn(connection);
        Ok(Self(Connection(sender)))
    }

    /// Asks once. `namespace` is containerd's.
    pub(crate) async fn call<A: Message + Default + 'static>(
        &self,
        method: Method,
        namespace: Option<&str>,
        request: &impl Message,
    ) -> Result<A, CallError> {
        let mut client = self.client(method).await?;
        let request = request_of(namespace, request)?;
        let path = PathAndQuery::from_static(method.path);
        let answer = client.unary(request, path, Proto::<A>(PhantomData)).await;
        answer.map(tonic::Response::into_inner).map_err(|status| CallError::new(&status, method))
    }

    /// Sends a request that is answered by a stream. The headers of the answer may come only with
    /// its first message, so that they are not waited for.
    pub(crate) async fn stream<A: Message + Default + 'static>(
        &self,
        method: Method,
        namespace: Option<&str>,
        request: &impl Message,
    ) -> Result<Messages<A>, CallError> {
        let mut client = self.client(method).await?;
        let request = request_of(namespace, request)?;
        let path = PathAndQuery::from_static(method.path);
        let (sender, receiver) = mpsc::channel(WAITING);
        let task = tokio::spawn(async move {
            let result = async {
                let codec = Proto::<A>(PhantomData);
                let mut answer = client.server_streaming(request, path, codec).await?.into_inner();
                while let Some(message) = answer.message().await? {
                    if sender.send(Ok(message)).await.is_err() {
                        break;
                    }
                }
                Ok(())
            };
            if let Err(status) = result.await {
                let _ = sender.send(Err(CallError::new(&status, method))).await;
            }
        });
        Ok(Messages { receiver, task })
    }

    async fn client(&self, method: Method) -> Result<Grpc<Connection>, CallError> {
        // The name is not resolved; servers want one.
        let origin = Uri::from_static("http://localhost");
        let client = Grpc::with_origin(self.0.clone(), origin);
        let mut client = client.max_decoding_message_size(method.answer_bytes);
        client.ready().await?;
        Ok(client)
    }
}

/// The messages of a stream.
#[derive(Debug)]
pub(crate) struct Messages<A> {
    receiver: mpsc::Receiver<Result<A, CallError>>,
    task: JoinHandle<()>,
}

impl<A> Messages<A> {
    /// The next one; `None` when the stream has ended. Waits as long as it takes.
    pub(crate) async fn next(&mut self) -> Result<Option<A>, CallError> {
        self.receiver.recv().await.transpose()
    }
}

impl<A> Drop for Messages<A> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn request_of(
    namespace: Option<&str>,
    message: &impl Message,
) -> Result<tonic::Request<Bytes>, CallError> {
    let mut request = tonic::Request::new(message.encode_to_vec().into());
    if let Some(namespace) = namespace {
        let value = MetadataValue::try_from(namespace).map_err(|_| CallError::Status {
            code: Code::InvalidArgument,
            message: "the namespace can't be sent".to_owned(),
        })?;
        request.metadata_mut().insert("containerd-namespace", value);
    }
    Ok(request)
}

/// An HTTP/2 connection, in the form that tonic takes.
#[derive(Clone, Debug)]
struct Connection(SendRequest<Body>);

impl Service<Request<Body>> for Connection {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = hyper::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

/// Messages of protobuf; requests are encoded already.
#[derive(Debug)]
struct Proto<A>(PhantomData<A>);

impl<A: Message + Default + 'static> Codec for Proto<A> {
    type Encode = Bytes;
    type Decode = A;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self(PhantomData)
    }

    fn decoder(&mut self) -> Self {
        Self(PhantomData)
    }
}

impl<A> Encoder for Proto<A> {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, request: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(request);
        Ok(())
    }
}

impl<A: Message + Default> Decoder for Proto<A> {
    type Item = A;
    type Error = Status;

    fn decode(&mut self, answer: &mut DecodeBuf<'_>) -> Result<Option<A>, Status> {
        A::decode(answer).map(Some).map_err(|error| Status::data_loss(error.to_string()))
    }
}
