//! What the command line and the client set.

use std::path::{Path, PathBuf};

use ls_types::CodeDescription;
use serde::Deserialize;

/// Which rules the server works on. Clients send these as `initializationOptions`, which override
/// the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Options {
    /// The configuration; its rules files are loaded in its order.
    pub config: Option<PathBuf>,
    /// Rules files and directories instead of those of the configuration.
    pub rules: Vec<String>,
    /// Keys of the configuration, as `-o` sets them.
    pub overrides: Vec<String>,
    /// A capture that hover takes example values from.
    pub capture: Option<PathBuf>,
    /// Address of the page of a code, with `{code}` in the place of the code. Diagnostics link to
    /// it.
    pub code_pages: Option<String>,
}

/// The address of the page of a code, with `{code}` in its place; `None` without such pages.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CodePages<'a>(pub(crate) Option<&'a str>);

impl CodePages<'_> {
    /// The page of a code.
    pub(crate) fn page(self, code: &str) -> Option<CodeDescription> {
        let href = self.0?.replace("{code}", code).parse().ok()?;
        Some(CodeDescription { href })
    }
}

impl Options {
    /// These options with what a client has sent; `root` is its folder, which relative paths are
    /// in. What is no object of options changes nothing.
    #[must_use]
    pub(crate) fn with_client(self, sent: Option<serde_json::Value>, root: Option<&Path>) -> Self {
        let sent = sent.filter(serde_json::Value::is_object);
        let sent = sent.and_then(|sent| serde_json::from_value::<Self>(sent).ok());
        let Some(sent) = sent else { return self };
        let absolute = |path: &Path| root.map_or(path.to_owned(), |root| root.join(path));
        let text = |path: &String| absolute(Path::new(path)).to_string_lossy().into_owned();
        Self {
            config: sent.config.as_deref().map(absolute).or(self.config),
            rules: match sent.rules.is_empty() {
                true => self.rules,
                false => sent.rules.iter().map(text).collect(),
            },
            overrides: [self.overrides, sent.overrides].concat(),
            capture: sent.capture.as_deref().map(absolute).or(self.capture),
            code_pages: sent.code_pages.or(self.code_pages),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn clients_override_the_command_line() {
        let own =
            Options { config: Some("/a".into()), rules: vec!["r".into()], ..Options::default() };
        let sent = json!({ "config": "falco.yaml", "unknown": 1 });
        let both = own.clone().with_client(Some(sent), Some(Path::new("/project")));
        assert_eq!(both.config, Some("/project/falco.yaml".into()));
        assert_eq!(both.rules, ["r"]);
        assert_eq!(own.clone().with_client(Some(json!(["x"])), None), own);
    }
}
