//! Words in the place of values that are the names of macros, or resemble the names of lists.

use std::cell::OnceCell;
use std::ops::Range;

use hashbrown::HashMap;
use peregrine_diagnostics::{Edit, Fix, closest};

use crate::define::{Definitions, ListDef, Named};
use crate::exception::Entry;
use crate::expand::is_delimiter;
use crate::result::Explained;
use crate::{Cause, Finding, Place};

/// How many names of lists are compared with words, in all: the cost is the product of both.
const MOST_COMPARED: usize = 200_000;

/// How many words that resemble a name are looked at.
const MOST_SIMILAR: usize = 200;

/// What a word probably stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meant<'d> {
    /// The list with this name.
    List(&'d str),
    /// The macro with this name, which is no value.
    Macro,
}

impl Meant<'_> {
    /// Cause, message and remedy.
    pub(super) fn explain(self, written: &str) -> (Cause, String, String) {
        match self {
            Self::List(list) => (
                Cause::ValueLikeList,
                format!("`{written}` is the name of no list and compared as a text"),
                format!("did you mean the list `{list}`?"),
            ),
            Self::Macro => (
                Cause::ValueIsMacro,
                format!("`{written}` is a macro, but compared as a text here"),
                "a macro is a whole condition and stands alone; for several values define a list"
                    .to_owned(),
            ),
        }
    }

    /// A title, and what is to be written instead.
    pub(super) fn replacement(self) -> Option<(String, String)> {
        match self {
            Self::List(list) => Some((format!("write `{list}`"), list.to_owned())),
            Self::Macro => None,
        }
    }
}

/// Words and the names that they resemble.
pub(super) struct Similar<'d> {
    definitions: &'d Definitions,
    /// What a word resembles.
    known: HashMap<&'d str, Option<Meant<'d>>>,
    /// Lists by the singular of their names, without case and separators.
    singular: OnceCell<HashMap<String, &'d str>>,
    /// Names of lists with their first letters, without case: few are compared with a word.
    initials: Vec<(u8, &'d str)>,
    left: usize,
    found: usize,
}

impl<'d> Similar<'d> {
    pub(super) fn new(definitions: &'d Definitions) -> Self {
        let with_initial = |list: &'d ListDef| Some((initial(&list.name)?, list.name.as_str()));
        let initials = definitions.lists.iter().filter_map(|list| with_initial(list)).collect();
        let (known, singular, left) = (HashMap::new(), OnceCell::new(), MOST_COMPARED);
        Self { definitions, known, singular, initials, left, found: 0 }
    }

    /// What the names are of.
    pub(super) fn definitions(&self) -> &'d Definitions {
        self.definitions
    }

    /// Unquoted words of a condition in the place of a value, and what they resemble.
    pub(super) fn words(&mut self, text: &'d str) -> Vec<(Range<usize>, Meant<'d>)> {
        let mut found = Vec::new();
        for sign in memchr::memchr3_iter(b'=', b'(', b',', text.as_bytes()) {
            if !follows_operator(text, sign) {
                continue;
            }
            let rest = text.get(sign + 1..).unwrap_or_default().trim_ascii_start();
            if !rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
                continue;
            }
            let start = text.len() - rest.len();
            let end = rest.bytes().position(|b| b.is_ascii() && is_delimiter(char::from(b)));
            let word = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
            if !is_name(word) {
                continue;
            }
            let after = rest.get(word.len()..).unwrap_or_default().trim_ascii_start();
            let alone = text.as_bytes().get(sign) == Some(&b'(') && after.starts_with(')');
            if let Some(meant) = self.meant(word, alone)
                && self.found < MOST_SIMILAR
            {
                self.found += 1;
                found.push((start..start + word.len(), meant));
            }
        }
        found
    }

    /// What a word stands for; `alone` if it is all that stands between parentheses.
    fn meant(&mut self, word: &'d str, alone: bool) -> Option<Meant<'d>> {
        let Definitions { lists, macros, .. } = self.definitions;
        if word.contains(['_', '-']) {
            return match self.known.get(word) {
                Some(known) => *known,
                None => {
                    let meant = self.compared(word, 0);
                    self.known.insert(word, meant);
                    meant
                }
            };
        }
        let list = alone.then(|| self.singulars().get(&*singular(word))).flatten()?;
        let is_text =
            lists.get(word).is_some() || macros.get(word).is_some() || item_count(lists, word) > 0;
        (!is_text).then_some(Meant::List(list))
    }

    fn singulars(&self) -> &HashMap<String, &'d str> {
        self.singular.get_or_init(|| {
            let mut known = HashMap::new();
            for list in self.definitions.lists.iter() {
                for form in singulars(&list.name) {
                    known.entry(form).or_insert(list.name.as_str());
                }
            }
            known
        })
    }

    /// What a word with `_` or `-` stands for, unless more than `most` lists have it as an item.
    fn compared(&mut self, word: &'d str, most: usize) -> Option<Meant<'d>> {
        let Definitions { lists, macros, .. } = self.definitions;
        if lists.get(word).is_some() {
            return None;
        }
        let is_text = || item_count(lists, word) > most;
        if word.contains('_') && macros.get(word).is_some() {
            return (!is_text()).then_some(Meant::Macro);
        }
        self.left = self.left.checked_sub(lists.iter().len())?;
        let initial = initial(word)?;
        let names = self.initials.iter().filter(|(known, _)| *known == initial);
        let near = |name: &&str| {
            name.len().abs_diff(word.len()) <= word.len() / 3
                // Names with `-` are those of programs, unless the other one has `_` there.
                && (word.contains('_') || name.replace('_', "-").eq_ignore_ascii_case(word))
        };
        let names = names.map(|(_, name)| *name);
        let list = closest(word, names.filter(near)).filter(|_| !is_text())?;
        Some(Meant::List(list))
    }

    /// Warns of items of lists and values of exceptions. An item that several lists have is meant
    /// as a text.
    pub(super) fn warn_of_items(
        &mut self,
        is_in: impl Fn(&Place) -> bool,
        findings: &mut Vec<Finding>,
    ) {
        let Definitions { lists, rules, .. } = self.definitions;
        for list in lists.iter() {
            for (at, item) in list.items.iter().enumerate() {
                if !item.contains(['_', '-']) || !is_name(item) || !is_in(list.place_of(at)) {
                    continue;
                }
                // A list may have an item that resembles its own name.
                let meant = self.compared(item, 1).filter(|it| *it != Meant::List(&list.name));
                findings.extend(meant.and_then(|meant| finding(list.place_of(at), item, meant)));
            }
        }
        for exception in rules.iter().flat_map(|rule| &rule.exceptions) {
            for (at, value) in exception.values.iter().enumerate() {
                let place = exception.place_of(at);
                if !is_in(place) {
                    continue;
                }
                let mut texts = Vec::new();
                each_text(value, &mut texts);
                let words = texts.iter().flat_map(|text| text.split(is_delimiter));
                for word in words.filter(|word| word.contains(['_', '-']) && is_name(word)) {
                    let meant = self.compared(word, 0);
                    findings.extend(meant.and_then(|meant| finding(place, word, meant)));
                }
            }
        }
    }
}

