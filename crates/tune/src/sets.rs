//! Sets of system calls that could be monitored.

use peregrine_engine::select::{self, BaseSyscalls, Selection, SyscallSet};

/// A set and the settings that select it.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its name.
    pub name: &'static str,
    /// Keys of the configuration that select it.
    pub keys: BaseSyscalls,
    /// System calls that are monitored with these keys.
    pub set: SyscallSet,
    /// Whether every rule still sees the events it is about.
    pub whole: bool,
}

/// System calls for rules with a single concern.
const CONCERNS: [(&str, &[&str]); 4] = [
    ("processes", &["execve", "execveat"]),
    ("accept", &["accept", "accept4"]),
    ("connect", &["connect"]),
    ("open", &["open", "openat", "openat2", "creat"]),
];

/// All sets for rules that are about these system calls. The first one is in force.
pub fn candidates(rules: &SyscallSet, configured: &BaseSyscalls) -> Vec<Candidate> {
    let candidate = |name, keys: BaseSyscalls, whole| {
        let set = Selection::new(rules, &SyscallSet::default(), &keys).selected;
        Candidate { name, keys, set, whole }
    };
    let base = BaseSyscalls { custom_set: Vec::new(), repair: false, all: configured.all };
    let mut candidates = vec![
        candidate("configured", configured.clone(), true),
        candidate("default", base.clone(), true),
        candidate("repair", BaseSyscalls { repair: true, ..base.clone() }, true),
    ];
    for (name, concern) in CONCERNS {
        let kept = select::repaired(&SyscallSet::named(concern.iter().copied()));
        let names = kept.names().into_iter().map(str::to_owned);
        let others = rules.difference(&kept);
        let others = others.names().into_iter().filter(|other| !kept.contains_name(other));
        let custom_set = names.chain(others.map(|name| format!("!{name}"))).collect();
        candidates.push(candidate(name, BaseSyscalls { custom_set, ..base.clone() }, false));
    }
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_concern_keeps_what_it_needs_and_nothing_else_that_rules_want() {
        let rules = SyscallSet::named(["openat", "connect", "unlink", "execve"]);
        let all = candidates(&rules, &BaseSyscalls::default());
        let set = |name| &all.iter().find(|candidate| candidate.name == name).unwrap().set;
        for (name, kept, gone) in [
            ("processes", ["execve", "clone", "procexit"], ["openat", "connect", "unlink"]),
            ("connect", ["connect", "socket", "close"], ["openat", "accept", "unlink"]),
            ("open", ["openat", "close", "execve"], ["connect", "bind", "unlink"]),
            ("accept", ["accept4", "bind", "close"], ["connect", "openat", "unlink"]),
            ("repair", ["unlink", "connect", "openat"], ["bind", "eventfd2", "mkdir"]),
        ] {
            assert!(kept.iter().all(|kept| set(name).contains_name(kept)), "{name}");
            assert!(!gone.iter().any(|gone| set(name).contains_name(gone)), "{name}");
        }
        assert_eq!(set("configured"), set("default"));
    }
}
