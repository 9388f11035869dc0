//! Lost events: logged, answered with the configured actions, and summarised at the end.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::ops::ControlFlow;
use std::time::Duration;

use peregrine_alert::{AlertOrigin, InternalRule, Priority, Scalar};
use peregrine_event::{EventCounters, LossCause, LossClass};
use peregrine_output::{AlertSender, local_time_of_day};
use peregrine_probe::{LossSubscription, LossUpdate, Losses, Offender};
use peregrine_state::State;
use peregrine_telemetry::{
    Check, DropAction, DropMonitor, DropPolicy, GroupLoss, Ledger, LifecycleLosses, LossInterval,
    Period, Reaction, coverage,
};

use crate::Log;
use crate::clock::now;

/// Rule name of alerts about lost events.
const RULE: &str = "Falco internal: syscall event drop";
/// The same for lost life-cycle events.
const LIFECYCLE_RULE: &str = "Falco internal: process event drop";
/// Most losses and control groups that are listed.
const MAX_LISTED: usize = 8;

/// The counters of a live run.
struct Kernel {
    losses: Losses,
    subscription: LossSubscription,
}

/// Corrections of the state after losses.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Repairs {
    processes: u64,
    threads: u64,
    fds: u64,
}

/// Monitors the losses of a run.
pub struct Drops {
    monitor: DropMonitor,
    /// `None` in a replay, which loses no events.
    kernel: Option<Kernel>,
    ledger: Ledger,
    /// Events that the kernel had to deliver when a stop was requested.
    wanted: Option<u64>,
    /// Whether these were delivered.
    drained: bool,
    /// Events left in the rings at the end of the run.
    waiting: u64,
    /// Corrections that are already logged.
    repairs: Repairs,
    /// Whether the run must end because of losses.
    exits: bool,
    rule: InternalRule,
    lifecycle_rule: InternalRule,
    alerts: AlertSender,
    log: Log,
}

impl Drops {
    /// Without counters, as in a replay.
    pub fn new(policy: DropPolicy, alerts: AlertSender, origin: &AlertOrigin, log: Log) -> Self {
        let (monitor, ledger) = (DropMonitor::new(policy), Ledger::default());
        Self {
            monitor,
            kernel: None,
            ledger,
            wanted: None,
            drained: false,
            waiting: 0,
            repairs: Repairs::default(),
            exits: false,
            rule: InternalRule::new(origin, RULE, Priority::Debug),
            lifecycle_rule: InternalRule::new(origin, LIFECYCLE_RULE, Priority::Critical),
            alerts,
            log,
        }
    }

    /// Records the losses of these counters from now on.
    pub(crate) fn count_by(&mut self, losses: &Losses) {
        let subscription = losses.subscribe();
        self.kernel = Some(Kernel { losses: losses.clone(), subscription });
        self.ledger = Ledger::new(now());
    }

    /// Changes the reaction to losses from now on.
    pub(crate) fn set_policy(&mut self, policy: DropPolicy) {
        self.monitor.set_policy(policy);
    }

    /// All losses up to the last reading.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Evaluates the losses once a second; `ts` is the current time in nanoseconds. `Break` ends
    /// the run.
    #[inline]
    pub(crate) fn tick(&mut self, ts: u64) -> ControlFlow<()> {
        if self.monitor.is_due(ts) { self.check(ts) } else { ControlFlow::Continue(()) }
    }

    /// Logs the corrections of the state since the last call.
    pub(crate) fn report_repairs(&mut self, state: &State) {
        let counters = state.counters();
        let now = Repairs {
            processes: counters.reread_processes,
            threads: counters.corrected_threads,
            fds: counters.corrected_fds,
        };
        let before = std::mem::replace(&mut self.repairs, now);
        if before != now {
            self.log.info(now.since(before));
        }
    }

    /// A stop is requested: later events are not waited for.
    pub(crate) fn stop(&mut self) {
        let reading = self.kernel.as_ref().map(|kernel| kernel.losses.refresh(Duration::ZERO));
        // Without a reading, later events count as well.
        let total = reading.and_then(Result::ok).map(|reading| reading.statistics.total());
        self.wanted = total.map(|total| total.events().saturating_sub(total.lost()));
    }

