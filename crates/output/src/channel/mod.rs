//! Where alerts go.

mod deliver;
mod error;
mod file;
mod http;
mod lines;
mod network;
mod otlp;
mod program;
mod retry;
mod stdout;
mod syslog;
#[allow(dead_code, reason = "the channels that use it come next")]
mod tls;

pub(crate) use self::deliver::{Channel, Outcome};
pub use self::error::{ChannelError, HttpError};
use self::file::File;
pub use self::file::{Compression, FileOutput, FileSync, Rotation};
pub use self::http::HttpOutput;
pub use self::otlp::{Machine, OtlpError, OtlpOutput, OtlpProtocol};
use self::program::Program;
pub use self::program::ProgramOutput;
use self::stdout::Stdout;
pub use self::stdout::{StdoutOutput, WhenClosed};
use self::syslog::Syslog;
pub use self::syslog::SyslogOutput;
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
    Http(HttpOutput),
    /// `otlp_output`
    Otlp(OtlpOutput),
}

impl ChannelSettings {
    /// Whether alerts need their fields.
    #[must_use]
    pub fn shows_fields(&self) -> bool {
        match self.output {
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
            Self::Otlp(output) => output.uses_tls().then_some(("otlp_output.tls", &output.tls)),
            Self::File(_) | Self::Stdout(_) | Self::Syslog(_) | Self::Program(_) => None,
        }
    }

    /// Ready to deliver. Nothing is opened before the first alert.
    pub(crate) fn build(self, format: Format, buffered: bool) -> Box<dyn Channel> {
        let format = Formatter::new(format);
        match self {
            Self::File(output) => Box::new(File::new(output, format, buffered)),
            Self::Stdout(output) => Box::new(Stdout::new(output, format, buffered)),
            Self::Syslog(output) => Box::new(Syslog::new(output, format)),
            Self::Program(output) => Box::new(Program::new(output, format)),
            Self::Http(output) => Box::new(output.channel(format)),
            Self::Otlp(output) => Box::new(output.channel()),
        }
    }
}
