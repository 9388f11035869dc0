//! What items of rules files come to, seen from outside.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::collections::BTreeSet;

use peregrine_alert::Priority;
use peregrine_fields::{Field, Fields};
use peregrine_rules::{
    Addition, EventSource, Finding, LoadResult, Loader, OutputAddition, Rule, RuleChanges,
    Selected, Selection,
};

fn loader(additions: Vec<OutputAddition>) -> Loader<Fields> {
    let syscall = EventSource::syscall(Fields::syscall());
    Loader::new(vec![syscall], additions)
}

fn load(files: &[&str]) -> (Loader<Fields>, LoadResult) {
    let mut loader = loader(Vec::new());
    let mut last = None;
    for (at, text) in files.iter().enumerate() {
        last = Some(loader.load(&format!("{at}.yaml"), text.as_bytes()));
    }
    (loader, last.unwrap())
}

fn loaded(files: &[&str]) -> Loader<Fields> {
    let (loader, result) = load(files);
    assert!(result.successful(), "{}", result.explanation());
    loader
}

fn codes(result: &LoadResult) -> Vec<&'static str> {
    result.findings.iter().map(Finding::code).collect()
}

fn rule<'l>(loader: &'l Loader<Fields>, name: &str) -> &'l Rule<Field> {
    loader.rules().rule(name).unwrap()
}

fn condition(loader: &Loader<Fields>, name: &str) -> String {
    rule(loader, name).condition.to_string()
}

const RULE: &str = "- {rule: r, desc: d, condition: evt.type = open, output: o, priority: INFO}\n";

#[test]
fn a_rule_has_defaults() {
    let loader = loaded(&[RULE]);
    let rule = rule(&loader, "r");
    assert_eq!(rule.source, "syscall");
    assert_eq!(rule.priority, Priority::Informational);
    assert!(rule.enabled && rule.active && !rule.capture);
    assert_eq!(rule.event_types.as_ref().unwrap().events.len(), 2);
}

