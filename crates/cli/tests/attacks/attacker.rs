//! Processes of an attack, in a control group and namespaces of their own.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// How long an attacker may take for what it is told to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// Namespaces of an unprivileged attacker.
pub(crate) const UNPRIVILEGED: &[&str] =
    &["--user", "--map-root-user", "--mount", "--pid", "--fork"];
/// Namespaces of root in a container.
pub(crate) const CONTAINER: &[&str] = &["--mount", "--pid", "--fork"];

/// A process that does what it is told, line by line.
pub(crate) struct Attacker {
    child: Child,
    answers: Receiver<String>,
}

impl Attacker {
    /// Starts an actor (see [`actors`](crate::actors)) in a control group, in new namespaces
    /// (arguments of `unshare`), and waits until it is ready.
    pub(crate) fn start(group: &Path, namespaces: &[&str], actor: &[&str]) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", "echo $$ >\"$0/cgroup.procs\" && exec \"$@\""]).arg(group);
        if !namespaces.is_empty() {
            command.arg("unshare").args(namespaces);
        }
        command.arg(std::env::current_exe().unwrap()).arg("--actor").args(actor);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.unwrap();
        let (send, answers) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            stdout.lines().map_while(Result::ok).try_for_each(|line| send.send(line))
        });
        let attacker = Self { child, answers };
        assert_eq!(attacker.answer(), "ready", "{actor:?}");
        attacker
    }

    /// Tells it to do something, without waiting for its answer.
    pub(crate) fn tell(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Its next answer.
    pub(crate) fn answer(&self) -> String {
        self.answers.recv_timeout(PATIENCE).expect("an attacker answers")
    }

    /// What it has answered by now.
    pub(crate) fn answers(&self) -> impl Iterator<Item = String> {
        self.answers.try_iter()
    }

    /// Tells it to do something and returns its answer.
    pub(crate) fn does(&mut self, line: &str) -> String {
        self.tell(line);
        self.answer()
    }

    /// Its standard input ends, and so does it.
    pub(crate) fn dismiss(&mut self) {
        drop(self.child.stdin.take());
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        self.dismiss();
        // It may be in an uninterruptible sleep, which must not hold up the test.
        let _ = self.child.kill();
        for _ in 0..100 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}
