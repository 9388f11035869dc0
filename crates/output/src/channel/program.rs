//! A program that reads alerts from its standard input.

mod process;

use std::sync::Arc;
use std::time::{Duration, Instant};

use peregrine_alert::Alert;
use peregrine_limits::{PROGRAM_ALERT_TIME, PROGRAM_END_TIME};

use self::process::{Ended, Process};
use super::deliver::{Channel, Outcome};
use super::error::ChannelError;
use super::lines::Lines;
use crate::format::Formatter;
use crate::shutdown::Shutdown;

/// A program that reads alerts from its standard input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramOutput {
    /// A command of the shell.
    pub command: String,
    /// One program for all alerts instead of one for each.
    pub keep_alive: bool,
}

#[derive(Debug)]
pub(crate) struct Program {
    output: ProgramOutput,
    format: Formatter,
    lines: Lines,
    running: Option<Process>,
    backoff: Backoff,
    shutdown: Arc<Shutdown>,
}

/// When a program that keeps ending is started again.
#[derive(Debug)]
struct Backoff {
    /// The next pause.
    pause: Duration,
    until: Option<Instant>,
}

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A program that has been running for this time is started again at once.
const LONG_RUN: Duration = Duration::from_secs(10);
/// What a shell exits with if it cannot execute a program, or does not find it.
const NO_PROGRAM: [i32; 2] = [126, 127];

impl Program {
    pub(crate) fn new(output: ProgramOutput, format: Formatter) -> Self {
        let backoff = Backoff { pause: FIRST_PAUSE, until: None };
        let (lines, shutdown) = (Lines::default(), Arc::default());
        Self { output, format, lines, running: None, backoff, shutdown }
    }

    /// Starts a program, after a pause if the last ones have failed.
    fn start(&mut self) -> Result<Process, ChannelError> {
        if let Some(until) = self.backoff.until.take() {
            self.shutdown.pause(until.saturating_duration_since(Instant::now()));
        }
        let command = &self.output.command;
        Process::start(command, self.shutdown.clone()).map_err(|source| {
            self.backoff.failed();
            ChannelError::Spawn { command: command.clone(), source }
        })
    }

    /// The program that is kept.
    fn kept(&mut self) -> Result<&Process, ChannelError> {
        let running = match self.running.take() {
            Some(running) => running,
            None => self.start()?,
        };
        Ok(self.running.insert(running))
    }

    /// Delivers to the program that is kept. If it ends, another one gets what it has not read.
    fn deliver_kept(&mut self, alerts: &[Alert]) -> Outcome {
        let mut outcome = Outcome::default();
        let (mut left, mut fruitless) = (alerts, 0);
        if self.running.as_ref().is_some_and(Process::is_deaf) {
            outcome = outcome.and(Outcome::of(0, self.ended()));
        }
        while !left.is_empty() && fruitless < 2 {
            self.lines.clear();
            left.iter().for_each(|alert| self.lines.add(alert, &mut self.format));
            let read = match self.kept() {
                Ok(_) => self.feed(),
                Err(error) => return outcome.and(Outcome::of(left.len(), Err(error))),
            };
            left = left.get(read..).unwrap_or_default();
            outcome.delivered += read as u64;
            fruitless = if read == 0 { fruitless + 1 } else { 0 };
            if !left.is_empty() {
                outcome = outcome.and(Outcome::of(0, self.ended()));
                outcome.retried += if fruitless < 2 { left.len() as u64 } else { 0 };
            }
        }
        outcome.failed += left.len() as u64;
        outcome
    }

    /// Alerts of the lines that the running program has read completely.
    fn feed(&self) -> usize {
        let Some(process) = &self.running else { return 0 };
        let written = process.write(self.lines.bytes(), None);
        self.lines.whole(written.saturating_sub(process.wait_until_read()))
    }

    /// The program that is kept has ended without being told to.
    fn ended(&mut self) -> Result<(), ChannelError> {
        let Some(process) = self.running.take() else { return Ok(()) };
        if process.age() < LONG_RUN {
            self.backoff.failed();
        } else {
            self.backoff.worked();
        }
        let ended = process.end(Instant::now() + PROGRAM_END_TIME.duration());
        Err(self.error(ended?))
    }

    /// Ends the program that is kept.
    fn stop(&mut self) -> Result<(), ChannelError> {
        let Some(process) = self.running.take() else { return Ok(()) };
        let ended = process.end(Instant::now() + PROGRAM_END_TIME.duration())?;
        if ended.overdue {
            PROGRAM_END_TIME.reach();
        }
        if ended.overdue || !ended.status.success() { Err(self.error(ended)) } else { Ok(()) }
    }

    /// Starts a program for one alert and waits for its end. The alert is delivered if the program
    /// says so by its exit status, whatever it has read.
    fn deliver_one(&mut self, alert: &Alert) -> Result<(), ChannelError> {
        self.lines.clear();
        self.lines.add(alert, &mut self.format);
        let process = self.start()?;
        let until = Instant::now() + PROGRAM_ALERT_TIME.duration();
        process.write(self.lines.bytes(), Some(until));
        let ended = process.end(until)?;
        if ended.overdue {
            PROGRAM_ALERT_TIME.reach();
        } else if ended.status.code().is_some_and(|code| NO_PROGRAM.contains(&code)) {
            self.backoff.failed();
        } else {
            self.backoff.worked();
        }
        if ended.overdue || !ended.status.success() { Err(self.error(ended)) } else { Ok(()) }
    }

    fn error(&self, Ended { status, overdue }: Ended) -> ChannelError {
        ChannelError::Ended { command: self.output.command.clone(), status, overdue }
    }
}

impl Backoff {
    fn failed(&mut self) {
        self.until = Some(Instant::now() + self.pause);
        self.pause = LONGEST_PAUSE.min(self.pause * 2);
    }

    fn worked(&mut self) {
        *self = Self { pause: FIRST_PAUSE, until: None };
    }
}

impl Channel for Program {
    fn name(&self) -> &'static str {
        "program"
    }

    fn batch(&self) -> usize {
        if self.output.keep_alive { 128 } else { 1 }
    }

    fn shutdown(&self) -> Arc<Shutdown> {
        self.shutdown.clone()
    }

    fn deliver(&mut self, alerts: &[Alert]) -> Outcome {
        if self.output.keep_alive {
            return self.deliver_kept(alerts);
        }
        let mut deliver = |alert| Outcome::of(1, self.deliver_one(alert));
        alerts.iter().fold(Outcome::default(), |outcome, alert| outcome.and(deliver(alert)))
    }

    fn reopen(&mut self) -> Outcome {
        let stopped = Outcome::of(0, self.stop());
        if self.output.keep_alive {
            stopped.and(Outcome::of(0, self.kept().map(|_| ())))
        } else {
            stopped
        }
    }

    fn finish(&mut self) -> Outcome {
        Outcome::of(0, self.stop())
    }
}

#[cfg(test)]
mod tests;
