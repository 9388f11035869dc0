//! Codes of errors and warnings; tools know these names.

/// Why a file is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// The file cannot be read.
    FileRead,
    /// It is not YAML.
    YamlParse,
    /// It does not consist of items with valid keys and types.
    YamlValidate,
    /// A condition does not compile.
    CompileCondition,
    /// An output does not compile.
    CompileOutput,
    /// An item is inconsistent: incompatible versions, undefined names, lists of different lengths.
    Validate,
}

impl ErrorCode {
    /// All codes.
    pub const ALL: [Self; 6] = [
        Self::FileRead,
        Self::YamlParse,
        Self::YamlValidate,
        Self::CompileCondition,
        Self::CompileOutput,
        Self::Validate,
    ];

    /// Machine-readable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::FileRead => "LOAD_ERR_FILE_READ",
            Self::YamlParse => "LOAD_ERR_YAML_PARSE",
            Self::YamlValidate => "LOAD_ERR_YAML_VALIDATE",
            Self::CompileCondition => "LOAD_ERR_COMPILE_CONDITION",
            Self::CompileOutput => "LOAD_ERR_COMPILE_OUTPUT",
            Self::Validate => "LOAD_ERR_VALIDATE",
        }
    }

    /// A short description.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::FileRead => "File read error",
            Self::YamlParse => "YAML parse error",
            Self::YamlValidate => "Error validating internal structure of YAML file",
            Self::CompileCondition => "Error compiling condition",
            Self::CompileOutput => "Error compiling output",
            Self::Validate => "Error validating rule/macro/list/exception objects",
        }
    }
}

/// What is suspicious about an accepted file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WarningCode {
    /// No loaded source supplies events of a rule's source.
    UnknownSource,
    /// A field is compared with the text `<NA>`, which stands for a missing value.
    UnsafeNaCheck,
    /// A rule matches nearly every event type.
    NoEvttype,
    /// An unknown field or event type in a rule with `skip-if-unknown-filter`.
    UnknownFilter,
    /// An unused macro.
    UnusedMacro,
    /// An unused list.
    UnusedList,
    /// An item that is neither rule, macro, list nor requirement.
    UnknownItem,
    /// A deprecated item or key.
    DeprecatedItem,
    /// An append to an exception without values.
    AppendNoValues,
    /// Two exceptions of a rule with the same name.
    ExceptionNameNotUnique,
    /// A macro name that conditions cannot refer to.
    InvalidMacroName,
    /// A list name that conditions cannot refer to.
    InvalidListName,
    /// A condition that is probably not intended.
    CompileCondition,
    /// An unknown key.
    UnknownKey,
    /// A key that the item has already.
    DuplicateKey,
}

impl WarningCode {
    /// All codes.
    pub const ALL: [Self; 15] = [
        Self::UnknownSource,
        Self::UnsafeNaCheck,
        Self::NoEvttype,
        Self::UnknownFilter,
        Self::UnusedMacro,
        Self::UnusedList,
        Self::UnknownItem,
        Self::DeprecatedItem,
        Self::AppendNoValues,
        Self::ExceptionNameNotUnique,
        Self::InvalidMacroName,
        Self::InvalidListName,
        Self::CompileCondition,
        Self::UnknownKey,
        Self::DuplicateKey,
    ];

    /// Machine-readable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::UnknownSource => "LOAD_UNKNOWN_SOURCE",
            Self::UnsafeNaCheck => "LOAD_UNSAFE_NA_CHECK",
            Self::NoEvttype => "LOAD_NO_EVTTYPE",
            Self::UnknownFilter => "LOAD_UNKNOWN_FILTER",
            Self::UnusedMacro => "LOAD_UNUSED_MACRO",
            Self::UnusedList => "LOAD_UNUSED_LIST",
            Self::UnknownItem => "LOAD_UNKNOWN_ITEM",
            Self::DeprecatedItem => "LOAD_DEPRECATED_ITEM",
            Self::AppendNoValues => "LOAD_APPEND_NO_VALUES",
            Self::ExceptionNameNotUnique => "LOAD_EXCEPTION_NAME_NOT_UNIQUE",
            Self::InvalidMacroName => "LOAD_INVALID_MACRO_NAME",
            Self::InvalidListName => "LOAD_INVALID_LIST_NAME",
            Self::CompileCondition => "LOAD_COMPILE_CONDITION",
            Self::UnknownKey => "LOAD_UNKNOWN_KEY",
            Self::DuplicateKey => "LOAD_DUPLICATE_KEY",
        }
    }

    /// A short description.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::UnknownSource => "Unknown event source",
            Self::UnsafeNaCheck => "Unsafe <NA> comparison in condition",
            Self::NoEvttype => "Condition has no event-type restriction",
            Self::UnknownFilter => "Unknown field or event-type in condition or output",
            Self::UnusedMacro => "Unused macro",
            Self::UnusedList => "Unused list",
            Self::UnknownItem => "Unknown rules file item",
            Self::DeprecatedItem => "Used deprecated item",
            Self::AppendNoValues => "Overriding/appending with no values",
            Self::ExceptionNameNotUnique => "Multiple exceptions defined with the same name",
            Self::InvalidMacroName => "Invalid macro name",
            Self::InvalidListName => "Invalid list name",
            Self::CompileCondition => "Warning in rule condition",
            Self::UnknownKey => "Unknown key in item definition",
            Self::DuplicateKey => "Key given twice in item definition",
        }
    }

    /// Its meaning, as in the machine-readable result.
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Self::UnknownSource => {
                "A rule has a unknown event source. This can occur when reading rules content without \
                 having a corresponding plugin loaded, etc. The rule will be silently ignored."
            }
            Self::UnsafeNaCheck => {
                "Comparing a field value with <NA> is unsafe and can lead to unpredictable behavior \
                 of the rule condition. If you need to check for the existence of a field, consider \
                 using the 'exists' operator instead."
            }
            Self::NoEvttype => {
                "A rule condition matches too many evt.type values. This has a significant \
                 performance penalty. Make the condition more specific by adding an evt.type field \
                 or further restricting the number of evt.type values in the condition."
            }
            Self::UnknownFilter => {
                "A rule condition or output refers to a field or evt.type that does not exist. This \
                 is normally an error, but if a rule has a skip-if-unknown-filter property, the \
                 error is downgraded to a warning."
            }
            Self::UnusedMacro => {
                "A macro is defined in the rules content but is not used by any other macro or rule."
            }
            Self::UnusedList => {
                "A list is defined in the rules content but is not used by any other list, macro, or \
                 rule."
            }
            Self::UnknownItem => {
                "An unknown top-level object is in the rules content. It will be ignored."
            }
            Self::DeprecatedItem => "A deprecated item is employed by lists, macros, or rules.",
            Self::AppendNoValues => "A rule exception is overriding/appending with no values",
            Self::ExceptionNameNotUnique => {
                "A rule is defining multiple exceptions with the same name"
            }
            Self::InvalidMacroName => "A macro is defined with an invalid name",
            Self::InvalidListName => "A list is defined with an invalid name",
            Self::CompileCondition => "A rule condition or output have been parsed with a warning",
            Self::UnknownKey => {
                "An item in the rules content contains an unrecognized key. The key will be ignored. \
                 This may indicate a typo or a property placed on the wrong item type."
            }
            Self::DuplicateKey => {
                "An item in the rules content has a key twice. The first one counts, the other is ignored."
            }
        }
    }
}
