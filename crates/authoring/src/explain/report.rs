//! What is said about one event.

use serde_json::{Value as Json, json};

use super::RuleHead;
use super::event::EventSummary;
use super::explanation::{Explanation, Part, PartKind, Place, Reading};
use super::text::{WIDTH, beside, reading, wrap};
use super::why_not::Failing;
use crate::paint::Paint;

/// Widest label of a row about an event.
const LABEL: usize = 11;
/// Most lines of a row about an event.
const ROW_LINES: usize = 4;

/// What an event means for the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventReport {
    /// The event.
    pub event: EventSummary,
    /// The rules that it matches with the reasons; the one that was asked about in any case.
    pub rules: Vec<RuleReport>,
    /// Rules that it nearly matches, the nearest first.
    pub misses: Vec<MissReport>,
    /// Number of rules.
    pub total: usize,
    /// How many of them are about events of other types.
    pub other_types: usize,
}

/// A rule and how its condition got its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleReport {
    /// The rule.
    pub head: RuleHead,
    /// Whether the rule is about events of this type; for others the engine does not evaluate it.
    pub concerned: bool,
    /// Its condition.
    pub explanation: Explanation,
}

/// A rule that nearly matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissReport {
    /// The rule.
    pub head: RuleHead,
    /// The fewest tests whose values would have to change.
    pub distance: usize,
    /// These tests.
    pub failing: Vec<Failing>,
}

impl RuleReport {
    /// Whether the rule matches.
    #[must_use]
    pub fn matches(&self) -> bool {
        self.concerned && self.explanation.holds
    }
}

impl EventReport {
    /// For a terminal of 80 columns.
    #[must_use]
    pub fn to_text(&self, paint: Paint) -> String {
        let mut text = event_text(&self.event, paint);
        if self.total != 1 {
            text += &format!("\n{}\n", self.summary());
        }
        for rule in &self.rules {
            text += "\n";
            text += &rule.to_text(&self.event, paint);
        }
        if !self.misses.is_empty() {
            text += &format!("\n{}\n", paint.bold("Nearest misses"));
            self.misses.iter().for_each(|miss| text += &miss.to_text(paint));
        }
        text
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> Json {
        json!({
            "event": self.event.to_json(),
            "rules": self.rules.iter().map(RuleReport::to_json).collect::<Vec<_>>(),
            "nearest_misses": self.misses.iter().map(MissReport::to_json).collect::<Vec<_>>(),
            "rules_total": self.total,
            "rules_about_other_types": self.other_types,
        })
    }

    fn summary(&self) -> String {
        if self.other_types == self.total {
            let rules = count(self.total, "rule");
            return format!("None of {rules} is about events of this type.");
        }
        let matches = self.rules.iter().filter(|rule| rule.matches()).count();
        let matched = match matches {
            0 => format!("None of {} matches", count(self.total, "rule")),
            1 => format!("One of {} matches", count(self.total, "rule")),
            more => format!("{more} of {} match", count(self.total, "rule")),
        };
        match self.other_types {
            0 => format!("{matched}."),
            1 => format!("{matched}; one is about events of other types."),
            others => format!("{matched}; {others} are about events of other types."),
        }
    }
}

/// The lines about an event.
pub(super) fn event_text(event: &EventSummary, paint: Paint) -> String {
    let mut title = event.title();
    title.replace_range(..1, &title.get(..1).unwrap_or_default().to_uppercase());
    let mut text = format!("{}\n", paint.bold(title));
    for (label, value) in event.rows() {
        let lines = wrap(value, WIDTH - 2 - LABEL);
        let cut = lines.len() > ROW_LINES;
        for (index, line) in lines.iter().take(ROW_LINES).enumerate() {
            let label = if index == 0 { label } else { "" };
            let end = if cut && index + 1 == ROW_LINES { " …" } else { "" };
            text += &format!("  {}{line}{end}\n", paint.dim(format!("{label:<LABEL$}")));
        }
    }
    text
}

impl RuleReport {
    fn to_text(&self, event: &EventSummary, paint: Paint) -> String {
        let mut text = self.head.to_text(paint);
        let number = event.number;
        text += &match (self.concerned, self.explanation.holds) {
            (true, true) => format!("{} event {number}.\n", paint.good("matches")),
            (true, false) => format!("{} event {number}.\n", paint.bad("does not match")),
            (false, _) => format!(
                "{} event {number}: the rule is about events of other types\n({}).\n",
                paint.bad("does not match"),
                self.head.types
            ),
        };
        let decided = decided(self.explanation.decisive(), self.explanation.root.decisive);
        for line in wrap(&decided, WIDTH) {
            text += &line;
            text.push('\n');
        }
        text.push('\n');
        text + &self.explanation.to_text(paint)
    }

