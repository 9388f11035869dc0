//! `L01`: values in lists and tests that repeat others or that a field never has.

use std::collections::BTreeSet;
use std::ops::Range;

use hashbrown::{HashMap, HashSet};
use peregrine_diagnostics::{Edit, Fix, Label};
use peregrine_event::{Extra, Format, ParamInfo, ParamType};
use peregrine_filter::{Operator, Token, TokenKind, scan};
use peregrine_rules::{DefinitionKind, Effect, ItemId};

use super::bypass::texts;
use super::finding::LintFinding;
use super::lints::Lint;
use super::logic::atoms::{Atom, AtomId};
use super::logic::tree::{Part, Term};
use super::model::Model;

/// Longest name of a process, in bytes: the kernel cuts it.
const NAME_MAX: usize = 15;

pub(crate) fn check(model: &Model<'_>, found: &mut Vec<LintFinding>) {
    duplicates(model, found);
    inline_duplicates(model, found);
    let mut known: HashSet<AtomId> = HashSet::new();
    let mut names = LongNames::default();
    let conditions = model.macros.iter().map(|it| it.condition);
    for condition in conditions.chain(model.rules.iter().map(|rule| rule.condition)) {
        let mut open = vec![model.forest.root(condition)];
        while let Some(part) = open.pop() {
            match model.forest.term(part) {
                Term::All(parts) | Term::Any(parts) => open.extend(parts),
                Term::Literal(literal) if known.insert(literal.atom) => {
                    let atom = model.atoms.get(literal.atom);
                    impossible(model, part, atom, found);
                    covered(model, part, atom, found);
                    names.check(model, part, atom, found);
                }
                // What is in a macro is looked at there.
                Term::Literal(_) | Term::Macro(..) => {}
            }
        }
    }
    mixed(model, found);
}

/// Values that a list has twice.
fn duplicates(model: &Model<'_>, found: &mut Vec<LintFinding>) {
    let outline = model.sources.input.outline;
    let mut lists: HashMap<&str, HashMap<&str, Label>> = HashMap::new();
    for (id, item) in outline.items().filter(|(_, item)| item.kind == DefinitionKind::List) {
        let known = lists.entry(&item.name.text).or_default();
        if item.effect == Effect::Define {
            known.clear();
        }
        for value in item.items.iter().filter(|value| !value.text.is_empty()) {
            let label = outline.label_in(id.file, value.range.clone());
            let Some(first) = known.get(value.text.as_str()) else {
                known.insert(&value.text, label);
                continue;
            };
            let message = format!("`{}` is already in this list", value.text);
            found.push(
                LintFinding::new(Lint::DuplicateItem, item.kind, &item.name.text, message)
                    .at(Some(label))
                    .related(Some(first.clone()), "the first one is here")
                    .help("remove one of the two; if another value was meant, correct it"),
            );
        }
    }
}

/// Values that a test in a condition has twice between its parentheses.
fn inline_duplicates(model: &Model<'_>, found: &mut Vec<LintFinding>) {
    let outline = model.sources.input.outline;
    for (id, item) in outline.items() {
        let Some(condition) = &item.condition else { continue };
        let mut known: HashMap<&str, Range<usize>> = HashMap::new();
        for Token { kind, range } in scan(&condition.text).tokens {
            let text = condition.text.get(range.clone()).unwrap_or_default();
            if !matches!(kind, TokenKind::Value | TokenKind::Quoted) {
                // Each operator begins a new test.
                if kind != TokenKind::Punctuation {
                    known.clear();
                }
                continue;
            }
            let value = text.trim_matches(['"', '\'']);
            let Some(first) = known.get(value).cloned() else {
                known.insert(value, range);
                continue;
            };
            let label = |range| Some(outline.label_in(id.file, condition.in_file(range)?));
            let message = format!("`{value}` is already among the values of this test");
            found.push(
                LintFinding::new(Lint::DuplicateItem, item.kind, &item.name.text, message)
                    .at(label(range))
                    .related(label(first), "the first one is here")
                    .help("remove one of the two; if another value was meant, correct it"),
            );
        }
    }
}

