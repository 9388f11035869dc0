//! Events and observations that threads beside a source produce, on their way into its stream.
//!
//! What runtimes tell about containers becomes events of a live source. The threads that ask the
//! runtimes put them into a bounded inbox; the source takes them out when it looks for new events,
//! gives them that time and delivers them in order with the others. Neither side waits for the
//! other.
//!
//! ```
//! use std::time::Duration;
//!
//! use peregrine_event::inbox::{Initial, Told, inbox};
//! use peregrine_event::{Builder, Event, EventType};
//!
//! let (sender, mut inbox) = inbox();
//! let mut bytes = Vec::new();
//! let mut event = Builder::new(EventType::AsynceventE, 0, 0);
//! event.u32(0).text("container").text("{}").finish(&mut bytes)?;
//! sender.try_send(Told::event(bytes)).unwrap();
//! sender.initial_is_complete();
//! let Initial::Told(Told::Event(mut event)) = inbox.initial(Duration::ZERO) else { panic!() };
//! event.set_time(7);
//! assert_eq!(event.parse().unwrap().ts, 7);
//! assert!(matches!(inbox.initial(Duration::ZERO), Initial::Complete));
//! # Ok::<(), peregrine_event::BuildError>(())
//! ```

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use peregrine_limits::{INBOX_BYTES, INBOX_ENTRIES};

use crate::source::{
    ContainerRequest, Due, Next, Observation, Record, Source, SourceId, TimedSource,
};
use crate::wire::{Event, WireError};
use crate::{Builder, EventType};

/// Takes questions about containers; false when no more can be taken now. Never waits.
pub type ContainerRequests = Box<dyn FnMut(&ContainerRequest) -> bool + Send>;

/// What connects a live source with the threads that ask runtimes about containers.
pub struct Feed {
    /// What they tell.
    pub inbox: Inbox,
    /// How long the first event waits for what they tell about the start.
    pub initial_wait: Duration,
    /// What they are asked.
    pub requests: ContainerRequests,
}

/// What a thread beside the source has to tell.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// Something happened.
    Event(ToldEvent),
    /// The answer to a question.
    Observation(Observation),
}

/// An event that no kernel has reported. Its time is that at which the source takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldEvent {
    bytes: Box<[u8]>,
    source: SourceId,
    state_only: bool,
}

impl Told {
    /// An event of the source `syscall`, in the wire format.
    pub fn event(bytes: Vec<u8>) -> Self {
        Self::Event(ToldEvent { bytes: bytes.into(), source: SourceId::SYSCALL, state_only: false })
    }

    /// The same for an event that keeps the state right and that rules do not see.
    pub fn state_only(bytes: Vec<u8>) -> Self {
        Self::Event(ToldEvent { bytes: bytes.into(), source: SourceId::SYSCALL, state_only: true })
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Event(event) => event.bytes.len(),
            Self::Observation(_) => 0,
        }
    }
}

impl ToldEvent {
    /// Sets the time of the event, nanoseconds since the epoch.
    pub fn set_time(&mut self, ts: u64) {
        if let Some(time) = self.bytes.first_chunk_mut() {
            *time = ts.to_le_bytes();
        }
    }

    /// Whether rules are not to see it.
    pub fn is_state_only(&self) -> bool {
        self.state_only
    }

    /// The event.
    ///
    /// # Errors
    /// When the bytes are none.
    pub fn parse(&self) -> Result<Event<'_>, WireError> {
        let mut event = Event::parse(&self.bytes, 0)?;
        event.source = self.source;
        Ok(event)
    }
}

/// The inbox of a source, and what fills it.
pub fn inbox() -> (InboxSender, Inbox) {
    let (sender, receiver) = sync_channel(INBOX_ENTRIES.get());
    let bytes = Arc::<AtomicUsize>::default();
    let inbox =
        Inbox { receiver, bytes: Arc::clone(&bytes), initial: None, awaited: 1, complete: false };
    (InboxSender { sender, bytes, preview: None }, inbox)
}

/// Puts into the inbox. Clones fill the same one.
#[derive(Clone, Debug)]
pub struct InboxSender {
    sender: SyncSender<Entry>,
    /// Of all events in the inbox.
    bytes: Arc<AtomicUsize>,
    preview: Option<Preview>,
}

