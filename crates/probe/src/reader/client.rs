//! The side of a reader that asks.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use peregrine_event::Accounts;
use peregrine_event::snapshot::Item;
use peregrine_limits::{MOUNT_TABLES_TIME, READER_ANSWER_BYTES};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::pool::{Handle, Pool};
use super::protocol::{Answer, Frames, Question, put};
use super::serve::restore_shared;
use crate::counters::QuestionKind;
use crate::scan::accounts::Version;
use crate::scan::add;
use crate::scan::budget::ReadOutcome;

/// Questions that are sent before the first of them is answered.
const AHEAD: usize = 64;
/// Bytes of answers that are received at once.
const RECEIVED: usize = 64 << 10;
/// Attempts to have a question answered by readers that end.
const ATTEMPTS: u32 = 2;

/// Asks a reader. Questions are answered in their order. A reader that makes no progress is killed,
/// and the process that it was asked about is asked again, but only for what it can't delay.
#[derive(Debug)]
pub(crate) struct Reader {
    pool: Arc<Pool>,
    kind: QuestionKind,
    /// Longest time without progress.
    silence: Duration,
    connection: Option<Connection>,
    asked: VecDeque<Asked>,
    /// When the reader was last heard of, or asked after a time without questions.
    progress: Instant,
}

/// What was found out.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    /// The threads of a process, its leader first, then what it has open. Empty when it is gone.
    pub(crate) items: Vec<Item>,
    /// Ids of the process and its ancestors.
    pub(crate) ancestors: Vec<i64>,
    /// Numbers of open files. `None` when the process is gone.
    pub(crate) numbers: Option<Vec<i64>>,
    pub(crate) version: Option<Version>,
    pub(crate) accounts: Accounts,
    pub(crate) outcome: ReadOutcome,
    /// Only what the process can't delay was read.
    pub(crate) safe: bool,
    /// No reader could answer.
    pub(crate) failed: bool,
}

#[derive(Debug)]
struct Asked {
    question: Question,
    sent: bool,
    attempts: u32,
    reply: Reply,
    bytes: usize,
}

#[derive(Debug)]
struct Connection {
    handle: Handle,
    frames: Frames,
}

impl Reader {
    /// Asks a reader of this pool, which is killed after so much time without progress.
    pub(crate) fn new(pool: &Arc<Pool>, kind: QuestionKind, silence: Duration) -> Self {
        Self {
            pool: Arc::clone(pool),
            kind,
            silence,
            connection: pool.take().map(Connection::new),
            asked: VecDeque::new(),
            progress: Instant::now(),
        }
    }

    /// Asks a question.
    pub(crate) fn ask(&mut self, mut question: Question) {
        self.pool.counters().questions.fetch_add(1, Relaxed);
        if let Some(process) = question.process_mut()
            && !process.safe
            && self.pool.is_suspect(process.tid)
        {
            process.safe = true;
        }
        if self.asked.is_empty() {
            self.progress = Instant::now();
        }
        self.asked.push_back(Asked::new(question));
    }

