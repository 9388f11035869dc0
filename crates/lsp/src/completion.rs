//! What may be written at a place.

use std::collections::BTreeSet;
use std::ops::Range;

use ls_types::{
    CompletionItem, CompletionItemKind, CompletionList, CompletionTextEdit, Documentation,
    InsertTextFormat, MarkupContent, MarkupKind, TextEdit,
};
use peregrine_fields::Fields;
use peregrine_filter::{Expected, Operator, Quantifier, Transformer, scan};
use peregrine_rules::{DefinitionKind, ENGINE_VERSION, OutlineItem};

use crate::cursor::{Begins, Cursor, ITEMS, Place, cursor};
use crate::snapshot::Snapshot;
use crate::text::Text;
use crate::vocabulary::{self as words, EXCEPTION_KEYS, KEYS, MITRE_TACTICS, PLUGIN_KEYS};

/// Most proposals at a place; typing more narrows them.
const MOST: usize = 1_000;

/// A word that may be written.
struct Proposal {
    label: String,
    kind: CompletionItemKind,
    detail: String,
    about: Option<String>,
    /// What is inserted if it is not the label, as a snippet.
    snippet: Option<String>,
}

impl Proposal {
    fn new(label: impl Into<String>, kind: CompletionItemKind, detail: impl Into<String>) -> Self {
        let (label, detail) = (label.into(), detail.into());
        Self { label, kind, detail, about: None, snippet: None }
    }

    fn about(mut self, about: impl Into<String>) -> Self {
        self.about = Some(about.into());
        self
    }

    fn snippet(mut self, snippet: impl Into<String>) -> Self {
        self.snippet = Some(snippet.into());
        self
    }
}

/// What is known where completion is asked for.
pub(crate) struct Completion<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) fields: &'a Fields,
    /// Index of the file.
    pub(crate) file: usize,
    /// Whether the client understands snippets.
    pub(crate) snippets: bool,
}

