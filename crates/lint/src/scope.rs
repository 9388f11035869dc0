//! `L02`: rules, exceptions, lists and macros that have no effect, or another than they seem to.

use hashbrown::HashSet;
use peregrine_engine::Matching;
use peregrine_rules::{DefinitionKind, Effect, ItemId, OutlineItem};

use super::contradictions::constant;
use super::finding::LintFinding;
use super::lints::Lint;
use super::logic::solve::Solver;
use super::logic::tree::{Part, Term};
use super::model::Model;

/// Most pairs of rules that are compared: those of some 1,400 rules.
const MAX_PAIRS: usize = 1_000_000;

pub(crate) fn check(model: &mut Model<'_>, found: &mut Vec<LintFinding>) {
    unreachable(model, found);
    exceptions(model, found);
    disabled(model, found);
    unused(model, found);
    overwritten(model, found);
    placeholders(model, found);
}

/// Rules of which an earlier rule takes all events.
fn unreachable(model: &mut Model<'_>, found: &mut Vec<LintFinding>) {
    if model.sources.input.matching != Matching::First {
        return;
    }
    let positions: hashbrown::HashMap<&str, usize> = model
        .sources
        .input
        .rules
        .rules
        .iter()
        .zip(0..)
        .map(|(r, at)| (r.name.as_str(), at))
        .collect();
    let mut rules: Vec<_> = model.rules.iter().filter(|rule| rule.rule.active).collect();
    rules.sort_by_key(|rule| positions.get(rule.rule.name.as_str()));
    let rules: Vec<_> =
        rules.iter().map(|r| (r.rule.name.clone(), model.forest.root(r.condition))).collect();
    let (mut hidden, mut pairs) = (Vec::new(), 0);
    let mut solver = Solver::new(&model.atoms, &mut model.forest);
    for (at, (name, root)) in rules.iter().enumerate() {
        let mark = solver.mark();
        if solver.assume(*root) {
            let earlier = rules.iter().take(at).find(|(_, earlier)| {
                pairs += 1;
                if pairs > MAX_PAIRS {
                    return false;
                }
                solver.mark();
                solver.always(*earlier)
            });
            hidden.extend(earlier.map(|(earlier, _)| (name.clone(), earlier.clone())));
        }
        solver.reset(&mark);
    }
    for (rule, earlier) in hidden {
        let kind = DefinitionKind::Rule;
        let message =
            format!("this rule never alerts: the rule `{earlier}` matches all of its events first");
        found.push(
            LintFinding::rule(Lint::Unreachable, &rule, message)
                .at(model.sources.name_label(kind, &rule))
                .related(model.sources.name_label(kind, &earlier), "the rule that matches first")
                .help(
                    "disable one of the two, narrow the first, put this one before it, \
                     or set `rule_matching: all`",
                ),
        );
    }
}

/// Exceptions that no event of their rule meets, and those without values.
fn exceptions(model: &mut Model<'_>, found: &mut Vec<LintFinding>) {
    for at in 0..model.rules.len() {
        let Some(rule) = model.rules.get(at) else { continue };
        let (name, own, all) = (rule.rule.name.clone(), rule.own, rule.exceptions.clone());
        let empty: Vec<_> = rule
            .rule
            .exception_names
            .iter()
            .filter(|known| !all.iter().any(|(with_values, _)| with_values == *known))
            .cloned()
            .collect();
        let mut dead: Vec<(String, Option<usize>)> = Vec::new();
        let mut solver = Solver::new(&model.atoms, &mut model.forest);
        let mark = solver.mark();
        if solver.assume(own) {
            for (exception, part) in &all {
                solver.mark();
                if solver.never(*part) {
                    dead.push((exception.clone(), None));
                } else if let Term::Any(rows) = solver.forest.inner(*part).clone() {
                    let is_dead = |row: &Part| solver.never(*row);
                    let rows: Vec<_> = rows.iter().map(is_dead).collect();
                    let rows = rows.iter().enumerate().filter(|(_, dead)| **dead);
                    dead.extend(rows.map(|(row, _)| (exception.clone(), Some(row))));
                }
            }
        }
        solver.reset(&mark);
        for (exception, row) in dead {
            let (label, what) = match row {
                None => (exception_label(model, &name, &exception, None), "this exception"),
                Some(row) => (
                    exception_label(model, &name, &exception, Some(row)),
                    "this row of the exception",
                ),
            };
            let message = format!("{what} never applies: the condition of the rule excludes it");
            found.push(
                LintFinding::rule(Lint::DeadException, &name, message)
                    .at(label)
                    .help("correct its fields and values, or remove it"),
            );
        }
        for exception in empty {
            let message = format!("the exception `{exception}` has no values and excludes nothing");
            found.push(
                LintFinding::rule(Lint::EmptyException, &name, message)
                    .at(exception_label(model, &name, &exception, None))
                    .help("add `values`, or remove it if no later file does"),
            );
        }
    }
}

fn exception_label(
    model: &Model<'_>,
    rule: &str,
    exception: &str,
    row: Option<usize>,
) -> Option<peregrine_diagnostics::Label> {
    let outline = model.sources.input.outline;
    let mut before = 0;
    let mut first = None;
    for &id in outline.named(DefinitionKind::Rule, rule) {
        for written in &outline.item(id)?.exceptions {
            if written.name.as_ref().is_none_or(|name| name.text != exception) {
                continue;
            }
            first = first.or_else(|| Some(outline.label_in(id.file, written.range.clone())));
            if let Some(row) = row {
                if let Some(tuple) = row.checked_sub(before).and_then(|at| written.tuples.get(at)) {
                    return Some(outline.label_in(id.file, tuple.clone()));
                }
                before += written.tuples.len();
            }
        }
    }
    first.or_else(|| model.sources.name_label(DefinitionKind::Rule, rule))
}

