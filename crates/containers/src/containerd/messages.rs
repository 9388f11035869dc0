//! The part of the messages of containerd's API that is used. Names and numbers are those of the
//! public API; fields that are not listed are skipped.

use std::collections::BTreeMap;

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct VersionResponse {
    #[prost(string, tag = "1")]
    pub(crate) version: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Namespace {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
}

/// `GetContainerRequest` and `GetImageRequest`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct GetRequest {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct GetContainerResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) container: Option<Container>,
}

/// `containerd.services.containers.v1.ListContainersRequest`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ListRequest {
    #[prost(string, repeated, tag = "1")]
    pub(crate) filters: Vec<String>,
}

/// A container, of which little is read.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ListedContainer {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    #[prost(message, optional, tag = "8")]
    pub(crate) created_at: Option<Timestamp>,
}

/// `containerd.v1.types.Process`: the task of a container.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Task {
    #[prost(string, tag = "1")]
    pub(crate) container_id: String,
    /// The same, in some versions instead of it.
    #[prost(string, tag = "2")]
    pub(crate) id: String,
    #[prost(int32, tag = "4")]
    pub(crate) status: i32,
}

/// `Status::STOPPED`.
pub(crate) const STOPPED: i32 = 3;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Container {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    #[prost(btree_map = "string, string", tag = "2")]
    pub(crate) labels: BTreeMap<String, String>,
    #[prost(string, tag = "3")]
    pub(crate) image: String,
    #[prost(message, optional, tag = "5")]
    pub(crate) spec: Option<Any>,
    #[prost(message, optional, tag = "8")]
    pub(crate) created_at: Option<Timestamp>,
    #[prost(btree_map = "string, message", tag = "10")]
    pub(crate) extensions: BTreeMap<String, Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Any {
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) value: prost::bytes::Bytes,
}

/// `google.protobuf.Timestamp`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Timestamp {
    #[prost(int64, tag = "1")]
    pub(crate) seconds: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct GetImageResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) image: Option<Image>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Image {
    #[prost(message, optional, tag = "3")]
    pub(crate) target: Option<Descriptor>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Descriptor {
    #[prost(string, tag = "2")]
    pub(crate) digest: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ReadContentRequest {
    #[prost(string, tag = "1")]
    pub(crate) digest: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ReadContentResponse {
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) data: prost::bytes::Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SubscribeRequest {
    #[prost(string, repeated, tag = "1")]
    pub(crate) filters: Vec<String>,
}

/// An event: `containerd.types.Envelope`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Envelope {
    #[prost(string, tag = "2")]
    pub(crate) namespace: String,
    #[prost(string, tag = "3")]
    pub(crate) topic: String,
    #[prost(message, optional, tag = "4")]
    pub(crate) event: Option<Any>,
}

/// `ContainerCreate`, `ContainerUpdate`, `ContainerDelete`, `TaskStart` and `TaskExit`: all begin
/// with the id of the container.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ContainerEvent {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
}

/// `TaskExit`. Its second id is the container's where the first process has ended, else that of
/// another process in it.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TaskExit {
    #[prost(string, tag = "1")]
    pub(crate) container: String,
    #[prost(string, tag = "2")]
    pub(crate) process: String,
}
