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
mod tls;

pub use file::FileOutput;
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
pub use tls::{ClientCertificate, Tls, TlsKeys, Trust};

use crate::declare::section;

section! {
    /// An output without settings of its own.
    pub Switch "Output" extra { "minProperties": 1 } {
        /// Use it.
        enabled: bool = false;
        /// When its queue is full; see file_output.when_full.
        when_full: WhenFull = WhenFull::Auto, extra { "$comment": "Peregrine" };
        /// Which alerts it gets and how they look.
        peregrine: Presentation = Presentation::default(), extra { "$comment": "Peregrine" };
    }
}
