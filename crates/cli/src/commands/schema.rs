//! Schemas of the configuration and of rules files.

use std::fmt::Write;

use peregrine_authoring::Format;

/// JSON schema of the configuration; as markdown, the table of its keys.
pub(crate) fn config(format: Format) -> String {
    if format == Format::Markdown {
        return config_reference();
    }
    format!("{:#}", peregrine_config::json_schema())
}

/// JSON schema of rules files.
pub(crate) fn rules() -> String {
    format!("{:#}", peregrine_rules::rule_schema())
}

/// Every key of the configuration as a markdown table.
fn config_reference() -> String {
    let mut page = String::from("Key | Default | Meaning\n:---|:---|:---\n");
    for row in peregrine_config::reference() {
        let default =
            if row.default.is_empty() { String::new() } else { format!("`{}`", row.default) };
        // Writing into a string does not fail.
        let _ = writeln!(page, "`{}` | {default} | {}", row.key, row.about);
    }
    page
}