    /// All events from before the stop were delivered.
    pub(crate) fn is_drained(&mut self) {
        self.drained = true;
    }

    /// Takes a last reading. `given` is the number of events that the source has delivered.
    pub(crate) fn finish(&mut self, given: u64) {
        if let Some(kernel) = &self.kernel {
            // Every subscription gets the reading.
            let _ = kernel.losses.refresh(Duration::ZERO);
        }
        let period = self.record_losses();
        let lifecycle = self.monitor.finish(self.ledger.total());
        self.alert_lifecycle(now(), &lifecycle, period.as_ref());
        let total = self.ledger.total();
        let wanted = self.wanted.unwrap_or(total.events().saturating_sub(total.lost()));
        self.waiting = if self.drained { 0 } else { wanted.saturating_sub(given) };
    }

    /// Whether the run had to end because of losses.
    pub(crate) fn exits(&self) -> bool {
        self.exits
    }

    fn check(&mut self, ts: u64) -> ControlFlow<()> {
        if self.monitor.start(ts) {
            return ControlFlow::Continue(());
        }
        let period = self.record_losses();
        if period.is_none() && self.kernel.is_some() {
            // The reader is late: check after its next reading.
            return ControlFlow::Continue(());
        }
        let check = self.monitor.check(ts, self.ledger.total());
        if self.monitor.policy().simulate {
            self.log.info("Simulating syscall event drop");
        }
        self.alert_lifecycle(ts, &check.lifecycle, period.as_ref());
        match check.reaction {
            Reaction::None => {}
            Reaction::Throttled => {
                self.log.debug("Syscall event drop but token bucket depleted, skipping actions");
            }
            Reaction::Act => return self.act(ts, &check, period.as_ref()),
        }
        ControlFlow::Continue(())
    }

    /// Records the readings since the last call, and logs new losses. `None` when there is no new
    /// reading.
    fn record_losses(&mut self) -> Option<Period> {
        let LossUpdate { reading, offenders } = self.kernel.as_ref()?.subscription.take()?;
        let period =
            self.ledger.record(reading.ts, &reading.statistics.cpus, &by_group(&offenders));
        if period.events.lost() > 0 {
            self.log.warning(losses(&period.events));
        }
        Some(period)
    }

    /// Without these events, rules see wrong processes: an alert, whatever the threshold.
    fn alert_lifecycle(&self, ts: u64, lost: &LifecycleLosses, period: Option<&Period>) {
        if lost.is_empty() {
            return;
        }
        let (text, fields) = (lifecycle_text(lost), lifecycle_fields(lost, period));
        self.log.line(Priority::Critical, &text);
        self.alerts.submit(self.lifecycle_rule.alert(ts, &text, fields));
    }

    fn act(&mut self, ts: u64, check: &Check, period: Option<&Period>) -> ControlFlow<()> {
        let policy = self.monitor.policy();
        let text = text(check);
        if policy.has(DropAction::Log) {
            self.log.debug(&text);
        }
        if policy.has(DropAction::Alert) {
            self.alerts.submit(self.rule.alert(ts, &text, alert_fields(check, period)));
        }
        if policy.has(DropAction::Exit) {
            self.log.line(Priority::Critical, &text);
            self.log.line(Priority::Critical, "Exiting.");
            self.exits = true;
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

/// The summary: occurrences, actions, and the losses of the whole run.
impl fmt::Display for Drops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (occurrences, taken) = (self.monitor.occurrences(), self.monitor.actions_taken());
        writeln!(
            f,
            "Syscall event drop monitoring:\n   - event drop detected: {occurrences} occurrences\n   \
             - num times actions taken: {taken}"
        )?;
        if self.kernel.is_none() {
            return Ok(());
        }
        f.write_str(&summary(&self.ledger, self.waiting))?;
        if self.repairs != Repairs::default() {
            writeln!(f, "   - {}", self.repairs)?;
        }
        Ok(())
    }
}

impl Repairs {
    fn since(self, before: Self) -> Self {
        Self {
            processes: self.processes.saturating_sub(before.processes),
            threads: self.threads.saturating_sub(before.threads),
            fds: self.fds.saturating_sub(before.fds),
        }
    }
}

impl fmt::Display for Repairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { processes, threads, fds } = self;
        write!(
            f,
            "{processes} processes read again, {threads} threads and {fds} open files corrected"
        )
    }
}

