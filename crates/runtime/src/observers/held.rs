//! Alerts that wait for the accounts of their container.
//!
//! The account files of a container are read off the event thread. An alert that names a user or
//! group of the container is held until they are known, but no longer than a configured time; then
//! it is sent with the values known when its rule matched. Alerts of one container keep their
//! order, so later ones wait too. Events never wait.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use peregrine_alert::Alert;
use peregrine_engine::{Match, MatchAlert, PendingAlert};
use peregrine_limits::{HELD_ALERT_BYTES, HELD_ALERTS, Limit};
use peregrine_state::State;

use crate::clock::is_reached;

/// Time between two searches for alerts whose deadline has passed, in nanoseconds. A search takes
/// time for each held alert, and a container decides how many there are.
const SEARCH_INTERVAL: u64 = 10_000_000;

/// Holds alerts.
pub(crate) struct HeldAlerts {
    held: VecDeque<Held>,
    /// Held alerts of each container.
    by_container: HashMap<Arc<[u8]>, usize>,
    /// Memory of held alerts.
    bytes: usize,
    max_wait: u64,
    /// Time of the next search, nanoseconds since the epoch.
    next_search: u64,
    incomplete: u64,
}

struct Held {
    container: Arc<[u8]>,
    /// Nanoseconds since the epoch.
    deadline: u64,
    alert: Waiting,
}

enum Waiting {
    /// Complete, but behind another alert of its container.
    Behind(Alert),
    ForAccounts(Box<PendingAlert>),
}

impl HeldAlerts {
    /// Holds each alert for at most this time.
    pub(crate) fn new(max_wait: Duration) -> Self {
        let max_wait = max_wait.as_nanos().try_into().unwrap_or(u64::MAX);
        Self {
            held: VecDeque::new(),
            by_container: HashMap::new(),
            bytes: 0,
            max_wait,
            next_search: 0,
            incomplete: 0,
        }
    }

    /// Changes how long alerts are held from now on.
    pub(crate) fn set_max_wait(&mut self, max_wait: Duration) {
        self.max_wait = max_wait.as_nanos().try_into().unwrap_or(u64::MAX);
    }

    /// Adds the alert of a match. Submits what is to be sent now.
    #[inline]
    pub(crate) fn add(
        &mut self,
        matched: &Match<'_>,
        alert: MatchAlert,
        mut submit: impl FnMut(Alert),
    ) {
        match alert {
            MatchAlert::Complete(alert) if self.held.is_empty() => submit(alert),
            alert => self.hold(matched, alert, &mut submit),
        }
    }

    /// Whether a held alert has reached its deadline, and it is time to look for more.
    #[inline]
    pub(crate) fn is_due(&self, now: u64) -> bool {
        let ahead = self.max_wait.max(SEARCH_INTERVAL);
        let is_due = |held: &Held| is_reached(held.deadline.max(self.next_search), ahead, now);
        self.held.front().is_some_and(is_due)
    }

    /// Releases alerts whose accounts are known or whose deadline has passed.
    pub(crate) fn release(&mut self, now: u64, state: &State, mut submit: impl FnMut(Alert)) {
        self.next_search = now.saturating_add(SEARCH_INTERVAL);
        let mut waiting = HashSet::new();
        for held in std::mem::take(&mut self.held) {
            if waiting.contains(&held.container) {
                self.held.push_back(held);
                continue;
            }
            self.forget(&held);
            match held.alert {
                Waiting::Behind(alert) => submit(alert),
                Waiting::ForAccounts(alert) if alert.is_answered(state) => {
                    submit(alert.complete(state));
                }
                Waiting::ForAccounts(alert) if is_reached(held.deadline, self.max_wait, now) => {
                    self.incomplete += 1;
                    submit(alert.incomplete());
                }
                Waiting::ForAccounts(alert) => {
                    waiting.insert(Arc::clone(&held.container));
                    self.keep(Held { alert: Waiting::ForAccounts(alert), ..held });
                }
            }
        }
    }

    /// Releases all alerts as they are.
    pub(crate) fn release_all(&mut self, submit: impl FnMut(Alert)) {
        let held = std::mem::take(&mut self.held);
        held.into_iter().map(|held| self.give_up(held)).for_each(submit);
    }

    /// Number of alerts sent before the accounts of their container were known.
    pub(crate) fn incomplete(&self) -> u64 {
        self.incomplete
    }

    #[cold]
    fn hold(&mut self, matched: &Match<'_>, alert: MatchAlert, submit: &mut dyn FnMut(Alert)) {
        let (container, alert) = match alert {
            MatchAlert::Complete(alert) => {
                let id = matched.view.container_id();
                let Some((container, _)) = self.by_container.get_key_value(id) else {
                    return submit(alert);
                };
                (Arc::clone(container), Waiting::Behind(alert))
            }
            MatchAlert::Pending(alert) => {
                (Arc::clone(alert.container()), Waiting::ForAccounts(alert))
            }
        };
        let deadline = matched.event.ts.saturating_add(self.max_wait);
        self.keep(Held { container, deadline, alert });
        while let Some(limit) = self.exceeded() {
            limit.reach();
            let Some(oldest) = self.held.pop_front() else { return };
            submit(self.give_up(oldest));
        }
    }

