use std::convert::Infallible;
use std::ops::ControlFlow;

use peregrine_alert::{AlertOrigin, RuleRegistry};
use peregrine_event::render::Buffers;
use peregrine_event::snapshot::{self, Item, User};
use peregrine_event::source::{AccountsRequest, Next, Observation, ProcResolver, Record};
use peregrine_event::{Accounts, Builder, Event, EventType};
use peregrine_fields::Fields;
use peregrine_rules::{EventSource, Loader};
use peregrine_state::Config;

use super::*;
use crate::{AlertContent, Engine, Generation, GenerationSettings, Matching, Source, Step};

const ACCOUNTS: &str = "
- {rule: names, desc: d, condition: evt.type = close, output: closed by %user.name, priority: INFO}
- {rule: plain, desc: d, condition: evt.type = dup, output: duplicated by %user.uid, priority: INFO}
";
const WAIT: u64 = 500_000_000;
const DELAY: u64 = 100_000_000;

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

/// Submitted alerts, as texts.
#[derive(Default)]
struct Out(Vec<String>);

impl AlertSink for Out {
    fn submit(&mut self, alert: Alert) {
        self.0.push(String::from_utf8_lossy(alert.text()).into_owned());
    }

    fn matched(&mut self, matched: &LateMatch<'_>) -> Option<MatchAlert> {
        matched.alert()
    }
}

struct Alerts {
    held: HeldAlerts,
    out: Out,
}

impl crate::Observer for Alerts {
    const DEFERS: bool = true;

    fn event(&mut self, _: &Event<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn matched(&mut self, matched: &Match<'_>) {
        self.held.add(matched, matched.alert().unwrap(), &mut self.out);
    }

    fn undecided(&mut self, undecided: Undecided, state: &State) {
        self.held.add_undecided(undecided, state, &mut self.out);
    }

    fn done(&mut self, event: &Event<'_>, _: bool, state: &State) {
        if event.ty.describes_machine() {
            self.held.release(event.ts, state, &mut self.out);
        }
    }

    fn observed(&mut self, state: &State) {
        self.held.release(0, state, &mut self.out);
    }
}

struct World {
    engine: Engine,
    alerts: Alerts,
    registry: Arc<RuleRegistry>,
}

/// A generation of these rules.
fn generation(rules: &str, matching: Matching, registry: &Arc<RuleRegistry>) -> Arc<Generation> {
    let fields = Fields::syscall().with_containers(true);
    let mut loader = Loader::new(vec![EventSource::syscall(fields.clone())], Vec::new());
    let result = loader.load("rules.yaml", rules.as_bytes());
    assert!(result.successful(), "{}", result.explanation());
    let origin = AlertOrigin::new(Arc::clone(registry), "host");
    let content =
        AlertContent { fields: true, context: &[], iso_time: false, buffers: Buffers::default() };
    let settings = GenerationSettings { matching, ..Default::default() };
    let generation = Generation::new(loader.into_rules(), registry, settings);
    Arc::new(generation.with_alerts(&origin, content, &fields).unwrap())
}

impl World {
    /// Without runtimes.
    fn of_accounts() -> Self {
        Self::new(ACCOUNTS, Matching::First, false)
    }

    /// The runtimes are asked about containers.
    fn of_runtimes(rules: &str) -> Self {
        Self::new(rules, Matching::First, true)
    }

