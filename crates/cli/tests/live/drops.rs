//! Losses, counted to the last event and repaired; and silence.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use peregrine_event::EventType;
use peregrine_scap::{Reader, Record};
use rustix::process::Signal;

use crate::{CONFIG, Owned, Place, RULES};

/// Opens, closes, duplicates and creates (existing directories) as often as requested; `keep`
/// leaves a file open as fd 7, `use` uses it; `fork` starts as many processes.
const FLOOD: &str = r#"
import os, sys
print("ready", flush=True)
for line in sys.stdin:
    what, path = line.split()
    if what == "keep":
        os.dup2(os.open(path, os.O_RDONLY), 7)
    elif what == "use":
        os.fchdir(7)
    elif what == "fork":
        for _ in range(int(path)):
            child = os.fork()
            if child == 0:
                os._exit(0)
            os.waitpid(child, 0)
    else:
        for _ in range(int(what)):
            os.close(os.open(path, os.O_RDONLY))
            os.dup2(0, 9)
            try:
                os.mkdir(path)
            except FileExistsError:
                pass
    print("done", flush=True)
"#;

/// Matches the last call of a round, so that earlier ones have been counted.
const FLOODED: &str = "\
- rule: Last
  desc: d
  condition: evt.type in (openat, close, dup3, mkdir) and evt.arg.path=/dev/full
  output: '%evt.num'
  priority: NOTICE
";

/// A child that executes commands line by line.
struct LoadDriver {
    child: Owned,
    answers: BufReader<ChildStdout>,
}

impl LoadDriver {
    /// Starts it in the cgroup of a place.
    fn start(place: &Place) -> Self {
        place.write("flood.py", FLOOD);
        let enter = "echo $$ >\"$0/cgroup.procs\" && exec python3 \"$1\"";
        let mut command = Command::new("sh");
        command.args(["-c", enter]).arg(&place.group).arg(place.path("flood.py"));
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = Owned(child.unwrap());
        let answers = BufReader::new(child.0.stdout.take().unwrap());
        let mut driver = Self { child, answers };
        driver.answer();
        driver
    }

    fn answer(&mut self) {
        let mut line = String::new();
        assert_ne!(self.answers.read_line(&mut line).unwrap(), 0);
    }

    fn does(&mut self, line: &str) {
        writeln!(self.child.0.stdin.as_mut().unwrap(), "{line}").unwrap();
        self.answer();
    }

    fn flood(&mut self, times: u64, path: &str) -> u64 {
        self.does(&format!("{times} {path}"));
        times
    }
}