    fn exceeded(&self) -> Option<&'static Limit> {
        let used = [(self.held.len(), &HELD_ALERTS), (self.bytes, &HELD_ALERT_BYTES)];
        used.into_iter().find_map(|(used, limit)| (used > limit.get()).then_some(limit))
    }

    fn keep(&mut self, held: Held) {
        self.bytes += held.memory();
        *self.by_container.entry(Arc::clone(&held.container)).or_default() += 1;
        self.held.push_back(held);
    }

    /// The alert is no longer held.
    fn forget(&mut self, held: &Held) {
        self.bytes -= held.memory();
        if let Some(count) = self.by_container.get_mut(&held.container) {
            *count -= 1;
            if *count == 0 {
                self.by_container.remove(&held.container);
            }
        }
    }

    fn give_up(&mut self, held: Held) -> Alert {
        self.forget(&held);
        match held.alert {
            Waiting::Behind(alert) => alert,
            Waiting::ForAccounts(alert) => {
                self.incomplete += 1;
                alert.incomplete()
            }
        }
    }
}

impl Held {
    /// Bytes in memory.
    fn memory(&self) -> usize {
        size_of::<Self>()
            + match &self.alert {
                Waiting::Behind(alert) => alert.memory(),
                Waiting::ForAccounts(alert) => alert.memory(),
            }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::ops::ControlFlow;

    use peregrine_alert::{AlertOrigin, RuleRegistry};
    use peregrine_engine::{AlertContent, Engine, Generation, Source, Step};
    use peregrine_event::render::Buffers;
    use peregrine_event::snapshot::{self, Item, User};
    use peregrine_event::source::{AccountsRequest, Next, Observation, ProcResolver, Record};
    use peregrine_event::{Accounts, Builder, Event, EventType};
    use peregrine_fields::Fields;
    use peregrine_rules::{EventSource, Loader};
    use peregrine_state::Config;

    use super::*;

    const RULES: &str = "
- rule: names
  desc: d
  condition: evt.type = close
  output: closed by %user.name
  priority: INFO
- rule: plain
  desc: d
  condition: evt.type = dup
  output: duplicated by %user.uid
  priority: INFO
";
    const WAIT: u64 = 500_000_000;

    /// A source of one record.
    struct Once(Option<Given>);

    enum Given {
        Snapshot(Item),
        Event(Vec<u8>),
        Observation(Observation),
    }

    impl Source for Once {
        type Error = Infallible;

        fn next(&mut self) -> Result<Next<'_>, Infallible> {
            Ok(match &mut self.0 {
                Some(Given::Event(bytes)) => {
                    let event = Event::parse(bytes, 0).unwrap();
                    Next::Record(Record::Event { event, state_only: false })
                }
                given => match given.take() {
                    Some(Given::Snapshot(item)) => Next::Record(Record::Snapshot(item)),
                    Some(Given::Observation(observation)) => Next::Observation(observation),
                    Some(Given::Event(_)) | None => Next::Idle,
                },
            })
        }
    }

    /// Takes all requests, and answers none.
    struct Silent;

    impl ProcResolver for Silent {
        fn resolve(&mut self, _: i64, _: &dyn Fn(i64) -> bool) -> Vec<Item> {
            Vec::new()
        }

        fn request_accounts(&mut self, _: &AccountsRequest) -> bool {
            true
        }
    }

    struct Alerts {
        held: HeldAlerts,
        out: Vec<String>,
    }

    impl Alerts {
        fn release(&mut self, now: u64, state: &State) {
            let Self { held, out } = self;
            held.release(now, state, |alert| out.push(text(&alert)));
        }
    }

    fn text(alert: &Alert) -> String {
        String::from_utf8_lossy(alert.text()).into_owned()
    }

    impl peregrine_engine::Observer for Alerts {
        fn event(&mut self, _: &Event<'_>) -> ControlFlow<()> {
            ControlFlow::Continue(())
        }

        fn matched(&mut self, matched: &Match<'_>) {
            let alert = matched.alert().unwrap();
            let Self { held, out } = self;
            held.add(matched, alert, |alert| out.push(text(&alert)));
        }

        fn observed(&mut self, state: &State) {
            self.release(0, state);
        }
    }

    struct World {
        engine: Engine,
        alerts: Alerts,
    }

