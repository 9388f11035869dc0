//! Error and warning codes: what each means and what to do about it.

use std::fmt::Write;

use peregrine_rules::{ErrorCode, WarningCode};

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
    let _ =
        write!(page, "{}{}", columns("Meaning:", code.meaning), columns("Remedy:", code.remedy));
    Ok(page)
}

/// These codes with their titles.
#[must_use]
pub fn listing(codes: &[Code]) -> String {
    let line = |code: &Code| columns(code.name, &format!("({}) {}", code.severity, code.title));
    codes.iter().map(line).collect()
}

/// All codes of rules files.
pub fn of_rules() -> impl Iterator<Item = Code> {
    let errors = ErrorCode::ALL.into_iter().map(|code| {
        let (meaning, remedy) = error(code);
        Code { name: code.name(), severity: "error", title: code.title(), meaning, remedy }
    });
    let warnings = WarningCode::ALL.into_iter().map(|code| Code {
        name: code.name(),
        severity: "warning",
        title: code.title(),
        meaning: code.description(),
        remedy: warning(code),
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
    use super::*;

    #[test]
    fn every_code_has_a_page() {
        let codes: Vec<_> = of_rules().collect();
        for code in &codes {
            let page = page(&codes, &code.name.to_lowercase()).unwrap();
            assert!(page.starts_with(code.name) && page.contains("Remedy:"), "{page}");
        }
        assert_eq!(
            listing(&codes).matches("LOAD_").count(),
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