/// Stops Peregrine while more events occur than its rings hold.
#[test]
fn what_a_flood_sends_is_what_is_delivered_and_what_is_lost() {
    let Some(place) = Place::new("flood") else { return };
    place.write("rules.yaml", FLOODED);
    let drops =
        "syscall_event_drops: {actions: [alert], threshold: 0, rate: 100, max_burst: 100}\n";
    place.write("falco.yaml", &format!("{CONFIG}{drops}"));
    let mut driver = LoadDriver::start(&place);
    let small = "engine.modern_ebpf.buf_size_preset=1";
    let more = ["-r", "rules.yaml", "-w", "all.scap", "-o", small];
    let Some(mut watcher) = place.watch(&more) else { return };
    watcher.signal(Signal::STOP);
    let mut sent = driver.flood(40_000, "/dev/zero");
    watcher.signal(Signal::CONT);
    watcher.wait_for(&["Falco internal: syscall event drop"]);
    // An event that arrives comes after all waiting ones; it may be lost too.
    sent += driver.flood(1, "/dev/full");
    while !watcher.sees("Last", Duration::from_millis(200)) {
        sent += driver.flood(1, "/dev/full");
    }
    let (alerts, log) = watcher.end_and_tell();
    drop(driver);

    let mut delivered: BTreeMap<&str, u64> = BTreeMap::new();
    let mut reader = Reader::open(place.path("all.scap")).unwrap();
    while let Some(record) = reader.next().unwrap() {
        let Record::Event { event, .. } = record else { continue };
        let class = match event.ty {
            EventType::SyscallOpenat_2E | EventType::SyscallOpenat_2X => "open",
            EventType::SyscallCloseX => "close",
            EventType::SyscallDup2X | EventType::SyscallDup3X => "other",
            EventType::SyscallMkdir_2X => "dir_file",
            _ => continue,
        };
        *delivered.entry(class).or_default() += 1;
    }
    let lost = |class: &str| -> u64 {
        let lines = log.lines().filter(|line| line.contains(&format!(" {class} lost on CPU ")));
        lines
            .map(|line| {
                line.trim_start_matches("   - ").split(' ').next().unwrap().parse::<u64>().unwrap()
            })
            .sum()
    };
    let entries = Path::new("/sys/kernel/tracing/events/syscalls").exists();
    for (class, each) in
        [("open", 1 + u64::from(entries)), ("close", 1), ("other", 1), ("dir_file", 1)]
    {
        assert!(lost(class) > 0, "{class}: {log}");
        assert_eq!(delivered.get(class).unwrap_or(&0) + lost(class), sent * each, "{class}: {log}");
    }
    let drops = alerts.iter().find(|alert| alert["rule"] == "Falco internal: syscall event drop");
    let fields = &drops.unwrap()["output_fields"];
    assert_eq!(fields["n_drops"], fields["falco.coverage.lost"].to_string());
    assert_eq!(
        fields["n_drops_buffer_close_exit"],
        fields["falco.coverage.lost_close_buffer"].to_string()
    );
    let group = place.group.file_name().unwrap().to_str().unwrap();
    let groups = fields["falco.coverage.lost_cgroups"].as_str().unwrap();
    assert_eq!(groups, format!("/{group}={}", fields["n_drops"].as_str().unwrap()));
    assert!(fields["falco.coverage.perc"].as_f64().unwrap() < 100.0);
    assert!(log.contains(" of them in control group /peregrine-test-flood-"), "{log}");
}

/// The open is lost; later operations on the file must still be resolved.
#[test]
fn a_file_whose_opening_was_lost_is_known_afterwards() {
    let Some(place) = Place::new("repair") else { return };
    let rule = "\
- rule: Uses it
  desc: d
  condition: evt.type=fchdir and fd.name in (/usr/lib, /usr/share)
  output: '%fd.name %fd.type %proc.cwd %evt.type'
  priority: NOTICE
";
    place.write("rules.yaml", rule);
    let mut driver = LoadDriver::start(&place);
    let small = "engine.modern_ebpf.buf_size_preset=1";
    let Some(mut watcher) = place.watch(&["-r", "rules.yaml", "-o", small]) else { return };
    driver.does("keep /usr/share");
    driver.does("use /");
    watcher.wait_for(&["Uses it"]);
    watcher.signal(Signal::STOP);
    driver.flood(30_000, "/dev/zero");
    // The fd number is reused.
    driver.does("keep /usr/lib");
    watcher.signal(Signal::CONT);
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        driver.does("use /");
        if watcher.sees("Uses it", Duration::from_millis(200))
            && watcher.seen.last().unwrap()["output_fields"]["fd.name"] == "/usr/lib"
        {
            break;
        }
        assert!(Instant::now() < deadline, "{:#?}", watcher.seen);
    }
    let (alerts, log) = watcher.end_and_tell();
    let last = alerts.iter().rfind(|alert| alert["output_fields"]["fd.name"] == "/usr/lib");
    let fields = &last.unwrap()["output_fields"];
    assert_eq!((&fields["fd.type"], &fields["evt.type"]), (&"directory".into(), &"fchdir".into()));
    assert_eq!(fields["proc.cwd"], "/usr/lib/");
    assert!(log.contains(" processes read again, "), "{log}");
}

