//! From configuration keys to files, standard output and system logs.

use std::path::PathBuf;

use peregrine_config as config;
use peregrine_output::{
    FileCompression, FileOutput, FileSync, Rotation, StdoutOutput, SyslogAddress, SyslogForm,
    SyslogFraming, SyslogOutput, SyslogReceiver, WhenClosed,
};

use crate::Identity;
use crate::network::tls;

/// The file, with its rotation.
pub(crate) fn file(keys: &config::FileOutput, file: FileOutput) -> FileOutput {
    let rotation = |keys: config::FileRotation| Rotation {
        max_bytes: keys.max_bytes,
        every: keys.every,
        keep: keys.keep,
        compression: match keys.compress {
            config::FileCompression::None => None,
            config::FileCompression::Gzip => Some(FileCompression::Gzip),
            config::FileCompression::Zstd => Some(FileCompression::Zstd),
        },
    };
    let sync = match keys.fsync {
        config::Fsync::Never => FileSync::Never,
        config::Fsync::Always => FileSync::Always,
        config::Fsync::Every(time) => FileSync::Every(time),
    };
    FileOutput { rotation: keys.rotation.map(rotation), sync, ..file }
}

/// Standard output.
pub(crate) fn stdout(keys: &config::StdoutOutput) -> StdoutOutput {
    let when_closed = match keys.peregrine.when_closed {
        config::WhenClosed::End => WhenClosed::End,
        config::WhenClosed::Disable => WhenClosed::Disable,
    };
    StdoutOutput { when_closed }
}

/// The system log.
pub(crate) fn syslog(keys: &config::OwnSyslogKeys, identity: &Identity) -> SyslogOutput {
    let address = |host: &String, port| SyslogAddress { host: host.clone(), port };
    let framing = match keys.framing {
        config::SyslogFraming::OctetCounting => SyslogFraming::OctetCounting,
        config::SyslogFraming::Newline => SyslogFraming::Newline,
    };
    SyslogOutput {
        receiver: match &keys.address {
            config::SyslogAddress::Local(path) => SyslogReceiver::Local(path.clone()),
            config::SyslogAddress::Udp(host, port) => SyslogReceiver::Udp(address(host, *port)),
            config::SyslogAddress::Tcp(host, port) => {
                SyslogReceiver::Tcp { address: address(host, *port), framing, tls: None }
            }
            config::SyslogAddress::Tls(host, port) => {
                let tls = Some(tls(&keys.tls));
                SyslogReceiver::Tcp { address: address(host, *port), framing, tls }
            }
        },
        form: match keys.form {
            config::SyslogForm::Rfc3164 => SyslogForm::Rfc3164,
            config::SyslogForm::Rfc5424 => SyslogForm::Rfc5424,
        },
        facility: keys.facility.0,
        app_name: app_name(keys, &identity.program),
        structured_data: keys.structured_data,
    }
}

/// The name of the program in a system log.
#[must_use]
pub fn app_name(keys: &config::OwnSyslogKeys, program: &str) -> String {
    let name = Some(&keys.app_name.0).filter(|name| !name.is_empty());
    let started = || program.chars().filter(char::is_ascii_graphic).take(48).collect();
    name.cloned().unwrap_or_else(started)
}

/// The socket that log lines go to.
#[must_use]
pub fn log_socket(keys: &config::OwnSyslogKeys) -> PathBuf {
    match &keys.address {
        config::SyslogAddress::Local(path) => path.clone(),
        _ => PathBuf::from("/dev/log"),
    }
}
