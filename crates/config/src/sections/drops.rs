//! What follows lost events and silence.

use peregrine_telemetry::DropAction;
use peregrine_yaml::Node;
use serde_json::{Value as Json, json};

use crate::declare::{Definitions, Row, Setting, at_key, section, words};
use crate::issue::ConfigIssue;

section! {
    /// Lost events.
    pub SyscallEventDrops "SyscallEventDrops" extra { "minProperties": 1 } check drops {
        /// What follows a loss: ignore, log, alert, exit. Nothing stands for ignore.
        actions: Vec<DropAction> = Vec::new();
        /// Lost share of a second's events above which the actions are taken.
        threshold: f64 = 0.1;
        /// Actions per second in the long run.
        rate: f64 = 0.03333;
        /// Actions at once before the rate applies.
        max_burst: f64 = 1.0, extra { "type": "integer" };
        /// Act as if events were lost, to try the actions.
        simulate_drops: bool = false;
    }
}

section! {
    /// Silence.
    pub SyscallEventTimeouts "SyscallEventTimeouts" extra { "minProperties": 1 } check timeouts {
        /// Empty reads in a row after which an alert says that no events come.
        max_consecutives: u32 = 1000;
    }
}

/// Actions do not contradict each other; the threshold is a share.
fn drops(section: &SyscallEventDrops, node: &Node) -> Result<(), ConfigIssue> {
    let ignored = section.actions.iter().skip_while(|action| **action != DropAction::Ignore);
    let contradicts = ignored.into_iter().find_map(|action| match action {
        DropAction::Log => Some("log"),
        DropAction::Alert => Some("alert"),
        DropAction::Ignore | DropAction::Exit => None,
    });
    if let Some(action) = contradicts {
        let fault = ConfigIssue::in_file(format!(
            "syscall event drop action \"{action}\" does not make sense with the \"ignore\" action"
        ));
        return Err(at_key(fault, node, "actions"));
    }
    if section.threshold < 0.0 || section.threshold > 1.0 {
        let message = "syscall event drops threshold must be a double in the range [0, 1]";
        return Err(at_key(ConfigIssue::in_file(message), node, "threshold"));
    }
    Ok(())
}

/// At least one timeout.
fn timeouts(section: &SyscallEventTimeouts, node: &Node) -> Result<(), ConfigIssue> {
    if section.max_consecutives > 0 {
        return Ok(());
    }
    let message =
        "the maximum consecutive timeouts without an event must be an unsigned integer > 0";
    Err(at_key(ConfigIssue::in_file_without_blank(message), node, "max_consecutives"))
}

words!(
    DropAction, { "type": "string" }, "ignore",
    { "ignore" => Self::Ignore, "log" => Self::Log, "alert" => Self::Alert, "exit" => Self::Exit },
    str::to_owned,
    |_| ConfigIssue::in_file(
        "available actions for syscall event drops are \"ignore\", \"log\", \"alert\", and \"exit\""
    )
);
