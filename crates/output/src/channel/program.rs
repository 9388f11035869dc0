//! A program that reads alerts from its standard input.

use std::process::{Child, ChildStdin, Command, Stdio};

use peregrine_alert::Alert;

use super::deliver::{Channel, Outcome};
use super::error::ChannelError;
use super::stream::Lines;
use crate::format::Formatter;

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
    buffered: bool,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    lines: Lines<ChildStdin>,
}

impl Program {
    pub(crate) fn new(output: ProgramOutput, format: Formatter, buffered: bool) -> Self {
        Self { output, format, buffered, running: None }
    }

    /// The program, and the format of its lines.
    fn start(&mut self) -> Result<(&mut Running, &mut Formatter), ChannelError> {
        let running = match self.running.take() {
            Some(running) => running,
            None => self.spawn()?,
        };
        Ok((self.running.insert(running), &mut self.format))
    }

    fn spawn(&self) -> Result<Running, ChannelError> {
        let command = &self.output.command;
        let failed = |source| ChannelError::Spawn { command: command.clone(), source };
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(command).stdin(Stdio::piped());
        // The service manager wants signs of life of this process only.
        for variable in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] {
            shell.env_remove(variable);
        }
        let mut child = shell.spawn().map_err(failed)?;
        let stdin =
            child.stdin.take().ok_or_else(|| failed(std::io::ErrorKind::BrokenPipe.into()))?;
        Ok(Running { child, lines: Lines::new(stdin, self.buffered) })
    }

    /// Closes the program's input and waits for it to end.
    fn stop(&mut self) -> Outcome {
        let Some(Running { mut child, mut lines }) = self.running.take() else {
            return Outcome::default();
        };
        let flushed = lines.flush();
        drop(lines);
        let waited = child.wait().map(|_| ()).map_err(ChannelError::from);
        flushed.and(Outcome::of(0, waited))
    }

    fn write(&mut self, alerts: &[Alert]) -> Outcome {
        match self.start() {
            Ok((running, format)) => running.lines.write(alerts, format),
            Err(error) => Outcome::of(alerts.len(), Err(error)),
        }
    }
}

impl Channel for Program {
    fn name(&self) -> &'static str {
        "program"
    }

    fn batch(&self) -> usize {
        if self.output.keep_alive { 128 } else { 1 }
    }

    fn deliver(&mut self, alerts: &[Alert]) -> Outcome {
        if self.output.keep_alive {
            let written = self.write(alerts);
            if written.error.is_none() {
                return written;
            }
            // The program has exited; the next alert starts a new one.
            return written.and(self.stop());
        }
        let mut deliver = |alert| {
            let written = self.write(std::slice::from_ref(alert));
            written.and(self.stop())
        };
        alerts.iter().fold(Outcome::default(), |outcome, alert| outcome.and(deliver(alert)))
    }

    fn reopen(&mut self) -> Outcome {
        let stopped = self.stop();
        stopped.and(Outcome::of(0, self.start().map(|_| ())))
    }

    fn finish(&mut self) -> Outcome {
        self.stop()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::testing::{alert, formatter, line, lines};

    fn program(dir: &Path, command: &str, keep_alive: bool) -> Program {
        let command = format!("cd '{}' && {command}", dir.display());
        Program::new(ProgramOutput { command, keep_alive }, formatter(), false)
    }

    #[test]
    fn each_alert_has_its_own_program() {
        let dir = tempfile::tempdir().unwrap();
        let mut program = program(dir.path(), "(echo start; cat) >> out", false);
        program.deliver(&[alert("one"), alert("two")]).unwrap();
        let out = fs::read_to_string(dir.path().join("out")).unwrap();
        assert_eq!(out, format!("start\n{}\nstart\n{}\n", line("one"), line("two")));
    }

    #[test]
    fn a_kept_program_reads_all_alerts() {
        let dir = tempfile::tempdir().unwrap();
        let mut program = program(dir.path(), "(echo start; cat) >> out", true);
        program.deliver(&[alert("one")]).unwrap();
        program.deliver(&[alert("two")]).unwrap();
        program.reopen().unwrap();
        program.deliver(&[alert("three")]).unwrap();
        program.finish().unwrap();
        let out = fs::read_to_string(dir.path().join("out")).unwrap();
        assert_eq!(out, format!("start\n{}start\n{}", lines(&["one", "two"]), lines(&["three"])));
    }

    #[test]
    fn an_exited_program_is_restarted() {
        let dir = tempfile::tempdir().unwrap();
        let mut program = program(dir.path(), "head -n 1 >> out", true);
        program.deliver(&[alert("one")]).unwrap();
        program.start().unwrap().0.child.wait().unwrap();
        assert_eq!(program.deliver(&[alert("lost")]).failed, 1);
        program.deliver(&[alert("two")]).unwrap();
        program.finish().unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("out")).unwrap(), lines(&["one", "two"]));
    }
}
