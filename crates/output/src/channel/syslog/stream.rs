//! A log that is reached over TCP (RFC 6587) or TLS (RFC 5425).
//!
//! The protocol has no acknowledgement. So records count as arrived when the kernel of the receiver
//! has acknowledged their bytes and the connection is still open after that.

mod wire;

use std::io;
use std::time::Instant;

use peregrine_limits::SYSLOG_REQUEST_TIME;

use self::wire::Wire;
use super::super::error::ChannelError;
use super::super::network::{BatchLimits, Fate, Record, SendError, Transport};
use super::super::tls::{Tls, TlsSettings};
use super::settings::{SyslogAddress, SyslogFraming};

#[derive(Debug)]
pub(crate) struct Stream {
    address: SyslogAddress,
    framing: SyslogFraming,
    tls: Option<Tls>,
    connected: Option<Wire>,
    /// The frames being sent; kept for its memory.
    frames: Vec<u8>,
}

/// What is sent before the receiver's acknowledgement is waited for.
const BATCH: BatchLimits = BatchLimits { records: 128, bytes: 256 << 10 };

impl Stream {
    pub(crate) fn new(
        address: SyslogAddress,
        framing: SyslogFraming,
        tls: Option<TlsSettings>,
    ) -> Self {
        let tls = tls.map(Tls::new);
        Self { address, framing, tls, connected: None, frames: Vec::new() }
    }

    /// The open connection, or a new one: what is written into one that the receiver has closed is
    /// lost.
    fn connection(&mut self, until: Instant) -> Result<Wire, ChannelError> {
        if let Some(mut wire) = self.connected.take()
            && wire.check_open().is_ok()
        {
            return Ok(wire);
        }
        let tls = self.tls.as_mut().map(Tls::current).transpose()?;
        Ok(Wire::connect(&self.address, tls, until)?)
    }

    fn try_send(&mut self) -> Result<(), ChannelError> {
        let until = Instant::now() + SYSLOG_REQUEST_TIME.duration();
        let mut wire = self.connection(until)?;
        wire.send(&self.frames, until)?;
        wire.wait_until_acknowledged(until)?;
        self.connected = Some(wire);
        Ok(())
    }
}

impl Transport for Stream {
    fn name(&self) -> &'static str {
        "syslog"
    }

    fn batch(&self) -> BatchLimits {
        BATCH
    }

    fn send(&mut self, records: &[Record<'_>]) -> Result<(), SendError> {
        self.frames.clear();
        records.iter().for_each(|record| self.framing.frame(record.body, &mut self.frames));
        self.try_send().map_err(|error| {
            let is_late = |error: &io::Error| error.kind() == io::ErrorKind::TimedOut;
            if matches!(&error, ChannelError::Write(error) if is_late(error)) {
                SYSLOG_REQUEST_TIME.reach();
            }
            SendError { accepted: 0, error, fate: Fate::Again { at_least: Default::default() } }
        })
    }
}

impl SyslogFraming {
    fn frame(self, message: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::OctetCounting => {
                out.extend_from_slice(message.len().to_string().as_bytes());
                out.push(b' ');
                out.extend_from_slice(message);
            }
            Self::Newline => {
                out.extend_from_slice(message);
                out.push(b'\n');
            }
        }
    }
}

#[cfg(test)]
mod tests;
