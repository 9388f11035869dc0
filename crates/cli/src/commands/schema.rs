//! Schemas of the configuration and of rules files.

use peregrine_authoring::Format;

/// JSON schema of the configuration; as markdown, the table of its keys.
pub(crate) fn config(format: Format) -> String {
    if format == Format::Markdown {
        return peregrine_config::reference_page();
    }
    format!("{:#}", peregrine_config::json_schema())
}

/// JSON schema of rules files.
pub(crate) fn rules() -> String {
    format!("{:#}", peregrine_rules::rule_schema())
}
