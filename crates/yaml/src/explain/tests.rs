use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::parse;

/// What is said about a text: cause, line and column, the part, the message and the remedy.
fn said(text: &str) -> String {
    let error = match parse(text) {
        Ok(_) => return "parses".to_owned(),
        Err(error) => error,
    };
    let Explanation { cause, message, span, help, edits, .. } = explain(text, &error);
    let before = &text[..span.start];
    let line = before.matches('\n').count() + 1;
    let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1) + 1;
    let part = &text[span];
    let mut said = format!("{line}:{column} {cause:?} {part:?}: {message} ({help})");
    if let Some(repaired) = apply(text, 0, &edits) {
        let changed = repaired.lines().filter(|line| !text.lines().any(|old| old == *line));
        for line in changed {
            let _ = write!(said, "\n    {line}");
        }
    }
    said
}

/// Texts with one mistake each.
const CASES: &str = include_str!("cases.txt");

#[test]
fn mistakes_and_their_remedies() {
    let mut table = String::new();
    for case in CASES.split("\n%%\n") {
        let text = case.replace("<TAB>", "\t").replace("<NBSP>", "\u{a0}").replace("<EOL>", "");
        for line in text.lines() {
            let _ = writeln!(table, "  | {line}");
        }
        let _ = writeln!(table, "{}\n", said(&text));
    }
    insta::assert_snapshot!(table);
}

#[test]
fn a_repair_is_found_in_the_middle_of_a_long_text() {
    let item = "- rule: A\n  condition: >\n    a = b\n  output: x\n";
    let text = format!("{}- rule: B\n  priority INFO\n# c\n{}", item.repeat(500), item.repeat(500));
    assert!(said(&text).starts_with("2002:3 MissingColon"), "{}", said(&text));
}

#[test]
fn of_two_mistakes_the_first_is_explained() {
    let text = "- rule: A\n  priority INFO\n  tags [a]\n  desc: d\n";
    assert!(said(text).starts_with("2:3 MissingColon \"priority\""), "{}", said(text));
}

proptest! {
    #[test]
    fn any_text_is_explained(text in r"([-a:&*#\[\]{},|>%!?'\x22 \n\r\t\x00ü~]|- |: |rule|\n  ){0,60}") {
        if let Err(error) = parse(&text) {
            let explanation = explain(&text, &error);
            prop_assert!(text.get(explanation.span).is_some());
            prop_assert!(explanation.edits.is_empty() || apply(&text, 0, &explanation.edits).is_some());
        }
    }
}
