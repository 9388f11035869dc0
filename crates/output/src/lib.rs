//! How alerts look and how they get out.
//!
//! [`Outputs`] takes [`Alert`](peregrine_alert::Alert)s from the event thread and delivers them
//! through channels that may be slow. Each channel has a queue, bounded in memory and fair between
//! rules, and a thread of its own; it formats the alerts itself ([`Format`]). What is not delivered
//! is counted and reported with its reason. This crate does not know rules, fields or state: an
//! alert owns everything that it needs.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use peregrine_alert::{AlertOrigin, InternalRule, Priority, RuleRegistry};
//! use peregrine_files::FileMode;
//! use peregrine_output::{
//!     AlertFilter, ChannelOutput, ChannelSettings, Delivery, Drain, FileOutput, Format, JsonStyle,
//!     Layout, Outputs, QueueLimits, WhenFull,
//! };
//!
//! let dir = tempfile::tempdir()?;
//! let path = dir.path().join("alerts");
//! let file = FileOutput::new(path.clone(), FileMode::PRIVATE);
//! let output = ChannelOutput::File(file);
//! let format = Format::new(Layout::Json(JsonStyle::default()));
//! let (filter, when_full) = (AlertFilter::default(), WhenFull::DropNewest);
//! let channels = vec![ChannelSettings { output, format, filter, when_full, spool: None }];
//! let queue = QueueLimits { alerts: None, bytes: 1 << 20 };
//! let timeout = Duration::from_secs(2);
//! let delivery = Delivery { channels, buffered: true, queue, timeout };
//! let outputs = Outputs::start(delivery, Arc::new(|incident| panic!("{incident}")))?;
//!
//! let origin = AlertOrigin::new(Arc::new(RuleRegistry::new()), "host-1");
//! let rule = InternalRule::new(&origin, "test", Priority::Notice);
//! outputs.submit(rule.alert(1_470_327_477_881_785_348, "something happened", Default::default()));
//! let report = outputs.close(Drain::WhileProgress);
//! assert_eq!(report.channels[0].delivered, 1);
//! assert!(std::fs::read_to_string(path)?.starts_with(
//!     r#"{"hostname":"host-1","output":"something happened","output_fields":{},"#
//! ));
//! # Ok::<(), std::io::Error>(())
//! ```

mod channel;
mod clock;
mod counts;
mod filter;
mod format;
mod incident;
mod lanes;
mod outputs;
mod queue;
mod shutdown;
mod statistics;
mod summary;
#[cfg(test)]
mod testing;
mod time;
mod watchdog;
mod worker;

#[cfg(any(feature = "kafka", feature = "nats"))]
pub use channel::BrokerError;
#[cfg(feature = "nats")]
pub use channel::{Acknowledgement, NatsLogin, NatsOutput, SubjectError, SubjectTemplate};
pub use peregrine_spool::{SpoolSettings, WhenFull as WhenSpoolFull, check as check_spool};

pub use channel::{
    Batch, BatchForm, Bearer, Encoding, HttpError, HttpOutput, RetryLimits, Step, UrlOf,
};
pub use channel::{
    ChannelError, ChannelOutput, ChannelSettings, ClientIdentity, FACILITY_USER, FileCompression,
    FileOutput, FileSync, ProgramOutput, Rotation, StdoutOutput, SyslogAddress, SyslogForm,
    SyslogFraming, SyslogOutput, SyslogReceiver, SyslogSocket, TlsError, TlsFile, TlsProblem,
    TlsSettings, TlsWarning, Trust, Validity, WhenClosed, syslog_head,
};
#[cfg(feature = "kafka")]
pub use channel::{KafkaCompression, KafkaLogin, KafkaOutput, SaslMechanism};
#[cfg(feature = "otlp")]
pub use channel::{Machine, OtlpError, OtlpOutput, OtlpProtocol};
pub use filter::AlertFilter;
pub use format::{FieldChanges, Format, Formatter, JsonStyle, Layout, NameCollision};
pub use incident::{Incident, LossReason, Report};
pub use outputs::{AlertSender, Delivery, Drain, NextOutputs, Outputs, OutputsPlanner};
pub use queue::{QueueLimits, WhenFull};
pub use statistics::{ChannelStatistics, DeliveryReport};
pub use summary::Summary;
pub use time::local_time_of_day;