    fn to_json(&self) -> Json {
        let mut json = self.explanation.to_json();
        if let (Some(json), Json::Object(head)) = (json.as_object_mut(), self.head.to_json()) {
            json.insert("matches".to_owned(), self.matches().into());
            json.insert("about_this_type".to_owned(), self.concerned.into());
            json.extend(head);
        }
        json
    }
}

/// The part that decided first, as a sentence.
fn decided(part: &Part, is_root: bool) -> String {
    let place = part.place.as_ref().map(|place| format!(" ({place})")).unwrap_or_default();
    let is_true = part.value == Some(true);
    match (&part.kind, &part.exception) {
        (PartKind::All, None) if is_root => {
            return "All parts of the condition are true.".to_owned();
        }
        (PartKind::Any, None) if is_root => return "No part of the condition is true.".to_owned(),
        (_, Some(name)) if is_true => {
            return format!("Decided by the exception `{name}`, which applies{place}.");
        }
        _ => {}
    }
    let (what, value) = (shortened(&part.text), if is_true { "true" } else { "false" });
    let read = |(at, it): (usize, &Reading)| match at {
        0 => format!("{} {}", it.operand, reading(it, false)),
        _ => reading(it, true),
    };
    let read: Vec<_> = part.readings.iter().enumerate().map(read).collect();
    let read = if read.is_empty() { String::new() } else { format!("; {}", read.join(", ")) };
    format!("Decided by `{what}`, which is {value}{read}{place}.")
}

impl MissReport {
    fn to_text(&self, paint: Paint) -> String {
        let place = self.head.place.as_ref().map(ToString::to_string).unwrap_or_default();
        let distance = count(self.distance, "test");
        let title = format!("  {}, {distance} away", self.head.name);
        let mut text = beside(&title, &place, WIDTH) + "\n";
        text += &failing_text(&self.failing, self.distance, paint);
        text
    }

    fn to_json(&self) -> Json {
        let mut json = self.head.to_json();
        if let Some(json) = json.as_object_mut() {
            json.insert("distance".to_owned(), self.distance.into());
            json.insert("tests".to_owned(), self.failing.iter().map(Failing::to_json).collect());
        }
        json
    }
}

/// The tests that keep a rule from matching, one or two lines each.
pub(super) fn failing_text(failing: &[Failing], distance: usize, paint: Paint) -> String {
    const INDENT: usize = 13;
    let mut text = String::new();
    for test in failing {
        let word = if test.is_read { "false" } else { "unread" };
        let value = paint.bad(format!("{word:<7}"));
        let read = Reading { operand: String::new(), value: test.read.clone() };
        let read = if test.is_read { reading(&read, false) } else { String::new() };
        let mut lines = wrap(&shortened(&test.text), WIDTH - INDENT);
        if let [only] = lines.as_mut_slice()
            && only.chars().count() + read.chars().count() + 2 <= WIDTH - INDENT
        {
            let gap = 36_usize.saturating_sub(only.chars().count()).max(2);
            let gap = gap.min(WIDTH - INDENT - only.chars().count() - read.chars().count());
            *only = format!("{only}{}{}", " ".repeat(gap), paint.bold(read));
        } else {
            let read = wrap(&read, WIDTH - INDENT - 2);
            lines.extend(read.iter().map(|line| format!("  {}", paint.bold(line))));
        }
        for (index, line) in lines.iter().enumerate() {
            let front = if index == 0 { format!("      {value}") } else { " ".repeat(INDENT) };
            text += format!("{front}{line}").trim_end();
            text.push('\n');
        }
    }
    if distance > failing.len() && !failing.is_empty() {
        text += &format!("      and {} more\n", distance - failing.len());
    }
    text
}

/// The beginning of a long text.
pub(super) fn shortened(text: &str) -> String {
    const MAX: usize = 160;
    match text.char_indices().nth(MAX) {
        None => text.to_owned(),
        Some((at, _)) => format!("{} …", text.get(..at).unwrap_or_default().trim_end()),
    }
}

/// A number of things.
pub(super) fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("{number} {what}") } else { format!("{number} {what}s") }
}

impl Failing {
    pub(super) fn to_json(&self) -> Json {
        json!({ "condition": self.text, "read": self.read })
    }
}

impl RuleHead {
    /// The rule with its priority and its place, in the first words of a sentence.
    fn to_text(&self, paint: Paint) -> String {
        let place = self.place.as_ref().map(Place::to_string).unwrap_or_default();
        let name = format!("Rule {:?}", self.name);
        let gap = WIDTH.saturating_sub(name.chars().count() + place.chars().count()).max(2);
        format!("{}{}{}\n", paint.bold(name), " ".repeat(gap), paint.dim(place))
    }

    pub(super) fn to_json(&self) -> Json {
        let place = self.place.as_ref().map(Place::to_json);
        json!({ "rule": self.name, "priority": self.priority, "defined": place })
    }
}
