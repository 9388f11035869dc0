//! The threat model names tests that exist.

use std::collections::BTreeSet;
use std::fs;

use crate::read;
use crate::source::files;

/// Names of attacks, of fuzz targets, and of tests.
fn tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let cases = read("crates/cli/tests/attacks/cases/mod.rs");
    names.extend(cases.split('"').skip(1).step_by(2).map(str::to_owned));
    let targets = files("fuzz/fuzz_targets", &["rs"]);
    names.extend(targets.iter().map(|path| path.file_stem().unwrap().display().to_string()));
    for path in ["crates", "xtask"].iter().flat_map(|directory| files(directory, &["rs"])) {
        let mut test = false;
        for line in fs::read_to_string(path).unwrap().lines().map(str::trim_start) {
            test |= line == "#[test]";
            if let Some((name, _)) = line.strip_prefix("fn ").and_then(|line| line.split_once('('))
                && std::mem::take(&mut test)
            {
                names.insert(name.to_owned());
            }
        }
    }
    names
}

#[test]
fn the_threat_model_names_tests_that_exist() {
    let (page, tests) = (read("SECURITY.md"), tests());
    let rows = page.lines().skip_while(|line| !line.ends_with("| promise | test |")).skip(2);
    let rows: Vec<_> = rows.take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() > 10, "SECURITY.md has a table of promises");
    let mut missing = Vec::new();
    for row in rows {
        let held_by = row.trim_end_matches('|').rsplit_once('|').map_or("", |(_, cell)| cell);
        let names: Vec<_> = held_by.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "a promise without a test: {row}");
        missing.extend(names.into_iter().filter(|name| !tests.contains(*name)));
    }
    assert!(missing.is_empty(), "SECURITY.md names tests that do not exist: {missing:?}");
}