/// What is put into an inbox, for one who waits for it before the source delivers it.
#[derive(Clone, Debug, Default)]
pub struct Preview {
    shared: Arc<(Mutex<Previewed>, Condvar)>,
}

#[derive(Debug, Default)]
struct Previewed {
    open: bool,
    told: VecDeque<Told>,
}

impl Preview {
    /// Collects from here on.
    pub fn open(&self) {
        self.change(|previewed| previewed.open = true);
    }

    /// What was put into the inbox next; `None` when nothing was until then.
    pub fn next(&self, deadline: Instant) -> Option<Told> {
        let (previewed, changed) = &*self.shared;
        let mut previewed = previewed.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(told) = previewed.told.pop_front() {
                return Some(told);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            let waited = changed.wait_timeout(previewed, left);
            previewed = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Ends the collection.
    pub fn close(&self) {
        self.change(|previewed| *previewed = Previewed::default());
    }

    /// What is to be collected of this.
    fn copy(&self, told: &Told) -> Option<Told> {
        let (previewed, _) = &*self.shared;
        let previewed = previewed.lock().unwrap_or_else(PoisonError::into_inner);
        (previewed.open && previewed.told.len() < INBOX_ENTRIES.get()).then(|| told.clone())
    }

    fn add(&self, told: Told) {
        self.change(|previewed| previewed.told.push_back(told));
    }

    fn change(&self, change: impl FnOnce(&mut Previewed)) {
        let (previewed, changed) = &*self.shared;
        change(&mut previewed.lock().unwrap_or_else(PoisonError::into_inner));
        changed.notify_all();
    }
}

#[derive(Debug)]
enum Entry {
    Told(Told),
    InitialIsComplete,
}

/// Why the inbox did not take something.
#[derive(Debug)]
pub enum InboxFull {
    /// It is full: to be tried again.
    Full(Box<Told>),
    /// The source has ended.
    Closed,
}

impl InboxSender {
    /// Shows there what is put into the inbox.
    #[must_use]
    pub fn with_preview(self, preview: Option<Preview>) -> Self {
        Self { preview, ..self }
    }

    /// Puts something into the inbox. Never waits.
    ///
    /// # Errors
    /// When the inbox is full, or its source has ended.
    pub fn try_send(&self, told: Told) -> Result<(), InboxFull> {
        let len = told.bytes();
        let before = self.bytes.fetch_add(len, Relaxed);
        if before > 0 && before.saturating_add(len) > INBOX_BYTES.get() {
            self.bytes.fetch_sub(len, Relaxed);
            return Err(InboxFull::Full(Box::new(told)));
        }
        let copy = self.preview.as_ref().and_then(|preview| preview.copy(&told));
        let Err(error) = self.sender.try_send(Entry::Told(told)) else {
            if let (Some(preview), Some(copy)) = (&self.preview, copy) {
                preview.add(copy);
            }
            return Ok(());
        };
        self.bytes.fetch_sub(len, Relaxed);
        Err(match error {
            TrySendError::Full(Entry::Told(told)) => InboxFull::Full(Box::new(told)),
            TrySendError::Full(Entry::InitialIsComplete) | TrySendError::Disconnected(_) => {
                InboxFull::Closed
            }
        })
    }

    /// What was there when the source began has been told. False when the inbox is full: to be
    /// tried again.
    pub fn initial_is_complete(&self) -> bool {
        !matches!(self.sender.try_send(Entry::InitialIsComplete), Err(TrySendError::Full(_)))
    }
}

/// Where a source finds what other threads tell.
#[derive(Debug)]
pub struct Inbox {
    receiver: Receiver<Entry>,
    bytes: Arc<AtomicUsize>,
    /// When the wait for what was there at the start ends.
    initial: Option<Instant>,
    /// Threads that have not told all of that yet.
    awaited: usize,
    complete: bool,
}

/// What was there when the source began.
#[derive(Debug)]
pub enum Initial {
    /// A part of it.
    Told(Told),
    /// More is to come.
    Waiting,
    /// All of it, or as much as came in time.
    Complete,
}

impl Inbox {
    /// One thread more tells what was there when the source began, and says when that is complete.
    pub fn await_one_more(&mut self) {
        self.awaited += 1;
    }

    /// What comes next, if there is something.
    pub fn take(&mut self) -> Option<Told> {
        loop {
            let entry = self.receiver.try_recv().ok()?;
            if let Some(told) = self.open(entry) {
                return Some(told);
            }
        }
    }

    /// Waits this long for what comes next.
    pub fn wait(&mut self, wait: Duration) -> Option<Told> {
        let deadline = Instant::now() + wait;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.receiver.recv_timeout(left) {
                Ok(entry) => match self.open(entry) {
                    Some(told) => return Some(told),
                    None => continue,
                },
                Err(RecvTimeoutError::Timeout) => return None,
                Err(RecvTimeoutError::Disconnected) => {
                    std::thread::sleep(left);
                    return None;
                }
            }
        }
    }

    /// What was there when the source began, for which a first call begins to wait, and later ones
    /// go on, up to this long in all.
    pub fn initial(&mut self, wait: Duration) -> Initial {
        /// Longest time of one call.
        const STEP: Duration = Duration::from_millis(20);
        if self.complete {
            return Initial::Complete;
        }
        let now = Instant::now();
        let deadline = *self.initial.get_or_insert_with(|| now + wait);
        let left = deadline.saturating_duration_since(now);
        match self.receiver.recv_timeout(left.min(STEP)) {
            Ok(entry) => {
                if let Some(told) = self.open(entry) {
                    return Initial::Told(told);
                }
            }
            Err(RecvTimeoutError::Timeout) => self.complete = left.is_zero(),
            Err(RecvTimeoutError::Disconnected) => self.complete = true,
        }
        if self.complete { Initial::Complete } else { Initial::Waiting }
    }

    fn open(&mut self, entry: Entry) -> Option<Told> {
        match entry {
            Entry::Told(told) => {
                self.bytes.fetch_sub(told.bytes(), Relaxed);
                Some(told)
            }
            Entry::InitialIsComplete => {
                self.awaited = self.awaited.saturating_sub(1);
                self.complete |= self.awaited == 0;
                None
            }
        }
    }
}

/// A source that has only what other threads tell, and never ends.
#[derive(Debug, Default)]
pub struct InboxSource {
    inbox: Option<Inbox>,
    /// What comes next, if it was asked when that is due.
    next: Option<Told>,
    told: Option<ToldEvent>,
    ticks: Option<Box<Ticks>>,
    num: u64,
}

/// Events that say only that time passes.
#[derive(Debug)]
struct Ticks {
    every: Duration,
    next: Instant,
    event: Vec<u8>,
}

impl Ticks {
    fn left(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }

