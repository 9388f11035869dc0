//! What passes and does not do what is meant.

use super::{Case, check, load};

const RULE: &str = "  desc: d\n  output: o\n  priority: INFO\n";

const CASES: &[Case] = &[
    (
        b"- rule: Enter\n  desc: d\n  condition: evt.type = open and evt.dir = >\n  output: o\n  priority: INFO\n",
        &[("W0410", "3:34", "remove `evt.dir = >`")],
    ),
    (
        b"- rule: Exit\n  desc: d\n  condition: evt.type = open and evt.dir=<\n  output: o\n  priority: INFO\n",
        &[("W0405", "3:34", "nothing changes by it")],
    ),
    (
        b"- macro: entering\n  condition: (evt.type = open and evt.dir=>)\n- rule: Enter\n  desc: d\n  condition: proc.name = x and entering\n  output: o\n  priority: INFO\n",
        &[("W0410", "2:35", "remove `evt.dir=>`")],
    ),
    (
        b"- rule: Either\n  desc: d\n  condition: evt.type = open and (evt.dir = > or proc.name = x)\n  output: o\n  priority: INFO\n",
        &[("W0410", "3:35", "remove `evt.dir = >`")],
    ),
    (
        b"- rule: Not\n  desc: d\n  condition: evt.type = open and not evt.dir = >\n  output: o\n  priority: INFO\n",
        &[("W0410", "3:38", "remove `evt.dir = >`")],
    ),
    (
        b"- rule: Lookup\n  desc: d\n  condition: evt.type = connect and fd.sip.name = example.org\n  output: to %fd.sip.name by %proc.name\n  priority: INFO\n",
        &[("W0411", "4:14", "fd.snet"), ("W0411", "3:37", "fd.snet")],
    ),
    (
        b"- macro: plugin\n  condition: evt.pluginname exists\n- rule: Uses\n  desc: d\n  condition: evt.type = open and plugin\n  output: o\n  priority: INFO\n",
        &[("W0411", "2:14", "the `source` of the plugin")],
    ),
    (
        b"- rule: Cut\n  desc: see issue #12 of the tracker\n  condition: evt.type = open # all opens\n  output: o # text\n  priority: INFO\n",
        &[("W0003", "2:19", "quote the value")],
    ),
];

#[test]
fn what_never_does_what_is_meant() {
    insta::assert_snapshot!(check(CASES));
}

#[test]
fn results_in_the_form_of_falco_do_not_change() {
    let text =
        format!("- rule: Lookup\n  condition: evt.type = connect and fd.sip.name = a\n{RULE}");
    let result = load(text.as_bytes());
    assert_eq!(result.to_text(), "rules.yaml: Ok");
    assert_eq!(result.to_json()["warnings"].as_array().map(Vec::len), Some(0));
    let text = format!("- rule: Enter\n  condition: evt.type = open and evt.dir = >\n{RULE}");
    let json = load(text.as_bytes()).to_json();
    assert_eq!(json["warnings"][0]["code"], "LOAD_DEPRECATED_ITEM");
    assert_eq!(json["warnings"][0]["deprecated_field"], "evt.dir");
}
