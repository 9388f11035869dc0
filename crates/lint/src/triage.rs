//! `L05`: what people need when a rule alerts.

use peregrine_event::EventType;
use peregrine_fields::Field;
use peregrine_rules::{DefinitionKind, Rule};

use super::finding::LintFinding;
use super::lints::Lint;
use super::model::Model;

/// Tactics of MITRE ATT&CK for enterprises, as tags name them.
const TACTICS: [&str; 14] = [
    "reconnaissance",
    "resource_development",
    "initial_access",
    "execution",
    "persistence",
    "privilege_escalation",
    "defense_evasion",
    "credential_access",
    "discovery",
    "lateral_movement",
    "collection",
    "command_and_control",
    "exfiltration",
    "impact",
];

/// Ids of these tactics: `TA` and one of the numbers.
const TACTIC_IDS: [u16; 14] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 40, 42, 43];

pub(crate) fn check(model: &Model<'_>, found: &mut Vec<LintFinding>) {
    for rule in &model.sources.input.rules.rules {
        tags(model, rule, found);
        output(model, rule, found);
        description(model, rule, found);
    }
}

fn tags(model: &Model<'_>, rule: &Rule<Field>, found: &mut Vec<LintFinding>) {
    let kind = DefinitionKind::Rule;
    let is_mitre = |tag: &&String| tag.starts_with("mitre_") || is_id(tag);
    if !rule.tags.iter().any(|tag| is_mitre(&tag)) {
        let message = "no tag says which MITRE ATT&CK tactic or technique this rule is about";
        found.push(
            LintFinding::rule(Lint::NoTactic, &rule.name, message)
                .at(model.sources.name_label(kind, &rule.name))
                .help("add a tactic such as `mitre_execution`, and a technique such as `T1059`"),
        );
    }
    for tag in rule.tags.iter().filter(is_mitre) {
        let right = match tag.strip_prefix("mitre_") {
            Some(tactic) => TACTICS.contains(&tactic),
            None => is_known_id(tag),
        };
        if right {
            continue;
        }
        let tactic = tag.strip_prefix("mitre_").unwrap_or(tag);
        let nearest = peregrine_diagnostics::closest(tactic, TACTICS.into_iter());
        let help = match nearest {
            Some(nearest) => format!("did you mean `mitre_{nearest}`?"),
            None => format!("tactics are {}", TACTICS.map(|t| format!("mitre_{t}")).join(", ")),
        };
        let message = format!("MITRE ATT&CK has no tactic or technique `{tag}`");
        found.push(
            LintFinding::rule(Lint::UnknownTactic, &rule.name, message)
                .at(tag_label(model, &rule.name, tag))
                .help(help),
        );
    }
}

/// Whether a tag has the form of an id: `T1059`, `T1059.004` or `TA0002`, or nearly.
fn is_id(tag: &str) -> bool {
    let rest = tag.strip_prefix("TA").or_else(|| tag.strip_prefix('T')).unwrap_or_default();
    !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

fn is_known_id(id: &str) -> bool {
    let digits = |text: &str, len: usize| {
        text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    if let Some(tactic) = id.strip_prefix("TA") {
        let number = tactic.parse().ok().filter(|_| digits(tactic, 4));
        return number.is_some_and(|number: u16| TACTIC_IDS.contains(&number));
    }
    let technique = id.strip_prefix('T').unwrap_or_default();
    match technique.split_once('.') {
        Some((technique, part)) => digits(technique, 4) && digits(part, 3),
        None => digits(technique, 4),
    }
}

fn tag_label(model: &Model<'_>, rule: &str, tag: &str) -> Option<peregrine_diagnostics::Label> {
    let outline = model.sources.input.outline;
    let ids = outline.named(DefinitionKind::Rule, rule).iter().rev();
    let tags = ids.filter_map(|id| {
        let tag = outline.item(*id)?.tags.iter().find(|written| written.text == tag)?;
        Some(outline.label_in(id.file, tag.range.clone()))
    });
    tags.into_iter().next().or_else(|| model.sources.name_label(DefinitionKind::Rule, rule))
}

/// Outputs from which an alert can't be understood.
fn output(model: &Model<'_>, rule: &Rule<Field>, found: &mut Vec<LintFinding>) {
    let Some(types) = &rule.event_types else { return };
    let shown = |prefixes: &[&str]| {
        let text = &rule.output;
        prefixes.iter().any(|prefix| text.contains(&format!("%{prefix}")))
            || rule.extra_fields.values().any(|field| {
                prefixes.iter().any(|prefix| field.format.contains(&format!("%{prefix}")))
            })
    };
    let mut missing = Vec::new();
    let mut want = |prefixes: &[&str], field: &'static str| {
        if !shown(prefixes) {
            missing.push(field);
        }
    };
    want(&["proc.name", "proc.exe", "proc.cmdline"], "%proc.exepath");
    want(&["proc.cmdline", "proc.args", "proc.exeline"], "%proc.cmdline");
    want(&["proc.p", "proc.a"], "%proc.pname");
    want(&["user."], "%user.name");
    // What the event is about, if all events of the rule are about an fd or a path.
    let names = |wanted: &[&str]| {
        let mut events =
            types.events.iter().filter(|ty| super::logic::atoms::occurs(*ty)).peekable();
        events.peek().is_some() && events.all(|ty: EventType| wanted.contains(&ty.name()))
    };
    if names(&["open", "openat", "openat2", "open_by_handle_at", "creat"]) {
        want(&["fd.", "fs.path", "evt.arg"], "%fd.name");
    }
    if names(&["connect", "accept", "accept4", "bind", "listen", "sendto", "sendmsg", "sendmmsg"]) {
        want(&["fd.", "evt.arg"], "%fd.name");
    }
    if missing.is_empty() {
        return;
    }
    let message = format!("the output lacks what triage needs: {}", missing.join(", "));
    let outline = model.sources.input.outline;
    let ids = outline.named(DefinitionKind::Rule, &rule.name).iter().rev();
    let written = ids.filter_map(|id| {
        let output = outline.item(*id)?.output.as_ref()?;
        Some(outline.label_in(id.file, output.range.clone()))
    });
    found.push(
        LintFinding::rule(Lint::MissingFields, &rule.name, message)
            .at(written.into_iter().next())
            .help(
                "add them to the output, or to all outputs by `append_output` of the configuration",
            ),
    );
}

fn description(model: &Model<'_>, rule: &Rule<Field>, found: &mut Vec<LintFinding>) {
    let text = rule.description.trim();
    if !text.is_empty() && !text.eq_ignore_ascii_case(rule.name.trim()) {
        return;
    }
    let message = match text.is_empty() {
        true => "the description is empty",
        false => "the description only repeats the name",
    };
    found.push(
        LintFinding::rule(Lint::NoDescription, &rule.name, message)
            .at(model.sources.name_label(DefinitionKind::Rule, &rule.name))
            .help("say what the rule finds, why that matters and what is to be done"),
    );
}