    /// The event of now.
    fn event(&mut self) -> Option<Event<'_>> {
        self.next = Instant::now() + self.every;
        self.event.clear();
        let event = Builder::new(EventType::ScapeventE, now(), -1);
        event.finish(&mut self.event).ok()?;
        Event::parse(&self.event, 0).ok()
    }
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_nanos().try_into().unwrap_or(u64::MAX)
}

impl InboxSource {
    /// Delivers what other threads put into this inbox, if there is one.
    pub fn new(inbox: Option<Inbox>) -> Self {
        Self { inbox, ..Self::default() }
    }

    /// Delivers a `scapevent` now and from time to time, as the reference does without a driver.
    pub fn tick(&mut self, every: Duration) {
        self.ticks = Some(Box::new(Ticks { every, next: Instant::now(), event: Vec::new() }));
    }
}

impl Source for InboxSource {
    type Error = Infallible;

    fn next(&mut self) -> Result<Next<'_>, Infallible> {
        /// Time between two answers. Signals and metrics wait as long at most.
        const PAUSE: Duration = Duration::from_millis(50);
        let pause = self.ticks.as_ref().map_or(PAUSE, |ticks| PAUSE.min(ticks.left()));
        let told = self.next.take().or_else(|| match &mut self.inbox {
            Some(inbox) => inbox.wait(pause),
            None => {
                std::thread::sleep(pause);
                None
            }
        });
        let event = match told {
            None => {
                let ticks = self.ticks.as_mut().filter(|ticks| ticks.left().is_zero());
                let Some(mut event) = ticks.and_then(|ticks| ticks.event()) else {
                    return Ok(Next::Idle);
                };
                self.num += 1;
                event.num = self.num;
                return Ok(Next::Record(Record::Event { event, state_only: false }));
            }
            Some(Told::Observation(observation)) => return Ok(Next::Observation(observation)),
            Some(Told::Event(event)) => self.told.insert(event),
        };
        event.set_time(now());
        let state_only = event.is_state_only();
        let Ok(mut event) = event.parse() else { return Ok(Next::Idle) };
        self.num += 1;
        event.num = self.num;
        Ok(Next::Record(Record::Event { event, state_only }))
    }
}

