//! Answers to the questions of the event loop that only `/proc` knows.
//!
//! A thread that appears in an event but is not known is looked up at once, in bounded time: the
//! event cannot go on without its process. Account files of containers can be large and are read by
//! a worker thread; the answer enters the stream of events later.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use peregrine_event::Accounts;
use peregrine_event::snapshot::Item;
use peregrine_event::source::{AccountsRequest, Observation, ProcResolver};
use peregrine_telemetry::Heartbeat;

use crate::counters::ReaderCounters;
use crate::scan::accounts::{AccountFiles, Version};
use crate::scan::{ScanError, Scanner};

/// How long an event may wait for the lookup of its thread.
const LOOKUP: Duration = Duration::from_millis(20);
/// Requests on their way to the worker, and answers on their way back.
const QUEUE: usize = 1024;
/// Shortest time between two reads of the files of one container.
const INTERVAL: Duration = Duration::from_secs(1);
/// Containers of which the version of the files is remembered.
const MAX_CONTAINERS: usize = 16_384;

/// Looks up threads in `/proc`, and sends requests to the worker.
#[derive(Debug)]
pub struct ProcLookup {
    scanner: Scanner,
    scoped: bool,
    requests: SyncSender<AccountsRequest>,
    counters: Arc<ReaderCounters>,
}

impl ProcLookup {
    /// Starts the worker. Its answers come through the receiver; it ends when one of the two is
    /// dropped.
    pub(crate) fn start(
        host_root: &Path,
        scoped: bool,
        counters: Arc<ReaderCounters>,
        heartbeat: &Arc<Heartbeat>,
    ) -> Result<(Self, Receiver<Observation>), ScanError> {
        let scanner = Scanner::open(host_root)?.with_heartbeat(heartbeat);
        let failed = |source: io::Error| ScanError::Proc { path: host_root.join("proc"), source };
        let files = AccountFiles::open(host_root).map_err(|error| failed(error.into()))?;
        let (requests, from_loop) = sync_channel(QUEUE);
        let (answers, to_loop) = sync_channel(QUEUE);
        let worker = AccountsWorker::new(files, Arc::clone(&counters));
        thread::Builder::new()
            .name("accounts".into())
            .spawn(move || worker.run(&from_loop, &answers))
            .map_err(failed)?;
        Ok((Self { scanner, scoped, requests, counters }, to_loop))
    }
}

