//! Where alerts go.

#[cfg(any(feature = "kafka", feature = "nats"))]
mod broker;
mod deliver;
mod error;
mod file;
mod http;
#[cfg(feature = "kafka")]
mod kafka;
mod lines;
#[cfg(feature = "nats")]
mod nats;
pub(crate) mod network;
#[cfg(feature = "otlp")]
mod otlp;
mod program;
pub(crate) mod retry;
mod stdout;
mod syslog;
mod tls;

use peregrine_spool::SpoolSettings;

pub(crate) use self::deliver::{Channel, Outcome};
#[cfg(any(feature = "kafka", feature = "nats"))]
pub use self::error::BrokerError;
pub use self::error::ChannelError;
use self::file::File;
pub use self::file::{FileCompression, FileOutput, FileSync, Rotation};
pub use self::http::{Batch, BatchForm, Bearer, Encoding, HttpError, HttpOutput, Step, UrlOf};
#[cfg(feature = "kafka")]
pub use self::kafka::{KafkaCompression, KafkaLogin, KafkaOutput, SaslMechanism};
#[cfg(feature = "nats")]
pub use self::nats::{Acknowledgement, NatsLogin, NatsOutput, SubjectError, SubjectTemplate};
pub(crate) use self::network::SpoolMonitor;
#[cfg(feature = "otlp")]
pub use self::otlp::{Machine, OtlpError, OtlpOutput, OtlpProtocol};
use self::program::Program;
pub use self::program::ProgramOutput;
pub use self::retry::RetryLimits;
use self::stdout::Stdout;
pub use self::stdout::{StdoutOutput, WhenClosed};
pub use self::syslog::{
    FACILITY_USER, SyslogAddress, SyslogForm, SyslogFraming, SyslogOutput, SyslogReceiver,
    SyslogSocket, syslog_head,
};
pub use self::tls::{
    ClientIdentity, TlsError, TlsFile, TlsProblem, TlsSettings, TlsWarning, Trust, Validity,
};
use crate::filter::AlertFilter;
use crate::format::{Format, Formatter};
use crate::queue::WhenFull;

/// A channel: where alerts go, which ones, how they look, and what happens when it is too slow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelSettings {
    /// Where to.
    pub output: ChannelOutput,
    /// How alerts look there.
    pub format: Format,
    /// Which alerts it gets.
    pub filter: AlertFilter,
    /// What happens when its queue is full.
    pub when_full: WhenFull,
    /// The spool in front of its receiver. Only outputs over a network have one.
    pub spool: Option<SpoolSettings>,
}

/// Where a channel delivers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelOutput {
    /// `file_output`
    File(FileOutput),
    /// `stdout_output`
    Stdout(StdoutOutput),
    /// `syslog_output`
    Syslog(SyslogOutput),
    /// `program_output`
    Program(ProgramOutput),
    /// `http_output`
    Http(Box<HttpOutput>),
    /// `otlp_output`
    #[cfg(feature = "otlp")]
    Otlp(Box<OtlpOutput>),
    /// `nats_output`
    #[cfg(feature = "nats")]
    Nats(NatsOutput),
    /// `kafka_output`
    #[cfg(feature = "kafka")]
    Kafka(KafkaOutput),
}

impl ChannelSettings {
    /// Whether alerts need their fields.
    #[must_use]
    pub fn shows_fields(&self) -> bool {
        match self.output {
            #[cfg(feature = "otlp")]
            ChannelOutput::Otlp(_) => true,
            _ => self.format.layout.shows_fields(),
        }
    }
}

impl ChannelOutput {
    /// Its TLS settings, if it uses TLS, and the section of the configuration with their keys.
    #[must_use]
    pub fn tls(&self) -> Option<(&'static str, &TlsSettings)> {
        match self {
            Self::Http(output) => output.uses_tls().then_some(("http_output", &output.tls)),
            #[cfg(feature = "otlp")]
            Self::Otlp(output) => output.uses_tls().then_some(("otlp_output.tls", &output.tls)),
            #[cfg(feature = "nats")]
            Self::Nats(output) => output.tls.as_ref().map(|tls| ("nats_output.tls", tls)),
            #[cfg(feature = "kafka")]
            Self::Kafka(output) => output.tls.as_ref().map(|tls| ("kafka_output.tls", tls)),
            Self::Syslog(output) => output.tls().map(|tls| ("syslog_output.peregrine.tls", tls)),
            Self::File(_) | Self::Stdout(_) | Self::Program(_) => None,
        }
    }

    /// Ready to deliver. Nothing is opened before the first alert.
    pub(crate) fn build(
        self,
        format: Format,
        buffered: bool,
        spool: Option<SpoolSettings>,
    ) -> Box<dyn Channel> {
        #[cfg(feature = "otlp")]
        let fields = format.fields.clone();
        let format = Formatter::new(format);
        match self {
            Self::File(output) => Box::new(File::new(output, format, buffered)),
            Self::Stdout(output) => Box::new(Stdout::new(output, format, buffered)),
            Self::Syslog(output) => syslog::channel(output, format, spool),
            Self::Program(output) => Box::new(Program::new(output, format)),
            Self::Http(output) => output.channel(format).spooled(spool),
            #[cfg(feature = "otlp")]
            Self::Otlp(output) => output.channel(fields).spooled(spool),
            #[cfg(feature = "nats")]
            Self::Nats(output) => output.channel(format).spooled(spool),
            #[cfg(feature = "kafka")]
            Self::Kafka(output) => output.channel(format).spooled(spool),
        }
    }
}
