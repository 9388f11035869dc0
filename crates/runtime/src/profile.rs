//! `--profile`: the cost of rules as tables, and as stacks for a flame graph.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter, Write as _};
use std::time::Duration;

use peregrine_alert::RuleId;
use peregrine_engine::Generation;
use peregrine_engine::profile::{Condition, Profile, Root, RuleProfile};

/// Number of rules whose conditions are shown, and maximum length of a condition's text.
const SHOWN_RULES: usize = 5;
const SHOWN_TEXT: usize = 90;

/// A profile, ready to print.
pub struct ProfileReport {
    /// The measurements.
    pub profile: Profile,
    /// Names of the rules.
    pub names: BTreeMap<RuleId, String>,
    /// CPU time of the whole run.
    pub cpu: Duration,
}

impl ProfileReport {
    /// The profile of the rules of a generation.
    pub fn new(generation: &Generation, profile: Profile, cpu: Duration) -> Self {
        let names = generation.iter().map(|(id, rule)| (id, rule.name.clone())).collect();
        Self { profile, names, cpu }
    }

    /// One line for each stack with its nanoseconds: the rule, then its conditions from the
    /// outermost to the innermost.
    pub fn folded(&self) -> String {
        let mut text = String::new();
        let mut line = |stack: &[String], ns: f64| {
            // A flame graph does not show stacks without time.
            if ns >= 1.0 {
                // Writing into a string does not fail.
                let _ = writeln!(text, "{} {ns:.0}", stack.join(";"));
            }
        };
        line(&["rule selection".to_owned()], self.profile.dispatch_ns);
        for rule in &self.profile.rules {
            let name = frame(self.name(rule));
            let conditions = rule.roots.iter().flat_map(|root| &root.conditions);
            let known: f64 = conditions.map(Condition::share_ns).sum();
            let all = rule.cost.own_ns + rule.cost.shared_ns;
            line(std::slice::from_ref(&name), all - known);
            line(&[name.clone(), "alerts".to_owned()], rule.cost.alerts_ns);
            for root in &rule.roots {
                let mut stack = vec![name.clone(), frame(&types(root))];
                for condition in &root.conditions {
                    stack.truncate(2 + condition.depth);
                    stack.push(frame(&condition.text));
                    line(&stack, condition.share_ns());
                }
            }
        }
        text
    }

    fn name(&self, rule: &RuleProfile) -> &str {
        self.names.get(&rule.rule).map_or("", String::as_str)
    }

    /// Share of the time of all rules, in per cent.
    fn share(&self, ns: f64) -> f64 {
        ns * 100.0 / self.profile.total_ns().max(1.0)
    }

    fn rules(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n share        ms    own ms  shared ms  alerts ms     events      asked       hits  ns/event  rule"
        )?;
        for rule in &self.profile.rules {
            let cost = &rule.cost;
            let total = cost.total_ns();
            writeln!(
                f,
                "{:5.1}% {:9.2} {:9.2}  {:9.2}  {:9.2} {:10} {:10} {:10}  {:8.1}  {}",
                self.share(total),
                total / 1e6,
                cost.own_ns / 1e6,
                cost.shared_ns / 1e6,
                cost.alerts_ns / 1e6,
                rule.events,
                rule.asked,
                rule.matches,
                per(total, rule.events),
                self.name(rule)
            )?;
        }
        let dispatch = self.profile.dispatch_ns;
        writeln!(
            f,
            "{:5.1}% {:9.2} {:74}{:8.1}  (selecting the rules to evaluate)",
            self.share(dispatch),
            dispatch / 1e6,
            "",
            per(dispatch, self.profile.events)
        )
    }

    fn types(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n share        ms     events  ns/event  rules  event")?;
        for ty in &self.profile.types {
            writeln!(
                f,
                "{:5.1}% {:9.2} {:10}  {:8.1}  {:5}  {}",
                self.share(ty.ns),
                ty.ns / 1e6,
                ty.events,
                per(ty.ns, ty.events),
                ty.rules,
                ty.ty.name()
            )?;
        }
        Ok(())
    }

    fn conditions(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for rule in self.profile.rules.iter().take(SHOWN_RULES) {
            writeln!(f, "\n{} ({:.1}%)", self.name(rule), self.share(rule.cost.total_ns()))?;
            writeln!(f, " share     asked       held  ns each  of rules  condition")?;
            for root in &rule.roots {
                writeln!(f, "{:43}for {}", "", types(root))?;
                for condition in &root.conditions {
                    self.condition(f, condition)?;
                }
            }
        }
        Ok(())
    }

    fn condition(&self, f: &mut Formatter<'_>, condition: &Condition) -> fmt::Result {
        let Condition { depth, text, asked, held, ns, rules } = condition;
        let share = self.share(condition.share_ns());
        let each = per(*ns, *asked);
        let indent = 2 * depth;
        let text = shortened(text);
        writeln!(f, "{share:5.1}% {asked:9} {held:10} {each:8.1} {rules:9}  {:indent$}{text}", "")
    }
}

/// The tables.
impl Display for ProfileReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { profile, names, cpu } = self;
        let (total, cpu) = (profile.total_ns() / 1e9, cpu.as_secs_f64());
        let each = per(profile.total_ns(), profile.events);
        writeln!(
            f,
            "\nRules took {total:.3} of {cpu:.3} CPU seconds: {each:.1} ns for each of {} events that a rule can match, \
             {} of them timed.",
            profile.events, profile.timed
        )?;
        if profile.rules.is_empty() {
            return Ok(());
        }
        self.rules(f)?;
        let idle = names.len().saturating_sub(profile.rules.len());
        if idle > 0 {
            writeln!(f, "No event had a type that the other {idle} rules can match.")?;
        }
        self.types(f)?;
        self.conditions(f)
    }
}

fn per(ns: f64, count: u64) -> f64 {
    ns / count.max(1) as f64
}

/// Distinct names of the event types.
fn types(root: &Root) -> String {
    let mut names: Vec<_> = root.types.iter().map(|ty| ty.name()).collect();
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN_TEXT) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Replaces characters that would end a frame or the line.
fn frame(text: &str) -> String {
    text.replace(';', ",").replace(['\n', '\r'], " ")
}
