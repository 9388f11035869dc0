//! Error and warning codes: what each means and what to do about it.

mod conditions;
mod files;
mod names;
mod page;

use std::fmt::Write;

use peregrine_rules::{Cause, ErrorCode, FindingKind, WarningCode};

pub use page::{Example, Page};

use crate::columns::columns;
use crate::similar;

/// No error or warning has this code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no code {code}{}", similar::hint(.nearest.as_deref()))]
pub struct UnknownCode {
    /// What was asked for.
    pub code: String,
    /// The most similar code.
    pub nearest: Option<String>,
}

/// A code, whatever its severity.
#[derive(Clone, Copy, Debug)]
pub struct Code {
    /// Name for machines, such as `LOAD_NO_EVTTYPE`.
    pub name: &'static str,
    /// `error` or `warning`.
    pub severity: &'static str,
    /// A few words.
    pub title: &'static str,
    /// When it is reported.
    pub meaning: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
    /// The wider code that other tools know it by.
    pub wider: Option<&'static str>,
    /// A text that has the problem, and the same text mended.
    pub example: Example,
}

impl Code {
    /// A code without a wider one and without an example.
    pub const WIDE: Self = Self {
        name: "",
        severity: "",
        title: "",
        meaning: "",
        remedy: "",
        wider: None,
        example: Example::None,
    };
}

/// The page of the code with this name; upper and lower case are the same.
///
/// # Errors
/// No code has this name.
pub fn page(codes: &[Code], name: &str) -> Result<String, UnknownCode> {
    let Some(code) = codes.iter().find(|code| code.name.eq_ignore_ascii_case(name)) else {
        let names = codes.iter().map(|code| code.name);
        let nearest = similar::nearest(&name.to_ascii_uppercase(), names);
        return Err(UnknownCode { code: name.to_owned(), nearest: nearest.map(str::to_owned) });
    };
    let mut page = format!("{} ({}): {}\n\n", code.name, code.severity, code.title);
    // Writing into a string does not fail.
    let _ = write!(page, "{}", columns("Meaning:", code.meaning));
    if let Some([wrong, right]) = code.example.texts() {
        page += &example("Wrong:", &wrong);
        page += &example("Right:", &right);
    }
    page += &columns("Remedy:", code.remedy);
    if let Some(wider) = code.wider {
        page += &columns("Falco:", wider);
    }
    Ok(page)
}

/// A text below its title, indented; nothing if it is empty.
fn example(title: &str, text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let lines: String = text.lines().map(|line| format!("    {line}\n")).collect();
    format!("{title}\n{lines}")
}

/// These codes with their titles.
#[must_use]
pub fn listing(codes: &[Code]) -> String {
    let line = |code: &Code| columns(code.name, &format!("({}) {}", code.severity, code.title));
    codes.iter().map(line).collect()
}

/// All codes of rules files: those of causes, then the wider ones.
pub fn of_rules() -> impl Iterator<Item = Code> {
    let causes = pages().map(|page| {
        let (severity, wider) = match page.cause.kind() {
            FindingKind::Error(wider) => ("error", Some(wider.name())),
            FindingKind::Warning(wider) => ("warning", Some(wider.name())),
            FindingKind::Own => ("warning", None),
        };
        Code {
            name: page.cause.id(),
            severity,
            title: page.cause.title(),
            meaning: page.meaning,
            remedy: page.remedy,
            wider,
            example: page.example,
        }
    });
    causes.chain(wide())
}

/// The pages of all causes, in the order of their codes.
pub fn pages() -> impl Iterator<Item = Page> {
    let all = || [files::PAGES, names::PAGES, conditions::PAGES].into_iter().flatten();
    Cause::ALL.iter().filter_map(move |cause| all().find(|page| page.cause == *cause)).copied()
}

/// The codes that Falco has too.
fn wide() -> impl Iterator<Item = Code> {
    let errors = ErrorCode::ALL.into_iter().map(|code| {
        let (meaning, remedy) = error(code);
        let title = code.title();
        Code { name: code.name(), severity: "error", title, meaning, remedy, ..Code::WIDE }
    });
    let warnings = WarningCode::ALL.into_iter().map(|code| Code {
        name: code.name(),
        severity: "warning",
        title: code.title(),
        meaning: code.description(),
        remedy: warning(code),
        ..Code::WIDE
    });
    errors.chain(warnings)
}

/// Meaning and remedy.
fn error(code: ErrorCode) -> (&'static str, &'static str) {
    match code {
        ErrorCode::FileRead => (
            "The rules file can't be opened or read.",
            "Check that the path exists and that the user of the engine may read it.",
        ),
        ErrorCode::YamlParse => (
            "The file is not valid YAML.",
            "Look at the line of the error and the line above it: indentation, a missing quote or colon. Texts that \
             contain `: `, `#` or begin with `%` or `*` need quotes.",
        ),
        ErrorCode::YamlValidate => (
            "The file is YAML, but an item lacks a required key, or a key has a value of the wrong type. A rules file \
             is a list of rules, macros, lists and required versions.",
            "Compare the item with the schema that `peregrine --rule-schema` prints. A rule needs `rule`, `condition`, \
             `desc`, `output` and `priority`.",
        ),
        ErrorCode::CompileCondition => (
            "A condition has a syntax error, or uses a field, operator or value that does not fit.",
            "`peregrine fields NAME` shows type and argument of a field. If the field comes with a newer engine, \
             `skip-if-unknown-filter: true` lets older engines skip the rule.",
        ),
        ErrorCode::CompileOutput => (
            "An output refers to a field that does not exist, or a field lacks its argument.",
            "Write fields as `%proc.name`; an output can't contain a percent sign of its own. `peregrine fields` lists \
             all fields.",
        ),
        ErrorCode::Validate => (
            "Items contradict each other or the engine: an undefined macro or list, an exception whose values do not \
             match its fields, an item appended to that does not exist, or a required version that is not met.",
            "The message names the item. Items must be defined before they are used or appended to, in this file or in \
             one that is loaded earlier.",
        ),
    }
}

