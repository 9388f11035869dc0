//! The thread that has the account files of containers read.
//!
//! The files of a container are read again only when they have changed. Requests about one
//! container are answered at a limited rate, so that an exec storm in it does not keep the worker
//! from others; a container whose files could not be read in time is left alone for a while.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use peregrine_event::Accounts;
use peregrine_event::source::{AccountsRequest, Observation};
use peregrine_limits::ACCOUNTS_READ_TIME;

use crate::counters::QuestionKind;
use crate::reader::{Pool, Question, Reader, Reply};
use crate::scan::accounts::Version;

/// Time after which a container has one more read.
const INTERVAL: Duration = Duration::from_secs(1);
/// Reads of a container that follow each other at once: its runtime and its first programs start.
const BURST: u32 = 4;
/// First and longest pause after a read that took too long.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(600);
/// Containers that are remembered.
const MAX_CONTAINERS: usize = 16_384;

/// Asks a reader for the accounts of containers.
pub(crate) struct AccountsWorker {
    pool: Arc<Pool>,
    reader: Reader,
    known: HashMap<Arc<[u8]>, Known>,
    /// Requests about containers that have had their share, in the order in which they are due.
    deferred: VecDeque<(Instant, AccountsRequest)>,
}

/// What is remembered of a container.
struct Known {
    version: Option<Version>,
    /// Reads so far that are not made up for yet.
    reads: u32,
    /// The next of these is made up for an [`INTERVAL`] after this.
    since: Instant,
    /// Reads in a row that took too long, and until when there are no more of them.
    hung: u32,
    pause: Instant,
}

/// What becomes of a request.
#[derive(Debug, PartialEq)]
enum Answer {
    Now(Option<Accounts>),
    At(Instant),
}

impl AccountsWorker {
    pub(crate) fn new(pool: &Arc<Pool>) -> Self {
        Self {
            reader: Reader::new(pool, QuestionKind::Accounts, ACCOUNTS_READ_TIME.duration()),
            pool: Arc::clone(pool),
            known: HashMap::new(),
            deferred: VecDeque::new(),
        }
    }

    /// Answers requests until their sender or the receiver of the answers is dropped.
    pub(crate) fn run(
        mut self,
        requests: &Receiver<AccountsRequest>,
        answers: &SyncSender<Observation>,
    ) {
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
        if self.known.len() >= MAX_CONTAINERS && !self.known.contains_key(container) {
            // Containers come and go. What limits the reads of those that are there is kept.
            self.known.retain(|_, known| {
                let _ = known.due(now);
                known.reads > 0 || now < known.pause
            });
        }
        let known = self.known.entry_ref(container).or_insert_with(|| Known::new(now));
        if now < known.pause || self.pool.is_exhausted() {
            return Answer::Now(Some(Accounts::default()));
        }
        if let Some(due) = known.due(now) {
            return Answer::At(due);
        }
        let before = known.version.filter(|_| *still_known);
        let reply = self.ask(*tid, before);
        let Some(known) = self.known.get_mut(container) else { return Answer::Now(None) };
        known.reads += 1;
        if reply.failed {
            ACCOUNTS_READ_TIME.reach();
            known.pause = now + (FIRST_PAUSE * 2u32.saturating_pow(known.hung)).min(LONGEST_PAUSE);
            known.hung = (known.hung + 1).min(16);
            return Answer::Now(Some(Accounts::default()));
        }
        known.hung = 0;
        // Without a version, the thread is gone.
        if reply.version.is_some() && reply.version == before {
            return Answer::Now(None);
        }
        known.version = reply.version.or(known.version);
        if reply.version.is_some() {
            self.pool.counters().account_reads.fetch_add(1, Relaxed);
        }
        Answer::Now(Some(reply.accounts))
    }

    fn ask(&mut self, tid: i64, known: Option<Version>) -> Reply {
        self.reader.ask(Question::Accounts { tid, known });
        while self.reader.pending() > 0 {
            // Ends at the latest when the reader is given up.
            if let Some((_, reply)) = self.reader.poll(ACCOUNTS_READ_TIME.duration()) {
                return reply;
            }
        }
        Reply::default()
    }
}

impl Known {
    fn new(now: Instant) -> Self {
        Self { version: None, reads: 0, since: now, hung: 0, pause: now }
    }

    /// When there may be one more read, if not now.
    fn due(&mut self, now: Instant) -> Option<Instant> {
        while self.reads > 0 && now >= self.since + INTERVAL {
            self.reads -= 1;
            self.since += INTERVAL;
        }
        if self.reads == 0 {
            self.since = now;
        }
        (self.reads >= BURST).then(|| self.since + INTERVAL)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::reader::ReaderMode;

    const PASSWD: &str = "proc/7/root/etc/passwd";

    fn host() -> (tempfile::TempDir, AccountsWorker) {
        let host = tempfile::tempdir().unwrap();
        fs::create_dir_all(host.path().join("proc/7/root/etc")).unwrap();
        fs::write(host.path().join(PASSWD), "carol:x:1000:1000::/:\n").unwrap();
        let pool = Pool::start(ReaderMode::Thread, host.path(), Arc::default()).unwrap();
        (host, AccountsWorker::new(&pool))
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
        let (host, mut worker) = host();
        let start = Instant::now();
        assert_eq!(users(&worker.answer(&request(7), start)), 1);
        for _ in 1..BURST {
            assert_eq!(worker.answer(&request(7), start), Answer::Now(None));
        }
        fs::write(host.path().join(PASSWD), "a:x:1:1::/:\nb:x:2:2::/:\n").unwrap();
        let later = start + INTERVAL;
        for _ in 0..100 {
            assert_eq!(worker.answer(&request(7), start), Answer::At(later));
        }
        assert_eq!(users(&worker.answer(&request(7), later)), 2);
        assert_eq!(worker.answer(&request(7), later), Answer::At(later + INTERVAL));
        assert_eq!(worker.pool.counters().account_reads.load(Relaxed), 2);
        // Another container is not affected, and a thread that is gone says nothing of the files.
        let gone = AccountsRequest { container: b"d"[..].into(), tid: 8, known: true };
        assert_eq!(users(&worker.answer(&gone, later)), 0);
        // All is made up for after a while.
        let much_later = later + INTERVAL * BURST;
        for _ in 0..BURST {
            assert_eq!(worker.answer(&request(7), much_later), Answer::Now(None));
        }
    }
}
