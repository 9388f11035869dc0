//! Responses on standard output.

use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use peregrine_limits::ECHOED_RESPONSES;

use super::error::HttpError;

/// Writes responses to standard output, on a thread of its own: the reader of standard output must
/// not hold up alerts.
#[derive(Debug)]
pub(super) struct Echo {
    responses: SyncSender<Vec<u8>>,
    /// Whether the last response found no place.
    blocked: bool,
}

impl Echo {
    /// Writes with this function. It is called until it fails.
    pub(super) fn new(
        mut write: impl FnMut(&[u8]) -> io::Result<()> + Send + 'static,
    ) -> io::Result<Self> {
        let (responses, queue) = sync_channel::<Vec<u8>>(ECHOED_RESPONSES.get());
        thread::Builder::new()
            .name("output-echo".to_owned())
            .spawn(move || while queue.recv().is_ok_and(|response| write(&response).is_ok()) {})?;
        Ok(Self { responses, blocked: false })
    }

    /// To the standard output of this process. The lock of `io::stdout` is not taken: others would
    /// wait for it.
    pub(super) fn to_stdout() -> io::Result<Self> {
        Self::new(|mut bytes| {
            while !bytes.is_empty() {
                let written = rustix::io::retry_on_intr(|| {
                    rustix::io::write(rustix::stdio::stdout(), bytes)
                })?;
                bytes = bytes.get(written..).unwrap_or_default();
            }
            Ok(())
        })
    }

    /// Queues a response. The first one of several that find no place is an error.
    pub(super) fn write(&mut self, response: Vec<u8>) -> Result<(), HttpError> {
        let is_blocked = self.responses.try_send(response).is_err();
        let was_blocked = std::mem::replace(&mut self.blocked, is_blocked);
        if is_blocked {
            ECHOED_RESPONSES.reach();
        }
        if is_blocked && !was_blocked { Err(HttpError::Echo) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_blocked_reader_is_told_once_and_holds_up_nothing() {
        let (let_go, wait) = channel::<()>();
        let (written, seen) = channel();
        let mut echo = Echo::new(move |response| {
            let _ = wait.recv();
            let _ = written.send(response.to_vec());
            Ok(())
        })
        .unwrap();
        let results: Vec<_> = (0..=u8::MAX).map(|number| echo.write(vec![number])).collect();
        assert_eq!(results.iter().filter(|result| result.is_err()).count(), 1);
        drop(let_go);
        assert_eq!(seen.recv().unwrap(), [0]);
        assert_eq!(seen.recv().unwrap(), [1]);
    }
}