/// What to do about a warning.
fn warning(code: WarningCode) -> &'static str {
    match code {
        WarningCode::UnknownSource => {
            "Load the plugin that supplies this event source, or correct the rule's `source`."
        }
        WarningCode::UnsafeNaCheck => {
            "Replace `field != <NA>` by `field exists` and `field = <NA>` by `not field exists`."
        }
        WarningCode::NoEvttype => {
            "Begin the condition with the event types it is about, such as `evt.type in (open, openat, openat2)`, \
             outside any `or` and `not`."
        }
        WarningCode::UnknownFilter => {
            "Correct the name (`peregrine fields` and `peregrine list events` list all), or load the plugin that \
             supplies it. The rule is skipped until then."
        }
        WarningCode::UnusedMacro => {
            "Remove the macro, or use it. If another rules file uses it, validate both files in one command."
        }
        WarningCode::UnusedList => {
            "Remove the list, or use it. If another rules file uses it, validate both files in one command."
        }
        WarningCode::UnknownItem => {
            "Correct the key that names the item: rule, macro, list, required_engine_version or \
             required_plugin_versions."
        }
        WarningCode::DeprecatedItem => {
            "The message names the replacement; for `append: true` that is `override`."
        }
        WarningCode::AppendNoValues => "Add values to the exception, or remove the item.",
        WarningCode::ExceptionNameNotUnique => {
            "Give each exception of the rule a name of its own; otherwise it is unclear which one is appended to."
        }
        WarningCode::InvalidMacroName | WarningCode::InvalidListName => {
            "Use letters, digits, `_`, `-` and `.`, beginning with a letter or `_`: conditions can't refer to other \
             names."
        }
        WarningCode::CompileCondition => {
            "The message says which part of the condition is probably not meant as written."
        }
        WarningCode::DuplicateKey => {
            "Remove one of the two keys. To have two conditions, join them with `and` or `or`."
        }
        WarningCode::UnknownKey => {
            "Correct the key, or move it to the item it belongs to; `peregrine --rule-schema` lists the keys of each \
             item."
        }
    }
}

#[cfg(test)]
mod tests {
    use peregrine_fields::Fields;
    use peregrine_rules::{EventSource, Loader};

    use super::*;

    fn problems(file: &str) -> Vec<String> {
        let syscall = EventSource::syscall(Fields::syscall());
        let result = Loader::new(vec![syscall], Vec::new()).load("rules.yaml", file.as_bytes());
        result.problems().map(|problem| problem.code.to_owned()).collect()
    }

    #[test]
    fn every_cause_has_a_page_with_an_example_that_has_it() {
        let missing: Vec<_> =
            Cause::ALL.iter().filter(|cause| pages().all(|page| page.cause != **cause)).collect();
        assert!(missing.is_empty(), "{missing:?}");
        let mut mistakes = String::new();
        for page in pages() {
            let Some([wrong, right]) = page.example.files() else { continue };
            let mut found = problems(&wrong);
            found.dedup();
            // What is defined in an example is not used there, and some problems have company.
            found.retain(|code| {
                let company = match page.cause {
                    Cause::NoItems => "W0101",
                    Cause::OverrideAndAppend | Cause::EmptyChange => "W0104",
                    _ => "",
                };
                code == page.cause.id()
                    || !matches!(code.as_str(), "W0303" | "W0304") && code != company
            });
            if found != [page.cause.id()] {
                mistakes += &format!("{:?} has {found:?}:\n{wrong}", page.cause);
            }
            if !right.is_empty() && !problems(&right).is_empty() {
                mistakes += &format!("{:?} keeps {:?}:\n{right}", page.cause, problems(&right));
            }
        }
        assert_eq!(mistakes, "");
    }

    #[test]
    fn pages_read_well() {
        let codes: Vec<_> = of_rules().collect();
        let pages = ["E0309", "E0405", "E0503", "W0404"].map(|code| page(&codes, code).unwrap());
        insta::assert_snapshot!(pages.join("\n"));
    }

    #[test]
    fn every_code_has_a_page() {
        let codes: Vec<_> = of_rules().collect();
        for code in &codes {
            let page = page(&codes, &code.name.to_lowercase()).unwrap();
            assert!(page.starts_with(code.name) && page.contains("Remedy:"), "{page}");
        }
        let listing = listing(&codes);
        assert_eq!(
            listing.lines().filter(|line| line.starts_with("LOAD_")).count(),
            ErrorCode::ALL.len() + WarningCode::ALL.len()
        );
    }

    #[test]
    fn an_unknown_code_names_the_nearest() {
        let codes: Vec<_> = of_rules().collect();
        let error = page(&codes, "LOAD_NO_EVTYPE").unwrap_err().to_string();
        assert_eq!(error, "there is no code LOAD_NO_EVTYPE; did you mean LOAD_NO_EVTTYPE?");
    }
}
