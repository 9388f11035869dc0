//! Differences as text, markdown and JSON.

use std::fmt::Write;

use serde_json::{Value as Json, json};

use super::alerts::AlertDiff;
use super::changes::ConditionChange;
use super::{Change, Item, ListChange, RuleChange, RuleDiff};
use crate::Format;
use crate::paint::Paint;

/// Longest value that is printed, in characters.
const MAX_CHARS: usize = 400;

/// The differences of two sets of rules, and of their alerts on captures.
#[must_use]
pub fn print(diff: &RuleDiff, alerts: &[AlertDiff], format: Format, paint: Paint) -> String {
    match format {
        Format::Json => format!("{:#}\n", to_json(diff, alerts)),
        Format::Text | Format::Markdown => {
            let mut page =
                Page { text: String::new(), markdown: format == Format::Markdown, paint };
            page.diff(diff);
            alerts.iter().for_each(|alerts| page.alerts(alerts));
            page.text
        }
    }
}

struct Page {
    text: String,
    markdown: bool,
    paint: Paint,
}

impl Page {
    fn diff(&mut self, diff: &RuleDiff) {
        if diff.is_empty() {
            self.line("The rules mean the same.");
        }
        self.section("Rules", &diff.rules, |page, change: &RuleChange| page.rule(change));
        self.section("Macros", &diff.macros, |page, changes: &Vec<ConditionChange>| {
            page.conditions(changes, 2);
        });
        self.section("Lists", &diff.lists, |page, change: &ListChange| page.items(change, 2));
        if diff.reordered {
            self.line(
                "Rules are evaluated in another order, which counts with `rule_matching: first`.",
            );
        }
        match diff.rewritten {
            0 => {}
            1 => self.line("One rule is written differently and means the same."),
            more => self.line(&format!("{more} rules are written differently and mean the same.")),
        }
    }

    fn section<C>(&mut self, title: &str, items: &[Item<C>], mut body: impl FnMut(&mut Self, &C)) {
        if items.is_empty() {
            return;
        }
        self.title(title);
        for Item { name, place, change } in items {
            let place = place.as_ref().map(|place| format!(" ({place})")).unwrap_or_default();
            let (sign, word) = match change {
                Change::Added => ('+', "added"),
                Change::Removed => ('-', "removed"),
                Change::Changed(_) => ('~', "changed"),
            };
            if self.markdown {
                let _ = writeln!(self.text, "- **{}** {word}{place}", escaped(name));
            } else {
                let head = format!("{sign} {name}");
                let head = match sign {
                    '+' => self.paint.good(head),
                    '-' => self.paint.bad(head),
                    _ => self.paint.bold(head),
                };
                let _ = writeln!(self.text, "  {head}{}", self.paint.dim(place));
            }
            if let Change::Changed(change) = change {
                body(self, change);
            }
        }
        self.text.push('\n');
    }

    fn rule(&mut self, change: &RuleChange) {
        for (name, old, new) in &change.properties {
            match *name {
                // Long texts stand one below the other.
                "output" | "description" => {
                    self.entry(2, &format!("{name}:"));
                    self.signed('-', old, 3);
                    self.signed('+', new, 3);
                }
                _ => self.entry(2, &format!("{name}: {old} → {new}")),
            }
        }
        if !change.tags.is_empty() {
            self.entry(2, "tags:");
            self.items(&change.tags, 3);
        }
        if !change.condition.is_empty() {
            let through = change.through.join(", ");
            let through =
                if through.is_empty() { through } else { format!(" (through {through})") };
            self.entry(2, &format!("condition{through}:"));
            self.conditions(&change.condition, 3);
        }
    }

    fn conditions(&mut self, changes: &[ConditionChange], depth: usize) {
        for change in changes {
            match change {
                ConditionChange::Removed(text) => self.signed('-', text, depth),
                ConditionChange::Added(text) => self.signed('+', text, depth),
                ConditionChange::Items(head, items) => {
                    let signs = [('-', &items.removed), ('+', &items.added)].into_iter();
                    let signs = signs.filter(|(_, items)| !items.is_empty());
                    let words: Vec<_> =
                        signs.map(|(sign, items)| self.sign(sign, &items.join(", "))).collect();
                    let head = self.code(&format!("{head} (…)"));
                    self.entry(depth, &format!("{head}: {}", words.join("  ")));
                }
                ConditionChange::Within(changes) => {
                    let mut inner = changes;
                    while let [ConditionChange::Within(deeper)] = inner.as_slice() {
                        inner = deeper;
                    }
                    self.entry(depth, "in one part:");
                    self.conditions(inner, depth + 1);
                }
            }
        }
    }

    fn items(&mut self, change: &ListChange, depth: usize) {
        for (sign, items) in [('-', &change.removed), ('+', &change.added)] {
            if !items.is_empty() {
                self.signed(sign, &items.join(", "), depth);
            }
        }
    }

