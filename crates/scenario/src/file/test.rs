//! The keys of a test.

use std::sync::Arc;

use peregrine_diagnostics::{Label, Problem, Source, closest};
use peregrine_limits::RULE_TEST_PARTS;
use peregrine_yaml::Node;

use super::event::{self, EventSpec};
use super::place::label;
use crate::Cause;

/// A test, or what is wrong with it.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name, with the values of `for_each`.
    pub name: String,
    /// Where it stands.
    pub label: Label,
    /// The test.
    pub test: Result<Test, Invalid>,
}

/// A test that can't be run, as far as it can be read: what else is wrong with it is told too.
#[derive(Clone, Debug, Default)]
pub struct Invalid {
    /// What is wrong with its form.
    pub problems: Vec<Problem>,
    /// Its rules.
    pub(crate) rules: Vec<Named>,
    /// Its events.
    pub(crate) events: Vec<EventSpec>,
}

/// One test of one or several rules.
#[derive(Clone, Debug)]
pub struct Test {
    /// The rules, by name.
    pub rules: Vec<Named>,
    /// What happens.
    pub given: Given,
    /// What must follow.
    pub expected: Expected,
}

/// A name and its place.
#[derive(Clone, Debug)]
pub struct Named {
    /// The name.
    pub name: String,
    /// Its place.
    pub label: Label,
}

/// The events of a test.
#[derive(Clone, Debug)]
pub enum Given {
    /// Events in the words of the field table, one after the other.
    Events(Vec<EventSpec>),
    /// Events of a capture.
    Capture(RecordedEvents),
}

/// Events of a capture.
#[derive(Clone, Debug)]
pub struct RecordedEvents {
    /// The capture file, as the test names it.
    pub(crate) file: Named,
    /// Which of its events the rules must match or not.
    pub(crate) pick: Pick,
}

/// Some of the events of a capture.
#[derive(Clone, Debug)]
pub(crate) enum Pick {
    All,
    Number(u64, Label),
    /// Those for which a condition holds.
    Condition(Named),
}

/// What must follow from the events.
#[derive(Clone, Debug)]
pub struct Expected {
    /// On how many of the events each rule must match.
    pub count: Count,
    /// A text that the output must contain.
    pub output: Option<String>,
    /// Output fields with their values; `None` for no value.
    pub output_fields: Vec<(Named, Option<String>)>,
    /// All other rules that match, by name; unless this is given, any may.
    pub others: Option<Vec<Named>>,
}

/// On how many events a rule matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// On one or more.
    Some,
    /// On none.
    None,
    /// On this many.
    Exactly(u64),
    /// Each event of the test tells for itself.
    Told,
}

impl Test {
    /// The condition by which it picks events of a capture.
    pub(crate) fn picks_by(&self) -> Option<&str> {
        match &self.given {
            Given::Capture(RecordedEvents { pick: Pick::Condition(condition), .. }) => {
                Some(&condition.name)
            }
            _ => None,
        }
    }
}

/// The keys of a test with what they mean.
const KEYS: [&str; 9] = [
    "test",
    "rules",
    "given",
    "match",
    "output",
    "output_fields",
    "other_rules",
    "for_each",
    "desc",
];

/// Reads a test whose variables are filled in.
pub(super) fn read(item: &Node, source: &Arc<Source>) -> Result<Test, Invalid> {
    let mut problems = Vec::new();
    let mut reader = Reader { source, problems: &mut problems, item };
    reader.check_keys();
    let rules = reader.rules();
    let given = reader.given();
    let expected = reader.expected(given.as_ref());
    match (rules, given, expected) {
        (Some(rules), Some(given), Some(expected)) if problems.is_empty() => {
            Ok(Test { rules, given, expected })
        }
        (rules, given, _) => {
            let events = match given {
                Some(Given::Events(events)) => events,
                _ => Vec::new(),
            };
            Err(Invalid { problems, rules: rules.unwrap_or_default(), events })
        }
    }
}

struct Reader<'a> {
    source: &'a Arc<Source>,
    problems: &'a mut Vec<Problem>,
    item: &'a Node,
}

