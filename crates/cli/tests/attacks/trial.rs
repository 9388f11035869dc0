//! One attack from its beginning to its outcome, and what every attack must not achieve.

use std::fmt::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::agent::{Agent, Alerts};
use crate::health::{Health, HealthProbe, get};
use crate::place::Place;
use crate::quiet::Quiet;

/// How long the agent may take to start on a busy machine.
const START: Duration = Duration::from_secs(20);
/// How long an alert may take on a busy machine. An attack that stops the agent delays alerts for
/// as long as it likes.
const DELAY: Duration = Duration::from_secs(10);
/// How long SIGTERM may take.
const END: Duration = Duration::from_secs(5);
/// How long a test waits for what should not take so long.
const PATIENCE: Duration = Duration::from_secs(20);
/// Most memory that the agent may use, unless an attack says otherwise.
pub(crate) const MEMORY: u64 = 192 << 20;

/// An attack in progress.
pub(crate) struct Trial {
    pub(crate) place: Place,
    agent: Option<Agent>,
    quiet: Option<Quiet>,
    health: Option<HealthProbe>,
    measured: String,
    broken: Vec<String>,
    skipped: Option<String>,
    /// Memory of the agent at its start.
    resident: u64,
}

/// How an attack ended.
pub(crate) enum Outcome {
    Ok(String),
    Failed(String, Vec<String>),
    Skipped(String),
}

impl Trial {
    pub(crate) fn new(name: &str) -> Result<Self, String> {
        Ok(Self {
            place: Place::new(name)?,
            agent: None,
            quiet: None,
            health: None,
            measured: String::new(),
            broken: Vec::new(),
            skipped: None,
            resident: 0,
        })
    }

    /// Starts the agent, then the quiet group and a prober of its health.
    pub(crate) fn start(&mut self, alerts: Alerts, more: &[&str]) {
        self.start_acting(alerts, more, Duration::from_millis(250));
    }

    /// The same with this interval between two acts of the quiet group.
    pub(crate) fn start_acting(&mut self, alerts: Alerts, more: &[&str], interval: Duration) {
        let mut agent = Agent::start(&self.place, alerts, more);
        match agent.wait_started(START) {
            Some(time) => {
                self.note("started after", millis(time));
                self.resident = agent.memory("VmRSS").unwrap_or(0);
            }
            None if agent.log().contains("cannot watch this kernel") => {
                self.skipped = Some("this kernel cannot be monitored".to_owned());
                return;
            }
            None => self.broken(format!("no start within {START:?}")),
        }
        self.health = agent.address().map(HealthProbe::start);
        self.agent = Some(agent);
        self.quiet = Some(Quiet::start(&self.place, interval));
    }

    /// The agent, if it was started.
    pub(crate) fn agent(&mut self) -> Option<&mut Agent> {
        self.agent.as_mut()
    }

    /// Resident memory of the agent that it did not have at its start.
    pub(crate) fn growth(&self) -> u64 {
        let now = self.agent.as_ref().and_then(|agent| agent.memory("VmRSS"));
        now.unwrap_or(0).saturating_sub(self.resident)
    }

    /// Says that the attack cannot be performed here.
    pub(crate) fn skip(&mut self, why: impl Into<String>) {
        self.skipped = Some(why.into());
    }

    /// A promise that was not kept.
    pub(crate) fn broken(&mut self, what: impl Into<String>) {
        self.broken.push(what.into());
    }

    /// A promise.
    pub(crate) fn promise(&mut self, kept: bool, what: impl FnOnce() -> String) {
        if !kept {
            self.broken(what());
        }
    }

