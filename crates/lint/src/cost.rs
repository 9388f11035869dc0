//! `L03`: what rules cost, and how they would cost less.

use hashbrown::HashMap;
use peregrine_diagnostics::{Edit, Fix};
use peregrine_engine::{Next, Source};
use peregrine_event::EventType;
use peregrine_event::source::Record;
use peregrine_fields::{EventTypeFacts, EventTypes, Field};
use peregrine_filter::{Condition as Specialised, Operator, ProgramBuilder};
use peregrine_rules::{DefinitionKind, Rule};

use super::Input;
use super::bypass::texts;
use super::finding::LintFinding;
use super::lints::Lint;
use super::logic::atoms::{AtomId, occurs};
use super::logic::tree::{Part, Term};
use super::model::Model;

/// A rule that is evaluated for more event types than this is taken to name none.
const MANY_TYPES: usize = 100;

/// An evaluation that costs more than this, in comparisons of numbers, is expensive.
const EXPENSIVE: f32 = 30.0;

/// Calls that busy machines make all the time.
const FREQUENT: [&str; 14] = [
    "open",
    "openat",
    "openat2",
    "read",
    "write",
    "close",
    "connect",
    "sendto",
    "recvfrom",
    "sendmsg",
    "recvmsg",
    "stat",
    "fstat",
    "newfstatat",
];

/// How often events of each type occur.
#[derive(Clone, Debug, Default)]
pub struct EventMix {
    counts: HashMap<EventType, u64>,
}

/// The estimated cost of a rule.
#[derive(Clone, Debug)]
pub struct CostEstimate {
    /// Its name.
    pub rule: String,
    /// Types of events that it is evaluated for.
    pub types: usize,
    /// Cost of one evaluation in units of a comparison of two numbers, about a nanosecond; the mean
    /// over these types, weighted by the mix if there is one.
    pub per_event: f32,
    /// Events of the mix that it is evaluated for, of all.
    pub events: Option<(u64, u64)>,
}

impl EventMix {
    /// The mix of a capture.
    ///
    /// # Errors
    /// When the capture can't be read.
    pub fn of<S: Source>(source: &mut S) -> Result<Self, S::Error> {
        let mut mix = Self::default();
        loop {
            match source.next()? {
                Next::Record(Record::Event { event, .. }) => {
                    *mix.counts.entry(event.ty).or_default() += 1;
                }
                Next::End | Next::Idle => return Ok(mix),
                _ => {}
            }
        }
    }

    fn total(&self) -> u64 {
        self.counts.values().sum()
    }
}

/// What the active rules are expected to cost, the most expensive first.
#[must_use]
pub fn cost_estimates(input: Input<'_>, mix: Option<&EventMix>) -> Vec<CostEstimate> {
    let active = input.rules.rules.iter().filter(|rule| rule.active);
    let mut costs: Vec<_> = active.map(|rule| estimate(rule, mix)).collect();
    let weight = |cost: &CostEstimate| {
        let events = cost.events.map_or(cost.types as f32, |(events, _)| events as f32);
        f64::from(cost.per_event * events)
    };
    costs.sort_by(|a, b| weight(b).total_cmp(&weight(a)).then_with(|| a.rule.cmp(&b.rule)));
    costs
}

fn estimate(rule: &Rule<Field>, mix: Option<&EventMix>) -> CostEstimate {
    let (mut types, mut events, mut cost, mut weights) = (0, 0, 0.0, 0.0);
    for (ty, per_event) in costs(rule) {
        let count = mix.map_or(1, |mix| mix.counts.get(&ty).copied().unwrap_or_default());
        types += 1;
        events += count;
        weights += count as f32;
        cost += per_event * count as f32;
    }
    let per_event = if weights > 0.0 { cost / weights } else { 0.0 };
    let events = mix.map(|mix| (events, mix.total()));
    CostEstimate { rule: rule.name.clone(), types, per_event, events }
}

/// The expected cost for each type of events that the rule is evaluated for.
fn costs(rule: &Rule<Field>) -> Vec<(EventType, f32)> {
    let types = rule.event_types.unwrap_or_else(EventTypes::all).events;
    let mut program = ProgramBuilder::default();
    let mut condition = Specialised::new(&rule.filter);
    let mut known = HashMap::new();
    let mut found = Vec::new();
    for ty in types.iter().filter(|ty| occurs(*ty)) {
        let residual = program.add(&mut condition, &EventTypeFacts(ty));
        if residual != peregrine_filter::Residual::Never {
            found.push((ty, residual));
        }
    }
    found
        .into_iter()
        .map(|(ty, residual)| {
            let cost = known.entry(residual).or_insert_with(|| program.expected_cost(residual));
            (ty, cost.unwrap_or(EXPENSIVE))
        })
        .collect()
}

pub(crate) fn check(model: &Model<'_>, found: &mut Vec<LintFinding>) {
    for at in 0..model.rules.len() {
        all_events(model, at, found);
        ancestors(model, at, found);
    }
    slow_patterns(model, found);
}