/// Values of a test that another of its values covers.
fn covered(model: &Model<'_>, part: Part, atom: &Atom, found: &mut Vec<LintFinding>) {
    if !matches!(
        atom.operator(),
        Some(Operator::PMatch | Operator::StartsWith | Operator::EndsWith | Operator::Contains)
    ) {
        return;
    }
    let Some((inner, outer)) = atom.covered_value() else { return };
    let Some((kind, name)) = owner(model, part) else { return };
    let message =
        format!("`{inner}` changes nothing in `{}`: `{outer}` covers it", model.text(part));
    found.push(
        LintFinding::new(Lint::CoveredItem, kind, name, message)
            .at(model.label(part))
            .help("remove it, or correct what was meant"),
    );
}

/// A path in another form than that of the field, and the form that it has. Some events may have
/// such a value all the same: a program can name itself like a path.
fn other_form(atom: &Atom) -> Option<(String, String)> {
    use Operator as O;
    let exact = matches!(atom.operator(), Some(O::Eq | O::EqEq | O::Ne | O::In));
    let begins = exact || atom.operator() == Some(O::StartsWith);
    let find = |is_other: &dyn Fn(&str) -> bool| texts(atom).find(|text| is_other(text));
    let field = atom.field()?;
    let program = match field {
        "proc.name" => "proc.exepath",
        "proc.pname" => "proc.pexepath",
        "proc.aname" | "proc.sname" => "proc.aexepath",
        _ => "",
    };
    let (text, help) = match field {
        _ if !program.is_empty() && begins => {
            let text = find(&|text| text.starts_with('/'))?;
            (text, format!("it is the name of a program without its path: compare `{program}`"))
        }
        "fd.directory" if exact => {
            let text = find(&|text| text.len() > 1 && text.ends_with('/'))?;
            let right = text.trim_end_matches('/').to_owned();
            (text, format!("a directory has no slash at its end: write `{right}`"))
        }
        "fd.filename" if begins => {
            let text = find(&|text| text.len() > 1 && text.contains('/'))?;
            (text, "it is what follows the last slash: compare `fd.name` with a path".to_owned())
        }
        // Programs in memory have names with a colon.
        "proc.exepath" | "proc.pexepath" if exact => {
            let text = find(&|text| !text.is_empty() && !text.contains(['/', ':', '<']))?;
            let name = if field == "proc.exepath" { "proc.name" } else { "proc.pname" };
            (text, format!("it is a whole path: write that, or compare `{name}`"))
        }
        _ => return None,
    };
    Some((text.into_owned(), help))
}

fn path_form(model: &Model<'_>, part: Part, atom: &Atom, found: &mut Vec<LintFinding>) {
    let Some((text, help)) = other_form(atom) else { return };
    let Some((kind, name)) = owner(model, part) else { return };
    let field = atom.field().unwrap_or_default();
    let message = format!("`{text}` has another form than the values of `{field}`");
    let finding = LintFinding::new(Lint::PathForm, kind, name, message);
    found.push(finding.at(model.label(part)).help(help));
}

/// Numbers that a mode, which is printed by the names of its bits or in octal, never equals.
fn impossible_mode(model: &Model<'_>, part: Part, atom: &Atom) -> Option<(String, String)> {
    let name = atom.field()?.strip_prefix("evt.arg.")?;
    if !matches!(atom.operator(), Some(Operator::Eq | Operator::EqEq | Operator::Ne | Operator::In))
    {
        return None;
    }
    // A condition of a rule is about the events of the rule, a macro about any.
    let origin = model.forest.origin(part)?;
    let mut rules = model.rules.iter();
    let rule = rules.find(|rule| rule.condition == origin.condition).map(|it| it.rule);
    let types = rule.and_then(|rule| rule.event_types.as_ref());
    let events = types.map_or(model.atoms.universe(), |types| types.events);
    let (mut octal, mut names) = (false, false);
    for ty in events.iter() {
        for info in ty.info().params.iter().filter(|info| info.name == name) {
            match (info.ty, info.format) {
                (ParamType::Mode, _) => names = true,
                (_, Format::Oct) => octal = true,
                _ => return None,
            }
        }
    }
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let never = |text: &str| {
        let is_octal = text.starts_with('0') && !text.contains(['8', '9']);
        is_number(text) && text != "0" && !(octal && is_octal)
    };
    let text = texts(atom).find(|text| (octal || names) && !text.is_empty() && never(text))?;
    let help = match octal {
        true => format!(
            "a mode is written in octal with a leading zero: `0{}`",
            text.trim_start_matches('0')
        ),
        false => "here a mode is written by the names of its bits: `evt.arg.mode contains S_ISUID`"
            .to_owned(),
    };
    Some((text.into_owned(), help))
}

