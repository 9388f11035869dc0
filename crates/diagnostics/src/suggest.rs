//! "Did you mean": the nearest of several names.

/// The entry of `names` closest to `word`, if close enough to be meant: a slip for each three
/// letters of the shorter one. Case, `_` and `-` do not count as slips. Of several, the one with
/// the same first letter is meant.
#[must_use]
pub fn closest<'n>(word: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let word = Folded::new(word);
    names
        .filter_map(|name| Some((word.slips(name)?, name)))
        .min_by_key(|&(slips, _)| slips)
        .map(|(_, name)| name)
}

/// A word in lower case and without separators.
struct Folded(String);

impl Folded {
    fn new(word: &str) -> Self {
        // The cost grows with the product of the lengths.
        const LONGEST: usize = 64;
        let letters = word.chars().filter(|c| !matches!(c, '_' | '-')).take(LONGEST);
        Self(letters.flat_map(char::to_lowercase).collect())
    }

    /// Number of slips, then whether the first letter differs; `None` for another word.
    fn slips(&self, name: &str) -> Option<(usize, bool)> {
        let (word, name) = (&self.0, &Self::new(name).0);
        let shorter = word.len().min(name.len());
        let limit = match shorter {
            0..3 => 0,
            shorter => shorter / 3,
        };
        if word.len().abs_diff(name.len()) > limit {
            return None;
        }
        let slips = strsim::osa_distance(word, name);
        (slips <= limit).then(|| (slips, word.chars().next() != name.chars().next()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_within_a_third_of_its_letters() {
        let names = || ["rule", "condition", "priority", "shell_binaries"].into_iter();
        assert_eq!(closest("conditon", names()), Some("condition"));
        assert_eq!(closest("Priority", names()), Some("priority"));
        assert_eq!(closest("ruel", names()), Some("rule"));
        assert_eq!(closest("shell-binaries", names()), Some("shell_binaries"));
        assert_eq!(closest("colour", names()), None);
    }

    #[test]
    fn another_word_is_not_suggested() {
        assert_eq!(closest("openwrite", ["pwrite", "open"].into_iter()), None);
        assert_eq!(closest("openwrite", ["pwrite", "open_write"].into_iter()), Some("open_write"));
        assert_eq!(closest("ab", ["ac"].into_iter()), None);
    }
}
