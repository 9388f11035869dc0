//! Suggestions for names that do not exist.

/// The name that differs least, unless all differ in half of their letters or more.
pub(crate) fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distances = names.into_iter().map(|name| (strsim::osa_distance(word, name), name));
    let (distance, name) = distances.min()?;
    (distance * 2 < name.len().max(word.len())).then_some(name)
}

/// The end of an error message.
pub(crate) fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean {name}?"))
}
