//! Reads configuration and rules again, exactly as at the start.

mod changes;

use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use peregrine_alert::AlertOrigin;
use peregrine_config::{Config, ConfigError, Loaded};
use peregrine_engine::Generation;
use peregrine_runtime::reload::Versions;
use peregrine_telemetry::LoadedFiles;
use peregrine_watch::Target;

use super::checks;
use super::metrics::loaded_files;
use super::prepare::{PreparedRun, generation};
use super::rules::{self, Texts};
use super::setup::Setup;
use crate::print::print_error;
use peregrine_args::RulesArgs;

/// The keys that take effect with a reload, by the sections that they are in. All others need a
/// restart.
const RELOADED: [&str; 13] = [
    "append_output",
    "base_syscalls",
    "buffer_format_base64",
    "config_files",
    "priority",
    "rule_files",
    "rule_matching",
    "rules",
    "rules_file",
    "rules_files",
    "static_fields",
    "watch_config_files",
    // Has no effect at all.
    "plugins_hostinfo",
];

/// Reads what a run began with again.
pub(crate) struct Reader {
    /// The configuration of the run.
    started: Setup,
    overrides: Vec<String>,
    rules: RulesArgs,
    origin: AlertOrigin,
    targets: Vec<Target>,
    current: Version,
    next: Option<Version>,
}

/// One reading of configuration and rules.
struct Version {
    /// The configuration as it was read, also keys that need a restart.
    loaded: Loaded,
    /// What metrics tell of its files.
    files: LoadedFiles,
    /// Of the content of all files.
    fingerprint: u64,
    /// Names of the rules files.
    rules_files: Vec<String>,
    /// The rules.
    generation: Arc<Generation>,
}

impl Reader {
    /// A reader of what this run was prepared from.
    pub(crate) fn new(
        setup: &Setup,
        overrides: &[String],
        rules: &RulesArgs,
        texts: &Texts,
        prepared: &PreparedRun<'_>,
    ) -> Self {
        let (loaded, generation) = (setup.loaded.clone(), Arc::clone(&prepared.generation));
        let started = setup.with_loaded(loaded.clone());
        let (overrides, origin) = (overrides.to_vec(), prepared.origin.clone());
        let mut reader = Self {
            started,
            overrides,
            rules: rules.clone(),
            origin,
            targets: Vec::new(),
            current: Version::new(loaded, texts, prepared.reloads.files(), generation),
            next: None,
        };
        reader.targets = reader.targets_of(&reader.current.loaded);
        reader
    }

    /// Reads everything; `None` if it is the same as before.
    fn read_again(&mut self) -> anyhow::Result<Option<Version>> {
        let setup = self.started.read_again(&self.overrides)?;
        self.targets = self.targets_of(&setup.loaded);
        let texts = rules::chosen(&setup, &self.rules.rules)?;
        if self.current.fingerprint == fingerprint(&setup.loaded, &texts) {
            return Ok(None);
        }
        setup.log_start();
        rules::warn_of_absent(&setup, &self.rules.rules);
        // With this configuration, a restart would begin too.
        checks::plugins(&setup)?;
        checks::outputs(&setup)?;
        let loaded = setup.loaded.clone();
        let setup = self.effective(setup);
        let set = rules::compile(&setup, &self.rules.load, &texts)?;
        let generation = generation(&setup, set, &self.origin)?;
        let files = loaded_files(&setup.loaded, &texts);
        Ok(Some(Version::new(loaded, &texts, files, generation)))
    }

    /// The configuration that is in force after a reload: keys that need a restart are as the run
    /// began.
    fn effective(&self, mut new: Setup) -> Setup {
        let Loaded { config, plugins, .. } = &self.started.loaded;
        new.loaded.config = reloaded(config, &new.loaded.config);
        new.loaded.plugins.clone_from(plugins);
        new
    }