/// The threshold is never exceeded, and `alert` is no action.
#[test]
fn lost_process_events_are_an_alert_whatever_the_threshold() {
    let Some(place) = Place::new("lifecycle") else { return };
    place.write("rules.yaml", FLOODED);
    place.write(
        "falco.yaml",
        &format!("{CONFIG}syscall_event_drops: {{actions: [log], threshold: 1}}\n"),
    );
    let mut driver = LoadDriver::start(&place);
    let small = "engine.modern_ebpf.buf_size_preset=1";
    let Some(mut watcher) = place.watch(&["-r", "rules.yaml", "-o", small]) else { return };
    watcher.signal(Signal::STOP);
    driver.does("fork 4000");
    watcher.signal(Signal::CONT);
    watcher.wait_for(&["Falco internal: process event drop"]);
    let alerts = watcher.end();
    let of = |rule: &str| alerts.iter().filter(|alert| alert["rule"] == rule).collect::<Vec<_>>();
    assert!(of("Falco internal: syscall event drop").is_empty());
    let alert = of("Falco internal: process event drop")[0];
    assert_eq!(alert["priority"], "Critical");
    let fields = &alert["output_fields"];
    let classes = ["clone_fork", "execve", "proc"].map(|class| format!("n_drops_{class}"));
    let lost: u64 = classes.iter().filter_map(|class| fields[class].as_u64()).sum();
    assert!(lost > 0 && fields["n_drops"].as_u64() == Some(lost), "{fields:#}");
    let group = place.group.file_name().unwrap().to_str().unwrap();
    let groups = fields["falco.coverage.lost_cgroups"].as_str().unwrap();
    assert!(groups.starts_with(&format!("/{group}=")), "{groups}");
}

/// The program is stopped while events arrive, and then told to end.
#[test]
fn what_happened_before_a_stop_is_processed() {
    let Some(place) = Place::new("drain") else { return };
    let rule = FLOODED.replace("(openat, close, dup3, mkdir)", "(mkdir)");
    place.write("rules.yaml", &rule);
    let mut driver = LoadDriver::start(&place);
    let Some(mut watcher) = place.watch(&["-r", "rules.yaml"]) else { return };
    // The snapshot is complete when an event raises an alert.
    let mut acts = driver.flood(1, "/dev/full");
    watcher.wait_for(&["Last"]);
    watcher.signal(Signal::STOP);
    acts += driver.flood(3_000, "/dev/full");
    watcher.signal(Signal::TERM);
    watcher.signal(Signal::CONT);
    let (alerts, log) = watcher.finish();
    assert_eq!(alerts.iter().filter(|alert| alert["rule"] == "Last").count() as u64, acts, "{log}");
    assert!(log.contains("coverage 100 %") && !log.contains("were waiting"), "{log}");
}

/// More events than one CPU processes, and a rule that matches all of them.
#[test]
fn a_stop_under_load_is_heeded_in_time_and_every_alert_accounted_for() {
    let Some(place) = Place::new("stopload") else { return };
    place.write("rules.yaml", FLOODED);
    let mut driver = LoadDriver::start(&place);
    let Some(watcher) = place.watch(&["-r", "rules.yaml", "-o", "log_level=info"]) else { return };
    let stdin = driver.child.0.stdin.as_mut().unwrap();
    writeln!(stdin, "100000000 /dev/full").unwrap();
    std::thread::sleep(Duration::from_millis(500));
    let begun = Instant::now();
    let (alerts, log) = watcher.end_and_tell();
    // Five seconds are promised; a busy machine adds some.
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?} {log}", begun.elapsed());
    assert!(!alerts.is_empty() && log.contains("Syscall event drop monitoring:"), "{log}");
}

#[test]
fn silence_is_told() {
    let Some(place) = Place::new("silence") else { return };
    place.write("rules.yaml", RULES);
    let more = ["-r", "rules.yaml", "-o", "syscall_event_timeouts.max_consecutives=3"];
    let Some(mut watcher) = place.watch(&more) else { return };
    watcher.wait_for(&["Falco internal: timeouts notification"]);
    let alerts = watcher.end();
    // For a single cgroup, once.
    assert_eq!(alerts.len(), 1);
    let text = "Falco internal: timeouts notification. 3 consecutive timeouts without event.";
    assert_eq!(alerts[0]["output"], text);
    assert_eq!(alerts[0]["priority"], "Debug");
    assert_eq!(alerts[0]["output_fields"]["last_event_time"], "none");
}
