//! Which file of a crate uses which, read from its `use` lines and paths.
//!
//! This reads text and not what the compiler knows, so it follows the habits of the workspace: one
//! module per file, re-exports by `pub use`, unit tests at the end. A re-export is no use: a path
//! through it leads to the file that defines the name.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::source::{files, is_test, without_tests};

type Module = Vec<String>;

/// The modules of one crate.
pub(crate) struct Crate {
    modules: BTreeMap<Module, Source>,
}

#[derive(Default)]
struct Source {
    code: String,
    /// Names that `pub use` gives out, and where they come from. Without a name: all of a module.
    exports: Vec<(Option<String>, Module)>,
    /// Names that `use` brings in.
    imports: Vec<(String, Module)>,
    /// Modules of which `use` brings in all.
    globs: Vec<Module>,
}

impl Crate {
    /// Reads the sources of a crate. `directory` holds `lib.rs` or `main.rs`.
    pub(crate) fn read(directory: &Path) -> Self {
        let mut modules = BTreeMap::new();
        for path in files(directory, &["rs"]).into_iter().filter(|path| !is_test(path)) {
            let below = path.strip_prefix(directory).unwrap().with_extension("");
            let mut module: Module =
                below.iter().map(|part| part.to_string_lossy().into_owned()).collect();
            let name = module.last().map(String::as_str);
            if module.first().is_some_and(|first| first == "bin") {
                continue;
            }
            if name == Some("mod") || module.len() == 1 && matches!(name, Some("lib" | "main")) {
                module.pop();
            }
            let code = without_tests(&fs::read_to_string(&path).unwrap());
            modules.insert(module, Source::new(code));
        }
        Self { modules }
    }

    /// For each module the others of the crate that it uses.
    pub(crate) fn uses(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut uses = BTreeMap::new();
        for (module, source) in &self.modules {
            let mut used = BTreeSet::new();
            for (name, path) in &source.imports {
                // A module that is brought in is used where a path begins with its name.
                match self.resolve(module, path, 0) {
                    Some((at, true)) => {
                        let below = paths(&source.code).into_iter();
                        let below = below.filter(|path| path.len() > 1 && path[0] == *name);
                        for path in below {
                            let path = [&self.absolute(&at), &path[1..]].concat();
                            used.extend(self.resolve(module, &path, 0).map(|(at, _)| at));
                        }
                    }
                    Some((at, false)) => drop(used.insert(at)),
                    None => {}
                }
            }
            for path in &source.globs {
                used.extend(self.resolve(module, path, 0).map(|(at, _)| at));
            }
            for path in paths(&source.code) {
                let child = self.modules.contains_key(&[module, &path[..1]].concat());
                let inside = child || ["crate", "super", "self"].contains(&&*path[0]);
                if inside && let Some((at, false)) = self.resolve(module, &path, 0) {
                    used.insert(at);
                }
            }
            used.remove(module);
            let used = used.iter().map(|module| shown(module)).collect();
            uses.insert(shown(module), used);
        }
        uses
    }

    fn absolute(&self, module: &Module) -> Module {
        let mut path = vec!["crate".to_owned()];
        path.extend_from_slice(module);
        path
    }

    /// The module that defines what a path names, and whether the path names that module itself.
    fn resolve(&self, from: &Module, path: &[String], depth: u32) -> Option<(Module, bool)> {
        let mut at = from.clone();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => (at, rest) = (Module::new(), &path[1..]),
            "self" => rest = &path[1..],
            "super" => {
                while rest.first().is_some_and(|part| part == "super") {
                    at.pop()?;
                    rest = &rest[1..];
                }
            }
            first => {
                let child = [from, &[first.to_owned()][..]].concat();
                let imported = self.modules.get(from)?.imports.iter();
                let imported = imported.clone().find(|(name, _)| name == first);
                if !self.modules.contains_key(&child) {
                    let (_, target) = imported.filter(|_| depth < 8)?;
                    let path = [target, &path[1..]].concat();
                    return self.resolve(from, &path, depth + 1);
                }
            }
        }
        for (place, part) in rest.iter().enumerate() {
            let child = [&at[..], &[part.clone()][..]].concat();
            if self.modules.contains_key(&child) {
                at = child;
                continue;
            }
            let exports = &self.modules.get(&at)?.exports;
            let more = &rest[place + 1..];
            let follow = |target: &Module| {
                let path = [target, more].concat();
                if depth < 8 { self.resolve(&at, &path, depth + 1) } else { None }
            };
            let named = exports.iter().find(|(name, _)| name.as_ref() == Some(part));
            if let Some(found) = named.and_then(|(_, target)| follow(target)) {
                return Some(found);
            }
            for (_, target) in exports.iter().filter(|(name, _)| name.is_none()) {
                let all = self.resolve(&at, target, depth + 1);
                if let Some((module, true)) = all
                    && self.modules.get(&module).is_some_and(|source| source.defines(part))
                {
                    return Some((module, false));
                }
            }
            return Some((at, false));
        }
        Some((at, true))
    }
}

impl Source {
    fn new(code: String) -> Self {
        let mut source = Self::default();
        let mut kept = String::new();
        let mut rest = code.as_str();
        while let Some((before, public, tree, after)) = next_use(rest) {
            kept.push_str(before);
            for (name, path) in leaves(tree) {
                match (public, name) {
                    (true, name) => source.exports.push((name, path)),
                    (false, Some(name)) => source.imports.push((name, path)),
                    (false, None) => source.globs.push(path),
                }
            }
            rest = after;
        }
        kept.push_str(rest);
        Self { code: kept, ..source }
    }