    /// The value of a metric of Prometheus; 0 if it is not told.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let address = self.agent.as_ref().and_then(Agent::address);
        let page = address.and_then(|address| get(address, "/metrics", PATIENCE));
        let (_, page) = page.unwrap_or_default();
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok()).unwrap_or_default()
    }

    /// Adds a measurement to the output.
    pub(crate) fn note(&mut self, what: &str, value: impl std::fmt::Display) {
        let comma = if self.measured.is_empty() { "" } else { ", " };
        let _ = write!(self.measured, "{comma}{what} {value}");
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, time: Duration) {
        thread::sleep(time);
    }

    /// Waits until all acts of the quiet group are alerts; ends the agent by this signal; checks
    /// alerts, health, memory and the time of its end.
    pub(crate) fn conclude(&mut self, signal: Signal, memory: u64) {
        let Some(mut agent) = self.agent.take() else { return };
        if let Some(quiet) = self.quiet.take() {
            self.check_alerts(&agent, quiet.stop());
        }
        if let Some(health) = self.health.take() {
            self.check_health(&health.end());
        }
        if let Some(resident) = agent.memory("VmRSS") {
            self.note("resident", megabytes(resident));
        }
        match agent.memory("VmHWM") {
            Some(peak) => {
                self.note("peak", megabytes(peak));
                let kept = peak <= memory;
                let (peak, most) = (megabytes(peak), megabytes(memory));
                self.promise(kept, || format!("{peak} of memory, more than {most}"));
            }
            None => self.broken("the agent has ended by itself"),
        }
        agent.signal(signal);
        match agent.wait_ended(PATIENCE) {
            Some(time) => {
                self.note("ended after", millis(time));
                self.promise(time <= END, || format!("the end takes {}", millis(time)));
            }
            None => self.broken(format!("no end within {PATIENCE:?}")),
        }
        if !self.broken.is_empty() || std::env::var_os("PEREGRINE_ATTACK_LOG").is_some() {
            eprintln!("{}", agent.log());
        }
        self.agent = Some(agent);
    }

    fn check_alerts(&mut self, agent: &Agent, acts: usize) {
        let deadline = Instant::now() + PATIENCE;
        let arrived = || agent.seen(|seen| seen.delays.len());
        while arrived() < acts && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(20));
        }
        let (got, slowest) = agent.seen(|seen| {
            (seen.delays.len(), seen.delays.values().max().copied().unwrap_or_default())
        });
        self.note("alerts", format_args!("{got}/{acts}"));
        self.note("slowest", millis(slowest));
        self.promise(acts > 0, || "the quiet group did nothing".to_owned());
        self.promise(got == acts, || format!("{} alerts are missing", acts.saturating_sub(got)));
        self.promise(slowest <= DELAY, || format!("an alert took {}", millis(slowest)));
    }

    fn check_health(&mut self, health: &Health) {
        let Health { asked, unanswered, unhealthy, slowest } = health;
        self.note("health", format_args!("{}/{asked}", asked - unanswered - unhealthy));
        self.note("slowest", millis(*slowest));
        self.promise(*unanswered == 0, || format!("/healthz did not answer {unanswered} times"));
        self.promise(*unhealthy == 0, || format!("/healthz told a stall {unhealthy} times"));
    }

    /// Ends all processes and removes everything.
    pub(crate) fn finish(mut self) -> Outcome {
        self.quiet = None;
        if let Some(health) = self.health.take() {
            health.end();
        }
        let cleared = self.place.clear();
        if let Err(error) = cleared
            // What has not ended before is told already.
            && self.broken.is_empty()
        {
            self.broken(error);
        }
        drop(self.agent.take());
        match self.skipped {
            Some(why) => Outcome::Skipped(why),
            None if self.broken.is_empty() => Outcome::Ok(self.measured),
            None => Outcome::Failed(self.measured, self.broken),
        }
    }
}

impl Outcome {
    /// Its line of the output.
    pub(crate) fn line(&self, attack: &str) -> String {
        match self {
            Self::Ok(measured) => format!("ok\t{attack}\t{measured}"),
            Self::Failed(measured, broken) => {
                format!("FAILED\t{attack}\t{measured}\t{}", broken.join("; "))
            }
            Self::Skipped(why) => format!("skipped\t{attack}\t{why}"),
        }
    }
}

/// A time in whole milliseconds.
pub(crate) fn millis(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}

/// A size in whole megabytes.
pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes >> 20)
}
