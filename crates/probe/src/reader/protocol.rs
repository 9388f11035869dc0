//! What the agent and a reader say to each other.
//!
//! Both sides write frames into a socket: the length in four bytes, then a value in the form of
//! `postcard`. The agent writes [`Question`]s. To each of them, in their order, the reader writes
//! any number of [`Answer`]s, of which the last is [`Answer::Done`].

use std::io;

use peregrine_event::snapshot::{Fd, Group, Thread, User};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::scan::accounts::Version;
use crate::scan::budget::ReadOutcome;

/// Longest frame. The largest answer has some hundred open files with long names.
const MAX_FRAME: usize = 1 << 20;
const HEAD: usize = size_of::<u32>();

/// A question to a reader.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Question {
    Process(ProcessQuestion),
    /// What these open files of a thread are.
    Files(ProcessQuestion, Vec<i64>),
    /// The accounts of the root directory of a thread, unless they are of this version.
    Accounts {
        tid: i64,
        known: Option<Version>,
    },
}

impl Question {
    /// What is read of a process, if the question is about one.
    pub(crate) fn process_mut(&mut self) -> Option<&mut ProcessQuestion> {
        match self {
            Self::Process(process) | Self::Files(process, _) => Some(process),
            Self::Accounts { .. } => None,
        }
    }

    /// Whether only what the process can't delay is read.
    pub(crate) fn is_safe(&self) -> bool {
        matches!(self, Self::Process(process) | Self::Files(process, _) if process.safe)
    }
}

/// Asks for the process of a thread: its threads and what it has open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessQuestion {
    pub(crate) tid: i64,
    /// Nanoseconds from the epoch to boot, by which starts of processes are told.
    pub(crate) boot: u64,
    /// Milliseconds after which the rest is left out.
    pub(crate) budget: u32,
    pub(crate) extent: Extent,
    /// Read only what the process can't delay.
    pub(crate) safe: bool,
    /// What several processes share, such as tables of sockets, may be as old as the start scan.
    pub(crate) scan: bool,
}

/// How much of a process is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Extent {
    /// Only what fields about ancestors need.
    Ancestor,
    /// Every thread, the environment and what is open.
    Whole,
    /// The same, without other threads than the asked one where there are many. First the ids of
    /// the process and its ancestors.
    Lookup,
    /// All of a process, and first the ids of the process and its ancestors.
    WithAncestors,
    /// All of a process, and last the numbers of all open files.
    WithNumbers,
}

/// A part of an answer.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// Process ids: that of the thread, its parent and so on.
    Ancestors(Vec<i64>),
    Leader(Box<Thread>),
    /// Another thread of that process, without the texts that it has from its leader.
    Follower(Box<Thread>),
    Fds(i64, Vec<Fd>),
    Numbers(Vec<i64>),
    /// The accounts have this version.
    Version(Version),
    Users(Vec<User>),
    Groups(Vec<Group>),
    /// There is no more.
    Done(ReadOutcome),
}

/// Adds a frame to a buffer.
pub(crate) fn put(value: &impl Serialize, into: &mut Vec<u8>) -> io::Result<()> {
    let start = into.len();
    into.extend([0; HEAD]);
    *into = postcard::to_extend(value, std::mem::take(into)).map_err(io::Error::other)?;
    let length = into.len() - start - HEAD;
    let length = u32::try_from(length).map_err(io::Error::other)?;
    if let Some(head) = into.get_mut(start..start + HEAD) {
        head.copy_from_slice(&length.to_le_bytes());
    }
    Ok(())
}

/// Received bytes, which are taken out as frames.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    bytes: Vec<u8>,
    taken: usize,
}

impl Frames {
    /// Where received bytes are added.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        &mut self.bytes
    }

    /// The value in the next frame, once that is complete, and the bytes it took.
    ///
    /// # Errors
    /// When the bytes are no frames of such values.
    pub(crate) fn next<T: DeserializeOwned>(&mut self) -> io::Result<Option<(T, usize)>> {
        let rest = self.bytes.get(self.taken..).unwrap_or_default();
        let Some((head, rest)) = rest.split_first_chunk::<HEAD>() else { return Ok(None) };
        let length = u32::from_le_bytes(*head) as usize;
        if length > MAX_FRAME {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        }
        let Some(frame) = rest.get(..length) else { return Ok(None) };
        self.taken += HEAD + length;
        let value = postcard::from_bytes(frame).map_err(io::Error::other)?;
        Ok(Some((value, HEAD + length)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn question(tid: i64) -> Question {
        Question::Accounts { tid, known: None }
    }

    #[test]
    fn frames_may_come_in_pieces() {
        let mut bytes = Vec::new();
        for tid in [1, 2, 3] {
            put(&question(tid), &mut bytes).unwrap();
        }
        let mut frames = Frames::default();
        let mut found = Vec::new();
        for byte in bytes {
            frames.buffer().push(byte);
            while let Some((value, _)) = frames.next::<Question>().unwrap() {
                found.push(value);
            }
        }
        assert_eq!(found, [question(1), question(2), question(3)]);
    }

    #[test]
    fn a_thread_with_long_texts_fits_a_frame() {
        let text: std::sync::Arc<[u8]> = vec![7; 4096].into();
        let thread =
            Thread { args: text.clone(), env: text, comm: b"x"[..].into(), ..Thread::default() };
        let mut bytes = Vec::new();
        put(&Answer::Leader(Box::new(thread.clone())), &mut bytes).unwrap();
        let mut frames = Frames::default();
        frames.buffer().extend(&bytes);
        let (answer, length) = frames.next::<Answer>().unwrap().unwrap();
        assert_eq!((answer, length), (Answer::Leader(Box::new(thread)), bytes.len()));
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer_or_an_error(length in 0u32..64, bytes: Vec<u8>) {
            for head in [length, u32::MAX] {
                let mut frames = Frames::default();
                frames.buffer().extend(head.to_le_bytes().iter().chain(&bytes));
                while let Ok(Some(_)) = frames.next::<Answer>() {}
            }
        }
    }
}