impl ProcResolver for ProcLookup {
    fn resolve(&mut self, tid: i64, known: &dyn Fn(i64) -> bool) -> Vec<Item> {
        let (items, cut) = self.scanner.resolve(tid, self.scoped, known, LOOKUP);
        self.counters.resolved.fetch_add(1, Relaxed);
        self.counters.resolved_in_part.fetch_add(u64::from(cut), Relaxed);
        items
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

/// Reads account files: those of a container again only when they have changed, and not too often.
struct AccountsWorker {
    files: AccountFiles,
    known: HashMap<Arc<[u8]>, Known>,
    /// Requests whose container was read just before, in the order in which they are due.
    deferred: VecDeque<(Instant, AccountsRequest)>,
    counters: Arc<ReaderCounters>,
}

struct Known {
    version: Version,
    read: Instant,
}

/// What becomes of a request.
#[derive(Debug, PartialEq)]
enum Answer {
    Now(Option<Accounts>),
    At(Instant),
}

impl AccountsWorker {
    fn new(files: AccountFiles, counters: Arc<ReaderCounters>) -> Self {
        Self { files, known: HashMap::new(), deferred: VecDeque::new(), counters }
    }

    fn run(mut self, requests: &Receiver<AccountsRequest>, answers: &SyncSender<Observation>) {
        loop {
            let request = match self.deferred.front() {
                None => requests.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some((due, _)) => {
                    requests.recv_timeout(due.saturating_duration_since(Instant::now()))
                }
            };
            let request = match request {
                Ok(request) => request,
                Err(RecvTimeoutError::Timeout) => match self.deferred.pop_front() {
                    Some((_, request)) => request,
                    None => continue,
                },
                Err(RecvTimeoutError::Disconnected) => return,
            };
            match self.answer(&request, Instant::now()) {
                Answer::At(due) => self.deferred.push_back((due, request)),
                Answer::Now(accounts) => {
                    let container = request.container;
                    if answers.send(Observation::Accounts { container, accounts }).is_err() {
                        return;
                    }
                }
            }
        }
    }

    fn answer(&mut self, request: &AccountsRequest, now: Instant) -> Answer {
        let AccountsRequest { container, tid, known: still_known } = request;
        let Some(version) = self.files.version(*tid) else {
            return Answer::Now(Some(Accounts::default()));
        };
        if let Some(known) = self.known.get(container) {
            if known.version == version && *still_known {
                return Answer::Now(None);
            }
            if now < known.read + INTERVAL {
                return Answer::At(known.read + INTERVAL);
            }
        }
        self.counters.account_reads.fetch_add(1, Relaxed);
        let accounts = self.files.read(*tid);
        if self.known.len() >= MAX_CONTAINERS && !self.known.contains_key(container) {
            // Containers come and go. The limit on reads holds for those that were read just now.
            self.known.retain(|_, known| now < known.read + INTERVAL);
        }
        self.known.insert(Arc::clone(container), Known { version, read: now });
        Answer::Now(Some(accounts))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const PASSWD: &str = "proc/7/root/etc/passwd";

    fn host() -> tempfile::TempDir {
        let host = tempfile::tempdir().unwrap();
        fs::create_dir_all(host.path().join("proc/7/root/etc")).unwrap();
        fs::write(host.path().join(PASSWD), "carol:x:1000:1000::/:\n").unwrap();
        host
    }

    fn worker(host: &tempfile::TempDir) -> AccountsWorker {
        AccountsWorker::new(AccountFiles::open(host.path()).unwrap(), Arc::default())
    }

    fn request(tid: i64) -> AccountsRequest {
        AccountsRequest { container: b"c"[..].into(), tid, known: true }
    }

    fn users(answer: &Answer) -> usize {
        match answer {
            Answer::Now(Some(accounts)) => accounts.users().count(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn files_are_read_once_until_they_change_and_not_more_often_than_allowed() {
        let host = host();
        let mut worker = worker(&host);
        let start = Instant::now();
        assert_eq!(users(&worker.answer(&request(7), start)), 1);
        for _ in 0..100 {
            assert_eq!(worker.answer(&request(7), start), Answer::Now(None));
        }
        fs::write(host.path().join(PASSWD), "a:x:1:1::/:\nb:x:2:2::/:\n").unwrap();
        let later = start + INTERVAL;
        assert_eq!(worker.answer(&request(7), start), Answer::At(later));
        assert_eq!(users(&worker.answer(&request(7), later)), 2);
        assert_eq!(worker.counters.account_reads.load(Relaxed), 2);
        // What was forgotten is read again.
        let forgotten = AccountsRequest { known: false, ..request(7) };
        assert_eq!(worker.answer(&forgotten, later), Answer::At(later + INTERVAL));
        assert_eq!(users(&worker.answer(&forgotten, later + INTERVAL)), 2);
        assert_eq!(worker.counters.account_reads.load(Relaxed), 3);
        // A thread that is gone says nothing of the files.
        assert_eq!(users(&worker.answer(&request(8), later)), 0);
    }

    #[test]
    fn answers_enter_at_the_time_at_which_they_came() {
        let host = host();
        let (mut lookup, from_worker) =
            ProcLookup::start(host.path(), false, Arc::default(), &Arc::default()).unwrap();
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
        let host = host();
        let (requests, _worker) = sync_channel(1);
        let scanner = Scanner::open(host.path()).unwrap();
        let counters = Arc::default();
        let mut lookup = ProcLookup { scanner, scoped: false, requests, counters };
        assert!(lookup.request_accounts(&request(7)));
        assert!(!lookup.request_accounts(&request(7)));
    }
}
