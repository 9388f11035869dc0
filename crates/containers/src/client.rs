//! What every client of a container runtime can do.

use std::fmt;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use peregrine_state::Container;
use serde_json::Value;
use thiserror::Error;
use tokio::time::timeout;

/// Asks one runtime through one socket.
///
/// The caller bounds the time of each call and the number of calls at once. Clients bound the bytes
/// that they read of an answer. A client is used until a call of [`hello`](Self::hello),
/// [`list`](Self::list) or [`watch`](Self::watch) fails, or the stream of events ends; then another
/// one is made, so a client need not connect again.
pub(crate) trait RuntimeClient {
    /// Asks who answers.
    fn hello(&self) -> Answer<'_, Hello>;

    /// Begins to watch. When this is answered, no later change is missed.
    ///
    /// The error [`ClientError::Unsupported`] says that this runtime has no stream of events: it is
    /// listed at intervals then.
    fn watch(&self) -> Answer<'_, Box<dyn Changes>>;

    /// The containers that there are, also stopped ones and sandboxes of pods.
    fn list(&self) -> Answer<'_, Vec<Listed>>;

    /// Describes a container; `None` when the runtime does not know it. The id is the whole one, or
    /// the beginning of it that control groups tell.
    fn inspect<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Container>>;

    /// What the runtime has recorded of a container that it does not answer about, for
    /// [`describe_said`](Self::describe_said). `None` where nothing is recorded, or the stream of
    /// events tells it at once. This does not wait for the container.
    fn recorded<'a>(&'a self, _id: &'a str) -> Answer<'a, Option<Value>> {
        Box::pin(async { Ok(None) })
    }

    /// Describes a container with what a [`Change`] has said of it. This does not wait for the
    /// container.
    fn describe_said(&self, said: Value) -> Answer<'_, Option<Container>>;
}

/// The answer to a question, in the future.
pub(crate) type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, ClientError>> + 'a>>;

/// The stream of events of a runtime.
pub(crate) trait Changes {
    /// The next change; `None` when the stream has ended. The answer may be dropped before it
    /// comes, and asked for again: nothing is lost then.
    fn next(&mut self) -> Answer<'_, Option<Change>>;
}

/// Who answers at a socket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hello {
    /// Name and version of the runtime, such as `docker 20.10.24`.
    pub(crate) runtime: String,
    /// Version of its interface, such as `1.41`.
    pub(crate) api: String,
}

/// A container in a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Listed {
    /// Whole id.
    pub(crate) id: String,
    /// When it was made, in any unit; 0 where that is not told. Another time is another container.
    pub(crate) created: i64,
    /// Whether it runs.
    pub(crate) running: bool,
}

/// What has happened to a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// Whole id.
    pub(crate) id: String,
    /// What has happened.
    pub(crate) kind: ChangeKind,
    /// What was said of the container with that, for
    /// [`describe_said`](RuntimeClient::describe_said).
    pub(crate) said: Option<Value>,
}

/// What can happen to a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChangeKind {
    /// It was made. Its first program has not started.
    Created,
    /// It has started, and what only a running container has is known: addresses, the first
    /// process.
    Started,
    /// Its description has changed.
    Updated,
    /// Its processes have ended. It may start again.
    Stopped,
    /// It is gone.
    Removed,
}

/// Why a runtime did not answer.
#[derive(Debug, Error)]
pub(crate) enum ClientError {
    /// The socket can't be used.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The runtime has not answered in time.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// The answer is longer than is read.
    #[error("an answer of more than {0} bytes")]
    TooLong(usize),
    /// The answer is not what the interface says.
    #[error("an answer that cannot be read: {0}")]
    Unreadable(String),
    /// The runtime refuses.
    #[error("it refuses: {0}")]
    Refused(String),
    /// Something else is the matter.
    #[error("{0}")]
    Other(String),
    /// This runtime can't do that.
    #[error("it has no stream of events")]
    Unsupported,
}

/// What clients are made with.
#[derive(Clone, Debug)]
pub(crate) struct ClientOptions {
    /// Whether the sizes of writable layers are asked for.
    pub(crate) with_size: bool,
    /// Whether containers of containerd that CRI does not know are asked for.
    pub(crate) all_namespaces: bool,
    /// The root directory of the host, in which the paths are that a runtime names.
    pub(crate) host_root: PathBuf,
}

impl fmt::Display for Hello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.runtime)?;
        match self.api.as_str() {
            "" => Ok(()),
            api => write!(f, " (API {api})"),
        }
    }
}

/// The answer, or that there was none in time.
pub(crate) async fn within<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    timeout(limit, answer).await.unwrap_or(Err(ClientError::Timeout(limit)))
}
