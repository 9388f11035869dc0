//! Delivery from memory: what cannot be sent within the limits of the retries is lost.

use std::sync::Arc;
use std::time::Duration;

use peregrine_alert::{Alert, AlertId};
use peregrine_limits::NETWORK_ALERT_TIME;
use peregrine_spool::SpoolSettings;

use super::spooled::SpooledChannel;
use super::{Encoder, Fate, Record, SendError, Transport};
use crate::channel::deliver::{Channel, Outcome};
use crate::channel::retry::{NoRetry, Retries, RetryLimits};
use crate::shutdown::{Phase, Shutdown};

/// A channel that sends through a [`Transport`]: in order, and each alert at least once, or not at
/// all if the retries do not suffice.
pub(crate) struct Networked {
    encoder: Box<dyn Encoder>,
    transport: Box<dyn Transport>,
    retries: RetryLimits,
    shutdown: Arc<Shutdown>,
    /// The bodies of the alerts being sent; kept for its memory.
    bodies: Vec<u8>,
}

impl Networked {
    pub(crate) fn new(
        encoder: Box<dyn Encoder>,
        transport: Box<dyn Transport>,
        retries: RetryLimits,
    ) -> Self {
        Self { encoder, transport, retries, shutdown: Arc::default(), bodies: Vec::new() }
    }

    /// The channel, with a spool in front of the receiver if it shall have one. Then it retries
    /// without the limits.
    pub(crate) fn spooled(self, spool: Option<SpoolSettings>) -> Box<dyn Channel> {
        match spool {
            Some(spool) => Box::new(SpooledChannel::new(self.encoder, self.transport, spool)),
            None => Box::new(self),
        }
    }

    /// Appends the body of an alert. Gives back where it ends.
    fn encode(&mut self, alert: &Alert) -> (AlertId, u64, usize) {
        self.encoder.encode(alert, &mut self.bodies);
        (alert.id(), alert.time(), self.bodies.len())
    }
}

impl Channel for Networked {
    fn name(&self) -> &'static str {
        self.transport.name()
    }

    fn batch(&self) -> usize {
        self.transport.batch().records
    }

    fn max_wait(&self) -> Duration {
        self.transport.max_wait()
    }

    fn shutdown(&self) -> Arc<Shutdown> {
        self.shutdown.clone()
    }

    fn deliver(&mut self, alerts: &[Alert]) -> Outcome {
        self.bodies.clear();
        let entries: Vec<_> = alerts.iter().map(|alert| self.encode(alert)).collect();
        let mut start = 0;
        let record = |(id, time, end)| {
            let body = self.bodies.get(start..end).unwrap_or_default();
            start = end;
            Record { id, time, body }
        };
        let records: Vec<_> = entries.into_iter().map(record).collect();
        send(&mut *self.transport, &records, self.retries, &self.shutdown)
    }
}

