//! Which lints are reported, and how.

use hashbrown::HashMap;

use super::lints::{Level, Lint};

/// A word names no lint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no lint `{0}`; a lint is named by its code (`L0401`), some by the beginning of theirs (`L04`), all by `all`"
)]
pub struct UnknownLint(pub String);

/// What is done about the findings of each lint.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    levels: HashMap<Lint, Level>,
}

impl Settings {
    /// Settings by words, as a command line has them: only some lints, then what is allowed and
    /// denied. Of two words for a lint the longer one counts, and of equal ones the denial.
    ///
    /// # Errors
    /// A word names no lint.
    pub fn of(select: &[String], allow: &[String], deny: &[String]) -> Result<Self, UnknownLint> {
        let mut settings = Self::default();
        if !select.is_empty() {
            settings.select(select)?;
        }
        let allow = allow.iter().map(|word| (word, Level::Allow));
        let mut words: Vec<_> = allow.chain(deny.iter().map(|word| (word, Level::Deny))).collect();
        words.sort_by_key(|(word, level)| {
            let len = if word.eq_ignore_ascii_case("all") { 0 } else { word.len() };
            (len, *level)
        });
        for (word, level) in words {
            settings.set(word, level)?;
        }
        Ok(settings)
    }

    /// The level of a lint.
    #[must_use]
    pub fn level(&self, lint: Lint) -> Level {
        self.levels.get(&lint).copied().unwrap_or_else(|| lint.default_level())
    }

    /// Sets the level of the lints that a word names: a code, the beginning of some, or `all`.
    /// `all` leaves those alone that are not reported by default.
    ///
    /// # Errors
    /// The word names no lint.
    pub fn set(&mut self, word: &str, level: Level) -> Result<(), UnknownLint> {
        let all = word.eq_ignore_ascii_case("all");
        for lint in named(word)? {
            if !all || level == Level::Allow || self.level(lint) != Level::Allow {
                self.levels.insert(lint, level);
            }
        }
        Ok(())
    }

    /// Reports only the lints that these words name, and those also if they are not reported by
    /// default.
    ///
    /// # Errors
    /// A word names no lint.
    pub fn select(&mut self, words: &[String]) -> Result<(), UnknownLint> {
        let mut selected = Vec::new();
        for word in words {
            selected.extend(named(word)?);
        }
        for lint in Lint::ALL {
            let level = match selected.contains(lint) {
                true => lint.default_level().max(Level::Warn),
                false => Level::Allow,
            };
            self.levels.insert(*lint, level);
        }
        Ok(())
    }
}

fn named(word: &str) -> Result<Vec<Lint>, UnknownLint> {
    let lints = Lint::named(word);
    if lints.is_empty() { Err(UnknownLint(word.to_owned())) } else { Ok(lints) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_set_levels() {
        let mut settings = Settings::default();
        settings.set("all", Level::Deny).unwrap();
        assert_eq!(settings.level(Lint::NameOnly), Level::Deny);
        assert_eq!(settings.level(Lint::Placeholder), Level::Allow);
        settings.set("L04", Level::Allow).unwrap();
        assert_eq!(settings.level(Lint::NameOnly), Level::Allow);
        settings.select(&["l0207".to_owned()]).unwrap();
        assert_eq!(settings.level(Lint::Placeholder), Level::Warn);
        assert_eq!(settings.level(Lint::NeverTrue), Level::Allow);
        assert!(settings.set("L9", Level::Deny).is_err());
    }

    #[test]
    fn the_longer_word_counts() {
        let words = |list: &[&str]| list.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let of = |allow: &[&str], deny: &[&str]| {
            Settings::of(&[], &words(allow), &words(deny)).unwrap().level(Lint::NameOnly)
        };
        assert_eq!(of(&["L0401"], &["all"]), Level::Allow);
        assert_eq!(of(&["L04"], &["L0401"]), Level::Deny);
        assert_eq!(of(&["L0401"], &["L0401"]), Level::Deny);
    }
}
