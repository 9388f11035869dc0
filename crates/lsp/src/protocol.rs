//! Messages over a byte stream: `Content-Length: N`, an empty line, N bytes of JSON.
//!
//! The client is not trusted: the length of headers and messages is bounded before memory is
//! reserved for them, and what is not a message gets an answer instead of ending the server.

use std::io::{self, BufRead, Read as _, Write};

use lsp_server::Message;
use peregrine_limits::LSP_MESSAGE_BYTES;
use serde_json::Value;
use thiserror::Error;

/// Longest line of a header, and most lines of one.
const HEADER_LINE: u64 = 4096;
const HEADER_LINES: usize = 32;

/// What was received.
#[derive(Debug)]
pub(crate) enum Received {
    /// A message.
    Message(Message),
    /// JSON that is no message, with the id that it has, or no JSON.
    Malformed(String),
}

/// Why nothing more can be received.
#[derive(Debug, Error)]
pub(crate) enum ReceiveError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("a header is longer than {HEADER_LINE} bytes or has more than {HEADER_LINES} lines")]
    LongHeader,
    #[error("no Content-Length")]
    NoLength,
    #[error("a message of {0} bytes is longer than {limit}", limit = LSP_MESSAGE_BYTES.get())]
    TooLong(usize),
}

/// Reads a message; `None` at the end of the stream.
pub(crate) fn receive(input: &mut impl BufRead) -> Result<Option<Received>, ReceiveError> {
    let Some(length) = header(input)? else { return Ok(None) };
    if length > LSP_MESSAGE_BYTES.get() {
        LSP_MESSAGE_BYTES.reach();
        return Err(ReceiveError::TooLong(length));
    }
    // Grows with what arrives, not with what is announced.
    let mut body = Vec::new();
    let read = input.take(length as u64).read_to_end(&mut body)?;
    if read < length {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    Ok(Some(match message(&body) {
        Ok(message) => Received::Message(message),
        Err(error) => Received::Malformed(error.to_string()),
    }))
}

/// The message in some JSON.
fn message(body: &[u8]) -> Result<Message, serde_json::Error> {
    let json: Value = serde_json::from_slice(body)?;
    // Other ids than texts and small numbers are allowed, but no client uses them.
    serde_json::from_value(json)
}

/// The length in a header; `None` at the end of the stream.
fn header(input: &mut impl BufRead) -> Result<Option<usize>, ReceiveError> {
    let mut length = None;
    for number in 0..HEADER_LINES {
        let mut line = Vec::new();
        let read = input.take(HEADER_LINE).read_until(b'\n', &mut line)?;
        if read == 0 {
            return match number {
                0 => Ok(None),
                _ => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            };
        }
        if line.last() != Some(&b'\n') {
            return Err(ReceiveError::LongHeader);
        }
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end();
        if line.is_empty() {
            return length.map(Some).ok_or(ReceiveError::NoLength);
        }
        if let Some((name, value)) = line.split_once(':')
            && name.trim().eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok();
        }
    }
    Err(ReceiveError::LongHeader)
}

/// Writes a message.
pub(crate) fn send(output: &mut impl Write, message: &Message) -> io::Result<()> {
    message.write(output)
}

/// The id of a request that a notification cancels.
pub(crate) fn canceled(message: &Message) -> Option<lsp_server::RequestId> {
    let Message::Notification(notification) = message else { return None };
    let id = notification.params.get("id").filter(|_| notification.method == "$/cancelRequest")?;
    serde_json::from_value(id.clone()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(mut input: &[u8]) -> (Vec<Received>, Option<ReceiveError>) {
        let mut received = Vec::new();
        loop {
            match receive(&mut input) {
                Ok(Some(message)) => received.push(message),
                Ok(None) => return (received, None),
                Err(error) => return (received, Some(error)),
            }
        }
    }

    #[test]
    fn messages_follow_each_other() {
        let text = "Content-Length: 43\r\nContent-Type: x\r\n\r\n{\"jsonrpc\":\"2.0\",\"method\":\"exit\",\"params\":1}\
                    content-length:2\r\n\r\n{}";
        let text = text.replace("43", "44");
        let (received, error) = all(text.as_bytes());
        assert!(error.is_none(), "{error:?}");
        assert!(
            matches!(
                &received[..],
                [Received::Message(Message::Notification(_)), Received::Malformed(_)]
            ),
            "{received:?}"
        );
    }

    #[test]
    fn announced_lengths_are_bounded() {
        let error = |text: &str| all(text.as_bytes()).1.unwrap().to_string();
        assert!(error("Content-Length: 99999999999\r\n\r\n").contains("longer than"));
        assert_eq!(error("X: 1\r\n\r\n{}"), "no Content-Length");
        assert!(error(&"x".repeat(9000)).contains("header"));
        assert!(error("Content-Length: 10\r\n\r\n{}").contains("end of file"));
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..64), text in "(Content-Length: [0-9]{1,3}\r\n|\r\n|\\{|\\}|\\[|\"id\":){0,8}") {
            all(&bytes);
            all(text.as_bytes());
        }
    }
}
