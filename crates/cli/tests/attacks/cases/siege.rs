//! All attacks at once, for as long as one likes.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::foreign::{Trap, foreign_roots, not_opened, text};
use super::fuse::{skipped, victims};
use super::load::containers;
use super::web::Clients;
use crate::agent::Alerts;
use crate::attacker::{Attacker, CONTAINER, UNPRIVILEGED};
use crate::health::get;
use crate::trial::{Trial, millis};

/// Environment variable with the seconds that it lasts.
const SECONDS: &str = "PEREGRINE_SIEGE_SECONDS";
/// Most memory of the agent: two rings of 8 MiB, the alerts of its queues, the accounts of
/// containers, threads and open files.
const MEMORY: u64 = 384 << 20;
/// Beginnings of the names of the metrics that are printed where they are not 0.
const METRICS: [&str; 6] = [
    "falcosecurity_scap_n_evts_total",
    "falcosecurity_scap_n_drops_total",
    "falcosecurity_falco_outputs_queue_num_drops_total",
    "peregrine_",
    "falcosecurity_scap_n_threads_total",
    "falcosecurity_scap_n_fds_total",
];

/// What attacks, and what it is told in each round.
type Besieger = (Attacker, &'static str);

pub(super) fn siege(trial: &mut Trial) {
    if std::thread::available_parallelism().is_ok_and(|cpus| cpus.get() < 2) {
        return trial.skip("the quiet group takes a CPU of its own");
    }
    let seconds = std::env::var(SECONDS).ok().and_then(|text| text.parse().ok()).unwrap_or(20);
    let trap = Trap::set(trial.place.path("trap"));
    let mut besiegers = before_start(trial, &trap);
    let fuse = victims(trial, &["holds", "runs", "mmap-lock"]);
    trial.start_acting(Alerts::FileOnly, &[], Duration::from_secs(1));
    let clients = trial.agent().and_then(|agent| agent.address()).map(Clients::connect);
    besiegers.extend(at_runtime(trial));
    if let Some(mut fuse) = fuse {
        fuse.does("silence");
        trial.place.enter(&trial.place.outside("attack"), &trial.place.group("fuse"));
        besiegers.push((fuse, "count"));
    }
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut rounds = 0;
    while Instant::now() < end {
        for (attacker, order) in &mut besiegers {
            attacker.tell(order);
        }
        for (attacker, _) in &besiegers {
            attacker.answer();
        }
        rounds += 1;
    }
    trial.note("rounds", rounds);
    report(trial);
    not_opened(trial, &trap);
    trial.conclude(Signal::TERM, MEMORY);
    drop(clients);
}

/// Attackers that the agent finds when it starts.
fn before_start(trial: &Trial, trap: &Trap) -> Vec<Besieger> {
    let group = trial.place.group("attack");
    let mounts = trial.place.path("mounts");
    std::fs::create_dir(&mounts).unwrap();
    let mounts = ["mounts", text(&mounts), "3000"];
    let long = "x".repeat(4000);
    let roots = foreign_roots(trial, &group, trap).map(|root| (root, "20000"));
    let mut besiegers = Vec::from(roots);
    besiegers.push((Attacker::start(&group, UNPRIVILEGED, &mounts), "20000"));
    besiegers.push((Attacker::start(&group, &[], &["threads", "2000", &long]), "count"));
    besiegers
}

/// Attackers that come later.
fn at_runtime(trial: &Trial) -> Vec<Besieger> {
    let directory = trial.place.directory();
    let looped = Attacker::start(&trial.place.group("loop"), &[], &["loop", text(directory)]);
    // Each is an alert of some 300 bytes in a file.
    let mut besiegers = vec![(looped, "1 10000")];
    let (jail, group) = (trial.place.path("fuse-jail"), trial.place.container(900));
    let outside = trial.place.outside("container");
    let accounts = ["fuse-accounts", text(&jail), &group];
    let mut accounts = Attacker::start(&outside, CONTAINER, &accounts);
    if skipped(&mut accounts).is_none() {
        besiegers.push((accounts, "run"));
    }
    besiegers.push((containers(trial, "jail", 20), "live"));
    besiegers.push((containers(trial, "storm-jail", 1), "storm 300"));
    besiegers
}

/// Prints what the agent counted.
fn report(trial: &mut Trial) {
    let Some(agent) = trial.agent() else { return };
    let Some(address) = agent.address() else { return };
    let begun = Instant::now();
    let page = get(address, "/metrics", Duration::from_secs(10));
    trial.note("metrics after", millis(begun.elapsed()));
    let Some((200, page)) = page else { return trial.broken("/metrics does not answer") };
    let wanted = |line: &&str| METRICS.iter().any(|name| line.starts_with(name));
    let groups = |line: &&str| line.starts_with("peregrine_events_lost_by_cgroup");
    for line in page.lines().filter(wanted).filter(|line| !groups(line)) {
        let value = line.rsplit(' ').next().unwrap_or_default();
        if value != "0" {
            eprintln!("{line}");
        }
    }
    if let Some(agent) = trial.agent() {
        let internal = agent.seen(|seen| seen.internal.clone());
        internal.iter().take(20).for_each(|alert| eprintln!("{alert}"));
    }
}
