//! The table of crates in ARCHITECTURE.md against what `cargo metadata` says.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use crate::{read, root};

/// Dependencies between the crates below `crates/`, tests apart, by the names of their directories.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let mut crates = BTreeMap::new();
    for package in packages {
        let Some(name) = directory(package["manifest_path"].as_str().unwrap()) else { continue };
        let needed = package["dependencies"].as_array().unwrap().iter();
        let needed = needed
            .filter(|dependency| dependency["kind"] != "dev")
            .filter_map(|dependency| dependency["path"].as_str())
            .filter_map(|path| directory(&format!("{path}/Cargo.toml")));
        crates.insert(name, needed.collect());
    }
    crates
}

/// `state` for `…/crates/state/Cargo.toml`, none for packages that are elsewhere.
fn directory(manifest: &str) -> Option<String> {
    let (parent, name) = manifest.strip_suffix("/Cargo.toml")?.rsplit_once('/')?;
    parent.ends_with("/crates").then(|| name.to_owned())
}

/// The crates in the order of the table, the lowest first.
fn table() -> Vec<String> {
    let page = read("ARCHITECTURE.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `crates/"));
    rows.filter_map(|row| row.split_once('`')).map(|(name, _)| name.to_owned()).collect()
}

/// The edges of the picture: `name --> name` in its Mermaid block.
fn picture() -> BTreeSet<(String, String)> {
    let page = read("ARCHITECTURE.md");
    let (_, rest) = page.split_once("```mermaid").expect("a picture of the crates");
    let (block, _) = rest.split_once("```").unwrap();
    let edges = block.lines().filter_map(|line| line.trim().split_once(" --> "));
    edges.map(|(above, below)| (above.to_owned(), below.to_owned())).collect()
}

#[test]
fn no_crate_needs_one_that_the_table_lists_below_it() {
    let (table, crates) = (table(), dependencies());
    assert!(crates.len() > 10, "cargo metadata lists the crates");
    let place = |name: &String| table.iter().position(|row| row == name);
    for (name, needed) in &crates {
        let own = place(name).unwrap_or_else(|| panic!("{name} has no row in ARCHITECTURE.md"));
        for other in needed {
            assert!(
                place(other).is_some_and(|place| place < own),
                "{name} needs {other}, which stands below it in ARCHITECTURE.md"
            );
        }
    }
    for row in &table {
        assert!(crates.contains_key(row), "ARCHITECTURE.md has a row for {row}, which is no crate");
    }
}

/// The picture leaves out an edge that follows from two others, as every drawing of layers does.
#[test]
fn the_picture_shows_the_dependencies() {
    let crates = dependencies();
    let mut edges = BTreeSet::new();
    for (name, needed) in &crates {
        let follows = |other: &String| {
            needed.iter().any(|between| between != other && reaches(&crates, between, other))
        };
        let direct = needed.iter().filter(|other| !follows(other));
        edges.extend(direct.map(|other| (name.clone(), other.clone())));
    }
    let drawn = picture();
    let text = |edges: Vec<&(String, String)>| {
        let lines = edges.iter().map(|(above, below)| format!("    {above} --> {below}\n"));
        lines.collect::<String>()
    };
    let missing = text(edges.difference(&drawn).collect());
    let wrong = text(drawn.difference(&edges).collect());
    assert!(missing.is_empty(), "the picture in ARCHITECTURE.md lacks\n{missing}");
    assert!(wrong.is_empty(), "the picture in ARCHITECTURE.md has too much\n{wrong}");
}

fn reaches(crates: &BTreeMap<String, BTreeSet<String>>, from: &str, to: &str) -> bool {
    let needed = &crates[from];
    needed.contains(to) || needed.iter().any(|between| reaches(crates, between, to))
}
