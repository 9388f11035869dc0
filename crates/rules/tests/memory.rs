//! How much memory a few kilobytes of rules can take.

use peregrine_fields::Fields;
use peregrine_rules::{EventSource, Loader};

/// Loads rules and gives the most bytes allocated meanwhile, and the first error.
fn peak(rules: &str) -> (u64, Option<String>) {
    let mut error = None;
    let measured = allocation_counter::measure(|| {
        let syscall = EventSource::syscall(Fields::syscall());
        let result = Loader::new(vec![syscall], Vec::new()).load("rules.yaml", rules.as_bytes());
        error = result.errors().next().map(|finding| finding.message.clone());
    });
    eprintln!("{} bytes of rules: {} MB, {error:?}", rules.len(), measured.bytes_max >> 20);
    (measured.bytes_max, error)
}

/// Lists in which each contains the one before ten times, with a first item of this length.
fn nested_lists(levels: usize, first: usize) -> String {
    let mut rules = format!("- list: l0\n  items: [{}]\n", "x".repeat(first));
    for level in 1..=levels {
        let items = vec![format!("l{}", level - 1); 10].join(", ");
        rules.push_str(&format!("- list: l{level}\n  items: [{items}]\n"));
    }
    rules
}

fn rule(name: usize, condition: &str) -> String {
    format!(
        "- rule: r{name}\n  desc: d\n  condition: evt.type = open and {condition}\n  output: o\n  priority: INFO\n"
    )
}

fn is_refused(rules: &str, limit: &str) {
    let (peak, error) = peak(rules);
    assert!(error.is_some_and(|error| error.ends_with(&format!("(limit {limit})"))));
    assert!(peak < 256 << 20, "{peak}");
}

#[test]
fn lists_of_lists_are_refused() {
    is_refused(&nested_lists(9, 1), "rules_list_items");
    is_refused(&nested_lists(5, 5000), "rules_list_bytes");
}

#[test]
fn lists_in_many_conditions_are_refused() {
    let rules = (0..60).map(|name| rule(name, "proc.name in (l5)")).collect::<String>();
    is_refused(&(nested_lists(5, 1) + &rules), "rules_list_items");
    let rules = (0..60).map(|name| rule(name, "proc.name in (l4)")).collect::<String>();
    is_refused(&(nested_lists(4, 200) + &rules), "rules_list_bytes");
}

#[test]
fn macros_of_macros_are_refused() {
    let mut rules = "- macro: m0\n  condition: proc.name = a\n".to_owned();
    for level in 1..6 {
        let condition = vec![format!("m{}", level - 1); 10].join(" or ");
        rules.push_str(&format!("- macro: m{level}\n  condition: {condition}\n"));
    }
    rules.extend((0..40).map(|name| rule(name, "m5")));
    is_refused(&rules, "rules_macro_nodes");
}

#[test]
fn a_long_list_may_be_used_in_some_rules() {
    let items: Vec<_> = (0..120_000).map(|n| n.to_string()).collect();
    let mut rules = format!("- list: long\n  items: [{}]\n", items.join(", "));
    rules.extend((0..3).map(|name| rule(name, "proc.name in (long)")));
    assert_eq!(peak(&rules).1, None);
}
