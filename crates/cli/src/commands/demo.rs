//! `peregrine demo`: what alerts look like. A child performs a few harmless suspicious acts in a
//! cgroup of its own, and only that cgroup is monitored. If the kernel can't be monitored, a small
//! capture is replayed instead.

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::bail;
use peregrine_config::Main;
use peregrine_demo::{Scratch, cgroup_root};
use peregrine_files::{FileMode, create};
use rustix::process::{Signal, geteuid, getpid, kill_process};

use peregrine_args::{RulesArgs, RunArgs};
use peregrine_wiring::print::print;
use peregrine_wiring::setup::Setup;

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
    if words.is_empty() {
        return show();
    }
    peregrine_demo::run_part(words)?;
    Ok(ExitCode::SUCCESS)
}

fn show() -> anyhow::Result<ExitCode> {
    let directory = Scratch::new(&std::env::temp_dir())?;
    let reason = match watch(directory.path()) {
        Ok(code) => return Ok(code),
        Err(reason) => reason,
    };
    print(format!(
        "\nThis machine can't be monitored: {reason:#}.\n\
         The following was recorded elsewhere, during an attack on a web server.\n\n"
    ))?;
    replay(directory.path())
}

/// Monitors the acts.
fn watch(directory: &Path) -> anyhow::Result<ExitCode> {
    if !geteuid().is_root() {
        bail!("it takes root (try: sudo peregrine demo)");
    }
    let group = Scratch::new(cgroup_root()?)?;
    let cgroup = group.path().display();
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
        let (directory, cgroup) = (directory.to_owned(), group.path().to_owned());
        thread::spawn(move || {
            if let Err(error) = peregrine_demo::perform(&directory, &cgroup) {
                let _ = print(format!("{error}\n"));
            }
            thread::sleep(GRACE);
            // The run ends as it does when a user presses Ctrl-C.
            let _ = kill_process(getpid(), Signal::INT);
        });
    };
    start(&setup, &opened)
}

fn replay(directory: &Path) -> anyhow::Result<ExitCode> {
    let capture = directory.join("demo.scap");
    create(&capture, FileMode::PRIVATE)?.write_all(CAPTURE)?;
    let file = format!("engine.replay.capture_file={}", capture.display());
    start(&setup(&["engine.kind=replay".to_owned(), file])?, &|| ())
}

/// The configuration of the demo, whatever is installed here, with these keys.
fn setup(keys: &[String]) -> anyhow::Result<Setup> {
    Setup::from_main(Main::BuiltIn(CONFIG), keys)
}

/// Runs with the built-in rules.
fn start(setup: &Setup, opened: &dyn Fn()) -> anyhow::Result<ExitCode> {
    super::run::start(setup, &RulesArgs::default(), &RunArgs::default(), None, opened)
}
