//! Lists of items, semantic tokens and folding.

use ls_types::{
    DocumentSymbol, FoldingRange, FoldingRangeKind, SemanticToken, SemanticTokenType, SymbolKind,
    WorkspaceSymbol,
};
use peregrine_filter::{TokenKind, scan};
use peregrine_rules::{DefinitionKind, Effect, OutlineItem, Written};

use crate::snapshot::Snapshot;
use crate::symbol::output_fields;
use crate::text::Text;

/// Most symbols of the workspace that are shown.
const MOST: usize = 500;

/// The types of semantic tokens, in the order of their numbers.
pub(crate) const TOKEN_TYPES: [SemanticTokenType; 8] = [
    SemanticTokenType::KEYWORD,
    SemanticTokenType::PROPERTY,
    SemanticTokenType::OPERATOR,
    SemanticTokenType::MACRO,
    SemanticTokenType::FUNCTION,
    SemanticTokenType::STRING,
    SemanticTokenType::VARIABLE,
    SemanticTokenType::PARAMETER,
];

fn symbol_kind(kind: DefinitionKind) -> SymbolKind {
    match kind {
        DefinitionKind::List => SymbolKind::ARRAY,
        DefinitionKind::Macro => SymbolKind::FUNCTION,
        DefinitionKind::Rule => SymbolKind::EVENT,
    }
}

fn detail(item: &OutlineItem) -> String {
    let effect = match item.effect {
        Effect::Define => "",
        Effect::Append => " (append)",
        Effect::Override => " (override)",
        Effect::Enable => " (enable)",
    };
    let priority = item.key("priority").and_then(|key| key.text.as_deref()).unwrap_or_default();
    format!("{}{effect} {priority}", item.kind.name()).trim_end().to_owned()
}

/// The items of a file.
pub(crate) fn document(snapshot: &Snapshot, file: usize) -> Vec<DocumentSymbol> {
    let Some(text) = snapshot.files.get(file).map(|file| &file.text) else { return Vec::new() };
    let symbol = |(id, item): (peregrine_rules::ItemId, &OutlineItem)| {
        let spot = snapshot.spot(id.file, item.range.clone()).filter(|spot| spot.file == file)?;
        let name = snapshot.spot(id.file, item.name.range.clone())?;
        #[allow(deprecated, reason = "the type has the field")]
        Some(DocumentSymbol {
            name: item.name.text.clone(),
            detail: Some(detail(item)),
            kind: symbol_kind(item.kind),
            tags: None,
            deprecated: None,
            range: text.range(spot.range),
            selection_range: text.range(name.range),
            children: None,
        })
    };
    snapshot.items().filter_map(symbol).collect()
}

/// The items of all files whose names contain a text.
pub(crate) fn workspace(snapshot: &Snapshot, query: &str) -> Vec<WorkspaceSymbol> {
    let query = query.to_lowercase();
    let found = snapshot.items().filter(|(_, item)| item.name.text.to_lowercase().contains(&query));
    let symbol = |(id, item): (peregrine_rules::ItemId, &OutlineItem)| {
        let location = snapshot.location(&snapshot.spot(id.file, item.name.range.clone())?)?;
        Some(WorkspaceSymbol {
            name: item.name.text.clone(),
            kind: symbol_kind(item.kind),
            tags: None,
            container_name: Some(detail(item)),
            location: ls_types::OneOf::Left(location),
            data: None,
        })
    };
    found.filter_map(symbol).take(MOST).collect()
}

/// The items of a file as ranges that can be folded.
pub(crate) fn folding(snapshot: &Snapshot, file: usize) -> Vec<FoldingRange> {
    let symbols = document(snapshot, file).into_iter();
    symbols
        .filter(|symbol| symbol.range.end.line > symbol.range.start.line)
        .map(|symbol| FoldingRange {
            start_line: symbol.range.start.line,
            end_line: symbol.range.end.line,
            kind: Some(FoldingRangeKind::Region),
            ..FoldingRange::default()
        })
        .collect()
}

/// The tokens of conditions and outputs within some bytes of a file.
pub(crate) fn tokens(
    snapshot: &Snapshot,
    file: usize,
    within: &std::ops::Range<usize>,
) -> Vec<SemanticToken> {
    let Some(text) = snapshot.files.get(file).map(|file| &file.text) else { return Vec::new() };
    let mut found: Vec<(std::ops::Range<usize>, u32)> = Vec::new();
    for (id, item) in snapshot.items() {
        let inside = snapshot.spot(id.file, item.range.clone()).is_some_and(|spot| {
            spot.file == file && spot.range.start < within.end && within.start < spot.range.end
        });
        if !inside {
            continue;
        }
        let mut add = |written: &Written, part, kind| {
            let spot = written.in_file(part).and_then(|range| snapshot.spot(id.file, range));
            found.extend(spot.map(|spot| (spot.range, kind)));
        };
        if let Some(condition) = &item.condition {
            for token in scan(&condition.text).tokens {
                let word = condition.text.get(token.range.clone()).unwrap_or_default();
                if let Some(kind) = token_type(snapshot, token.kind, word) {
                    add(condition, token.range, kind);
                }
            }
        }
        if let Some(output) = &item.output {
            output_fields(&output.text).into_iter().for_each(|range| add(output, range, 1));
        }
    }
    found.sort_by_key(|(range, _)| range.start);
    encode(text, &found)
}

fn token_type(snapshot: &Snapshot, kind: TokenKind, word: &str) -> Option<u32> {
    let is_list = || !snapshot.outline.named(DefinitionKind::List, word).is_empty();
    match kind {
        TokenKind::Keyword => Some(0),
        TokenKind::Field => Some(1),
        TokenKind::Operator => Some(2),
        TokenKind::Macro => Some(3),
        TokenKind::Transformer => Some(4),
        TokenKind::Value if is_list() => Some(6),
        TokenKind::Value | TokenKind::Quoted => Some(5),
        TokenKind::FieldArgument => Some(7),
        TokenKind::Punctuation | TokenKind::Unknown => None,
    }
}

/// Places relative to the token before, as the protocol has them. Tokens that span lines are left
/// out.
fn encode(text: &Text, found: &[(std::ops::Range<usize>, u32)]) -> Vec<SemanticToken> {
    let mut tokens = Vec::with_capacity(found.len());
    let (mut line, mut column) = (0, 0);
    for (range, token_type) in found {
        let (start, end) = (text.position(range.start), text.position(range.end));
        if start.line != end.line || (start.line, start.character) < (line, column) {
            continue;
        }
        let delta_line = start.line - line;
        let delta_start = if delta_line == 0 { start.character - column } else { start.character };
        let length = end.character - start.character;
        let token_type = *token_type;
        tokens.push(SemanticToken {
            delta_line,
            delta_start,
            length,
            token_type,
            token_modifiers_bitset: 0,
        });
        (line, column) = (start.line, start.character);
    }
    tokens
}
