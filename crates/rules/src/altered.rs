//! Values that are not what was written: YAML takes a part of them for a comment, a tag or an
//! anchor.

use peregrine_diagnostics::{Edit, Fix};
use peregrine_yaml::{Node, Value};

use crate::keys::Item;
use crate::result::Explained;
use crate::{Cause, Finding, ItemKind, Place};

/// Keys whose values are texts of people.
const TEXTS: [&str; 3] = ["desc", "output", "condition"];

/// Warns of unquoted texts that a comment cuts off, or that begin with a tag.
pub(crate) fn warn(documents: &[Node], file: &Place, findings: &mut Vec<Finding>) {
    let items = documents.iter().flat_map(Node::items).filter(|item| Item::of(item).is_some());
    for (key, value) in items.flat_map(Node::entries) {
        if !key.as_str().is_some_and(|key| TEXTS.contains(&key)) {
            continue;
        }
        let Value::Scalar { text, .. } = &value.value else { continue };
        findings.extend(comment(text, value, file));
        findings.extend(tag(key, value, file).or_else(|| anchor(key, value, file)));
    }
}

/// `output: opened #1 of 3`
fn comment(value: &str, node: &Node, file: &Place) -> Option<Finding> {
    let text = file.source().text.as_str();
    let behind = text.get(node.end.offset..)?;
    let comment = behind.trim_start_matches([' ', '\t']);
    let rest = comment.strip_prefix('#')?.lines().next().unwrap_or_default();
    let written = text.get(node.start.offset..)?;
    let plain = !written.starts_with(['"', '\'', '|', '>']);
    // A comment begins with a blank, and after a whole text.
    let open = value.matches('(').count() > value.matches(')').count();
    let meant = rest.starts_with(|c: char| !c.is_whitespace() && !"#-=".contains(c)) || open;
    if !plain || behind.starts_with('#') || !meant {
        return None;
    }
    let start = text.len() - comment.len();
    let end = start + 1 + rest.len();
    let message = "the value ends here: YAML takes the rest of the line for a comment";
    let help = "quote the value if this is part of it; put a blank after `#` if it is a comment";
    Some(finding(Cause::CutByComment, message, help, node, file, start..end))
}

/// What is written behind a key, and where.
fn behind<'f>(key: &Node, file: &'f Place) -> Option<(&'f str, usize)> {
    let text = file.source().text.as_str();
    // A quoted key ends at its quote. A quoted value has no tag.
    let after = text.get(key.end.offset..)?;
    let after = after.strip_prefix(['"', '\'']).unwrap_or(after);
    let after = after.trim_start_matches([':', ' ', '\t']);
    Some((after, text.len() - after.len()))
}

/// `condition: && proc.name exists`
fn anchor(key: &Node, node: &Node, file: &Place) -> Option<Finding> {
    let (after, start) = behind(key, file)?;
    let anchor = after.strip_prefix('&')?.split_whitespace().next().unwrap_or_default();
    let end = start + 1 + anchor.len();
    if start > node.end.offset.max(node.start.offset) || !anchor.starts_with('&') {
        return None;
    }
    let message = format!("`&{anchor}` is an anchor of YAML and no part of the value");
    let help = "write `and`, or quote the value";
    let mut finding = finding(Cause::Tag, &message, help, node, file, start..end);
    if let (Some(explained), "&") = (&mut finding.explained, anchor) {
        let edit = Edit { label: file.part(start..end), text: "and".to_owned() };
        explained.fix = Some(Fix::safe("write `and`", vec![edit]));
    }
    Some(finding)
}

/// `condition: !proc.name exists`
fn tag(key: &Node, node: &Node, file: &Place) -> Option<Finding> {
    let (after, start) = behind(key, file)?;
    let tag = after.strip_prefix('!')?.split_whitespace().next().unwrap_or_default();
    if tag.starts_with(['!', '=']) || start > node.end.offset.max(node.start.offset) {
        return None;
    }
    let message = format!("`!{tag}` is a tag of YAML and no part of the value");
    let help = "write `not …`, or quote the value";
    Some(finding(Cause::Tag, &message, help, node, file, start..start + 1 + tag.len()))
}

fn finding(
    cause: Cause,
    message: &str,
    help: &str,
    node: &Node,
    file: &Place,
    part: std::ops::Range<usize>,
) -> Finding {
    let place = file.inside(ItemKind::RulesContentItem, "", node);
    let labels = vec![file.part(part)];
    let explained = Explained { labels, ..Explained::default() };
    Finding::new(cause, message, place).help(Some(help.to_owned())).explained(explained)
}
