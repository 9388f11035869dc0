//! Flattens an event of a test into fields, each with the process it is about.

use std::sync::Arc;

use peregrine_diagnostics::{Label, Problem, Source};
use peregrine_limits::RULE_TEST_PARTS;
use peregrine_yaml::{Node, Value};

use super::place::label;
use crate::Cause;

/// An event as a test gives it.
#[derive(Clone, Debug)]
pub struct EventSpec {
    /// Where it stands.
    pub(crate) label: Label,
    /// Its fields.
    pub(crate) fields: Vec<Assigned>,
    /// Whether the rules of the test match this event, if it says so.
    pub(crate) matched: Option<bool>,
}

/// A field with the value that a test gives it.
#[derive(Clone, Debug)]
pub(crate) struct Assigned {
    /// What the value is of.
    pub(crate) key: Key,
    /// The field that must have the value afterwards; `None` where the value has no field.
    pub(crate) field: Option<String>,
    /// The value.
    pub(crate) value: Node,
    /// Place of the field's name.
    pub(crate) name_label: Label,
    /// Place of the value.
    pub(crate) label: Label,
}

/// What a value is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// 0 for the process of the event, 1 for its parent, and so on.
    pub(crate) level: usize,
    /// Name of the field, for processes as the process of the event has it.
    pub(crate) name: String,
}

impl EventSpec {
    /// What is given for this field of the event or of its process.
    pub(crate) fn get(&self, name: &str) -> Option<&Assigned> {
        self.of(0, name)
    }

    /// What is given for this field of a process.
    pub(crate) fn of(&self, level: usize, name: &str) -> Option<&Assigned> {
        self.fields.iter().find(|it| it.key.level == level && it.key.name == name)
    }

    /// What is given for fields whose names begin so, with the rest of each name.
    pub(crate) fn starting<'a>(
        &'a self,
        start: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a Assigned)> {
        let rest = move |it: &'a Assigned| Some((it.key.name.strip_prefix(start)?, it));
        self.fields.iter().filter(|it| it.key.level == 0).filter_map(rest)
    }

    /// Number of processes that are given.
    pub(crate) fn levels(&self) -> usize {
        self.fields.iter().map(|it| it.key.level + 1).max().unwrap_or(1)
    }
}

/// Keys of an event that are not fields.
const OWN: [&str; 1] = ["match"];

/// Reads an event. `None` if it has no form at all; problems are added.
pub(super) fn read(
    node: &Node,
    source: &Arc<Source>,
    problems: &mut Vec<Problem>,
) -> Option<EventSpec> {
    if node.as_map().is_none() {
        let problem = Cause::Form.at(&label(source, node), "an event must be a map of fields");
        problems.push(problem.help("such as `{evt.type: execve, proc.name: sh}`"));
        return None;
    }
    let mut flat = Flat { source, problems, fields: Vec::new() };
    flat.map(node, "", 0);
    let fields = flat.fields;
    if fields.len() > RULE_TEST_PARTS.get() {
        RULE_TEST_PARTS.reach();
        let message = format!("an event has more than {RULE_TEST_PARTS} fields");
        problems.push(Cause::Limit.at(&label(source, node), message));
        return None;
    }
    let matched = node.get("match").and_then(|node| match node.as_bool() {
        Some(matched) => Some(matched),
        None => {
            let message = "`match` of an event must be true or false";
            problems.push(Cause::Form.at(&label(source, node), message));
            None
        }
    });
    Some(EventSpec { label: label(source, node), fields, matched })
}

/// What one open file of a process refers to: a map of the fields of an fd, without `fd.`.
pub(crate) fn open_file(node: &Node, label: &Label, problems: &mut Vec<Problem>) -> EventSpec {
    let mut flat = Flat { source: &label.source, problems, fields: Vec::new() };
    flat.map(node, "fd", 0);
    EventSpec { label: label.clone(), fields: flat.fields, matched: None }
}

struct Flat<'a> {
    source: &'a Arc<Source>,
    problems: &'a mut Vec<Problem>,
    fields: Vec<Assigned>,
}

impl Flat<'_> {
    fn map(&mut self, node: &Node, prefix: &str, level: usize) {
        for (key, value) in node.entries() {
            let Some(name) = key.as_str() else {
                let problem = Cause::Form.at(&label(self.source, key), "a field must be a word");
                self.problems.push(problem);
                continue;
            };
            if prefix.is_empty() && OWN.contains(&name) {
                continue;
            }
            let name = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
            self.entry(key, &name, value, level);
        }
    }

    fn entry(&mut self, key: &Node, name: &str, value: &Node, level: usize) {
        match (name, &value.value) {
            // A chain as long as this is no machine's; the depth of YAML is bounded too.
            _ if level > RULE_TEST_PARTS.get() => {}
            ("proc.parent", Value::Map(_)) => self.map(value, "proc", level + 1),
            ("proc.ancestors", Value::Seq(ancestors)) => {
                for (level, ancestor) in (level + 1..).zip(ancestors) {
                    if ancestor.as_map().is_none() {
                        let at = label(self.source, ancestor);
                        self.problems.push(Cause::Form.at(&at, "an ancestor must be a map"));
                    }
                    self.map(ancestor, "proc", level);
                }
            }
            ("proc.env" | "proc.fds" | "users", _) => self.assign(key, name, value, level),
            ("container.labels" | "container.label", Value::Map(_)) => {
                self.labels(value, "container.label", level);
            }
            ("k8s.pod.labels" | "k8s.pod.label", Value::Map(_)) => {
                self.labels(value, "k8s.pod.label", level);
            }
            ("evt.args" | "evt.rawarg", Value::Map(_)) => self.map(value, "evt.arg", level),
            (_, Value::Map(_)) if !is_value(name, value) => self.map(value, name, level),
            _ => self.assign(key, name, value, level),
        }
    }

    /// Labels, each as a field with the label's name in brackets.
    fn labels(&mut self, node: &Node, name: &str, level: usize) {
        for (key, value) in node.entries() {
            let name = format!("{name}[{}]", key.as_str().unwrap_or_default());
            self.assign(key, &name, value, level);
        }
    }

    fn assign(&mut self, key: &Node, name: &str, value: &Node, level: usize) {
        let (key_of, field) = resolve(name, level);
        let given = Assigned {
            key: key_of,
            field,
            value: value.clone(),
            name_label: label(self.source, key),
            label: label(self.source, if value.is_null() { key } else { value }),
        };
        if self.fields.iter().any(|it| it.key == given.key) {
            let message = format!("`{name}` is given twice");
            let problem = Cause::Contradiction.at(&given.name_label, message);
            self.problems.push(problem.help("keep one of them"));
            return;
        }
        self.fields.push(given);
    }
}

