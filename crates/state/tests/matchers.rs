//! Which container control groups belong to, for a table of the reference's answers
//! (`conformance/containers` at the root).

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::fs;
use std::path::Path;

use peregrine_event::snapshot::{Item, Thread};
use peregrine_state::{Config, State};
use serde_json::Value;

#[test]
fn control_groups_belong_to_the_same_containers() {
    let table = "../../conformance/containers/matchers.jsonl";
    let table = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(table)).unwrap();
    let mut rows = 0;
    for row in table.lines() {
        let row: Value = serde_json::from_str(row).unwrap();
        let groups = row["cgroups"].as_array().unwrap();
        let groups: String =
            groups.iter().map(|it| it.as_str().unwrap().to_owned() + "\0").collect();
        let mut state = State::new(Config::default());
        state.load(Item::Thread(Box::new(Thread {
            tid: 7,
            pid: 7,
            cgroups: groups.as_bytes().into(),
            ..Thread::default()
        })));
        state.loaded();
        let id = &state.by_tid(7).unwrap().container;
        assert_eq!(String::from_utf8_lossy(id), row["id"].as_str().unwrap(), "{row}");
        if let Some(name) = row["type"].as_str() {
            let container = state.container_of(id, true).unwrap();
            assert_eq!(name, container.kind.name(), "{row}");
        }
        rows += 1;
    }
    assert!(rows > 250, "{rows} rows");
}