    /// Two containers with a process each, 20 and 30, and one on the host, 10. Process 40 may be in
    /// a container.
    fn new(rules: &str, matching: Matching, lookup_containers: bool) -> Self {
        let registry = Arc::new(RuleRegistry::new());
        let state = Config { live: true, lookup_containers, ..Config::default() };
        let engine = Engine::new(generation(rules, matching, &registry), state);
        let engine = engine.with_resolver(Box::new(Silent));
        let held = HeldAlerts::new(MaxWaits {
            metadata: Duration::from_nanos(DELAY),
            accounts: Duration::from_nanos(WAIT),
        });
        let mut world = Self { engine, alerts: Alerts { held, out: Out::default() }, registry };
        let docker = |digit: &str| format!("cpu=/docker/{}\0", digit.repeat(64));
        for (tid, cgroups) in [
            (10, String::new()),
            (20, docker("a")),
            (30, docker("b")),
            (40, "cpu=/some/group\0".to_owned()),
        ] {
            let thread = snapshot::Thread {
                tid,
                pid: tid,
                uid: 7,
                comm: format!("p{tid}").into_bytes().into(),
                exe: format!("/p{tid}").into_bytes().into(),
                cgroups: cgroups.into_bytes().into(),
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

    /// The accounts of a container are read.
    fn answer(&mut self, digit: char) -> &mut Self {
        let container = digit.to_string().repeat(12).into_bytes().into();
        let mut accounts = Accounts::default();
        let (home, shell) = (Vec::new(), Vec::new());
        accounts.add_user(User { uid: 7, gid: 7, name: b"carol".to_vec(), home, shell });
        self.give(Given::Observation(Observation::Accounts { container, accounts: Some(accounts) }))
    }

    /// A runtime describes a container, which has this name and runs this image.
    fn describe(&mut self, ts: u64, id: &str, image: &str) -> &mut Self {
        let json = format!(
            r#"{{"container":{{"id":"{id}","type":0,"pid":20,"name":"n-{image}","imagerepo":"{image}"}}}}"#
        );
        self.container_event(ts, "container", &json)
    }

    fn container_event(&mut self, ts: u64, name: &str, json: &str) -> &mut Self {
        let mut bytes = Vec::new();
        let mut builder = Builder::new(EventType::AsynceventE, ts, 0);
        builder.u32(0).text(name).text(json).finish(&mut bytes).unwrap();
        self.give(Given::Event(bytes))
    }

    /// No runtime knows a container.
    fn unavailable(&mut self, id: &str) -> &mut Self {
        let container = id.as_bytes().into();
        self.give(Given::Observation(Observation::ContainerUnavailable { container }))
    }

    fn release(&mut self, now: u64) -> &mut Self {
        self.alerts.held.release(now, self.engine.state(), &mut self.alerts.out);
        self
    }

    fn release_all(&mut self) -> &mut Self {
        self.alerts.held.release_all(self.engine.state(), &mut self.alerts.out);
        self
    }

    fn taken(&mut self) -> Vec<String> {
        std::mem::take(&mut self.alerts.out.0)
    }

    fn stats(&self) -> HeldStats {
        self.alerts.held.stats()
    }

    /// The counters agree with what is held.
    fn check(&self) {
        let held = &self.alerts.held;
        let mut again = HeldAlerts { deadline: u64::MAX, ..HeldAlerts::default() };
        for one in &held.held {
            again.usage(one).add(one);
            *again.by_container.entry(Arc::clone(&one.container)).or_default() += 1;
            if let Some(group) = one.group() {
                *again.by_group.entry(group).or_default() += 1;
            }
            again.blocking += usize::from(one.missing == Some(Missing::Metadata));
        }
        assert_eq!((held.alerts, held.undecided), (again.alerts, again.undecided));
        assert_eq!((&held.by_container, &held.by_group), (&again.by_container, &again.by_group));
        assert_eq!(held.blocking, again.blocking);
    }
}

const A: &str = "aaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbb";

use EventType::{SyscallCloseX as CLOSE, SyscallDup_1X as DUP, SyscallFchdirX as FCHDIR};

#[test]
fn an_alert_waits_for_the_names_and_keeps_the_order_of_its_container() {
    let mut world = World::of_accounts();
    world.event(CLOSE, 1, 20).event(DUP, 2, 20).event(DUP, 3, 30).event(CLOSE, 4, 10);
    assert_eq!(world.taken(), ["duplicated by 7", "closed by <NA>"]);
    world.answer('b');
    assert_eq!(world.taken(), [""; 0]);
    world.answer('a');
    assert_eq!(world.taken(), ["closed by carol", "duplicated by 7"]);
    world.event(CLOSE, 5, 20);
    assert_eq!(world.taken(), ["closed by carol"]);
    assert_eq!(world.stats(), HeldStats::default());
}

#[test]
fn at_its_deadline_an_alert_goes_out_as_it_is() {
    let mut world = World::of_accounts();
    world.event(CLOSE, 1, 20).event(CLOSE, 2, 20);
    assert!(!world.alerts.held.is_due(WAIT) && world.alerts.held.is_due(WAIT + 1));
    world.release(WAIT + 1);
    assert_eq!(world.taken(), ["closed by <NA>"]);
    world.release_all();
    assert_eq!((world.taken().len(), world.stats().incomplete), (1, 2));
}

#[test]
fn no_more_alerts_are_held_than_allowed() {
    let mut world = World::of_accounts();
    for ts in 0..=HELD_ALERTS.get() as u64 {
        world.event(CLOSE, ts, 20);
    }
    assert_eq!((world.taken().len(), world.stats().incomplete), (1, 1));
    assert!(HELD_ALERTS.reached() > 0);
    world.check();
    assert_eq!(world.alerts.held.by_container.values().sum::<usize>(), HELD_ALERTS.get());
    world.answer('a');
    assert_eq!(world.taken().len(), HELD_ALERTS.get());
    world.check();
    assert!(world.alerts.held.is_empty() && world.alerts.held.by_container.is_empty());
}

/// A container with many held alerts does not make each event search them.
#[test]
fn deadlines_are_looked_for_at_intervals() {
    let mut world = World::of_accounts();
    world.event(CLOSE, 1, 20).event(CLOSE, 2, 30);
    world.release(WAIT + 1);
    assert_eq!(world.taken().len(), 1);
    let held = &world.alerts.held;
    assert!(!held.is_due(WAIT + SEARCH_INTERVAL));
    assert!(held.is_due(WAIT + 1 + SEARCH_INTERVAL));
}

#[test]
fn a_deadline_is_reached_also_when_the_clock_was_set_back() {
    let held = HeldAlerts::new(MaxWaits {
        metadata: Duration::ZERO,
        accounts: Duration::from_nanos(CLOCK_STEP),
    });
    let is_reached = |now| held.is_reached(100 * CLOCK_STEP, now);
    assert!(is_reached(100 * CLOCK_STEP) && is_reached(200 * CLOCK_STEP));
    assert!(!is_reached(99 * CLOCK_STEP) && !is_reached(98 * CLOCK_STEP));
    assert!(is_reached(98 * CLOCK_STEP - 1) && is_reached(0));
}

const SHOWN: &str = "
- {rule: shown, desc: d, condition: evt.type = close, output: 'closed in %container.name by %proc.name', priority: INFO}
- {rule: plain, desc: d, condition: evt.type = dup, output: duplicated by %proc.name, priority: INFO}
";

#[test]
fn an_alert_waits_for_the_runtime_and_keeps_the_order_of_all() {
    let mut world = World::of_runtimes(SHOWN);
    world.event(CLOSE, 1, 20).event(DUP, 2, 20).event(DUP, 3, 10).event(CLOSE, 4, 30);
    assert_eq!(world.taken(), [""; 0]);
    world.describe(5, B, "redis");
    assert_eq!(world.taken(), [""; 0]);
    world.describe(6, A, "nginx");
    let expected = [
        "closed in n-nginx by p20",
        "duplicated by p20",
        "duplicated by p10",
        "closed in n-redis by p30",
    ];
    assert_eq!(world.taken(), expected);
    world.event(CLOSE, 7, 20).event(DUP, 8, 10).check();
    assert_eq!(world.taken(), ["closed in n-nginx by p20", "duplicated by p10"]);
    assert_eq!(world.stats(), HeldStats::default());
}

#[test]
fn an_alert_keeps_what_was_known_when_its_container_is_gone_before_its_turn() {
    let mut world = World::of_runtimes(SHOWN);
    world.event(CLOSE, 1, 20).event(CLOSE, 2, 30).describe(3, B, "redis");
    world.container_event(4, "container_removed", &format!(r#"{{"container":{{"id":"{B}"}}}}"#));
    world.describe(5, A, "nginx");
    assert_eq!(world.taken(), ["closed in n-nginx by p20", "closed in n-redis by p30"]);
}

#[test]
fn no_container_delays_alerts_of_others_for_longer_than_the_delay() {
    let mut world = World::of_runtimes(SHOWN);
    world.event(CLOSE, 1, 20).event(DUP, 2, 10);
    assert!(!world.alerts.held.is_due(DELAY) && world.alerts.held.is_due(DELAY + 1));
    world.release(DELAY + 1);
    assert_eq!(world.taken(), ["closed in <NA> by p20", "duplicated by p10"]);
    assert_eq!(world.stats(), HeldStats { without_metadata: 1, ..HeldStats::default() });
}

#[test]
fn an_alert_that_waits_for_both_blocks_others_only_for_the_runtime() {
    let mut world = World::of_runtimes(
        "- {rule: r, desc: d, condition: evt.type = close, output: '%container.name %user.name', priority: INFO}",
    );
    world.event(CLOSE, 1, 20).event(CLOSE, 2, 10).describe(3, A, "nginx");
    assert_eq!(world.taken(), ["host <NA>"]);
    world.answer('a');
    assert_eq!(world.taken(), ["n-nginx carol"]);
}

/// One rule with this condition for `close`, which shows the name of the program.
fn rule(condition: &str) -> String {
    format!(
        "- {{rule: r, desc: d, condition: \"evt.type = close and {condition}\", \
         output: '%container.image.repository %proc.name %evt.num', priority: INFO}}"
    )
}

#[test]
fn rules_are_decided_when_the_runtime_answers() {
    for (condition, nginx, redis) in [
        ("container.image.repository = nginx", true, false),
        ("not container.image.repository = nginx", false, true),
        ("container.image.repository != nginx", false, true),
        ("container.image.repository in (nginx, other)", true, false),
        ("container.image.repository exists", true, true),
        ("not container.image.repository exists", false, false),
        ("toupper(container.image.repository) = NGINX", true, false),
        ("concat(proc.name, container.image.repository) = p20nginx", true, false),
        ("container.name endswith val(container.image.repository)", true, true),
        ("(proc.name = p20 and not container.name = n-redis)", true, false),
        ("(evt.num < 0 or container.image.repository startswith ng)", true, false),
        ("k8s.ns.name exists", false, false),
        ("container.privileged = false", true, true),
        ("proc.is_container_healthcheck = true", false, false),
    ] {
        for (image, fires) in [("nginx", nginx), ("redis", redis)] {
            let mut world = World::of_runtimes(&rule(condition));
            world.event(CLOSE, 1, 20).event(FCHDIR, 2, 20);
            assert_eq!((world.taken().len(), world.stats().undecided), (0, 1), "{condition}");
            world.describe(3, A, image).check();
            let expected = fires.then(|| format!("{image} p20 0"));
            assert_eq!(world.taken(), Vec::from_iter(expected), "{condition} {image}");
            assert!(world.alerts.held.is_empty() && world.stats().given_up == 0);
        }
    }
}

#[test]
fn what_does_not_depend_on_the_runtime_is_decided_at_once() {
    for (condition, fires) in [
        ("proc.name = other and container.image.repository = nginx", false),
        ("(proc.name = p20 or container.image.repository = nginx)", true),
        ("container.id = aaaaaaaaaaaa", true),
        ("not container.id = host", true),
        ("fs.path.name = val(container.name)", false),
    ] {
        let rules = rule(condition).replace("%container.image.repository ", "");
        let mut world = World::of_runtimes(&rules);
        world.event(CLOSE, 1, 20);
        assert_eq!(world.taken().len(), usize::from(fires), "{condition}");
        assert!(world.alerts.held.is_empty() && world.stats().undecided == 0);
    }
}

#[test]
fn at_the_deadline_rules_are_decided_without_the_runtime() {
    for (condition, fires) in [
        ("container.image.repository = nginx", false),
        ("not container.image.repository = nginx", true),
        ("container.image.repository exists", false),
    ] {
        let mut world = World::of_runtimes(&rule(condition));
        world.event(CLOSE, 1, 20).release(DELAY);
        assert_eq!(world.taken().len(), 0);
        world.release(DELAY + 1);
        let expected = fires.then(|| "<NA> p20 0".to_owned());
        assert_eq!(world.taken(), Vec::from_iter(expected), "{condition}");
        assert_eq!((world.stats().undecided, world.stats().given_up), (1, 1));
        // The same at the end of the run, and when no runtime knows the container.
        world.event(CLOSE, DELAY + 2, 20).release_all();
        assert_eq!((world.taken().len(), world.stats().given_up), (usize::from(fires), 2));
        world.event(CLOSE, DELAY + 3, 20).unavailable(A);
        assert_eq!((world.taken().len(), world.stats().given_up), (usize::from(fires), 2));
    }
}

/// A decision uses the values of its event, not those of when it is made.
#[test]
fn values_of_the_event_are_kept() {
    let mut world = World::of_runtimes(&rule(
        "proc.name = p20 and fd.num = 3 and container.image.repository = nginx",
    ));
    world.event(CLOSE, 1, 20);
    let mut bytes = Vec::new();
    Builder::new(EventType::Procexit_1E, 2, 20).finish(&mut bytes).unwrap();
    world.give(Given::Event(bytes)).event(FCHDIR, 3, 10);
    assert!(world.engine.state().by_tid(20).is_none());
    world.describe(4, A, "nginx");
    assert_eq!(world.taken(), ["nginx p20 0"]);
}

#[test]
fn a_probe_is_one_also_after_its_end() {
    for (exe, expected) in [("/p20", Some("web p20 0")), ("/p30", None)] {
        let mut world = World::of_runtimes(&rule("proc.is_container_healthcheck = true"));
        world.event(CLOSE, 1, 20);
        let mut bytes = Vec::new();
        Builder::new(EventType::Procexit_1E, 2, 20).finish(&mut bytes).unwrap();
        world.give(Given::Event(bytes)).event(FCHDIR, 3, 10);
        let json = format!(
            r#"{{"container":{{"id":"{A}","imagerepo":"web","Healthcheck":{{"exe":"{exe}","args":[]}}}}}}"#
        );
        world.container_event(4, "container", &json);
        assert_eq!(world.taken(), Vec::from_iter(expected), "{exe}");
    }
}

const TWO: &str = "
- {rule: image, desc: d, condition: evt.type = close and container.image.repository = nginx, output: image, priority: INFO}
- {rule: any, desc: d, condition: evt.type = close, output: any, priority: INFO}
";

#[test]
fn rules_behind_one_that_waits_wait_where_only_the_first_counts() {
    for (image, expected) in [("nginx", "image"), ("redis", "any")] {
        let mut world = World::of_runtimes(TWO);
        world.event(CLOSE, 1, 20);
        assert_eq!(world.taken(), [""; 0]);
        world.describe(2, A, image);
        assert_eq!(world.taken(), [expected]);
        world.event(CLOSE, 3, 20);
        assert_eq!(world.taken(), [expected]);
    }
}

#[test]
fn where_all_rules_count_only_those_wait_that_depend_on_the_runtime() {
    let mut world = World::new(TWO, Matching::All, true);
    world.event(CLOSE, 1, 20);
    assert_eq!(world.taken(), ["any"]);
    world.describe(2, A, "nginx");
    assert_eq!(world.taken(), ["image"]);
}

/// A group with a name that anybody may choose is a container's only if a runtime knows it.
#[test]
fn an_uncertain_container_may_be_the_host() {
    let rules = "- {rule: r, desc: d, condition: evt.type = close and container.id != host, \
                 output: '%container.id %container.name', priority: INFO}";
    let mut world = World::of_runtimes(rules);
    world.event(CLOSE, 1, 40);
    assert_eq!((world.taken().len(), world.stats().undecided), (0, 1));
    world.unavailable("group").check();
    assert_eq!(world.taken(), [""; 0]);
    world.event(CLOSE, 2, 40);
    assert!(world.taken().is_empty() && world.alerts.held.is_empty());

    let mut world = World::of_runtimes(rules);
    world.event(CLOSE, 1, 40).describe(2, "group", "nginx").event(CLOSE, 3, 40);
    assert_eq!(world.taken(), ["group n-nginx"; 2]);

    // With no answer, it is the host.
    let mut world = World::of_runtimes(&rules.replace("!=", "="));
    world.event(CLOSE, 1, 40).release(DELAY + 1);
    assert_eq!(world.taken(), ["host host"]);
}

#[test]
fn a_reload_does_not_change_what_waits() {
    let mut world = World::of_runtimes(&rule("container.image.repository = nginx"));
    world.event(CLOSE, 1, 20);
    let other = rule("container.image.repository = redis");
    world.engine.install(generation(&other, Matching::First, &world.registry));
    world.event(CLOSE, 2, 20).describe(3, A, "nginx");
    assert_eq!(world.taken(), ["nginx p20 0"]);
}

#[test]
fn without_a_delay_nothing_waits() {
    let mut world = World::of_runtimes(&rule("not container.image.repository = nginx"));
    world
        .alerts
        .held
        .set_max_waits(MaxWaits { metadata: Duration::ZERO, accounts: Duration::ZERO });
    world.event(CLOSE, 1, 20).event(CLOSE, 2, 20);
    assert_eq!(world.taken(), ["<NA> p20 0"; 2]);
    assert!(world.alerts.held.is_empty());
}

/// What a flood of events crowds out are events of its own kind.
#[test]
fn events_with_rare_rules_keep_their_place() {
    let rules = "
- {rule: rare, desc: d, condition: evt.type = dup and container.image.repository = nginx, output: rare, priority: INFO}
- {rule: flood, desc: d, condition: evt.type = close and container.image.repository = nginx, output: flood, priority: INFO}
";
    let mut world = World::of_runtimes(rules);
    world.event(DUP, 1, 20);
    let most = UNDECIDED_EVENTS.get() as u64;
    for ts in 0..most + 100 {
        world.event(CLOSE, 2 + ts, 20);
    }
    world.check();
    assert!(UNDECIDED_EVENTS.reached() > 0);
    assert_eq!(world.stats().given_up, most.div_ceil(GIVEN_UP_SHARE as u64));
    world.describe(2 * most, A, "nginx");
    let alerts = world.taken();
    assert_eq!(alerts.first().map(String::as_str), Some("rare"));
    assert_eq!(alerts.len() as u64, 1 + most + 100 - world.stats().given_up);
}
