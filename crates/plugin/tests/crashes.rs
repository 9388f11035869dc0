//! A process that dies in a plugin says in which, and in which function.
//!
//! Each case runs in a process of its own: this test program, started again.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]

mod support;

use std::fmt::Write as _;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use peregrine_event::source::{Next, Source};
use peregrine_event::{Builder, Event, EventType};
use peregrine_plugin::{FieldRequest, FieldType, Library, PluginEvent};
use support::{Log, Workshop, source_id};

const LIBRARY: &str = "PEREGRINE_TEST_LIBRARY";
const CASE: &str = "PEREGRINE_TEST_CASE";

/// What a process does that is to die.
#[test]
#[ignore = "started by the other tests, in a process of its own"]
fn child() {
    let (Ok(library), Ok(case)) = (std::env::var(LIBRARY), std::env::var(CASE)) else { return };
    let (what, text) = case.split_once(' ').unwrap();
    let library = Library::load(Path::new(&library)).unwrap();
    let instance = library.init(if what == "init" { text } else { "" }, Log::default().host());
    let instance = instance.unwrap();
    match what {
        "open" => {
            let mut source = instance.open(text, source_id()).unwrap();
            while !matches!(source.next().unwrap(), Next::End) {}
        }
        "extract" => {
            let mut bytes = Vec::new();
            Builder::new(EventType::PlugineventE, 1, -1)
                .u32(77)
                .param(b"x")
                .finish(&mut bytes)
                .unwrap();
            let event = Event::parse(&bytes, 0).unwrap();
            let field = FieldRequest::new(0, text, FieldType::Text, false).unwrap();
            instance.extract(&PluginEvent::new(&event, c"badly"), &field, |_| ());
        }
        _ => {}
    }
}

/// How a process ends, and the lines in which it says why.
fn run(library: &Path, case: &str) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored", "--nocapture", "--quiet"])
        .env(LIBRARY, library)
        .env(CASE, case)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let said: Vec<_> = errors.lines().filter(|line| line.contains("has crashed")).collect();
    let said = said.join(" / ").replace(library.to_str().unwrap(), "FILE");
    let signal = output.status.signal();
    format!("{} {said}", signal.map_or("lives".to_owned(), |signal| format!("signal {signal}")))
}

#[test]
fn a_crash_names_the_plugin_and_the_function() {
    let Some(workshop) = Workshop::open("cc") else { return };
    let library = workshop.build("badly", "plugin.c", &[]);
    let mut table = String::new();
    for case in [
        "init crash",
        "init thread crashes",
        "init thread aborts",
        "open crash",
        "open one|crash",
        "open one|abort",
        "open one|overflow",
        "extract b.crash",
        "extract b.abort",
        "extract b.value",
    ] {
        writeln!(table, "{case}: {}", run(&library, case)).unwrap();
    }
    let library = workshop.build("constructed", "plugin.c", &["-DCONSTRUCTOR=abort()"]);
    writeln!(table, "constructor aborts: {}", run(&library, "init ")).unwrap();
    insta::assert_snapshot!(table);
}

#[test]
fn an_exception_that_leaves_a_plugin_names_it() {
    let Some(workshop) = Workshop::open("c++") else { return };
    let library = workshop.build("throws", "throws.cpp", &[]);
    let mut table = String::new();
    for case in ["init i", "extract t.x"] {
        writeln!(table, "{case}: {}", run(&library, case)).unwrap();
    }
    insta::assert_snapshot!(table);
}
