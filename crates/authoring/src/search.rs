//! Searches names and descriptions for words.

use crate::columns::columns;

/// Most results that are listed.
const SHOWN: usize = 40;

/// How well a name and its description answer all words: the more, the better. `None` when a word
/// occurs in neither. A word that is a part of the name between dots counts most.
pub(crate) fn score(words: &[String], name: &str, description: &str) -> Option<u32> {
    let (name, description) = (name.to_lowercase(), description.to_lowercase());
    let letters = |c: char| !(c.is_alphanumeric() || c == '_');
    words
        .iter()
        .map(|word| {
            let word = word.to_lowercase();
            let parts = || name.split(['.', '_', '[', ']']);
            if name == word {
                return Some(32);
            }
            if parts().any(|part| part == word) {
                return Some(16);
            }
            if name.contains(&word) {
                return Some(8);
            }
            let mut told = description.split(letters);
            if told.clone().any(|told| told == word) {
                return Some(4);
            }
            if word.len() > 2 && told.any(|told| told.starts_with(&word)) {
                return Some(2);
            }
            // One letter wrong in a longer word.
            (word.len() > 3 && parts().any(|part| strsim::osa_distance(part, &word) == 1))
                .then_some(1)
        })
        .sum()
}

/// The names, each with its description, that answer all words: the best first, equally good ones
/// by their length.
pub(crate) fn best<'i>(
    words: &[String],
    items: impl Iterator<Item = (&'i str, &'i str)>,
) -> Vec<(&'i str, &'i str)> {
    let scored = items.filter_map(|(name, told)| Some((score(words, name, told)?, name, told)));
    let mut found: Vec<_> = scored.collect();
    found.sort_by_key(|(score, name, _)| (std::cmp::Reverse(*score), name.len(), *name));
    found.into_iter().map(|(_, name, told)| (name, told)).collect()
}

/// These names with their descriptions, as text.
pub(crate) fn listing(found: &[(&str, &str)]) -> String {
    let shown = found.iter().take(SHOWN);
    let mut list: String = shown.map(|(name, told)| columns(name, told)).collect();
    if found.len() > SHOWN {
        list += &format!("and {} more\n", found.len() - SHOWN);
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_count_more_than_descriptions() {
        let words = ["parent".to_owned()];
        let name = score(&words, "proc.parent", "x");
        let told = score(&words, "proc.pname", "The name of the parent process.");
        assert!(name > told && told > Some(0));
        assert_eq!(score(&words, "fd.name", "The name of the fd."), None);
        assert!(score(&["conatiner".to_owned()], "container.id", "").is_some());
        assert_eq!(score(&["x".to_owned(), "parent".to_owned()], "proc.parent", "y"), None);
    }
}
