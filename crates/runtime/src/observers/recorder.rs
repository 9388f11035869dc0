//! Recorded capture files: of all events (`-w`), and of those around alerts (`capture`).
//!
//! A file that can't be written is reported once and does not end the run: alerts matter more than
//! recordings.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use peregrine_event::Event;
use peregrine_event::source::Observation;
use peregrine_fields::Field;
use peregrine_files::{STATE_DIRECTORY, private_directory};
use peregrine_rules::Rule;
use peregrine_state::{Description, State};
use peregrine_telemetry::Heartbeat;

use crate::Log;
use crate::capture::{
    Backpressure, CaptureError, CaptureFile, CaptureWriter, FileSettings, MatchCaptureSettings,
    MatchCaptures, SizeReached,
};

/// Files that a run records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordingSettings {
    /// The file with all events.
    pub all: Option<FileSettings>,
    /// Files around matches.
    pub matches: Option<MatchCaptureSettings>,
}

/// Records events.
#[derive(Debug)]
pub struct Recorder {
    /// `None` if nothing is recorded.
    writer: Option<CaptureWriter>,
    all: AllEvents,
    matches: Option<MatchCaptures>,
    backpressure: Backpressure,
    heartbeat: Option<Arc<Heartbeat>>,
    log: Log,
}

/// The file with all events.
#[derive(Debug)]
enum AllEvents {
    Off,
    /// Created, and started by the first event.
    Ready(FileSettings, File),
    Running(CaptureFile),
    /// Continues with a new section at the next event.
    Restarting(CaptureFile),
}

impl Recorder {
    /// Creates the file for all events at once, so that a wrong name is reported before the run.
    /// The thread that writes is started only when something is to be recorded.
    ///
    /// # Errors
    /// When the file can't be created, or there is no thread.
    pub fn start(
        settings: RecordingSettings,
        backpressure: Backpressure,
        log: &Log,
    ) -> Result<Self, CaptureError> {
        let RecordingSettings { all, matches } = settings;
        let any = all.is_some() || matches.is_some();
        let all = match all {
            Some(settings) => {
                let file = settings.create()?;
                AllEvents::Ready(settings, file)
            }
            None => AllEvents::Off,
        };
        if let Some(matches) = &matches {
            prepare_directory(matches, log);
        }
        let writer = any.then(|| CaptureWriter::start(backpressure, log.clone())).transpose()?;
        let (matches, heartbeat) = (matches.map(MatchCaptures::new), None);
        Ok(Self { writer, all, matches, backpressure, heartbeat, log: log.clone() })
    }

    /// Changes what is recorded around matches. The directory must be prepared.
    pub(crate) fn configure(&mut self, settings: Option<MatchCaptureSettings>) {
        match (settings, &mut self.matches) {
            (Some(settings), Some(matches)) => matches.configure(settings),
            (Some(settings), None) => self.begin_captures(settings),
            (None, matches) => {
                if let (Some(mut matches), Some(writer)) = (matches.take(), &mut self.writer) {
                    matches.finish(writer);
                }
            }
        }
    }

    fn begin_captures(&mut self, settings: MatchCaptureSettings) {
        if self.writer.is_none() {
            match CaptureWriter::start(self.backpressure, self.log.clone()) {
                Ok(writer) => self.writer = Some(writer),
                Err(error) => return self.log.error(error),
            }
            if let (Some(writer), Some(heartbeat)) = (&mut self.writer, &self.heartbeat) {
                writer.show_waits(heartbeat);
            }
        }
        self.matches = Some(MatchCaptures::new(settings));
    }

    /// Shows here when the event thread waits for the writer.
    pub(crate) fn show_waits(&mut self, heartbeat: &Arc<Heartbeat>) {
        if let Some(writer) = &mut self.writer {
            writer.show_waits(heartbeat);
        }
        self.heartbeat = Some(Arc::clone(heartbeat));
    }

