//! "Did you mean": the nearest of several names.

/// The entry of `names` closest to `word`, if close enough to be meant.
#[must_use]
pub fn closest<'n>(word: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    names
        .map(|name| (distance(word, name), name))
        .filter(|&(distance, name)| distance <= name.len().max(word.len()).div_ceil(3))
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, name)| name)
}

/// Edit distance of two words.
fn distance(a: &str, b: &str) -> usize {
    // The cost grows with the product of the lengths.
    const LONGEST: usize = 64;
    let cut = |word: &str| word.to_lowercase().chars().take(LONGEST).collect::<String>();
    strsim::levenshtein(&cut(a), &cut(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_within_a_third_of_its_letters() {
        let names = || ["rule", "condition", "priority"].into_iter();
        assert_eq!(closest("conditon", names()), Some("condition"));
        assert_eq!(closest("Priority", names()), Some("priority"));
        assert_eq!(closest("ruel", names()), Some("rule"));
        assert_eq!(closest("colour", names()), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
