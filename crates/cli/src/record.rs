//! The files that a run writes on the way: all events (`-w`), and those around alerts (`capture`).
//!
//! A file that can't be written is told of once, and the run goes on: alerts matter more than recordings.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use peregrine_alert::Priority;
use peregrine_config::CaptureMode;
use peregrine_engine::Match;
use peregrine_engine::recorder::{CaptureConfig, Captures, RecordError, Recording};
use peregrine_event::Event;
use peregrine_output::{Message, Scalar};
use peregrine_state::State;

use crate::log::Log;
use crate::run::Job;
use crate::watch::now;

/// What is recorded.
pub(crate) struct Recorder {
    all: All,
    captures: Option<Captures>,
    max_mb: u64,
    log: Arc<Log>,
}

/// The file with all events.
enum All {
    None,
    /// Begins with the first event.
    Ready(PathBuf),
    Running(Box<Recording>),
    /// Goes on with a new capture at the next event.
    Restarting(Box<Recording>),
}

impl Recorder {
    /// What the command line and the configuration ask for. A file for all events is made at once, so that a wrong name is
    /// told now.
    pub(crate) fn new(job: &Job<'_>) -> anyhow::Result<Self> {
        let all = match &job.options.write {
            None => All::None,
            Some(path) => {
                File::create(path)
                    .with_context(|| format!("cannot record into {}", path.display()))?;
                All::Ready(path.clone())
            }
        };
        let keys = &job.config.capture;
        let captures = keys.enabled.then(|| {
            let all_rules = keys.mode == CaptureMode::AllRules;
            job.log.info(format_args!(
                "Capture is enabled in mode '{}'. Capturing events to {}",
                if all_rules { "all_rules" } else { "rules" },
                keys.path_prefix
            ));
            Captures::new(CaptureConfig {
                path_prefix: keys.path_prefix.clone(),
                all_rules,
                default_duration: Duration::from_millis(keys.default_duration.into()),
                max_bytes: (keys.max_file_size_mb > 0).then_some(keys.max_file_size_mb << 20),
            })
        });
        let log = Arc::clone(&job.log);
        Ok(Self { all, captures, max_mb: keys.max_file_size_mb, log })
    }

    /// Another capture begins.
    pub(crate) fn restart(&mut self) {
        self.all = match std::mem::replace(&mut self.all, All::None) {
            All::Running(recording) => All::Restarting(recording),
            other => other,
        };
        let result = self.captures.as_mut().map_or(Ok(()), Captures::restart);
        self.tell(result);
    }

    /// Something happened that the state does not know yet.
    #[inline]
    pub(crate) fn arrived(&mut self, event: &Event<'_>, state_only: bool, state: &State) {
        if let Some(captures) = &mut self.captures {
            captures.arrived(event);
        }
        if !matches!(self.all, All::None) {
            self.record(event, state_only, state);
        }
    }

    /// A rule matched the event being looked at.
    pub(crate) fn matched(&mut self, matched: &Match<'_>) {
        if let Some(captures) = &mut self.captures {
            let duration = Duration::from_millis(matched.rule.capture_duration.into());
            captures.hit(matched.event.ts, matched.rule.capture, duration);
        }
    }

    /// An event is done with. A message tells when its capture has got too large.
    #[inline]
    pub(crate) fn done(
        &mut self,
        event: &Event<'_>,
        state_only: bool,
        state: &State,
    ) -> Option<Message> {
        match self.captures.as_mut()?.event(event, state_only, state) {
            Ok(None) => None,
            Ok(Some(reached)) => Some(self.size_reached(reached.written)),
            Err(error) => {
                self.log.error(error);
                None
            }
        }
    }

    /// No event has come, and it is later now.
    pub(crate) fn idle(&mut self, now: u64) {
        let result = self.captures.as_mut().map_or(Ok(()), |captures| captures.idle(now));
        self.tell(result);
    }

    /// The run is over.
    pub(crate) fn finish(&mut self, state: &State) {
        let result = self.captures.as_mut().map_or(Ok(()), Captures::finish);
        self.tell(result);
        let result = match std::mem::replace(&mut self.all, All::None) {
            All::None => Ok(()),
            // Nothing has happened: that is told with the state alone.
            All::Ready(path) => {
                Recording::create(&path, state).and_then(Recording::finish).map(drop)
            }
            All::Running(recording) | All::Restarting(recording) => recording.finish().map(drop),
        };
        self.tell(result);
    }

    fn record(&mut self, event: &Event<'_>, state_only: bool, state: &State) {
        let recording = match std::mem::replace(&mut self.all, All::None) {
            All::None => return,
            All::Ready(path) => Recording::create(&path, state).map(Box::new),
            All::Running(recording) => Ok(recording),
            All::Restarting(mut recording) => recording.restart(state).map(|()| recording),
        };
        let recorded = recording.and_then(|mut recording| {
            recording.event(event, state_only)?;
            Ok(recording)
        });
        match recorded {
            Ok(recording) => self.all = All::Running(recording),
            Err(error) => self.log.error(error),
        }
    }

    fn size_reached(&self, written: u64) -> Message {
        let rule = "Falco internal: capture size limit reached";
        let max = self.max_mb;
        let fields = [("max_file_size_mb", max), ("written_bytes", written)];
        Message {
            ts: now(),
            priority: Priority::Informational,
            rule: rule.to_owned(),
            text: format!("{rule}. Configured limit: {max} MB."),
            fields: fields.map(|(name, value)| (name.to_owned(), Scalar::Uint(value))).into(),
        }
    }

    fn tell(&self, result: Result<(), RecordError>) {
        if let Err(error) = result {
            self.log.error(error);
        }
    }
}
