//! A reload while the running kernel is monitored.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use peregrine_alert::{AlertOrigin, RuleRegistry};
use peregrine_engine::select::SyscallSet;
use peregrine_probe::bpf::ProbeConfig;
use peregrine_runtime::control::{Control, channel};
use peregrine_runtime::sources::{LiveSettings, probe_selection};
use peregrine_runtime::{Log, Run, RunContext, RunReport, SourceSettings};
use rustix::process::geteuid;

use crate::{delivery, generation, outputs, settings, update};

/// Time limit for something to happen: far longer than needed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What both generations of the rules need.
const BASE: [&str; 14] = [
    "open", "openat", "openat2", "creat", "close", "dup", "dup2", "dup3", "fcntl", "clone",
    "clone3", "execve", "procexit", "rename",
];
/// Only the old rules have `mkdir` selected, only the new ones `read`.
const OLD: &str = r#"
- rule: opened
  desc: d
  condition: evt.type in (open, openat) and fd.name contains /opened-
  output: old %fd.name
  priority: INFO
- rule: directory
  desc: d
  condition: evt.type in (mkdir, mkdirat)
  output: made %evt.args
  priority: INFO
- rule: read
  desc: d
  condition: evt.type = read
  output: read %fd.name
  priority: INFO
"#;
const NEW: &str = r#"
- rule: opened
  desc: d
  condition: evt.type in (open, openat) and fd.name contains /opened-
  output: new %fd.name
  priority: INFO
- rule: directory
  desc: d
  condition: evt.type in (mkdir, mkdirat)
  output: made %evt.args
  priority: INFO
- rule: read
  desc: d
  condition: evt.type = read and proc.name = sh and fd.name contains /reload-
  output: read %fd.name
  priority: INFO
"#;

/// Opens a file that then gets another name, so that `/proc` does not know the one it was opened
/// by. Opens others until there is `stop`, and reads from the first one.
const SCRIPT: &str = r#"
exec 7<reload-kept
mv reload-kept moved
mkdir early
count=0
while [ ! -e stop ]; do
    count=$((count + 1))
    : >"opened-$count"
done
mkdir late
read -r line <&7
echo $count >count
: >opened-last
"#;

/// A cgroup that is removed with its test.
pub(crate) struct Cgroup(pub(crate) PathBuf);

impl Cgroup {
    /// `None`, with a line that says why, where the test can't run.
    pub(crate) fn new(name: &str) -> Option<Self> {
        let missing = if !geteuid().is_root() {
            "root".to_owned()
        } else if !Path::new("/sys/kernel/btf/vmlinux").exists() {
            "a kernel with BTF".to_owned()
        } else {
            match Self::create(name) {
                Ok(cgroup) => return Some(cgroup),
                Err(error) => format!("cgroup v2: {error}"),
            }
        };
        eprintln!("skipped: this test needs {missing}");
        None
    }

    fn create(name: &str) -> io::Result<Self> {
        let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new);
        let root = roots.into_iter().find(|root| root.join("cgroup.controllers").exists());
        let root = root.ok_or(io::ErrorKind::NotFound)?;
        let path = root.join(format!("peregrine-reload-{name}-{}", std::process::id()));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }

    /// Runs the script in the cgroup and in a directory.
    fn start(&self, directory: &Path) -> Shell {
        let script = format!("echo $$ >{}/cgroup.procs && exec sh ./script", self.0.display());
        let mut command = Command::new("sh");
        Shell(command.args(["-c", &script]).current_dir(directory).spawn().unwrap())
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for _ in 0..50 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A process that ends with its test.
pub(crate) struct Shell(pub(crate) Child);

impl Drop for Shell {
    fn drop(&mut self) {
        // Does nothing if the process has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The texts of the alerts in a file, once they satisfy a condition.
pub(crate) fn alerts(path: &Path, enough: impl Fn(&[String]) -> bool) -> Vec<String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let lines = fs::read_to_string(path).unwrap_or_default();
        let texts = lines.lines().filter_map(|line| Some(line.split_once("Informational ")?.1));
        let texts: Vec<_> = texts.map(str::to_owned).collect();
        if enough(&texts) {
            return texts;
        }
        assert!(Instant::now() < deadline, "{:?}", texts.last());
        thread::sleep(Duration::from_millis(10));
    }
}

pub(crate) fn starting<'a>(texts: &'a [String], word: &str) -> Vec<&'a str> {
    texts.iter().filter(|text| text.starts_with(word)).map(String::as_str).collect()
}

