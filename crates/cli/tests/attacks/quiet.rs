//! The quiet group: acts suspiciously a few times a second. Each act must become an alert.

use std::time::Duration;

use crate::attacker::Attacker;
use crate::place::Place;

/// Part of the names of the files that are opened.
pub(crate) const CANARY: &str = "/canary-";

/// The quiet group at work.
pub(crate) struct Quiet {
    attacker: Attacker,
    acts: usize,
}

impl Quiet {
    /// Starts to act with this interval.
    pub(crate) fn start(place: &Place, interval: Duration) -> Self {
        let directory = place.directory().to_str().unwrap();
        let interval = interval.as_millis().to_string();
        let group = place.group("quiet");
        let mut attacker = Attacker::start(&group, &[], &["quiet", directory, &interval]);
        attacker.tell("go");
        Self { attacker, acts: 0 }
    }

    /// Stops and returns the number of acts.
    pub(crate) fn stop(mut self) -> usize {
        self.attacker.tell("stop");
        while self.attacker.answer() != "stopped" {
            self.acts += 1;
        }
        self.acts
    }
}
