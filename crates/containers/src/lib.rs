//! Describes containers and pods: asks their runtimes.
//!
//! The crate has clients of container runtimes over unix sockets, and a thread that runs them. It
//! knows what exists from the runtime's list and its stream of events, asks at once about a
//! container that appears in events and is not known, and puts what it learns as `container` and
//! `container_removed` events into the [inbox](peregrine_event::inbox) of a source. It does not
//! know which control group belongs to a container (`state` does), nor rules, nor configuration
//! files.
//!
//! ```
//! use peregrine_containers::{EngineKind, Settings};
//!
//! let (settings, issues) = Settings::from_json(r#"{"engines": {"cri": {"enabled": false}}}"#)?;
//! assert!(issues.is_empty() && !settings.engine(EngineKind::Cri).enabled);
//! assert_eq!(settings.engine(EngineKind::Docker).sockets, ["/var/run/docker.sock"]);
//! # Ok::<(), peregrine_containers::SettingsError>(())
//! ```

mod answers;
mod changes;
mod client;
mod clients;
mod containerd;
mod cri;
mod docker;
mod grpc;
mod grpc_client;
mod healthcheck;
mod http;
mod hub;
mod image;
mod json;
mod known;
mod listing;
mod lookup;
mod oci;
mod service;
mod settings;
mod socket;
mod supervisor;
mod told;

pub use answers::{parse_grpc_answers, parse_http_answers};
pub use hub::LogSink;
pub use service::{Control, Service};
pub use settings::{
    EngineKind, EngineSettings, Hooks, LogLevel, Settings, SettingsError, SettingsIssue, Timing,
};