fn owner<'m>(model: &'m Model<'_>, part: Part) -> Option<(DefinitionKind, &'m str)> {
    model.sources.owner(model.forest.origin(part)?.condition)
}

/// Tests for a value that the field never has.
fn impossible(model: &Model<'_>, part: Part, atom: &Atom, found: &mut Vec<LintFinding>) {
    path_form(model, part, atom, found);
    if let Some((text, help)) = impossible_mode(model, part, atom) {
        let Some((kind, name)) = owner(model, part) else { return };
        let message = format!("`{}` is never `{text}`", atom.field().unwrap_or_default());
        let finding = LintFinding::new(Lint::ImpossibleValue, kind, name, message);
        found.push(finding.at(model.label(part)).help(help));
        return;
    }
    let exact = matches!(
        atom.operator(),
        Some(Operator::Eq | Operator::EqEq | Operator::Ne | Operator::In)
    );
    let words: Vec<&str> = match atom.field() {
        Some(name @ ("fd.l4proto" | "fd.sockfamily" | "fd.type" | "fd.typechar")) if exact => {
            peregrine_fields::words(name).to_vec()
        }
        Some("evt.dir") if exact => vec!["<", ">"],
        Some(name) if exact || atom.operator() == Some(Operator::Contains) => {
            let Some(param) = name.strip_prefix("evt.arg.") else { return };
            match flags(model, atom, param) {
                Some(words) => words,
                None => return,
            }
        }
        _ => return,
    };
    let contains = atom.operator() == Some(Operator::Contains);
    let possible = |text: &str| {
        let other =
            matches!(text, "<NA>" | "N/A" | "" | "0") || text.bytes().all(|b| b.is_ascii_digit());
        let known = |word: &&str| if contains { word.contains(text) } else { *word == text };
        other || text.contains(['|', '(']) || words.iter().any(known)
    };
    let Some(text) = texts(atom).find(|text| !possible(text)) else { return };
    let Some((kind, name)) = owner(model, part) else { return };
    let field = atom.field().unwrap_or_default();
    let message = format!("`{field}` is never `{text}`");
    let nearest = peregrine_diagnostics::closest(&text, words.iter().copied())
        .or_else(|| words.iter().copied().find(|word| word.eq_ignore_ascii_case(&text)));
    let help = match nearest {
        Some(word) => format!("did you mean `{word}`?"),
        None => format!("it is one of {}", words.join(", ")),
    };
    found.push(
        LintFinding::new(Lint::ImpossibleValue, kind, name, message)
            .at(model.label(part))
            .help(help),
    );
}

