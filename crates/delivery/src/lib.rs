//! From the keys of outputs to settings of crate `output`, with the checks that need both.
//!
//! The configuration knows places of keys and no receivers; crate `output` knows receivers and no
//! keys. Here each output has its settings ([`checked`]), alerts get the values that the outputs
//! show ([`content`]), and rules their throttles ([`throttles`]). Nothing is opened or started.
//!
//! ```
//! use peregrine_config::{Main, load};
//! use peregrine_delivery::{Identity, delivery};
//!
//! let text = "stdout_output: {enabled: true, peregrine: {format: cef}}\nsyslog_output: {enabled: false}\n";
//! let config = load(Main::BuiltIn(text), &[], &mut |_| ())?.config;
//! let identity = Identity { program: "peregrine".into(), hostname: "host-1".into(), host_id: None };
//! assert_eq!(delivery(&config, &identity)?.channels.len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod brokers;
mod checks;
mod error;
mod network;
mod otlp;
mod outputs;
mod spool;
mod streams;
mod throttling;

pub use checks::{checked, renamed};
pub use error::DeliveryError;
pub use outputs::{buffers, content, delivery, file_output, zone};
pub use streams::{app_name, log_socket};
pub use throttling::throttles;

/// What outputs tell of the agent itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The name under which the program was started.
    pub program: String,
    /// The name of the host.
    pub hostname: String,
    /// What tells the host from all others, if that is known.
    pub host_id: Option<String>,
}
