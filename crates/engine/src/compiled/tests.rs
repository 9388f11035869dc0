#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::fs::File;

use peregrine_event::source::{Record, SourceNames};
use peregrine_event::{Event, EventFlags};
use peregrine_fields::{EventTypes, Fields, Run, Scratch};
use peregrine_filter::{Anchor, Side, StaticFacts, Supplier, Value, Vocabulary};
use peregrine_rules::{EventSource, Loader};
use peregrine_scap::Reader;
use peregrine_state::{Config, State};
use proptest::prelude::*;

use super::*;

/// Tests of every class of fields, rarely and often true.
#[rustfmt::skip]
const TESTS: &[&str] = &[
    "evt.type = open", "evt.type in (open, openat, openat2)", "evt.type != close", "evt.type = clock_gettime",
    "evt.type in (connect, accept, accept4, sendto)", "evt.type startswith open", "evt.type = execve",
    "evt.dir = <", "evt.dir = >", "evt.num = 0", "evt.num > 20", "evt.is_io = true", "evt.is_open_read = true",
    "evt.is_open_write = true", "evt.category = file", "evt.failed = true", "evt.res = ENOENT", "evt.rawres >= 0",
    "evt.arg.flags contains O_RDONLY", "evt.arg.name startswith /etc", "evt.rawarg.res < 0", "evt.arg[1] exists",
    "evt.buffer contains a", "evt.is_open_exec = true", "evt.abspath exists", "syscall.type exists", "evt.count = 1",
    "proc.name = cat", "proc.name in (sh, bash, zsh, dash, ash, curl)", "proc.pname exists", "proc.aname in (sshd, bash)",
    "proc.aname[2] = bash", "proc.cmdline contains -", "proc.args exists", "proc.exepath startswith /usr", "proc.duration > 5",
    "proc.vpid = 1", "proc.env contains PATH", "proc.is_exe_writable = true", "thread.cap_effective contains CAP_SYS_ADMIN",
    "proc.pname = proc.name", "proc.name != val(proc.pname)", "tolower(proc.name) = cat", "len(proc.cmdline) > 12",
    "fd.name startswith /etc", "fd.name in (/etc/passwd, /etc/shadow, /dev/null)", "fd.directory = /dev", "fd.num >= 0",
    "fd.name pmatch (/etc, /usr/lib)", "fd.typechar = f", "fd.type in (ipv4, ipv6, unix)", "fd.sip exists", "fd.port = 53",
    "fd.name glob '/proc/*'", "fd.filename endswith .so", "fd.l4proto = tcp", "fd.name contains lib", "fd.ip = 127.0.0.1",
    "fd.filename in (passwd, cat, libc.so.6, null)", "fd.filename = cat", "fd.directory startswith /usr/l",
    "fd.directory in (/, /etc, /usr/bin)", "fd.directory = /", "fd.directory glob '/[eu]*'", "fd.name endswith .so.6",
    "fd.name glob '*/passwd'", "fd.name glob '/usr/*/lib*'", "fd.name endswith c", "proc.exepath endswith /cat",
    "fd.name regex '.*so.[0-9]+'", "fs.path.name exists", "fs.path.name startswith /tmp", "fs.path.source exists",
    "user.name = root", "user.uid = 0", "group.gid != 0", "container.id = host", "container.id != host",
];

/// Representative fields with arguments.
const WITH_ARGUMENTS: &[&str] = &[
    "evt.arg.res",
    "evt.arg.name",
    "evt.arg[0]",
    "evt.rawarg.fd",
    "evt.type.is.open",
    "fd.types[1]",
    "proc.aname[1]",
];

const CAPTURES: &[&str] = &["own_zoo", "own_acts", "open-multiple-files", "curl_google", "syscall"];

/// Shows every event of a capture with the state after it.
fn replay(capture: &str, mut each: impl FnMut(&Event<'_>, &View<'_>)) {
    let path = format!("{}/../../conformance/captures/{capture}.scap", env!("CARGO_MANIFEST_DIR"));
    let mut reader = Reader::new(File::open(path).unwrap());
    let mut state = State::new(Config::default());
    let (run, mut scratch) = (Run::default(), Scratch::default());
    let mut in_snapshot = true;
    while let Some(record) = reader.next().unwrap() {
        match record {
            Record::Restart => state.reset(),
            Record::Snapshot(item) => state.load(item),
            Record::Event { event, .. } => {
                if std::mem::take(&mut in_snapshot) {
                    state.loaded();
                }
                let context = state.apply(&event);
                scratch.reset();
                each(&event, &View::new(&event, &state, context, &run, &scratch));
            }
        }
    }
}

