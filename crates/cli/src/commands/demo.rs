//! `peregrine demo`: what alerts look like. A child does a few harmless suspicious things in a control group of its own,
//! and that alone is watched. Where the kernel can't be watched, a small capture is replayed instead.

mod acts;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use peregrine_config::Main;
use rustix::process::{Signal, geteuid, getpid, kill_process};

use crate::args::{RulesArgs, RunArgs};
use crate::print::print;
use crate::wiring::setup::Setup;

/// A web server is broken into. For those who can't watch.
static CAPTURE: &[u8] = include_bytes!("../../../../conformance/captures/demo.scap");

/// Alerts to the terminal, with what the rules say and nothing more.
const CONFIG: &str = "\
stdout_output: {enabled: true}
log_stderr: true
log_syslog: false
log_level: warning
append_output: []
plugins: [{name: container, library_path: libcontainer.so}]
";

/// Time that the last events have to arrive.
const GRACE: Duration = Duration::from_millis(500);

/// Runs the demo, or with further words a part of it: it starts this program again for the acts.
pub(crate) fn run(words: &[OsString]) -> anyhow::Result<ExitCode> {
    match words {
        [] => show(),
        [part, rest @ ..] => acts::run(part, rest).map(|()| ExitCode::SUCCESS),
    }
}

fn show() -> anyhow::Result<ExitCode> {
    let directory = Directory::new(&std::env::temp_dir())?;
    let reason = match watch(&directory.0) {
        Ok(code) => return Ok(code),
        Err(reason) => reason,
    };
    print(format!(
        "\nThis machine can't be watched: {reason:#}.\n\
         What follows was recorded elsewhere, where somebody broke into a web server.\n\n"
    ))?;
    replay(&directory.0)
}

/// Watches the acts.
fn watch(directory: &Path) -> anyhow::Result<ExitCode> {
    if !geteuid().is_root() {
        bail!("that takes root (try: sudo peregrine demo)");
    }
    let group = Directory::new(cgroup_root()?)?;
    let cgroup = group.0.display();
    print(format!(
        "A child of this program is about to do six suspicious things, all of them harmless, in a\n\
         mount namespace and a control group of its own ({cgroup}).\n\
         Peregrine watches that group alone. It needs a moment to start.\n\n"
    ))?;
    let setup = setup(&[
        "engine.kind=modern_ebpf".to_owned(),
        format!("engine.modern_ebpf.scope.cgroup={cgroup}"),
    ])?;
    let opened = || {
        let (directory, cgroup) = (directory.to_owned(), group.0.clone());
        thread::spawn(move || {
            perform(&directory, &cgroup);
            thread::sleep(GRACE);
            // The run ends as it does when a user presses Ctrl-C.
            let _ = kill_process(getpid(), Signal::INT);
        });
    };
    start(&setup, &opened)
}

/// Lets a child do the acts. What goes wrong there it tells itself.
fn perform(directory: &Path, cgroup: &Path) {
    let Ok(program) = std::env::current_exe() else { return };
    // `unshare` gives the child a mount namespace in which nothing it mounts is seen outside.
    let mut child = Command::new("unshare");
    child.arg("--mount").arg(program).args(["demo", "acts"]).arg(directory).arg(cgroup);
    if let Err(error) = child.status() {
        let _ = print(format!("The program `unshare` is needed and can't be run: {error}\n"));
    }
}

fn replay(directory: &Path) -> anyhow::Result<ExitCode> {
    let capture = directory.join("demo.scap");
    fs::write(&capture, CAPTURE)?;
    let file = format!("engine.replay.capture_file={}", capture.display());
    start(&setup(&["engine.kind=replay".to_owned(), file])?, &|| ())
}

/// The configuration of the demo, whatever is installed here, with these keys.
fn setup(keys: &[String]) -> anyhow::Result<Setup> {
    Setup::from_main(Main::BuiltIn(CONFIG), keys)
}

/// Runs with the built-in rules.
fn start(setup: &Setup, opened: &dyn Fn()) -> anyhow::Result<ExitCode> {
    super::run::start(setup, &RulesArgs::default(), &RunArgs::default(), opened)
}

/// Where the cgroup v2 file system is.
fn cgroup_root() -> anyhow::Result<&'static Path> {
    let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new);
    let root = roots.into_iter().find(|root| root.join("cgroup.controllers").exists());
    root.context("there is no cgroup v2 file system below /sys/fs/cgroup")
}

/// A directory that goes when this does: of files, or a control group without any processes left.
struct Directory(PathBuf);

impl Directory {
    fn new(parent: &Path) -> anyhow::Result<Self> {
        let path = parent.join(format!("peregrine-demo-{}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // The files of a control group can't be removed one by one: they go with it, once its last process has gone.
        for _ in 0..20 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            if !self.0.join("cgroup.procs").exists() {
                let _ = fs::remove_dir_all(&self.0);
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}
