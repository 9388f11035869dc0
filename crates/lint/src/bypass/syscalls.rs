//! System calls that do the same as those that a rule watches.

use std::collections::BTreeSet;

use hashbrown::HashMap;
use peregrine_event::EventSet;
use peregrine_fields::EventTypes;

use super::shape::{Shape, texts};
use crate::finding::LintFinding;
use crate::lints::Lint;
use crate::logic::atoms::Atom;
use crate::logic::tree::Part;
use crate::model::Model;

/// System calls that do the same.
struct Family {
    members: &'static [&'static str],
    /// Those of them that a rule must have for the family to be meant; all if empty.
    meant_by: &'static [&'static str],
    /// What they do.
    what: &'static str,
}

const fn family(what: &'static str, members: &'static [&'static str]) -> Family {
    Family { members, meant_by: &[], what }
}

const FAMILIES: [Family; 22] = [
    family("open a file", &["open", "openat", "openat2", "open_by_handle_at", "creat"]),
    family("run a program", &["execve", "execveat"]),
    Family {
        members: &["dup", "dup2", "dup3", "fcntl"],
        meant_by: &["dup", "dup2", "dup3"],
        what: "duplicate an fd",
    },
    family("rename a file", &["rename", "renameat", "renameat2"]),
    Family {
        members: &["unlink", "unlinkat"],
        meant_by: &["unlink", "unlinkat", "rmdir"],
        what: "remove a file or directory",
    },
    family("make a hard link", &["link", "linkat"]),
    family("make a symbolic link", &["symlink", "symlinkat"]),
    family("change the mode of a file", &["chmod", "fchmod", "fchmodat", "fchmodat2"]),
    family("change the owner of a file", &["chown", "fchown", "lchown", "fchownat"]),
    family("make a directory", &["mkdir", "mkdirat"]),
    family("make a device or pipe", &["mknod", "mknodat"]),
    family("accept a connection", &["accept", "accept4"]),
    Family {
        members: &["sendto", "sendmsg", "sendmmsg"],
        meant_by: &["sendto", "sendmsg", "sendmmsg"],
        what: "send a datagram",
    },
    Family {
        members: &["recvfrom", "recvmsg", "recvmmsg"],
        meant_by: &["recvfrom", "recvmsg", "recvmmsg"],
        what: "receive a datagram",
    },
    family("change the user", &["setuid", "setreuid", "setresuid", "setfsuid"]),
    family("change the group", &["setgid", "setregid", "setresgid", "setfsgid"]),
    Family {
        members: &["mount", "move_mount", "open_tree", "fsmount"],
        meant_by: &["mount"],
        what: "mount a file system",
    },
    family("load a kernel module", &["init_module", "finit_module"]),
    Family {
        members: &["ptrace", "process_vm_writev"],
        meant_by: &["ptrace"],
        what: "write into another process",
    },
    family("set an extended attribute", &["setxattr", "lsetxattr", "fsetxattr"]),
    family("load another kernel", &["kexec_load", "kexec_file_load"]),
    family("send a signal", &["kill", "tkill", "tgkill", "pidfd_send_signal"]),
];

/// What io_uring does without a system call of its own.
const THROUGH_RINGS: [&str; 14] = [
    "open",
    "openat",
    "openat2",
    "connect",
    "accept",
    "accept4",
    "unlinkat",
    "renameat",
    "renameat2",
    "mkdirat",
    "symlinkat",
    "linkat",
    "sendmsg",
    "sendto",
];

pub(super) fn check(model: &Model<'_>, rules: &[Shape], found: &mut Vec<LintFinding>) {
    twins(model, rules, found);
    rings(model, rules, found);
}

/// A set of event types that lacks members of a family, and the rules that use it.
struct Gap {
    part: Part,
    family: usize,
    missing: BTreeSet<&'static str>,
    rules: BTreeSet<String>,
}

fn twins(model: &Model<'_>, rules: &[Shape], found: &mut Vec<LintFinding>) {
    let mut gaps: Vec<Gap> = Vec::new();
    let mut known: HashMap<(Part, usize), usize> = HashMap::new();
    for rule in rules {
        let (mut watched, mut sets) = (BTreeSet::new(), Vec::new());
        for part in &rule.requires {
            model.each_literal(*part, &mut |literal, part| {
                let atom = model.atoms.get(literal.atom);
                if literal.holds && matches!(atom.field(), Some("evt.type" | "syscall.type")) {
                    let names: BTreeSet<String> = texts(atom).map(Into::into).collect();
                    watched.extend(names.iter().cloned());
                    sets.push((part, names));
                }
            });
        }
        let requires = |field: &str, text: &str| {
            let counts = |atom: &Atom| {
                atom.field() == Some(field) && texts(atom).any(|value| value.contains(text))
            };
            rule.required(model, &counts).is_some()
        };
        // What a call can't do, it does not do unseen.
        let reads = requires("evt.is_open_read", "true");
        let creates = requires("evt.arg.flags", "CREAT")
            || requires("evt.is_open_create", "true")
            || requires("evt.is_open_exec", "true");
        let traced = requires("evt.arg.request", "TRACEME");
        let can_do = |member: &str| match member {
            "creat" => !reads,
            "open_by_handle_at" => !creates,
            "process_vm_writev" => !traced,
            _ => true,
        };
        for (part, names) in &sets {
            for (at, family) in FAMILIES.iter().enumerate() {
                let meant =
                    if family.meant_by.is_empty() { family.members } else { family.meant_by };
                if !meant.iter().any(|member| names.contains(*member)) {
                    continue;
                }
                let missing = family.members.iter().copied().filter(|member| {
                    !watched.contains(*member)
                        && can_do(member)
                        && !EventTypes::named([*member]).events.is_empty()
                });
                let missing: BTreeSet<_> = missing.collect();
                if missing.is_empty() {
                    continue;
                }
                let gap = *known.entry((*part, at)).or_insert_with(|| {
                    let (missing, rules) = (BTreeSet::new(), BTreeSet::new());
                    gaps.push(Gap { part: *part, family: at, missing, rules });
                    gaps.len() - 1
                });
                if let Some(gap) = gaps.get_mut(gap) {
                    gap.missing.extend(missing);
                    gap.rules.insert(rule.name.clone());
                }
            }
        }
    }
    found.extend(gaps.iter().filter_map(|gap| describe(model, gap)));
}

fn describe(model: &Model<'_>, gap: &Gap) -> Option<LintFinding> {
    let owner = model.forest.origin(gap.part)?.condition;
    let (kind, name) = model.sources.owner(owner)?;
    let family = FAMILIES.get(gap.family)?;
    let missing: Vec<_> = gap.missing.iter().map(|name| format!("`{name}`")).collect();
    let (missing, verb) = (missing.join(", "), if gap.missing.len() == 1 { "does" } else { "do" });
    let uses = match gap.rules.len() {
        1 => String::new(),
        rules => format!(" ({rules} rules use this)"),
    };
    let message = format!(
        "`{}` does not watch {missing}, which {verb} the same: {}{uses}",
        model.text(gap.part),
        family.what,
    );
    Some(LintFinding::new(Lint::TwinSyscalls, kind, name, message).at(model.label(gap.part)).help(
        "add them; tests that only some of these calls have values for need a branch of their own",
    ))
}

/// Operations through io_uring are no system calls. A set that watches for rings sees at least who
/// uses them.
fn rings(model: &Model<'_>, rules: &[Shape], found: &mut Vec<LintFinding>) {
    let through_rings = EventTypes::named(THROUGH_RINGS).events;
    let setup = EventTypes::named(["io_uring_setup", "io_uring_enter"]).events;
    let (mut first, mut affected) = (None, 0);
    for rule in rules {
        let mut types = EventSet::EMPTY;
        let mut place = None;
        for part in &rule.requires {
            model.each_literal(*part, &mut |literal, part| {
                let atom = model.atoms.get(literal.atom);
                if literal.holds && atom.field() == Some("evt.type") {
                    types = types.union(model.atoms.types(literal));
                    place.get_or_insert(part);
                }
            });
        }
        if !types.intersection(setup).is_empty() && types.intersection(through_rings).is_empty() {
            return;
        }
        if !types.intersection(through_rings).is_empty() {
            affected += 1;
            first = first.or(place.map(|place| (rule.name.as_str(), place)));
        }
    }
    let Some((rule, place)) = first else { return };
    let rules = match affected {
        1 => "this rule watches".to_owned(),
        rules => format!("{rules} rules watch"),
    };
    let message = format!(
        "{rules} system calls that io_uring performs without one, and no rule watches who sets up a ring"
    );
    found.push(LintFinding::rule(Lint::IoUring, rule, message).at(model.label(place)).help(
        "add a rule on `evt.type = io_uring_setup` for programs that are not known to use it, \
             or forbid io_uring (`sysctl kernel.io_uring_disabled=2`)",
    ));
}
