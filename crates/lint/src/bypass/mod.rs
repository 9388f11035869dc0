//! `L04`: what an attacker can do to keep a rule silent.
//!
//! A rule is looked at as what it requires and what it excludes. Where a requirement rests on
//! something that the monitored process chooses, another choice leads around it; where an exclusion
//! does, the right choice silences the rule.

mod containers;
mod names;
mod paths;
mod shape;
mod syscalls;

use super::finding::LintFinding;
use super::model::Model;
use shape::Shape;

pub(crate) use shape::texts;

/// All findings about rules that attackers can lead around.
pub(crate) fn check(model: &mut Model<'_>, found: &mut Vec<LintFinding>) {
    let rules: Vec<_> = (0..model.rules.len()).filter_map(|at| Shape::of(model, at)).collect();
    for rule in &rules {
        names::check(model, rule, found);
        paths::check(model, rule, found);
        containers::check(model, rule, found);
    }
    paths::check_raw(model, &rules, found);
    containers::check_images(model, &rules, found);
    syscalls::check(model, &rules, found);
}
