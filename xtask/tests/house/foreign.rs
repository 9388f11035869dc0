//! Where paths may lead through the root directory of a process.

use std::fs;

use crate::source::{files, is_test, shown, without_tests};

/// The one file that opens what is below `/proc/PID/root`.
const FOREIGN: &str = "crates/probe/src/scan/foreign.rs";

#[test]
fn only_one_module_opens_what_is_below_the_root_directory_of_a_process() {
    let mut found = Vec::new();
    for path in files("crates", &["rs"]) {
        if is_test(&path) || shown(&path) == FOREIGN {
            continue;
        }
        let code = without_tests(&fs::read_to_string(&path).unwrap());
        let in_probe = shown(&path).starts_with("crates/probe/");
        for (number, line) in (1..).zip(code.lines()) {
            // The text of the link is not a way through it.
            let line = line.replace("link(\"root\"", "");
            let bare = in_probe && (line.contains("\"root\"") || line.contains("root/"));
            if bare || line.contains("}/root") || line.contains("1/root") {
                found.push(format!("{}:{number}", shown(&path)));
            }
        }
    }
    assert!(found.is_empty(), "a path through `root`: use `ForeignRoot`\n{}", found.join("\n"));
}
