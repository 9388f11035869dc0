//! Where alerts go.

mod http;
mod program;
mod stream;
mod syslog;

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use self::http::Http;
pub use self::http::{ClientIdentity, HttpError, HttpOutput, Trust};
use self::program::Program;
use self::stream::{File, Stdout};
use self::syslog::Syslog;
use crate::Alert;

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

/// A file that alerts are appended to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileOutput {
    /// Its path.
    pub path: PathBuf,
    /// Keeps it open between alerts.
    pub keep_alive: bool,
}

/// The system log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyslogOutput {
    /// The socket, `/dev/log` as a rule.
    pub socket: PathBuf,
    /// Name of the program, in front of each message.
    pub ident: String,
}

/// A program that reads alerts from its standard input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramOutput {
    /// A command of the shell.
    pub command: String,
    /// One program for all alerts instead of one for each.
    pub keep_alive: bool,
}

/// What went wrong in a channel.
#[derive(Debug, Error)]
pub enum ChannelError {
    /// An alert could not be posted.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// A file could not be opened.
    #[error("failed to open output file {path}: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A program could not be started.
    #[error("Failed to open program output: {command} (error: {source})")]
    Spawn {
        /// The command.
        command: String,
        /// Why.
        source: io::Error,
    },
    /// An alert could not be written.
    #[error(transparent)]
    Write(#[from] io::Error),
}

/// A way out for alerts. Everything in here may be slow.
pub(crate) trait Channel: Send {
    fn name(&self) -> &'static str;

    /// Delivers some alerts. Those that fail are lost.
    fn deliver(&mut self, alerts: &[Alert]) -> Result<(), ChannelError>;

    /// Lets go of files and programs, and opens what stays open.
    fn reopen(&mut self) -> Result<(), ChannelError> {
        Ok(())
    }

    /// Nothing comes any more.
    fn finish(&mut self) -> Result<(), ChannelError> {
        Ok(())
    }
}

impl Channels {
    /// Whether there is no channel at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Ready to deliver. Nothing is opened before the first alert.
    pub(crate) fn build(self, buffered: bool) -> Vec<Box<dyn Channel>> {
        let mut channels: Vec<Box<dyn Channel>> = Vec::new();
        if let Some(output) = self.file {
            channels.push(Box::new(File::new(output, buffered)));
        }
        if self.stdout {
            channels.push(Box::new(Stdout::new(buffered)));
        }
        if let Some(output) = self.syslog {
            channels.push(Box::new(Syslog::new(output)));
        }
        if let Some(output) = self.program {
            channels.push(Box::new(Program::new(output, buffered)));
        }
        if let Some(output) = self.http {
            channels.push(Box::new(Http::new(output)));
        }
        channels
    }
}
