//! Random conditions with macros, lists and exceptions.

use peregrine_authoring::rule_diff;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value as Json, json};

use super::{by_engine, compare, fields, load, root};

/// Tests of all kinds: fields with and without a value, lists, several values, impure fields.
const TESTS: [&str; 24] = [
    "evt.type in (open, openat, openat2, execve, execveat)",
    "evt.type in (files)",
    "evt.type = close",
    "evt.is_open_read = true",
    "evt.num > 500",
    "evt.res < 0",
    "evt.deltatime > 1000",
    "evt.arg.flags contains O_RDONLY",
    "fd.name startswith /etc",
    "fd.name pmatch (/usr, /lib, /proc)",
    "fd.typechar = 'f'",
    "fd.num >= 3",
    "fd.sip exists",
    "fd.ip != 127.0.0.1",
    "fd.directory in (directories)",
    "proc.name in (shells, cat)",
    "proc.aname in (shells)",
    "proc.name = proc.pname",
    "proc.name = val(proc.pname)",
    "tolower(proc.name) contains \"a\"",
    "proc.cmdline glob \"*sh*\"",
    "proc.args intersects (-c, -l)",
    "thread.cpu > 0",
    "user.uid = 0",
];

const LISTS: &str = r#"
    {"list": "files", "items": ["open", "openat", "rename", "unlinkat"]},
    {"list": "shells", "items": ["sh", "bash", "dash"]},
    {"list": "directories", "items": ["/etc", "/tmp", "/"]}
"#;

/// Macros that a condition may name: those before it.
fn condition(macros: usize) -> impl Strategy<Value = String> {
    let test = (0..TESTS.len()).prop_map(|test| TESTS[test].to_owned());
    let leaf = match macros {
        0 => test.boxed(),
        _ => prop_oneof![3 => test, 1 => (0..macros).prop_map(|name| format!("m{name}"))].boxed(),
    };
    leaf.prop_recursive(4, 16, 4, |inner| {
        let joined = |word: &'static str| {
            let parts = prop::collection::vec(inner.clone(), 2..4);
            parts.prop_map(move |parts| format!("({})", parts.join(word)))
        };
        prop_oneof![
            2 => joined(" and "),
            2 => joined(" or "),
            1 => inner.clone().prop_map(|part| format!("not ({part})")),
        ]
    })
}

fn rules() -> impl Strategy<Value = String> {
    let macros = (condition(0), condition(1), condition(2)).prop_map(|(a, b, c)| [a, b, c]);
    let exception = prop::option::of(Just(json!([
        { "name": "known", "fields": ["proc.name", "fd.name"], "comps": ["in", "startswith"],
          "values": [[["cat", "sh"], "/etc"]] }
    ])));
    let rules = prop::collection::vec((condition(3), exception), 1..12);
    (macros, rules).prop_map(|(macros, rules)| {
        let mut items: Vec<Json> = serde_json::from_str(&format!("[{LISTS}]")).unwrap();
        let macros = macros.into_iter().enumerate();
        items
            .extend(macros.map(|(k, text)| json!({ "macro": format!("m{k}"), "condition": text })));
        for (index, (condition, exceptions)) in rules.into_iter().enumerate() {
            let mut rule = json!({
                "rule": format!("{index}: {condition}"), "desc": "d", "condition": condition,
                "output": "o", "priority": "INFO", "warn_evttypes": false,
            });
            if let Some(exceptions) = exceptions {
                rule["exceptions"] = exceptions;
            }
            items.push(rule);
        }
        Json::Array(items).to_string()
    })
}

#[test]
fn random_conditions_match_the_same_events() {
    let captures = ["own_acts.scap", "test_ipv6_client.scap"];
    let captures = captures.map(|name| root().join("conformance/captures").join(name));
    let mut runner = TestRunner::new(Config { cases: 12, ..Config::default() });
    runner
        .run(&rules(), |rules| {
            compare(&[("random".to_owned(), rules)], &captures);
            Ok(())
        })
        .unwrap();
}

/// The same rules with their conditions in the normal form in which sets of rules are compared.
fn normalized(rules: &str) -> String {
    let loader = load(&[("random".to_owned(), rules.to_owned())]);
    let rules = loader.rules().rules.iter().map(|rule| {
        json!({
            "rule": rule.name, "desc": "d", "condition": rule_diff::normalized(&rule.condition, &fields()),
            "output": "o", "priority": "INFO", "warn_evttypes": false,
        })
    });
    Json::Array(rules.collect()).to_string()
}

#[test]
fn the_normal_form_keeps_the_meaning() {
    let capture = root().join("conformance/captures/own_acts.scap");
    let mut runner = TestRunner::new(Config { cases: 12, ..Config::default() });
    runner
        .run(&rules(), |rules| {
            let by_engine = |rules: &str| {
                let loader = load(&[("random".to_owned(), rules.to_owned())]);
                by_engine(loader.into_rules(), &capture)
            };
            assert_eq!(by_engine(&normalized(&rules)), by_engine(&rules), "{rules}");
            Ok(())
        })
        .unwrap();
}