/// Sends all, again if that helps. A failure does not keep later records from being sent.
fn send(
    transport: &mut dyn Transport,
    mut left: &[Record<'_>],
    limits: RetryLimits,
    shutdown: &Shutdown,
) -> Outcome {
    let mut outcome = Outcome::default();
    let mut retries = Retries::new(limits);
    let mut phase = shutdown.phase();
    while !left.is_empty() {
        let batch = transport.batch().fill(left.iter().map(|record| record.body.len()));
        let (batch, _) = left.split_at(batch);
        let (accepted, problem) = match transport.send(batch) {
            Ok(()) => (batch.len(), None),
            Err(SendError { accepted, error, fate }) => {
                (accepted.min(batch.len()), Some((error, fate)))
            }
        };
        let unsent = batch.len() - accepted;
        left = left.split_at(accepted).1;
        outcome.delivered += accepted as u64;
        if accepted > 0 {
            retries = Retries::new(limits);
        }
        let Some((error, fate)) = problem else { continue };
        let lost = match fate {
            Fate::Again { at_least } if pause(&mut retries, at_least, shutdown, &mut phase) => {
                outcome.retried += unsent as u64;
                continue;
            }
            Fate::Again { .. } => unsent,
            Fate::Refused(lost) => lost.max(1).min(unsent),
        };
        left = left.split_at(lost).1;
        outcome = outcome.and(Outcome::of(lost, Err(error)));
        retries = Retries::new(limits);
    }
    outcome
}

/// Waits before another attempt. False if there is none.
fn pause(
    retries: &mut Retries,
    at_least: Duration,
    shutdown: &Shutdown,
    phase: &mut Phase,
) -> bool {
    match retries.next_pause(at_least) {
        Ok(pause) => {
            shutdown.pause_from(pause, phase);
            *phase != Phase::Ended
        }
        Err(NoRetry::Time) => {
            NETWORK_ALERT_TIME.reach();
            false
        }
        Err(NoRetry::Number) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};
    use std::sync::Mutex;
    use std::thread;

    use super::super::BatchLimits;
    use super::*;
    use crate::testing::{alerts, formatter, line};

    /// What a call of [`Transport::send`] gives back: records that arrive, and the fate of others.
    type Answer = Result<(), (usize, Fate)>;

    /// Gives these answers, then takes everything. Keeps the bodies of each call.
    #[derive(Clone)]
    struct Scripted {
        answers: Arc<Mutex<Vec<Answer>>>,
        calls: Arc<Mutex<Vec<Vec<String>>>>,
        limits: BatchLimits,
    }

    impl Scripted {
        fn new<const N: usize>(records: usize, answers: [Answer; N]) -> Self {
            let answers = Arc::new(Mutex::new(answers.into_iter().rev().collect()));
            let limits = BatchLimits { records, bytes: 1 << 20 };
            Self { answers, calls: Arc::default(), limits }
        }

        fn channel(&self, max: u32) -> Networked {
            let limits = RetryLimits { max, time: Duration::from_secs(3600) };
            Networked::new(Box::new(formatter()), Box::new(self.clone()), limits)
        }

        fn calls(&self) -> Vec<String> {
            let prefix = line("").len();
            let calls = self.calls.lock().unwrap();
            calls.iter().map(|call| call.iter().map(|body| &body[prefix..]).collect()).collect()
        }
    }

    impl Transport for Scripted {
        fn name(&self) -> &'static str {
            "scripted"
        }

        fn batch(&self) -> BatchLimits {
            self.limits
        }

        fn send(&mut self, records: &[Record<'_>]) -> Result<(), SendError> {
            let text = |record: &Record<'_>| String::from_utf8(record.body.to_vec()).unwrap();
            self.calls.lock().unwrap().push(records.iter().map(text).collect());
            let answer = self.answers.lock().unwrap().pop().unwrap_or(Ok(()));
            let error = Error::from(ErrorKind::TimedOut).into();
            answer.map_err(|(accepted, fate)| SendError { accepted, error, fate })
        }
    }

    const AGAIN: Fate = Fate::Again { at_least: Duration::ZERO };

    #[test]
    fn alerts_are_sent_in_batches() {
        let receiver = Scripted::new(2, []);
        let mut channel = receiver.channel(0);
        assert_eq!(channel.batch(), 2);
        assert_eq!(channel.deliver(&alerts(&["a", "b", "c"])).unwrap(), 3);
        assert_eq!(receiver.calls(), ["ab", "c"]);
    }

    #[test]
    fn what_has_not_arrived_is_sent_again_in_order() {
        let receiver = Scripted::new(3, [Err((1, AGAIN)), Err((0, AGAIN)), Err((1, AGAIN))]);
        // Progress allows further attempts.
        let outcome = receiver.channel(2).deliver(&alerts(&["a", "b", "c", "d"]));
        assert_eq!((outcome.retried, outcome.unwrap()), (7, 4));
        assert_eq!(receiver.calls(), ["abc", "bcd", "bcd", "cd"]);
    }

    #[test]
    fn what_is_refused_is_lost_and_the_rest_goes_on() {
        let refuse = |accepted, count| Err((accepted, Fate::Refused(count)));
        let receiver = Scripted::new(5, [refuse(1, 2), refuse(0, 0), refuse(9, 9)]);
        let outcome = receiver.channel(2).deliver(&alerts(&["a", "b", "c", "d", "e"]));
        assert_eq!((outcome.delivered, outcome.failed, outcome.retried), (2, 3, 0));
        assert_eq!(receiver.calls(), ["abcde", "de", "e"]);
    }

    #[test]
    fn a_batch_is_lost_after_the_last_attempt() {
        let receiver = Scripted::new(2, [Err((0, AGAIN)), Err((0, AGAIN))]);
        let outcome = receiver.channel(1).deliver(&alerts(&["a", "b", "c"]));
        assert_eq!((outcome.delivered, outcome.failed, outcome.retried), (1, 2, 2));
        assert_eq!(receiver.calls(), ["ab", "ab", "c"]);
    }

    #[test]
    fn the_end_of_the_run_ends_a_pause() {
        let hour = Fate::Again { at_least: Duration::from_secs(1800) };
        let receiver = Scripted::new(1, [Err((0, hour)), Err((0, hour)), Err((0, hour))]);
        let mut channel = receiver.channel(5);
        let shutdown = channel.shutdown();
        let delivery = thread::spawn(move || channel.deliver(&alerts(&["a"])));
        let wait_for = |calls| {
            while receiver.calls().len() < calls {
                thread::yield_now();
            }
        };
        wait_for(1);
        // One more attempt.
        shutdown.close();
        wait_for(2);
        shutdown.end();
        assert_eq!(delivery.join().unwrap().failed, 1);
        assert_eq!(receiver.calls(), ["a", "a"]);
    }
}