/// Rules that their files disable and nothing enables.
fn disabled(model: &Model<'_>, found: &mut Vec<LintFinding>) {
    let input = model.sources.input;
    for rule in input.rules.rules.iter().filter(|rule| !rule.active && !rule.enabled) {
        let ids = input.outline.named(DefinitionKind::Rule, &rule.name);
        let items = ids.iter().filter_map(|id| Some((*id, input.outline.item(*id)?)));
        let mut changed = items.filter(|(_, item)| {
            matches!(item.effect, Effect::Append | Effect::Override)
                && item.key("enabled").is_none()
        });
        let changed = changed.next_back();
        let message = match changed {
            Some(_) => "this rule is disabled, so what is appended to it has no effect",
            None => "this rule is disabled, and nothing enables it",
        };
        let label = |(id, item): (ItemId, &OutlineItem)| {
            input.outline.label_in(id.file, item.name.range.clone())
        };
        let mut finding = LintFinding::rule(Lint::DisabledRule, &rule.name, message)
            .at(model.sources.name_label(DefinitionKind::Rule, &rule.name))
            .help("enable it by `override: {enabled: replace}` or under `rules` of the configuration, or leave it out");
        if let Some(changed) = changed {
            finding = finding.related(Some(label(changed)), "the change without effect");
        }
        found.push(finding);
    }
}

/// Macros and lists that no rule reaches.
fn unused(model: &Model<'_>, found: &mut Vec<LintFinding>) {
    let input = model.sources.input;
    let trees: hashbrown::HashMap<_, _> =
        input.written.macros.iter().map(|written| (written.name.as_str(), written)).collect();
    let mut reached: HashSet<&str> = HashSet::new();
    let mut open: Vec<&str> = input.written.rules.iter().flat_map(|w| w.expr.macros()).collect();
    while let Some(name) = open.pop() {
        if reached.insert(name) {
            open.extend(trees.get(name).into_iter().flat_map(|written| written.expr.macros()));
        }
    }
    let mut report = |kind: DefinitionKind, name: &str, message: String| {
        found.push(
            LintFinding::new(Lint::Unused, kind, name, message)
                .at(model.sources.name_label(kind, name))
                .help("use it or remove it"),
        );
    };
    for known in input.rules.macros.iter().filter(|known| !reached.contains(known.name.as_str())) {
        let message = match known.used {
            true => "only macros that no rule uses refer to this macro",
            false => "no rule uses this macro",
        };
        report(DefinitionKind::Macro, &known.name, message.to_owned());
    }
    for known in input.rules.lists.iter().filter(|known| !known.used) {
        report(DefinitionKind::List, &known.name, "no rule uses this list".to_owned());
    }
}

/// Definitions of which a later one takes the place, with other content.
fn overwritten(model: &Model<'_>, found: &mut Vec<LintFinding>) {
    let outline = model.sources.input.outline;
    let mut seen = HashSet::new();
    for (_, item) in outline.items() {
        let (kind, name) = (item.kind, item.name.text.as_str());
        if item.effect != Effect::Define || !seen.insert((kind, name)) {
            continue;
        }
        let ids = outline.named(kind, name);
        let items = ids.iter().filter_map(|id| Some((*id, outline.item(*id)?)));
        let defined: Vec<_> = items.filter(|(_, it)| it.effect == Effect::Define).collect();
        for pair in defined.windows(2) {
            let [(old_id, old), (new_id, new)] = pair else { continue };
            if is_same(old, new) || is_template(old) {
                continue;
            }
            let label = |id: &ItemId, item: &OutlineItem| {
                outline.label_in(id.file, item.name.range.clone())
            };
            let message = format!(
                "this {} takes the place of an earlier one with other content",
                kind.name()
            );
            found.push(
                LintFinding::new(Lint::Overwritten, kind, name, message)
                    .at(Some(label(new_id, new)))
                    .related(Some(label(old_id, old)), "the definition that no longer counts")
                    .help("add to the first one by `override`, give this one another name, or remove one of the two"),
            );
        }
    }
}

fn is_same(a: &OutlineItem, b: &OutlineItem) -> bool {
    let words = |item: &OutlineItem| -> Vec<String> {
        let texts = item.condition.iter().chain(&item.output);
        let words = texts.flat_map(|text| text.text.split_whitespace().map(str::to_owned));
        words.chain(item.items.iter().map(|value| value.text.clone())).collect()
    };
    words(a) == words(b)
}

/// Whether a definition is there to be replaced.
fn is_template(item: &OutlineItem) -> bool {
    let text = item.condition.as_ref().map(|condition| condition.text.as_str());
    let text = text.unwrap_or_default().trim_matches(['(', ')', ' ', '\n']);
    let constant = matches!(text, "never_true" | "always_true") || text.starts_with("evt.num");
    item.name.text.starts_with("user_")
        || constant
        || item.kind == DefinitionKind::List && item.items.is_empty()
}

/// Macros that are the same for every event until they are filled.
fn placeholders(model: &mut Model<'_>, found: &mut Vec<LintFinding>) {
    for at in 0..model.macros.len() {
        let Some(known) = model.macros.get(at) else { continue };
        let (name, root) = (known.name.clone(), model.forest.root(known.condition));
        let by_name = matches!(name.as_str(), "never_true" | "always_true");
        let Some(value) = constant(model, root).filter(|_| !by_name) else { continue };
        let kind = DefinitionKind::Macro;
        let message = format!("this macro is {value} for every event: it is a placeholder");
        found.push(
            LintFinding::new(Lint::Placeholder, kind, &name, message)
                .at(model.sources.name_label(kind, &name))
                .help("define it in a file that is loaded later, or remove it from the rules"),
        );
    }
}
