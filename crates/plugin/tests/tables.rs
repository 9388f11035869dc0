//! Tables, as plugins in C use them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]

mod support;

use peregrine_event::snapshot::{self, Item};
use peregrine_event::{Builder, Event, EventType, SourceId};
use peregrine_plugin::tables::reading;
use peregrine_plugin::{
    FieldRequest, FieldType, FieldValue, Host, Instance, Library, PluginEvent, PluginParsers,
    SourcePlugins, TableRegistry,
};
use peregrine_state::{Config, EventParser, State};
use support::{Log, Workshop};

fn init(library: &Library, config: &str, registry: &TableRegistry, log: &Log) -> Instance {
    let tables = Some(registry.instance(library.info()));
    library.init(config, Host { tables, ..log.host() }).unwrap()
}

fn state() -> State {
    let mut state = State::new(Config::default());
    for tid in [1, 7] {
        let comm = b"cat"[..].into();
        let thread = snapshot::Thread { tid, pid: tid, comm, ..Default::default() };
        state.load(Item::Thread(Box::new(thread)));
    }
    for (fd, name) in [(0, "/dev/null"), (1, "/tmp/out"), (2, "/tmp/err")] {
        let kind = snapshot::FdKind::File { flags: 1, name: name.into(), mount_id: 0, dev: 0 };
        state.load(Item::Fds(7, vec![snapshot::Fd { fd, ino: 1, kind }]));
    }
    state.loaded();
    state
}

/// An event of the thread 7, which its time says.
fn event() -> Vec<u8> {
    let mut bytes = Vec::new();
    Builder::new(EventType::SyscallCloseX, 1007, 7).i64(0).i64(9).finish(&mut bytes).unwrap();
    bytes
}

fn extract(instance: &Instance, state: &State, field: u32, name: &str) -> String {
    let bytes = event();
    let event = Event::parse(&bytes, 0).unwrap();
    let event = PluginEvent::new(&event, c"syscall");
    let request = FieldRequest::new(field, name, FieldType::Text, false).unwrap();
    let value = reading(state, || {
        instance.extract(&event, &request, |answer| match answer.get(0) {
            Some(FieldValue::Text(text)) => String::from_utf8_lossy(text).into_owned(),
            other => format!("{other:?}"),
        })
    });
    value.unwrap_or_else(|| "-".to_owned())
}

#[test]
fn each_operation_has_its_result_or_its_error() {
    let Some(workshop) = Workshop::open("cc") else { return };
    let library = Library::load(&workshop.build("tables", "tables.c", &[])).unwrap();
    let (registry, log) = (TableRegistry::default(), Log::default());
    drop(init(&library, "ask", &registry, &log));
    insta::assert_snapshot!(log.lines().join("\n"));
}

#[test]
fn each_fault_of_a_table_has_its_error() {
    let Some(workshop) = Workshop::open("cc") else { return };
    let library = Library::load(&workshop.build("tables", "tables.c", &[])).unwrap();
    let log = Log::default();
    for fault in 0..=10 {
        let registry = TableRegistry::default();
        let instance = init(&library, &format!("broken={fault}"), &registry, &log);
        let has_table = registry.names().len() > 1;
        assert_eq!(has_table, fault == 10, "{fault}");
        drop(instance);
        assert_eq!(registry.names(), ["threads"], "tables end with their plugin");
    }
    // Before API 3.1 there were no extended functions.
    let old = workshop.build("old", "tables.c", &["-DNEEDS=\"3.0.0\""]);
    drop(init(&Library::load(&old).unwrap(), "broken=2", &TableRegistry::default(), &log));
    insta::assert_snapshot!(log.lines().join("\n"));
}

#[test]
fn parsers_change_the_state_and_fields_show_it() {
    let Some(workshop) = Workshop::open("cc") else { return };
    let owner = Library::load(&workshop.build("owner", "tables.c", &["-DNAME=\"owner\""])).unwrap();
    let guest = Library::load(&workshop.build("guest", "tables.c", &["-DNAME=\"guest\""])).unwrap();
    let (registry, log) = (TableRegistry::default(), Log::default());
    let owner = init(&owner, "own", &registry, &log);
    let guest = init(&guest, "guest", &registry, &log);
    registry.initialised();
    assert_eq!(registry.names(), ["colours", "threads"]);
    let instances = vec![owner.clone(), guest.clone()];
    let name = "syscall".to_owned();
    let plugins = vec![SourcePlugins { id: SourceId::SYSCALL, name, instances }];
    let mut parsers = PluginParsers::new(plugins).unwrap();
    let mut state = state();
    parsers.opened(&mut state).unwrap();
    for _ in 0..2 {
        let bytes = event();
        let event = Event::parse(&bytes, 0).unwrap();
        state.apply(&event);
        parsers.parse(&event, &mut state);
    }
    assert_eq!(state.by_tid(7).unwrap().comm(), b"parsed");
    // Both have counted in the same field.
    assert_eq!(extract(&owner, &state, 0, "tables.note"), "4 seen");
    assert_eq!(extract(&guest, &state, 1, "tables.files"), "/dev/null,/tmp/out,");
    let error = "1: tables can only be read during this call";
    assert_eq!(extract(&guest, &state, 2, "tables.write"), error);
    assert_eq!(extract(&guest, &state, 3, "tables.colours"), "guest,");
    parsers.closed(&mut state);
    insta::assert_snapshot!(log.lines().join("\n"));

    // The owner of a table goes first.
    drop((parsers, owner));
    assert_eq!(extract(&guest, &state, 3, "tables.colours"), "");
    assert_eq!(extract(&guest, &state, 0, "tables.note"), "4 seen");
}
