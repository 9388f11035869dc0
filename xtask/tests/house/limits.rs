//! How long files, crates and lines of comment may be.

use std::fs;

use crate::source::{files, is_test, shown, without_tests};

/// Longest file that is read at one sitting.
const MAX_FILE: usize = 600;
/// Longest line of a comment, in columns.
const MAX_COMMENT: usize = 100;
/// Lines that a crate may have, tests and generated code apart.
const MAX_CRATE: [(&str, usize); 11] = [
    ("cli", 3_000),
    ("alert", 6_000),
    ("authoring", 6_000),
    ("config", 6_000),
    ("diagnostics", 6_000),
    ("lint", 6_000),
    ("lsp", 6_000),
    ("runtime", 6_000),
    ("scenario", 6_000),
    ("server", 6_000),
    ("wiring", 6_000),
];

const SOURCES: [&str; 6] = ["crates", "bpf", "xtask", "benches", "fuzz", "conformance"];

#[test]
fn no_file_is_longer_than_600_lines() {
    let mut long = Vec::new();
    for path in SOURCES.iter().flat_map(|directory| files(directory, &["rs", "c", "h", "py"])) {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        if lines > MAX_FILE {
            long.push(format!("{} has {lines} lines", shown(&path)));
        }
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn crates_stay_small() {
    for (name, most) in MAX_CRATE {
        let sources = files(format!("crates/{name}/src"), &["rs"]);
        let texts = sources.iter().filter(|path| !is_test(path));
        let lines: usize = texts
            .map(|path| without_tests(&fs::read_to_string(path).unwrap()).lines().count())
            .sum();
        assert!(lines > 0, "crates/{name} has no sources");
        assert!(lines <= most, "crates/{name} has {lines} lines, {most} are allowed");
    }
}

#[test]
fn comment_lines_end_at_100_columns() {
    let mut wide = Vec::new();
    for path in SOURCES.iter().flat_map(|directory| files(directory, &["rs", "c", "h"])) {
        let text = fs::read_to_string(&path).unwrap();
        let mut example = false;
        for (number, line) in (1..).zip(text.lines()) {
            let start = line.trim_start();
            let comment =
                start.starts_with("//") || start.starts_with("* ") || start.starts_with("/*");
            if comment && start.trim_start_matches(['/', '!', ' ']).starts_with("```") {
                example = !example;
            }
            if example {
                continue;
            }
            // A link cannot be broken.
            if comment && line.chars().count() > MAX_COMMENT && !line.contains("://") {
                wide.push(format!("{}:{number}", shown(&path)));
            }
        }
    }
    assert!(wide.is_empty(), "{} wide comment lines:\n{}", wide.len(), wide.join("\n"));
}
