//! Causes of errors and warnings: one code for each, which never changes its meaning.
//!
//! Codes are grouped: `00` reading and YAML, `01` items and keys, `02` versions, plugins and
//! sources, `03` names, `04` conditions, `05` outputs, `06` exceptions. A code that is no longer
//! used is not given to another cause. What each means stands on its page (`peregrine code E0301`).

use crate::{ErrorCode, FindingKind, WarningCode};

macro_rules! causes {
    ($($variant:ident = $id:literal $severity:ident $($wider:ident)?: $title:literal,)+) => {
        /// Why something is reported.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs, reason = "the titles say it")]
        pub enum Cause { $($variant,)+ }

        impl Cause {
            /// All causes, in the order of their codes within each group.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// Its code, such as `E0301`.
            #[must_use]
            pub fn id(self) -> &'static str {
                match self { $(Self::$variant => $id,)+ }
            }

            /// A few words.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)+ }
            }

            /// How severe it is, and the wider code that other tools know it by.
            #[must_use]
            pub fn kind(self) -> FindingKind {
                match self { $(Self::$variant => causes!(@ $severity $($wider)?),)+ }
            }
        }
    };
    (@ error $wider:ident) => { FindingKind::Error(ErrorCode::$wider) };
    (@ warning $wider:ident) => { FindingKind::Warning(WarningCode::$wider) };
    // A warning that the reference engine does not give.
    (@ own) => { FindingKind::Own };
}

