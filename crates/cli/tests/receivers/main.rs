//! Alerts arrive at the receivers that people run: real servers on loopback, started by the test,
//! one file for each.
//!
//! A server that is not installed is reported as skipped, or fails the test where `PEREGRINE_CI` is
//! set to 1.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on has failed")]

mod collector;
mod disk;
mod faults;
mod kafka;
mod nats;
mod nginx;
#[path = "../ports/mod.rs"]
mod ports;
mod rsyslog;
mod start;
mod support;
mod table;
#[path = "../wait/mod.rs"]
mod wait;

use support::Place;

#[test]
fn every_event_is_an_alert_of_its_own() {
    let place = Place::new("file_output: {enabled: true, filename: alerts, keep_alive: true}\n");
    place.events(100, 10);
    let mut run = place.start();
    assert!(run.wait().success(), "{}", run.log());
    let numbers: Vec<_> = place.read("alerts").lines().map(support::number_in).collect();
    assert_eq!(numbers, (1..=100).collect::<Vec<_>>());
}