/// Whether a map is a value and not a group of fields: bytes in hexadecimal, or what a parameter
/// of several types has.
fn is_value(name: &str, value: &Node) -> bool {
    let param = name.starts_with("evt.arg.") || name.starts_with("evt.rawarg.");
    let hex = value.entries().len() == 1 && value.get("hex").is_some();
    hex || param && value.get("alternative").is_some()
}

/// Fields of ancestors, as the table names them, and of a process itself.
const OF_ANCESTORS: [(&str, &str); 7] = [
    ("proc.aname", "proc.name"),
    ("proc.aexe", "proc.exe"),
    ("proc.aexepath", "proc.exepath"),
    ("proc.acmdline", "proc.cmdline"),
    ("proc.aargs", "proc.args"),
    ("proc.apid", "proc.pid"),
    ("proc.aenv", "proc.env"),
];

/// Fields of the parent, as the table names them, and of a process itself.
const OF_PARENT: [(&str, &str); 8] = [
    ("proc.pname", "proc.name"),
    ("proc.pexe", "proc.exe"),
    ("proc.pexepath", "proc.exepath"),
    ("proc.pcmdline", "proc.cmdline"),
    ("proc.ppid", "proc.pid"),
    ("proc.pvpid", "proc.vpid"),
    ("proc.ppid.duration", "proc.duration"),
    ("proc.ppid.ts", "proc.pid.ts"),
];

/// What a name refers to, and the field that has its value afterwards.
fn resolve(name: &str, level: usize) -> (Key, Option<String>) {
    let key = |level, name: &str| Key { level, name: name.to_owned() };
    if let Some((_, own)) = OF_PARENT.iter().find(|(of_parent, _)| *of_parent == name) {
        let field = if level == 0 { Some(name.to_owned()) } else { of_ancestor(own, level + 1) };
        return (key(level + 1, own), field);
    }
    for (start, own) in OF_ANCESTORS {
        let number = name.strip_prefix(start).and_then(|rest| rest.strip_prefix('['));
        let number = number.and_then(|rest| rest.strip_suffix(']')?.parse::<usize>().ok());
        if let Some(steps) = number.filter(|steps| *steps <= RULE_TEST_PARTS.get()) {
            let level = level + steps;
            return (key(level, own), of_ancestor(own, level));
        }
    }
    if let Some(param) = name.strip_prefix("evt.rawarg.") {
        return (key(level, &format!("evt.arg.{param}")), None);
    }
    if level > 0 {
        return (key(level, name), of_ancestor(name, level));
    }
    (key(level, name), Some(name.to_owned()))
}

/// The field for an ancestor's value of this field.
fn of_ancestor(own: &str, level: usize) -> Option<String> {
    if level == 0 {
        return Some(own.to_owned());
    }
    // `proc.aenv[N]` means something else with a name than with a number.
    let (start, _) = OF_ANCESTORS.iter().find(|(_, name)| *name == own && own != "proc.env")?;
    Some(format!("{start}[{level}]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> (EventSpec, Vec<Problem>) {
        let source = Arc::new(Source::new("t", text));
        let node = peregrine_yaml::parse(text).unwrap().remove(0);
        let mut problems = Vec::new();
        (read(&node, &source, &mut problems).unwrap(), problems)
    }

    #[test]
    fn nested_maps_and_dotted_names_mean_the_same() {
        let nested = "{evt: {type: execve, arg: {flags: 1}}, proc: {name: a, parent: {name: b, parent: {cwd: /}}}}";
        let dotted = "{evt.type: execve, evt.arg.flags: 1, proc.name: a, \"proc.aname[1]\": b, proc: {ancestors: [{}, {cwd: /}]}}";
        let of = |text| {
            let (spec, problems) = spec(text);
            assert_eq!(problems, []);
            let mut fields: Vec<_> =
                spec.fields.into_iter().map(|it| (it.key.level, it.key.name, it.field)).collect();
            fields.sort();
            fields
        };
        assert_eq!(of(nested), of(dotted));
        assert_eq!(of(nested).len(), 5);
    }

    #[test]
    fn a_field_given_twice_is_a_contradiction() {
        let (_, problems) = spec("{proc.pname: a, proc: {parent: {name: b}}}");
        assert_eq!(problems[0].code, "T0104");
    }
}
