//! A stream whose other end cannot keep the server waiting.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use peregrine_limits::{WEB_REQUEST_TIME, WEB_RESPONSE_TIME};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// What the connection waits for. Shared by the stream and the code that answers.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// When the head of the next request must be complete. `None` while one is answered.
    read_by: Cell<Option<Instant>>,
    /// Whether that head is late if it is not: a client that sends nothing after an answer is not.
    owed: Cell<bool>,
    /// When a response must be sent that the client did not take at once.
    write_by: Cell<Option<Instant>>,
    /// Requests so far.
    requests: Cell<u32>,
}

impl Exchange {
    /// Of a client that has just connected.
    pub(crate) fn new() -> Self {
        Self {
            read_by: Cell::new(Some(Instant::now() + WEB_REQUEST_TIME.duration())),
            owed: Cell::new(true),
            write_by: Cell::new(None),
            requests: Cell::new(0),
        }
    }

    /// A request is complete: counts it.
    pub(crate) fn begin_answer(&self) -> u32 {
        self.read_by.set(None);
        self.requests.set(self.requests.get().saturating_add(1));
        self.requests.get()
    }

    /// The response is made. The next request has as much time to come as to be sent.
    pub(crate) fn end_answer(&self) {
        self.read_by.set(Some(Instant::now() + WEB_REQUEST_TIME.duration()));
        self.owed.set(false);
    }

    /// The response is sent. If that took long, the next request has its whole time nevertheless.
    fn sent(&self) {
        if self.write_by.take().is_some() && self.read_by.get().is_some() {
            self.end_answer();
        }
    }

    /// Bytes have come.
    fn received(&self) {
        if !self.owed.replace(true) && self.read_by.get().is_some() {
            self.read_by.set(Some(Instant::now() + WEB_REQUEST_TIME.duration()));
        }
    }
}

/// Fails with [`io::ErrorKind::TimedOut`] where a deadline of the [`Exchange`] has passed.
#[derive(Debug)]
pub(crate) struct Timed<S> {
    stream: S,
    exchange: Rc<Exchange>,
    /// Wakes the task at the next deadline.
    sleep: Pin<Box<Sleep>>,
}

impl<S> Timed<S> {
    pub(crate) fn new(stream: S, exchange: Rc<Exchange>) -> Self {
        Self { stream, exchange, sleep: Box::pin(sleep_until(Instant::now())) }
    }

    /// The client does not read: the response must be sent by a deadline, however slowly it takes
    /// parts of it.
    fn wait_to_write<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        let now = Instant::now();
        let by = self.exchange.write_by.get().unwrap_or(now + WEB_RESPONSE_TIME.duration());
        self.exchange.write_by.set(Some(by));
        if now >= by {
            WEB_RESPONSE_TIME.reach();
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        self.wake(now, context);
        Poll::Pending
    }

    fn wait_to_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let now = Instant::now();
        let is_sending = self.exchange.write_by.get().is_some();
        if !is_sending && self.exchange.read_by.get().is_some_and(|by| now >= by) {
            if self.exchange.owed.get() {
                WEB_REQUEST_TIME.reach();
            }
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        self.wake(now, context);
        Poll::Pending
    }

    /// Wakes the task at the next deadline.
    fn wake(&mut self, now: Instant, context: &mut Context<'_>) {
        let deadlines = [self.exchange.read_by.get(), self.exchange.write_by.get()];
        let Some(next) = deadlines.into_iter().flatten().filter(|by| *by > now).min() else {
            return;
        };
        if self.sleep.deadline() != next {
            self.sleep.as_mut().reset(next);
        }
        if self.sleep.as_mut().poll(context).is_ready() {
            context.waker().wake_by_ref();
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Timed<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match Pin::new(&mut this.stream).poll_read(context, buffer) {
            Poll::Pending => this.wait_to_read(context),
            ready => {
                this.exchange.received();
                ready
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timed<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match Pin::new(&mut this.stream).poll_write(context, bytes) {
            Poll::Pending => this.wait_to_write(context),
            ready => ready,
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match Pin::new(&mut this.stream).poll_write_vectored(context, parts) {
            Poll::Pending => this.wait_to_write(context),
            ready => ready,
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// The server flushes when it has written a whole response.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match Pin::new(&mut this.stream).poll_flush(context) {
            Poll::Pending => this.wait_to_write(context),
            ready => {
                this.exchange.sent();
                ready
            }
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match Pin::new(&mut this.stream).poll_shutdown(context) {
            Poll::Pending => this.wait_to_write(context),
            ready => ready,
        }
    }
}
