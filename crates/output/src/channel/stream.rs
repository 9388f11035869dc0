//! Channels that are a stream of lines: standard output and files.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use peregrine_alert::Alert;
use peregrine_files::{FileMode, append};

use super::deliver::{Channel, Outcome};
use super::error::ChannelError;
use crate::format::Formatter;

/// A file that alerts are appended to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileOutput {
    /// Its path.
    pub path: PathBuf,
    /// Keeps it open between alerts.
    pub keep_alive: bool,
    /// Its permissions if it is created.
    pub mode: FileMode,
}

/// Bytes that are collected before they are written.
const BUFFER: usize = 64 * 1024;

/// Writes alerts as lines. Without buffering, alerts that were delivered together are written at
/// once.
#[derive(Debug)]
pub(crate) struct Lines<W: Write> {
    to: W,
    pending: Vec<u8>,
    /// Alerts in `pending`.
    alerts: usize,
    buffered: bool,
}

impl<W: Write> Lines<W> {
    pub(crate) fn new(to: W, buffered: bool) -> Self {
        Self { to, pending: Vec::new(), alerts: 0, buffered }
    }

    pub(crate) fn write(&mut self, alerts: &[Alert], format: &mut Formatter) -> Outcome {
        let mut outcome = Outcome::default();
        for alert in alerts {
            format.line(alert, &mut self.pending);
            self.pending.push(b'\n');
            self.alerts += 1;
            if self.pending.len() >= BUFFER {
                outcome = outcome.and(self.flush());
            }
        }
        if self.buffered { outcome } else { outcome.and(self.flush()) }
    }

    /// Bytes that cannot be written are lost: a second attempt could repeat half a line.
    pub(crate) fn flush(&mut self) -> Outcome {
        let written = self.to.write_all(&self.pending).and_then(|()| self.to.flush());
        self.pending.clear();
        Outcome::of(std::mem::take(&mut self.alerts), written.map_err(ChannelError::from))
    }
}

/// Standard output.
#[derive(Debug)]
pub(crate) struct Stdout {
    lines: Lines<io::Stdout>,
    format: Formatter,
}

impl Stdout {
    pub(crate) fn new(format: Formatter, buffered: bool) -> Self {
        Self { lines: Lines::new(io::stdout(), buffered), format }
    }
}

impl Channel for Stdout {
    fn name(&self) -> &'static str {
        "stdout"
    }

    fn deliver(&mut self, alerts: &[Alert]) -> Outcome {
        self.lines.write(alerts, &mut self.format)
    }

    fn finish(&mut self) -> Outcome {
        self.lines.flush()
    }
}

/// A file that alerts are appended to.
#[derive(Debug)]
pub(crate) struct File {
    output: FileOutput,
    format: Formatter,
    buffered: bool,
    open: Option<Lines<fs::File>>,
}

impl File {
    pub(crate) fn new(output: FileOutput, format: Formatter, buffered: bool) -> Self {
        Self { output, format, buffered, open: None }
    }

    /// The file, and the format of its lines.
    fn open(&mut self) -> Result<(&mut Lines<fs::File>, &mut Formatter), ChannelError> {
        let lines = match self.open.take() {
            Some(lines) => lines,
            None => {
                let path = &self.output.path;
                let open = |source| ChannelError::Open { path: path.clone(), source };
                let file = append(path, self.output.mode).map_err(open)?;
                Lines::new(file, self.buffered)
            }
        };
        Ok((self.open.insert(lines), &mut self.format))
    }
}

impl Channel for File {
    fn name(&self) -> &'static str {
        "file"
    }

    fn deliver(&mut self, alerts: &[Alert]) -> Outcome {
        let (lines, format) = match self.open() {
            Ok(open) => open,
            Err(error) => return Outcome::of(alerts.len(), Err(error)),
        };
        let written = lines.write(alerts, format);
        if self.output.keep_alive { written } else { written.and(self.finish()) }
    }

    fn reopen(&mut self) -> Outcome {
        let finished = self.finish();
        finished.and(Outcome::of(0, self.open().map(|_| ())))
    }

    fn finish(&mut self) -> Outcome {
        self.open.take().map(|mut lines| lines.flush()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::testing::{alerts, formatter, lines};

    fn output(path: &Path, keep_alive: bool) -> FileOutput {
        FileOutput { path: path.to_owned(), keep_alive, mode: FileMode::PRIVATE }
    }

    #[test]
    fn buffered_lines_wait_for_the_flush() {
        let mut buffered = Lines::new(Vec::new(), true);
        buffered.write(&alerts(&["a", "b"]), &mut formatter()).unwrap();
        assert_eq!(buffered.to, b"");
        buffered.flush().unwrap();
        assert_eq!(buffered.to, lines(&["a", "b"]).as_bytes());
        let mut direct = Lines::new(Vec::new(), false);
        direct.write(&alerts(&["a"]), &mut formatter()).unwrap();
        assert_eq!(direct.to, lines(&["a"]).as_bytes());
    }

    #[test]
    fn a_file_is_appended_to_and_found_again_after_rotation() {
        let dir = tempfile::tempdir().unwrap();
        let (path, rotated) = (dir.path().join("out"), dir.path().join("out.1"));
        fs::write(&path, "before\n").unwrap();
        let mut file = File::new(output(&path, true), formatter(), false);
        file.deliver(&alerts(&["one"])).unwrap();
        fs::rename(&path, &rotated).unwrap();
        file.deliver(&alerts(&["two"])).unwrap();
        file.reopen().unwrap();
        file.deliver(&alerts(&["three"])).unwrap();
        file.finish().unwrap();
        assert_eq!(
            fs::read_to_string(&rotated).unwrap(),
            format!("before\n{}", lines(&["one", "two"]))
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), lines(&["three"]));
    }

    #[test]
    fn a_file_that_is_not_kept_open_follows_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let (path, rotated) = (dir.path().join("out"), dir.path().join("out.1"));
        let mut file = File::new(output(&path, false), formatter(), true);
        file.deliver(&alerts(&["one"])).unwrap();
        fs::rename(&path, &rotated).unwrap();
        file.deliver(&alerts(&["two"])).unwrap();
        assert_eq!(fs::read_to_string(&rotated).unwrap(), lines(&["one"]));
        assert_eq!(fs::read_to_string(&path).unwrap(), lines(&["two"]));
    }

    #[test]
    fn a_file_that_can_not_be_opened_is_named() {
        let path = Path::new("/nonexistent/dir/out");
        let error = File::new(output(path, true), formatter(), false).deliver(&alerts(&["x"]));
        assert!(
            error
                .unwrap_err()
                .to_string()
                .starts_with("failed to open output file /nonexistent/dir/out: ")
        );
    }
}
