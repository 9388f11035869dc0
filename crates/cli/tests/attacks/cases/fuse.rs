//! File systems whose server does not answer: below the root directory of a container, and behind
//! what a process has open, runs and has mapped.

use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use super::foreign::text;
use crate::agent::Alerts;
use crate::attacker::{Attacker, CONTAINER};
use crate::trial::{MEMORY, Trial};

pub(super) fn accounts(trial: &mut Trial) {
    let group = trial.place.container(1);
    let jail = trial.place.path("jail");
    let start = trial.place.outside("attack");
    trial.start(Alerts::Stdout, &[]);
    let actor = ["fuse-accounts", text(&jail), &group];
    let mut attacker = Attacker::start(&start, CONTAINER, &actor);
    if let Some(why) = skipped(&mut attacker) {
        return trial.skip(why);
    }
    for _ in 0..10 {
        attacker.does("run");
        trial.pass(Duration::from_millis(300));
    }
    trial.note("requests", attacker.does("run"));
    trial.conclude(Signal::TERM, MEMORY);
}

/// Why an actor cannot do its part.
pub(super) fn skipped(attacker: &mut Attacker) -> Option<String> {
    thread::sleep(Duration::from_millis(100));
    attacker.answers().next()
}

pub(super) fn fd(trial: &mut Trial) {
    hidden(trial, &["holds"]);
}

pub(super) fn executable(trial: &mut Trial) {
    hidden(trial, &["runs"]);
}

pub(super) fn memory(trial: &mut Trial) {
    hidden(trial, &["mmap-lock"]);
}

/// Many processes, each of which costs the agent the time of a lookup.
pub(super) fn crowd(trial: &mut Trial) {
    hidden(trial, &["mmap-lock"; 60]);
}

/// Processes that the agent first hears of when their file system no longer answers.
fn hidden(trial: &mut Trial, names: &[&str]) {
    let Some(mut attacker) = victims(trial, names) else { return };
    trial.start(Alerts::Stdout, &[]);
    attacker.does("silence");
    trial.place.enter(&trial.place.outside("attack"), &trial.place.group("attack"));
    trial.pass(Duration::from_secs(4));
    trial.note("requests", attacker.does("count"));
    trial.conclude(Signal::TERM, MEMORY);
}

pub(super) fn before_start(trial: &mut Trial) {
    let names = ["holds", "runs", "mmap-lock"];
    let Some(mut attacker) = victims(trial, &names) else { return };
    attacker.does("silence");
    trial.place.enter(&trial.place.outside("attack"), &trial.place.group("attack"));
    trial.start(Alerts::Stdout, &[]);
    trial.pass(Duration::from_secs(4));
    trial.note("requests", attacker.does("count"));
    trial.conclude(Signal::INT, MEMORY);
}

/// Starts a FUSE server and its victims outside of what is monitored.
pub(super) fn victims(trial: &mut Trial, names: &[&str]) -> Option<Attacker> {
    let directory = trial.place.path("fuse");
    let actor = [&["fuse-files", text(&directory)], names].concat();
    let mut attacker = Attacker::start(&trial.place.outside("attack"), CONTAINER, &actor);
    if let Some(why) = skipped(&mut attacker) {
        trial.skip(why);
        return None;
    }
    Some(attacker)
}
