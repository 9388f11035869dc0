//! Answers to the questions of the event loop that only `/proc` knows.
//!
//! A thread that appears in an event but is not known is looked up at once, in bounded time: the
//! event cannot go on without its process. Account files of containers can be large and are read by
//! a worker thread; the answer enters the stream of events later.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::Duration;

use peregrine_event::inbox::{ContainerRequests, Inbox, Initial, Told};
use peregrine_event::snapshot::Item;
use peregrine_event::source::{
    AccountsRequest, ContainerRequest, FilesRequest, Observation, ProcResolver,
};

use crate::accounts_worker::AccountsWorker;
use crate::event_readers::SharedReaders;
use crate::reader::Pool;

/// Requests on their way to the worker, and answers on their way back.
const QUEUE: usize = 1024;

/// Looks up threads in `/proc`, and sends requests to the worker.
pub struct ProcLookup {
    readers: SharedReaders,
    requests: SyncSender<AccountsRequest>,
    containers: Option<ContainerRequests>,
}

impl ProcLookup {
    /// Starts the worker. Its answers come through the receiver; it ends when one of the two is
    /// dropped.
    pub(crate) fn start(
        readers: SharedReaders,
        pool: &Arc<Pool>,
    ) -> io::Result<(Self, Receiver<Observation>)> {
        let (requests, from_loop) = sync_channel(QUEUE);
        let (answers, to_loop) = sync_channel(QUEUE);
        let worker = AccountsWorker::new(pool);
        thread::Builder::new()
            .name("accounts".into())
            .spawn(move || worker.run(&from_loop, &answers))?;
        Ok((Self { readers, requests, containers: None }, to_loop))
    }

    /// Sends questions about containers here.
    pub fn ask_about_containers(&mut self, requests: ContainerRequests) {
        self.containers = Some(requests);
    }
}

impl ProcResolver for ProcLookup {
    fn resolve(&mut self, tid: i64, known: &dyn Fn(i64) -> bool) -> Vec<Item> {
        self.readers.lock().lookup(tid, known)
    }

    fn request_accounts(&mut self, request: &AccountsRequest) -> bool {
        self.requests.try_send(request.clone()).is_ok()
    }

    fn request_files(&mut self, request: &FilesRequest) -> bool {
        self.readers.lock().describe_files(request)
    }

    fn request_container(&mut self, request: &ContainerRequest) -> bool {
        self.containers.as_mut().is_none_or(|ask| ask(request))
    }
}

/// Answers taken from the inbox at a time. The others wait there, where their number is bounded.
const TAKEN: usize = 256;

/// The answers that have come and what other threads have told, each with the time at which it was
/// taken in.
pub(crate) struct Answers {
    from_worker: Option<Receiver<Observation>>,
    inbox: Option<Inbox>,
    waiting: VecDeque<(u64, Told)>,
}

impl Answers {
    /// None until there is a worker.
    pub(crate) fn new() -> Self {
        Self { from_worker: None, inbox: None, waiting: VecDeque::new() }
    }

    /// Takes what other threads tell from here.
    pub(crate) fn listen_to(&mut self, inbox: Inbox) {
        self.inbox = Some(inbox);
    }

    /// What other threads tell about the time before the first event, for which this waits up to
    /// `wait` in all.
    pub(crate) fn initial(&mut self, wait: Duration) -> Initial {
        self.inbox.as_mut().map_or(Initial::Complete, |inbox| inbox.initial(wait))
    }

    /// Takes answers from here.
    pub(crate) fn listen(&mut self, from_worker: Receiver<Observation>) {
        self.from_worker = Some(from_worker);
    }

    /// Takes in what has come until this time.
    pub(crate) fn tick(&mut self, now: u64) {
        if let Some(inbox) = &mut self.inbox
            && self.waiting.len() < TAKEN
        {
            let told = std::iter::from_fn(|| inbox.take()).take(TAKEN);
            self.waiting.extend(told.map(|told| (now, told)));
        }
        while let Some(from_worker) = &self.from_worker {
            match from_worker.try_recv() {
                Ok(answer) => self.waiting.push_back((now, Told::Observation(answer))),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => self.from_worker = None,
            }
        }
    }

