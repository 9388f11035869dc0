//! `peregrine tune`, through the program.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

use rustix::process::geteuid;

const CAPTURE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../conformance/captures/own_acts.scap");

fn peregrine(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_peregrine")).args(words).output().unwrap()
}

/// Settings and tables.
fn tune(more: &[&str]) -> (String, String) {
    let output = peregrine(&[&["tune", "--capture", CAPTURE], more].concat());
    let tables = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{tables}");
    (String::from_utf8(output.stdout).unwrap(), tables)
}

/// Events per second of each set.
fn sets(tables: &str) -> Vec<(String, f64)> {
    let lines = tables.lines().skip_while(|line| !line.ends_with("set of system calls")).skip(1);
    let row = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        Some((words.get(7)?.trim_end_matches(':').to_owned(), words.first()?.parse().ok()?))
    };
    lines.map_while(row).collect()
}

/// The selection with these settings, as the log reports it.
fn selected(settings: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("falco.yaml");
    let more = "log_level: debug\nlog_stderr: true\nstdout_output: {enabled: true}\n\
                plugins: [{name: container, library_path: libcontainer.so}]\n";
    fs::write(&path, format!("{settings}{more}")).unwrap();
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/../wiring/assets/rules.yaml");
    let output = peregrine(&["-c", path.to_str().unwrap(), "-r", rules, "--dry-run"]);
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{log}");
    log.lines().find(|line| line.contains("(final set)")).unwrap().to_owned()
}

#[test]
fn a_smaller_set_brings_less_and_is_recommended() {
    let (settings, tables) = tune(&[]);
    let sets = sets(&tables);
    let names: Vec<_> = sets.iter().map(|(name, _)| name.as_str()).collect();
    let expected = ["configured", "default", "repair", "processes", "accept", "connect", "open"];
    assert_eq!(names, expected, "{tables}");
    let of = |name| sets.iter().find(|(set, _)| set == name).unwrap().1;
    assert_eq!(of("configured"), of("default"));
    assert!(of("repair") < of("default") && of("processes") < of("repair"), "{tables}");
    assert!(of("processes") > 0.0 && of("open") > of("processes"), "{tables}");
    assert!(settings.contains("\n  repair: true\n"), "{settings}");
    assert!(settings.contains("\n    buf_size_preset: 4\n"), "{settings}");
    assert!(tables.contains("openat\n"), "{tables}");
    assert!(tables.contains("Password hashes read\n"), "{tables}");
    // The settings contain all reasons as comments.
    let reasons: Vec<_> = settings.lines().filter_map(|line| line.strip_prefix("# ")).collect();
    assert!(reasons.len() == 4 && reasons.iter().all(|reason| tables.contains(reason)));
}

#[test]
fn settings_can_be_pasted_and_select_what_was_measured() {
    let (repair, _) = tune(&[]);
    let repair = selected(&repair);
    assert!(repair.contains("unlinkat") && !repair.contains("eventfd2"), "{repair}");
    let (processes, _) = tune(&["--set", "processes"]);
    let processes = selected(&processes);
    assert!(processes.contains("execve") && !processes.contains("openat"), "{processes}");
}

#[test]
fn what_can_not_be_measured_is_told() {
    let output = peregrine(&["tune", "--capture", CAPTURE, "--set", "everything"]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.contains("there is no set everything; there are: configured, default"),
        "{stderr}"
    );
    let output = peregrine(&["tune", "--capture", "/no/such/file.scap"]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("/no/such/file.scap"), "{stderr}");
}

#[test]
fn a_machine_is_watched_for_as_long_as_asked() {
    let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new);
    let root = roots.iter().find(|root| root.join("cgroup.controllers").exists());
    let (true, Some(root)) = (geteuid().is_root(), root) else {
        eprintln!("SKIPPED: watching takes root and a cgroup v2 file system");
        return;
    };
    let group = root.join(format!("peregrine-test-tune-{}", std::process::id()));
    if let Err(error) = fs::create_dir(&group) {
        eprintln!("SKIPPED: {}: {error}", group.display());
        return;
    }
    let scope = format!("engine.modern_ebpf.scope.cgroup={}", group.display());
    // Opens files for about as long as `tune` measures.
    let enter = "echo $$ >\"$0/cgroup.procs\"; for i in $(seq 400); do cat /etc/hosts >/dev/null; sleep 0.01; done";
    let mut load = Command::new("sh").args(["-c", enter]).arg(&group).spawn().unwrap();
    let output = peregrine(&["tune", "--seconds", "2", "-o", &scope]);
    let _ = load.kill();
    let _ = load.wait();
    thread::sleep(Duration::from_millis(200));
    let _ = fs::remove_dir(&group);
    let tables = String::from_utf8(output.stderr).unwrap();
    if tables.contains("cannot watch this kernel") {
        eprintln!("SKIPPED: {tables}");
        return;
    }
    assert!(output.status.success(), "{tables}");
    let sets = sets(&tables);
    assert!(sets.len() == 7 && sets.iter().all(|(_, events)| *events > 0.0), "{tables}");
    assert!(tables.contains("The reader was behind by"), "{tables}");
    let settings = String::from_utf8(output.stdout).unwrap();
    assert!(settings.contains("\n    buf_size_preset: "), "{settings}");
    selected(&settings);
}
