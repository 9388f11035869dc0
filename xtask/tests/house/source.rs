//! The sources of the workspace, as text.

use std::fs;
use std::path::{Path, PathBuf};

use crate::root;

/// Files below a directory with one of these extensions. What is generated or built is left out.
pub(crate) fn files(directory: impl AsRef<Path>, extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(&root().join(directory), extensions, &mut found);
    found.sort();
    found
}

fn collect(directory: &Path, extensions: &[&str], found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !["target", "generated", "corpus", "seeds", "artifacts"].contains(&&*name) {
                collect(&path, extensions, found);
            }
        } else if path.extension().is_some_and(|e| extensions.iter().any(|wanted| e == *wanted))
            && !["generated.rs", "vmlinux.h"].contains(&&*name)
        {
            found.push(path);
        }
    }
}

/// A path as people write it: below the root.
pub(crate) fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// Source text up to its unit tests, which stand last, and without comments.
pub(crate) fn without_tests(text: &str) -> String {
    let mut code = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let test = line.trim() == "#[cfg(test)]" || line.trim().starts_with("#[cfg(all(test");
        if test && lines.peek().is_some_and(|next| next.trim_start().starts_with("mod ")) {
            if lines.peek().is_some_and(|next| next.trim_end().ends_with('{')) {
                break;
            }
            lines.next();
            continue;
        }
        let line = line.trim_start();
        if !line.starts_with("//") {
            code.push_str(line.split(" // ").next().unwrap_or(line));
        }
        code.push('\n');
    }
    code
}

/// Whether a file holds tests only.
pub(crate) fn is_test(path: &Path) -> bool {
    let shown = shown(path);
    shown.contains("/tests/") || shown.ends_with("/tests.rs") || shown.contains("/examples/")
}
