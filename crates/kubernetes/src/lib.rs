//! What the API server of Kubernetes knows about the pods of this node.
//!
//! [`Service`] watches the pods of one node and what they belong to: their namespace, replica set,
//! deployment or replication controller, and, if it shall, the services that select them. It needs
//! the verbs `list` and `watch` only, and asks for the metadata of objects where that is enough.
//! What it learns becomes the texts of events named `k8s`, in the form of the reference's plugin
//! `k8smeta`, which a sink takes to the engine; the crate knows nothing of events, state or fields.
//! One thread does it all, and no answer of the server makes it wait, fail or grow without bounds.
//!
//! ```no_run
//! use peregrine_kubernetes::{Cluster, Service, Settings};
//!
//! let settings = Settings { cluster: Cluster::InCluster, node: "node1".into(), services: false };
//! let sink = Box::new(|message: peregrine_kubernetes::Message<'_>| {
//!     println!("{message:?}");
//!     true
//! });
//! let counters = std::sync::Arc::default();
//! let log = Box::new(|notice| eprintln!("{notice}"));
//! let service = Service::start(settings, counters, sink, log);
//! ```

#![warn(clippy::indexing_slicing)]

mod access;
mod api;
mod client;
mod event;
mod kubeconfig;
mod model;
mod service;
mod watch;

pub use access::{AccessError, Cluster};
#[doc(hidden)]
pub use api::fuzz;
pub use client::ApiError;
pub use service::{Message, Notice, NoticeSink, Service, Settings, Sink};