    /// The process that answers, if it is one of its own.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.connection.as_ref().and_then(|connection| connection.handle.pid())
    }

    /// Questions without an answer.
    pub(crate) fn pending(&self) -> usize {
        self.asked.len()
    }

    /// The next answer, with its question, if it comes within this time.
    pub(crate) fn poll(&mut self, wait: Duration) -> Option<(Question, Reply)> {
        let until = Instant::now() + wait;
        while !self.asked.is_empty() {
            match self.exchange() {
                Ok(Some(answered)) => return Some(answered),
                Ok(None) => {}
                Err(_) => {
                    // It has ended, or what it says makes no sense.
                    if let Some(failed) = self.replace(false) {
                        return Some(failed);
                    }
                }
            }
            let now = Instant::now();
            let overdue = self.progress + self.silence;
            if now >= overdue {
                if let Some(failed) = self.replace(true) {
                    return Some(failed);
                }
                continue;
            }
            if now >= until {
                return None;
            }
            self.sleep(until.min(overdue) - now);
        }
        None
    }

    /// Sends questions, and takes in what has come of the answer to the first one.
    fn exchange(&mut self) -> io::Result<Option<(Question, Reply)>> {
        if self.connection.is_none() {
            self.connection = self.pool.take().map(Connection::new);
        }
        let Some(connection) = &mut self.connection else { return Ok(None) };
        loop {
            for asked in self.asked.iter_mut().take(AHEAD).filter(|asked| !asked.sent) {
                if !connection.send(&asked.question)? {
                    break;
                }
                asked.sent = true;
            }
            while let Some((answer, bytes)) = connection.frames.next()? {
                let Some(first) = self.asked.front_mut() else {
                    return Err(io::ErrorKind::InvalidData.into());
                };
                self.progress = Instant::now();
                if first.add(answer, bytes)? {
                    let answered = self.asked.pop_front();
                    return Ok(answered.map(|asked| asked.answered(&self.pool)));
                }
            }
            if !connection.receive()? {
                return Ok(None);
            }
        }
    }

    /// Waits for more from the reader, or for a reader.
    fn sleep(&self, time: Duration) {
        match &self.connection {
            Some(connection) => {
                let time = Timespec {
                    tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
                    tv_nsec: time.subsec_nanos().into(),
                };
                let mut fds = [PollFd::new(&connection.handle.socket, PollFlags::IN)];
                // After an interruption, the caller waits for the rest.
                let _ = poll(&mut fds, Some(&time));
            }
            None => thread::sleep(time.min(Duration::from_millis(1))),
        }
    }

    /// Gives up the reader. The first question is asked again if there is hope; else it is failed.
    fn replace(&mut self, hung: bool) -> Option<(Question, Reply)> {
        self.progress = Instant::now();
        let had_reader = self.connection.is_some();
        if let Some(connection) = self.connection.take() {
            self.pool.discard(connection.handle);
            self.pool.counters().replaced.fetch_add(1, Relaxed);
        }
        for asked in &mut self.asked {
            (asked.sent, asked.bytes, asked.reply) = (false, 0, Reply::default());
        }
        let first = self.asked.front_mut()?;
        first.attempts += 1;
        let mut hope = first.attempts < ATTEMPTS;
        if hung && had_reader {
            self.pool.counters().hung(self.kind).fetch_add(1, Relaxed);
            match first.question.process_mut() {
                Some(process) if !process.safe => {
                    self.pool.suspect(process.tid);
                    process.safe = true;
                }
                _ => hope = false,
            }
        }
        if hope {
            return None;
        }
        let failed = Reply { failed: true, ..Reply::default() };
        self.asked.pop_front().map(|asked| (asked.question, failed))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.pool.discard(connection.handle);
        }
    }
}

impl Connection {
    fn new(handle: Handle) -> Self {
        Self { handle, frames: Frames::default() }
    }

    /// Whether the question was sent; there may be no room.
    fn send(&mut self, question: &Question) -> io::Result<bool> {
        let mut bytes = Vec::new();
        put(question, &mut bytes)?;
        match self.handle.socket.write(&bytes) {
            Ok(sent) if sent == bytes.len() => Ok(true),
            Ok(_) => Err(io::ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether something has come.
    fn receive(&mut self) -> io::Result<bool> {
        let buffer = self.frames.buffer();
        let start = buffer.len();
        buffer.resize(start + RECEIVED, 0);
        let received = self.handle.socket.read(buffer.get_mut(start..).unwrap_or_default());
        buffer.truncate(start + received.as_ref().map_or(0, |&length| length));
        match received {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => Ok(true),
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(false),
                _ => Err(error),
            },
        }
    }
}

impl Asked {
    fn new(question: Question) -> Self {
        Self { question, sent: false, attempts: 0, reply: Reply::default(), bytes: 0 }
    }

    /// Adds a part of the answer; true when that was the last one.
    fn add(&mut self, answer: Answer, bytes: usize) -> io::Result<bool> {
        self.bytes += bytes;
        if self.bytes > READER_ANSWER_BYTES.get() {
            READER_ANSWER_BYTES.reach();
            return Err(io::ErrorKind::InvalidData.into());
        }
        let Reply { items, ancestors, numbers, version, accounts, outcome, .. } = &mut self.reply;
        match answer {
            Answer::Ancestors(pids) => *ancestors = pids,
            Answer::Leader(thread) => items.push(Item::Thread(thread)),
            Answer::Follower(mut thread) => {
                if let Some(Item::Thread(leader)) = items.first_mut() {
                    restore_shared(&mut thread, leader);
                    items.push(Item::Thread(thread));
                }
            }
            Answer::Fds(pid, fds) => add(items, Item::Fds(pid, fds)),
            Answer::Numbers(more) => numbers.get_or_insert_default().extend(more),
            Answer::Version(found) => *version = Some(found),
            Answer::Users(users) => users.into_iter().for_each(|user| {
                accounts.add_user(user);
            }),
            Answer::Groups(groups) => groups.into_iter().for_each(|group| {
                accounts.add_group(group);
            }),
            Answer::Done(done) => {
                *outcome = done;
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn answered(mut self, pool: &Pool) -> (Question, Reply) {
        self.reply.safe = self.question.is_safe();
        pool.counters().safe.fetch_add(u64::from(self.reply.safe), Relaxed);
        for _ in 0..self.reply.outcome.tables_refused {
            MOUNT_TABLES_TIME.reach();
        }
        (self.question, self.reply)
    }
}
