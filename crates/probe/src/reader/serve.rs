//! The side of a reader that answers.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use peregrine_event::snapshot::{Item, Thread};

use super::protocol::{Answer, Extent, Frames, ProcessQuestion, Question, put};
use crate::scan::accounts::{self, AccountFiles, Version};
use crate::scan::budget::ReadOutcome;
use crate::scan::{Depth, ScanError, Scanner};

/// Bytes of answers that are sent at once.
const SENT: usize = 16 << 10;
/// Accounts or ids in one answer.
const PART: usize = 256;

/// Answers questions.
pub(super) struct Service {
    scanner: Scanner,
    accounts: AccountFiles,
}

/// Sends answers. After an error, further ones are dropped: the agent has gone.
struct Answers<'s> {
    socket: &'s UnixStream,
    bytes: Vec<u8>,
    result: io::Result<()>,
}

impl Service {
    /// Opens the `/proc` of the machine whose root directory is here.
    pub(super) fn open(host_root: &Path) -> Result<Self, ScanError> {
        let failed = |error| ScanError::Proc { path: host_root.join("proc"), source: error };
        Ok(Self {
            scanner: Scanner::open(host_root)?,
            accounts: AccountFiles::open(host_root).map_err(|error| failed(error.into()))?,
        })
    }

    /// Answers the questions that come through a socket, until it is closed.
    ///
    /// # Errors
    /// When the socket fails, or what comes is no question.
    pub(super) fn run(mut self, socket: &UnixStream) -> io::Result<()> {
        let mut frames = Frames::default();
        let mut answers = Answers { socket, bytes: Vec::new(), result: Ok(()) };
        loop {
            while let Some((question, _)) = frames.next()? {
                let done = match question {
                    Question::Process(question) => self.process(&question, &mut answers),
                    Question::Files(question, fds) => self.files(&question, &fds, &mut answers),
                    Question::Accounts { tid, known } => {
                        self.accounts(tid, known, &mut answers);
                        ReadOutcome::default()
                    }
                };
                answers.add(&Answer::Done(done));
                answers.send();
            }
            answers.result?;
            answers.result = Ok(());
            let mut received = [0; 4096];
            match { socket }.read(&mut received)? {
                0 => return Ok(()),
                length => frames.buffer().extend(received.get(..length).unwrap_or_default()),
            }
        }
    }

    fn process(&mut self, question: &ProcessQuestion, answers: &mut Answers<'_>) -> ReadOutcome {
        let time = Duration::from_millis(question.budget.into());
        self.scanner.prepare(question.boot, time, question.safe, !question.scan);
        self.scanner.prefer(question.tid, question.extent == Extent::Lookup);
        let mut pid = question.tid;
        if matches!(question.extent, Extent::WithAncestors | Extent::Lookup) {
            let Some(ancestors) = self.scanner.process_and_ancestors(question.tid) else {
                return ReadOutcome::default();
            };
            pid = ancestors.first().copied().unwrap_or(pid);
            answers.add(&Answer::Ancestors(ancestors));
        }
        let depth = match question.extent {
            Extent::Ancestor => Depth::Ancestor,
            Extent::Whole | Extent::WithAncestors | Extent::WithNumbers | Extent::Lookup => {
                Depth::Whole
            }
        };
        let mut leader = None;
        self.scanner.read_process(pid, depth, |item| match item {
            Item::Thread(mut thread) => match &leader {
                None => {
                    leader = Some(thread.clone());
                    answers.add(&Answer::Leader(thread));
                }
                Some(_) => {
                    forget_shared(&mut thread);
                    answers.add(&Answer::Follower(thread));
                }
            },
            Item::Fds(pid, fds) => answers.add(&Answer::Fds(pid, fds)),
            _ => {}
        });
        if question.extent == Extent::WithNumbers {
            let mut numbers = Vec::new();
            if self.scanner.open_numbers(pid, &mut numbers).is_some() {
                answers.add(&Answer::Numbers(Vec::new()));
            }
            numbers.chunks(PART).for_each(|part| answers.add(&Answer::Numbers(part.to_vec())));
        }
        self.scanner.outcome()
    }

    fn files(
        &mut self,
        question: &ProcessQuestion,
        fds: &[i64],
        answers: &mut Answers<'_>,
    ) -> ReadOutcome {
        let time = Duration::from_millis(question.budget.into());
        self.scanner.prepare(question.boot, time, question.safe, !question.scan);
        let tid = question.tid;
        self.scanner.read_files(tid, fds, |fds| answers.add(&Answer::Fds(tid, fds)));
        self.scanner.outcome()
    }

    fn accounts(&mut self, tid: i64, known: Option<Version>, answers: &mut Answers<'_>) {
        let (mut users, mut groups) = (Vec::new(), Vec::new());
        self.accounts.read(tid, known, |part| match part {
            accounts::Part::Version(version) => answers.add(&Answer::Version(version)),
            accounts::Part::User(user) => {
                users.push(user);
                if users.len() >= PART {
                    answers.add(&Answer::Users(std::mem::take(&mut users)));
                }
            }
            accounts::Part::Group(group) => {
                groups.push(group);
                if groups.len() >= PART {
                    answers.add(&Answer::Groups(std::mem::take(&mut groups)));
                }
            }
        });
        answers.add(&Answer::Users(users));
        answers.add(&Answer::Groups(groups));
    }
}

impl Answers<'_> {
    fn add(&mut self, answer: &Answer) {
        if let Err(error) = put(answer, &mut self.bytes) {
            self.result = Err(error);
        }
        if self.bytes.len() >= SENT {
            self.send();
        }
    }

    fn send(&mut self) {
        if self.result.is_ok() {
            self.result = self.socket.write_all(&self.bytes);
        }
        self.bytes.clear();
    }
}

/// Removes the texts that a thread has from its leader.
fn forget_shared(thread: &mut Thread) {
    for text in shared_texts(thread) {
        *text = Arc::default();
    }
}

/// Gives a thread the texts of its leader, and shares those that are equal.
pub(super) fn restore_shared(thread: &mut Thread, leader: &mut Thread) {
    for (text, from) in shared_texts(thread).into_iter().zip(shared_texts(leader)) {
        *text = Arc::clone(from);
    }
    for (text, from) in [(&mut thread.comm, &leader.comm), (&mut thread.cgroups, &leader.cgroups)] {
        if *text == *from {
            *text = Arc::clone(from);
        }
    }
}

fn shared_texts(thread: &mut Thread) -> [&mut Arc<[u8]>; 6] {
    let Thread { exe, exepath, args, env, cwd, root, .. } = thread;
    [exe, exepath, args, env, cwd, root]
}
