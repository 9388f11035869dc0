//! Messages as people see them.

use peregrine_fields::Fields;
use peregrine_rules::{EventSource, Loader};

fn explain(text: &str) -> String {
    let syscall = EventSource::syscall(Fields::syscall());
    Loader::new(vec![syscall], Vec::new()).load("rules.yaml", text.as_bytes()).explanation()
}

#[test]
fn a_missing_key() {
    insta::assert_snapshot!(explain("- rule: Shell\n  desc: d\n  output: o\n  priority: INFO\n"));
}

#[test]
fn a_wrong_word() {
    insta::assert_snapshot!(explain(
        "- rule: Shell\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: WARNIN\n"
    ));
}

#[test]
fn an_unknown_field_in_a_folded_condition() {
    insta::assert_snapshot!(explain(
        "- rule: Shell\n  desc: d\n  condition: >\n    evt.type = open\n    and proc.nmae = sh\n  output: o\n  priority: INFO\n"
    ));
}

#[test]
fn an_undefined_macro() {
    insta::assert_snapshot!(explain(
        "- macro: spawned_process\n  condition: evt.type = execve\n- rule: Shell\n  desc: d\n  condition: spawned_proces and proc.name = sh\n  output: o\n  priority: INFO\n"
    ));
}

#[test]
fn text_that_is_not_yaml() {
    insta::assert_snapshot!(explain("- rule: Shell\n  output: now: then\n"));
}

#[test]
fn an_unknown_key_and_an_unused_list() {
    insta::assert_snapshot!(explain(
        "- list: shells\n  items: [sh]\n- rule: Shell\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: INFO\n  tag: [a]\n"
    ));
}

#[test]
fn an_unknown_field_in_a_macro_and_one_behind_a_list() {
    insta::assert_snapshot!(explain(
        "- list: shells\n  items: [sh, bash]\n- macro: bad\n  condition: fd.nam = x\n- rule: One\n  desc: d\n  condition: evt.type = open and bad\n  output: o\n  priority: INFO\n- rule: Two\n  desc: d\n  condition: evt.type = open and proc.name in (shells) and proc.pnme = x\n  output: o\n  priority: INFO\n  exceptions: [{name: e, fields: proc.name, values: [a]}]\n"
    ));
}

#[test]
fn faults_of_output_and_condition_at_once() {
    insta::assert_snapshot!(explain(
        "- rule: Opened\n  desc: d\n  condition: evt.type = opne\n  output: 'by %proc.nmae of %user.name'\n  priority: INFO\n"
    ));
}

#[test]
fn lists_of_lists_that_are_too_large() {
    let mut rules = "- list: l0\n  items: [a, b, c, d, e, f, g, h, i, j]\n".to_owned();
    for level in 1..7 {
        let items = vec![format!("l{}", level - 1); 10].join(", ");
        rules.push_str(&format!("- list: l{level}\n  items: [{items}]\n"));
    }
    insta::assert_snapshot!(explain(&rules));
}