/// Names of the flags of a parameter, if all events that the test is about have flags there.
fn flags(model: &Model<'_>, atom: &Atom, param: &str) -> Option<Vec<&'static str>> {
    let of_type = |info: &ParamInfo| match info.extra {
        Extra::Flags(table) => Some(table.iter().map(|(name, _)| *name).collect::<Vec<_>>()),
        _ => None,
    };
    let mut words = Vec::new();
    for ty in model.atoms.universe().iter() {
        for info in ty.info().params.iter().filter(|info| info.name == param) {
            words.extend(of_type(info)?);
        }
    }
    // A mode is printed by the names of its bits or as a number.
    let known = !words.is_empty() && atom.operator() == Some(Operator::Contains);
    known.then(|| {
        words.sort_unstable();
        words.dedup();
        words
    })
}

/// An item of a list: the item of the file, the name of the list, and the place.
type ListPlace = (ItemId, String, Label);

/// Names of processes that are longer than the kernel keeps.
#[derive(Default)]
struct LongNames {
    /// Items of lists, by their text.
    items: Option<HashMap<String, Vec<ListPlace>>>,
    reported: BTreeSet<(Option<ItemId>, String)>,
}

impl LongNames {
    fn check(&mut self, model: &Model<'_>, part: Part, atom: &Atom, found: &mut Vec<LintFinding>) {
        let is_name = matches!(
            atom.field(),
            Some("proc.name" | "proc.pname" | "proc.aname" | "proc.sname" | "proc.vpgid.name")
        );
        let whole = !matches!(
            atom.operator(),
            None | Some(Operator::Glob | Operator::IGlob | Operator::Regex | Operator::PMatch)
        );
        if !is_name || !whole {
            return;
        }
        let field = atom.field().unwrap_or_default();
        for text in texts(atom).filter(|text| text.len() > NAME_MAX) {
            let cut: String = text
                .chars()
                .scan(0, |len, c| {
                    *len += c.len_utf8();
                    (*len <= NAME_MAX).then_some(c)
                })
                .collect();
            let places = self.places(model, &text);
            let message = format!(
                "`{field}` is never `{text}`: the kernel keeps {NAME_MAX} bytes of a name, and this has {}",
                text.len()
            );
            let help = format!("write `{cut}`, or compare `proc.exepath`");
            if places.is_empty() {
                let Some((kind, name)) = owner(model, part) else { continue };
                if self.reported.insert((None, text.clone().into_owned())) {
                    let finding = LintFinding::new(Lint::NameTooLong, kind, name, message);
                    found.push(finding.at(model.label(part)).help(help));
                }
                continue;
            }
            for (id, list, label) in places {
                if self.reported.insert((Some(id), text.clone().into_owned())) {
                    let edit = Edit { label: label.clone(), text: cut.clone() };
                    let fix = Fix::offered(format!("write `{cut}`"), vec![edit]);
                    let kind = DefinitionKind::List;
                    let finding = LintFinding::new(Lint::NameTooLong, kind, &list, message.clone());
                    found.push(finding.at(Some(label)).help(help.clone()).fix(fix));
                }
            }
        }
    }

    /// Where lists have this text.
    fn places(&mut self, model: &Model<'_>, text: &str) -> Vec<ListPlace> {
        let items = self.items.get_or_insert_with(|| {
            let outline = model.sources.input.outline;
            let mut items: HashMap<String, Vec<_>> = HashMap::new();
            for (id, item) in outline.items().filter(|(_, item)| item.kind == DefinitionKind::List)
            {
                for value in item.items.iter().filter(|value| value.text.len() > NAME_MAX) {
                    let label = outline.label_in(id.file, value.range.clone());
                    let place = (id, item.name.text.clone(), label);
                    items.entry(value.text.clone()).or_default().push(place);
                }
            }
            items
        });
        items.get(text).cloned().unwrap_or_default()
    }
}

/// `a or b and c`: `and` binds tighter, which is easily overlooked.
fn mixed(model: &Model<'_>, found: &mut Vec<LintFinding>) {
    let conditions = model.macros.iter().map(|it| it.condition);
    for condition in conditions.chain(model.rules.iter().map(|rule| rule.condition)) {
        let mut open = vec![model.forest.root(condition)];
        while let Some(part) = open.pop() {
            let (Term::All(parts) | Term::Any(parts)) = model.forest.term(part) else { continue };
            open.extend(parts);
            let junction =
                matches!(model.forest.term(part), Term::Any(_)) != model.forest.is_negated(part);
            if !junction {
                continue;
            }
            for inner in parts {
                let is_and = match model.forest.term(*inner) {
                    Term::All(_) => !model.forest.is_negated(*inner),
                    Term::Any(_) => model.forest.is_negated(*inner),
                    _ => false,
                };
                let Some(origin) = model.forest.origin(*inner).filter(|_| is_and) else { continue };
                let Some(range) = model.sources.range(origin) else { continue };
                let whole = model.sources.whole(condition);
                let before = whole.get(..range.start).unwrap_or_default().trim_end();
                let own = whole.get(range.clone()).unwrap_or_default();
                // `(a and b)`, or `not (a and b)`.
                if before.ends_with('(') || own.starts_with("not") && is_enclosed(own) {
                    continue;
                }
                let Some((kind, name)) = owner(model, *inner) else { continue };
                let text = model.text(*inner);
                let message = format!("`and` binds tighter than `or`: this means `… or ({text})`");
                let label = model.label(*inner);
                let mut finding = LintFinding::new(Lint::MixedAndOr, kind, name, message)
                    .at(label.clone())
                    .help("put the part that is meant in parentheses");
                if let Some(label) = label {
                    let whole = label.clone();
                    let text = format!("({})", own.trim());
                    let edits = vec![Edit { label: whole, text }];
                    finding = finding.fix(Fix::offered("add parentheses", edits));
                }
                found.push(finding);
            }
        }
    }
}

fn is_enclosed(text: &str) -> bool {
    let rest = text.trim_start_matches("not").trim_start();
    rest.starts_with('(') && rest.ends_with(')')
}