/// Losses of each control group.
fn by_group(offenders: &[Offender]) -> Vec<GroupLoss> {
    let mut groups: BTreeMap<&str, [u64; LossClass::ALL.len()]> = BTreeMap::new();
    for offender in offenders {
        let sums = groups.entry(&offender.group).or_default();
        sums.iter_mut().zip(offender.lost).for_each(|(sum, lost)| *sum += lost);
    }
    groups.into_iter().map(|(name, lost)| (name.to_owned(), lost)).collect()
}

/// The text of the alert about lost events.
fn text(check: &Check) -> String {
    format!("{RULE}. {} system calls dropped in last second.", check.drops)
}

/// The text of the alert about lost life-cycle events.
fn lifecycle_text(lost: &LifecycleLosses) -> String {
    let sum: u64 = lost.iter().map(|(_, lost)| lost).sum();
    let classes = lost.iter().map(|(class, lost)| format!("{lost} {}", class.name()));
    let classes: Vec<_> = classes.collect();
    format!("{LIFECYCLE_RULE}. {sum} events were lost: {}.", classes.join(", "))
}

/// Losses by class since the last such alert, and of the last second those of control groups.
fn lifecycle_fields(lost: &LifecycleLosses, period: Option<&Period>) -> BTreeMap<String, Scalar> {
    let by_class = lost.iter();
    let by_class = by_class.map(|(class, lost)| (format!("n_drops_{}", class.name()), *lost));
    let sum = lost.iter().map(|(_, lost)| lost).sum();
    let counts = by_class.chain([("n_drops".to_owned(), sum)]);
    let counts = counts.map(|(name, lost)| (name, Scalar::Uint(lost)));
    counts.chain(period.and_then(lost_cgroups)).collect()
}

/// The fields of the alert. Falco's values are all texts; a live run adds those of the ledger.
fn alert_fields(check: &Check, period: Option<&Period>) -> BTreeMap<String, Scalar> {
    let Check { new, drops, .. } = check;
    let mut fields = BTreeMap::new();
    let mut field = |name: &str, value: u64| {
        fields.insert(name.to_owned(), Scalar::Text(value.to_string()));
    };
    field("ebpf_enabled", period.is_some().into());
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
    fields.extend(period.into_iter().flat_map(coverage_fields));
    fields
}

/// Fields with the losses of a period.
fn coverage_fields(period: &Period) -> Vec<(String, Scalar)> {
    let events = &period.events;
    let lost = events.lost();
    let mut fields = vec![
        ("perc".to_owned(), Scalar::Double(coverage(events))),
        ("events".to_owned(), Scalar::Uint(events.events())),
        ("delivered".to_owned(), Scalar::Uint(events.events().saturating_sub(lost))),
        ("lost".to_owned(), Scalar::Uint(lost)),
        ("from".to_owned(), Scalar::Uint(period.from)),
        ("to".to_owned(), Scalar::Uint(period.to)),
    ];
    for (class, cause, count) in losses_of(events) {
        fields.push((format!("lost_{}_{}", class.name(), cause.name()), Scalar::Uint(count)));
    }
    let by_cpu = period.by_cpu.iter();
    fields.extend(by_cpu.map(|(cpu, lost)| (format!("lost_cpu_{cpu}"), Scalar::Uint(*lost))));
    let fields = fields.into_iter().map(|(name, value)| (format!("falco.coverage.{name}"), value));
    fields.chain(lost_cgroups(period)).collect()
}

