//! How alerts look and how they get out.
//!
//! [`Outputs`] takes [`Alert`](peregrine_alert::Alert)s from the event thread and delivers them on
//! a thread of its own, through channels that may be slow. Each channel formats them itself
//! ([`Format`]). This crate does not know rules, fields or state: an alert owns everything that it
//! needs.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use jiff::tz::TimeZone;
//! use peregrine_alert::{AlertOrigin, InternalRule, Priority, RuleRegistry};
//! use peregrine_files::FileMode;
//! use peregrine_output::{Channels, Delivery, FileOutput, Format, JsonStyle, Layout, Outputs};
//!
//! let dir = tempfile::tempdir()?;
//! let path = dir.path().join("alerts");
//! let channels = Channels {
//!     file: Some(FileOutput { path: path.clone(), keep_alive: true, mode: FileMode::PRIVATE }),
//!     ..Channels::default()
//! };
//! let layout = Layout::Json(JsonStyle::default());
//! let format = Format { layout, iso_time: false, zone: TimeZone::UTC };
//! let timeout = Duration::from_secs(2);
//! let delivery = Delivery { channels, format, buffered: true, queue_capacity: None, timeout };
//! let outputs = Outputs::start(delivery, Arc::new(|incident| panic!("{incident}")))?;
//!
//! let origin = AlertOrigin::new(Arc::new(RuleRegistry::new()), "host-1");
//! let rule = InternalRule::new(&origin, "test", Priority::Notice);
//! outputs.submit(rule.alert(1_470_327_477_881_785_348, "something happened", Default::default()));
//! outputs.close();
//! assert!(std::fs::read_to_string(path)?.starts_with(
//!     r#"{"hostname":"host-1","output":"something happened","output_fields":{},"#
//! ));
//! # Ok::<(), std::io::Error>(())
//! ```

mod channel;
mod format;
mod outputs;
mod queue;
mod summary;
#[cfg(test)]
mod testing;
mod time;

pub use channel::{
    ChannelError, Channels, ClientIdentity, FileOutput, HttpError, HttpOutput, ProgramOutput,
    SyslogOutput, Trust,
};
pub use format::{Format, Formatter, JsonStyle, Layout};
pub use outputs::{AlertSender, Delivery, Incident, Outputs, Report};
pub use summary::Summary;
pub use time::local_time_of_day;
