//! Captures around matches: what happens from a match on, one file after another.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use peregrine_event::Event;
use peregrine_scap::Compression;
use peregrine_state::State;

use super::writer::{CaptureFile, CaptureWriter, FileSettings};

/// When captures around matches begin and end (`capture` of the configuration).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchCaptureSettings {
    /// Prefix of the names of the files.
    pub path_prefix: String,
    /// Whether every match starts one, or only those of rules that ask for it.
    pub all_rules: bool,
    /// How long to record after a match whose rule does not say.
    pub default_duration: Duration,
    /// Size at which a file ends.
    pub max_bytes: Option<u64>,
}

/// Records what happens around matches.
#[derive(Debug)]
pub(crate) struct MatchCaptures {
    settings: MatchCaptureSettings,
    state: Phase,
    described: Described,
}

/// Where a capture is.
#[derive(Debug)]
enum Phase {
    Off,
    /// The current event has matched a rule that asks for one. With the time at which it ends.
    Requested(u64),
    /// With the time at which it ends.
    Running(CaptureFile, u64),
}

/// A file has reached its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeReached {
    /// The limit.
    pub max_bytes: u64,
    /// Its size.
    pub written: u64,
}

/// Events that described users, groups and containers: a snapshot has no place for all that they say, so files begin
/// with them.
#[derive(Debug, Default)]
struct Described {
    events: VecDeque<(u16, Vec<u8>)>,
    bytes: usize,
}

/// Bytes of such events that are kept; the oldest go first.
const MAX_DESCRIBED: usize = 16 << 20;

impl MatchCaptures {
    /// Records nothing yet.
    pub(crate) fn new(settings: MatchCaptureSettings) -> Self {
        Self { settings, state: Phase::Off, described: Described::default() }
    }

    /// An event has arrived that a file may have to begin with.
    #[inline]
    pub(crate) fn arrived(&mut self, event: &Event<'_>) {
        if event.ty.describes_machine() {
            self.described.push(event);
        }
    }

    /// Another capture is replayed from now on: what was described is void.
    pub(crate) fn restart(&mut self, writer: &mut CaptureWriter) {
        self.described = Described::default();
        self.finish(writer);
    }

    /// A rule matched the current event. `duration` is what the rule says; zero for nothing. Any match prolongs a
    /// capture; only some start one.
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

    /// Rules were evaluated for the event: it is recorded, after the state that it has led to where it is the first.
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
            Phase::Requested(deadline) => {
                let mut file = writer.create(self.file(event), state.snapshot(|_| true));
                self.described.write(event, &mut file, writer);
                (file, deadline)
            }
        };
        if !file.has_ended() {
            writer.event(&mut file, event, state_only);
            if self.settings.max_bytes.is_some() && writer.waits() {
                // A replay gives the same files each time.
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

    /// No event has come and it is `now`: ends a capture that is over.
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
        }
    }
}

impl Described {
    fn push(&mut self, event: &Event<'_>) {
        self.bytes += event.bytes().len();
        self.events.push_back((event.cpu, event.bytes().to_vec()));
        while self.bytes > MAX_DESCRIBED {
            let Some((_, oldest)) = self.events.pop_front() else { break };
            self.bytes -= oldest.len();
        }
    }

    /// Writes what was described before this event.
    fn write(&self, first: &Event<'_>, file: &mut CaptureFile, writer: &mut CaptureWriter) {
        let known = self.events.iter().filter(|(_, bytes)| bytes != first.bytes());
        for (cpu, bytes) in known {
            if let Ok(event) = Event::parse(bytes, *cpu) {
                writer.event(file, &event, true);
            }
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
