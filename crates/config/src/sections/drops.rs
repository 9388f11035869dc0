//! What follows lost events and silence.

use std::num::NonZeroU32;

use peregrine_yaml::Node;
use serde_json::{Value as Json, json};

use crate::declare::{Definitions, IgnoredValue, Row, Setting, section, words};
use crate::issue::ConfigIssue;

section! {
    /// Lost events.
    pub SyscallEventDrops "SyscallEventDrops" extra { "minProperties": 1 } {
        /// Actions after a loss: ignore, log, alert, exit. Empty means ignore.
        actions: DropActions = DropActions::default();
        /// Share of a second's events that must be lost before actions are taken.
        threshold: Share = Share(0.1);
        /// Actions per second in the long run.
        rate: f64 = 0.03333;
        /// Actions that may follow each other before the rate applies.
        max_burst: f64 = 1.0, extra { "type": "integer" };
        /// Behave as if events were lost, to try the actions.
        simulate_drops: bool = false;
    }
}

section! {
    /// Silence.
    pub SyscallEventTimeouts "SyscallEventTimeouts" extra { "minProperties": 1 } {
        /// Consecutive empty polls after which an alert reports that no events arrive.
        max_consecutives: NonZeroU32 = NonZeroU32::MIN.saturating_add(999);
    }
}

/// What follows a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropAction {
    /// Nothing.
    Ignore,
    /// A line in the log.
    Log,
    /// An alert.
    Alert,
    /// The program ends.
    Exit,
}

/// Actions that do not contradict each other. None stand for [`DropAction::Ignore`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DropActions(Vec<DropAction>);

impl DropActions {
    /// The actions, in the order of the file.
    #[must_use]
    pub fn as_slice(&self) -> &[DropAction] {
        &self.0
    }
}

impl Setting for DropActions {
    fn schema(definitions: &mut Definitions) -> Json {
        Vec::<DropAction>::schema(definitions)
    }

    fn read(node: &Node, key: &str) -> Result<Option<Self>, ConfigIssue> {
        let Some(actions) = Vec::<DropAction>::read(node, key)? else { return Ok(None) };
        let after_ignore = actions.iter().skip_while(|action| **action != DropAction::Ignore);
        let contradicts = after_ignore.into_iter().find_map(|action| match action {
            DropAction::Log => Some("log"),
            DropAction::Alert => Some("alert"),
            DropAction::Ignore | DropAction::Exit => None,
        });
        match contradicts {
            Some(action) => Err(ConfigIssue::in_file(format!(
                "syscall event drop action \"{action}\" does not make sense with the \"ignore\" action"
            ))
            .at(node)),
            None => Ok(Some(Self(actions))),
        }
    }

    fn ignored(node: &Node, key: &str, found: &mut Vec<IgnoredValue>) {
        Vec::<DropAction>::ignored(node, key, found);
    }

    fn rows(&self, key: &str, about: &str, rows: &mut Vec<Row>) {
        self.0.rows(key, about, rows);
    }
}

/// A share: 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share(f64);

impl Share {
    /// The number.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl Setting for Share {
    fn schema(definitions: &mut Definitions) -> Json {
        f64::schema(definitions)
    }

    fn read(node: &Node, key: &str) -> Result<Option<Self>, ConfigIssue> {
        let message = "syscall event drops threshold must be a double in the range [0, 1]";
        match f64::read(node, key)? {
            Some(share) if !(0.0..=1.0).contains(&share) => {
                Err(ConfigIssue::in_file(message).at(node))
            }
            share => Ok(share.map(Self)),
        }
    }

    fn rows(&self, key: &str, about: &str, rows: &mut Vec<Row>) {
        self.0.rows(key, about, rows);
    }
}

impl Setting for NonZeroU32 {
    fn schema(definitions: &mut Definitions) -> Json {
        u32::schema(definitions)
    }

    fn read(node: &Node, key: &str) -> Result<Option<Self>, ConfigIssue> {
        let message =
            "the maximum consecutive timeouts without an event must be an unsigned integer > 0";
        match u32::read(node, key)? {
            Some(0) => Err(ConfigIssue::in_file_without_blank(message).at(node)),
            number => Ok(number.and_then(Self::new)),
        }
    }

    fn rows(&self, key: &str, about: &str, rows: &mut Vec<Row>) {
        self.get().rows(key, about, rows);
    }
}

words!(
    DropAction, { "type": "string" }, "ignore",
    { "ignore" => Self::Ignore, "log" => Self::Log, "alert" => Self::Alert, "exit" => Self::Exit },
    str::to_owned,
    |_| ConfigIssue::in_file(
        "available actions for syscall event drops are \"ignore\", \"log\", \"alert\", and \"exit\""
    )
);
