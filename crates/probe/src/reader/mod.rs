//! Reading about other processes, outside of this one.
//!
//! A monitored process can delay what is read about it: pages of its arguments and files below its
//! root directory can be in a file system whose server never answers, and a reader then hangs in
//! the kernel, deaf to signals. So nothing about other processes is read by the threads of this
//! program. Readers do that: processes without privileges but for reading, behind a filter of
//! system calls ([`main`]). They answer questions through a socket; one that makes no progress is
//! killed and replaced.
//!
//! A program that monitors with [`Live`](crate::Live) calls [`main`] where it is started with the
//! argument of [`ReaderMode::Process`]:
//!
//! ```no_run
//! use peregrine_probe::bpf::ProbeConfig;
//! use peregrine_probe::reader::{self, ReaderMode};
//!
//! let arguments: Vec<_> = std::env::args_os().collect();
//! if arguments.get(1).is_some_and(|word| word == "__reader") {
//!     std::process::exit(reader::main(&arguments));
//! }
//! let argument = "__reader".to_owned();
//! let readers = ReaderMode::Process { program: "/proc/self/exe".into(), argument };
//! let config = ProbeConfig { readers, ..ProbeConfig::default() };
//! # let _ = config;
//! ```

mod client;
mod own;
mod pool;
mod protocol;
mod sandbox;
mod serve;
mod suspects;

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

pub(crate) use client::{Reader, Reply};
pub(crate) use own::OwnPids;
pub(crate) use pool::Pool;
pub use pool::ReaderMode;
pub(crate) use protocol::{Extent, ProcessQuestion, Question};

/// What a reader process does: answers the questions that come through its standard input, which is
/// a socket. The second argument after the name of the program is the root directory of the host.
/// Returns the exit code.
pub fn main(arguments: &[OsString]) -> i32 {
    let Some(host_root) = arguments.get(2) else { return 2 };
    sandbox::detach();
    let Ok(socket) = std::io::stdin().as_fd().try_clone_to_owned() else { return 2 };
    let Ok(service) = serve::Service::open(Path::new(host_root)) else { return 1 };
    let socket = UnixStream::from(socket);
    if sandbox::enter(&socket).is_err() {
        return 1;
    }
    i32::from(service.run(&socket).is_err())
}

/// Takes any bytes for answers of a reader: for fuzz targets.
#[doc(hidden)]
pub fn parse_answers(bytes: &[u8]) {
    let mut frames = protocol::Frames::default();
    frames.buffer().extend(bytes);
    while let Ok(Some(_)) = frames.next::<protocol::Answer>() {}
}

#[cfg(test)]
mod tests;
