//! One virtual machine: qemu without hardware acceleration, so that it behaves the same everywhere,
//! and its console.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::options::{Arch, Check};
use super::verdict::{Outcome, Verdict};

/// Time limit of a check, seconds.
const LIMIT: u32 = 900;
/// Time limit for boot and shutdown.
const BOOT: Duration = Duration::from_secs(180);

/// A kernel and its boot parameters.
pub(super) struct Machine<'a> {
    pub(super) arch: Arch,
    pub(super) kernel: &'a Path,
    pub(super) initramfs: &'a Path,
}

/// The clock inside the machine.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Clock {
    /// The clock of the host.
    Wall,
    /// One nanosecond per instruction, independent of the host's load.
    Instructions,
}

/// The result of running a machine.
#[derive(Default)]
pub(super) struct Run {
    /// The version that the kernel reports.
    pub(super) release: Option<String>,
    pub(super) verdicts: Vec<Verdict>,
    /// Warnings and errors in the kernel's own log.
    pub(super) complaints: Vec<String>,
    /// The whole console output.
    pub(super) console: String,
    /// The running check, and its output so far.
    current: Option<(Check, String)>,
}

impl Machine<'_> {
    /// Runs checks in it; `on_verdict` is called for each that ends. A machine that fails to boot
    /// is started once more: emulated timers fail occasionally when the host is busy.
    pub(super) fn run(
        &self,
        checks: &[Check],
        clock: Clock,
        mut on_verdict: impl FnMut(&Verdict),
    ) -> Result<Run> {
        let (mut run, mut end) = self.boot(checks, clock, &mut on_verdict)?;
        if run.release.is_none() {
            (run, end) = self.boot(checks, clock, &mut on_verdict)?;
        }
        for &check in checks {
            if !run.verdicts.iter().any(|verdict| verdict.check == check) {
                on_verdict(run.give_up(check, end));
            }
        }
        Ok(run)
    }

    /// Runs it until it powers off or is killed, and returns how it ended.
    fn boot(
        &self,
        checks: &[Check],
        clock: Clock,
        on_verdict: &mut impl FnMut(&Verdict),
    ) -> Result<(Run, &'static str)> {
        let mut qemu = Qemu(self.command(checks, clock).spawn().context("cannot run qemu")?);
        let stdout = qemu.0.stdout.take().context("qemu has no console")?;
        let (send, lines) = channel();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(stdout).split(b'\n').map_while(Result::ok);
            lines.try_for_each(|line| send.send(String::from_utf8_lossy(&line).into_owned()))
        });
        let limit = Duration::from_secs(u64::from(LIMIT) * checks.len() as u64);
        let deadline = Instant::now() + BOOT + limit;
        let mut run = Run::default();
        let end = loop {
            match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    run.hear(line.trim_end(), checks).into_iter().for_each(&mut *on_verdict)
                }
                Err(RecvTimeoutError::Timeout) => break "the machine hangs",
                Err(RecvTimeoutError::Disconnected) => break "the machine stopped",
            }
        };
        Ok((run, end))
    }

    fn command(&self, checks: &[Check], clock: Clock) -> Command {
        let mut command = Command::new(emulator(self.arch));
        let console = match self.arch {
            Arch::Amd64 => {
                // With several CPUs qemu 7.2 sometimes leaves wrong flags after cmpxchg16b, which
                // crashes the kernel.
                command.args(["-cpu", "max,-cx16"]);
                "ttyS0"
            }
            Arch::Arm64 => {
                command.args(["-M", "virt", "-cpu", "cortex-a72"]);
                "ttyAMA0"
            }
        };
        match clock {
            Clock::Wall => command.args(["-accel", "tcg,thread=multi", "-smp", "2"]),
            Clock::Instructions => command.args(["-accel", "tcg", "-icount", "shift=0"]),
        };
        command.args(["-m", "1024", "-nographic", "-no-reboot", "-nic", "none"]);
        command.arg("-kernel").arg(self.kernel).arg("-initrd").arg(self.initramfs);
        let names: Vec<_> = checks.iter().map(|check| check.name()).collect();
        let checks = names.join(",");
        command.arg("-append").arg(format!(
            "console={console} panic=-1 quiet no_timer_check LIMIT={LIMIT} CHECKS={checks}"
        ));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        command
    }
}

impl Run {
    /// Processes a line of the console; returns the verdict if the line ends a check.
    fn hear(&mut self, line: &str, checks: &[Check]) -> Option<&Verdict> {
        self.console += line;
        self.console.push('\n');
        let words = line.strip_prefix("@@ ").map(|line| line.split(' ').collect::<Vec<_>>());
        match words.as_deref() {
            Some(["kernel", release]) => self.release = Some((*release).to_owned()),
            Some(["complaint", words @ ..]) => self.complaints.push(words.join(" ")),
            Some(["start", name]) => {
                let check = checks.iter().find(|check| check.name() == *name);
                self.current = check.map(|check| (*check, String::new()));
            }
            Some(["end", _, status, before, after]) => {
                let (check, log) = self.current.take()?;
                let number = |text: &str| text.parse().unwrap_or(0.0);
                let seconds = number(after) - number(before);
                self.verdicts.push(Verdict::of_check(check, status, seconds, log));
                return self.verdicts.last();
            }
            _ => {
                if let Some((_, log)) = &mut self.current {
                    log.push_str(line);
                    log.push('\n');
                }
            }
        }
        None
    }

    /// The verdict on a check that did not end.
    fn give_up(&mut self, check: Check, why: &str) -> &Verdict {
        let log = match &self.current {
            Some((current, log)) if *current == check => log.clone(),
            _ => self.console.clone(),
        };
        let outcome = Outcome::Failed(why.into());
        self.verdicts.push(Verdict { check, outcome, seconds: 0.0, facts: Vec::new(), log });
        &self.verdicts[self.verdicts.len() - 1]
    }
}

/// The program that emulates an architecture.
pub(super) fn emulator(arch: Arch) -> String {
    format!("qemu-system-{}", arch.machine())
}

/// A process that is killed with its owner.
struct Qemu(Child);

impl Drop for Qemu {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_heard_of_from_start_to_end() {
        let checks = [Check::Load, Check::Live];
        let mut run = Run::default();
        let lines = ["boot", "@@ kernel 6.1", "@@ start load", "fact a=1", "@@ end load 0 2.5 4.0"];
        let ended: Vec<_> =
            lines.iter().filter_map(|line| run.hear(line, &checks).cloned()).collect();
        assert_eq!((ended.len(), ended[0].seconds, ended[0].fact("a")), (1, 1.5, Some("1")));
        assert_eq!(run.release.as_deref(), Some("6.1"));
        run.hear("@@ start live", &checks);
        run.hear("Kernel panic", &checks);
        let verdict = run.give_up(Check::Live, "the machine stopped");
        assert_eq!(verdict.outcome, Outcome::Failed("the machine stopped".into()));
        assert_eq!(verdict.log, "Kernel panic\n");
    }
}