impl Reader<'_> {
    fn at(&self, node: &Node) -> Label {
        label(self.source, node)
    }

    fn form(&mut self, node: &Node, message: &str) {
        let problem = Cause::Form.at(&self.at(node), message);
        self.problems.push(problem);
    }

    fn check_keys(&mut self) {
        if let Some(name) = self.item.get("test")
            && name.as_str().is_none_or(str::is_empty)
        {
            self.form(self.item, "a test must have a name, which is a text");
        }
        for (key, _) in self.item.entries() {
            let name = key.as_str().unwrap_or_default();
            if name == "rule" {
                let problem = Cause::RuleKey
                    .at(&self.at(key), "a test names its rules under `rules`, not under `rule`")
                    .help("write `rules:`; Falco would take an item with `rule` for a rule");
                self.problems.push(problem);
            } else if !KEYS.contains(&name) {
                let problem =
                    Cause::UnknownKey.at(&self.at(key), format!("a test has no key `{name}`"));
                let help = match closest(name, KEYS.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("its keys are: {}", KEYS.join(", ")),
                };
                self.problems.push(problem.help(help));
            }
        }
    }

    fn missing(&mut self, key: &str, help: &str) {
        let at = self.item.as_map().and_then(|map| map.entry("test")).map_or(self.item, |it| &it.0);
        let problem = Cause::MissingKey.at(&self.at(at), format!("the test has no `{key}`"));
        self.problems.push(problem.help(help));
    }

    fn rules(&mut self) -> Option<Vec<Named>> {
        match self.item.get("rules") {
            Some(node) => {
                self.names(node, "`rules` must be the name of a rule, or a list of names")
            }
            None if self.item.get("rule").is_some() => None,
            None => {
                self.missing("rules", "add `rules: NAME`, or a list of names");
                None
            }
        }
    }

    /// One name or several.
    fn names(&mut self, node: &Node, form: &str) -> Option<Vec<Named>> {
        let named = |node: &Node| {
            let name = node.as_str().filter(|name| !name.is_empty())?.to_owned();
            Some(Named { name, label: self.at(node) })
        };
        let names: Option<Vec<_>> = match node.as_seq() {
            Some(items) => items.iter().map(named).collect(),
            None => named(node).map(|name| vec![name]),
        };
        if names.is_none() {
            self.form(node, form);
        }
        names
    }

    fn given(&mut self) -> Option<Given> {
        let Some(given) = self.item.get("given") else {
            self.missing(
                "given",
                "add `given:` with an event, such as `{evt.type: execve, proc.name: sh}`",
            );
            return None;
        };
        if let Some(capture) = given.get("capture") {
            return self.recorded(given, capture).map(Given::Capture);
        }
        let events = match given.as_seq() {
            Some(items) => items,
            None => std::slice::from_ref(given),
        };
        if events.is_empty() || events.len() > RULE_TEST_PARTS.get() {
            RULE_TEST_PARTS.reach();
            let message = format!("a test must have from 1 to {RULE_TEST_PARTS} events");
            let problem = Cause::Limit.at(&self.at(given), message);
            self.problems.push(problem);
            return None;
        }
        let read = |event| event::read(event, self.source, self.problems);
        let events: Vec<_> = events.iter().map(read).collect();
        events.into_iter().collect::<Option<_>>().map(Given::Events)
    }

    fn recorded(&mut self, given: &Node, capture: &Node) -> Option<RecordedEvents> {
        for (key, _) in given.entries() {
            let name = key.as_str().unwrap_or_default();
            if !["capture", "event", "condition"].contains(&name) {
                let message = format!("events of a capture can't be changed: there is no `{name}`");
                let problem = Cause::UnknownKey.at(&self.at(key), message);
                self.problems.push(problem.help("the keys are: capture, event, condition"));
            }
        }
        let Some(name) = capture.as_str() else {
            self.form(capture, "`capture` must be the name of a file");
            return None;
        };
        let file = Named { name: name.to_owned(), label: self.at(capture) };
        let pick = match (given.get("event"), given.get("condition")) {
            (None, None) => Pick::All,
            (Some(number), None) => match number.as_u64() {
                Some(event) => Pick::Number(event, self.at(number)),
                None => {
                    self.form(number, "`event` must be the number of an event (evt.num)");
                    return None;
                }
            },
            (None, Some(condition)) => match condition.as_str() {
                Some(text) => {
                    Pick::Condition(Named { name: text.to_owned(), label: self.at(condition) })
                }
                None => {
                    self.form(condition, "`condition` must be a condition");
                    return None;
                }
            },
            (Some(_), Some(condition)) => {
                let message = "`event` and `condition` can't be used together";
                let problem = Cause::Contradiction.at(&self.at(condition), message);
                self.problems.push(problem);
                return None;
            }
        };
        Some(RecordedEvents { file, pick })
    }

    fn expected(&mut self, given: Option<&Given>) -> Option<Expected> {
        let told = match given {
            Some(Given::Events(events)) => events.iter().any(|event| event.matched.is_some()),
            _ => false,
        };
        let count = match self.item.get("match") {
            None if told => Count::Told,
            None if given.is_none() => return None,
            None => {
                self.missing("match", "add `match: true` or `match: false`");
                return None;
            }
            Some(node) => match (node.as_bool(), node.as_u64()) {
                (Some(true), _) => Count::Some,
                (Some(false), _) | (None, Some(0)) => Count::None,
                (None, Some(count)) => Count::Exactly(count),
                (None, None) => {
                    self.form(node, "`match` must be true, false or how many events match");
                    return None;
                }
            },
        };
        let output = self.item.get("output").and_then(|node| match node.as_str() {
            Some(text) => Some(text.to_owned()),
            None => {
                self.form(node, "`output` must be a text that the output contains");
                None
            }
        });
        let output_fields = self.output_fields();
        for key in ["output", "output_fields"] {
            if let (Count::None, Some(node)) = (count, self.item.get(key)) {
                let message =
                    format!("there is no output without a match, so `{key}` can't be expected");
                let problem = Cause::Contradiction.at(&self.at(node), message);
                self.problems
                    .push(problem.help(format!("remove `{key}`, or expect `match: true`")));
            }
        }
        let others = self.item.get("other_rules");
        let others = match others {
            Some(node) => Some(self.names(node, "`other_rules` must be a list of names of rules")?),
            None => None,
        };
        Some(Expected { count, output, output_fields, others })
    }

    fn output_fields(&mut self) -> Vec<(Named, Option<String>)> {
        let Some(node) = self.item.get("output_fields") else { return Vec::new() };
        if node.as_map().is_none() {
            self.form(node, "`output_fields` must be a map of fields with their values");
        }
        let mut fields = Vec::new();
        for (key, value) in node.entries() {
            let name = key.as_str().unwrap_or_default().to_owned();
            let named = Named { name, label: self.at(key) };
            match (value.is_null(), value.as_str()) {
                (true, _) => fields.push((named, None)),
                (_, Some(text)) => fields.push((named, Some(text.to_owned()))),
                _ => self
                    .form(value, "an output field must have a text, a number or `~` for no value"),
            }
        }
        fields
    }
}
