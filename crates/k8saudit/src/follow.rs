//! A file that an API server goes on to write, and replaces now and then.

use std::fs::{self, File};
use std::io::{self, BufReader, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use peregrine_telemetry::AuditStats;

use crate::error::AuditError;
use crate::files::{Lines, spawn};
use crate::queue::Filler;
use crate::settings::Settings;

/// Time between two looks at the file.
const PAUSE: Duration = Duration::from_millis(50);

/// Follows the file from its end on. It need not exist yet.
pub(crate) fn start(
    path: &Path,
    settings: &Settings,
    filler: Filler,
    stats: &Arc<AuditStats>,
) -> Result<(), AuditError> {
    let mut lines = Lines::new(settings, filler, stats);
    let mut follower = Follower { path: path.to_owned(), file: None };
    // Before the source counts as open, so that what is written from then on is not missed.
    follower.open(true);
    spawn(move || {
        while !lines.filler.is_closed() {
            // Errors pass: the file may be missing for a moment, or be replaced.
            if matches!(follower.read(&mut lines), Ok(false)) {
                return;
            }
            thread::sleep(PAUSE);
        }
    })
}

struct Follower {
    path: PathBuf,
    /// The file that is read, with its inode.
    file: Option<(BufReader<File>, (u64, u64))>,
}

impl Follower {
    fn open(&mut self, at_end: bool) {
        self.file = File::open(&self.path).ok().and_then(|mut file| {
            let metadata = file.metadata().ok()?;
            if at_end {
                file.seek(SeekFrom::End(0)).ok()?;
            }
            Some((BufReader::with_capacity(64 << 10, file), (metadata.dev(), metadata.ino())))
        });
    }

    /// Reads what is new. False when nothing takes the events any more.
    fn read(&mut self, lines: &mut Lines) -> io::Result<bool> {
        // What was written before the file was replaced is still in the old one.
        if let Some((reader, _)) = &mut self.file {
            let position = reader.stream_position()?;
            if reader.get_ref().metadata()?.len() < position {
                reader.seek(SeekFrom::Start(0))?;
                lines.forget();
            }
            if !lines.follow(reader)? {
                return Ok(false);
            }
        }
        let Ok(metadata) = fs::metadata(&self.path) else { return Ok(true) };
        let inode = (metadata.dev(), metadata.ino());
        if self.file.as_ref().is_none_or(|(_, open)| *open != inode) {
            lines.forget();
            self.open(false);
            if let Some((reader, _)) = &mut self.file {
                return lines.follow(reader);
            }
        }
        Ok(true)
    }
}
