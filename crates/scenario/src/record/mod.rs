//! Turns an event of a capture into a test that passes.
//!
//! The test has what rules can see of the event: its parameters, the process with its ancestors,
//! user, container and fd. Values that few rules use (environment, inodes, times, capabilities) are
//! written only if a rule of the test names their field.

mod files;
mod process;
mod yaml;

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use peregrine_alert::{Alert, Value};
use peregrine_engine::{Engine, Match, MatchAlert, Observer};
use peregrine_event::{Abi, Event, EventType, ParamType};
use peregrine_fields::{Field, View};
use peregrine_filter::{Filter, Supplier, Value as FieldValue, Vocabulary};
use peregrine_scap::{Reader, ScapError};
use peregrine_state::State;
use thiserror::Error;

use crate::{Suite, world};
use peregrine_params::{Shown, print, text};
use process::Person;
use yaml::{map, put};

/// Which event becomes a test.
pub enum Wanted {
    /// The one with this number.
    Number(u64),
    /// The first for which a condition holds.
    Condition(String),
    /// The first that matches the rule, or any rule.
    Matching,
}

/// Why there is no test.
#[derive(Debug, Error)]
pub enum RecordError {
    /// The capture can't be opened.
    #[error("cannot open the capture: {0}")]
    Open(#[from] io::Error),
    /// The capture can't be read.
    #[error("cannot read the capture: {0}")]
    Read(#[from] ScapError),
    /// The capture has no such event.
    #[error("the capture has no such event; its last one is {0}")]
    NoEvent(u64),
    /// The condition is not valid.
    #[error("the condition is not valid: {0}")]
    Condition(String),
    /// No rule has this name.
    #[error("there is no rule `{0}`")]
    NoRule(String),
}

/// The text of a test for one event of a capture. The test is about the rule, or about all rules
/// that match the event.
///
/// # Errors
/// When the capture can't be read, or has no such event.
pub fn record(
    suite: &Suite,
    capture: &Path,
    wanted: &Wanted,
    rule: Option<&str>,
) -> Result<String, RecordError> {
    let position = match rule {
        Some(name) => {
            Some(suite.position(name).ok_or_else(|| RecordError::NoRule(name.to_owned()))?)
        }
        None => None,
    };
    let number = match wanted {
        Wanted::Number(number) => *number,
        wanted => {
            let condition = match wanted {
                Wanted::Condition(text) => match suite.pick(text) {
                    Some(Ok(filter)) => Some(filter),
                    Some(Err(error)) => return Err(RecordError::Condition(error.clone())),
                    None => return Err(RecordError::Condition(text.clone())),
                },
                _ => None,
            };
            let mut find = Find { condition, rule: position, found: None, last: 0 };
            engine(suite).run(&mut Reader::new(File::open(capture)?), &mut find, &mut ())?;
            find.found.ok_or(RecordError::NoEvent(find.last))?
        }
    };
    let mut recorder = Recorder {
        suite,
        number,
        rule: position,
        last: 0,
        before: None,
        recorded: None,
        matched: Vec::new(),
    };
    engine(suite).run(&mut Reader::new(File::open(capture)?), &mut recorder, &mut ())?;
    let last = recorder.last;
    let name = capture.file_name().unwrap_or_default().to_string_lossy().into_owned();
    recorder.test(&name).ok_or(RecordError::NoEvent(last))
}

fn engine(suite: &Suite) -> Engine {
    Engine::new(Arc::clone(&suite.generation), suite.state.clone())
}

/// Finds an event.
struct Find<'s> {
    /// The condition that must hold; without one, a rule must match.
    condition: Option<&'s Filter<Field>>,
    rule: Option<usize>,
    found: Option<u64>,
    last: u64,
}

impl Observer for Find<'_> {
    const EVERY_VIEW: bool = true;

    fn event(&mut self, event: &Event<'_>) -> ControlFlow<()> {
        self.last = event.num;
        if self.found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn evaluating(&mut self, view: &View<'_>) {
        if self.condition.is_some_and(|filter| filter.matches(view)) {
            self.found.get_or_insert(view.event().num);
        }
    }

    fn matched(&mut self, matched: &Match<'_>) {
        let of_rule = self.rule.is_none_or(|rule| rule == matched.index);
        if self.condition.is_none() && of_rule {
            self.found.get_or_insert(matched.event.num);
        }
    }
}

/// Writes down an event.
struct Recorder<'s> {
    suite: &'s Suite,
    number: u64,
    rule: Option<usize>,
    last: u64,
    /// The state before the event.
    before: Option<State>,
    /// What the event is, in parts of the test.
    recorded: Option<Recorded>,
    /// Rules that matched the event.
    matched: Vec<(usize, Option<Alert>)>,
}

