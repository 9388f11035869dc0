//! Reload: configuration and rules are read again beside the run, and take effect between two
//! events.
//!
//! What is read, and how, is known to an implementation of [`Versions`].

mod requests;
mod schedule;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{io, thread};

use peregrine_alert::{AlertOrigin, InternalRule, Priority};
use peregrine_output::AlertSender;
use peregrine_telemetry::{LoadedFiles, Reloads};
use peregrine_watch::{Target, Watcher};

use crate::clock::now;
use crate::control::Controller;
use crate::observers::prepare_directory;
use crate::service::ReloadOutcome;
use crate::{Log, Update};

use schedule::Schedule;

pub use requests::Requests;

/// Name of the alert about a failed reload, as in Falco.
const FAILURE: &str = "Falco internal: hot restart failure";
/// How long a file may be gone, as while an editor replaces it, before a change of the others is
/// taken for the removal of this one.
const GRACE: Duration = Duration::from_secs(2);

/// The versions of configuration and rules: the one in force, and the one that was read last.
pub trait Versions: Send {
    /// Reads everything; `None` if it is the same as in force.
    ///
    /// # Errors
    /// Text that says why the run could not be started with it.
    fn read(&mut self) -> Result<Option<Update>, String>;

    /// The version that was read last is in force now: logs what has changed. Returns what it was
    /// read from.
    fn install(&mut self) -> LoadedFiles;

    /// Whether a file of the version in force does not exist.
    fn misses_files(&self) -> bool;

    /// What is to be watched.
    fn targets(&self) -> &[Target];
}

/// Reads configuration and rules again when that is requested or files change.
pub struct Reloader {
    versions: Box<dyn Versions>,
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
    /// A reloader of a run that begins with the first of these versions.
    pub fn new(
        versions: Box<dyn Versions>,
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
            versions,
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
    pub fn start(mut self, alerts: AlertSender) -> io::Result<()> {
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
        let (begun, service) = (Instant::now(), self.controller.service());
        if requested {
            // The manager that has sent the signal waits for this.
            service.reloading();
        }
        let outcome = match self.versions.read() {
            Ok(Some(update)) => {
                let rules = update.generation.iter().count();
                service.reloading();
                self.install(update, begun.elapsed())?;
                ReloadOutcome::Rules(rules)
            }
            Ok(None) if requested => {
                self.log_restart();
                self.log.info("Configuration and rules are the same as before");
                ReloadOutcome::Unchanged
            }
            Ok(None) => {
                self.log.debug("Configuration and rules are the same as before");
                return Ok(());
            }
            Err(error) => {
                self.reloads.failed();
                let error = error.trim_end();
                self.log.error(format_args!("Reload failed, and the rules stay: {error}"));
                let text = format!("{FAILURE}: {error}");
                alerts.submit(self.failure.alert(now(), &text, BTreeMap::new()));
                ReloadOutcome::Failed
            }
        };
        service.reloaded(outcome);
        Ok(())
    }

    /// Waits until the event thread evaluates the new rules.
    fn install(&mut self, update: Update, load: Duration) -> Result<(), Over> {
        self.log_restart();
        if let Some(captures) = &update.policies.captures {
            prepare_directory(captures, &self.log);
        }
        let swap = self.controller.reload(update).recv().map_err(|_| Over)?;
        let generation = self.reloads.done(self.versions.install(), load, swap);
        self.log.info(format_args!(
            "Reloaded: generation {generation}, read in {load:.1?}, events waited {swap:.1?}"
        ));
        Ok(())
    }

    /// Scripts look for this line of Falco, which writes it for changed files too.
    fn log_restart(&self) {
        self.log.info("SIGHUP received, restarting...");
    }

    /// Whether a file is gone that may come back in a moment.
    fn misses_files(&mut self, now: Instant) -> bool {
        if !self.versions.misses_files() {
            self.vanished = None;
            return false;
        }
        now.duration_since(*self.vanished.get_or_insert(now)) < GRACE
    }

    /// Watches the files as they are now. What was not watched before is read once more.
    fn watch(&mut self) {
        let Some(watcher) = &mut self.watcher else { return };
        let watched = watcher.watch(self.versions.targets());
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
