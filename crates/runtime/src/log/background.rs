//! Writes log lines on a thread of its own, so that a destination that is full does not hold up
//! the threads that log.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use peregrine_alert::Priority;
use peregrine_limits::LOG_QUEUE_LINES;

/// Time to write what is left at the end. A part of the 5 s in which a service must stop.
const FLUSH: Duration = Duration::from_secs(1);

/// A line that waits to be written.
pub(super) struct Line {
    pub(super) time: Timestamp,
    pub(super) level: Priority,
    pub(super) message: String,
}

/// What the writing thread does.
enum Order {
    Write(Line),
    /// All lines before this are written.
    Tell(SyncSender<()>),
}

/// The way to the writing thread, if there is one.
#[derive(Default)]
pub(super) struct Queue {
    orders: Mutex<Option<SyncSender<Order>>>,
    /// Lines that found the queue full.
    lost: AtomicU64,
}

/// Lines are written in the background while this exists.
#[must_use]
pub struct BackgroundLog {
    queue: Arc<Queue>,
    written: Receiver<()>,
}

impl Queue {
    /// Queues a line, or gives it back if the caller has to write it.
    pub(super) fn push(&self, line: Line) -> Option<Line> {
        let orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(orders) = orders.as_ref() else { return Some(line) };
        match orders.try_send(Order::Write(line)) {
            Err(TrySendError::Disconnected(Order::Write(line))) => return Some(line),
            Err(TrySendError::Full(_)) => {
                LOG_QUEUE_LINES.reach();
                self.lost.fetch_add(1, Relaxed);
            }
            _ => {}
        }
        None
    }

    /// Waits until all lines are written, for this long at most.
    pub(super) fn flush(&self, most: Duration) {
        let orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (tell, written) = sync_channel(1);
        if orders.is_some_and(|orders| orders.try_send(Order::Tell(tell)).is_ok()) {
            let _: Result<(), RecvTimeoutError> = written.recv_timeout(most);
        }
    }

    fn close(&self) {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl BackgroundLog {
    /// Starts the thread, which hands each line to `write`.
    pub(super) fn start(
        queue: Arc<Queue>,
        write: impl Fn(&Line) + Send + 'static,
    ) -> io::Result<Self> {
        let (sender, orders) = sync_channel(LOG_QUEUE_LINES.get());
        let (done, written) = sync_channel(1);
        let lost = Arc::clone(&queue);
        thread::Builder::new().name("log".to_owned()).spawn(move || {
            for order in orders {
                match order {
                    Order::Write(line) => write(&line),
                    Order::Tell(written) => drop(written.send(())),
                }
                let lost = lost.lost.swap(0, Relaxed);
                if lost > 0 {
                    let message =
                        format!("{lost} log lines are lost: they were written too slowly");
                    write(&Line { level: Priority::Warning, message, time: Timestamp::now() });
                }
            }
            let _ = done.send(());
        })?;
        *queue.orders.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        Ok(Self { queue, written })
    }
}

impl Drop for BackgroundLog {
    /// Waits until all lines are written, but not for long.
    fn drop(&mut self) {
        self.queue.close();
        let _: Result<(), RecvTimeoutError> = self.written.recv_timeout(FLUSH);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: usize) -> Line {
        let (level, message) = (Priority::Error, number.to_string());
        Line { time: Timestamp::UNIX_EPOCH, level, message }
    }

    #[test]
    fn a_destination_that_blocks_holds_up_no_line_and_losses_are_told() {
        let queue = Arc::new(Queue::default());
        assert!(queue.push(line(0)).is_some());
        let texts = Arc::new(Mutex::new(Vec::new()));
        let (go, wait) = sync_channel::<()>(0);
        let (sink, wait) = (Arc::clone(&texts), Mutex::new(wait));
        let background = BackgroundLog::start(Arc::clone(&queue), move |line| {
            // Blocks until the test lets go.
            let _ = wait.lock().unwrap().recv();
            sink.lock().unwrap().push(line.message.clone());
        });
        let most = LOG_QUEUE_LINES.get();
        // One more than the queue holds may be at the thread already.
        (0..most + 10).for_each(|number| assert!(queue.push(line(number)).is_none()));
        drop(go);
        drop(background.unwrap());
        let texts = texts.lock().unwrap();
        assert!(texts.len() > most && texts[0] == "0", "{}", texts.len());
        let told = texts.iter().filter(|text| text.ends_with("lost: they were written too slowly"));
        let told: usize =
            told.map(|text| text.split(' ').next().unwrap().parse::<usize>().unwrap()).sum();
        assert_eq!(told + texts.iter().filter(|text| text.len() < 9).count(), most + 10);
        assert!(queue.push(line(0)).is_some());
    }

    #[test]
    fn a_flush_waits_for_the_lines_before_it() {
        let queue = Arc::new(Queue::default());
        queue.flush(FLUSH);
        let written = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&written);
        let background = BackgroundLog::start(Arc::clone(&queue), move |_| {
            count.fetch_add(1, Relaxed);
        });
        (0..100).for_each(|number| assert!(queue.push(line(number)).is_none()));
        queue.flush(Duration::from_secs(60));
        assert_eq!(written.load(Relaxed), 100);
        drop(background);
    }
}