/// The control groups that lost most.
fn lost_cgroups(period: &Period) -> Option<(String, Scalar)> {
    let groups = period.by_group.iter().take(MAX_LISTED);
    let groups: Vec<_> = groups.map(|(name, lost)| format!("{name}={lost}")).collect();
    let field = || ("falco.coverage.lost_cgroups".to_owned(), Scalar::Text(groups.join(" ")));
    (!groups.is_empty()).then(field)
}

/// The losses of the whole run as lines of text.
fn summary(ledger: &Ledger, waiting: u64) -> String {
    let total = ledger.total();
    // Round down: never report 100 % after a loss.
    let share = (coverage(total) * 100.0).floor() / 100.0;
    let (lost, events) = (total.lost(), total.events());
    let mut text = format!("   - coverage {share} %: {lost} of {events} events lost\n");
    if waiting > 0 {
        // Writing into a string does not fail.
        let _ = writeln!(text, "   - {waiting} events were waiting to be read at the end");
    }
    let mut line = |words: fmt::Arguments<'_>| {
        // Writing into a string does not fail.
        let _ = writeln!(text, "   - {words}");
    };
    let intervals = ledger.intervals();
    for interval in intervals.iter().take(MAX_LISTED) {
        let LossInterval { class, cpu, cause, lost, from, to } = *interval;
        let (class, cause) = (class.name(), in_words(cause));
        let (from, to) = (time_of_day(from), time_of_day(to));
        line(format_args!("{lost} {class} lost on CPU {cpu} between {from} and {to} ({cause})"));
    }
    let more: u64 = intervals.iter().skip(MAX_LISTED).map(|interval| interval.lost).sum();
    if more > 0 {
        line(format_args!("{more} others"));
    }
    let sum = |lost: &[u64; LossClass::ALL.len()]| lost.iter().sum::<u64>();
    let mut groups: Vec<_> = ledger.by_group().map(|(name, lost)| (sum(lost), name)).collect();
    groups.sort_by_key(|(lost, _)| std::cmp::Reverse(*lost));
    for (lost, name) in groups.into_iter().take(MAX_LISTED) {
        line(format_args!("{lost} of them in control group {name}"));
    }
    text
}

/// `23:59:59`, in the time zone of the machine.
fn time_of_day(ts: u64) -> String {
    let mut text = local_time_of_day(ts);
    text.truncate(text.find('.').unwrap_or(text.len()));
    text
}

/// Losses that are not 0, by class and cause.
fn losses_of(events: &EventCounters) -> impl Iterator<Item = (LossClass, LossCause, u64)> {
    let kinds = LossClass::ALL.into_iter();
    let kinds = kinds.flat_map(|class| LossCause::ALL.map(|cause| (class, cause)));
    let lost = kinds.map(|(class, cause)| (class, cause, events.lost_of(class, cause)));
    lost.filter(|(_, _, count)| *count > 0)
}

/// The losses as a line of text.
fn losses(lost: &EventCounters) -> String {
    let mut text = format!("{} of {} events were lost", lost.lost(), lost.events());
    let mut before = ": ";
    for (class, cause, count) in losses_of(lost) {
        let (class, cause) = (class.name(), in_words(cause));
        // Writing into a string does not fail.
        let _ = write!(text, "{before}{count} {class} ({cause})");
        before = ", ";
    }
    text
}