impl Completion<'_> {
    /// The proposals at a byte of the file.
    pub(crate) fn at(&self, text: &Text, offset: usize) -> CompletionList {
        let start = self.snapshot.part_at(self.file, offset).map_or(0, |(_, start)| start);
        let place = cursor(text.as_str(), start, offset);
        let (word, proposals) = self.proposals(&place, offset);
        let typed = text.get(word.clone());
        let mut items: Vec<_> = proposals
            .into_iter()
            .filter(|proposal| fits(&proposal.label, typed))
            .map(|proposal| self.item(text, &word, proposal))
            .collect();
        let is_incomplete = items.len() > MOST;
        items.truncate(MOST);
        CompletionList { is_incomplete, items }
    }

    fn item(&self, text: &Text, word: &Range<usize>, proposal: Proposal) -> CompletionItem {
        let Proposal { label, kind, detail, about, snippet } = proposal;
        let snippet = snippet.filter(|_| self.snippets);
        let format = snippet.as_ref().map(|_| InsertTextFormat::SNIPPET);
        let new_text = snippet.unwrap_or_else(|| label.clone());
        let edit = TextEdit { range: text.range(word.clone()), new_text };
        let markup = |value| MarkupContent { kind: MarkupKind::Markdown, value };
        CompletionItem {
            filter_text: Some(label.clone()),
            label,
            kind: Some(kind),
            detail: Some(detail).filter(|detail| !detail.is_empty()),
            documentation: about.map(|about| Documentation::MarkupContent(markup(about))),
            insert_text_format: format,
            text_edit: Some(CompletionTextEdit::Edit(edit)),
            ..CompletionItem::default()
        }
    }

    /// The word that is being written, and what it may be.
    fn proposals(&self, cursor: &Cursor<'_>, offset: usize) -> (Range<usize>, Vec<Proposal>) {
        match &cursor.place {
            Place::Key { word, begins } => (word.clone(), self.keys(cursor, *begins)),
            Place::Value { before, entry, .. } => {
                let (typed, proposals) = self.values(cursor, before, *entry);
                (offset - typed..offset, proposals)
            }
        }
    }

    fn keys(&self, cursor: &Cursor<'_>, begins: Begins) -> Vec<Proposal> {
        match (cursor.path.as_slice(), cursor.item) {
            ([], None) => ITEMS.iter().map(|key| begin(key, begins)).collect(),
            ([], Some(item)) => {
                let mut keys: Vec<_> = KEYS
                    .iter()
                    .filter(|key| key.items.contains(&item) && !cursor.present.contains(&key.name))
                    .map(|key| key_proposal(key.name, key.about))
                    .collect();
                if begins == Begins::Line {
                    keys = ITEMS.iter().map(|key| begin(key, begins)).collect();
                }
                keys
            }
            (["override"], Some(item)) => KEYS
                .iter()
                .filter(|key| key.items.contains(&item) && !key.operations.is_empty())
                .map(|key| key_proposal(key.name, key.about))
                .collect(),
            (["exceptions", ..], _) => named_keys(EXCEPTION_KEYS),
            (["required_plugin_versions", ..], _) => named_keys(PLUGIN_KEYS),
            _ => Vec::new(),
        }
    }

    /// Proposals for a value, and how many bytes of one are written.
    fn values(&self, cursor: &Cursor<'_>, before: &str, entry: bool) -> (usize, Vec<Proposal>) {
        let path = cursor.path.as_slice();
        let last = path.last().copied().unwrap_or_default();
        let whole = before.trim_start();
        let item = entry_of(before);
        let constant = CompletionItemKind::ENUM_MEMBER;
        let plain =
            |words: &[&str]| words.iter().map(|word| Proposal::new(*word, constant, "")).collect();
        match (path, cursor.item) {
            (["condition"], _) => self.condition(before),
            (["output"], _) => self.output(before),
            (["priority"], _) => {
                let all = words::priorities();
                (
                    whole.len(),
                    all.map(|(name, about)| Proposal::new(name, constant, about)).collect(),
                )
            }
            (["tags"], _) => (item.len(), self.tags()),
            (["items"], _) => (item.len(), self.names(DefinitionKind::List)),
            (["source"], _) => (whole.len(), plain(&["syscall"])),
            (["required_engine_version"], _) => {
                let version = Proposal::new(ENGINE_VERSION.to_string(), constant, "this engine");
                (whole.len(), vec![version])
            }
            (["rule" | "macro" | "list"], _) => {
                let kind = match last {
                    "rule" => DefinitionKind::Rule,
                    "macro" => DefinitionKind::Macro,
                    _ => DefinitionKind::List,
                };
                (whole.len(), self.names(kind))
            }
            (["override"], Some(kind)) if !entry => {
                let inside = item_of_map(before);
                match inside.split_once(':') {
                    Some((_, typed)) => (typed.trim_start().len(), plain(&["append", "replace"])),
                    None => {
                        let keys = KEYS
                            .iter()
                            .filter(|key| key.items.contains(&kind) && !key.operations.is_empty());
                        (inside.len(), keys.map(|key| key_proposal(key.name, key.about)).collect())
                    }
                }
            }
            (["override", key], _) => {
                let known = KEYS.iter().find(|known| known.name == *key);
                (whole.len(), plain(known.map_or(&["append", "replace"], |known| known.operations)))
            }
            (["exceptions", "fields"], _) => (item.len(), self.fields()),
            (["exceptions", "comps"], _) => {
                let operators = Operator::ALL.iter().map(|op| op.as_str()).chain(["exists"]);
                (item.len(), operators.map(operator_proposal).collect())
            }
            (["exceptions", "values"], _) => (item.len(), self.names(DefinitionKind::List)),
            (["exceptions", "name"], _) => (whole.len(), self.exceptions()),
            _ if takes_boolean(last) => (whole.len(), plain(&["true", "false"])),
            _ => (whole.len(), Vec::new()),
        }
    }

    fn condition(&self, before: &str) -> (usize, Vec<Proposal>) {
        let typed = trailing(before, |c| {
            c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '*')
        });
        let known = before.get(..before.len() - typed.len()).unwrap_or_default();
        let keyword = |word: &str| Proposal::new(word, CompletionItemKind::KEYWORD, "");
        let proposals = match scan(known).expected {
            Expected::Condition => {
                let mut all = self.fields();
                all.extend(self.names(DefinitionKind::Macro));
                all.push(keyword("not"));
                all.extend(transformers(false));
                all
            }
            Expected::Argument => self.fields(),
            Expected::Join => vec![keyword("and"), keyword("or")],
            Expected::Operator(field) => {
                let field = field.and_then(|range| known.get(range)).unwrap_or_default();
                let mut operators: Vec<_> =
                    words::operators(self.fields, field).iter().map(|op| op.as_str()).collect();
                if operators.is_empty() {
                    operators = Operator::ALL.iter().map(|op| op.as_str()).collect();
                }
                operators.push("exists");
                operators.into_iter().map(operator_proposal).collect()
            }
            Expected::Value { field, operator, in_list } => {
                let field = field.and_then(|range| known.get(range)).unwrap_or_default();
                let usual = words::values(self.fields, field).into_iter();
                let mut all: Vec<_> = usual
                    .map(|value| {
                        let proposal = Proposal::new(value, CompletionItemKind::ENUM_MEMBER, "");
                        match words::event_page(value).filter(|_| field == "evt.type") {
                            Some(page) => proposal.about(page),
                            None => proposal,
                        }
                    })
                    .collect();
                let list = matches!(
                    operator,
                    Some(Operator::In | Operator::Intersects | Operator::PMatch)
                );
                let mut lists = self.names(DefinitionKind::List);
                if list && !in_list {
                    for proposal in &mut lists {
                        proposal.label = format!("({})", proposal.label);
                    }
                }
                all.extend(lists);
                if !in_list {
                    all.extend(transformers(true));
                    if !list {
                        all.extend(Quantifier::ALL.iter().map(|it| operator_proposal(it.as_str())));
                    }
                }
                all
            }
        };
        (typed.len(), proposals)
    }

    fn output(&self, before: &str) -> (usize, Vec<Proposal>) {
        let typed = trailing(before, |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_'));
        let known = before.get(..before.len() - typed.len()).unwrap_or_default();
        let begins = known.ends_with(['%', '*']) && known.trim_end_matches('*').ends_with('%');
        (typed.len(), if begins { self.fields() } else { Vec::new() })
    }

    fn fields(&self) -> Vec<Proposal> {
        words::fields(self.fields)
            .map(|field| {
                let kind = CompletionItemKind::FIELD;
                match field.definition {
                    Some(definition) => {
                        Proposal::new(field.name, kind, words::field_type(definition))
                            .about(definition.description.to_string())
                    }
                    None => Proposal::new(field.name, kind, "text"),
                }
            })
            .collect()
    }

    /// The names of a kind, each with what it is.
    fn names(&self, of: DefinitionKind) -> Vec<Proposal> {
        let kind = match of {
            DefinitionKind::List => CompletionItemKind::CONSTANT,
            DefinitionKind::Macro => CompletionItemKind::FUNCTION,
            DefinitionKind::Rule => CompletionItemKind::EVENT,
        };
        let outline = &self.snapshot.outline;
        let mut names: Vec<_> = outline.names(of).collect();
        names.sort_unstable();
        let proposal = |name: &str| {
            let about = outline.definition(of, name).map(|(_, item)| summary(item));
            Proposal::new(name, kind, of.name()).about(about.unwrap_or_default())
        };
        names.into_iter().take(MOST * 5).map(proposal).collect()
    }

    /// Tags of the rules, and those of MITRE ATT&CK.
    fn tags(&self) -> Vec<Proposal> {
        let used = self.snapshot.items().flat_map(|(_, item)| &item.tags);
        let mut tags: BTreeSet<&str> = used.map(|tag| tag.text.as_str()).collect();
        tags.extend(MITRE_TACTICS);
        let kind = CompletionItemKind::VALUE;
        tags.into_iter().map(|tag| Proposal::new(tag, kind, "tag")).collect()
    }

    /// Names of the exceptions of all rules.
    fn exceptions(&self) -> Vec<Proposal> {
        let all = self.snapshot.items().flat_map(|(_, item)| &item.exceptions);
        let names: BTreeSet<_> =
            all.filter_map(|it| it.name.as_ref()).map(|name| name.text.as_str()).collect();
        let kind = CompletionItemKind::VALUE;
        names.into_iter().map(|name| Proposal::new(name, kind, "exception")).collect()
    }
}

