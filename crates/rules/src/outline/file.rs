//! The items of one file, as they are written.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use peregrine_diagnostics::{Label, Position, Source, Span};
use peregrine_yaml::{Map, Node, Value, parse};

use super::written::Written;
use crate::keys::Item;
use crate::{Place, legacy};

/// Most attempts to read the lines of an item before its first error.
const ATTEMPTS: usize = 4;

/// What has a name that others refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DefinitionKind {
    /// A list of values.
    List,
    /// A named condition.
    Macro,
    /// A rule.
    Rule,
}

impl DefinitionKind {
    /// `list`, `macro` or `rule`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.item().key()
    }

    fn item(self) -> Item {
        match self {
            Self::List => Item::List,
            Self::Macro => Item::Macro,
            Self::Rule => Item::Rule,
        }
    }
}

/// How an item relates to earlier items of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Defines it, anew if it exists.
    Define,
    /// Appends to it by `append: true`.
    Append,
    /// Changes some keys of it by `override`.
    Override,
    /// Enables or disables it.
    Enable,
}

/// What `override` does with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `append`
    Append,
    /// `replace`
    Replace,
}

/// An item of a file that has a name.
#[derive(Clone, Debug)]
pub struct OutlineItem {
    /// What it defines or changes.
    pub kind: DefinitionKind,
    /// Its name.
    pub name: Written,
    /// What it does to earlier items of this name.
    pub effect: Effect,
    /// All of it, from its dash to the end of its last value.
    pub range: Range<usize>,
    /// Its keys with their values, in source order.
    pub keys: Vec<OutlineKey>,
    /// `condition`
    pub condition: Option<Written>,
    /// `output`
    pub output: Option<Written>,
    /// `desc`
    pub description: Option<Written>,
    /// `items` of a list.
    pub items: Vec<Written>,
    /// `tags` of a rule.
    pub tags: Vec<Written>,
    /// `exceptions` of a rule.
    pub exceptions: Vec<OutlineException>,
    /// `override`, by key.
    pub operations: Vec<(String, Operation)>,
}

/// A key of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutlineKey {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub range: Range<usize>,
    /// The bytes of its value.
    pub value: Range<usize>,
    /// The value, if it is a scalar.
    pub text: Option<String>,
}

/// An exception of a rule.
#[derive(Clone, Debug)]
pub struct OutlineException {
    /// Its name, if it has one.
    pub name: Option<Written>,
    /// All of it.
    pub range: Range<usize>,
    /// `fields`
    pub fields: Vec<Written>,
    /// `comps`
    pub comps: Vec<Written>,
    /// Scalars in `values`, at any depth.
    pub values: Vec<Written>,
    /// Bytes of each entry of `values`.
    pub tuples: Vec<Range<usize>>,
}

impl OutlineItem {
    /// The first key of this name.
    #[must_use]
    pub fn key(&self, name: &str) -> Option<&OutlineKey> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// What the item does with this key of an earlier item: `None` if it defines the key.
    #[must_use]
    pub fn operation(&self, key: &str) -> Option<Operation> {
        match self.effect {
            Effect::Define | Effect::Enable => None,
            Effect::Append => Some(Operation::Append),
            Effect::Override => {
                let of_key =
                    |(name, operation): &(String, Operation)| (name == key).then_some(*operation);
                self.operations.iter().find_map(of_key)
            }
        }
    }
}

/// The items of a file.
#[derive(Debug)]
pub struct FileOutline {
    source: Arc<Source>,
    items: Vec<OutlineItem>,
    /// Offset of the start of each line, computed when it is needed.
    lines: OnceLock<Vec<usize>>,
}

impl FileOutline {
    /// The items of a file that has been read without errors.
    pub(crate) fn of(source: Arc<Source>, documents: &[Node]) -> Self {
        let items = documents.iter().flat_map(|node| items_of(&source.text, node)).collect();
        Self { source, items, lines: OnceLock::new() }
    }

    /// Reads a file. Where it is not YAML, items before and after the error are read.
    #[must_use]
    pub fn read(source: Arc<Source>) -> Self {
        let Source { name, text } = &*source;
        let items = if legacy::is_legacy(name, text) {
            let place = Place::file(Arc::clone(&source));
            let document = legacy::document(&place, &mut Vec::new());
            document.iter().flat_map(|document| items_of(text, document)).collect()
        } else {
            match parse(text) {
                Ok(documents) => documents.iter().flat_map(|node| items_of(text, node)).collect(),
                Err(_) => readable(text),
            }
        };
        Self { source, items, lines: OnceLock::new() }
    }

