//! The rules of a set as lints look at them.

use std::ops::Range;

use hashbrown::HashMap;
use peregrine_diagnostics::Label;
use peregrine_engine::Matching;
use peregrine_fields::{Field, Fields};
use peregrine_rules::{
    DefinitionKind, ItemId, Outline, OutlineItem, Rule, RuleSet, WrittenCondition,
    WrittenConditions,
};

use super::logic::atoms::{Atoms, Literal};
use super::logic::tree::{Condition, Forest, Macros, Origin, Part, Term};

/// Longest text of a part in a message, in characters.
const SHOWN: usize = 60;

/// The rules that are looked at, as a configuration loads them.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// The rules of all files, selected as the configuration says.
    pub rules: &'a RuleSet<Field>,
    /// Their conditions.
    pub written: &'a WrittenConditions,
    /// Where everything is written.
    pub outline: &'a Outline,
    /// The fields that the rules may use.
    pub fields: &'a Fields,
    /// Whether the first rule that matches is the only one.
    pub matching: Matching,
}

/// Conditions of the set, understood.
pub(crate) struct Model<'a> {
    pub(crate) sources: Sources<'a>,
    pub(crate) atoms: Atoms<'a>,
    pub(crate) forest: Forest,
    pub(crate) macros: Vec<MacroModel>,
    pub(crate) rules: Vec<RuleModel<'a>>,
}

/// A macro.
pub(crate) struct MacroModel {
    pub(crate) name: String,
    pub(crate) condition: Condition,
}

/// A rule about system calls.
pub(crate) struct RuleModel<'a> {
    pub(crate) rule: &'a Rule<Field>,
    pub(crate) condition: Condition,
    /// The condition without exceptions.
    pub(crate) own: Part,
    /// The exceptions that have values: name and condition.
    pub(crate) exceptions: Vec<(String, Part)>,
}

/// The texts of the rules and their places.
pub(crate) struct Sources<'a> {
    pub(crate) input: Input<'a>,
    conditions: Vec<SourceText<'a>>,
}

struct SourceText<'a> {
    kind: DefinitionKind,
    text: &'a str,
    written: &'a WrittenCondition,
}

impl<'a> Model<'a> {
    pub(crate) fn new(input: Input<'a>) -> Self {
        let mut model = Self {
            sources: Sources { input, conditions: Vec::new() },
            atoms: Atoms::new(input.fields),
            forest: Forest::default(),
            macros: Vec::new(),
            rules: Vec::new(),
        };
        let mut known = Macros::new();
        model.add_macros(&mut known);
        let rules: HashMap<_, _> =
            input.rules.rules.iter().map(|rule| (rule.name.as_str(), rule)).collect();
        for written in &input.written.rules {
            if let Some(rule) = rules.get(written.name.as_str())
                && rule.event_types.is_some()
            {
                model.add_rule(rule, written, &known);
            }
        }
        model
    }

    /// Adds macros, those that others use first.
    fn add_macros(&mut self, known: &mut Macros) {
        let input = self.sources.input;
        let texts: HashMap<_, _> =
            input.rules.macros.iter().map(|m| (m.name.as_str(), &*m.condition_text)).collect();
        let mut open: Vec<_> = input.written.macros.iter().collect();
        // Each pass adds those whose macros are known; a set without loops needs few passes.
        loop {
            let before = open.len();
            open.retain(|written| {
                let uses = written.expr.macros();
                if !uses.iter().all(|name| known.contains_key(*name)) {
                    return true;
                }
                let Some(text) = texts.get(written.name.as_str()).copied() else { return false };
                let added = self.forest.add(&written.expr, known, &mut self.atoms);
                if let Some(condition) = added {
                    let name = written.name.clone();
                    known.insert(name.clone(), condition);
                    self.macros.push(MacroModel { name, condition });
                    let kind = DefinitionKind::Macro;
                    self.sources.conditions.push(SourceText { kind, text, written });
                }
                false
            });
            if open.is_empty() || open.len() == before {
                break;
            }
        }
    }