/// Rules without a test of the event type that restricts it.
fn all_events(model: &Model<'_>, at: usize, found: &mut Vec<LintFinding>) {
    let Some(rule) = model.rules.get(at) else { return };
    let Some(types) = &rule.rule.event_types else { return };
    let count = types.events.iter().filter(|ty| occurs(*ty)).count();
    if count <= MANY_TYPES {
        return;
    }
    let mut culprit = None;
    model.each_literal(rule.own, &mut |literal, part| {
        let atom = model.atoms.get(literal.atom);
        let excludes = literal.holds == (atom.operator() == Some(Operator::Ne));
        if excludes && matches!(atom.field(), Some("evt.type" | "syscall.type")) {
            culprit.get_or_insert(part);
        }
    });
    let kind = DefinitionKind::Rule;
    let (label, why) = match culprit {
        Some(part) => {
            let text = model.text(part);
            (model.label(part), format!("`{text}` leaves all other event types"))
        }
        None => (
            model.sources.name_label(kind, &rule.rule.name),
            "no test that must hold says which event types are meant".to_owned(),
        ),
    };
    let message = format!("this rule is evaluated for {count} event types: {why}");
    found.push(
        LintFinding::rule(Lint::AllEvents, &rule.rule.name, message).at(label).help(
            "begin with the event types that are meant, such as `evt.type in (execve, execveat)`, in every alternative",
        ),
    );
}

/// Searches of all ancestors in rules on frequent events that nothing cheaper decides.
fn ancestors(model: &Model<'_>, at: usize, found: &mut Vec<LintFinding>) {
    let Some(rule) = model.rules.get(at) else { return };
    let mut walk = None;
    model.each_literal(rule.own, &mut |literal, part| {
        let atom = model.atoms.get(literal.atom);
        let ancestor = atom.field().is_some_and(|field| {
            matches!(
                field,
                "proc.aname" | "proc.aexe" | "proc.aexepath" | "proc.acmdline" | "proc.aenv"
            )
        });
        if ancestor && atom.field_argument().is_none() {
            walk.get_or_insert(part);
        }
    });
    let Some(part) = walk else { return };
    let frequent = costs(rule.rule)
        .into_iter()
        .find(|(ty, cost)| FREQUENT.contains(&ty.name()) && *cost > EXPENSIVE);
    let Some((ty, _)) = frequent else { return };
    let message = format!(
        "`{}` walks through all ancestors for nearly every `{}`",
        model.text(part),
        ty.name()
    );
    found.push(
        LintFinding::rule(Lint::AncestorWalk, &rule.rule.name, message)
            .at(model.label(part))
            .help("test what is rarer and cheaper in the same conjunction, or name the ancestor: `proc.aname[2]`"),
    );
}

/// Shell patterns that are a prefix, a suffix or a part.
fn slow_patterns(model: &Model<'_>, found: &mut Vec<LintFinding>) {
    let mut known: hashbrown::HashSet<AtomId> = hashbrown::HashSet::new();
    let conditions = model.macros.iter().map(|it| it.condition);
    for condition in conditions.chain(model.rules.iter().map(|rule| rule.condition)) {
        let mut open: Vec<Part> = vec![model.forest.root(condition)];
        while let Some(part) = open.pop() {
            match model.forest.term(part) {
                Term::All(parts) | Term::Any(parts) => open.extend(parts),
                Term::Literal(literal) if known.insert(literal.atom) => {
                    slow_pattern(model, part, literal.atom, found);
                }
                Term::Literal(_) | Term::Macro(..) => {}
            }
        }
    }
}

fn slow_pattern(model: &Model<'_>, part: Part, atom: AtomId, found: &mut Vec<LintFinding>) {
    let atom = model.atoms.get(atom);
    if atom.operator() != Some(Operator::Glob) {
        return;
    }
    let Some(pattern) = texts(atom).next() else { return };
    let inner = pattern.trim_start_matches('*');
    let inner = inner.trim_end_matches('*');
    let plain = !inner.is_empty() && !inner.contains(['*', '?', '[', ']', '\\']);
    let operator = match (pattern.starts_with('*'), pattern.ends_with('*')) {
        (true, true) => "contains",
        (true, false) => "endswith",
        (false, true) => "startswith",
        (false, false) => "=",
    };
    let origin = model.forest.origin(part);
    let owner = origin.and_then(|origin| model.sources.owner(origin.condition));
    let (Some((kind, name)), true) = (owner, plain) else { return };
    let field = atom.check.left().to_string();
    let better = format!("{field} {operator} {inner}");
    let message = format!("`{}` is the same as `{better}`, which costs less", model.text(part));
    let label = model.label(part);
    let mut finding = LintFinding::new(Lint::SlowPattern, kind, name, message)
        .at(label.clone())
        .help(format!("write `{better}`"));
    if let Some(label) = label.filter(|_| !model.text(part).starts_with("not")) {
        let edits = vec![Edit { label, text: better.clone() }];
        finding = finding.fix(Fix::offered(format!("write `{better}`"), edits));
    }
    found.push(finding);
}