    /// The file.
    #[must_use]
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// Its items that have names, in source order.
    #[must_use]
    pub fn items(&self) -> &[OutlineItem] {
        &self.items
    }

    /// A part of the file, for messages.
    #[must_use]
    pub fn label(&self, range: Range<usize>) -> Label {
        let span = Span { start: self.position(range.start), end: self.position(range.end) };
        Label { source: Arc::clone(&self.source), span }
    }

    /// The item that a byte lies in.
    #[must_use]
    pub fn item_at(&self, offset: usize) -> Option<&OutlineItem> {
        let after = self.items.partition_point(|item| item.range.start <= offset);
        self.items.get(after.checked_sub(1)?).filter(|item| offset <= item.range.end)
    }

    /// The comment lines directly above an item, without their `#`.
    #[must_use]
    pub fn comment(&self, item: &OutlineItem) -> Option<String> {
        let above = self.source.text.get(..item.range.start)?;
        let above = above.get(..above.rfind('\n')?)?;
        let comment = |line: &str| Some(line.trim().strip_prefix('#')?.trim().to_owned());
        let mut lines: Vec<String> = above.lines().rev().map_while(comment).collect();
        lines.reverse();
        let text = lines.join("\n");
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    fn position(&self, offset: usize) -> Position {
        let text = self.source.text.as_str();
        let offset = text.floor_char_boundary(offset);
        let starts = self.lines.get_or_init(|| {
            let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
            std::iter::once(0).chain(breaks.map(|(at, _)| at + 1)).collect()
        });
        let line = starts.partition_point(|start| *start <= offset).saturating_sub(1);
        let start = starts.get(line).copied().unwrap_or_default();
        Position { offset, line, column: offset - start }
    }
}

/// Bytes of the items at the top of a text: each begins with a dash in the column of the first one.
#[must_use]
pub(crate) fn chunks(text: &str) -> Vec<Range<usize>> {
    let dash = |line: &str| {
        let rest = line.trim_start_matches(' ');
        let is_item = rest.strip_prefix('-').is_some_and(|rest| {
            rest.trim_end_matches(['\r', '\n']).is_empty() || rest.starts_with([' ', '\t'])
        });
        is_item.then(|| line.len() - rest.len())
    };
    let (mut starts, mut column, mut at) = (Vec::new(), None, 0);
    for line in text.split_inclusive('\n') {
        if let Some(found) = dash(line)
            && *column.get_or_insert(found) >= found
        {
            starts.push(at);
        }
        at += line.len();
    }
    let ends = starts.iter().copied().skip(1).chain([text.len()]);
    starts.iter().copied().zip(ends).map(|(start, end)| start..end).collect()
}

/// The items of a text that is not YAML as a whole, read one by one.
fn readable(text: &str) -> Vec<OutlineItem> {
    let mut items = Vec::new();
    let mut line = 0;
    let mut counted = 0;
    for chunk in chunks(text) {
        line += lines_in(text.get(counted..chunk.start).unwrap_or_default());
        counted = chunk.start;
        let mut part = text.get(chunk.clone()).unwrap_or_default();
        for _ in 0..ATTEMPTS {
            match parse(part) {
                Ok(mut documents) => {
                    documents.iter_mut().for_each(|node| shift(node, chunk.start, line));
                    items.extend(documents.iter().flat_map(|node| items_of(text, node)));
                    break;
                }
                Err(error) => {
                    let before = part.get(..error.at.offset.min(part.len())).unwrap_or_default();
                    // Less than before, so that each attempt is another one.
                    let before = before.trim_end();
                    part =
                        before.get(..before.rfind('\n').map_or(0, |at| at + 1)).unwrap_or_default();
                }
            }
        }
    }
    items
}

fn lines_in(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

/// Moves a node that was read from a part of a text.
fn shift(node: &mut Node, offset: usize, line: usize) {
    for position in [&mut node.start, &mut node.end] {
        position.offset += offset;
        position.line += line;
    }
    match &mut node.value {
        Value::Null | Value::Scalar { .. } => {}
        Value::Seq(items) => items.iter_mut().for_each(|item| shift(item, offset, line)),
        Value::Map(Map(entries)) => {
            for (key, value) in entries {
                shift(key, offset, line);
                shift(value, offset, line);
            }
        }
    }
}

fn items_of(text: &str, document: &Node) -> Vec<OutlineItem> {
    document.items().iter().filter_map(|node| item(text, node)).collect()
}

fn item(text: &str, node: &Node) -> Option<OutlineItem> {
    let kind = match Item::ALL.into_iter().find(|item| node.get(item.key()).is_some())? {
        Item::EngineVersion | Item::PluginVersions => return None,
        Item::List => DefinitionKind::List,
        Item::Macro => DefinitionKind::Macro,
        Item::Rule => DefinitionKind::Rule,
    };
    let scalar = |key: &str| Written::of(text, node.get(key)?);
    let scalars = |key: &str| scalars(text, node.get(key));
    let name = scalar(kind.name()).filter(|name| !name.text.is_empty())?;
    let operations = node.get("override").map(operations).unwrap_or_default();
    let defines =
        ["condition", "output", "desc", "priority"].iter().any(|key| node.get(key).is_some());
    let appends = node.get("append").and_then(Node::as_bool) == Some(true);
    let effect = match (operations.is_empty(), appends) {
        (false, _) => Effect::Override,
        (true, true) => Effect::Append,
        (true, false) if kind == DefinitionKind::Rule && !defines => Effect::Enable,
        (true, false) => Effect::Define,
    };
    let exceptions = node.get("exceptions").map(Node::items).unwrap_or_default();
    Some(OutlineItem {
        kind,
        name,
        effect,
        range: range_with_dash(text, node),
        keys: node.entries().iter().filter_map(|(name, value)| key(text, name, value)).collect(),
        condition: scalar("condition"),
        output: scalar("output"),
        description: scalar("desc"),
        items: scalars("items"),
        tags: scalars("tags"),
        exceptions: exceptions.iter().map(|node| exception(text, node)).collect(),
        operations,
    })
}

fn key(text: &str, name: &Node, value: &Node) -> Option<OutlineKey> {
    Some(OutlineKey {
        name: name.as_str()?.to_owned(),
        range: range(text, name),
        value: range(text, value),
        text: value.as_str().map(str::to_owned),
    })
}

fn operations(node: &Node) -> Vec<(String, Operation)> {
    let operation = |(key, value): &(Node, Node)| {
        let operation = match value.as_str()? {
            "append" => Operation::Append,
            "replace" => Operation::Replace,
            _ => return None,
        };
        Some((key.as_str()?.to_owned(), operation))
    };
    node.entries().iter().filter_map(operation).collect()
}

fn exception(text: &str, node: &Node) -> OutlineException {
    let values = node.get("values");
    let tuples = values.map(Node::items).unwrap_or_default();
    OutlineException {
        name: node.get("name").and_then(|name| Written::of(text, name)),
        range: range_with_dash(text, node),
        fields: scalars(text, node.get("fields")),
        comps: scalars(text, node.get("comps")),
        values: scalars(text, values),
        tuples: tuples.iter().map(|tuple| range(text, tuple)).collect(),
    }
}

/// All scalars of a node: itself, or those in its sequences.
fn scalars(text: &str, node: Option<&Node>) -> Vec<Written> {
    let mut found = Vec::new();
    // The parser bounds the nesting.
    fn collect(text: &str, node: &Node, found: &mut Vec<Written>) {
        found.extend(Written::of(text, node));
        node.items().iter().for_each(|item| collect(text, item, found));
    }
    if let Some(node) = node {
        collect(text, node, &mut found);
    }
    found
}

/// The bytes of a node without blanks at its end.
fn range(text: &str, node: &Node) -> Range<usize> {
    let start = node.start.offset.min(text.len());
    let written = text.get(start..node.end.offset.min(text.len())).unwrap_or_default();
    start..start + written.trim_end().len()
}

fn range_with_dash(text: &str, node: &Node) -> Range<usize> {
    let Range { start, end } = range(text, node);
    let before = text.get(..start).unwrap_or_default().trim_end_matches([' ', '\t']);
    let start = if before.ends_with('-') { before.len() - 1 } else { start };
    start..end
}