    fn alerts(&mut self, alerts: &AlertDiff) {
        let (old, new) = alerts.totals;
        let same = if alerts.is_empty() { ": the same" } else { "" };
        self.title(&format!("Alerts on {}: {old} before, {new} after{same}", alerts.capture));
        for (rule, alerts) in &alerts.rules {
            let counts =
                [(alerts.gone, "gone"), (alerts.new, "new"), (alerts.reworded, "reworded")];
            let counts = counts.iter().filter(|(count, _)| *count > 0);
            let counts: Vec<_> = counts.map(|(count, word)| format!("{count} {word}")).collect();
            let counts = counts.join(", ");
            if self.markdown {
                let _ = writeln!(self.text, "- **{}**: {counts}", escaped(rule));
            } else {
                let _ = writeln!(self.text, "  {}: {counts}", self.paint.bold(rule));
            }
            for (sign, event, text) in &alerts.examples {
                self.signed(*sign, &format!("event {event}: {text}"), 2);
            }
        }
        self.text.push('\n');
    }

    fn title(&mut self, title: &str) {
        if self.markdown {
            let _ = writeln!(self.text, "### {title}\n");
        } else {
            let _ = writeln!(self.text, "{}", self.paint.bold(title));
        }
    }

    fn line(&mut self, text: &str) {
        let _ = writeln!(self.text, "{text}\n");
    }

    /// A line at a depth; 1 is that of a definition.
    fn entry(&mut self, depth: usize, text: &str) {
        let bullet = if self.markdown { "- " } else { "" };
        let indent = if self.markdown { depth - 1 } else { depth + 1 } * 2;
        let _ = writeln!(self.text, "{}{bullet}{text}", " ".repeat(indent));
    }

    /// A line with something that is gone (`-`) or new (`+`).
    fn signed(&mut self, sign: char, text: &str, depth: usize) {
        let text = self.sign(sign, text);
        self.entry(depth, &text);
    }

    fn sign(&self, sign: char, text: &str) -> String {
        let text = one_line(text);
        if self.markdown {
            let word = if sign == '+' { "added" } else { "removed" };
            format!("{word} {}", self.code(&text))
        } else if sign == '+' {
            self.paint.good(format!("+ {text}"))
        } else {
            self.paint.bad(format!("- {text}"))
        }
    }

    fn code(&self, text: &str) -> String {
        if self.markdown { format!("`{}`", text.replace('`', "'")) } else { text.to_owned() }
    }
}

/// A text in one line, cut where it is long.
fn one_line(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(MAX_CHARS) {
        None => text,
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
    }
}

/// A name within markdown.
fn escaped(name: &str) -> String {
    let special = |c: char| matches!(c, '*' | '_' | '`' | '[' | ']' | '<' | '>' | '\\' | '|');
    let escape = |c: char| if special(c) { vec!['\\', c] } else { vec![c] };
    name.chars().flat_map(escape).collect()
}

fn to_json(diff: &RuleDiff, alerts: &[AlertDiff]) -> Json {
    let rule = |change: &RuleChange| {
        let properties = change.properties.iter();
        let properties = properties
            .map(|(name, old, new)| ((*name).to_owned(), json!({ "old": old, "new": new })));
        json!({
            "condition": conditions_json(&change.condition),
            "through": change.through,
            "properties": properties.collect::<serde_json::Map<_, _>>(),
            "tags": items_json(&change.tags),
        })
    };
    let alerts = alerts.iter().map(|alerts| {
        let rules = alerts.rules.iter().map(|(name, it)| {
            let example = |(sign, event, text): &(char, u64, String)| {
                json!({ "sign": sign, "event": event, "output": text })
            };
            json!({
                "rule": name, "gone": it.gone, "new": it.new, "reworded": it.reworded,
                "examples": it.examples.iter().map(example).collect::<Vec<_>>(),
            })
        });
        json!({
            "capture": alerts.capture, "old": alerts.totals.0, "new": alerts.totals.1,
            "rules": rules.collect::<Vec<_>>(),
        })
    });
    json!({
        "same": diff.is_empty(),
        "rules": section_json(&diff.rules, rule),
        "macros": section_json(&diff.macros, |changes| conditions_json(changes)),
        "lists": section_json(&diff.lists, items_json),
        "rewritten": diff.rewritten,
        "reordered": diff.reordered,
        "alerts": alerts.collect::<Vec<_>>(),
    })
}

fn section_json<C>(items: &[Item<C>], body: impl Fn(&C) -> Json) -> Json {
    let item = |item: &Item<C>| {
        let (change, details) = match &item.change {
            Change::Added => ("added", Json::Null),
            Change::Removed => ("removed", Json::Null),
            Change::Changed(change) => ("changed", body(change)),
        };
        let place = item.place.as_ref().map(|it| json!({ "file": it.file, "line": it.line }));
        json!({ "name": item.name, "place": place, "change": change, "details": details })
    };
    items.iter().map(item).collect()
}

fn conditions_json(changes: &[ConditionChange]) -> Json {
    let change = |change: &ConditionChange| match change {
        ConditionChange::Removed(text) => json!({ "removed": text }),
        ConditionChange::Added(text) => json!({ "added": text }),
        ConditionChange::Items(test, items) => json!({ "test": test, "items": items_json(items) }),
        ConditionChange::Within(changes) => json!({ "within": conditions_json(changes) }),
    };
    changes.iter().map(change).collect()
}

fn items_json(change: &ListChange) -> Json {
    json!({ "removed": change.removed, "added": change.added })
}