    fn defines(&self, name: &str) -> bool {
        let kinds = ["fn", "struct", "enum", "trait", "type", "const", "static", "macro_rules!"];
        let code = &self.code;
        kinds.iter().any(|kind| {
            let needle = format!("{kind} {name}");
            code.match_indices(&needle)
                .any(|(at, _)| !code[at + needle.len()..].starts_with(is_word))
        })
    }
}

/// What stands before the next `use`, whether it is public, its tree, and what stands behind it.
fn next_use(code: &str) -> Option<(&str, bool, &str, &str)> {
    let mut from = 0;
    loop {
        let at = from + code[from..].find("use ")?;
        let line = code[..at].rfind('\n').map_or(0, |end| end + 1);
        let before = code[line..at].trim();
        let end = at + code[at..].find(';')?;
        let visible = before.starts_with("pub") && !before.contains("fn ");
        if before.is_empty() || visible {
            return Some((&code[..line], visible, &code[at + 4..end], &code[end + 1..]));
        }
        from = at + 4;
    }
}

/// The names and paths of a `use` tree. No name stands for all of a module.
fn leaves(tree: &str) -> Vec<(Option<String>, Module)> {
    let tree = tree.trim();
    let parts = |text: &str| -> Module {
        text.split("::")
            .map(|part| part.trim().to_owned())
            .filter(|part| !part.is_empty())
            .collect()
    };
    if let Some(open) = tree.find('{') {
        let prefix = parts(&tree[..open]);
        let inner = tree[open + 1..].trim_end().strip_suffix('}').unwrap_or_default();
        let (mut depth, mut start, mut found) = (0, 0, Vec::new());
        for (at, letter) in inner.char_indices().chain([(inner.len(), ',')]) {
            match letter {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    let branch = inner[start..at].trim();
                    start = at + 1;
                    if !branch.is_empty() {
                        let below = leaves(branch).into_iter();
                        found.extend(below.map(|(name, path)| {
                            let path = path.into_iter().filter(|part| part != "self");
                            let path = prefix.iter().cloned().chain(path).collect::<Module>();
                            let name = name.map(|name| match name.as_str() {
                                "self" => path.last().cloned().unwrap_or_default(),
                                _ => name,
                            });
                            (name, path)
                        }));
                    }
                }
                _ => {}
            }
        }
        return found;
    }
    let (path, alias) = tree.split_once(" as ").unwrap_or((tree, ""));
    let mut path = parts(path);
    if path.last().is_some_and(|last| last == "*") {
        path.pop();
        return vec![(None, path)];
    }
    let name = if alias.is_empty() { path.last().cloned() } else { Some(alias.trim().to_owned()) };
    vec![(name, path)]
}

/// All paths of two parts or more.
fn paths(code: &str) -> Vec<Module> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find("::") {
        let start = rest[..at].rfind(|c| !is_word(c)).map_or(0, |end| end + 1);
        let mut path = vec![rest[start..at].to_owned()];
        let mut end = at;
        while let Some(more) = rest[end..].strip_prefix("::") {
            let length = more.find(|c| !is_word(c)).unwrap_or(more.len());
            if length == 0 {
                end += 2;
                break;
            }
            path.push(more[..length].to_owned());
            end += 2 + length;
        }
        if path.len() > 1 && !path[0].is_empty() {
            found.push(path);
        }
        rest = &rest[end..];
    }
    found
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn shown(module: &[String]) -> String {
    if module.is_empty() { "(crate root)".to_owned() } else { module.join("::") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn house(files: &[(&str, &str)]) -> Crate {
        let module = |name: &str| -> Module { name.split("::").map(str::to_owned).collect() };
        let modules = files.iter().map(|(name, code)| {
            let module = if name.is_empty() { Module::new() } else { module(name) };
            (module, Source::new((*code).to_owned()))
        });
        Crate { modules: modules.collect() }
    }

    fn uses(files: &[(&str, &str)], of: &str) -> Vec<String> {
        house(files).uses()[of].iter().cloned().collect()
    }

    #[test]
    fn a_path_through_a_reexport_leads_to_the_definition() {
        let files = [
            ("", "mod a;\nmod b;\npub use b::Thing;\n"),
            ("a", "use crate::Thing;\n"),
            ("b", "pub struct Thing;\n"),
        ];
        assert_eq!(uses(&files, "a"), ["b"]);
        assert!(uses(&files, "(crate root)").is_empty());
    }

    #[test]
    fn a_module_that_is_brought_in_is_used_by_its_paths() {
        let files = [
            ("", "mod a;\nmod b;\n"),
            ("a", "use crate::b;\nfn f() { b::c::g() }\n"),
            ("b", "pub mod c;\n"),
            ("b::c", "pub fn g() {}\n"),
        ];
        assert_eq!(uses(&files, "a"), ["b::c"]);
    }

    #[test]
    fn trees_and_parents_are_followed() {
        let files = [
            ("", "mod a;\n"),
            ("a", "mod x;\nmod y;\npub(crate) struct Own;\nfn f() { x::g() }\n"),
            ("a::x", "use super::{Own, y::{self, Z as W}};\npub fn g() {}\n"),
            ("a::y", "pub struct Z;\n"),
        ];
        assert_eq!(uses(&files, "a::x"), ["a", "a::y"]);
        assert_eq!(uses(&files, "a"), ["a::x"]);
    }
}
