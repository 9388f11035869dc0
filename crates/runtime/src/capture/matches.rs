//! Captures around matches: one file at a time, from a match on.

use std::path::PathBuf;
use std::time::Duration;

use peregrine_event::Event;
use peregrine_files::FileMode;
use peregrine_scap::Compression;
use peregrine_state::{Description, State};

use super::OldestReader;
use super::writer::{CaptureFile, CaptureWriter, FileSettings};

/// When captures around matches begin and end (`capture` of the configuration).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchCaptureSettings {
    /// Prefix of the names of the files.
    pub path_prefix: String,
    /// Whether every match starts a capture, or only those of rules with `capture`.
    pub all_rules: bool,
    /// Duration after a match whose rule does not set one.
    pub default_duration: Duration,
    /// Size at which a file ends.
    pub max_bytes: Option<u64>,
    /// Permissions of the files.
    pub mode: FileMode,
    /// The oldest program that shall read them.
    pub oldest_reader: OldestReader,
}

/// Records events around matches.
#[derive(Debug)]
pub(crate) struct MatchCaptures {
    settings: MatchCaptureSettings,
    state: Phase,
}

/// The phase of a capture.
#[derive(Debug)]
enum Phase {
    Off,
    /// The current event requests one, which ends at this time.
    Requested(u64),
    /// It ends at this time.
    Running(CaptureFile, u64),
}

/// A file has reached its maximum size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeReached {
    /// The limit.
    pub max_bytes: u64,
    /// Its size.
    pub written: u64,
}

impl MatchCaptures {
    /// Not recording.
    pub(crate) fn new(settings: MatchCaptureSettings) -> Self {
        Self { settings, state: Phase::Off }
    }

    /// Changes what is recorded. A capture that runs goes on.
    pub(crate) fn configure(&mut self, settings: MatchCaptureSettings) {
        self.settings = settings;
    }

    /// A rule matched the current event. `duration` is that of the rule, or zero for the default.
    /// Every match prolongs a running capture, but only some start one.
    pub(crate) fn matched(&mut self, ts: u64, starts: bool, duration: Duration) {
        let duration = if duration.is_zero() { self.settings.default_duration } else { duration };
        let deadline = ts.saturating_add(duration.as_nanos().try_into().unwrap_or(u64::MAX));
        match &mut self.state {
            Phase::Requested(end) | Phase::Running(_, end) => *end = deadline.max(*end),
            Phase::Off if starts || self.settings.all_rules => {
                self.state = Phase::Requested(deadline);
            }
            Phase::Off => {}
        }
    }

    /// Records the event, whose rules are evaluated. The first one follows the state after it.
    #[inline]
    pub(crate) fn done(
        &mut self,
        event: &Event<'_>,
        state_only: bool,
        state: &State,
        writer: &mut CaptureWriter,
    ) -> Option<SizeReached> {
        match self.state {
            Phase::Off => None,
            _ => self.record(event, state_only, state, writer),
        }
    }

    fn record(
        &mut self,
        event: &Event<'_>,
        state_only: bool,
        state: &State,
        writer: &mut CaptureWriter,
    ) -> Option<SizeReached> {
        let (mut file, deadline) = match std::mem::replace(&mut self.state, Phase::Off) {
            Phase::Off => return None,
            Phase::Running(file, deadline) => (file, deadline),
            // The snapshot of a file takes time and memory.
            Phase::Requested(_) if writer.is_behind() => return None,
            Phase::Requested(deadline) => {
                (writer.create(self.file(event), state.full_snapshot(event.ts)), deadline)
            }
        };
        if !file.has_ended() {
            writer.event(&mut file, event, state_only);
            if self.settings.max_bytes.is_some() && writer.waits() {
                // Replays are reproducible.
                writer.flush(&mut file);
                writer.sync();
            }
        }
        if file.has_ended() {
            let max_bytes = self.settings.max_bytes?;
            return file.full().map(|written| SizeReached { max_bytes, written });
        }
        if event.ts >= deadline {
            writer.finish(file);
        } else {
            self.state = Phase::Running(file, deadline);
        }
        None
    }

    /// Ends the running capture.
    pub(crate) fn finish(&mut self, writer: &mut CaptureWriter) {
        if let Phase::Running(file, _) = std::mem::replace(&mut self.state, Phase::Off) {
            writer.finish(file);
        }
    }

    /// An observation is made after the last event. Records it while a capture runs.
    pub(crate) fn observing(&mut self, description: &Description, writer: &mut CaptureWriter) {
        if let Phase::Running(file, _) = &mut self.state {
            writer.describe(file, description);
        }
    }

    /// No event is available at time `now`: ends a capture that is over.
    pub(crate) fn idle(&mut self, now: u64, writer: &mut CaptureWriter) {
        match &self.state {
            Phase::Running(_, deadline) if now >= *deadline => self.finish(writer),
            _ => {}
        }
    }

    fn file(&self, event: &Event<'_>) -> FileSettings {
        // Names sort by time.
        let (prefix, ts, num) = (&self.settings.path_prefix, event.ts, event.num);
        FileSettings {
            path: PathBuf::from(format!("{prefix}_{ts:020}_{num:020}.scap")),
            compression: Compression::Gzip,
            max_bytes: self.settings.max_bytes,
            mode: self.settings.mode,
            oldest_reader: self.settings.oldest_reader,
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