#[test]
fn every_error_of_a_file_is_told_and_machines_see_the_first() {
    let (_, result) = load(&["
- {rule: a, desc: d, output: o, priority: INFO}
- {macro: unused, condition: evt.type = open}
- {rule: b, desc: d, condition: evt.type = open, output: o, priority: HIGH}
- {list: c, items: {}}
"]);
    let errors: Vec<&str> = result.errors().map(|error| error.message.as_str()).collect();
    assert_eq!(
        errors,
        ["Item has no mapping for key 'condition'", "Invalid priority", "Value is not a sequence"]
    );
    let json = result.to_json();
    assert_eq!(json["errors"].as_array().unwrap().len(), 1);
    assert_eq!(json["successful"], false);
    assert_eq!(json["errors"][0]["context"]["locations"][1]["position"]["line"], 1);
}

#[test]
fn every_condition_is_compiled_even_after_an_error() {
    let (_, result) = load(&["
- {rule: a, desc: d, condition: evt.type = open and, output: o, priority: INFO}
- {rule: b, desc: d, condition: proc.nam = x, output: o, priority: INFO}
"]);
    assert_eq!(codes(&result), ["LOAD_ERR_COMPILE_CONDITION"; 2]);
    assert!(result.explanation().contains("did you mean `proc.name`?"));
}

#[test]
fn nothing_after_the_first_error_is_seen_by_other_files() {
    let (loader, result) = load(&[
        "- {list: l, items: x}\n- {macro: m, condition: evt.type = open}\n",
        "- {rule: r, desc: d, condition: m, output: o, priority: INFO}\n",
    ]);
    assert_eq!(codes(&result), ["LOAD_ERR_VALIDATE"]);
    assert!(loader.rules().rules.is_empty());
}

#[test]
fn a_failed_file_leaves_the_rules_of_the_last_good_one() {
    let (loader, result) =
        load(&[RULE, "- {rule: r, desc: d, condition: 'nonsense (', output: o, priority: INFO}\n"]);
    assert!(!result.successful());
    assert_eq!(condition(&loader, "r"), "evt.type = open");
}

#[test]
fn lists_are_expanded_where_values_stand_and_not_in_quotes() {
    let loader = loaded(&["
- {list: inner, items: [a, 'b c']}
- {list: none, items: []}
- {list: outer, items: [inner, \"it's\", 'x,y', '']}
- rule: r
  desc: d
  condition: >
    evt.type = open and proc.name in (outer, none, z) and proc.cmdline contains \"the inner list\"
    and proc.pname in (none)
  output: o
  priority: INFO
"]);
    assert_eq!(
        condition(&loader, "r"),
        "(evt.type = open and proc.name in (a, \"b c\", \"it's\", \"x,y\", \"\", z) and proc.cmdline \
         contains \"the inner list\" and proc.pname in ())"
    );
}

#[test]
fn lists_nest_as_deep_as_one_likes() {
    let mut text = String::from("- {list: l0, items: [v0]}\n");
    for level in 1..50 {
        text.push_str(&format!("- {{list: l{level}, items: [l{}, v{level}]}}\n", level - 1));
    }
    text.push_str("- {rule: r, desc: d, condition: 'evt.type = open and proc.name in (l49)', output: o, priority: INFO}\n");
    let loader = loaded(&[&text]);
    let list = loader.rules().lists.last().unwrap();
    assert_eq!(list.items.len(), 50);
    assert!(loader.rules().lists.iter().all(|list| list.used));
}

#[test]
fn a_redefinition_sees_what_came_before_it_and_keeps_its_place() {
    let loader = loaded(&["
- {macro: a, condition: proc.name = one}
- {macro: b, condition: proc.name = two}
- {macro: a, condition: b or proc.name = three}
- {rule: first, desc: d, condition: evt.type = open, output: o, priority: INFO}
- {rule: second, desc: d, condition: evt.type = open, output: o, priority: INFO}
- {rule: first, desc: d, condition: evt.type = dup and a, output: o, priority: INFO}
"]);
    let names: Vec<&str> = loader.rules().rules.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(names, ["first", "second"]);
    assert_eq!(
        condition(&loader, "first"),
        "(evt.type = dup and (proc.name = two or proc.name = three))"
    );
}

#[test]
fn macros_see_only_what_was_defined_before() {
    let (_, result) = load(&["
- {macro: early, condition: late}
- {macro: late, condition: evt.type = open}
"]);
    let error = result.errors().next().unwrap();
    assert_eq!(error.message, "Undefined macro 'late' used in filter.");
}

#[test]
fn exceptions_become_parts_of_the_condition() {
    let loader = loaded(&["
- rule: r
  desc: d
  condition: evt.type = open or evt.type = dup
  output: o
  priority: INFO
  exceptions:
    - {name: one, fields: proc.name, values: [a, b c]}
    - {name: two, fields: [proc.name, fd.name], comps: [in, startswith], values: [[[x, y], /etc], [z, \"it's\"]]}
    - {name: none, fields: [proc.name]}
    - {name: prefix, fields: fd.name, comps: startswith anyof, values: [/a, /b]}
"]);
    assert_eq!(
        condition(&loader, "r"),
        "((evt.type = open or evt.type = dup) and not proc.name in (a, \"b c\") and not \
         ((proc.name in (x, y) and fd.name startswith /etc) or (proc.name in (z) and fd.name \
         startswith \"it's\")) and not fd.name startswith anyof (/a, /b))"
    );
    let rule = rule(&loader, "r");
    assert_eq!(rule.exception_names, ["one", "two", "none", "prefix"]);
    assert_eq!(
        rule.exception_operators.iter().map(String::as_str).collect::<Vec<_>>(),
        ["=", "in", "startswith", "startswith anyof"]
    );
}

#[test]
fn overrides_append_and_replace() {
    let loader = loaded(&[
        RULE,
        "
- rule: r
  condition: and proc.name = x
  output: more
  priority: ALERT
  tags: [t]
  exceptions: [{name: e, fields: proc.name, values: [y]}]
  override: {condition: append, output: replace, priority: replace, tags: append, exceptions: replace}
",
    ]);
    let rule = rule(&loader, "r");
    assert_eq!(rule.condition_text, "evt.type = open and proc.name = x");
    assert_eq!(
        rule.condition.to_string(),
        "((evt.type = open and proc.name = x) and not proc.name in (y))"
    );
    assert_eq!((rule.output.as_str(), rule.priority), ("more", Priority::Alert));
    assert_eq!(rule.tags, BTreeSet::from(["t".to_owned()]));
}

#[test]
fn the_old_ways_to_change_a_rule_still_work() {
    let (loader, result) = load(&[
        RULE,
        "- {rule: r, append: true, condition: and proc.name = x}\n- {rule: r, enabled: false}\n",
    ]);
    assert_eq!(codes(&result), ["LOAD_DEPRECATED_ITEM", "LOAD_DEPRECATED_ITEM"]);
    let rule = rule(&loader, "r");
    assert_eq!(rule.condition_text, "evt.type = open and proc.name = x");
    assert!(!rule.enabled);
}

#[test]
fn rules_with_unknown_names_can_be_skipped() {
    let (loader, result) = load(&["
- {rule: a, desc: d, condition: evt.type = open and proc.smell = x, output: o, priority: INFO, skip-if-unknown-filter: true}
- {rule: b, desc: d, condition: evt.type = open, output: '%nose.x', priority: INFO, skip-if-unknown-filter: true}
- {rule: c, desc: d, condition: evt.type = open, output: o, priority: INFO, source: coffee}
"]);
    assert!(result.successful());
    assert_eq!(
        codes(&result),
        ["LOAD_UNKNOWN_SOURCE", "LOAD_UNKNOWN_FILTER", "LOAD_UNKNOWN_FILTER"]
    );
    assert!(loader.rules().rules.is_empty());
}

#[test]
fn other_errors_are_not_skipped_whatever_words_they_quote() {
    let (_, result) = load(&["
- {rule: a, desc: d, condition: evt.type = opne, output: o, priority: INFO, skip-if-unknown-filter: true}
- {rule: b, desc: d, condition: evt.type = open and proc.pid = 'nonexistent field', output: o, priority: INFO, skip-if-unknown-filter: true}
"]);
    assert_eq!(codes(&result), ["LOAD_UNKNOWN_FILTER", "LOAD_ERR_COMPILE_CONDITION"]);
}

#[test]
fn warnings_for_what_may_be_meant_otherwise() {
    let (_, result) = load(&["
- {macro: unused, condition: evt.type = open}
- {list: lonely, items: [a]}
- {rule: wide, desc: d, condition: proc.name = a, output: o, priority: INFO, colour: red}
- {rule: quiet, desc: d, condition: proc.name = a, output: o, priority: INFO, warn_evttypes: false}
- {rule: old, desc: d, condition: evt.type = open and evt.dir = <, output: '%evt.latency %container.info', priority: INFO}
- {ruel: typo}
"]);
    assert_eq!(
        codes(&result),
        [
            "LOAD_UNKNOWN_KEY",
            "LOAD_UNKNOWN_ITEM",
            "LOAD_NO_EVTTYPE",
            "LOAD_DEPRECATED_ITEM",
            "LOAD_DEPRECATED_ITEM",
            "LOAD_DEPRECATED_ITEM",
            "LOAD_UNUSED_MACRO",
            "LOAD_UNUSED_LIST",
        ]
    );
    assert!(result.explanation().contains("did you mean `rule`?"));
}

#[test]
fn requirements_are_kept_and_checked() {
    let (loader, result) = load(&["
- required_engine_version: 12
- required_engine_version: 0.31.0
- required_plugin_versions: [{name: k8s, version: 0.1.0, alternatives: [{name: json, version: 0.2.0}]}]
"]);
    assert!(result.successful());
    assert_eq!(loader.rules().engine_version.to_string(), "0.31.0");
    assert_eq!(loader.required_plugins()[0][1].to_string(), "json (>= 0.2.0)");
    for text in ["0.99.0", "1.0.0", "newest", "[]"] {
        let (_, result) = load(&[&format!("- required_engine_version: {text}\n")]);
        assert!(!result.successful(), "{text}");
    }
}

#[test]
fn the_configuration_adds_to_outputs() {
    let mut loader = loader(vec![
        OutputAddition { what: Addition::Text("on %evt.hostname".into()), ..Default::default() },
        OutputAddition {
            tags: BTreeSet::from(["net".to_owned()]),
            what: Addition::Formatted { key: "who".into(), format: "%user.name!".into() },
            ..Default::default()
        },
        OutputAddition {
            rule: Some("r".into()),
            what: Addition::Raw("proc.pid".into()),
            ..Default::default()
        },
        OutputAddition { source: Some("other".into()), ..Default::default() },
    ]);
    assert!(loader.load("r.yaml", RULE.as_bytes()).successful());
    let rule = rule(&loader, "r");
    assert_eq!((rule.output_text.as_str(), rule.output.as_str()), ("o", "o on %evt.hostname"));
    let keys: Vec<&str> = rule.extra_fields.keys().map(String::as_str).collect();
    assert_eq!(keys, ["proc.pid"]);
    assert!(rule.extra_fields["proc.pid"].raw);
}

#[test]
fn selections_count_in_their_order_and_priority_has_the_last_word() {
    let mut rules = loaded(&["
- {rule: Cat reads, desc: d, condition: evt.type = open, output: o, priority: INFO, tags: [cat]}
- {rule: Cat writes, desc: d, condition: evt.type = open, output: o, priority: DEBUG, tags: [cat]}
- {rule: Dog, desc: d, condition: evt.type = open, output: o, priority: INFO, enabled: false}
"])
    .into_rules();
    let mut active = |selections: &[Selection], minimum| -> Vec<String> {
        rules.select(selections, minimum);
        rules.rules.iter().filter(|rule| rule.active).map(|rule| rule.name.clone()).collect()
    };
    let select = |enable, rules| Selection { enable, rules };
    let named = |pattern: &str| Selected::Named(pattern.to_owned());
    let tagged = |tag: &str| Selected::Tagged(tag.to_owned());
    assert_eq!(active(&[], Priority::Debug), ["Cat reads", "Cat writes"]);
    assert_eq!(active(&[select(true, named("*"))], Priority::Informational), ["Cat reads", "Dog"]);
    assert_eq!(
        active(&[select(false, tagged("cat")), select(true, named("* writes"))], Priority::Debug),
        ["Cat writes"]
    );
}

#[test]
fn descriptions_tell_what_refers_to_what() {
    let loader = loaded(&["
- {list: shells, items: [sh, bash]}
- {macro: shell, condition: 'proc.name in (shells)'}
- {rule: r, desc: d, condition: evt.type = execve and shell, output: '%proc.name', priority: INFO}
"]);
    let all = loader.rules().describe(&|_, _| vec!["some".to_owned()]);
    let details = &all["rules"][0]["details"];
    assert_eq!(details["macros"], serde_json::json!(["shell"]));
    assert_eq!(details["events"], serde_json::json!(["asyncevent", "execve"]));
    assert_eq!(details["condition_compiled"], "(evt.type = execve and proc.name in (sh, bash))");
    assert_eq!(details["plugins"], serde_json::json!(["some"]));
    assert_eq!(all["macros"][0]["details"]["lists"], serde_json::json!(["shells"]));
    let error = loader.rules().describe_rule("x", &|_, _| Vec::new()).unwrap_err();
    assert_eq!(error.to_string(), "Rule \"x\" is not loaded");
    assert!(loader.rules().describe_as_text(Some("r")).unwrap().contains("\nr  "));
}

#[test]
fn changes_name_the_rules_that_match_or_report_otherwise() {
    let rules = |list: &str, output: &str, last: &str| {
        loaded(&[&format!(
            "- {{list: l, items: [{list}]}}\n\
             - {{macro: m, condition: fd.name in (l)}}\n\
             - {{rule: by list, desc: d, condition: evt.type = open and m, output: o, priority: INFO}}\n\
             - {{rule: by output, desc: d, condition: evt.type = open, output: {output}, priority: INFO}}\n\
             - {{rule: {last}, desc: d, condition: evt.type = open, output: o, priority: INFO}}\n"
        )])
        .into_rules()
    };
    let old = rules("a, b", "one", "old");
    let moved = rules("a, b", "one", "  old");
    assert_eq!(moved.changes_since(&old), RuleChanges::default());
    let mut new = rules("a, c", "two", "new");
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let expected = RuleChanges {
        added: names(&["new"]),
        removed: names(&["old"]),
        changed: names(&["by list", "by output"]),
    };
    assert_eq!(new.changes_since(&old), expected);
    new.select(
        &[Selection { enable: false, rules: Selected::Named("by output".to_owned()) }],
        Priority::Debug,
    );
    assert_eq!(new.changes_since(&old).removed, ["by output", "old"]);
}

#[test]
fn tests_of_rules_are_no_items_of_the_rule_set() {
    let tests = "- test: opens\n  rules: r\n  given: {evt.type: open}\n  match: true\n";
    for files in [&[RULE, tests][..], &[&format!("{RULE}{tests}")]] {
        let (loader, result) = load(files);
        assert_eq!(result.to_text(), format!("{}.yaml: Ok", files.len() - 1));
        assert_eq!(loader.rules().rules.len(), 1);
    }
    // A key of another kind decides what an item is.
    let (_, result) = load(&[&RULE.replace('}', ", test: x}")]);
    assert_eq!(codes(&result), ["LOAD_UNKNOWN_KEY"]);
}
