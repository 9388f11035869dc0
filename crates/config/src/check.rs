//! What can be said about a section only when all of it is known.

use std::net::{Ipv4Addr, Ipv6Addr};

use peregrine_telemetry::DropAction;
use peregrine_yaml::Node;

use crate::issue::{ConfigCode, ConfigIssue};
use crate::keys::{
    FileOutput, HttpOutput, LibsLogger, ProgramOutput, SyscallEventDrops, SyscallEventTimeouts,
    Webserver,
};

/// A severity that nobody knows is refused only when it would be used.
pub(super) fn libs_logger(section: &LibsLogger, node: &Node) -> Result<(), ConfigIssue> {
    const SEVERITIES: [&str; 8] =
        ["trace", "debug", "info", "notice", "warning", "error", "critical", "fatal"];
    if !section.enabled || SEVERITIES.contains(&section.severity.as_str()) {
        return Ok(());
    }
    let fault = ConfigIssue::new(
        ConfigCode::Value,
        format!("Unknown sinsp log severity {}", section.severity),
    );
    Err(at_key(fault, node, "severity").help(format!("one of {}", SEVERITIES.join(", "))))
}

/// A file has a name.
pub(super) fn file_output(section: &FileOutput, node: &Node) -> Result<(), ConfigIssue> {
    let needed = section.enabled && section.filename.is_empty();
    missing(needed, "file output enabled but no filename in configuration block", node)
}

/// A program has a command.
pub(super) fn program_output(section: &ProgramOutput, node: &Node) -> Result<(), ConfigIssue> {
    let needed = section.enabled && section.program.is_empty();
    missing(needed, "program output enabled but no program in configuration block", node)
}

/// A web server has an address.
pub(super) fn http_output(section: &HttpOutput, node: &Node) -> Result<(), ConfigIssue> {
    let needed = section.enabled && section.url.is_empty();
    missing(needed, "http output enabled but no url in configuration block", node)
}

/// The address is one even where the server is not enabled. Blanks around it and a zone behind it are let through.
pub(super) fn webserver(section: &Webserver, node: &Node) -> Result<(), ConfigIssue> {
    let address = section.listen_address.trim();
    let without_zone = address.split_once('%').map_or(address, |(address, _)| address);
    if address.parse::<Ipv4Addr>().is_ok() || without_zone.parse::<Ipv6Addr>().is_ok() {
        return Ok(());
    }
    let fault = ConfigIssue::in_file(format!(
        "webserver listen address \"{}\" is not a valid IP address",
        section.listen_address
    ));
    let help = "an address such as 0.0.0.0, 127.0.0.1 or ::1, without brackets";
    Err(at_key(fault, node, "listen_address").help(help))
}

/// Actions do not contradict each other; the threshold is a share.
pub(super) fn drops(section: &SyscallEventDrops, node: &Node) -> Result<(), ConfigIssue> {
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
pub(super) fn timeouts(section: &SyscallEventTimeouts, node: &Node) -> Result<(), ConfigIssue> {
    if section.max_consecutives > 0 {
        return Ok(());
    }
    let message =
        "the maximum consecutive timeouts without an event must be an unsigned integer > 0";
    Err(at_key(ConfigIssue::in_file_without_blank(message), node, "max_consecutives"))
}

fn missing(is: bool, message: &str, node: &Node) -> Result<(), ConfigIssue> {
    if is { Err(ConfigIssue::in_file(message).at(node)) } else { Ok(()) }
}

fn at_key(fault: ConfigIssue, node: &Node, key: &str) -> ConfigIssue {
    fault.at(node.get(key).unwrap_or(node))
}