fn rules(conditions: &[String]) -> RuleSet<Field> {
    let vocabulary = Fields::syscall().with_containers(true);
    let mut loader = Loader::new(vec![EventSource::syscall(vocabulary)], Vec::new());
    let rules = conditions.iter().enumerate().map(|(index, condition)| {
        let condition = quoted(condition);
        format!(
            "- {{rule: r{index}, desc: d, condition: {condition}, output: o, priority: INFO}}\n"
        )
    });
    let result = loader.load("rules.yaml", rules.collect::<String>().as_bytes());
    assert!(result.successful(), "{}", result.explanation());
    loader.into_rules()
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn condition() -> impl Strategy<Value = String> {
    let test = prop::sample::select(TESTS).prop_map(str::to_owned);
    test.prop_recursive(4, 24, 4, |inner| {
        let joined = |word: &'static str| {
            prop::collection::vec(inner.clone(), 2..5)
                .prop_map(move |parts| format!("({})", parts.join(word)))
        };
        prop_oneof![3 => joined(" and "), 2 => joined(" or "), 1 => inner.clone().prop_map(|c| format!("not ({c})"))]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// The oracle evaluates one rule after the other.
    #[test]
    fn programs_match_what_rules_match(
        conditions in prop::collection::vec(condition(), 1..90),
        capture in prop::sample::select(CAPTURES),
        all in any::<bool>(),
    ) {
        let rules = rules(&conditions);
        let matching = if all { Matching::All } else { Matching::First };
        let compiled = CompiledRules::new(&rules);
        let mut working = compiled.working(matching);
        replay(capture, |event, view| {
            let allowed = |types: &EventTypes| types.events.contains(event.ty) || event.ty == EventType::AsynceventE;
            let holds = rules.rules.iter().enumerate().filter(|(_, rule)| {
                EventTypes::of(&rule.condition).is_ok_and(|types| allowed(&types)) && rule.filter.matches(view)
            });
            let expected: Vec<usize> =
                holds.map(|(index, _)| index).take(if all { usize::MAX } else { 1 }).collect();
            let mut found = Vec::new();
            if let Some(here) = compiled.candidates(event.source, event.ty) {
                compiled.matches(here, &rules, view, &mut working, &mut (), |rule| found.push(rule));
            }
            assert_eq!(found, expected, "event {} {}", event.num, event.ty.name());
        });
    }
}

#[test]
fn static_facts_of_types_hold_for_every_event() {
    let fields = Fields::syscall().with_containers(true);
    let names =
        fields.classes().flat_map(|class| class.fields.iter()).map(|definition| &*definition.name);
    let known = names.chain(WITH_ARGUMENTS.iter().copied());
    let known: Vec<_> =
        known.filter_map(|name| Some((name, fields.resolve(name).ok()?.field))).collect();
    let mut checked = 0;
    for capture in CAPTURES {
        replay(capture, |event, view| {
            for (name, field) in &known {
                if let Some(value) = EventTypeFacts(event.ty).known(field) {
                    checked += 1;
                    assert_eq!(value, view.value(field), "{name} of {:?}", event.ty);
                }
            }
        });
    }
    assert!(checked > 10_000);
}

#[test]
fn implications_between_fields_hold_for_every_event() {
    let fields = Fields::syscall();
    let field = |name| fields.resolve(name).unwrap().field;
    let known = ["fd.directory", "fd.filename", "fd.name", "fd.nameraw", "fs.path.name"].map(field);
    let text = |view: &View<'_>, field: &Field| match view.value(field) {
        Some(Value::Text(text)) => Some(text.to_vec()),
        _ => None,
    };
    let mut checked = 0;
    for capture in CAPTURES {
        replay(capture, |event, view| {
            for field in &known {
                let Some(value) = text(view, field) else { continue };
                let edges = (1..value.len()).flat_map(|at| {
                    let (start, end) = value.split_at(at);
                    [(Anchor::Prefix, start), (Anchor::Suffix, end)]
                });
                for (stands, part) in edges.chain([(Anchor::Whole, &*value)]) {
                    let implied = EventTypeFacts(event.ty).implied(field, stands, part);
                    let Some((other, side, part)) = implied else { continue };
                    let other = text(view, &other).unwrap();
                    assert!(match side {
                        Side::Start => other.starts_with(&part),
                        Side::End => other.ends_with(&part),
                    });
                    checked += 1;
                }
            }
        });
    }
    assert!(checked > 10_000, "{checked}");
}

#[test]
fn types_that_no_rule_matches_have_no_candidates() {
    let compiled = CompiledRules::new(&rules(&["evt.type = open and proc.name = cat".into()]));
    let concerns = |ty| compiled.concerns(SourceId::SYSCALL, ty);
    assert!(concerns(EventType::SyscallOpenX));
    assert!(!concerns(EventType::SyscallCloseX));
    let old = EventType::all().filter(|ty| ty.info().flags.contains(EventFlags::OLD_VERSION));
    assert!(old.filter(|ty| ty.name() == "close").all(|ty| !concerns(ty)));
}

#[test]
fn impure_fields_are_interpreted_in_order() {
    let compiled = CompiledRules::new(&rules(&["thread.cpu > 1 and evt.num > 0".into()]));
    let here = compiled.candidates(SourceId::SYSCALL, EventType::ProcinfoE).unwrap();
    assert_eq!(
        here.rules.iter().map(|rule| rule.condition).collect::<Vec<_>>(),
        [Residual::Interpreted]
    );
}

#[test]
fn rules_match_only_events_of_their_source() {
    let mut names = SourceNames::default();
    let id = names.intern("audit").unwrap();
    let audit = EventSource { id, name: "audit".to_owned(), vocabulary: Fields::syscall() };
    let syscall = EventSource::syscall(Fields::syscall());
    let mut loader = Loader::new(vec![syscall, audit], Vec::new());
    let result = loader.load(
        "rules.yaml",
        b"
- {rule: syscall, desc: d, condition: evt.type = close, output: o, priority: INFO}
- {rule: audit, desc: d, condition: evt.num > 0, output: o, priority: INFO, source: audit}
",
    );
    assert!(result.successful(), "{}", result.explanation());
    let compiled = CompiledRules::new(&loader.into_rules());
    let rules = |source| compiled.rules(source, EventType::SyscallCloseX).collect::<Vec<_>>();
    assert_eq!((rules(SourceId::SYSCALL), rules(id)), (vec![0], vec![1]));
    assert!(!compiled.concerns(SourceId::SYSCALL, EventType::SyscallOpenX));
    assert!(!compiled.concerns(names.intern("unknown").unwrap(), EventType::SyscallCloseX));
}
