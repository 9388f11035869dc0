//! A program that reads alerts from its standard input.

use std::process::{Child, ChildStdin, Command, Stdio};

use peregrine_alert::Alert;

use super::deliver::Channel;
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
        let mut child = Command::new("sh")
            .arg("-c")
            .arg(command)
            .stdin(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let stdin =
            child.stdin.take().ok_or_else(|| failed(std::io::ErrorKind::BrokenPipe.into()))?;
        Ok(Running { child, lines: Lines::new(stdin, self.buffered) })
    }

    /// Closes the program's input and waits for it to end.
    fn stop(&mut self) -> Result<(), ChannelError> {
        let Some(Running { mut child, mut lines }) = self.running.take() else { return Ok(()) };
        let flushed = lines.flush();
        drop(lines);
        child.wait()?;
        Ok(flushed?)
    }
}

impl Channel for Program {
    fn name(&self) -> &'static str {
        "program"
    }

    fn deliver(&mut self, alerts: &[Alert]) -> Result<(), ChannelError> {
        if self.output.keep_alive {
            let (running, format) = self.start()?;
            let written = running.lines.write(alerts, format);
            if written.is_err() {
                // The program has exited; the next alert starts a new one.
                let _ = self.stop();
            }
            return Ok(written?);
        }
        for alert in alerts {
            let (running, format) = self.start()?;
            let written = running.lines.write(std::slice::from_ref(alert), format);
            self.stop()?;
            written?;
        }
        Ok(())
    }

    fn reopen(&mut self) -> Result<(), ChannelError> {
        self.stop()?;
        self.start().map(|_| ())
    }

    fn finish(&mut self) -> Result<(), ChannelError> {
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
        assert!(program.deliver(&[alert("lost")]).is_err());
        program.deliver(&[alert("two")]).unwrap();
        program.finish().unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("out")).unwrap(), lines(&["one", "two"]));
    }
}
