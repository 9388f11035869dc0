//! A condition with the values that it had for an event.

use peregrine_diagnostics::Label;
use peregrine_fields::View;
use serde_json::{Value as Json, json};

use super::trace::Trace;
use super::tree::{ConditionTree, Node, NodeKind};
use super::value::operand_text;

/// A condition with the value of each part for one event. It owns all that it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Whether the condition holds.
    pub holds: bool,
    /// The condition.
    pub root: Part,
    /// Where the lists are defined, and appended to, that it names.
    pub lists: Vec<(String, Vec<Place>)>,
}

/// A part of a condition with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it is.
    pub kind: PartKind,
    /// How it is written, in one line.
    pub text: String,
    /// Its value; `None` where evaluating it would have changed what later events see.
    pub value: Option<bool>,
    /// Whether the engine evaluates it: it stops at the first part that decides.
    pub reached: bool,
    /// Whether it is the part that decided first.
    pub decisive: bool,
    /// The exception of the rule that it belongs to.
    pub exception: Option<String>,
    /// Where it is written.
    pub place: Option<Place>,
    /// The values it compared.
    pub readings: Vec<Reading>,
    /// Its parts.
    pub parts: Vec<Part>,
}

/// What a part of a condition is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartKind {
    /// True when all of its parts are.
    All,
    /// True when any of its parts is.
    Any,
    /// True when its only part is false.
    Not,
    /// A macro, and where it is defined.
    Macro(String, Option<Place>),
    /// A test of one value.
    Test,
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Name of the file.
    pub file: String,
    /// Line, counted from 1.
    pub line: usize,
}

/// What an operand of a test was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The operand as it is written.
    pub operand: String,
    /// Its value, printable; `None` when it had none.
    pub value: Option<String>,
}

impl Place {
    /// The line where a label begins.
    #[must_use]
    pub fn of(label: &Label) -> Self {
        Self { file: label.source.name.clone(), line: label.span.start.line + 1 }
    }

    /// A place in this file is a line of it.
    pub(super) fn seen_from(&self, file: Option<&str>) -> String {
        if file == Some(&*self.file) { format!("line {}", self.line) } else { self.to_string() }
    }

    pub(super) fn to_json(&self) -> Json {
        json!({ "file": self.file, "line": self.line })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

impl Explanation {
    /// What a trace says about the event of a view.
    #[must_use]
    pub fn new(tree: &ConditionTree, trace: &Trace, view: &View<'_>) -> Self {
        let maker = Maker { tree, trace, view, decisive: trace.decisive(tree) };
        let places = |labels: &[Label]| labels.iter().map(Place::of).collect();
        let lists = tree.lists().map(|(name, labels)| (name.to_owned(), places(labels)));
        Self { holds: trace.holds(), root: maker.part(0), lists: lists.collect() }
    }

    /// The part that decided first.
    #[must_use]
    pub fn decisive(&self) -> &Part {
        self.root.find_decisive().unwrap_or(&self.root)
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let places = |places: &[Place]| {
            let (defined, appended) = places.split_first()?;
            let mut json = defined.to_json();
            if let (Some(json), false) = (json.as_object_mut(), appended.is_empty()) {
                let appended = appended.iter().map(Place::to_json);
                json.insert("appended".to_owned(), appended.collect());
            }
            Some(json)
        };
        let lists = self.lists.iter();
        let lists = lists.filter_map(|(name, of_list)| Some((name.clone(), places(of_list)?)));
        let decisive = self.decisive();
        json!({
            "matches": self.holds,
            "decided_by": {
                "condition": decisive.text,
                "value": decisive.value,
                "place": decisive.place.as_ref().map(Place::to_json),
            },
            "condition": self.root.to_json(),
            "lists": lists.collect::<serde_json::Map<_, _>>(),
        })
    }
}

impl Part {
    fn find_decisive(&self) -> Option<&Self> {
        if self.decisive { Some(self) } else { self.parts.iter().find_map(Self::find_decisive) }
    }

    pub(super) fn to_json(&self) -> Json {
        let mut json = json!({
            "text": self.text,
            "value": self.value,
            "evaluated": self.reached,
            "decided": self.decisive,
        });
        let Some(object) = json.as_object_mut() else { return json };
        let mut put = |key: &str, value: Json| object.insert(key.to_owned(), value);
        match &self.kind {
            PartKind::All => put("kind", "and".into()),
            PartKind::Any => put("kind", "or".into()),
            PartKind::Not => put("kind", "not".into()),
            PartKind::Test => put("kind", "test".into()),
            PartKind::Macro(name, place) => {
                put("macro", name.as_str().into());
                put("defined", place.as_ref().map(Place::to_json).into());
                put("kind", "macro".into())
            }
        };
        put("place", self.place.as_ref().map(Place::to_json).into());
        if let Some(exception) = &self.exception {
            put("exception", exception.as_str().into());
        }
        if !self.readings.is_empty() {
            let values = self.readings.iter();
            let values =
                values.map(|reading| json!({ "operand": reading.operand, "value": reading.value }));
            put("values", values.collect());
        }
        if !self.parts.is_empty() {
            put("parts", self.parts.iter().map(Self::to_json).collect());
        }
        json
    }
}

struct Maker<'m> {
    tree: &'m ConditionTree,
    trace: &'m Trace,
    view: &'m View<'m>,
    decisive: usize,
}

impl Maker<'_> {
    fn part(&self, index: usize) -> Part {
        let Some(node) = self.tree.node(index) else { return Part::none() };
        let kind = match &node.kind {
            NodeKind::All => PartKind::All,
            NodeKind::Any => PartKind::Any,
            NodeKind::Not => PartKind::Not,
            NodeKind::Test(_) => PartKind::Test,
            NodeKind::Macro(name) => {
                PartKind::Macro(name.clone(), self.tree.place_of_macro(name).map(Place::of))
            }
        };
        Part {
            kind,
            text: node.text(),
            value: self.trace.value(index),
            reached: self.trace.is_reached(index),
            decisive: index == self.decisive,
            exception: node.exception().map(str::to_owned),
            place: node.place().as_ref().map(Place::of),
            readings: self.readings(index, node),
            parts: node.children.iter().map(|part| self.part(*part)).collect(),
        }
    }

    fn readings(&self, index: usize, node: &Node) -> Vec<Reading> {
        // Reading a field that measures from the read before would change what later events see.
        let Some(test) = node.test().filter(|test| test.is_pure(self.view)) else {
            return Vec::new();
        };
        if self.trace.value(index).is_none() {
            return Vec::new();
        }
        let left = (Some(&test.left), Some(test.check.left()));
        let right = (test.right.as_ref(), test.check.right());
        let read = |(text, operand): (Option<&String>, Option<_>)| {
            let (text, operand) = (text?.clone(), operand?);
            Some(Reading { operand: text, value: operand_text(operand, self.view) })
        };
        [left, right].into_iter().filter_map(read).collect()
    }
}

impl Part {
    fn none() -> Self {
        Self {
            kind: PartKind::All,
            text: String::new(),
            value: None,
            reached: false,
            decisive: false,
            exception: None,
            place: None,
            readings: Vec::new(),
            parts: Vec::new(),
        }
    }
}