causes! {
    InvalidYaml = "E0001" error YamlParse: "not YAML",
    ForeignFile = "E0002" error YamlParse: "not a rules file",
    Template = "E0003" error YamlParse: "a template that has not been rendered",
    MergeConflict = "E0004" error YamlParse: "an unresolved merge conflict",
    CodeFence = "E0005" error YamlParse: "a fence of Markdown",
    YamlTooLarge = "E0006" error YamlParse: "nested too deep or too large",
    Tab = "E0010" error YamlParse: "a tab in the indentation",
    Lookalike = "E0011" error YamlParse: "a character that looks like another",
    MissingColon = "E0012" error YamlParse: "a key without `: `",
    MissingDash = "E0013" error YamlParse: "an item without `- `",
    Indentation = "E0014" error YamlParse: "a key or item in the wrong column",
    UnindentedText = "E0015" error YamlParse: "text that is not indented below its key",
    Quote = "E0016" error YamlParse: "a quote that ends a text too early",
    UnclosedQuote = "E0017" error YamlParse: "a quote that is never closed",
    Escape = "E0018" error YamlParse: "an unknown escape in double quotes",
    Bracket = "E0019" error YamlParse: "a bracket without its counterpart",
    Comma = "E0020" error YamlParse: "a comma too many, or one that is missing",
    Indicator = "E0021" error YamlParse: "an unquoted value that begins with a special character",
    ColonInValue = "E0022" error YamlParse: "`: ` in an unquoted value",
    CommentInValue = "E0023" error YamlParse: "a comment within an unquoted value",
    EmptyFile = "W0001" own: "an empty file",
    NoItems = "W0002" own: "a file without rules, macros and lists",
    Tag = "W0004" own: "a tag or anchor of YAML in place of a text",
    CutByComment = "W0003" own: "a value that a comment cuts off",
    BareReturns = "W0005" own: "lines that end in a carriage return alone",

    NotItems = "E0101" error YamlValidate: "not a list of items",
    ItemNotMapping = "E0102" error YamlValidate: "an item without keys",
    MissingKey = "E0103" error YamlValidate: "a required key is missing",
    EmptyValue = "E0104" error YamlValidate: "a key without a value",
    WrongType = "E0105" error YamlValidate: "a value of the wrong type",
    InvalidPriority = "E0106" error YamlValidate: "not a priority",
    OverrideAndAppend = "E0107" error YamlValidate: "`override` together with `append`",
    InvalidOverride = "E0108" error YamlValidate: "not an operation of `override`",
    OverrideWithoutKey = "E0109" error YamlValidate: "`override` names a key that is not there",
    KeyWithoutOverride = "E0110" error YamlValidate: "a key that `override` does not name",
    EmptyChange = "E0111" error Validate: "a change that changes nothing",
    OverrideNotMapping = "E0112" error Validate: "`override` is not a mapping",
    NotAWord = "E0113" error Validate: "a word must stand here",
    ForeignItems = "E0115" error YamlValidate: "the YAML of another program",
    InvalidLegacyFile = "E0114" error Validate: "wrong in the rules format of 2016",
    MisnamedKey = "E0116" error YamlValidate: "a required key under another name",
    UnknownItem = "W0101" warning UnknownItem: "neither rule, macro, list nor requirement",
    UnknownKey = "W0102" warning UnknownKey: "unknown key",
    DuplicateKey = "W0103" warning DuplicateKey: "a key twice",
    DeprecatedAppend = "W0104" warning DeprecatedItem: "`append: true` is deprecated",
    DeprecatedEnabled = "W0105" warning DeprecatedItem: "`enabled` without `override` is deprecated",
    LegacyFile = "W0106" warning DeprecatedItem: "the rules format of 2016",

    EngineVersionTooNew = "E0201" error Validate: "a newer engine is required",
    InvalidEngineVersion = "E0202" error YamlValidate: "not a version of the engine",
    InvalidPluginVersion = "E0203" error Validate: "not a version of a plugin",
    PluginTwice = "E0204" error Validate: "a plugin twice among alternatives",
    SourceChanged = "E0205" error Validate: "a rule with another source than before",
    NoSuchSource = "E0206" error Validate: "a source that is not loaded",
    UnknownSource = "W0201" warning UnknownSource: "unknown event source",

    UndefinedMacro = "E0301" error Validate: "undefined macro",
    MacroTooLate = "E0302" error Validate: "a macro used before its definition",
    MacroLoop = "E0303" error Validate: "a macro that refers to itself",
    MacrosTooDeep = "E0304" error Validate: "macros nested too deep",
    ExpandsTooMuch = "E0305" error Validate: "lists or macros expand to too much",
    NoSuchList = "E0306" error Validate: "a change of a list that does not exist",
    NoSuchMacro = "E0307" error Validate: "a change of a macro that does not exist",
    NoSuchRule = "E0308" error Validate: "a change of a rule that does not exist",
    UndefinedList = "E0309" error CompileCondition: "undefined list",
    WordAlone = "E0310" error Validate: "`and`, `or` or `not` without a condition beside it",
    InvalidListName = "W0301" warning InvalidListName: "a list name that conditions can't refer to",
    InvalidMacroName = "W0302" warning InvalidMacroName: "a macro name that conditions can't refer to",
    UnusedMacro = "W0303" warning UnusedMacro: "unused macro",
    UnusedList = "W0304" warning UnusedList: "unused list",

    Syntax = "E0401" error CompileCondition: "not a condition",
    UnknownField = "E0402" error CompileCondition: "unknown field",
    UnknownEventType = "E0403" error CompileCondition: "unknown event type",
    InvalidTest = "E0404" error CompileCondition: "a value that does not fit",
    ForeignOperator = "E0405" error CompileCondition: "an operator of another language",
    MissingOperator = "E0406" error CompileCondition: "a field that is compared with nothing",
    MissingValue = "E0407" error CompileCondition: "an operator without a value",
    MissingCondition = "E0408" error CompileCondition: "a condition is missing",
    Unbalanced = "E0409" error CompileCondition: "a parenthesis or bracket without its other half",
    UnclosedText = "E0410" error CompileCondition: "a quote that is not closed",
    InvalidEscape = "E0411" error CompileCondition: "an escape sequence that does not exist",
    ListForm = "E0412" error CompileCondition: "a list in another form or place",
    OddCharacter = "E0413" error CompileCondition: "a typographic or invisible character",
    TemplateInCondition = "E0414" error CompileCondition: "a placeholder of a template language",
    LooseValue = "E0415" error CompileCondition: "a value that stands alone",
    TooDeep = "E0416" error CompileCondition: "nested too deep",
    PluginField = "E0417" error CompileCondition: "a field of a plugin that is not loaded",
    InvalidAddress = "E0418" error CompileCondition: "not an address, or not a network",
    InvalidNumber = "E0419" error CompileCondition: "not a number",
    InvalidBoolean = "E0420" error CompileCondition: "neither true nor false",
    OperatorOfType = "E0421" error CompileCondition: "an operator that does not apply to the field",
    FieldArgument = "E0422" error CompileCondition: "the argument of a field",
    Transformer = "E0423" error CompileCondition: "a transformer or its arguments",
    InvalidRegex = "E0424" error CompileCondition: "not a regular expression",
    RightSide = "E0425" error CompileCondition: "two sides that can't be compared",
    EventTypeForm = "E0426" error CompileCondition: "event types that can't be known in advance",
    SkippedCondition = "W0401" warning UnknownFilter: "a rule skipped for an unknown name in its condition",
    SuspiciousValue = "W0402" warning CompileCondition: "a value that may not mean what is intended",
    UnsafeNaCheck = "W0403" warning UnsafeNaCheck: "comparison with <NA>",
    ManyEventTypes = "W0404" warning NoEvttype: "nearly all event types",
    DeprecatedField = "W0405" warning DeprecatedItem: "deprecated field in a condition",

    ValueLikeList = "W0406" own: "a value that resembles the name of a list",
    OddValue = "W0407" own: "a typographic or invisible character in a value",
    EmptyList = "W0408" own: "a comparison with an empty list",
    SignInValue = "W0409" own: "a value that begins with a part of an operator",
    EnterEvents = "W0410" warning DeprecatedItem: "a test of enter events, which do not exist",
    ValuelessField = "W0411" own: "a field that never has a value",
    LeadingZero = "W0412" own: "a number with a leading zero",
    Wildcard = "W0414" own: "a wildcard in a value that is compared as it is",
    ForeignValue = "W0415" own: "a value that means something else in other languages",
    ValueIsMacro = "W0413" own: "the name of a macro in the place of a value",

    UnknownOutputField = "E0501" error CompileOutput: "unknown field in an output",
    InvalidOutput = "E0502" error CompileOutput: "not an output",
    StrayPercent = "E0503" error CompileOutput: "a percent sign that begins no field",
    ForeignPlaceholder = "E0504" error CompileOutput: "a placeholder of another language",
    PluginOutputField = "E0505" error CompileOutput: "a field of a plugin that is not loaded, in an output",
    OutputArgument = "E0506" error CompileOutput: "the argument of a field in an output",
    OutputTransformer = "E0507" error CompileOutput: "a transformer in an output",
    SkippedOutput = "W0501" warning UnknownFilter: "a rule skipped for an unknown field in its output",
    DeprecatedOutputField = "W0502" warning DeprecatedItem: "deprecated field in an output",
    PrintedPlaceholder = "W0504" own: "a placeholder of another language, which is printed as it is",
    FieldWithTail = "W0505" own: "a field with the letters of another one behind it",
    ContainerInfo = "W0503" warning DeprecatedItem: "%container.info is deprecated",

    InvalidException = "E0601" error Validate: "wrong in an exception",
    ExceptionsNotMappings = "E0602" error YamlValidate: "exceptions of the wrong form",
    ExceptionTwice = "W0601" warning ExceptionNameNotUnique: "two exceptions with the same name",
    ExceptionWithoutValues = "W0602" warning AppendNoValues: "an appended exception without values",
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_unique_and_say_how_severe_they_are() {
        let ids: BTreeSet<_> = Cause::ALL.iter().map(|cause| cause.id()).collect();
        assert_eq!(ids.len(), Cause::ALL.len());
        for cause in Cause::ALL {
            let (letter, digits) = cause.id().split_at(1);
            let is_error = matches!(cause.kind(), FindingKind::Error(_));
            assert_eq!(letter, if is_error { "E" } else { "W" }, "{cause:?}");
            assert!(digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit()));
        }
    }
}
