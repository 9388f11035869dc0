//! Reloads while 200,000 events a second come from the running kernel.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use peregrine_alert::{AlertOrigin, RuleRegistry};
use peregrine_probe::bpf::ProbeConfig;
use peregrine_runtime::control::{Control, channel};
use peregrine_runtime::sources::{LiveSettings, probe_selection};
use peregrine_runtime::{Log, Run, RunContext, RunReport, SourceSettings};

use crate::live::{Cgroup, Shell, alerts, selected, starting};
use crate::{delivery, generation, outputs, settings, update};

const RELOADS: usize = 5;
/// Where the process that makes the events works.
const DIRECTORY: &str = "RELOAD_LOAD_DIRECTORY";
/// Each 10 ms this many files that do not exist are opened, each after 99 other events.
const OPENED: u32 = 20;
/// The process ends by itself.
const LONGEST: Duration = Duration::from_secs(60);

/// Each version has a word, and a system call that only it has selected.
fn rules(word: &str) -> String {
    format!(
        "
- rule: opened
  desc: d
  condition: evt.type in (open, openat) and fd.name contains /opened-
  output: {word} %fd.name
  priority: INFO
- rule: read
  desc: d
  condition: evt.type = read and fd.name contains /reload-
  output: read %fd.name by %proc.name of %proc.aname[1]
  priority: INFO
"
    )
}

/// Opens a file that then gets another name, and makes events until there is `stop`.
fn generate(directory: &Path) {
    let path = |name: &str| directory.join(name);
    let mut kept = File::open(path("reload-kept")).unwrap();
    fs::rename(path("reload-kept"), path("moved")).unwrap();
    let (begun, mut tick, mut count) = (Instant::now(), 0, 0);
    let mut byte = [0];
    while !path("stop").exists() && begun.elapsed() < LONGEST {
        let _ = kept.read(&mut byte).unwrap();
        for _ in 0..OPENED {
            for _ in 0..99 {
                let _ = kept.read_at(&mut byte, 0).unwrap();
            }
            count += 1;
            File::open(path(&format!("opened-{count}"))).unwrap_err();
        }
        tick += 1;
        let next = begun + tick * Duration::from_millis(10);
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    eprintln!("{:.0} events a second", f64::from(count * 100) / begun.elapsed().as_secs_f64());
    fs::write(path("count"), count.to_string()).unwrap();
    File::open(path("opened-last")).unwrap_err();
}

/// Makes the events of the other test, in a process of its own.
#[test]
fn generator() {
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        generate(Path::new(&directory));
    }
}

#[test]
fn two_hundred_thousand_events_a_second_survive_reloads() {
    let Some(cgroup) = Cgroup::new("load") else { return };
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::write(path("reload-kept"), "a line\n").unwrap();

    let origin = AlertOrigin::new(Arc::new(RuleRegistry::new()), "HOST");
    let version = |number: usize| {
        let more =
            if number.is_multiple_of(2) { ["mkdir", "mkdirat"] } else { ["symlink", "symlinkat"] };
        let [one, two] = more;
        let selected = selected(&["pread64", "read", one, two]);
        generation(&rules(&number.to_string()), &origin, selected)
    };
    let first = version(0);
    let probe = ProbeConfig {
        selection: probe_selection(&first.settings().selected),
        scope: Some(cgroup.0.clone()),
        // Without optimisation, evaluation is slower than the events come.
        ring_bytes: 128 << 20,
        ..ProbeConfig::default()
    };
    let live = LiveSettings { probe, host_root: "/".into(), count_runs: false };
    let (controller, controls) = channel();
    let (opened, is_open) = mpsc::channel();
    let outputs = outputs(&path("alerts"), false);
    let planner = outputs.planner();
    let run_origin = origin.clone();
    let run = thread::spawn(move || {
        let context = RunContext {
            generation: first,
            outputs,
            origin: run_origin,
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

    let script = format!("echo $$ >{}/cgroup.procs; \"$0\" \"$@\"; exit $?", cgroup.0.display());
    let mut command = Command::new("sh");
    command.args(["-c", &script]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", "load::generator", "--nocapture"]);
    let _shell = Shell(command.env(DIRECTORY, directory.path()).spawn().unwrap());
    alerts(&path("alerts"), |texts| starting(texts, "0 ").len() > 100);
    for number in 1..=RELOADS {
        let (before, begun) = (format!("{number} "), Instant::now());
        let next = update(version(number), &planner, delivery(&path("alerts"), false));
        let swap = controller.reload(next).recv().unwrap();
        eprintln!(
            "reload {number}: in force after {:.1?}, events waited {swap:.1?}",
            begun.elapsed()
        );
        alerts(&path("alerts"), |texts| starting(texts, &before).len() > 100);
    }
    fs::write(path("stop"), "").unwrap();
    let texts = alerts(&path("alerts"), |texts| {
        texts.last().is_some_and(|text| text.ends_with("opened-last"))
    });
    controller.send(Control::Stop);
    let RunReport { result, drops, .. } = run.join().unwrap();
    result.unwrap();

    // No event is lost, and each is evaluated by one version, in their order.
    assert_eq!(drops.ledger().total().lost(), 0);
    let count: usize = fs::read_to_string(path("count")).unwrap().parse().unwrap();
    let opened: Vec<_> = texts.iter().filter(|text| text.contains("/opened-")).collect();
    assert_eq!(opened.len(), count + 1);
    let mut words = Vec::new();
    for (number, text) in (1..=count).zip(&opened) {
        assert!(text.ends_with(&format!("/opened-{number}")), "{text}");
        words.push(text.split(' ').next().unwrap().parse::<usize>().unwrap());
    }
    words.dedup();
    assert_eq!(words, (0..=RELOADS).collect::<Vec<_>>());
    // The file and the parent of the process are known from before the first reload.
    let kept = format!("read {} by ", path("reload-kept").display());
    let read = starting(&texts, "read ");
    assert!(!read.is_empty());
    assert!(
        read.iter().all(|text| text.starts_with(&kept) && text.ends_with(" of sh")),
        "{read:?}"
    );
}
