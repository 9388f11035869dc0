//! Delivery through a spool: what the receiver does not take stays on the disk until it does.
//!
//! The worker of the channel puts alerts into the spool, a second thread sends them, and a third
//! one forces the files to the disk.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use peregrine_alert::{Alert, AlertId};
use peregrine_limits::RETRY_AFTER_TIME;
use peregrine_spool::{Appended, Record as Spooled, Spool, SpoolReader, SpoolSettings, TakeLimits};

use super::monitor::SpoolMonitor;
use super::{Encoder, Fate, Record, SendError, Transport};
use crate::channel::deliver::{Channel, Outcome};
use crate::channel::error::ChannelError;
use crate::channel::retry::Backoff;
use crate::counts::Counts;
use crate::shutdown::{Phase, Shutdown};

/// A channel that sends through a [`Transport`] what it has put into a spool: in order, each alert
/// at least once, as long as the spool keeps it.
pub(super) struct SpooledChannel {
    name: &'static str,
    encoder: Box<dyn Encoder>,
    /// Goes to the thread that sends.
    transport: Option<Box<dyn Transport>>,
    monitor: Arc<SpoolMonitor>,
    shutdown: Arc<Shutdown>,
    /// Open when the channel has started.
    spool: Option<Spool>,
    /// The bodies of alerts on their way into the spool; kept for its memory.
    bodies: Vec<u8>,
}

/// How often the end of the run is looked at while the spool is emptied.
const STEP: Duration = Duration::from_millis(20);
/// Attempts in a row after which a failure that may pass is reported.
const TOLERATED: u32 = 3;

impl SpooledChannel {
    pub(super) fn new(
        encoder: Box<dyn Encoder>,
        transport: Box<dyn Transport>,
        settings: SpoolSettings,
    ) -> Self {
        Self {
            name: transport.name(),
            encoder,
            transport: Some(transport),
            monitor: Arc::new(SpoolMonitor::new(settings)),
            shutdown: Arc::default(),
            spool: None,
            bodies: Vec::new(),
        }
    }

    /// Starts the threads that send and that force files to the disk.
    fn spawn(&mut self, spool: &Spool, reader: SpoolReader) -> io::Result<()> {
        let Some(transport) = self.transport.take() else { return Ok(()) };
        let (monitor, shutdown) = (self.monitor.clone(), self.shutdown.clone());
        let (backoff, phase) = (Backoff::new(), Phase::Running);
        let mut sender = Sender { reader, transport, monitor, shutdown, backoff, phase };
        let name = format!("spool-{}", self.name);
        thread::Builder::new().name(name).spawn(move || sender.run())?;
        let (spool, monitor) = (spool.clone(), self.monitor.clone());
        let sync = move || spool.sync_until_closed(|error| monitor.set_error(error.into()));
        thread::Builder::new().name(format!("sync-{}", self.name)).spawn(sync).map(drop)
    }
}

impl Channel for SpooledChannel {
    fn name(&self) -> &'static str {
        self.name
    }

    fn shutdown(&self) -> Arc<Shutdown> {
        self.shutdown.clone()
    }

    fn spool(&self) -> Option<Arc<SpoolMonitor>> {
        Some(self.monitor.clone())
    }

    fn start(&mut self) -> Outcome {
        let (spool, reader, error) = Spool::open(self.monitor.settings.clone());
        self.monitor.start(spool.clone());
        let started = self.spawn(&spool, reader).map_err(ChannelError::from);
        self.spool = Some(spool);
        let error = error.map(ChannelError::from).or(started.err());
        Outcome { error, ..Outcome::default() }
    }

    fn deliver(&mut self, alerts: &[Alert]) -> Outcome {
        let Some(spool) = &self.spool else { return Outcome::default() };
        self.bodies.clear();
        let mut ends = Vec::with_capacity(alerts.len());
        for alert in alerts {
            self.encoder.encode(alert, &mut self.bodies);
            ends.push(self.bodies.len());
        }
        let mut start = 0;
        let records = alerts.iter().zip(ends).map(|(alert, end)| {
            let body = self.bodies.get(start..end).unwrap_or_default();
            start = end;
            Spooled { id: alert.id().as_u128(), time: alert.time(), body }
        });
        let Appended { stored, dropped, refused, error } = spool.append(records);
        let spool = Counts {
            spooled_in: stored,
            spooled_out: dropped,
            spool_full: dropped + refused,
            ..Counts::default()
        };
        Outcome { spool, error: error.map(ChannelError::from), ..Outcome::default() }
    }

    fn counted(&mut self) {
        if let Some(spool) = &self.spool {
            spool.publish();
        }
    }

    /// Waits until all is sent, or the end of the run. What is left comes first in the next run.
    fn finish(&mut self) -> Outcome {
        let Some(spool) = &self.spool else { return Outcome::default() };
        while !spool.wait_empty(STEP) && self.shutdown.phase() != Phase::Ended {}
        let closed = spool.close();
        // The disk has not taken them.
        let discarded = spool.status().unwritten;
        self.monitor.settle(Counts { discarded, ..Counts::default() });
        Outcome { error: closed.err().map(ChannelError::from), ..Outcome::default() }
    }
}

