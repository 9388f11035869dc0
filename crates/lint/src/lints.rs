//! All lints, with their codes and what is done about them by default.

use std::fmt;

/// What is done about the findings of a lint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// They are not reported.
    Allow,
    /// They are reported as warnings.
    Warn,
    /// They are reported as errors.
    Deny,
}

macro_rules! lints {
    ($($(#[$doc:meta])* $variant:ident = $code:literal $level:ident: $title:literal,)+) => {
        /// A kind of finding.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs, reason = "the titles say it")]
        pub enum Lint { $($variant,)+ }

        impl Lint {
            /// All lints, in the order of their codes.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// Its code, such as `L0101`, which never changes its meaning.
            #[must_use]
            pub fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// A few words.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)+ }
            }

            /// What is done about its findings if nothing else is asked for.
            #[must_use]
            pub fn default_level(self) -> Level {
                match self { $(Self::$variant => Level::$level,)+ }
            }
        }
    };
}

lints! {
    UnknownAllow = "L0001" Warn: "`lint: allow` names no lint",
    UnneededAllow = "L0002" Warn: "`lint: allow` that silences nothing",

    NeverTrue = "L0101" Deny: "a rule that can never match",
    DeadPart = "L0102" Warn: "a part of a condition that can never be true",
    RedundantPart = "L0103" Warn: "a part of a condition that changes nothing",
    MixedAndOr = "L0104" Warn: "`and` inside `or` without parentheses",
    DuplicateItem = "L0105" Warn: "a value twice in a list",
    CoveredItem = "L0106" Warn: "a value that another value of the list covers",
    EmptyTemplate = "L0107" Warn: "a rule that waits for a list or macro to be filled",
    ImpossibleValue = "L0108" Deny: "a value that the field never has",
    NameTooLong = "L0109" Deny: "a process name of more than 15 bytes",
    PathForm = "L0110" Warn: "a path in another form than that of the field",

    Unreachable = "L0201" Deny: "a rule that an earlier rule hides",
    DeadException = "L0202" Warn: "an exception that never applies",
    EmptyException = "L0203" Warn: "an exception without values",
    Unused = "L0204" Warn: "a list or macro that no rule uses",
    Overwritten = "L0205" Warn: "a definition that a later one replaces",
    DisabledRule = "L0206" Warn: "a rule that is never evaluated",
    Placeholder = "L0207" Allow: "a placeholder that is not filled",

    AllEvents = "L0301" Warn: "a rule that is evaluated for nearly every event",
    SlowPattern = "L0302" Warn: "a pattern that a cheaper operator can replace",
    AncestorWalk = "L0303" Warn: "a search of all ancestors on frequent events",

    NameOnly = "L0401" Warn: "a detection that rests on names which the process chooses",
    NameException = "L0402" Warn: "an exclusion that any process can meet",
    CommandLine = "L0403" Warn: "a detection that rests on the spelling of a command line",
    UnresolvedPath = "L0404" Warn: "a detection that links lead around",
    RawPath = "L0405" Warn: "an absolute path compared with a path as it was passed",
    TwinSyscalls = "L0406" Warn: "a system call that does the same is not watched",
    ImagePattern = "L0407" Warn: "an image excluded by a part of its name",
    OpenPrefix = "L0408" Warn: "an excluded directory without its slash",
    ContainerUser = "L0409" Warn: "an exclusion by a user name that the container defines",
    DirectParent = "L0410" Warn: "a detection that a second fork leads around",
    MountOfPart = "L0411" Warn: "a mount that a mount of its parent directory leads around",
    IoUring = "L0412" Warn: "operations through io_uring are not watched",

    NoTactic = "L0501" Warn: "a rule without a MITRE ATT&CK tag",
    UnknownTactic = "L0502" Warn: "a MITRE ATT&CK tag that does not exist",
    MissingFields = "L0503" Warn: "an output without the fields that triage needs",
    NoDescription = "L0504" Warn: "a rule without a description",

    NotPortable = "L0601" Warn: "something that Falco refuses or reads differently",
    EngineVersion = "L0602" Warn: "a required engine version that is too low",
}

impl Lint {
    /// The lint with this code, in any case.
    #[must_use]
    pub fn of_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|lint| lint.code().eq_ignore_ascii_case(code))
    }

    /// The lints that a word names: a code, the beginning of some (`L04`), or `all`.
    #[must_use]
    pub fn named(word: &str) -> Vec<Self> {
        let word = word.to_ascii_uppercase();
        let all = Self::ALL.iter().copied();
        match &*word {
            "ALL" => all.collect(),
            prefix if prefix.len() >= 2 => {
                all.filter(|lint| lint.code().starts_with(prefix)).collect()
            }
            _ => Vec::new(),
        }
    }
}

impl fmt::Display for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_ordered() {
        assert!(Lint::ALL.is_sorted_by(|a, b| a.code() < b.code()));
    }

    #[test]
    fn words_name_lints() {
        assert_eq!(Lint::named("l0101"), [Lint::NeverTrue]);
        assert!(Lint::named("L04").len() > 5);
        assert_eq!(Lint::named("all").len(), Lint::ALL.len());
        assert!(Lint::named("X").is_empty() && Lint::named("L").is_empty());
    }
}
