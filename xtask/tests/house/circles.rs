//! No more than two files of a crate may need each other in a circle.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::imports::Crate;
use crate::root;

/// Largest circle: two files that need each other, such as a module and its parent.
const MAX_CIRCLE: usize = 2;

type Uses = BTreeMap<String, BTreeSet<String>>;

/// The groups of modules in which each reaches each.
fn circles(uses: &Uses) -> Vec<BTreeSet<&str>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        uses.keys().map(|module| (module.as_str(), reach(uses, module))).collect();
    let mut found: Vec<BTreeSet<&str>> = Vec::new();
    for (module, theirs) in &reached {
        let together = theirs.iter().filter(|other| reached[*other].contains(module));
        let together: BTreeSet<_> = together.copied().collect();
        if together.len() > 1 && !found.contains(&together) {
            found.push(together);
        }
    }
    found
}

fn reach<'a>(uses: &'a Uses, from: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut left: Vec<&str> = uses[from].iter().map(String::as_str).collect();
    while let Some(module) = left.pop() {
        if reached.insert(module) {
            left.extend(uses[module].iter().map(String::as_str));
        }
    }
    reached
}

#[test]
fn files_do_not_need_each_other_in_large_circles() {
    let mut large = String::new();
    let mut edges = 0;
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        let directory = entry.unwrap().path();
        let uses = Crate::read(&directory.join("src")).uses();
        edges += uses.values().map(BTreeSet::len).sum::<usize>();
        for circle in circles(&uses).into_iter().filter(|circle| circle.len() > MAX_CIRCLE) {
            large.push_str(&format!("{} of {}:\n", circle.len(), directory.display()));
            for module in &circle {
                let inside: Vec<_> =
                    uses[*module].iter().filter(|used| circle.contains(used.as_str())).collect();
                large.push_str(&format!("    {module} uses {inside:?}\n"));
            }
        }
    }
    assert!(edges > 200, "only {edges} uses were found");
    assert!(large.is_empty(), "circles of files:\n{large}");
}

#[test]
fn a_circle_is_found() {
    let uses = [("a", "b"), ("b", "c"), ("c", "a"), ("d", "a")];
    let uses = uses.map(|(from, to)| (from.to_owned(), BTreeSet::from([to.to_owned()])));
    let uses = Uses::from(uses);
    assert_eq!(circles(&uses), [BTreeSet::from(["a", "b", "c"])]);
}
