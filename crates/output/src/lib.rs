//! Alerts: how they look and how they get out.
//!
//! A rule that matched becomes an [`Alert`] on the event thread, because its text asks for the state of that
//! moment ([`AlertFormat`]). From there on nothing needs the event: [`Outputs`] delivers alerts on a thread of
//! its own, through channels that may be slow. This crate knows of fields only that a vocabulary has them,
//! and nothing of events and state.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use peregrine_output::{Alert, Channels, Delivery, FileOutput, Outputs};
//! use peregrine_alert::Priority;
//!
//! let dir = tempfile::tempdir()?;
//! let path = dir.path().join("alerts");
//! let channels = Channels {
//!     file: Some(FileOutput { path: path.clone(), keep_alive: true }),
//!     ..Channels::default()
//! };
//! let delivery =
//!     Delivery { channels, buffered: true, queue_capacity: None, timeout: Duration::from_secs(2) };
//! let outputs = Outputs::start(delivery, Arc::new(|incident| panic!("{incident}")))?;
//! outputs.submit(Alert { priority: Priority::Notice, line: b"something happened".to_vec() });
//! outputs.close();
//! assert_eq!(std::fs::read(path)?, b"something happened\n");
//! # Ok::<(), std::io::Error>(())
//! ```

mod alert;
mod channel;
mod message;
mod outputs;
mod queue;
mod summary;
mod time;

pub use alert::{Alert, AlertFormat, JsonStyle, Style};
pub use channel::{
    ChannelError, Channels, ClientIdentity, FileOutput, HttpError, HttpOutput, ProgramOutput,
    SyslogOutput, Trust,
};
pub use message::{Message, Scalar};
pub use outputs::{AlertSender, Delivery, Incident, Outputs, Report};
pub use summary::Summary;
pub use time::local_time_of_day;
