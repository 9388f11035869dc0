//! The HTTP server: health of the event loop, versions, and metrics in the Prometheus text format,
//! with or without TLS.
//!
//! It runs on one thread with a current-thread runtime. The event loop never waits for it: health
//! is read from the [`Heartbeat`](peregrine_telemetry::Heartbeat), metrics are requested through a
//! [`Scraper`](peregrine_telemetry::Scraper). It knows no configuration files; [`ServerSettings`]
//! and [`Pages`] say what to serve.
//!
//! What else is to be received over HTTP is a [`Site`] at an [`Endpoint`] of its own, with the same
//! protection.
//!
//! Clients cannot keep others from being answered. The head of a request and the sending of a
//! response have deadlines, and a new connection never waits for a place: when an address has its
//! share of connections, or all places are taken, the oldest of the address with the most is
//! dropped.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use peregrine_server::{Listen, Pages, Server, ServerSettings};
//! use peregrine_telemetry::Heartbeat;
//!
//! let settings = ServerSettings {
//!     listen: Listen::Tcp { address: "127.0.0.1".to_owned(), port: 0 },
//!     tls_file: None,
//!     threadiness: 1,
//! };
//! let pages = Pages {
//!     health_path: "/healthz".to_owned(),
//!     stall_timeout: Duration::from_secs(15),
//!     heartbeat: Arc::new(Heartbeat::new()),
//!     versions: "{}".to_owned(),
//!     scraper: None,
//!     stats: Arc::default(),
//! };
//! let server = Server::start(&settings, pages)?;
//! assert!(!server.address().is_on_all_interfaces());
//! # Ok::<(), peregrine_server::ServerError>(())
//! ```

mod connections;
mod deadlines;
mod endpoint;
mod error;
mod listener;
mod pages;
mod scrapes;
mod server;
mod slot;
mod tls;

pub use endpoint::{Answer, Endpoint, EndpointSettings, Site};
pub use error::{CertificateError, ServerError};
pub use listener::{Address, Listen};
pub use pages::{Pages, response};
pub use server::{Server, ServerSettings};
pub use slot::{ServerChange, ServerSlot};
pub use tls::TlsFiles;

#[cfg(test)]
mod tests;
