//! Lost events: told, acted upon as the configuration says, and summed up at the end.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::ops::ControlFlow;

use anyhow::bail;
use peregrine_event::{EventCounters, LossCause, LossClass};
use peregrine_output::{Message, Outputs, Scalar, Style};
use peregrine_probe::Counters;
use peregrine_rules::Priority;
use peregrine_telemetry::{Check, DropAction, DropMonitor, DropPolicy, Reaction};

use crate::config::SyscallEventDrops;
use crate::log::Log;

/// Name that alerts about lost events have for a rule.
const RULE: &str = "Falco internal: syscall event drop";

/// Looks after the losses of a run.
pub(crate) struct Drops<'a> {
    monitor: DropMonitor,
    /// None in a replay, which loses nothing.
    counters: Option<Counters>,
    /// What was counted up to the last look.
    seen: EventCounters,
    /// The run must end because of losses.
    exits: bool,
    outputs: &'a Outputs,
    style: &'a Style,
    log: &'a Log,
}

impl<'a> Drops<'a> {
    /// For a run in which nothing is counted.
    pub(crate) fn new(
        keys: &SyscallEventDrops,
        outputs: &'a Outputs,
        style: &'a Style,
        log: &'a Log,
    ) -> Self {
        let policy = DropPolicy {
            actions: keys.actions.clone(),
            threshold: keys.threshold,
            rate: keys.rate,
            max_burst: keys.max_burst,
            simulate: keys.simulate_drops,
        };
        let (monitor, seen) = (DropMonitor::new(policy), EventCounters::default());
        Self { monitor, counters: None, seen, exits: false, outputs, style, log }
    }

    /// Looks at these counters from now on.
    pub(crate) fn count_by(&mut self, counters: Counters) {
        self.counters = Some(counters);
    }

    /// It is this time, in nanoseconds: looks at the counters once a second. `Break` ends the run.
    #[inline]
    pub(crate) fn tick(&mut self, ts: u64) -> ControlFlow<()> {
        if self.monitor.is_due(ts) { self.check(ts) } else { ControlFlow::Continue(()) }
    }

    /// Events there were and events lost, up to now.
    pub(crate) fn totals(&mut self) -> (u64, u64) {
        self.look();
        (self.seen.events(), self.seen.lost())
    }

    /// The run is over: how often something was lost, and how often something was done about it.
    pub(crate) fn finish(&mut self) {
        self.look();
        let (occurrences, taken) = (self.monitor.occurrences(), self.monitor.actions_taken());
        let _ = writeln!(
            io::stderr(),
            "Syscall event drop monitoring:\n   - event drop detected: {occurrences} occurrences\n   \
             - num times actions taken: {taken}"
        );
    }

    /// # Errors
    /// When the run ended because of losses.
    pub(crate) fn result(&self) -> anyhow::Result<()> {
        if self.exits {
            bail!("Drop manager internal error");
        }
        Ok(())
    }

    fn check(&mut self, ts: u64) -> ControlFlow<()> {
        self.look();
        let Some(check) = self.monitor.check(ts, &self.seen) else {
            return ControlFlow::Continue(());
        };
        if self.monitor.policy().simulate {
            self.log.info("Simulating syscall event drop");
        }
        match check.reaction {
            Reaction::None => {}
            Reaction::Throttled => {
                self.log.debug("Syscall event drop but token bucket depleted, skipping actions");
            }
            Reaction::Act => return self.act(ts, &check),
        }
        ControlFlow::Continue(())
    }

    /// Reads the counters, and tells when something was lost since they were read last.
    fn look(&mut self) {
        let Some(Ok(now)) = self.counters.as_ref().map(Counters::read) else { return };
        let now = now.total();
        let new = now.since(&self.seen);
        if new.lost() > 0 {
            self.log.warning(losses(&new));
        }
        self.seen = now;
    }

