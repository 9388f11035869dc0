//! The codes of problems of tests, one for each cause.

use peregrine_diagnostics::{Label, Problem};

/// Declares the causes: identifier, code, meaning and remedy.
macro_rules! causes {
    ($($(#[doc = $meaning:literal])+ $name:ident = $code:literal, $remedy:literal;)*) => {
        /// Why a test cannot be run. The codes are stable and never reused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Cause { $($(#[doc = $meaning])+ $name,)* }

        impl Cause {
            /// All causes, in the order of their codes.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The code, such as `T0201`.
            #[must_use]
            pub fn id(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// What it means.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($meaning),+).trim_ascii(),)* }
            }

            /// What it means, in a few words.
            #[must_use]
            pub fn title(self) -> &'static str {
                let meaning = self.meaning();
                let end = meaning.find(['.', ':']).unwrap_or(meaning.len());
                meaning.get(..end).unwrap_or(meaning)
            }

            /// What to do about it.
            #[must_use]
            pub fn remedy(self) -> &'static str {
                match self { $(Self::$name => $remedy,)* }
            }
        }
    };
}

causes! {
    /// The file is not valid YAML.
    Yaml = "T0001", "correct the YAML at the place that is shown";
    /// A value has the wrong form: a text where a map is needed, or a map where a text is needed.
    Form = "T0002", "write the value in the form that the message names";
    /// A test has a key that tests do not have.
    UnknownKey = "T0101", "remove the key, or correct its name";
    /// A test lacks a key that every test needs.
    MissingKey = "T0102", "add the key";
    /// A test names its rules under `rule`. Falco would read such an item as a rule.
    RuleKey = "T0103", "name the rules of a test under `rules`";
    /// Two keys of a test contradict each other.
    Contradiction = "T0104", "remove one of the two";
    /// A `${…}` names no variable of `for_each`, or `for_each` has no values for one.
    Variable = "T0105", "define the variable under `for_each`, or write `$${` for a literal `${`";
    /// An event has a field that does not exist.
    UnknownField = "T0201", "use a field of `peregrine fields`";
    /// An event has no `evt.type`.
    NoEventType = "T0202", "add `evt.type`";
    /// No event has this type.
    UnknownEventType = "T0203", "use a type of `peregrine events`";
    /// Events of this type have no such parameter.
    UnknownParameter = "T0204", "use a parameter of the event's page in `peregrine events`";
    /// A value is none of the values that its field or parameter can have.
    Value = "T0205", "write a value of the field's type";
    /// No event can give the field this value, given all else that the test says.
    Impossible = "T0301", "give the values that the field follows from, or leave the field out";
    /// A capture cannot be read.
    Capture = "T0401", "name a capture file beside the test, or below the directory given with --captures";
    /// A capture has no event that the test names.
    NoEvent = "T0402", "correct the number or the condition";
    /// No rule has this name.
    UnknownRule = "T0501", "correct the name, or load the file that defines the rule";
    /// The rule is about events that tests can't make.
    OtherSource = "T0502", "test rules of the source `syscall`: tests give system calls, and no other events";
    /// The output of the rule has no such field.
    UnknownOutputField = "T0503", "use a field that is in the output of the rule";
    /// A limit is reached.
    Limit = "T0601", "make the test smaller, or split it";
}

/// Examples, each headed by `@@` and a code; the mended one by `@ mended`.
const EXAMPLES: &str = include_str!("examples.txt");

impl Cause {
    /// A test with this problem, and the same test mended, which is empty where the remedy is not
    /// in the test. `None` for problems without a short example.
    #[must_use]
    pub fn example(self) -> Option<(&'static str, &'static str)> {
        let mut examples = EXAMPLES.split("@@ ");
        let example = examples.find_map(|it| it.strip_prefix(self.id()))?.trim_start();
        Some(example.split_once("@ mended\n").unwrap_or((example, "")))
    }

    /// A problem with this cause at a place. Its help is the general remedy.
    pub(crate) fn at(self, label: &Label, message: impl Into<String>) -> Problem {
        Problem::error(self.id(), message).at(label.clone()).help(self.remedy())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_different_and_in_order() {
        assert!(Cause::ALL.is_sorted_by(|a, b| a.id() < b.id()));
        assert_eq!(Cause::Yaml.meaning(), "The file is not valid YAML.");
        assert_eq!(Cause::Yaml.title(), "The file is not valid YAML");
    }
}
