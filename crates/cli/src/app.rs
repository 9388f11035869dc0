//! The life of the program: one step after the other, in Falco's order, so that of two faults the same one is told.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, IsTerminal, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use peregrine_authoring::Format;
use peregrine_config::{BUILT_IN_CONFIG, Config, ConfigError, Engine, Loaded, Main};

use peregrine_alert::RuleRegistry;
use peregrine_engine::{Generation, GenerationSettings};

use crate::args::options::Options;
use crate::args::{commands, options};
use crate::commands::{about, support};
use crate::wiring::rules::Rules;
use crate::wiring::{checks, rules, syscalls};

use crate::log::Log;
use crate::run::{self, Job};
use crate::signals::Signals;
use crate::version;

/// Where the configuration is looked for.
pub(crate) const CONFIG_FILE: &str = "/etc/falco/falco.yaml";

/// Exit code when the file for the process id can't be written; scripts tell it from other failures.
const NO_PIDFILE: u8 = 255;

/// Whether to go on with the next step. A step that has answered the user's question ends the program.
pub(crate) type Step = anyhow::Result<ControlFlow<()>>;

/// What is done once all is read and checked.
pub(crate) type Run = Box<dyn Fn(&Job<'_>) -> anyhow::Result<()>>;

/// What the steps work with.
pub(crate) struct Session {
    /// The command line, as it was typed.
    pub(crate) command_line: String,
    /// The command line, understood.
    pub(crate) options: Options,
    /// How to print listings.
    pub(crate) format: Format,
    /// The configuration and what came with it.
    pub(crate) loaded: Loaded,
    /// Whether the configuration is the built-in one.
    pub(crate) built_in: bool,
    /// The log.
    pub(crate) log: Arc<Log>,
    /// Called when the kernel is being watched.
    pub(crate) opened: Box<dyn Fn()>,
    /// What to do once all is ready.
    pub(crate) run: Run,
}

impl Session {
    /// The keys of the configuration.
    pub(crate) fn config(&self) -> &Config {
        &self.loaded.config
    }

    /// Whether containers are looked after.
    pub(crate) fn containers(&self) -> bool {
        self.loaded.plugins.iter().any(|plugin| plugin.name == "container")
    }

    /// Whether events come from a file.
    pub(crate) fn replays(&self) -> bool {
        matches!(self.config().engine, Engine::Replay { .. })
    }
}

/// Something that Falco words as an accident and not as a mistake of the user.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub(crate) struct RuntimeError(pub(crate) String);

impl RuntimeError {
    /// Told in the log, and on stderr in any case.
    fn tell(&self, log: &Log) {
        let line = format!("Runtime error: {self}. Exiting.");
        if !log.reaches_stderr() {
            let _ = writeln!(io::stderr(), "{line}");
        }
        log.error(line);
    }
}

/// Runs the program. Exit code 0 is success, 1 nearly anything else.
pub(crate) fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match start(arguments.into_iter().collect()) {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let mut stderr = io::stderr().lock();
            if let Some(snippet) = error.downcast_ref::<ConfigError>().map(ConfigError::snippet) {
                let _ = write!(stderr, "{snippet}");
            }
            let _ = writeln!(stderr, "Error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Prints to standard output.
pub(crate) fn print(text: impl AsRef<[u8]>) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_ref())?;
    stdout.flush()
}

/// Whoever read our output has had enough (`peregrine --list | head`).
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn start(arguments: Vec<OsString>) -> anyhow::Result<ExitCode> {
    if let Some(done) = commands::run(&arguments) {
        return done.map(|()| ExitCode::SUCCESS);
    }
    let words: Vec<_> = arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let options = Options::read(arguments)?;
    let format = options.list_format()?;
    if let Some(path) = &options.config {
        File::open(path).map_err(|_| {
            anyhow::anyhow!("Could not find configuration file at {}", path.display())
        })?;
    }
    if options.outdated_markdown() {
        let warning = "WARNING: --markdown is deprecated, use --format markdown instead.";
        let _ = writeln!(io::stderr(), "{warning}");
    }
    if answer_without_config(&options, format)?.is_break() {
        return Ok(ExitCode::SUCCESS);
    }
    let session = load_config(options, format, &words)?;
    match with_config(&session) {
        Ok(code) => Ok(code),
        Err(error) => match error.downcast::<RuntimeError>() {
            Ok(error) => {
                error.tell(&session.log);
                Ok(ExitCode::FAILURE)
            }
            Err(error) => Err(error),
        },
    }
}

/// Questions whose answer no configuration changes.
fn answer_without_config(options: &Options, format: Format) -> Step {
    let answer = if options.help {
        options::help(io::stdout().is_terminal())
    } else if options.config_schema {
        about::config_schema(format)
    } else if options.rule_schema {
        about::rule_schema()
    } else if options.ignored_events {
        about::ignored_syscalls()
    } else if options.list_events {
        about::list_events(format)
    } else {
        return Ok(ControlFlow::Continue(()));
    };
    print(answer)?;
    Ok(ControlFlow::Break(()))
}

/// `words` is the command line, the program's name first.
fn load_config(options: Options, format: Format, words: &[String]) -> anyhow::Result<Session> {
    let chosen = options.config.clone();
    let path = match &chosen {
        Some(path) => Some(path.as_path()),
        // One that is there and can't be read is an error, not a reason to take the built-in one.
        None => Some(Path::new(CONFIG_FILE)).filter(|path| path.exists()),
    };
    let main = match path {
        Some(path) => Main::File(path),
        None if words.len() < 2 && nobody_watches() => anyhow::bail!(
            "You must create a config file at {CONFIG_FILE} or by passing -c\n\
             (the built-in configuration is for people: at a terminal, or with any option, such as \
             -o engine.kind=modern_ebpf)"
        ),
        None => Main::BuiltIn(BUILT_IN_CONFIG),
    };
    open(main, options, format, words.join(" "))
}

/// Whether nobody sits at a terminal. A service that has lost its configuration must fail, and not go on with
/// other rules in silence.
fn nobody_watches() -> bool {
    !(io::stdin().is_terminal() || io::stdout().is_terminal() || io::stderr().is_terminal())
}

/// The session for a configuration and a command line that is stronger.
pub(crate) fn open(
    main: Main<'_>,
    options: Options,
    format: Format,
    command_line: String,
) -> anyhow::Result<Session> {
    let built_in = matches!(main, Main::BuiltIn(_));
    let early = Log::at_start();
    let mut loaded =
        peregrine_config::load(main, &options.overrides, &mut |line| early.warning(line))?;
    let keys = &mut loaded.config;
    keys.buffered_outputs &= !options.unbuffered;
    let log =
        Log::new(keys.log_level.0, keys.log_stderr, keys.log_syslog, keys.time_format_iso_8601);
    loaded.warnings.iter().for_each(|warning| log.warning(warning.to_line()));
    let (log, opened) = (Arc::new(log), Box::new(|| ()));
    let run = Box::new(|job: &Job<'_>| run::run(job));
    let session = Session { command_line, options, format, loaded, built_in, log, opened, run };
    session.tell_start();
    Ok(session)
}

impl Session {
    fn tell_start(&self) {
        let log = &self.log;
        log.info(format_args!("Falco version: {} ({})", version::FALCO, std::env::consts::ARCH));
        log.debug(format_args!("CLI args: {}", self.command_line));
        if self.built_in {
            log.info("No configuration file: using the built-in configuration and rules");
            return;
        }
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

/// Answers, or runs.
pub(crate) fn with_config(session: &Session) -> anyhow::Result<ExitCode> {
    let Session { options, log, .. } = session;
    about::tell_system(session);
    let steps: [fn(&Session) -> Step; 8] = [
        about::version,
        about::page_size,
        about::plugin_info,
        about::list_plugins,
        checks::plugins,
        about::list_fields,
        checks::sources,
        rules::validate,
    ];
    for step in steps {
        if step(session)?.is_break() {
            return Ok(ExitCode::SUCCESS);
        }
    }
    let ControlFlow::Continue(rules) = rules::load(session)? else {
        return Ok(ExitCode::SUCCESS);
    };
    if options.support {
        print(support::report(session, &rules)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    checks::outputs(session)?;
    let hostname = hostname(log);
    let signals = if options.dry_run { Signals::default() } else { Signals::listen()? };
    if let Some(path) = options.pidfile.as_ref().filter(|_| !options.dry_run)
        && fs::write(path, std::process::id().to_string()).is_err()
    {
        let path = path.display();
        log.error(format_args!("Could not write pid to pidfile {path}. Exiting."));
        return Ok(ExitCode::from(NO_PIDFILE));
    }
    let settings = GenerationSettings {
        selected: syscalls::select(session, &rules.set),
        ..run::generation_settings(session.config())
    };
    checks::buffers(session)?;
    checks::metrics(session)?;
    if options.dry_run {
        log.debug("Skipping event processing in dry-run");
        return Ok(ExitCode::SUCCESS);
    }
    let containers = session.containers();
    let (config, log) = (session.config(), Arc::clone(log));
    let fields = rules::vocabulary(session);
    let registry = Arc::new(RuleRegistry::new());
    let Rules { texts, set } = rules;
    let generation = Arc::new(Generation::new(set, &registry, settings));
    // At the end the system takes their memory back at once, instead of piece by piece.
    std::mem::forget(Arc::clone(&generation));
    (session.run)(&Job {
        options,
        config,
        files: &session.loaded.files,
        read_at: session.loaded.read_at,
        containers,
        fields,
        generation,
        rules_files: &texts,
        hostname,
        log,
        signals,
        opened: &session.opened,
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Name of this host: the variable `FALCO_HOSTNAME`, or what the kernel says.
fn hostname(log: &Log) -> String {
    if let Some(name) = std::env::var_os("FALCO_HOSTNAME") {
        let name = name.to_string_lossy().into_owned();
        log.info(format_args!(
            "Hostname value has been overridden via environment variable to: {name}"
        ));
        return name;
    }
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