impl TimedSource for InboxSource {
    fn due(&mut self) -> Result<Due, Infallible> {
        if self.next.is_none() {
            self.next = self.inbox.as_mut().and_then(Inbox::take);
        }
        let ticks = self.ticks.as_ref().is_some_and(|ticks| ticks.left().is_zero());
        Ok(match (&self.next, ticks) {
            (Some(_), _) => Due::Now,
            (None, true) => Due::At(now()),
            (None, false) => Due::Idle,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(len: usize) -> Told {
        Told::event(vec![0; len])
    }

    #[test]
    fn the_inbox_is_bounded_in_entries_and_bytes() {
        let (sender, mut inbox) = inbox();
        let sent = (0..INBOX_ENTRIES.get() + 1).take_while(|_| sender.try_send(event(1)).is_ok());
        assert_eq!(sent.count(), INBOX_ENTRIES.get());
        assert!(!sender.initial_is_complete());
        while inbox.take().is_some() {}
        // One that is too long alone is taken.
        assert!(sender.try_send(event(INBOX_BYTES.get() + 1)).is_ok());
        assert!(matches!(sender.try_send(event(1)), Err(InboxFull::Full(_))));
        assert_eq!(inbox.take(), Some(event(INBOX_BYTES.get() + 1)));
        assert!(sender.try_send(event(1)).is_ok());
        drop(inbox);
        assert!(matches!(sender.try_send(event(1)), Err(InboxFull::Closed)));
    }

    #[test]
    fn a_preview_shows_what_is_not_delivered_yet() {
        let preview = Preview::default();
        let (sender, mut inbox) = inbox();
        let sender = sender.with_preview(Some(preview.clone()));
        sender.try_send(event(1)).unwrap();
        preview.open();
        let other = std::thread::spawn(move || sender.try_send(event(2)).is_ok());
        assert_eq!(preview.next(Instant::now() + Duration::from_secs(60)), Some(event(2)));
        assert!(other.join().unwrap());
        assert_eq!(preview.next(Instant::now()), None);
        preview.close();
        assert_eq!((inbox.take(), inbox.take()), (Some(event(1)), Some(event(2))));
    }

    #[test]
    fn the_wait_for_the_start_ends() {
        let (sender, mut inbox) = inbox();
        sender.try_send(event(1)).unwrap();
        assert!(matches!(inbox.initial(Duration::from_millis(30)), Initial::Told(_)));
        while let Initial::Waiting = inbox.initial(Duration::from_millis(30)) {}
        assert!(matches!(inbox.initial(Duration::MAX), Initial::Complete));
        // What comes later is not lost.
        sender.try_send(event(2)).unwrap();
        assert!(sender.initial_is_complete());
        assert_eq!((inbox.take(), inbox.take()), (Some(event(2)), None));
    }

    #[test]
    fn all_threads_are_waited_for() {
        let (sender, mut inbox) = inbox();
        inbox.await_one_more();
        assert!(sender.initial_is_complete());
        assert!(matches!(inbox.initial(Duration::from_secs(60)), Initial::Waiting));
        assert!(sender.initial_is_complete());
        assert!(matches!(inbox.initial(Duration::from_secs(60)), Initial::Complete));
    }

    #[test]
    fn without_a_sender_the_start_is_complete() {
        let (sender, mut inbox) = inbox();
        drop(sender);
        assert!(matches!(inbox.initial(Duration::from_secs(60)), Initial::Complete));
        assert_eq!((inbox.take(), inbox.wait(Duration::ZERO)), (None, None));
    }
}
