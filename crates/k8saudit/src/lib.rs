//! Audit events of the Kubernetes API server: the event source `k8s_audit` and its fields, as the
//! plugins `k8saudit` and `json` have them.
//!
//! Events come from a webhook over HTTP or HTTPS, or from files with one JSON document a line. A
//! thread of this crate receives, checks and splits them, and a bounded queue holds them until the
//! event thread takes them from an [`AuditSource`]. A batch is acknowledged when all of it is
//! queued; a full queue refuses it, and the API server sends it again.
//!
//! The crate knows events, fields and sockets; it knows neither rules nor the configuration as it
//! is written.
//!
//! ```
//! use peregrine_event::source::{Next, Record, Source, SourceNames};
//! use peregrine_k8saudit::{AuditSource, Handle, Options, Settings};
//!
//! # let directory = tempfile::tempdir()?;
//! let log = directory.path().join("audit.jsonl");
//! let event = r#"{"kind": "Event", "auditID": "1", "stageTimestamp": "2026-03-02T10:00:01Z"}"#;
//! std::fs::write(&log, event)?;
//!
//! let settings = Settings::new("{}", log.to_str().unwrap(), Options::default())?;
//! let id = SourceNames::default().intern(peregrine_k8saudit::SOURCE).unwrap();
//! let log = |line: &str| eprintln!("{line}");
//! let mut source = AuditSource::open(&settings, id, &Handle::default(), &log)?;
//! let mut events = 0;
//! loop {
//!     match source.next()? {
//!         Next::Record(Record::Event { .. }) => events += 1,
//!         Next::End => break,
//!         _ => {}
//!     }
//! }
//! assert_eq!(events, 1);
//! # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
//! ```

#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

mod batch;
mod error;
mod fields;
mod files;
mod follow;
mod json;
mod queue;
mod settings;
mod source;
mod webhook;

pub use batch::{Split, SplitError};
pub use error::AuditError;
pub use fields::{audit_class, json_class};
pub use json::JsonError;
pub use settings::{Options, Place, Settings, SettingsError};
pub use source::{AuditSource, Handle};

/// Name of the event source.
pub const SOURCE: &str = "k8s_audit";
/// Id of the plugin `k8saudit`, which its events carry.
pub const PLUGIN_ID: u32 = 1;
/// Name of the plugin whose events these are.
pub const PLUGIN: &str = "k8saudit";
/// Name of the plugin whose fields read JSON.
pub const JSON_PLUGIN: &str = "json";

/// Indexes a text as if it was the payload of an event, for fuzzing.
#[doc(hidden)]
pub fn index_for_fuzzing(text: &[u8]) -> bool {
    let mut index = json::Index::default();
    index.read(text).is_ok() && index.root(text).is_some()
}
