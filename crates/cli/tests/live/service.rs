//! The running kernel, monitored by a service: what the service manager is told, and what the
//! process may still do.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::{CONFIG, Place, RULES, Watcher};

const SOON: Duration = Duration::from_secs(60);

/// Numbers of capabilities.
const DAC_OVERRIDE: u64 = 1 << 1;
const DAC_READ_SEARCH: u64 = 1 << 2;
const SYS_PTRACE: u64 = 1 << 19;
const SYS_ADMIN: u64 = 1 << 21;
const PERFMON: u64 = 1 << 38;
const BPF: u64 = 1 << 39;
/// What monitoring takes.
const MONITORING: u64 = BPF | PERFMON | SYS_PTRACE | DAC_READ_SEARCH;

/// The next message that is not about the watchdog.
fn message(manager: &UnixDatagram) -> String {
    let mut bytes = [0; 4096];
    loop {
        let length = manager.recv(&mut bytes).unwrap();
        let message = String::from_utf8(bytes[..length].to_vec()).unwrap();
        if message != "WATCHDOG=1" {
            return message;
        }
    }
}

#[test]
fn the_service_manager_is_told_of_the_start_reloads_and_the_end() {
    let Some(place) = Place::new("notify") else { return };
    place.write("rules.yaml", RULES);
    let manager = UnixDatagram::bind(place.path("notify")).unwrap();
    manager.set_read_timeout(Some(SOON)).unwrap();
    let socket = place.path("notify").display().to_string();
    let environment = [("NOTIFY_SOCKET", socket.as_str()), ("WATCHDOG_USEC", "2000000")];
    let watched = place.watch_with(&["-r", "rules.yaml"], &environment);
    let Some(mut watcher) = watched else { return };
    let ready = message(&manager);
    assert!(ready.starts_with("READY=1\nSTATUS=") && ready.contains("; 10 rules; "), "{ready}");
    place.act("mount --make-rprivate /; mount --bind \"$1/etc\" /etc; cat /etc/shadow >/dev/null");
    watcher.wait_for(&["Sensitive file read"]);

    let mut first = RULES.split_inclusive("priority: WARNING\n");
    place.write("rules.yaml", first.next().unwrap());
    watcher.signal(Signal::HUP);
    // A change of the file may be noticed before the signal.
    assert!(message(&manager).starts_with("RELOADING=1\nMONOTONIC_USEC="));
    let ready = message(&manager);
    assert!(ready.starts_with("READY=1\n") && ready.contains("; 1 rules; "), "{ready}");
    let mut bytes = [0; 4096];
    let length = manager.recv(&mut bytes).unwrap();
    assert!(!bytes[..length].is_empty());

    let alerts = watcher.end();
    assert!(!alerts.is_empty());
    let mut last = message(&manager);
    while !last.starts_with("STOPPING=1") {
        assert!(last.starts_with("RELOADING=1") || last.starts_with("READY=1"), "{last}");
        last = message(&manager);
    }
}

/// The sets of capabilities of each thread, and whether it may get new privileges.
fn privileges(watcher: &Watcher) -> Vec<Vec<(String, u64)>> {
    let tasks = fs::read_dir(format!("/proc/{}/task", watcher.child.0.id())).unwrap();
    // A thread may end meanwhile.
    let status = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("status")));
    let status = status.filter_map(Result::ok);
    let line = |line: &str| {
        let (name, value) = line.split_once(":\t")?;
        let radix = if name.starts_with("Cap") { 16 } else { 10 };
        let wanted = name.starts_with("Cap") || name == "NoNewPrivs" || name == "Seccomp";
        wanted.then(|| (name.to_owned(), u64::from_str_radix(value, radix).unwrap()))
    };
    status.map(|status| status.lines().filter_map(line).collect()).collect()
}

fn privilege(thread: &[(String, u64)], name: &str) -> u64 {
    thread.iter().find(|(line, _)| line == name).unwrap().1
}

#[test]
fn every_thread_keeps_what_monitoring_takes_and_nothing_else() {
    let Some(place) = Place::new("privileges") else { return };
    place.write("rules.yaml", RULES);
    let act = "mount --make-rprivate /; mount --bind \"$1/etc\" /etc; cat /etc/shadow >/dev/null";
    // Kernels that open tracepoints for administrators only.
    let paranoid = fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").unwrap();
    let restricted = paranoid.trim().parse::<i32>().unwrap() > 2;
    let monitoring = MONITORING | if restricted { SYS_ADMIN } else { 0 };
    let cases = [
        // Extra configuration, capabilities besides those for monitoring, whether programs run.
        ("", 0, false),
        ("file_output: {enabled: true, filename: alerts.txt}\n", DAC_OVERRIDE, false),
        ("program_output: {enabled: true, program: \"cat >>alerts.txt\"}\n", 0, true),
    ];
    for (more, capabilities, programs) in cases {
        place.write("falco.yaml", &format!("{CONFIG}{more}"));
        let Some(mut watcher) = place.watch(&["-r", "rules.yaml"]) else { return };
        let threads = privileges(&watcher);
        assert!(threads.len() > 3);
        for thread in threads {
            let is = |name, value| assert_eq!(privilege(&thread, name), value, "{name} {more}");
            is("CapEff", monitoring | capabilities);
            is("CapPrm", monitoring | capabilities);
            is("CapInh", 0);
            is("CapAmb", 0);
            if programs {
                assert!(privilege(&thread, "CapBnd") & !MONITORING != 0);
                is("Seccomp", 0);
            } else {
                is("CapBnd", monitoring | capabilities);
                is("NoNewPrivs", 1);
                is("Seccomp", 2);
            }
        }
        // Other rules need other system calls: hooks are attached after privileges were dropped.
        let alert = "- rule: Makes a directory\n  desc: d\n  condition: evt.type in (mkdir, mkdirat)\n  \
                     output: x\n  priority: WARNING\n";
        place.write("rules.yaml", &format!("{RULES}{alert}"));
        let deadline = Instant::now() + SOON;
        loop {
            place.act(&format!("{act}; mkdir -p \"$1/new\""));
            if watcher.sees("Makes a directory", Duration::from_millis(500)) {
                break;
            }
            assert!(Instant::now() < deadline, "{:#?}", watcher.seen);
        }
        assert!(watcher.seen.iter().any(|alert| alert["rule"] == "Sensitive file read"));
        let (_, log) = watcher.end_and_tell();
        assert!(!log.contains("cannot") && !log.contains("not permitted"), "{log}");
        if !more.is_empty() {
            assert!(fs::read_to_string(place.path("alerts.txt")).unwrap().contains("Sensitive"));
            fs::remove_file(place.path("alerts.txt")).unwrap();
        }
        place.write("rules.yaml", RULES);
    }
}

#[test]
fn privileges_stay_where_the_configuration_says_so() {
    let Some(place) = Place::new("keeps") else { return };
    place.write("rules.yaml", RULES);
    let more = ["-r", "rules.yaml", "-o", "drop_privileges=false"];
    let Some(watcher) = place.watch(&more) else { return };
    for thread in privileges(&watcher) {
        assert!(privilege(&thread, "CapEff") & !MONITORING != 0);
        assert_eq!(privilege(&thread, "Seccomp"), 0);
    }
    watcher.end();
}
