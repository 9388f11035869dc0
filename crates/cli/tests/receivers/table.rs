//! What arrives through a spool while the receiver is well, away, hangs, fails, or is killed
//! together with the program.
//!
//! `PEREGRINE_TABLE=100000 PEREGRINE_TABLE_OUTAGE=60 cargo test -p peregrine-cli --test receivers
//! table -- --nocapture --test-threads 1` prints the table with so many alerts and seconds.

mod brokers;
mod collector;
mod web;

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::{Feed, Place, Run};

/// A receiver that fails on demand. Alerts that it has got survive its failures.
pub(crate) trait Receiver {
    fn name(&self) -> &'static str;

    /// The section of its output, with this as the keys of the spool.
    fn section(&self, spool: &str) -> String;

    /// Ends it, as a crash does.
    fn crash(&mut self);

    /// Starts it again on the same port.
    fn restart(&mut self);

    /// Accepts everything and answers nothing, or goes on.
    fn hang(&mut self, hangs: bool);

    /// Answers every second request with an error. `false` if it cannot.
    fn fail_half(&mut self) -> bool {
        false
    }

    /// How many alerts it has got, duplicates included.
    fn count(&mut self) -> u64;

    /// Their texts, in the order in which they came.
    fn received(&mut self) -> Vec<String>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Healthy,
    Away,
    Hangs,
    FailsHalf,
    Killed,
}

const CASES: [Case; 5] = [Case::Healthy, Case::Away, Case::Hangs, Case::FailsHalf, Case::Killed];
/// All outputs have this one beside them.
const FILE: &str = "file_output: {enabled: true, filename: alerts, keep_alive: true}\n";
/// The time of an event is its number, also in a second run.
const RULES: &str = "- {rule: Closed, desc: d, condition: evt.type = close, \
                     output: 'number=%evt.rawtime some text that makes it an alert of usual size', \
                     priority: NOTICE}\n";
const SPOOL: &str = "spool: {enabled: true, directory: spool}";

/// Runs all cases with a receiver of each.
pub(crate) fn run<R: Receiver>(mut receiver: impl FnMut() -> Option<R>) {
    let (alerts, outage) = (number("PEREGRINE_TABLE", 2000), number("PEREGRINE_TABLE_OUTAGE", 3));
    let outage = Duration::from_secs(outage);
    let off = event_thread_without(alerts);
    for case in CASES {
        let Some(mut receiver) = receiver() else { return };
        if case == Case::FailsHalf && !receiver.fail_half() {
            continue;
        }
        let begun = Instant::now();
        let event_thread = deliver(&mut receiver, case, alerts, outage);
        let numbers: Vec<_> = receiver.received().iter().map(|text| number_in(text)).collect();
        let mut seen = BTreeSet::new();
        let first: Vec<_> = numbers.iter().copied().filter(|number| seen.insert(*number)).collect();
        let (delivered, in_order) = (first.len() as u64, first.is_sorted());
        let duplicated = numbers.len() - first.len();
        eprintln!(
            "| {} | {case:?} | {delivered} | {duplicated} | {} | {in_order} | {} ms ({} ms without) | {:.1} s |",
            receiver.name(),
            alerts - delivered,
            event_thread.as_millis(),
            off.as_millis(),
            begun.elapsed().as_secs_f64()
        );
        assert_eq!((delivered, in_order), (alerts, true), "{} {case:?}", receiver.name());
        if case == Case::Healthy {
            assert_eq!(duplicated, 0, "{}", receiver.name());
        }
    }
}

/// Sends alerts through the program to a receiver, until it has all. Gives the time that the event
/// thread was on a CPU.
fn deliver(receiver: &mut impl Receiver, case: Case, alerts: u64, outage: Duration) -> Duration {
    let place = place(&(FILE.to_owned() + &receiver.section(SPOOL)));
    let (mut run, mut feed) = place.start_feeding();
    let part = alerts / 4;
    let mut spent = Duration::ZERO;
    match case {
        Case::Healthy | Case::FailsHalf => feed.send(alerts),
        Case::Away | Case::Hangs => {
            feed.send(part);
            let crash = case == Case::Away;
            if crash {
                receiver.crash();
            } else {
                receiver.hang(true);
            }
            feed.send(2 * part);
            thread::sleep(outage);
            if crash {
                receiver.restart();
            } else {
                receiver.hang(false);
            }
            feed.send(alerts - 3 * part);
        }
        Case::Killed => {
            feed.send(part);
            receiver.crash();
            feed.send(part);
            wait_for("the alerts are in the file", || lines(&place) >= 2 * part);
            // What is in the queue of the output would be lost.
            let mut size = 0;
            wait_for("the alerts are in the spool", || {
                thread::sleep(Duration::from_millis(200));
                std::mem::replace(&mut size, spool_size(&place)) == spool_size(&place) && size > 0
            });
            spent = event_thread(&run);
            run.signal(Signal::SIGKILL);
            run.wait();
            thread::sleep(outage);
            receiver.restart();
            (run, feed) = go_on(&place, 2 * part);
            feed.send(alerts - 2 * part);
        }
    }
    // Duplicates count too, so this is only the beginning of the end.
    wait_for("the receiver has the alerts", || receiver.count() >= alerts);
    wait_for("the alerts are in the file", || lines(&place) >= alerts);
    spent += event_thread(&run);
    drop(feed);
    assert!(run.wait().success(), "{}", run.log());
    let summary = run.stdout();
    assert!(
        !summary.contains("Alerts lost") && !summary.contains("left in the spool"),
        "{summary}"
    );
    spent
}

/// The time of the event thread with the file alone.
fn event_thread_without(alerts: u64) -> Duration {
    let place = place(FILE);
    let (mut run, mut feed) = place.start_feeding();
    feed.send(alerts);
    wait_for("the alerts are in the file", || lines(&place) >= alerts);
    let spent = event_thread(&run);
    drop(feed);
    run.wait();
    spent
}

fn place(outputs: &str) -> Place {
    // The end of a run waits for what is sent again.
    let place = Place::new(&format!("output_timeout: 20000\n{outputs}"));
    place.write("rules.yaml", RULES);
    place
}

/// Another run that goes on with the events behind these.
fn go_on(place: &Place, events: u64) -> (Run, Feed) {
    let (run, mut feed) = place.start_feeding();
    feed.skip(events);
    (run, feed)
}

/// Time that the main thread, which is that of the events, was on a CPU.
fn event_thread(run: &Run) -> Duration {
    let pid = run.pid();
    let statistics = fs::read_to_string(format!("/proc/{pid}/task/{pid}/schedstat")).unwrap();
    Duration::from_nanos(statistics.split(' ').next().unwrap().parse().unwrap())
}

fn lines(place: &Place) -> u64 {
    fs::read(place.path("alerts"))
        .map_or(0, |text| text.iter().filter(|byte| **byte == b'\n').count() as u64)
}

fn spool_size(place: &Place) -> u64 {
    let files = fs::read_dir(place.path("spool")).into_iter().flatten();
    files.filter_map(|file| Some(file.ok()?.metadata().ok()?.len())).sum()
}

#[track_caller]
fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(600), "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn number_in(alert: &str) -> u64 {
    crate::support::number_in(alert)
}

/// The value of a variable of the environment.
fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |value| value.parse().unwrap())
}
