//! The only reader of the kernel's loss counters, and its subscribers.
//!
//! A reading takes a system call per map, and a file per hook for skipped runs, so it happens on a
//! thread of its own: once a second, and on demand for metrics and at the end of a run. Every
//! reading reaches all subscribers (repair, drop actions); what a subscriber has not taken yet is
//! merged with the next reading, so nothing is lost and nothing accumulates.

use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hashbrown::HashMap;

use crate::bpf::ProbeError;
use crate::counters::{Counters, Statistics};
use crate::offenders::{self, DropOffenders, Offender};

/// Time between two readings.
const PERIOD: Duration = Duration::from_secs(1);
/// Limit on the offenders of an update. More are omitted; the sums of the reading include all.
const MAX_OFFENDERS: usize = 4096;

/// The counters at one point in time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LossReading {
    /// Time of the reading, nanoseconds since the epoch.
    pub ts: u64,
    /// The counters since the start.
    pub statistics: Statistics,
}

/// What a subscriber has not received yet.
#[derive(Clone, Debug)]
pub struct LossUpdate {
    /// The latest reading.
    pub reading: Arc<LossReading>,
    /// Processes that lost events since the last update, as far as the kernel knows them.
    pub offenders: Vec<Offender>,
}

/// Reads regularly until it is dropped.
pub(crate) struct LossReader {
    losses: Losses,
    stop: Option<Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

/// The losses of a live source. Copies can be used from any thread.
#[derive(Clone)]
pub struct Losses(Arc<Mutex<Shared>>);

/// Receives every reading once.
pub struct LossSubscription(Arc<Mailbox>);

/// Supplies the counters.
pub(crate) trait LossSource: Send {
    /// The counters.
    fn statistics(&mut self) -> Result<Statistics, ProbeError>;

    /// Processes that lost events since the last call.
    fn offenders(&mut self) -> Vec<((u64, i64), Offender)>;
}

/// The kernel's counters.
pub(crate) struct KernelLosses {
    counters: Counters,
    offenders: DropOffenders,
}

struct Shared {
    source: Box<dyn LossSource>,
    latest: Option<(Instant, Arc<LossReading>)>,
    /// All losses so far, for new subscribers.
    history: Pending,
    mailboxes: Vec<Weak<Mailbox>>,
}

#[derive(Default)]
struct Mailbox {
    /// Whether `pending` holds something; checked without the lock.
    full: AtomicBool,
    pending: Mutex<Pending>,
}

#[derive(Clone, Default)]
struct Pending {
    reading: Option<Arc<LossReading>>,
    /// By cgroup and process.
    offenders: HashMap<(u64, i64), Offender>,
}

impl LossReader {
    /// Starts the reader.
    pub(crate) fn start(source: impl LossSource + 'static) -> io::Result<Self> {
        let shared = Shared {
            source: Box::new(source),
            latest: None,
            history: Pending::default(),
            mailboxes: Vec::new(),
        };
        let losses = Losses(Arc::new(Mutex::new(shared)));
        let (stop, stopped) = mpsc::channel::<Infallible>();
        let reader = losses.clone();
        let read = move || {
            while stopped.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
                // A failed reading is made up for by the next one: the counters only grow.
                let _ = reader.refresh(Duration::ZERO);
            }
        };
        let thread = thread::Builder::new().name("losses".to_owned()).spawn(read)?;
        Ok(Self { losses, stop: Some(stop), thread: Some(thread) })
    }

    pub(crate) fn losses(&self) -> &Losses {
        &self.losses
    }
}

impl Drop for LossReader {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Losses {
    /// A reading of at most this age: the latest, or a new one, which all subscribers receive.
    ///
    /// # Errors
    /// If the counters cannot be read.
    pub fn refresh(&self, max_age: Duration) -> Result<Arc<LossReading>, ProbeError> {
        lock(&self.0).refresh(max_age)
    }

    /// Subscribes to all readings. The first update contains all earlier losses.
    #[must_use]
    pub fn subscribe(&self) -> LossSubscription {
        let mut shared = lock(&self.0);
        let mailbox = Arc::new(Mailbox {
            full: AtomicBool::new(shared.history.reading.is_some()),
            pending: Mutex::new(shared.history.clone()),
        });
        shared.mailboxes.push(Arc::downgrade(&mailbox));
        LossSubscription(mailbox)
    }
}

impl LossSubscription {
    /// The update since the last call. Costs one load if there is none.
    #[inline]
    pub fn take(&self) -> Option<LossUpdate> {
        if self.0.full.load(Ordering::Relaxed) { self.0.take() } else { None }
    }
}

impl LossSource for KernelLosses {
    fn statistics(&mut self) -> Result<Statistics, ProbeError> {
        self.counters.read()
    }

    fn offenders(&mut self) -> Vec<((u64, i64), Offender)> {
        let new = self.offenders.new_losses(&self.counters).unwrap_or_default();
        new.iter().map(|row| (offenders::key(row), self.offenders.offender(row))).collect()
    }
}

impl KernelLosses {
    /// `host_root` is the root directory of the host.
    pub(crate) fn new(counters: Counters, host_root: &Path) -> Self {
        Self { counters, offenders: DropOffenders::new(host_root) }
    }
}

impl Shared {
    fn refresh(&mut self, max_age: Duration) -> Result<Arc<LossReading>, ProbeError> {
        if let Some((at, reading)) = &self.latest
            && at.elapsed() < max_age
        {
            return Ok(reading.clone());
        }
        let statistics = self.source.statistics()?;
        let before = self.latest.as_ref().map_or(0, |(_, before)| before.statistics.total().lost());
        let lost = statistics.total().lost() > before;
        let offenders = if lost { self.source.offenders() } else { Vec::new() };
        let reading = Arc::new(LossReading { ts: now(), statistics });
        self.latest = Some((Instant::now(), reading.clone()));
        self.history.merge(&reading, &offenders);
        self.mailboxes.retain(|mailbox| mailbox.strong_count() > 0);
        for mailbox in self.mailboxes.iter().filter_map(Weak::upgrade) {
            mailbox.put(&reading, &offenders);
        }
        Ok(reading)
    }
}

impl Mailbox {
    fn put(&self, reading: &Arc<LossReading>, offenders: &[((u64, i64), Offender)]) {
        let mut pending = lock(&self.pending);
        pending.merge(reading, offenders);
        self.full.store(true, Ordering::Relaxed);
    }

