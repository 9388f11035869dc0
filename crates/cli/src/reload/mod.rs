//! Reload: configuration and rules are read again beside the run, and take effect between two
//! events.

mod changes;
mod reader;
mod requests;
mod schedule;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{io, thread};

use peregrine_alert::{AlertOrigin, InternalRule, Priority};
use peregrine_config::ConfigError;
use peregrine_output::AlertSender;
use peregrine_runtime::Log;
use peregrine_runtime::clock::now;
use peregrine_runtime::control::Controller;
use peregrine_telemetry::Reloads;
use peregrine_watch::Watcher;

use crate::print::print_error;

use reader::Version;
use schedule::Schedule;

pub(crate) use reader::Reader;
pub(crate) use requests::Requests;

/// Name of the alert about a failed reload, as in Falco.
const FAILURE: &str = "Falco internal: hot restart failure";
/// How long a file may be gone, as while an editor replaces it, before a change of the others is
/// taken for the removal of this one.
const GRACE: Duration = Duration::from_secs(2);

/// Reads configuration and rules again when that is requested or files change.
pub(crate) struct Reloader {
    reader: Reader,
    current: Version,
    requests: Requests,
    controller: Controller,
    reloads: Arc<Reloads>,
    failure: InternalRule,
    log: Log,
    watcher: Option<Watcher>,
    /// Paths that are known to be not watched.
    unwatched: BTreeSet<PathBuf>,
    schedule: Schedule,
    /// Since when a file of the current version is gone.
    vanished: Option<Instant>,
}

/// The run is over.
struct Over;

impl Reloader {
    /// A reloader of a run that begins with what the reader was made with.
    pub(crate) fn new(
        (reader, current): (Reader, Version),
        requests: Requests,
        controller: Controller,
        origin: &AlertOrigin,
        reloads: &Arc<Reloads>,
        log: &Log,
    ) -> Self {
        let watcher = match Watcher::new() {
            Ok(watcher) => Some(watcher),
            Err(error) => {
                log.warning(format_args!(
                    "Changes of files are not noticed, and SIGHUP reloads: {error}"
                ));
                None
            }
        };
        Self {
            reader,
            current,
            requests,
            controller,
            reloads: Arc::clone(reloads),
            failure: InternalRule::new(origin, FAILURE, Priority::Critical),
            log: log.clone(),
            watcher,
            unwatched: BTreeSet::new(),
            schedule: Schedule::default(),
            vanished: None,
        }
    }

    /// Starts the thread, which ends with the run or the process.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(crate) fn start(mut self, alerts: AlertSender) -> io::Result<()> {
        let run = move || {
            self.watch();
            while self.step(&alerts).is_ok() {}
        };
        thread::Builder::new().name("reload".to_owned()).spawn(run)?;
        Ok(())
    }

    /// Waits for a request or a change, and reloads if it is time.
    fn step(&mut self, alerts: &AlertSender) -> Result<(), Over> {
        let due = self.schedule.due();
        self.requests.wait(self.watcher.as_ref(), due.map(|due| due - Instant::now().min(due)));
        let requested = self.requests.take();
        if self.watcher.as_mut().is_some_and(Watcher::changed) {
            self.schedule.changed(Instant::now());
        }
        let now = Instant::now();
        if !requested {
            if self.schedule.due().is_none_or(|due| now < due) {
                return Ok(());
            }
            if self.misses_files(now) {
                self.schedule.postpone(now);
                return Ok(());
            }
        }
        self.reload(requested, alerts)?;
        self.schedule.done(Instant::now());
        self.watch();
        Ok(())
    }

    fn reload(&mut self, requested: bool, alerts: &AlertSender) -> Result<(), Over> {
        let begun = Instant::now();
        match self.reader.read(&self.current) {
            Ok(Some(version)) => self.install(version, begun.elapsed()),
            Ok(None) if requested => {
                self.log_restart();
                self.log.info("Configuration and rules are the same as before");
                Ok(())
            }
            Ok(None) => {
                self.log.debug("Configuration and rules are the same as before");
                Ok(())
            }
            Err(error) => {
                self.reloads.failed();
                if let Some(snippet) = error.downcast_ref().map(ConfigError::snippet) {
                    print_error(snippet);
                }
                let error = format!("{error:#}");
                let error = error.trim_end();
                self.log.error(format_args!("Reload failed, and the rules stay: {error}"));
                let text = format!("{FAILURE}: {error}");
                alerts.submit(self.failure.alert(now(), &text, BTreeMap::new()));
                Ok(())
            }
        }
    }

    /// Waits until the event thread evaluates the new rules.
    fn install(&mut self, version: Version, load: Duration) -> Result<(), Over> {
        self.log_restart();
        let installed = self.controller.reload(Arc::clone(&version.generation));
        let swap = installed.recv().map_err(|_| Over)?;
        let generation = self.reloads.done(version.files.clone(), load, swap);
        changes::log(&self.log, &self.reader, &self.current, &version);
        self.log.info(format_args!(
            "Reloaded: generation {generation}, read in {load:.1?}, events waited {swap:.1?}"
        ));
        self.current = version;
        Ok(())
    }

    /// Scripts look for this line of Falco, which writes it for changed files too.
    fn log_restart(&self) {
        self.log.info("SIGHUP received, restarting...");
    }

    /// Whether a file is gone that may come back in a moment.
    fn misses_files(&mut self, now: Instant) -> bool {
        if self.current.paths().all(Path::exists) {
            self.vanished = None;
            return false;
        }
        now.duration_since(*self.vanished.get_or_insert(now)) < GRACE
    }

    /// Watches the files as they are now. What was not watched before is read once more.
    fn watch(&mut self) {
        let Some(watcher) = &mut self.watcher else { return };
        let watched = watcher.watch(self.reader.targets());
        for failed in watched.failed {
            let path = failed.path.display();
            let line = format!("Changes of {path} are not noticed: {}", failed.cause);
            if self.unwatched.insert(failed.path) {
                self.log.warning(line);
            }
        }
        if watched.new {
            self.schedule.changed(Instant::now());
        }
    }
}
