//! One virtual machine: qemu without hardware help, so that it is the same everywhere, and what it says on its console.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::options::{Arch, Check};
use super::verdict::{Outcome, Verdict};

/// Seconds a check may take.
const LIMIT: u32 = 900;
/// For the machine to come up and to go down.
const BOOT: Duration = Duration::from_secs(180);

/// A kernel, and what it is booted with.
pub(super) struct Machine<'a> {
    pub(super) arch: Arch,
    pub(super) kernel: &'a Path,
    pub(super) initramfs: &'a Path,
}

/// What time is inside.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Clock {
    /// That of this machine.
    Wall,
    /// A nanosecond for each instruction, whatever else this machine does.
    Instructions,
}

/// What a run of a machine gave.
pub(super) struct Run {
    /// The kernel's own name of its version.
    pub(super) release: Option<String>,
    pub(super) verdicts: Vec<Verdict>,
    /// All that was said.
    pub(super) console: String,
}

impl Machine<'_> {
    /// Runs checks in it; `told` hears of each that ends.
    pub(super) fn run(
        &self,
        checks: &[Check],
        clock: Clock,
        mut told: impl FnMut(&Verdict),
    ) -> Result<Run> {
        let mut qemu = Qemu(self.command(checks, clock).spawn().context("cannot run qemu")?);
        let stdout = qemu.0.stdout.take().context("qemu has no console")?;
        let (send, lines) = channel();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(stdout).split(b'\n').map_while(Result::ok);
            lines.try_for_each(|line| send.send(String::from_utf8_lossy(&line).trim_end().into()))
        });
        let deadline =
            Instant::now() + BOOT + Duration::from_secs(u64::from(LIMIT) * checks.len() as u64);
        let mut run = Run { release: None, verdicts: Vec::new(), console: String::new() };
        let mut current: Option<(Check, String)> = None;
        let end = loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line: String = match lines.recv_timeout(left) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => break "the machine hangs",
                Err(RecvTimeoutError::Disconnected) => break "the machine stopped",
            };
            run.console += &line;
            run.console.push('\n');
            let word = line.strip_prefix("@@ ").map(|line| line.split(' ').collect::<Vec<_>>());
            match word.as_deref() {
                Some(["kernel", release]) => run.release = Some((*release).to_owned()),
                Some(["start", name]) => {
                    let check = checks.iter().find(|check| check.name() == *name);
                    current = check.map(|check| (*check, String::new()));
                }
                Some(["end", _, status, before, after]) => {
                    if let Some((check, log)) = current.take() {
                        let number = |text: &str| text.parse().unwrap_or(0.0);
                        let seconds = number(after) - number(before);
                        let verdict = Verdict::of_check(check, status, seconds, log);
                        told(&verdict);
                        run.verdicts.push(verdict);
                    }
                }
                _ => {
                    if let Some((_, log)) = &mut current {
                        log.push_str(&line);
                        log.push('\n');
                    }
                }
            }
        };
        // Checks that never ended.
        for check in checks
            .iter()
            .filter(|check| !run.verdicts.iter().any(|v| v.check == **check))
            .copied()
            .collect::<Vec<_>>()
        {
            let log = match &current {
                Some((of, log)) if *of == check => log.clone(),
                _ => tail(&run.console),
            };
            let verdict = Verdict {
                check,
                outcome: Outcome::Failed(end.into()),
                seconds: 0.0,
                facts: Vec::new(),
                log,
            };
            told(&verdict);
            run.verdicts.push(verdict);
        }
        Ok(run)
    }

    fn command(&self, checks: &[Check], clock: Clock) -> Command {
        let mut command = Command::new(emulator(self.arch));
        let console = match self.arch {
            Arch::Amd64 => {
                // qemu 7.2 breaks the flags after cmpxchg16b when several processors run.
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

/// The program that emulates an architecture.
pub(super) fn emulator(arch: Arch) -> String {
    format!("qemu-system-{}", arch.machine())
}

/// Ends with its owner.
struct Qemu(Child);

impl Drop for Qemu {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn tail(console: &str) -> String {
    let lines: Vec<_> = console.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}
