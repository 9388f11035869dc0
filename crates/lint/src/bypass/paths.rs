//! Paths: links lead around their text, and a path as it was passed need not be absolute.

use hashbrown::HashSet;
use peregrine_event::{EventSet, EventType};
use peregrine_filter::Operator;

use super::shape::{Shape, texts};
use crate::finding::LintFinding;
use crate::lints::Lint;
use crate::logic::atoms::{Atom, Literal};
use crate::logic::tree::{Condition, Part, Term};
use crate::model::Model;

/// Directories that a rule means as a whole when it tests a prefix without the last slash.
const DIRECTORIES: [&str; 26] = [
    "/bin",
    "/boot",
    "/dev",
    "/dev/shm",
    "/etc",
    "/home",
    "/lib",
    "/lib64",
    "/mnt",
    "/opt",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/srv",
    "/sys",
    "/tmp",
    "/usr",
    "/usr/bin",
    "/usr/lib",
    "/usr/local",
    "/usr/sbin",
    "/var",
    "/var/lib",
    "/var/lib/docker",
    "/var/log",
];

pub(super) fn check(model: &Model<'_>, rule: &Shape, found: &mut Vec<LintFinding>) {
    unresolved(model, rule, found);
    open_prefix(model, rule, found);
}

/// Rules on files by their path.
fn unresolved(model: &Model<'_>, rule: &Shape, found: &mut Vec<LintFinding>) {
    let opens: EventSet = EventType::all()
        .filter(|ty| matches!(ty.name(), "open" | "openat" | "openat2" | "creat"))
        .collect();
    let about_opens = rule.requires.iter().any(|part| {
        let mut opening = false;
        model.each_literal(*part, &mut |literal, _| {
            let types = model.atoms.types(literal);
            opening |= literal.holds
                && model.atoms.get(literal.atom).is_about_type()
                && !types.intersection(opens).is_empty();
        });
        opening
    });
    if !about_opens {
        return;
    }
    let counts = |atom: &Atom| {
        matches!(atom.field(), Some("fd.name" | "fd.directory" | "fd.filename" | "fs.path.name"))
            && !matches!(atom.operator(), None | Some(Operator::Ne))
            && texts(atom).any(|text| text.contains('/') || !text.contains('*'))
    };
    let Some(part) = rule.required(model, &counts) else { return };
    let text = model.text(part);
    let message =
        format!("the same file opened through a link has another path: the rule requires `{text}`");
    found.push(
        LintFinding::rule(Lint::UnresolvedPath, &rule.name, message).at(model.label(part)).help(
            "paths are compared as text, with symbolic links in them and under the name of a hard link; \
             watch `symlink`, `symlinkat`, `link`, `linkat` and bind mounts of such files too, also of directories above them",
        ),
    );
}

/// Excluded directories without a slash at the end.
fn open_prefix(model: &Model<'_>, rule: &Shape, found: &mut Vec<LintFinding>) {
    let mut open: Vec<(Part, String)> = Vec::new();
    for exclusion in &rule.excludes {
        model.each_literal(exclusion.condition, &mut |literal, part| {
            let atom = model.atoms.get(literal.atom);
            let is_path = matches!(atom.field(), Some("fd.name" | "fd.directory" | "fs.path.name"));
            if literal.holds && is_path && atom.operator() == Some(Operator::StartsWith) {
                let text = texts(atom).find(|text| DIRECTORIES.contains(&&**text));
                open.extend(text.map(|text| (part, text.into_owned())));
            }
        });
    }
    let Some(((part, text), others)) = open.split_first() else { return };
    let message = format!(
        "`{text}` without a slash at its end also excludes its neighbours, such as `{text}x/`"
    );
    let mut finding = LintFinding::rule(Lint::OpenPrefix, &rule.name, message)
        .at(model.label(*part))
        .help(format!("write `startswith {text}/`, or `pmatch ({text})`"));
    for (part, text) in others.iter().take(4) {
        finding = finding.related(model.label(*part), format!("also `{text}` without a slash"));
    }
    found.push(finding);
}

/// Absolute paths compared with a parameter of the call: one finding for each macro or rule.
pub(super) fn check_raw(model: &Model<'_>, rules: &[Shape], found: &mut Vec<LintFinding>) {
    let mut known: HashSet<Literal> = HashSet::new();
    let mut owners: Vec<(Condition, Vec<(Literal, Part)>)> = Vec::new();
    for part in rules.iter().flat_map(|rule| &rule.requires) {
        each_raw(model, *part, &mut |literal, part| {
            let Some(origin) = model.forest.origin(part) else { return };
            if known.insert(literal) {
                let owner = origin.condition;
                match owners.iter_mut().find(|(known, _)| *known == owner) {
                    Some((_, tests)) => tests.push((literal, part)),
                    None => owners.push((owner, vec![(literal, part)])),
                }
            }
        });
    }
    for (owner, tests) in &owners {
        let Some((kind, name)) = model.sources.owner(*owner) else { continue };
        let Some((literal, part)) = tests.first() else { continue };
        let more = match tests.len() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more tests like it)"),
        };
        let message = format!(
            "a relative path is not seen: `{}` compares the path as it was passed to the call{more}",
            model.text(*part)
        );
        let better = match model.atoms.get(literal.atom).field().unwrap_or_default() {
            "evt.arg.oldpath" | "evt.arg.target" => "fs.path.source",
            "evt.arg.newpath" | "evt.arg.linkpath" => "fs.path.target",
            _ => "fs.path.name",
        };
        let finding = LintFinding::new(Lint::RawPath, kind, name, message).at(model.label(*part));
        found.push(finding.help(format!("compare `{better}`, which is always absolute")));
    }
}

fn each_raw(model: &Model<'_>, part: Part, visit: &mut impl FnMut(Literal, Part)) {
    match model.forest.inner(part) {
        Term::Literal(literal) => {
            let atom = model.atoms.get(literal.atom);
            let is_path = matches!(
                atom.field(),
                Some(
                    "evt.arg.path"
                        | "evt.arg.name"
                        | "evt.arg.filename"
                        | "evt.arg.oldpath"
                        | "evt.arg.newpath"
                        | "evt.arg.linkpath"
                        | "evt.arg.target"
                        | "evt.arg.pathname"
                )
            );
            let anchored = matches!(
                atom.operator(),
                Some(
                    Operator::Eq
                        | Operator::EqEq
                        | Operator::In
                        | Operator::StartsWith
                        | Operator::PMatch
                        | Operator::Glob
                )
            );
            let absolute = texts(atom).any(|text| text.starts_with('/'));
            if literal.holds && is_path && anchored && absolute {
                visit(*literal, part);
            }
        }
        Term::All(parts) | Term::Any(parts) => {
            parts.iter().for_each(|part| each_raw(model, *part, visit));
        }
        Term::Macro(..) => {}
    }
}