    /// Adds an answer of this time.
    pub(crate) fn add(&mut self, now: u64, answer: Observation) {
        self.waiting.push_back((now, Told::Observation(answer)));
    }

    /// Time of the first answer; the end of time when there is none.
    pub(crate) fn due(&self) -> u64 {
        self.waiting.front().map_or(u64::MAX, |(ts, _)| *ts)
    }

    /// The first answer. An event has its time.
    pub(crate) fn take(&mut self) -> Option<Told> {
        let (ts, mut told) = self.waiting.pop_front()?;
        if let Told::Event(event) = &mut told {
            event.set_time(ts);
        }
        Some(told)
    }

    /// The clock of the events was set by this many nanoseconds.
    pub(crate) fn clock_set(&mut self, by: i64) {
        for (ts, _) in &mut self.waiting {
            *ts = ts.saturating_add_signed(by);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::mpsc::sync_channel;

    use peregrine_event::inbox::inbox;
    use peregrine_event::{Builder, EventType};

    use super::*;
    use crate::event_readers::EventReaders;
    use crate::reader::ReaderMode;

    fn request(tid: i64) -> AccountsRequest {
        AccountsRequest { container: b"c"[..].into(), tid, known: true }
    }

    fn readers() -> (tempfile::TempDir, Arc<Pool>, SharedReaders) {
        let host = tempfile::tempdir().unwrap();
        fs::create_dir_all(host.path().join("proc/7/root/etc")).unwrap();
        fs::write(host.path().join("proc/7/root/etc/passwd"), "carol:x:1000:1000::/:\n").unwrap();
        let pool = Pool::start(ReaderMode::Thread, host.path(), Arc::default()).unwrap();
        let readers = EventReaders::start(&pool, 0, false, Arc::default(), &Arc::default());
        (host, pool, readers)
    }

    #[test]
    fn answers_enter_at_the_time_at_which_they_came() {
        let (_host, pool, readers) = readers();
        let (mut lookup, from_worker) = ProcLookup::start(readers, &pool).unwrap();
        let mut answers = Answers::new();
        answers.listen(from_worker);
        assert_eq!((answers.due(), answers.take()), (u64::MAX, None));
        assert!(lookup.request_accounts(&request(7)));
        while answers.due() == u64::MAX {
            answers.tick(5);
            thread::yield_now();
        }
        assert_eq!(answers.due(), 5);
        let Some(Told::Observation(answer)) = answers.take() else { panic!("no answer") };
        assert!(matches!(answer, Observation::Accounts { accounts: Some(_), .. }));
    }

    #[test]
    fn what_is_told_enters_at_the_time_at_which_it_was_taken() {
        let (sender, inbox) = inbox();
        let mut answers = Answers::new();
        answers.listen_to(inbox);
        let mut bytes = Vec::new();
        Builder::new(EventType::AsynceventE, 0, 0).u32(0).finish(&mut bytes).unwrap();
        for _ in 0..TAKEN + 1 {
            sender.try_send(Told::event(bytes.clone())).unwrap();
        }
        answers.tick(5);
        answers.clock_set(-1);
        answers.tick(6);
        let mut times = Vec::new();
        while let Some(Told::Event(event)) = answers.take() {
            times.push(event.parse().unwrap().ts);
        }
        assert_eq!(times, [4; TAKEN]);
        answers.tick(7);
        assert_eq!(answers.due(), 7);
    }

    #[test]
    fn a_full_queue_is_told_and_waits_for_nobody() {
        let (_host, _pool, readers) = readers();
        let (requests, _worker) = sync_channel(1);
        let mut lookup = ProcLookup { readers, requests, containers: None };
        assert!(lookup.request_accounts(&request(7)));
        assert!(!lookup.request_accounts(&request(7)));
    }
}
