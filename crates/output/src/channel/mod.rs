//! Where alerts go.

mod deliver;
mod error;
mod http;
mod program;
mod stream;
mod syslog;

pub(crate) use self::deliver::Channel;
pub use self::error::{ChannelError, HttpError};
use self::http::Http;
pub use self::http::{ClientIdentity, HttpOutput, Trust};
use self::program::Program;
pub use self::program::ProgramOutput;
pub use self::stream::FileOutput;
use self::stream::{File, Stdout};
use self::syslog::Syslog;
pub use self::syslog::SyslogOutput;
use crate::format::{Format, Formatter};

/// The channels that are switched on. Alerts go through them in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Channels {
    /// `file_output`
    pub file: Option<FileOutput>,
    /// `stdout_output`
    pub stdout: bool,
    /// `syslog_output`
    pub syslog: Option<SyslogOutput>,
    /// `program_output`
    pub program: Option<ProgramOutput>,
    /// `http_output`
    pub http: Option<HttpOutput>,
}

impl Channels {
    /// Ready to deliver. Nothing is opened before the first alert.
    pub(crate) fn build(self, format: &Format, buffered: bool) -> Vec<Box<dyn Channel>> {
        let formatter = || Formatter::new(format.clone());
        let mut channels: Vec<Box<dyn Channel>> = Vec::new();
        if let Some(output) = self.file {
            channels.push(Box::new(File::new(output, formatter(), buffered)));
        }
        if self.stdout {
            channels.push(Box::new(Stdout::new(formatter(), buffered)));
        }
        if let Some(output) = self.syslog {
            channels.push(Box::new(Syslog::new(output, formatter())));
        }
        if let Some(output) = self.program {
            channels.push(Box::new(Program::new(output, formatter(), buffered)));
        }
        if let Some(output) = self.http {
            channels.push(Box::new(Http::new(output, formatter())));
        }
        channels
    }
}