    fn add_rule(&mut self, rule: &'a Rule<Field>, written: &'a WrittenCondition, known: &Macros) {
        let Some(condition) = self.forest.add(&written.expr, known, &mut self.atoms) else {
            return;
        };
        let (kind, text) = (DefinitionKind::Rule, &*rule.condition_text);
        self.sources.conditions.push(SourceText { kind, text, written });
        let root = self.forest.root(condition);
        let (mut own, mut exceptions) = (root, Vec::new());
        if let (false, Term::All(parts)) = (written.exceptions.is_empty(), self.forest.term(root)) {
            let parts = parts.clone();
            let mut parts = parts.into_iter();
            own = parts.next().unwrap_or(root);
            for (name, part) in written.exceptions.iter().zip(parts) {
                exceptions.push((name.clone(), self.forest.negation(part)));
            }
        }
        self.rules.push(RuleModel { rule, condition, own, exceptions });
    }

    /// Calls `visit` for the literals of a part, macros included.
    pub(crate) fn each_literal(&self, part: Part, visit: &mut impl FnMut(Literal, Part)) {
        match self.forest.term(part) {
            Term::Literal(literal) => visit(*literal, part),
            Term::Macro(_, inner) => self.each_literal(*inner, visit),
            Term::All(parts) | Term::Any(parts) => {
                parts.iter().for_each(|part| self.each_literal(*part, visit));
            }
        }
    }

    /// The parts that must all be true for a part to be true: conjunctions taken apart, also inside
    /// macros.
    pub(crate) fn conjuncts(&self, part: Part) -> Vec<Part> {
        let mut found = Vec::new();
        let mut open = vec![part];
        while let Some(part) = open.pop() {
            match self.forest.inner(part) {
                Term::All(parts) => open.extend(parts.iter().rev()),
                _ => found.push(part),
            }
        }
        found
    }

    /// The place of a part.
    pub(crate) fn label(&self, part: Part) -> Option<Label> {
        self.sources.label(self.forest.origin(part)?)
    }

    /// A part as it is written, shortened.
    pub(crate) fn text(&self, part: Part) -> String {
        let text = self.forest.origin(part).and_then(|origin| self.sources.text(origin));
        shortened(text.unwrap_or_default())
    }
}

impl<'a> Sources<'a> {
    /// What a condition belongs to: a macro or a rule, and its name.
    pub(crate) fn owner(&self, condition: Condition) -> Option<(DefinitionKind, &'a str)> {
        let source = self.conditions.get(condition.0 as usize)?;
        Some((source.kind, &source.written.name))
    }

    /// The place of a part of a condition.
    pub(crate) fn label(&self, origin: Origin) -> Option<Label> {
        let source = self.conditions.get(origin.condition.0 as usize)?;
        let joined = self.input.outline.condition(source.kind, &source.written.name)?;
        let range = self.range(origin)?;
        let (id, range) = joined.in_file(range)?;
        Some(self.input.outline.label_in(id.file, range))
    }

    /// A part of a condition as it is written.
    pub(crate) fn text(&self, origin: Origin) -> Option<&'a str> {
        let source = self.conditions.get(origin.condition.0 as usize)?;
        source.text.get(self.range(origin)?)
    }

    /// The bytes of a part in the text of its condition, without blanks around it and with a
    /// parenthesis that it closes.
    pub(crate) fn range(&self, origin: Origin) -> Option<Range<usize>> {
        let source = self.conditions.get(origin.condition.0 as usize)?;
        let range = source.written.original(origin.span)?;
        let text = source.text.get(range.clone())?;
        let start = range.start + (text.len() - text.trim_start().len());
        Some(start..start + text.trim().len())
    }

    /// The text of a condition as a whole.
    pub(crate) fn whole(&self, condition: Condition) -> &'a str {
        self.conditions.get(condition.0 as usize).map_or("", |source| source.text)
    }

    /// The name of an item at the place where it counts.
    pub(crate) fn name_label(&self, kind: DefinitionKind, name: &str) -> Option<Label> {
        let (id, item) = self.definition(kind, name)?;
        let range = item.name.in_file(0..item.name.text.len()).unwrap_or(item.range.clone());
        Some(self.input.outline.label_in(id.file, range))
    }

    /// The definition of an item that counts.
    pub(crate) fn definition(
        &self,
        kind: DefinitionKind,
        name: &str,
    ) -> Option<(ItemId, &'a OutlineItem)> {
        self.input.outline.definition(kind, name)
    }
}

/// A text on one line, cut where it is too long.
pub(crate) fn shortened(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.chars().count() <= SHOWN {
        return words;
    }
    words.chars().take(SHOWN).collect::<String>() + "…"
}
