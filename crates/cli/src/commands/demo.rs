//! `peregrine demo`: what alerts look like. A child performs a few harmless suspicious acts in a
//! cgroup of its own, and only that cgroup is monitored. If the kernel can't be monitored, a small
//! capture is replayed instead.

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

/// An attack on a web server, recorded for machines that can't be monitored.
static CAPTURE: &[u8] = include_bytes!("../../../../conformance/captures/demo.scap");

/// Prints alerts to the terminal, without additions to the rules' outputs.
const CONFIG: &str = "\
stdout_output: {enabled: true}
log_stderr: true
log_syslog: false
log_level: warning
append_output: []
plugins: [{name: container, library_path: libcontainer.so}]
";

/// Time for the last events to arrive.
const GRACE: Duration = Duration::from_millis(500);

/// Runs the demo, or, with further words, a part of it: the demo starts this program again for the
/// acts.
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
        "\nThis machine can't be monitored: {reason:#}.\n\
         The following was recorded elsewhere, during an attack on a web server.\n\n"
    ))?;
    replay(&directory.0)
}

/// Monitors the acts.
fn watch(directory: &Path) -> anyhow::Result<ExitCode> {
    if !geteuid().is_root() {
        bail!("it takes root (try: sudo peregrine demo)");
    }
    let group = Directory::new(cgroup_root()?)?;
    let cgroup = group.0.display();
    print(format!(
        "A child of this program is about to perform six suspicious acts, all of them harmless, in\n\
         a mount namespace and a cgroup of its own ({cgroup}).\n\
         Peregrine monitors only that cgroup. It needs a moment to start.\n\n"
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

/// Runs the acts in a child, which reports its own failures.
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

/// Root of the cgroup v2 file system.
fn cgroup_root() -> anyhow::Result<&'static Path> {
    let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new);
    let root = roots.into_iter().find(|root| root.join("cgroup.controllers").exists());
    root.context("there is no cgroup v2 file system below /sys/fs/cgroup")
}

/// A directory that is removed on drop: with its files, or a cgroup once it has no processes.
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
        // The files of a cgroup can't be removed one by one; the cgroup can, once its last process
        // has exited.
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
