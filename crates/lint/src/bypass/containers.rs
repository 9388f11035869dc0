//! Containers: images by parts of their names, users that a container defines, mounts.

use hashbrown::HashSet;
use peregrine_filter::Operator;

use super::names;
use super::shape::{Shape, every_way, some_way, texts};
use crate::finding::LintFinding;
use crate::lints::Lint;
use crate::logic::atoms::Atom;
use crate::logic::tree::{Part, Term};
use crate::model::Model;

pub(super) fn check(model: &Model<'_>, rule: &Shape, found: &mut Vec<LintFinding>) {
    users(model, rule, found);
    mounts(model, rule, found);
}

/// Names of users inside a container come from its own files.
fn users(model: &Model<'_>, rule: &Shape, found: &mut Vec<LintFinding>) {
    let in_container = |part: &Part| match model.forest.inner(*part) {
        Term::Literal(literal) => {
            let atom = model.atoms.get(literal.atom);
            atom.field() == Some("container.id")
                && (atom.operator() == Some(Operator::Ne)) == literal.holds
        }
        _ => false,
    };
    let scoped = rule.excludes.iter().any(|exclusion| in_container(&exclusion.place));
    if !scoped && !rule.requires.iter().any(in_container) {
        return;
    }
    let is_user = |atom: &Atom| matches!(atom.field(), Some("user.name" | "group.name"));
    let open = rule.excludes.iter().find(|exclusion| {
        let (mut named, mut only) = (false, true);
        model.each_literal(exclusion.condition, &mut |literal, _| {
            named |= is_user(model.atoms.get(literal.atom));
            only &= literal.holds || is_user(model.atoms.get(literal.atom));
        });
        let chosen = |atom: &Atom| is_user(atom) || names::is_chosen(atom);
        named && only && some_way(model, exclusion.condition, &chosen)
    });
    let Some(open) = open else { return };
    let text = model.text(open.place);
    let message = format!(
        "a container can give any user this name in its own /etc/passwd: the rule excludes `{text}`"
    );
    found.push(
        LintFinding::rule(Lint::ContainerUser, &rule.name, message)
            .at(model.label(open.place))
            .help("compare `user.uid`, or exclude an image instead"),
    );
}

/// A mount of a directory contains what is in it.
fn mounts(model: &Model<'_>, rule: &Shape, found: &mut Vec<LintFinding>) {
    let mut paths: Vec<(String, Part)> = Vec::new();
    let places = rule.excludes.iter().map(|exclusion| &exclusion.place);
    for part in rule.requires.iter().chain(places) {
        model.each_literal(*part, &mut |literal, part| {
            let atom = model.atoms.get(literal.atom);
            let is_mount = atom.field().is_some_and(|field| field.starts_with("container.mount"));
            let path = atom.field_argument().filter(|path| is_mount && path.starts_with('/'));
            paths.extend(path.map(|path| (path.to_owned(), part)));
        });
    }
    let tested = |path: &str| {
        paths.iter().any(|(known, _)| match known.strip_suffix('*') {
            Some(prefix) => path.starts_with(prefix),
            None => known == path,
        })
    };
    let mut open: Vec<(&str, &str, Part)> = Vec::new();
    for (path, part) in paths.iter().filter(|(path, _)| !path.contains('*')) {
        let mut above = path.as_str();
        while let Some((parent, _)) =
            above.rsplit_once('/').filter(|(parent, _)| !parent.is_empty())
        {
            if !tested(parent) {
                open.push((path, parent, *part));
                break;
            }
            above = parent;
        }
    }
    let Some((path, parent, part)) = open.first() else { return };
    let more = match open.len() - 1 {
        0 => String::new(),
        more => format!(" ({more} more paths like it)"),
    };
    let message =
        format!("a container that mounts `{parent}` has `{path}` too, and is not seen{more}");
    found.push(
        LintFinding::rule(Lint::MountOfPart, &rule.name, message)
            .at(model.label(*part))
            .help(format!("test `{parent}` too, or the pattern `{parent}*`")),
    );
}

/// Images that are excluded by the end or the middle of their names.
pub(super) fn check_images(model: &Model<'_>, rules: &[Shape], found: &mut Vec<LintFinding>) {
    let mut known = HashSet::new();
    for rule in rules {
        for exclusion in &rule.excludes {
            let mut open = Vec::new();
            each_open_image(model, exclusion.condition, &mut open);
            for part in open {
                let origin = model.forest.origin(part);
                let Some(owner) = origin.map(|origin| origin.condition) else { continue };
                let Some((kind, name)) = model.sources.owner(owner) else { continue };
                // One finding for each macro or rule.
                if !known.insert(owner) {
                    continue;
                }
                let text = model.text(part);
                let message = format!(
                    "an image of another registry with such a name is excluded too: `{text}`"
                );
                found.push(
                    LintFinding::new(Lint::ImagePattern, kind, name, message)
                        .at(model.label(part))
                        .help("name the whole repository with its registry: `in (registry/repository)`, or `startswith registry/`"),
                );
            }
        }
    }
}

fn each_open_image(model: &Model<'_>, part: Part, found: &mut Vec<Part>) {
    match model.forest.inner(part) {
        Term::Literal(literal) => {
            let atom = model.atoms.get(literal.atom);
            let open = match atom.operator() {
                Some(Operator::EndsWith | Operator::Contains | Operator::IContains) => true,
                Some(Operator::StartsWith) => texts(atom).any(|text| !text.contains('/')),
                _ => false,
            };
            if literal.holds && is_image(atom) && open {
                found.push(part);
            }
        }
        Term::All(parts) => {
            // A prefix with a slash pins the registry, whatever follows.
            let pins = |part: &Part| every_way(model, *part, &pins_registry).is_some();
            if !parts.iter().any(pins) {
                parts.iter().for_each(|part| each_open_image(model, *part, found));
            }
        }
        Term::Any(parts) => parts.iter().for_each(|part| each_open_image(model, *part, found)),
        Term::Macro(..) => {}
    }
}

fn is_image(atom: &Atom) -> bool {
    matches!(atom.field(), Some("container.image.repository" | "container.image"))
}

fn pins_registry(atom: &Atom) -> bool {
    let pinned = match atom.operator() {
        Some(Operator::StartsWith) => texts(atom).all(|text| text.contains('/')),
        Some(Operator::In | Operator::Eq | Operator::EqEq) => true,
        _ => false,
    };
    is_image(atom) && pinned
}
