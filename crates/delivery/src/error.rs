//! What prevents a delivery.

use peregrine_config::ConfigError;
use thiserror::Error;

/// What prevents a delivery.
#[derive(Debug, Error)]
pub enum DeliveryError {
    /// No output is enabled.
    #[error(
        "No output configured, please make sure at least one output is configured and enabled."
    )]
    NoOutput,
    /// The program was built without an output.
    #[error("{section}: this program was built without {name}")]
    NotBuilt {
        /// Its section.
        section: &'static str,
        /// What it sends to.
        name: &'static str,
    },
    /// The subject of NATS has no valid form.
    #[error("nats_output.subject: {0}")]
    Subject(String),
    /// A key has a value that cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
}