    fn targets_of(&self, loaded: &Loaded) -> Vec<Target> {
        if !loaded.config.watch_config_files {
            return Vec::new();
        }
        let mut targets: Vec<_> = self.started.main.iter().map(Target::file).collect();
        let includes = loaded.config.config_files.iter();
        targets.extend(includes.map(|include| Target::files_at(&include.path, |_| true)));
        if self.rules.rules.is_empty() {
            // Also those that do not exist, and those of the key's old name.
            let rules = loaded.config.rules_files.iter().chain(&loaded.rules);
            targets.extend(rules.map(|path| Target::files_at(path, is_rules_file)));
        } else {
            let rules = self.rules.rules.iter();
            targets.extend(rules.map(|path| Target::files_at(path, is_rules_file)));
        }
        targets
    }
}

impl Versions for Reader {
    fn read(&mut self) -> Result<Option<Arc<Generation>>, String> {
        self.next = self.read_again().map_err(|error| {
            if let Some(snippet) = error.downcast_ref().map(ConfigError::snippet) {
                print_error(snippet);
            }
            format!("{error:#}")
        })?;
        Ok(self.next.as_ref().map(|next| Arc::clone(&next.generation)))
    }

    fn install(&mut self) -> LoadedFiles {
        if let Some(next) = self.next.take() {
            changes::log(&self.started, &self.current, &next);
            self.current = next;
        }
        self.current.files.clone()
    }

    fn misses_files(&self) -> bool {
        !self.current.paths().all(Path::exists)
    }

    fn targets(&self) -> &[Target] {
        &self.targets
    }
}

impl Version {
    fn new(loaded: Loaded, texts: &Texts, files: LoadedFiles, generation: Arc<Generation>) -> Self {
        let rules_files = texts.iter().map(|(name, _)| name.clone()).collect();
        let fingerprint = fingerprint(&loaded, texts);
        Self { loaded, files, fingerprint, rules_files, generation }
    }

    /// The files that it was read from.
    fn paths(&self) -> impl Iterator<Item = &Path> {
        let rules = self.rules_files.iter().filter(|name| *name != rules::BUILT_IN);
        self.loaded.files.keys().chain(rules).map(Path::new)
    }
}

/// Tells two contents of the files apart, at a small part of the cost of a digest.
fn fingerprint(loaded: &Loaded, rules: &Texts) -> u64 {
    let mut hasher = DefaultHasher::new();
    rules.hash(&mut hasher);
    loaded.files.iter().for_each(|(name, file)| (name, &file.sha256).hash(&mut hasher));
    hasher.finish()
}

/// Files that a directory of rules gives, and what Kubernetes replaces such files by.
fn is_rules_file(name: &OsStr) -> bool {
    let name = name.as_bytes();
    name.ends_with(b".yaml") || name.ends_with(b".yml") || name.starts_with(b"..")
}

/// A configuration with the [`RELOADED`] keys of a new one.
fn reloaded(running: &Config, new: &Config) -> Config {
    let new = new.clone();
    Config {
        append_output: new.append_output,
        base_syscalls: new.base_syscalls,
        buffer_format_base64: new.buffer_format_base64,
        config_files: new.config_files,
        priority: new.priority,
        rule_files: new.rule_files,
        rule_matching: new.rule_matching,
        rules: new.rules,
        rules_files: new.rules_files,
        static_fields: new.static_fields,
        watch_config_files: new.watch_config_files,
        ..running.clone()
    }
}

#[cfg(test)]
mod tests {
    use peregrine_config::{Main, load};

    use super::*;

    #[test]
    fn reloaded_keys_exist() {
        let known: Vec<_> = peregrine_config::reference().into_iter().map(|row| row.key).collect();
        for key in RELOADED.iter().filter(|key| **key != "rules_file") {
            let exists = |known: &String| known.split(['.', '[', '{']).next() == Some(key);
            assert!(known.iter().any(exists), "{key}");
        }
    }

    #[test]
    fn keys_that_need_a_restart_stay() {
        let read = |text| load(Main::BuiltIn(text), &[], &mut |_| ()).unwrap().config;
        let running = read("json_output: true\npriority: debug\n");
        let keys = reloaded(&running, &read("json_output: false\npriority: error\n"));
        assert!(keys.json_output);
        assert_eq!(keys.priority.name(), "Error");
    }
}
