//! Why a rule did not match, as text and as JSON.

use serde_json::{Value as Json, json};

use super::report::{count, event_text, failing_text, shortened};
use super::run::RuleHead;
use super::text::{WIDTH, wrap};
use super::why_not::WhyNot;
use crate::paint::Paint;

/// Most parts of the condition that are listed.
const BLOCKERS: usize = 10;

impl WhyNot<'_> {
    /// For a terminal of 80 columns: how often which part decided, then the closest events, and the
    /// whole condition for the closest.
    #[must_use]
    pub fn to_text(&self, rule: &RuleHead, paint: Paint) -> String {
        let place = rule.place.as_ref().map(ToString::to_string).unwrap_or_default();
        let name = format!("Rule {:?}", rule.name);
        let gap = WIDTH.saturating_sub(name.chars().count() + place.chars().count()).max(2);
        let mut text = format!("{}{}{}\n", paint.bold(name), " ".repeat(gap), paint.dim(place));
        for line in wrap(&self.summary(rule), WIDTH) {
            text += &format!("{line}\n");
        }
        let blockers = self.blockers();
        if blockers.is_empty() {
            return text;
        }
        text += &format!("\n{}\n", paint.bold("What kept it from matching"));
        let missed = self.concerned - self.matched.1;
        for blocker in blockers.iter().take(BLOCKERS) {
            let share = blocker.events as f64 * 100.0 / missed.max(1) as f64;
            let share = if share < 1.0 { "<1".to_owned() } else { format!("{share:.0}") };
            let exception = blocker.exception.as_ref().map(|name| format!("  [exception {name}]"));
            let value = if blocker.value { "is true" } else { "is false" };
            let what =
                format!("{} {value}{}", shortened(&blocker.text), exception.unwrap_or_default());
            for (index, line) in wrap(&what, WIDTH - 20).iter().enumerate() {
                let front = match index {
                    0 => format!("{:>10}  {share:>4} %", blocker.events),
                    _ => " ".repeat(18),
                };
                text += &format!("{front}  {line}\n");
            }
        }
        if blockers.len() > BLOCKERS {
            text += &format!("{:>18}  and {} other parts\n", "", blockers.len() - BLOCKERS);
        }
        text += &format!("\n{}\n", paint.bold("Closest events"));
        for close in &self.closest {
            text += &format!("  {}, {} away\n", close.event.title(), count(close.distance, "test"));
            text += &failing_text(&close.failing, close.distance, paint);
        }
        if let Some(close) = self.closest.first() {
            text += &format!(
                "\n{}\n{}",
                event_text(&close.event, paint),
                close.explanation.to_text(paint)
            );
        }
        text
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self, rule: &RuleHead) -> Json {
        let blocker = |it: &super::Blocker| {
            json!({
                "condition": it.text, "value": it.value, "events": it.events,
                "exception": it.exception,
            })
        };
        let close = |it: &super::Close| {
            json!({
                "event": it.event.to_json(),
                "distance": it.distance,
                "tests": it.failing.iter().map(super::Failing::to_json).collect::<Vec<_>>(),
                "explanation": it.explanation.to_json(),
            })
        };
        let mut json = rule.to_json();
        if let Some(json) = json.as_object_mut() {
            json.insert("events".to_owned(), self.concerned.into());
            json.insert("events_of_other_types".to_owned(), self.others.into());
            json.insert("matches".to_owned(), self.matched.1.into());
            json.insert("first_matches".to_owned(), json!(self.matched.0));
            json.insert("decided_by".to_owned(), self.blockers().iter().map(blocker).collect());
            json.insert("closest".to_owned(), self.closest.iter().map(close).collect());
        }
        json
    }

    fn summary(&self, rule: &RuleHead) -> String {
        let events = |number: u64| count(usize::try_from(number).unwrap_or(usize::MAX), "event");
        if self.concerned == 0 {
            return match self.others {
                0 => "There was no event.".to_owned(),
                others => format!(
                    "None of {} is of a type that the rule is about ({}).",
                    events(others),
                    rule.types
                ),
            };
        }
        let others = match self.others {
            0 => String::new(),
            others => format!(" {} more are of other types.", others),
        };
        let (numbers, matches) = &self.matched;
        match matches {
            0 => format!(
                "It matches none of {} of the types that it is about.{others}",
                events(self.concerned)
            ),
            matches => {
                let numbers: Vec<_> = numbers.iter().map(ToString::to_string).collect();
                let more = if *matches > numbers.len() as u64 { ", …" } else { "" };
                format!(
                    "It matches {matches} of {} of the types that it is about (event {}{more}).{others}",
                    events(self.concerned),
                    numbers.join(", ")
                )
            }
        }
    }
}
