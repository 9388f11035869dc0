//! The configuration in force and the log that it asks for: where every command that needs them
//! begins.

use std::fs::{self, File};
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use anyhow::bail;
use peregrine_config::{BUILT_IN_CONFIG, Config, Engine, Loaded, LogFormat as Form, Main, Plugin};
use peregrine_diagnostics::Problem;
use peregrine_runtime::{Log, LogFormat, LogSettings};
use peregrine_telemetry::PluginMetrics;

use crate::plugins::library::LoadContext;
use crate::plugins::set::Plugins;
use crate::print::print_error;
use crate::version;
use peregrine_args::{ConfigArgs, UsageError};

/// Where the configuration is looked for.
const CONFIG_FILE: &str = "/etc/falco/falco.yaml";

/// The configuration and the log.
pub struct Setup {
    /// The configuration and what was read with it.
    pub loaded: Loaded,
    /// The main file; `None` for the built-in configuration.
    pub main: Option<PathBuf>,
    /// The log.
    pub log: Log,
    /// Whether nothing is to run: warnings are for who has asked for the check, whatever the log
    /// is.
    checks: bool,
    /// The plugins, once they are loaded. A reload keeps them.
    plugins: Arc<OnceLock<Plugins>>,
}

impl Setup {
    /// Reads the configuration that the command line names, the installed one, or else the built-in
    /// one.
    pub fn load(args: &ConfigArgs) -> anyhow::Result<Self> {
        Self::from_main(main_file(args)?, &args.overrides)
    }

    /// The same for a run that ends before it starts.
    pub fn load_for_check(args: &ConfigArgs) -> anyhow::Result<Self> {
        Self::read(main_file(args)?, &args.overrides, true)
    }

    /// The same for a run, which does not fall back to the built-in configuration if the program
    /// was started without any option and away from a terminal: a service that has lost its
    /// configuration must fail.
    pub fn load_for_run(args: &ConfigArgs) -> anyhow::Result<Self> {
        if config_file(args).is_none() && has_no_options() && !has_terminal() {
            bail!(
                "You must create a config file at {CONFIG_FILE} or by passing -c\n\
                 (the built-in configuration is for people: at a terminal, or with any option, such as \
                 -o engine.kind=modern_ebpf)"
            );
        }
        Self::load(args)
    }

    /// Reads this configuration, with keys that override it.
    pub fn from_main(main: Main<'_>, overrides: &[String]) -> anyhow::Result<Self> {
        Self::read(main, overrides, false)
    }

    fn read(main: Main<'_>, overrides: &[String], checks: bool) -> anyhow::Result<Self> {
        // Until the configuration is known, warnings go to stderr.
        let keys = Config { log_stderr: true, log_syslog: false, ..Config::default() };
        let early = open_log(&keys);
        let loaded = peregrine_config::load(main, overrides, &mut |line| early.warning(line))?;
        let log = open_log(&loaded.config);
        let main = match main {
            Main::File(path) | Main::Edited(path, _) => Some(path.to_owned()),
            Main::BuiltIn(_) => None,
        };
        let setup = Self { loaded, main, log, checks, plugins: Arc::default() };
        setup.log_start();
        Ok(setup)
    }

    /// Reads the same files again. Nothing is logged but details, and the log stays as it is.
    pub fn read_again(&self, overrides: &[String]) -> anyhow::Result<Self> {
        let main = self.main.as_deref().map_or(Main::BuiltIn(BUILT_IN_CONFIG), Main::File);
        let loaded = peregrine_config::load(main, overrides, &mut |line| self.log.debug(line))?;
        Ok(self.with_loaded(loaded))
    }

    /// The same with another configuration.
    pub fn with_loaded(&self, loaded: Loaded) -> Self {
        let (main, log, plugins) = (self.main.clone(), self.log.clone(), Arc::clone(&self.plugins));
        Self { loaded, main, log, checks: self.checks, plugins }
    }

    /// Whether the configuration is the built-in one.
    pub fn built_in(&self) -> bool {
        self.main.is_none()
    }

    /// The keys of the configuration.
    pub fn config(&self) -> &Config {
        &self.loaded.config
    }

    /// Whether the plugin `container` is loaded and what is built in serves for it: then its fields
    /// are listed and suggested.
    pub fn containers(&self) -> bool {
        let is_it = |plugin: &Plugin| plugin.name == Plugin::CONTAINER && plugin.is_native();
        self.loaded.plugins.iter().any(is_it)
    }

    /// The plugins. Before [`checks::plugins`](crate::checks::plugins) has loaded their libraries,
    /// only those that are built in.
    pub fn plugins(&self) -> &Plugins {
        self.plugins.get_or_init(|| Plugins::built_in(&self.loaded.plugins))
    }