/// The thread that sends.
struct Sender {
    reader: SpoolReader,
    transport: Box<dyn Transport>,
    monitor: Arc<SpoolMonitor>,
    shutdown: Arc<Shutdown>,
    backoff: Backoff,
    /// How far the end of the run was seen to have come.
    phase: Phase,
}

impl Sender {
    fn run(&mut self) {
        while self.reader.wait() && self.shutdown.phase() != Phase::Ended {
            let limits = self.transport.batch();
            let limits = TakeLimits { records: limits.records, bytes: limits.bytes };
            let missing = self.reader.take(limits);
            let (expired, damaged) = (missing.expired, missing.damaged);
            self.monitor.settle(Counts { expired, damaged, ..Counts::default() });
            if let Some(error) = missing.error {
                self.monitor.set_error(error.into());
            }
            while self.send() {}
        }
    }

    /// Sends some of the records that the reader holds. False if it holds none, or the run ends.
    fn send(&mut self) -> bool {
        let expired = self.reader.expire();
        self.monitor.settle(Counts { expired, ..Counts::default() });
        let held = self.reader.records().into_iter();
        let record = |Spooled { id, time, body }| Record { id: AlertId::from_u128(id), time, body };
        let records: Vec<_> = held.map(record).collect();
        let batch = self.transport.batch().fill(records.iter().map(|record| record.body.len()));
        let (batch, _) = records.split_at(batch);
        if batch.is_empty() {
            return false;
        }
        let len = batch.len();
        let (accepted, problem) = match self.transport.send(batch) {
            Ok(()) => (len, None),
            Err(SendError { accepted, error, fate }) => (accepted.min(len), Some((error, fate))),
        };
        let unsent = len - accepted;
        if accepted > 0 {
            self.backoff = Backoff::new();
        }
        let (mut retried, mut refused, mut pause) = (0, 0, Duration::ZERO);
        match problem {
            None => {}
            Some((error, Fate::Refused(lost))) => {
                refused = lost.max(1).min(unsent);
                self.backoff = Backoff::new();
                self.monitor.set_error(error);
            }
            Some((error, Fate::Again { at_least })) => {
                retried = unsent as u64;
                pause = self.backoff.next_pause(bounded(at_least));
                if self.backoff.attempts() >= TOLERATED {
                    self.monitor.set_error(error);
                }
            }
        }
        let (delivered, failed) = (accepted as u64, refused as u64);
        self.monitor.settle(Counts { delivered, failed, retried, ..Counts::default() });
        self.reader.settle(accepted + refused);
        if !pause.is_zero() {
            self.shutdown.pause_from(pause, &mut self.phase);
        }
        self.phase != Phase::Ended
    }
}

/// A pause that the receiver asks for, within the limit.
fn bounded(asked: Duration) -> Duration {
    let most = RETRY_AFTER_TIME.duration();
    if asked > most {
        RETRY_AFTER_TIME.reach();
    }
    asked.min(most)
}
