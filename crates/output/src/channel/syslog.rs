//! The system log: of this machine, or of another one.

mod datagram;
mod local;
mod message;
mod settings;
mod stream;
mod unacked;

use peregrine_limits::NETWORK_ALERT_TIME;
use peregrine_spool::SpoolSettings;

pub use self::local::SyslogSocket;
use self::message::Messages;
pub use self::message::syslog_head;
pub use self::settings::{
    FACILITY_USER, SyslogAddress, SyslogForm, SyslogFraming, SyslogOutput, SyslogReceiver,
};
use super::deliver::Channel;
use super::network::Networked;
use super::retry::RetryLimits;
use crate::format::Formatter;

/// Tries to send a message again over TCP without a spool.
const TRIES: u32 = 5;

/// A channel that sends each alert in this format. A spool serves TCP only: nothing tells that a
/// datagram has not arrived.
pub(crate) fn channel(
    output: SyslogOutput,
    format: Formatter,
    spool: Option<SpoolSettings>,
) -> Box<dyn Channel> {
    let messages = Messages::new(&output, format);
    match output.receiver {
        SyslogReceiver::Local(path) => Box::new(local::Local::new(path, messages)),
        SyslogReceiver::Udp(address) => Box::new(datagram::Udp::new(address, messages)),
        SyslogReceiver::Tcp { address, framing, tls } => {
            let stream = stream::Stream::new(address, framing, tls);
            let retries = RetryLimits { max: TRIES, time: NETWORK_ALERT_TIME.duration() };
            Networked::new(Box::new(messages), Box::new(stream), retries).spooled(spool)
        }
    }
}