fn each_text<'e>(entry: &'e Entry, texts: &mut Vec<&'e str>) {
    match entry {
        Entry::Item(text) if !text.starts_with(['"', '\'']) => texts.push(text),
        Entry::Item(_) => {}
        Entry::List(entries) => entries.iter().for_each(|entry| each_text(entry, texts)),
    }
}

/// A finding about a word of an item; none if the file does not show the word.
fn finding(place: &Place, word: &str, meant: Meant<'_>) -> Option<Finding> {
    let (cause, message, help) = meant.explain(word);
    let label = place.word(word)?;
    let fix = meant
        .replacement()
        .map(|(title, text)| Fix::offered(title, vec![Edit { label: label.clone(), text }]));
    let explained =
        Explained { message: message.clone(), labels: vec![label], related: Vec::new(), fix };
    Some(Finding::new(cause, message, place.clone()).help(Some(help)).explained(explained))
}

/// How many lists have this item.
fn item_count(lists: &Named<ListDef>, word: &str) -> usize {
    lists.iter().filter(|list| list.items.iter().any(|item| item == word)).count()
}

/// The first letter, without case.
fn initial(word: &str) -> Option<u8> {
    word.bytes().next().map(|byte| byte.to_ascii_lowercase())
}

fn is_name(word: &str) -> bool {
    word.len() >= 4
        && word.starts_with(|c: char| c.is_ascii_alphabetic())
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// Whether a value may follow a sign: a parenthesis may also begin a condition.
fn follows_operator(text: &str, sign: usize) -> bool {
    match text.as_bytes().split_at_checked(sign) {
        Some((before, [b'(', ..])) => {
            before.trim_ascii_end().last().is_some_and(u8::is_ascii_alphabetic)
        }
        found => found.is_some(),
    }
}

/// A word in the singular, without case and separators.
fn singular(word: &str) -> String {
    let mut folded: String =
        word.chars().filter(|c| !matches!(c, '_' | '-')).collect::<String>().to_ascii_lowercase();
    if folded.ends_with('s') {
        folded.pop();
    }
    folded
}

/// The singulars that the name of a list may have: `proxies` is `proxie` and `proxy`.
fn singulars(name: &str) -> impl Iterator<Item = String> {
    let cut = singular(name);
    let other = match (cut.strip_suffix("ie"), cut.strip_suffix('y')) {
        (Some(stem), _) => Some(format!("{stem}y")),
        (None, Some(stem)) => Some(format!("{stem}ie")),
        (None, None) => None,
    };
    std::iter::once(cut).chain(other)
}
