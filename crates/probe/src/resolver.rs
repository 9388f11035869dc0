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

use peregrine_event::snapshot::Item;
use peregrine_event::source::{AccountsRequest, Observation, ProcResolver};

use crate::accounts_worker::AccountsWorker;
use crate::event_readers::SharedReaders;
use crate::reader::Pool;

/// Requests on their way to the worker, and answers on their way back.
const QUEUE: usize = 1024;

/// Looks up threads in `/proc`, and sends requests to the worker.
pub struct ProcLookup {
    readers: SharedReaders,
    requests: SyncSender<AccountsRequest>,
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
        Ok((Self { readers, requests }, to_loop))
    }
}

impl ProcResolver for ProcLookup {
    fn resolve(&mut self, tid: i64, known: &dyn Fn(i64) -> bool) -> Vec<Item> {
        self.readers.lock().lookup(tid, known)
    }

    fn request_accounts(&mut self, request: &AccountsRequest) -> bool {
        self.requests.try_send(request.clone()).is_ok()
    }
}

/// The answers that have come, each with the time at which it was taken in.
pub(crate) struct Answers {
    from_worker: Option<Receiver<Observation>>,
    waiting: VecDeque<(u64, Observation)>,
}

impl Answers {
    /// None until there is a worker.
    pub(crate) fn new() -> Self {
        Self { from_worker: None, waiting: VecDeque::new() }
    }

    /// Takes answers from here.
    pub(crate) fn listen(&mut self, from_worker: Receiver<Observation>) {
        self.from_worker = Some(from_worker);
    }

    /// Takes in what has come until this time.
    pub(crate) fn tick(&mut self, now: u64) {
        while let Some(from_worker) = &self.from_worker {
            match from_worker.try_recv() {
                Ok(answer) => self.waiting.push_back((now, answer)),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => self.from_worker = None,
            }
        }
    }

    /// Adds an answer of this time.
    pub(crate) fn add(&mut self, now: u64, answer: Observation) {
        self.waiting.push_back((now, answer));
    }

    /// Time of the first answer; the end of time when there is none.
    pub(crate) fn due(&self) -> u64 {
        self.waiting.front().map_or(u64::MAX, |(ts, _)| *ts)
    }

    /// The first answer.
    pub(crate) fn take(&mut self) -> Option<Observation> {
        self.waiting.pop_front().map(|(_, answer)| answer)
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
        assert!(matches!(answers.take(), Some(Observation::Accounts { accounts: Some(_), .. })));
    }

    #[test]
    fn a_full_queue_is_told_and_waits_for_nobody() {
        let (_host, _pool, readers) = readers();
        let (requests, _worker) = sync_channel(1);
        let mut lookup = ProcLookup { readers, requests };
        assert!(lookup.request_accounts(&request(7)));
        assert!(!lookup.request_accounts(&request(7)));
    }
}