pub(crate) fn selected(more: &[&'static str]) -> SyscallSet {
    SyscallSet::named(BASE.into_iter().chain(more.iter().copied()))
}

#[test]
fn a_live_run_keeps_state_and_events_over_a_reload() {
    let Some(cgroup) = Cgroup::new("kept") else { return };
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::write(path("script"), SCRIPT).unwrap();
    fs::write(path("reload-kept"), "a line\n").unwrap();

    let origin = AlertOrigin::new(Arc::new(RuleRegistry::new()), "HOST");
    let old = generation(OLD, &origin, selected(&["mkdir", "mkdirat"]));
    let new = generation(NEW, &origin, selected(&["read"]));
    let probe = ProbeConfig {
        selection: probe_selection(&old.settings().selected),
        scope: Some(cgroup.0.clone()),
        ..ProbeConfig::default()
    };
    let live = LiveSettings { probe, host_root: "/".into(), count_runs: false };
    let (controller, controls) = channel();
    let (opened, is_open) = mpsc::channel();
    let outputs = outputs(&path("alerts"), false);
    let planner = outputs.planner();
    let run = thread::spawn(move || {
        let context = RunContext {
            generation: old,
            outputs,
            origin,
            metrics: None,
            feed: None,
            log: Log::new(|level, line| eprintln!("{level:?}: {line}")),
            opened: &|| opened.send(()).unwrap(),
            others: Vec::new(),
            plugins: Vec::new(),
            parser: None,
        };
        Run::prepare(settings(SourceSettings::Live(live)), context).unwrap().run(&controls)
    });
    if is_open.recv().is_err() {
        let error = run.join().unwrap().result.unwrap_err();
        return eprintln!("skipped: this kernel can't be monitored: {error}");
    }

    let _shell = cgroup.start(directory.path());
    alerts(&path("alerts"), |texts| starting(texts, "old").len() > 100);
    let installed = controller.reload(update(new, &planner, delivery(&path("alerts"), false)));
    assert!(installed.recv().unwrap() > Duration::ZERO);
    alerts(&path("alerts"), |texts| starting(texts, "new").len() > 100);
    fs::write(path("stop"), "").unwrap();
    let texts = alerts(&path("alerts"), |texts| {
        texts.last().is_some_and(|text| text.ends_with("opened-last"))
    });
    controller.send(Control::Stop);
    let RunReport { result, drops, summary, .. } = run.join().unwrap();
    result.unwrap();

    // No event is lost, and each is evaluated by one generation: the old, then the new.
    assert_eq!(drops.ledger().total().lost(), 0);
    let count: usize = fs::read_to_string(path("count")).unwrap().trim().parse().unwrap();
    let opened: Vec<_> = texts.iter().filter(|text| text.contains("/opened-")).collect();
    assert_eq!(opened.len(), count + 1);
    let mut reloaded = false;
    for (number, text) in (1..=count).zip(&opened) {
        assert!(text.ends_with(&format!("/opened-{number}")), "{text}");
        reloaded |= text.starts_with("new ");
        assert_eq!(text.starts_with("old "), !reloaded, "{text}");
    }
    // The kernel reports what is selected: directories before the reload, reads after it.
    let made = starting(&texts, "made");
    assert!(matches!(*made, [early] if early.contains(" path=early(")), "{made:?}");
    // A file that was opened before the reload has the name that it was opened by.
    let kept = format!("read {}", path("reload-kept").display());
    let read = starting(&texts, "read");
    assert!(!read.is_empty() && read.iter().all(|text| *text == kept), "{read:?}");
    let counted: u64 = summary.rules().map(|(_, count)| count).sum();
    assert_eq!(counted, texts.len() as u64);
}