    /// Asks the plugins in libraries for what they count, if there are any.
    pub fn plugin_metrics(&self) -> Option<PluginMetrics> {
        let plugins = Arc::clone(&self.plugins);
        let stats = move || plugins.get().map(Plugins::stats).unwrap_or_default();
        self.plugins().has_libraries().then(|| PluginMetrics(Arc::new(stats)))
    }

    /// What plugins are loaded with.
    pub(crate) fn load_context(&self) -> LoadContext<'_> {
        let libs_severity = self.config().libs_logger.as_ref().map(|logger| logger.severity);
        let plugins = &self.loaded.plugins;
        LoadContext { plugins, log: &self.log, libs_severity, replays: self.replays() }
    }

    /// Loads the libraries of the plugins, unless that is done.
    ///
    /// # Errors
    /// When one of them can't be used.
    pub fn load_plugins(&self) -> anyhow::Result<&Plugins> {
        if self.plugins.get().is_none() {
            let loaded = Plugins::load(&self.load_context())?;
            return Ok(self.plugins.get_or_init(|| loaded));
        }
        Ok(self.plugins())
    }

    /// Whether rules may use the plugin `container`: it is loaded, or the configuration says
    /// nothing of plugins.
    pub fn allows_containers(&self) -> bool {
        let config = self.config();
        self.containers() || config.plugins.0.is_empty() && config.load_plugins.is_none()
    }

    /// Whether events come from a file.
    pub fn replays(&self) -> bool {
        matches!(self.config().engine, Engine::Replay { .. })
    }

    /// Logs what was read.
    pub fn log_start(&self) {
        let log = &self.log;
        self.loaded.warnings.iter().for_each(|warning| self.warn(warning));
        log.info(format_args!("Falco version: {} ({})", version::FALCO, std::env::consts::ARCH));
        log.debug(format_args!("CLI args: {}", version::command_line()));
        if self.built_in() {
            log.info("No configuration file: using the built-in configuration and rules");
        } else {
            self.log_files();
        }
        if let Engine::Live { .. } = self.config().engine {
            match fs::read_to_string("/proc/version") {
                Ok(text) => log.info(format_args!("System info: {}", text.trim_end())),
                Err(error) => log.info(format_args!("Cannot read /proc/version: {error}")),
            }
        }
    }

    /// A warning with a place is shown with its line on stderr; Falco's log lines stay as they
    /// are. Otherwise, and where stderr is not wanted or takes JSON, it is a line of the log. A
    /// check and a terminal want it.
    pub fn warn(&self, warning: &Problem) {
        let wanted = self.config().log_stderr || self.checks || io::stderr().is_terminal();
        let shown = wanted && self.config().log_format == Form::Text;
        if warning.labels.is_empty() || !shown {
            self.log.warning(warning.to_line());
        } else {
            print_error(warning.to_string());
        }
    }

    fn log_files(&self) {
        let log = &self.log;
        log.info("Falco initialized with configuration files:");
        for (file, read) in &self.loaded.files {
            match &read.validation {
                Ok(()) => log.info(format_args!("   {file} | schema validation: ok")),
                Err(fault) => {
                    log.warning(format_args!("   {file} | schema validation: failed for {fault}"));
                }
            }
        }
    }
}

/// The configuration that the command line names, the installed one, or else the built-in one.
fn main_file(args: &ConfigArgs) -> anyhow::Result<Main<'_>> {
    let main = config_file(args).map_or(Main::BuiltIn(BUILT_IN_CONFIG), Main::File);
    if let Main::File(path) = main {
        File::open(path).map_err(|_| UsageError::NoConfig(path.display().to_string()))?;
    }
    Ok(main)
}

fn open_log(config: &Config) -> Log {
    Log::open(log_settings(config))
}

/// The log as the configuration wants it.
pub fn log_settings(config: &Config) -> LogSettings {
    LogSettings {
        level: config.log_level.0,
        stderr: config.log_stderr,
        syslog: config
            .log_syslog
            .then(|| peregrine_delivery::log_socket(&config.syslog_output.peregrine)),
        format: match config.log_format {
            Form::Text => LogFormat::Text,
            Form::Json => LogFormat::Json,
        },
        iso_8601: config.time_format_iso_8601,
        program: peregrine_delivery::app_name(&config.syslog_output.peregrine, &version::program()),
        facility: config.syslog_output.peregrine.facility.0,
    }
}

/// The file that is named, or the installed one. One that exists but can't be read is an error, not
/// a reason to take the built-in configuration.
fn config_file(args: &ConfigArgs) -> Option<&Path> {
    let installed = || Some(Path::new(CONFIG_FILE)).filter(|path| path.exists());
    args.config.as_deref().or_else(installed)
}

/// Whether the program was started by its name alone, or as `peregrine run`.
fn has_no_options() -> bool {
    !std::env::args_os().skip(1).any(|word| word != "run")
}

fn has_terminal() -> bool {
    io::stdin().is_terminal() || io::stdout().is_terminal() || io::stderr().is_terminal()
}
