//! What is said about mistakes in items and keys, and about files that hold no rules: code, place
//! and remedy of every finding, and the whole text as people read it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that can't go on fails")]

mod files;
mod items;
mod silent;

use std::fmt::Write as _;

use peregrine_fields::Fields;
use peregrine_rules::{EventSource, LoadResult, Loader};

/// A file, and its findings: code, `line:column` and a part of the remedy.
type Case = (&'static [u8], &'static [(&'static str, &'static str, &'static str)]);

fn load(content: &[u8]) -> LoadResult {
    let syscall = EventSource::syscall(Fields::syscall());
    Loader::new(vec![syscall], Vec::new()).load("rules.yaml", content)
}

/// Checks all cases, and gives the text that people read.
fn check(cases: &[Case]) -> String {
    let mut pages = String::new();
    for (content, expected) in cases {
        let result = load(content);
        let found: Vec<_> = result
            .problems()
            .map(|problem| {
                let json = problem.to_json();
                let start = &json["locations"][0]["start"];
                let place = format!("{}:{}", start["line"], start["column"]);
                (problem.code, place, problem.help.unwrap_or_default())
            })
            .collect();
        let shown = String::from_utf8_lossy(content);
        assert_eq!(found.len(), expected.len(), "{shown}\n{found:#?}");
        for ((code, place, help), (wanted, at, remedy)) in found.iter().zip(*expected) {
            assert_eq!((code, place.as_str()), (wanted, *at), "{shown}\n{found:#?}");
            assert!(help.contains(remedy), "{shown}\n{found:#?}");
        }
        for line in shown.lines() {
            let _ = writeln!(pages, "| {}", line.escape_debug());
        }
        let _ = writeln!(pages, "\n{}\n", result.explanation());
    }
    pages
}