    fn act(&mut self, ts: u64, check: &Check) -> ControlFlow<()> {
        let policy = self.monitor.policy();
        let message = message(ts, check, self.counters.is_some());
        if policy.has(DropAction::Log) {
            self.log.debug(&message.text);
        }
        if policy.has(DropAction::Alert) {
            self.outputs.submit(message.alert(self.style));
        }
        if policy.has(DropAction::Exit) {
            self.log.line(Priority::Critical, &message.text);
            self.log.line(Priority::Critical, "Exiting.");
            self.exits = true;
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

/// The alert about lost events. All its values are texts, as Falco has them.
fn message(ts: u64, check: &Check, live: bool) -> Message {
    let Check { new, drops, .. } = check;
    let mut fields = BTreeMap::new();
    let mut field = |name: &str, value: u64| {
        fields.insert(name.to_owned(), Scalar::Text(value.to_string()));
    };
    field("ebpf_enabled", live.into());
    field("n_evts", new.events());
    field("n_drops", *drops);
    field("n_drops_buffer_total", new.lost_for(LossCause::RingFull));
    for class in LossClass::ALL.into_iter().filter(|&class| class != LossClass::Other) {
        let lost = new.lost_of(class, LossCause::RingFull);
        field(&format!("n_drops_buffer_{}_exit", class.name()), lost);
    }
    for cause in [LossCause::Scratch, LossCause::PageFault, LossCause::Bug] {
        field(&format!("n_drops_{}", cause.name()), new.lost_for(cause));
    }
    let text = format!("{RULE}. {drops} system calls dropped in last second.");
    Message { ts, priority: Priority::Debug, rule: RULE.to_owned(), text, fields }
}

/// What was lost, in words.
fn losses(lost: &EventCounters) -> String {
    let mut text = format!("{} of {} events were lost", lost.lost(), lost.events());
    let mut before = ": ";
    for class in LossClass::ALL {
        for cause in LossCause::ALL {
            let count = lost.lost_of(class, cause);
            if count > 0 {
                let (class, cause) = (class.name(), in_words(cause));
                // Writing into a string does not fail.
                let _ = write!(text, "{before}{count} {class} ({cause})");
                before = ", ";
            }
        }
    }
    text
}

fn in_words(cause: LossCause) -> &'static str {
    match cause {
        LossCause::RingFull => "ring full",
        LossCause::Scratch => "too long",
        LossCause::PageFault => "memory not readable",
        LossCause::Bug => "bug",
    }
}

#[cfg(test)]
mod tests {
    use peregrine_event::render::Buffers;
    use peregrine_output::JsonStyle;

    use super::*;

    fn some() -> EventCounters {
        let mut counters = EventCounters::default();
        counters.seen[LossClass::Open as usize] = 90;
        counters.seen[LossClass::Execve as usize] = 10;
        counters.lost[LossClass::Open as usize][LossCause::RingFull as usize] = 7;
        counters.lost[LossClass::Other as usize][LossCause::RingFull as usize] = 2;
        counters.lost[LossClass::Execve as usize][LossCause::Scratch as usize] = 1;
        counters
    }

    #[test]
    fn losses_are_told_by_class_and_cause() {
        assert_eq!(
            losses(&some()),
            "10 of 100 events were lost: 1 execve (too long), 7 open (ring full), 2 other (ring full)"
        );
    }

    #[test]
    fn the_alert_has_the_fields_that_users_know() {
        let check = Check { new: some(), drops: 10, reaction: Reaction::Act };
        let style = Style {
            json: Some(JsonStyle::default()),
            iso_time: false,
            buffers: Buffers::Dots,
            hostname: "HOST".to_owned(),
        };
        let alert = message(1_470_327_477_881_785_348, &check, true).alert(&style);
        insta::assert_snapshot!(String::from_utf8(alert.line).unwrap(), @r#"{"hostname":"HOST","output":"Falco internal: syscall event drop. 10 system calls dropped in last second.","output_fields":{"ebpf_enabled":"1","n_drops":"10","n_drops_buffer_clone_fork_exit":"0","n_drops_buffer_close_exit":"0","n_drops_buffer_connect_exit":"0","n_drops_buffer_dir_file_exit":"0","n_drops_buffer_execve_exit":"0","n_drops_buffer_open_exit":"7","n_drops_buffer_other_interest_exit":"0","n_drops_buffer_proc_exit":"0","n_drops_buffer_total":"9","n_drops_bug":"0","n_drops_page_faults":"0","n_drops_scratch_map":"1","n_evts":"100"},"priority":"Debug","rule":"Falco internal: syscall event drop","source":"internal","time":"2016-08-04T16:17:57.881785348Z"}"#);
    }
}
