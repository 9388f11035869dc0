//! One crate creates files.

use std::fs;

use crate::source::{files, is_test, shown, without_tests};

/// Ways to create a file, or to open one that may be created.
const CREATES: [&str; 8] = [
    "File::create",
    "fs::write(",
    "fs::copy(",
    "OpenOptions",
    ".create(true)",
    ".create_new(",
    "OFlags::CREATE",
    "O_CREAT",
];

/// Where these words are right: the crate itself, flags that events carry, and a filter of system
/// calls that refuses them.
const EXCEPT: [&str; 4] = [
    "crates/files/src/",
    "crates/fields/src/extract/syscall.rs",
    "crates/probe/src/reader/sandbox.rs",
    "crates/probe/src/scan/fds.rs",
];

/// The agent runs as root, so a file that it creates needs a mode, and its path must not be
/// redirected by others.
#[test]
fn files_are_created_by_crate_files() {
    let mut elsewhere = Vec::new();
    let sources = files("crates", &["rs"]);
    let sources = sources.iter().filter(|path| !is_test(path) && shown(path).contains("/src/"));
    for path in sources {
        let name = shown(path);
        if EXCEPT.iter().any(|except| name.starts_with(except)) {
            continue;
        }
        let code = without_tests(&fs::read_to_string(path).unwrap());
        for (number, line) in (1..).zip(code.lines()) {
            if let Some(word) = CREATES.iter().find(|word| line.contains(**word)) {
                elsewhere.push(format!("{name}:{number}: {word}"));
            }
        }
    }
    let remedy = "use peregrine_files::{create, append}";
    assert!(elsewhere.is_empty(), "{remedy}:\n{}", elsewhere.join("\n"));
}
