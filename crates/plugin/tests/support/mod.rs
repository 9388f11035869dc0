//! Plugins in C, built by the tests.

#![allow(dead_code, unreachable_pub, reason = "each test uses a part")]

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};

use peregrine_event::source::{SourceId, SourceNames};
use peregrine_plugin::{Host, Instance, Library, Severity};
use tempfile::TempDir;

/// A directory with libraries.
pub struct Workshop {
    directory: TempDir,
}

impl Workshop {
    /// `None`, and a line that says so, where there is no compiler.
    pub fn open(compiler: &str) -> Option<Self> {
        let works = Command::new(compiler).arg("--version").output();
        if works.is_ok_and(|output| output.status.success()) {
            return Some(Self { directory: tempfile::tempdir().unwrap() });
        }
        assert!(std::env::var_os("PEREGRINE_CI").is_none(), "{compiler} is missing");
        eprintln!("SKIPPED: there is no {compiler} to build plugins with");
        None
    }

    /// Builds a library.
    pub fn build(&self, name: &str, file: &str, options: &[&str]) -> PathBuf {
        let library = self.directory.path().join(format!("lib{name}.so"));
        let sources = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/c"));
        let compiler = if file.ends_with(".cpp") { "c++" } else { "cc" };
        let built = Command::new(compiler)
            .args(["-shared", "-fPIC", "-O0", "-fvisibility=hidden", "-pthread", "-w", "-o"])
            .arg(&library)
            .args(options)
            .arg(sources.join(file))
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        library
    }

    /// The plugin of `plugin.c`, without any fault of its own.
    pub fn plugin(&self) -> Library {
        Library::load(&self.build("badly", "plugin.c", &[])).unwrap()
    }
}

/// What plugins have written to the log.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub fn host(&self) -> Host {
        let lines = Arc::clone(&self.0);
        let log = move |severity: Severity, component: &str, text: &str| {
            lines.lock().unwrap().push(format!("{severity:?} {component}: {text}"));
        };
        Host { log: Arc::new(log), tables: None }
    }

    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// An instance whose log is not looked at.
pub fn instance(library: &Library) -> Instance {
    library.init("", Log::default().host()).unwrap()
}

/// The id of the event source of the plugin.
pub fn source_id() -> SourceId {
    SourceNames::default().intern("badly").unwrap()
}