struct Recorded {
    given: Vec<(String, Shown)>,
}

impl Observer for Recorder<'_> {
    const EVERY_VIEW: bool = true;

    fn arrived(&mut self, event: &Event<'_>, state_only: bool, state: &State) {
        if event.num == self.number && !state_only {
            self.before = Some(state.clone());
        }
    }

    fn event(&mut self, event: &Event<'_>) -> ControlFlow<()> {
        self.last = event.num;
        if event.num > self.number { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn evaluating(&mut self, view: &View<'_>) {
        if view.event().num == self.number
            && let Some(before) = &self.before
        {
            // The rules that match are known only later, so all that any rule names is written.
            let named = self.named();
            let given = Given { view, before, named: &named, suite: self.suite };
            self.recorded = Some(Recorded { given: given.parts() });
        }
    }

    fn matched(&mut self, matched: &Match<'_>) {
        if matched.event.num != self.number {
            return;
        }
        let alert = match matched.alert() {
            Some(MatchAlert::Complete(alert)) => Some(alert),
            Some(MatchAlert::Pending(alert)) => alert.complete(matched.view.state()),
            None => None,
        };
        self.matched.push((matched.index, alert));
    }
}

impl Recorder<'_> {
    /// Names of the fields of the rule, or of all rules that the event can match.
    fn named(&self) -> BTreeSet<String> {
        let rules = &self.suite.generation.rules().rules;
        let mut names = BTreeSet::new();
        for (position, rule) in rules.iter().enumerate() {
            if self.rule.is_some_and(|wanted| wanted != position) || !rule.active {
                continue;
            }
            let fields = rule.condition.fields().into_iter();
            names.extend(fields.flat_map(|field| [field.name.clone(), field.text()]));
            let fields = rule.template.fields().iter().map(peregrine_filter::OutputField::name);
            let base = |name: &str| name.split('[').next().unwrap_or(name).to_owned();
            names.extend(fields.flat_map(|name| [name.to_owned(), base(name)]));
        }
        names
    }

    /// The text of the test.
    fn test(mut self, capture: &str) -> Option<String> {
        let recorded = self.recorded.take()?;
        if let Some(rule) = self.rule {
            self.matched.retain(|(matched, _)| *matched == rule);
        }
        let names: Vec<_> = match self.rule {
            Some(rule) => vec![self.suite.name(rule)],
            None => self.matched.iter().map(|(rule, _)| self.suite.name(*rule)).collect(),
        };
        let mut test = Vec::new();
        let title = format!("event {} of {capture}", self.number);
        put(&mut test, "test", Shown::Text(title));
        let name = |name: &&str| Shown::Text((*name).to_owned());
        put(
            &mut test,
            "rules",
            match names.as_slice() {
                [one] => name(one),
                names => Shown::List(names.iter().map(name).collect()),
            },
        );
        put(&mut test, "given", Shown::Map(recorded.given));
        put(&mut test, "match", Shown::plain(!self.matched.is_empty()));
        // Rules have fields of their own, so those of one rule only are written.
        if let [(_, Some(alert))] = self.matched.as_slice() {
            let fields = alert.fields().filter(|(name, _)| !changes_with_time(name));
            let fields: Vec<_> =
                fields.map(|(name, value)| (name.to_owned(), shown(value))).collect();
            put(&mut test, "output_fields", Shown::Map(fields));
        }
        Some(yaml::item(&test))
    }
}

/// Whether a field is about the place of an event among others, which a test does not have.
fn changes_with_time(field: &str) -> bool {
    [
        "evt.time",
        "evt.rawtime",
        "evt.datetime",
        "evt.num",
        "evt.reltime",
        "evt.deltatime",
        "evt.outputtime",
    ]
    .iter()
    .any(|start| field.starts_with(start))
}