fn in_words(cause: LossCause) -> &'static str {
    match cause {
        LossCause::RingFull => "ring full",
        LossCause::Scratch => "too long",
        LossCause::PageFault => "memory not readable",
        LossCause::Bug => "bug",
        LossCause::Recursion => "hook at work already",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use peregrine_alert::RuleRegistry;
    use peregrine_output::{Format, Formatter, JsonStyle, Layout};

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
    fn a_log_line_lists_losses_by_class_and_cause() {
        assert_eq!(
            losses(&some()),
            "10 of 100 events were lost: 1 execve (too long), 7 open (ring full), 2 other (ring full)"
        );
    }

    #[test]
    fn the_alert_has_the_fields_of_falco_and_of_the_ledger() {
        let reaction = Reaction::Act;
        let check = Check { new: some(), drops: 10, reaction, lifecycle: Vec::new() };
        let period = Period {
            from: 1_470_327_476_881_785_348,
            to: 1_470_327_477_881_785_348,
            events: some(),
            by_cpu: vec![(1, 10)],
            by_group: vec![("/b".to_owned(), 8), ("/a".to_owned(), 2)],
        };
        let origin = AlertOrigin::new(Arc::new(RuleRegistry::new()), "HOST");
        let rule = InternalRule::new(&origin, RULE, Priority::Debug);
        let alert = rule.alert(period.to, &text(&check), alert_fields(&check, Some(&period)));
        let format = Format::new(Layout::Json(JsonStyle::default()));
        let mut line = Vec::new();
        Formatter::new(format).line(&alert, &mut line);
        insta::assert_snapshot!(String::from_utf8(line).unwrap(), @r#"{"hostname":"HOST","output":"Falco internal: syscall event drop. 10 system calls dropped in last second.","output_fields":{"ebpf_enabled":"1","falco.coverage.delivered":90,"falco.coverage.events":100,"falco.coverage.from":1470327476881785348,"falco.coverage.lost":10,"falco.coverage.lost_cgroups":"/b=8 /a=2","falco.coverage.lost_cpu_1":10,"falco.coverage.lost_execve_scratch_map":1,"falco.coverage.lost_open_buffer":7,"falco.coverage.lost_other_buffer":2,"falco.coverage.perc":90.0,"falco.coverage.to":1470327477881785348,"n_drops":"10","n_drops_buffer_clone_fork_exit":"0","n_drops_buffer_close_exit":"0","n_drops_buffer_connect_exit":"0","n_drops_buffer_dir_file_exit":"0","n_drops_buffer_execve_exit":"0","n_drops_buffer_open_exit":"7","n_drops_buffer_other_interest_exit":"0","n_drops_buffer_proc_exit":"0","n_drops_buffer_total":"9","n_drops_bug":"0","n_drops_page_faults":"0","n_drops_scratch_map":"1","n_evts":"100"},"priority":"Debug","rule":"Falco internal: syscall event drop","source":"internal","time":"2016-08-04T16:17:57.881785348Z"}"#);
    }

    #[test]
    fn lost_lifecycle_events_are_named_by_class() {
        let lost = vec![(LossClass::CloneFork, 3), (LossClass::ProcExit, 1)];
        assert_eq!(
            lifecycle_text(&lost),
            "Falco internal: process event drop. 4 events were lost: 3 clone_fork, 1 proc."
        );
        let period = Period { by_group: vec![("/b".to_owned(), 4)], ..Period::default() };
        let fields = lifecycle_fields(&lost, Some(&period));
        assert_eq!(
            (&fields["n_drops"], &fields["n_drops_proc"]),
            (&Scalar::Uint(4), &Scalar::Uint(1))
        );
        assert_eq!(fields["falco.coverage.lost_cgroups"], Scalar::Text("/b=4".to_owned()));
    }

    #[test]
    fn the_summary_lists_losses_by_time_and_cgroup() {
        const SECOND: u64 = 1_000_000_000;
        let mut ledger = Ledger::new(SECOND);
        assert_eq!(summary(&ledger, 0), "   - coverage 100 %: 0 of 0 events lost\n");
        let mut many = some();
        many.seen[LossClass::Open as usize] = 900_000;
        let groups = [("/b".to_owned(), [0, 1, 0, 7, 0, 0, 0, 0, 2])];
        ledger.record(5 * SECOND, &[EventCounters::default(), many], &groups);
        let times = |text: String| {
            text.replace(&time_of_day(SECOND), "FROM").replace(&time_of_day(5 * SECOND), "TO")
        };
        insta::assert_snapshot!(times(summary(&ledger, 3)), @r#"
        - coverage 99.99 %: 10 of 900010 events lost
        - 3 events were waiting to be read at the end
        - 7 open lost on CPU 1 between FROM and TO (ring full)
        - 2 other lost on CPU 1 between FROM and TO (ring full)
        - 1 execve lost on CPU 1 between FROM and TO (too long)
        - 10 of them in control group /b
        "#);
    }
}
