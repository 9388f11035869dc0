//! Keys of falco.yaml: what they are, and which may be written at a place.

use std::collections::BTreeMap;

use ls_types::{
    CompletionItem, CompletionItemKind, CompletionTextEdit, Documentation, MarkupContent,
    MarkupKind, TextEdit,
};
use peregrine_config::reference;

use crate::cursor::{Place, cursor};
use crate::text::Text;

/// The keys that may be written at a byte.
pub(crate) fn completion(text: &Text, offset: usize) -> Vec<CompletionItem> {
    let cursor = cursor(text.as_str(), 0, offset);
    let word = match cursor.place {
        Place::Key { word, .. } => word,
        // The first key of an entry of a sequence.
        Place::Value { before, start, entry: true } => start..start + before.len(),
        Place::Value { .. } => return Vec::new(),
    };
    let typed = text.get(word.clone());
    let path = cursor.path.join(".");
    let mut keys: BTreeMap<String, String> = BTreeMap::new();
    for row in reference() {
        let key = row.key.replace("[]", "").replace("{}", "");
        let Some(rest) = below(&key, &path) else { continue };
        let name = rest.split('.').next().unwrap_or_default().to_owned();
        let about = match rest.contains('.') {
            true => String::new(),
            false => format!("{}\n\nDefault: `{}`", row.about, row.default),
        };
        let known = keys.entry(name).or_default();
        if known.is_empty() {
            *known = about;
        }
    }
    let range = text.range(word);
    let item = |(name, about): (String, String)| CompletionItem {
        kind: Some(CompletionItemKind::PROPERTY),
        documentation: Some(markdown(about)),
        text_edit: Some(CompletionTextEdit::Edit(TextEdit {
            range,
            new_text: format!("{name}: "),
        })),
        label: name,
        ..CompletionItem::default()
    };
    keys.into_iter().filter(|(name, _)| name.starts_with(typed)).map(item).collect()
}

/// Markdown about the key that a byte lies in.
pub(crate) fn hover(text: &Text, offset: usize) -> Option<(String, std::ops::Range<usize>)> {
    let line = text.line_of(offset);
    let start = text.line_start(line);
    let content = text.line(line);
    let indent = content.len() - content.trim_start_matches([' ', '-']).len();
    let length = content.get(indent..)?.find(':')?;
    let word = start + indent..start + indent + length;
    if !(word.start <= offset && offset <= word.end) {
        return None;
    }
    let path = cursor(text.as_str(), 0, word.end + 1).path.join(".");
    let row =
        reference().into_iter().find(|row| row.key.replace("[]", "").replace("{}", "") == path)?;
    Some((format!("**`{}`**\n\n{}\n\nDefault: `{}`", row.key, row.about, row.default), word))
}

/// The rest of a key that lies below a section.
fn below<'k>(key: &'k str, path: &str) -> Option<&'k str> {
    match path.is_empty() {
        true => Some(key),
        false => key.strip_prefix(path)?.strip_prefix('.'),
    }
}

fn markdown(value: String) -> Documentation {
    Documentation::MarkupContent(MarkupContent { kind: MarkupKind::Markdown, value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Encoding;

    fn at(text: &str) -> (Text, usize) {
        let at = text.find('¦').unwrap();
        (Text::new(text.replacen('¦', "", 1), Encoding::Utf16), at)
    }

    #[test]
    fn keys_of_a_section_are_proposed() {
        let labels = |text: &str| {
            let (text, at) = at(text);
            let items = completion(&text, at);
            items.into_iter().map(|item| item.label).collect::<Vec<_>>()
        };
        assert!(labels("json_o¦").contains(&"json_output".to_owned()));
        assert!(labels("engine:\n  ¦").contains(&"kind".to_owned()));
        assert!(labels("engine:\n  modern_ebpf:\n    b¦").contains(&"buf_size_preset".to_owned()));
        assert!(labels("json_output: ¦").is_empty());
    }

    #[test]
    fn keys_have_pages() {
        let (text, at) = at("engine:\n  ki¦nd: kmod\n");
        let (page, _) = hover(&text, at).unwrap();
        assert!(page.contains("engine.kind"), "{page}");
    }
}
