//! Load: what makes many alerts, many threads, large account files.

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

use crate::agent::Alerts;
use crate::attacker::{Attacker, CONTAINER};
use crate::trial::{MEMORY, Trial, megabytes};

/// Memory that may be kept: nothing of 80 MB of account files.
const KEPT: u64 = 48 << 20;
/// Containers that end.
const CONTAINERS: u32 = 20;
/// Executions of the first process of a container, as fast as they go.
const EXECS: u32 = 2000;
/// Threads of one process. Few kernels allow more than 32,768 of all.
const THREADS: u64 = 6000;
/// Threads that the agent first hears of one by one.
const UNKNOWN: u64 = 2000;
/// Bytes of arguments and environment of that process.
const TEXTS: usize = 4000;

pub(super) fn blocked_output(trial: &mut Trial) {
    let directory = trial.place.directory().to_str().unwrap().to_owned();
    let mut attacker = Attacker::start(&trial.place.group("attack"), &[], &["loop", &directory]);
    trial.start(Alerts::FileOnly, &[]);
    let looped = attacker.does("6");
    trial.note("calls", looped);
    trial.conclude(Signal::TERM, MEMORY);
}

/// Starts containers with account files of 4 MiB.
pub(super) fn containers(trial: &Trial, jail: &str, count: u32) -> Attacker {
    let groups: Vec<_> = (0..count).map(|number| trial.place.container(number)).collect();
    let jail = trial.place.path(jail);
    let mut actor = vec!["containers", jail.to_str().unwrap()];
    actor.extend(groups.iter().map(String::as_str));
    Attacker::start(&trial.place.outside("attack"), CONTAINER, &actor)
}

pub(super) fn container_accounts(trial: &mut Trial) {
    trial.start(Alerts::Stdout, &[]);
    let mut attacker = containers(trial, "jail", CONTAINERS);
    attacker.does("live");
    trial.pass(Duration::from_secs(1));
    let reads = trial.metric("peregrine_account_reads_total");
    trial.note("reads", reads);
    trial.promise(reads > 0.0, || "account files were not read".to_owned());
    let growth = trial.growth();
    trial.note("growth", megabytes(growth));
    trial.promise(growth < KEPT, || "the accounts of ended containers are kept".to_owned());
    trial.conclude(Signal::TERM, MEMORY);
}

pub(super) fn exec_storm(trial: &mut Trial) {
    trial.start(Alerts::Stdout, &[]);
    let mut attacker = containers(trial, "jail", 1);
    let storm = attacker.does(&format!("storm {EXECS}"));
    trial.note("execs", storm);
    trial.conclude(Signal::TERM, MEMORY);
}

pub(super) fn threads(trial: &mut Trial) {
    let mut attacker = many_threads(&trial.place.group("attack"), THREADS);
    trial.note("with", attacker.does("count"));
    trial.start(Alerts::Stdout, &[]);
    trial.pass(Duration::from_secs(2));
    let growth = trial.growth();
    trial.note("growth", megabytes(growth));
    trial.promise(growth < KEPT, || "the threads do not share their texts".to_owned());
    trial.conclude(Signal::TERM, MEMORY);
}

/// Each thread is unknown when its first event arrives.
pub(super) fn unknown_threads(trial: &mut Trial) {
    let outside = trial.place.outside("attack");
    let mut attacker = many_threads(&outside, UNKNOWN);
    trial.start(Alerts::Stdout, &[]);
    trial.place.enter(&outside, &trial.place.group("attack"));
    trial.note("with", attacker.does("act"));
    trial.pass(Duration::from_secs(4));
    trial.conclude(Signal::TERM, MEMORY);
}

/// A process with many threads and long arguments.
fn many_threads(group: &Path, count: u64) -> Attacker {
    let pid_max = std::fs::read_to_string("/proc/sys/kernel/pid_max").unwrap();
    let count = count.min(pid_max.trim().parse::<u64>().unwrap() / 5).to_string();
    Attacker::start(group, &[], &["threads", &count, &"x".repeat(TEXTS)])
}
