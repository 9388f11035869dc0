//! What `next_batch` and its companions return, well and badly.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]

mod support;

use std::fmt::Write as _;
use std::time::Duration;

use peregrine_event::source::{Due, Next, Record, Source, TimedSource};
use peregrine_plugin::{Instance, PluginSource};
use support::{Log, Workshop, instance, source_id};

/// What a source delivers until it ends, a line each.
fn all(mut source: PluginSource) -> String {
    let mut lines = String::new();
    loop {
        match source.next() {
            Ok(Next::Record(Record::Event { event, state_only: false })) => {
                assert_eq!(event.source, source_id());
                let (num, tid) = (event.num, event.tid);
                let ts = if event.ts > 1 << 60 { "now".to_owned() } else { event.ts.to_string() };
                let id = event.u32(0).unwrap();
                let payload = String::from_utf8_lossy(event.param(1).unwrap()).into_owned();
                writeln!(lines, "  {num} ts={ts} tid={tid} id={id} {payload}").unwrap();
            }
            Ok(Next::Idle) => {}
            Ok(Next::End) => {
                writeln!(lines, "  end").unwrap();
                return lines;
            }
            Ok(next) => panic!("{next:?}"),
            Err(error) => {
                writeln!(lines, "  error: {error}").unwrap();
                return lines;
            }
        }
    }
}

fn open(instance: &Instance, params: &str) -> Result<PluginSource, String> {
    instance.open(params, source_id()).map_err(|error| error.to_string())
}

/// Every row of what `next_batch` may return, and what it may not.
#[test]
fn each_result_of_next_batch_is_an_event_an_end_or_an_error() {
    let Some(workshop) = Workshop::open("cc") else { return };
    let library = workshop.plugin();
    let mut table = String::new();
    for params in [
        "one|three|one",
        "one|one and end",
        "one|end|one",
        "timeout|timeout|one|end",
        "one and timeout|three|end",
        "one|fail|one",
        "one and fail|one",
        "one|unsupported",
        "one|odd",
        "one|silent",
        "one|empty",
        "untouched",
        "no array",
        "no event",
        "too many",
        "short",
        "no params",
        "too long",
        "long param",
        "long id",
        "no id",
        "one param",
        "many params",
        "other type",
        "unknown type",
        "other id",
        "own id",
        "now",
    ] {
        let lines = open(&instance(&library), params).map_or_else(|error| error, all);
        write!(table, "{params}\n{lines}").unwrap();
    }
    insta::assert_snapshot!(table);
}

#[test]
fn open_says_why_it_has_failed() {
    let Some(workshop) = Workshop::open("cc") else { return };
    let instance = instance(&workshop.plugin());
    let error = |params| open(&instance, params).unwrap_err();
    assert_eq!(error("refuse"), "not this (plugin 'badly')");
    assert_eq!(error("nothing"), "plugin badly returned no source, but success from 'open'");
    assert_eq!(error("nu\0l"), "the open parameters contain a NUL (plugin 'badly')");
}

#[test]
fn a_source_is_closed_before_its_plugin_is_destroyed() {
    let Some(workshop) = Workshop::open("cc") else { return };
    let log = Log::default();
    let instance = workshop.plugin().init("", log.host()).unwrap();
    let source = open(&instance, "one|end").unwrap();
    drop(instance);
    all(source);
    assert_eq!(log.lines(), ["Info badly: closed", "Info badly: destroyed"]);
}

#[test]
fn the_state_belongs_to_one_thread_at_a_time() {
    let Some(workshop) = Workshop::open("cc") else { return };
    let instance = instance(&workshop.plugin());
    let mut source = open(&instance, "three|one|end").unwrap().waiting(Duration::ZERO);
    let mut events = 0;
    loop {
        match source.due().unwrap() {
            Due::End => break,
            Due::Idle => std::thread::yield_now(),
            Due::At(_) => {
                assert!(matches!(source.due().unwrap(), Due::At(_)), "it is asked twice");
                assert!(matches!(source.next().unwrap(), Next::Record(_)));
                // Not asked for further events yet: nothing is in its way.
                assert_eq!(source.progress(), Some((4321, String::new())));
                events += 1;
            }
            Due::Now => unreachable!(),
        }
    }
    assert_eq!(events, 4);
}

#[test]
fn a_plugin_that_hangs_holds_up_nothing_else() {
    let Some(workshop) = Workshop::open("cc") else { return };
    let log = Log::default();
    let instance = workshop.plugin().init("", log.host()).unwrap();
    let mut source = open(&instance, "one|hang").unwrap();
    while !matches!(source.next().unwrap(), Next::Record(_)) {}
    assert!(matches!(source.next().unwrap(), Next::Idle));
    assert_eq!(instance.metrics().len(), 5, "metrics can be asked for at any time");
    assert_eq!(source.progress(), None, "other calls can't");
    drop(source);
    let lines = log.lines();
    assert_eq!(lines, ["Warning badly: next_batch does not return: the source is not closed"]);
}

#[test]
fn suggestions_for_parameters_can_fail() {
    let Some(workshop) = Workshop::open("cc") else { return };
    let error = instance(&workshop.plugin()).list_open_params().unwrap_err();
    assert_eq!(error.to_string(), "no suggestions (plugin 'badly')");
}