    impl World {
        /// Two containers with a process each, 20 and 30, and one on the host, 10.
        fn new() -> Self {
            let fields = Fields::syscall().with_containers(true);
            let mut loader = Loader::new(vec![EventSource::syscall(fields.clone())], Vec::new());
            assert!(loader.load("rules.yaml", RULES.as_bytes()).successful());
            let registry = Arc::new(RuleRegistry::new());
            let origin = AlertOrigin::new(Arc::clone(&registry), "host");
            let content = AlertContent {
                fields: true,
                context: &[],
                iso_time: false,
                buffers: Buffers::default(),
            };
            let generation = Generation::new(loader.into_rules(), &registry, Default::default());
            let generation = generation.with_alerts(&origin, content, &fields).unwrap();
            let state = Config { live: true, ..Config::default() };
            let engine = Engine::new(Arc::new(generation), state).with_resolver(Box::new(Silent));
            let held = HeldAlerts::new(Duration::from_nanos(WAIT));
            let mut world = Self { engine, alerts: Alerts { held, out: Vec::new() } };
            for (tid, id) in [(10, None), (20, Some('a')), (30, Some('b'))] {
                let id: Option<String> = id.map(|digit| digit.to_string().repeat(64));
                let cgroups = id.map_or_else(Vec::new, |id| format!("cpu=/docker/{id}\0").into());
                let thread = snapshot::Thread {
                    tid,
                    pid: tid,
                    uid: 7,
                    cgroups: cgroups.into(),
                    ..Default::default()
                };
                world.give(Given::Snapshot(Item::Thread(Box::new(thread))));
            }
            world
        }

        fn give(&mut self, given: Given) -> &mut Self {
            let step = self.engine.step(&mut Once(Some(given)), &mut self.alerts, &mut ());
            assert!(matches!(step, Ok(Step::Loaded | Step::Event)));
            self
        }

        fn event(&mut self, ty: EventType, ts: u64, tid: i64) -> &mut Self {
            let mut bytes = Vec::new();
            Builder::new(ty, ts, tid).i64(0).i64(3).finish(&mut bytes).unwrap();
            self.give(Given::Event(bytes))
        }

        fn answer(&mut self, digit: char) {
            let container = digit.to_string().repeat(12).into_bytes().into();
            let mut accounts = Accounts::default();
            let (home, shell) = (Vec::new(), Vec::new());
            accounts.add_user(User { uid: 7, gid: 7, name: b"carol".to_vec(), home, shell });
            self.give(Given::Observation(Observation::Accounts {
                container,
                accounts: Some(accounts),
            }));
        }

        fn taken(&mut self) -> Vec<String> {
            std::mem::take(&mut self.alerts.out)
        }
    }

    use EventType::{SyscallCloseX as CLOSE, SyscallDup_1X as DUP};

    #[test]
    fn an_alert_waits_for_the_names_and_keeps_the_order_of_its_container() {
        let mut world = World::new();
        world.event(CLOSE, 1, 20).event(DUP, 2, 20).event(DUP, 3, 30).event(CLOSE, 4, 10);
        assert_eq!(world.taken(), ["duplicated by 7", "closed by <NA>"]);
        world.answer('b');
        assert_eq!(world.taken(), [""; 0]);
        world.answer('a');
        assert_eq!(world.taken(), ["closed by carol", "duplicated by 7"]);
        world.event(CLOSE, 5, 20);
        assert_eq!(world.taken(), ["closed by carol"]);
        assert_eq!(world.alerts.held.incomplete(), 0);
    }

    #[test]
    fn at_its_deadline_an_alert_goes_out_as_it_is() {
        let mut world = World::new();
        world.event(CLOSE, 1, 20).event(CLOSE, 2, 20);
        assert!(!world.alerts.held.is_due(WAIT) && world.alerts.held.is_due(WAIT + 1));
        world.alerts.release(WAIT + 1, world.engine.state());
        assert_eq!(world.taken(), ["closed by <NA>"]);
        let World { alerts: Alerts { held, out }, .. } = &mut world;
        held.release_all(|alert| out.push(text(&alert)));
        assert_eq!((world.taken().len(), world.alerts.held.incomplete()), (1, 2));
    }

    #[test]
    fn no_more_alerts_are_held_than_allowed() {
        let mut world = World::new();
        for ts in 0..=HELD_ALERTS.get() as u64 {
            world.event(CLOSE, ts, 20);
        }
        assert_eq!((world.taken().len(), world.alerts.held.incomplete()), (1, 1));
        assert!(HELD_ALERTS.reached() > 0);
        let held = &world.alerts.held;
        assert_eq!(held.bytes, held.held.iter().map(Held::memory).sum::<usize>());
        assert_eq!(held.by_container.values().sum::<usize>(), HELD_ALERTS.get());
        world.answer('a');
        assert_eq!(world.taken().len(), HELD_ALERTS.get());
        let held = &world.alerts.held;
        assert!(held.bytes == 0 && held.by_container.is_empty());
    }

    /// A container with many held alerts does not make each event search them.
    #[test]
    fn deadlines_are_looked_for_at_intervals() {
        let mut world = World::new();
        world.event(CLOSE, 1, 20).event(CLOSE, 2, 30);
        world.alerts.release(WAIT + 1, world.engine.state());
        assert_eq!(world.taken().len(), 1);
        let held = &world.alerts.held;
        assert!(!held.is_due(WAIT + SEARCH_INTERVAL));
        assert!(held.is_due(WAIT + 1 + SEARCH_INTERVAL));
    }
}
