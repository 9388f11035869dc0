//! Where alerts go: one file per output.

mod file;
mod http;
mod kafka;
mod nats;
mod network;
mod otlp;
mod presentation;
mod program;
mod queue;
mod shared;
mod spool;
mod stdout;
mod syslog;
mod tls;

pub use file::{FileCompression, FileOutput, FileRotation, Fsync};
pub use http::{Encoding, Headers, HttpExtras, HttpOutput};
pub use kafka::{KafkaCompression, KafkaOutput, KafkaSasl, SaslMechanism};
pub use nats::{NatsLogin, NatsOutput};
pub use network::{Batch, BatchForm, Retries};
pub use otlp::{OtlpBatch, OtlpKeys, OtlpOutput, OtlpProtocol};
pub use presentation::{AlertFormat, FieldChanges, Presentation, Renames, Select};
pub use program::ProgramOutput;
pub use queue::OutputsQueue;
pub use shared::WhenFull;
pub use spool::{Age, Spool, WhenSpoolFull};
pub use stdout::{OwnStdoutKeys, StdoutOutput, WhenClosed};
pub use syslog::{
    AppName, Facility, OwnSyslogKeys, SyslogAddress, SyslogForm, SyslogFraming, SyslogOutput,
};
pub use tls::{ClientCertificate, Tls, TlsKeys, Trust};