    /// A new section of the replayed capture begins.
    pub fn restart(&mut self) {
        let Some(writer) = &mut self.writer else { return };
        self.all = match std::mem::replace(&mut self.all, AllEvents::Off) {
            AllEvents::Running(file) => AllEvents::Restarting(file),
            other => other,
        };
        if let Some(matches) = &mut self.matches {
            matches.finish(writer);
        }
    }

    /// An event has arrived and is not applied to the state yet.
    #[inline]
    pub fn arrived(&mut self, event: &Event<'_>, state_only: bool, state: &State) {
        if self.writer.is_some() {
            self.write(event, state_only, state);
        }
    }

    /// Kept out of the loop of events, which most runs go through without a capture.
    #[inline(never)]
    fn write(&mut self, event: &Event<'_>, state_only: bool, state: &State) {
        let Some(writer) = &mut self.writer else { return };
        self.all = match std::mem::replace(&mut self.all, AllEvents::Off) {
            AllEvents::Off => return,
            AllEvents::Ready(settings, file) => {
                let snapshot = state.full_snapshot(event.ts);
                AllEvents::Running(writer.begin_in(file, settings, snapshot))
            }
            AllEvents::Restarting(mut file) => {
                writer.restart(&mut file, state.full_snapshot(event.ts));
                AllEvents::Running(file)
            }
            running @ AllEvents::Running(_) => running,
        };
        if let AllEvents::Running(file) = &mut self.all {
            writer.event(file, event, state_only);
        }
    }

    /// An observation is about to be applied to the state.
    pub fn observing(&mut self, observation: &Observation) {
        let Some(writer) = &mut self.writer else { return };
        let Some(description) = Description::of(observation) else { return };
        if let AllEvents::Running(file) = &mut self.all {
            writer.describe(file, &description);
        }
        if let Some(matches) = &mut self.matches {
            matches.observing(&description, writer);
        }
    }

    /// A rule matched, which is known at time `now`: at its event, or later.
    pub fn matched(&mut self, now: u64, rule: &Rule<Field>) {
        if let Some(matches) = &mut self.matches {
            let duration = Duration::from_millis(rule.capture_duration.into());
            matches.matched(now, rule.capture, duration);
        }
    }

    /// Rules are evaluated for the event. Reports a capture that has reached its size.
    #[inline]
    pub fn done(
        &mut self,
        event: &Event<'_>,
        state_only: bool,
        state: &State,
    ) -> Option<SizeReached> {
        self.matches.as_mut()?.done(event, state_only, state, self.writer.as_mut()?)
    }

    /// No event is available at time `now`.
    pub fn idle(&mut self, now: u64) {
        let Some(writer) = &mut self.writer else { return };
        if let Some(matches) = &mut self.matches {
            matches.idle(now, writer);
        }
        if let AllEvents::Running(file) = &mut self.all {
            writer.flush(file);
        }
    }

    /// Events left out because the writer did not keep up.
    pub fn dropped(&self) -> u64 {
        self.writer.as_ref().map_or(0, CaptureWriter::dropped)
    }

    /// Ends the run and waits until all files are written.
    pub fn finish(&mut self, state: &State) {
        let Some(mut writer) = self.writer.take() else { return };
        if let Some(matches) = &mut self.matches {
            matches.finish(&mut writer);
        }
        match std::mem::replace(&mut self.all, AllEvents::Off) {
            AllEvents::Off => {}
            // Without an event the file only has the state.
            AllEvents::Ready(settings, file) => {
                let snapshot = state.full_snapshot(state.first_ts());
                let file = writer.begin_in(file, settings, snapshot);
                writer.finish(file);
            }
            AllEvents::Running(file) | AllEvents::Restarting(file) => writer.finish(file),
        }
        writer.close();
    }
}

/// Makes the directory of files whose prefix is the default one. Other directories are the user's.
pub(crate) fn prepare_directory(matches: &MatchCaptureSettings, log: &Log) {
    let directory = Path::new(STATE_DIRECTORY);
    if Path::new(&matches.path_prefix).parent() == Some(directory)
        && let Err(error) = private_directory(directory)
    {
        log.error(CaptureError::Create { path: directory.to_owned(), error });
    }
}