fn shown(value: Value<'_>) -> Shown {
    match value {
        Value::Null => Shown::Null,
        Value::Text(bytes) => Shown::Text(String::from_utf8_lossy(bytes).into_owned()),
        Value::Bool(value) => Shown::plain(value),
        Value::Int(value) => Shown::plain(value),
        Value::Uint(value) => Shown::plain(value),
        other => crate::expect::text(other).map_or(Shown::Null, Shown::Text),
    }
}

/// The event that is written down.
struct Given<'a> {
    view: &'a View<'a>,
    before: &'a State,
    /// Fields that rules name.
    named: &'a BTreeSet<String>,
    suite: &'a Suite,
}

impl Given<'_> {
    fn parts(&self) -> Vec<(String, Shown)> {
        let event = self.view.event();
        let starts = world::starts_process(event.ty);
        let succeeded = event.i64(0).is_none_or(|result| result >= 0);
        let born = starts && event.i64(0) == Some(0) && !world::is_exec(event.ty);
        // The end of an exec reports the new program, and a clone in the child is its first event.
        let state = match (world::is_exec(event.ty) && succeeded) || born {
            true => self.view.state(),
            false => self.before,
        };
        let person = Person { state, tid: event.tid, named: self.named };
        let mut parts = Vec::new();
        put(&mut parts, "evt", map(self.event()));
        parts.extend(person.parts());
        let users = self.users();
        if !users.is_empty() {
            put(&mut parts, "users", map(users));
        }
        files::put(&mut parts, self.before, self.view, self.named);
        parts
    }

    fn event(&self) -> Vec<(String, Shown)> {
        let event = self.view.event();
        let mut parts = Vec::new();
        let name = self.suite.fields.resolve("evt.type").ok();
        let name = name.and_then(|resolved| match self.view.value(&resolved.field) {
            Some(FieldValue::Text(name)) => Some(text(name)),
            _ => None,
        });
        put(&mut parts, "type", name.unwrap_or_else(|| Shown::Text(event.ty.name().to_owned())));
        if event.abi != Abi::Native {
            put(&mut parts, "abi", Shown::Text(event.abi.name().to_owned()));
        }
        if self.named.contains("evt.cpu") {
            put(&mut parts, "cpu", Shown::plain(event.cpu));
        }
        let timed = [
            "proc.duration",
            "proc.ppid.duration",
            "container.duration",
            "evt.rawtime",
            "evt.time",
        ];
        if timed.iter().any(|name| self.named.contains(*name)) {
            put(&mut parts, "rawtime", Shown::plain(event.ts));
        }
        let args = self.arguments();
        if !args.is_empty() {
            put(&mut parts, "arg", Shown::Map(args));
        }
        parts
    }

    /// Users that parameters name, by name.
    fn users(&self) -> Vec<(String, Shown)> {
        let event = self.view.event();
        let Some(thread) = self.before.by_tid(event.tid) else { return Vec::new() };
        let params = event.ty.info().params.iter().enumerate();
        let ids = params.filter(|(_, info)| info.ty == ParamType::Uid);
        let ids: BTreeSet<_> = ids.filter_map(|(index, _)| event.u32(index)).collect();
        let known = ids.into_iter().filter(|id| *id != thread.uid && *id != 0);
        let known = known.filter_map(|id| {
            let user = self.before.user(thread, id)?;
            Some((String::from_utf8_lossy(user.name).into_owned(), Shown::plain(id)))
        });
        known.collect()
    }

    /// The parameters that do not follow from the rest of the test.
    fn arguments(&self) -> Vec<(String, Shown)> {
        let event = self.view.event();
        // Of syscalls without an event of their own, those that say which one it is follow.
        let generic = event.ty == EventType::GenericX;
        let follow = if generic { event.ty.info().format_params.into() } else { 0 };
        let sent = if generic { event.nparams() } else { usize::MAX };
        let params = event.ty.info().params.iter().enumerate().take(sent).skip(follow);
        let params = params.filter_map(|(index, info)| {
            let follows = world::starts_process(event.ty) && world::is_of_process(info, event.ty);
            let names = ["evt.arg", "evt.rawarg"].map(|start| format!("{start}.{}", info.name));
            // Old captures lack some of what follows from the process.
            let named = names.iter().any(|name| self.named.contains(name));
            let lacking = named && event.param(index).is_none_or(<[u8]>::is_empty);
            let bytes = event.param(index).unwrap_or_default();
            (!follows || lacking).then(|| (info.name.to_owned(), print(info, bytes)))
        });
        params.collect()
    }
}