    #[cold]
    fn take(&self) -> Option<LossUpdate> {
        let mut pending = lock(&self.pending);
        self.full.store(false, Ordering::Relaxed);
        let reading = pending.reading.take()?;
        Some(LossUpdate { reading, offenders: pending.offenders.drain().map(|(_, o)| o).collect() })
    }
}

impl Pending {
    fn merge(&mut self, reading: &Arc<LossReading>, offenders: &[((u64, i64), Offender)]) {
        self.reading = Some(reading.clone());
        for (key, new) in offenders {
            let room = self.offenders.len() < MAX_OFFENDERS;
            match self.offenders.get_mut(key) {
                Some(old) => old.lost.iter_mut().zip(new.lost).for_each(|(old, new)| *old += new),
                None if room => drop(self.offenders.insert(*key, new.clone())),
                None => {}
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Nanoseconds since the epoch.
fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_nanos().try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use peregrine_event::{EventCounters, LossCause, LossClass};

    use super::*;

    /// Each reading adds this many lost opens, caused by one process.
    struct Fake {
        lost: u64,
        step: u64,
    }

    fn opens(lost: u64) -> [u64; LossClass::ALL.len()] {
        let mut classes = [0; LossClass::ALL.len()];
        classes[LossClass::Open as usize] = lost;
        classes
    }

    impl LossSource for Fake {
        fn statistics(&mut self) -> Result<Statistics, ProbeError> {
            self.lost += self.step;
            let mut cpu = EventCounters::default();
            cpu.lost[LossClass::Open as usize][LossCause::RingFull as usize] = self.lost;
            Ok(Statistics { cpus: vec![cpu], ..Statistics::default() })
        }

        fn offenders(&mut self) -> Vec<((u64, i64), Offender)> {
            assert!(self.step > 0, "asked without a loss");
            let offender = Offender { pid: 7, group: "/a".into(), lost: opens(self.step) };
            vec![((1, 7), offender)]
        }
    }

    fn losses(step: u64) -> Losses {
        let source = Box::new(Fake { lost: 0, step });
        let shared =
            Shared { source, latest: None, history: Pending::default(), mailboxes: Vec::new() };
        Losses(Arc::new(Mutex::new(shared)))
    }

    fn lost(reading: &LossReading) -> u64 {
        reading.statistics.total().lost()
    }

    #[test]
    fn every_subscriber_gets_every_loss_once() {
        let losses = losses(5);
        let (often, seldom) = (losses.subscribe(), losses.subscribe());
        assert!(often.take().is_none());
        for round in 1..=3 {
            losses.refresh(Duration::ZERO).unwrap();
            let update = often.take().unwrap();
            assert_eq!(lost(&update.reading), 5 * round);
            assert_eq!(update.offenders[0].lost, opens(5));
            assert!(often.take().is_none());
        }
        let update = seldom.take().unwrap();
        assert_eq!((lost(&update.reading), update.offenders.len()), (15, 1));
        assert_eq!(update.offenders[0].lost, opens(15));
    }

    #[test]
    fn a_late_subscriber_gets_what_was_lost_before() {
        let losses = losses(5);
        losses.refresh(Duration::ZERO).unwrap();
        losses.refresh(Duration::ZERO).unwrap();
        let update = losses.subscribe().take().unwrap();
        assert_eq!((lost(&update.reading), update.offenders[0].lost), (10, opens(10)));
    }

    #[test]
    fn a_reading_that_is_fresh_enough_is_shared() {
        let losses = losses(1);
        let hour = Duration::from_secs(3600);
        let first = losses.refresh(hour).unwrap();
        assert_eq!(lost(&losses.refresh(hour).unwrap()), lost(&first));
        assert_eq!(lost(&losses.refresh(Duration::ZERO).unwrap()), lost(&first) + 1);
    }

    #[test]
    fn offenders_are_read_only_after_losses() {
        let losses = losses(0);
        let subscription = losses.subscribe();
        losses.refresh(Duration::ZERO).unwrap();
        assert_eq!(subscription.take().unwrap().offenders, []);
    }

    #[test]
    fn a_dropped_subscription_is_forgotten() {
        let losses = losses(1);
        drop(losses.subscribe());
        losses.refresh(Duration::ZERO).unwrap();
        assert_eq!(lock(&losses.0).mailboxes.len(), 0);
    }

    #[test]
    fn a_mailbox_that_is_not_emptied_stays_bounded() {
        let mailbox = Mailbox::default();
        let reading = Arc::new(LossReading::default());
        let offender = Offender { pid: 0, group: "/".into(), lost: opens(1) };
        for pid in 0..2 * MAX_OFFENDERS as i64 {
            mailbox.put(&reading, &[((1, pid), offender.clone())]);
        }
        assert_eq!(mailbox.take().unwrap().offenders.len(), MAX_OFFENDERS);
    }
}