/// What an item is, in a line.
fn summary(item: &OutlineItem) -> String {
    let text = match item.kind {
        DefinitionKind::List => {
            let items = item.items.iter().take(12).map(|entry| entry.text.as_str());
            items.collect::<Vec<_>>().join(", ")
        }
        DefinitionKind::Macro => {
            item.condition.as_ref().map(|it| it.text.clone()).unwrap_or_default()
        }
        DefinitionKind::Rule => {
            item.description.as_ref().map(|it| it.text.clone()).unwrap_or_default()
        }
    };
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// An item that begins with this key.
fn begin(key: &str, begins: Begins) -> Proposal {
    let about = KEYS.iter().find(|known| known.name == key).map_or("", |known| known.about);
    let rest = match key {
        "rule" => {
            "rule: ${1:Name}\n  desc: ${2:What it detects}\n  condition: >\n    ${3:evt.type = execve and proc.name = sh}\n  \
             output: ${4:Something happened (proc=%proc.name)}\n  priority: ${5|WARNING,NOTICE,ERROR,CRITICAL,INFO|}\n  tags: [$6]"
        }
        "macro" => "macro: ${1:name}\n  condition: ${2:evt.type = open}",
        "list" => "list: ${1:name}\n  items: [$2]",
        "required_engine_version" => "required_engine_version: ${1:0.57.0}",
        _ => "required_plugin_versions:\n  - name: ${1:container}\n    version: ${2:0.4.0}",
    };
    let dash = if begins == Begins::Line { "- " } else { "" };
    Proposal::new(key, CompletionItemKind::KEYWORD, "item")
        .about(about)
        .snippet(format!("{dash}{rest}"))
}

fn key_proposal(name: &str, about: &str) -> Proposal {
    let snippet = match name {
        "exceptions" => {
            "exceptions:\n  - name: ${1:name}\n    fields: [$2]\n    values:\n    - [$3]".to_owned()
        }
        "override" => "override:\n  ${1:condition}: ${2|append,replace|}".to_owned(),
        "tags" | "items" | "fields" | "comps" => format!("{name}: [$1]"),
        _ => format!("{name}: $1"),
    };
    Proposal::new(name, CompletionItemKind::PROPERTY, "key").about(about).snippet(snippet)
}

fn named_keys(keys: &[(&str, &str)]) -> Vec<Proposal> {
    keys.iter().map(|(name, about)| key_proposal(name, about)).collect()
}

fn operator_proposal(word: &str) -> Proposal {
    let about = words::operator_page(word).unwrap_or_default();
    Proposal::new(word, CompletionItemKind::OPERATOR, "operator").about(about)
}

fn transformers(right: bool) -> impl Iterator<Item = Proposal> {
    let all = Transformer::ALL.iter().filter(move |it| right || **it != Transformer::Val);
    all.map(|it| {
        let word = it.as_str();
        let about = words::transformer_page(word).unwrap_or_default();
        Proposal::new(word, CompletionItemKind::METHOD, "transformer")
            .about(about)
            .snippet(format!("{word}($1)"))
    })
}

fn takes_boolean(key: &str) -> bool {
    matches!(key, "enabled" | "append" | "capture" | "warn_evttypes" | "skip-if-unknown-filter")
}

/// The end of a text that consists of such characters.
fn trailing(text: &str, of_word: impl Fn(char) -> bool) -> &str {
    let start = text.char_indices().rev().take_while(|(_, c)| of_word(*c)).last();
    start.map_or("", |(at, _)| text.get(at..).unwrap_or_default())
}

/// The entry that is being written in a list in brackets.
fn entry_of(before: &str) -> &str {
    let start = before.rfind(['[', ',', '"', '\'']).map_or(0, |at| at + 1);
    before.get(start..).unwrap_or_default().trim_start()
}

/// The entry that is being written in a map in braces.
fn item_of_map(before: &str) -> &str {
    let start = before.rfind(['{', ',']).map_or(0, |at| at + 1);
    before.get(start..).unwrap_or_default().trim_start()
}

/// Whether a word may be what is being typed: it contains the typed letters in their order.
fn fits(label: &str, typed: &str) -> bool {
    let mut rest = label.chars();
    typed.chars().all(|c| rest.any(|found| found.eq_ignore_ascii_case(&c)))
}
