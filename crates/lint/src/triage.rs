//! `L05`: what people need when a rule alerts.

use peregrine_diagnostics::{Edit, Fix, Label};
use peregrine_event::EventType;
use peregrine_fields::Field;
use peregrine_rules::{DefinitionKind, Rule};

use super::attack::{self, Id, TACTICS};
use super::finding::LintFinding;
use super::lints::Lint;
use super::model::Model;

pub(crate) fn check(model: &Model<'_>, found: &mut Vec<LintFinding>) {
    for rule in &model.sources.input.rules.rules {
        tags(model, rule, found);
        output(model, rule, found);
        description(model, rule, found);
    }
}

fn tags(model: &Model<'_>, rule: &Rule<Field>, found: &mut Vec<LintFinding>) {
    let kind = DefinitionKind::Rule;
    let mut named: Vec<_> = rule.tags.iter().filter_map(|tag| Some((tag, mitre(tag)?))).collect();
    if named.is_empty() {
        let message = "no tag says which MITRE ATT&CK tactic or technique this rule is about";
        found.push(
            LintFinding::rule(Lint::NoTactic, &rule.name, message)
                .at(model.sources.name_label(kind, &rule.name))
                .help("add a tactic such as `mitre_execution`, and a technique such as `T1059`"),
        );
    }
    named.retain(|(_, mitre)| *mitre != Mitre::Right);
    for (tag, mitre) in named {
        let label = tag_label(model, &rule.name, tag);
        let message = match &mitre {
            Mitre::Spelt(_) => "this tag is not spelt as tools expect it".to_owned(),
            Mitre::Retired => format!("MITRE ATT&CK has retired `{tag}`"),
            _ => format!("MITRE ATT&CK has no tactic or technique `{tag}`"),
        };
        let tactic = tag.strip_prefix("mitre_").unwrap_or(tag);
        let nearest = peregrine_diagnostics::closest(tactic, TACTICS.into_iter());
        let (help, right) = match (mitre, nearest) {
            (Mitre::Spelt(right), _) => (format!("write `{right}`"), Some(right)),
            (Mitre::Retired, _) => {
                let page = tag.replace('.', "/");
                let help = format!(
                    "https://attack.mitre.org/techniques/{page} leads to what took its place"
                );
                (help, None)
            }
            (_, Some(nearest)) => {
                (format!("did you mean `mitre_{nearest}`?"), Some(format!("mitre_{nearest}")))
            }
            (_, None) => {
                let tactics = TACTICS.map(|tactic| format!("mitre_{tactic}")).join(", ");
                (format!("tactics are {tactics}; ids have the form `T1059.004`"), None)
            }
        };
        let fix = right.zip(label.clone()).filter(|(_, label)| written(label) == tag);
        let mut finding =
            LintFinding::rule(Lint::UnknownTactic, &rule.name, message).at(label).help(help);
        if let Some((right, label)) = fix {
            let title = format!("write `{right}`");
            finding = finding.fix(Fix::offered(title, vec![Edit { label, text: right }]));
        }
        found.push(finding);
    }
}

/// What a tag says of MITRE ATT&CK.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Mitre {
    /// A tactic or technique that there is.
    Right,
    /// One that there is, in another spelling than this.
    Spelt(String),
    /// One that there was.
    Retired,
    /// One that there is not.
    Unknown,
}

/// `None` for a tag about something else.
fn mitre(tag: &str) -> Option<Mitre> {
    let upper = tag.to_ascii_uppercase();
    if is_id(&upper) {
        return Some(match attack::id(&upper) {
            Id::Plausible if upper != tag => Mitre::Spelt(upper),
            Id::Plausible => Mitre::Right,
            Id::Retired => Mitre::Retired,
            Id::Unknown => Mitre::Unknown,
        });
    }
    let lower = tag.to_ascii_lowercase().replace([' ', '-', '.', ':', '/'], "_");
    let prefixes = ["mitre_attack_", "mitre_", "attack_"];
    let rest = prefixes.iter().find_map(|prefix| lower.strip_prefix(prefix))?;
    let id = lower_id(tag);
    match tag.strip_prefix("mitre_") {
        Some(tactic) if TACTICS.contains(&tactic) => Some(Mitre::Right),
        _ if TACTICS.contains(&rest) => Some(Mitre::Spelt(format!("mitre_{rest}"))),
        _ if id.is_some() => id.map(Mitre::Spelt),
        Some(_) => Some(Mitre::Unknown),
        None => None,
    }
}

/// The id at the end of a tag such as `mitre_t1059.004`, as it is written.
fn lower_id(tag: &str) -> Option<String> {
    let at = tag.char_indices().rev().find(|(_, c)| !c.is_ascii_alphanumeric() && *c != '.');
    let id = tag.get(at.map_or(0, |(at, c)| at + c.len_utf8())..)?;
    // `attack.t1059` has a dot in front of the id, too.
    let id = id.strip_prefix("attack.").unwrap_or(id).to_ascii_uppercase();
    (is_id(&id) && attack::id(&id) == Id::Plausible).then_some(id)
}

/// Whether a tag has the form of an id: `T1059`, `T1059.004` or `TA0002`, or nearly.
fn is_id(tag: &str) -> bool {
    let rest = tag.strip_prefix("TA").or_else(|| tag.strip_prefix('T')).unwrap_or_default();
    !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// The text of a place.
fn written(label: &Label) -> &str {
    label.source.text.get(label.span.start.offset..label.span.end.offset).unwrap_or_default()
}

fn tag_label(model: &Model<'_>, rule: &str, tag: &str) -> Option<Label> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_mitre_are_recognised_in_every_spelling() {
        let spelt = |right: &str| Some(Mitre::Spelt(right.to_owned()));
        for (tag, expected) in [
            ("mitre_execution", Some(Mitre::Right)),
            ("T1059.004", Some(Mitre::Right)),
            ("TA0002", Some(Mitre::Right)),
            ("t1059", spelt("T1059")),
            ("mitre_T1059.004", spelt("T1059.004")),
            ("attack.t1059.004", spelt("T1059.004")),
            ("attack.execution", spelt("mitre_execution")),
            ("MITRE_Execution", spelt("mitre_execution")),
            ("mitre-privilege-escalation", spelt("mitre_privilege_escalation")),
            ("T1086", Some(Mitre::Retired)),
            ("T99", Some(Mitre::Unknown)),
            ("mitre_executoin", Some(Mitre::Unknown)),
            ("mitre", None),
            ("attack_surface", None),
            ("process", None),
            ("T", None),
        ] {
            assert_eq!(mitre(tag), expected, "{tag}");
        }
    }
}
