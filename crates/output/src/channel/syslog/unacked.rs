//! How much of what was written the other end of a TCP connection has not acknowledged.

use std::ffi::c_int;
use std::io;

use rustix::fd::AsFd;
use rustix::ioctl::{Getter, Opcode, ioctl};

/// `SIOCOUTQ`, which is `TIOCOUTQ` by another name.
const SIOCOUTQ: Opcode = libc::TIOCOUTQ as Opcode;

/// Bytes that the kernel of the receiver has not acknowledged.
pub(crate) fn unacknowledged(socket: impl AsFd) -> io::Result<usize> {
    // SAFETY: the kernel writes one `int` for this number, as tcp(7) says.
    let getter = unsafe { Getter::<SIOCOUTQ, c_int>::new() };
    // SAFETY: the call reads the state of a socket and changes nothing.
    let bytes = unsafe { ioctl(socket, getter) }?;
    Ok(usize::try_from(bytes).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_full_window_is_not_acknowledged_and_a_taken_message_is() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let server = listener.accept().unwrap();
        client.write_all(b"message").unwrap();
        let begun = Instant::now();
        while unacknowledged(&client).unwrap() > 0 {
            assert!(begun.elapsed() < Duration::from_secs(10));
        }
        client.set_nonblocking(true).unwrap();
        while client.write(&[0; 1 << 16]).is_ok() {}
        assert!(unacknowledged(&client).unwrap() > 0);
        drop(server);
    }
}
