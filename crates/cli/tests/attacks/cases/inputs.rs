//! Rules of an unknown author: they must not cost more memory than the program has.

use std::fs::File;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::agent::program;
use crate::trial::{Trial, millis};

/// Address space of the program, which it must not exhaust.
const ADDRESSES: u64 = 1 << 30;
/// How long it may take on a busy machine, without optimisation.
const TIME: Duration = Duration::from_secs(60);

const CONFIG: &str = "\
engine: {kind: nodriver}
plugins: [{name: container, library_path: libcontainer.so}]
log_stderr: true
stdout_output: {enabled: true}
";

/// Lists of lists, of which each rule has a copy: 70 million items in 5 KB of rules.
pub(super) fn nested_lists(trial: &mut Trial) {
    let mut rules = "- list: level0\n  items: [a, b, c, d, e, f]\n".to_owned();
    for level in 1..8 {
        let below = vec![format!("level{}", level - 1); 6].join(", ");
        rules += &format!("- list: level{level}\n  items: [{below}]\n");
    }
    for number in 0..40 {
        rules += &format!(
            "- rule: Wide {number}\n  desc: d\n  condition: evt.type=open and proc.name in (level7, \
             x{number})\n  output: x\n  priority: NOTICE\n"
        );
    }
    trial.place.write("rules.yaml", &rules);
    trial.note("rules", format_args!("{} bytes", rules.len()));
    limited(trial, &["-V", "rules.yaml"]);
}

/// Runs the program with a limit on its address space: it must end by itself, in time, and say what
/// is wrong, if anything is.
fn limited(trial: &mut Trial, arguments: &[&str]) {
    trial.place.write("falco.yaml", CONFIG);
    let mut command = Command::new("sh");
    let limit = format!("ulimit -v {} && exec \"$0\" \"$@\"", ADDRESSES >> 10);
    command.args(["-c", &limit]).arg(program()).args(["-c", "falco.yaml"]);
    command.args(arguments).current_dir(trial.place.directory()).stdin(Stdio::null());
    let log = File::create(trial.place.path("stderr")).unwrap();
    let mut child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
    let (begun, mut peak) = (Instant::now(), 0);
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        if begun.elapsed() > TIME {
            let _ = child.kill();
            let _ = child.wait();
            break None;
        }
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()));
        let line = status.unwrap_or_default();
        let line = line.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let value = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        peak = peak.max(value.unwrap_or(0));
        std::thread::sleep(Duration::from_millis(2));
    };
    trial.note("time", millis(begun.elapsed()));
    trial.note("peak", format_args!("{} MB", peak >> 10));
    match status {
        None => trial.broken(format!("no end within {TIME:?}")),
        Some(status) => {
            trial.note("exit code", status.code().unwrap_or(-1));
            let stderr = std::fs::read_to_string(trial.place.path("stderr")).unwrap_or_default();
            let last = stderr.lines().last().unwrap_or_default().to_owned();
            if std::env::var_os("PEREGRINE_ATTACK_LOG").is_some() {
                eprintln!("{stderr}");
            }
            trial.promise(status.code().is_some(), || format!("it is killed: {last}"));
        }
    }
    trial.promise(peak < 512 << 10, || format!("{} MB of memory", peak >> 10));
}
