//! What many reloads leave behind.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use crate::run::{CONFIG, PATIENCE, Run, rule};

/// Reloads before the first look: caches and pools have their size then.
const WARM_UP: usize = 100;
const RELOADS: usize = 1000;

#[test]
fn a_thousand_reloads_leave_descriptors_threads_and_memory_as_they_were() {
    let mut run = Run::start("watch_config_files: false\n", &rule("0"));
    let mut log = fs::File::open(run.path("log")).unwrap();
    let mut reload = |run: &mut Run, number: usize| {
        // Each version has other rules, and each second one an output more.
        run.write("rules.yaml", &(many_rules(number) + &rule(&number.to_string())));
        let more = format!("stdout_output: {{enabled: {}}}\n", number.is_multiple_of(2));
        let keys = "rules_files: [rules.yaml]\nwatch_config_files: false\n";
        run.write("falco.yaml", &format!("{CONFIG}{keys}{more}"));
        run.hang_up();
        let (begun, mut text) = (Instant::now(), String::new());
        while !text.contains("Reloaded: ") {
            assert!(begun.elapsed() < PATIENCE, "{text}");
            // Requests are handled between two events.
            run.event();
            thread::sleep(Duration::from_millis(2));
            log.read_to_string(&mut text).unwrap();
        }
        assert!(!text.contains("Reload failed"), "{text}");
    };
    (1..=WARM_UP).for_each(|number| reload(&mut run, number));
    settle(&mut run);
    let before = Usage::of(run.pid());
    (WARM_UP + 1..=WARM_UP + RELOADS).for_each(|number| reload(&mut run, number));
    settle(&mut run);
    let after = Usage::of(run.pid());
    eprintln!("{before:?} {after:?}");
    assert_eq!((after.descriptors, after.threads), (before.descriptors, before.threads));
    // Each version takes more than 100 KB.
    assert!(after.memory < before.memory + 4000, "{before:?} {after:?}");
    assert!(run.finish().len() <= WARM_UP + RELOADS + 1);
}

/// Waits until what is replaced has ended.
fn settle(run: &mut Run) {
    for _ in 0..100 {
        run.event();
        thread::sleep(Duration::from_millis(10));
    }
}

fn many_rules(number: usize) -> String {
    let rule = |rule| {
        format!(
            "- {{rule: R{rule}, desc: d, condition: evt.type = open and fd.name startswith /{number}/{rule}, output: '%proc.name %fd.name', priority: INFO}}\n"
        )
    };
    (0..25).map(rule).collect()
}

#[derive(Debug)]
struct Usage {
    descriptors: usize,
    threads: usize,
    /// Resident, in KiB.
    memory: u64,
}

impl Usage {
    fn of(pid: Pid) -> Self {
        let process = Path::new("/proc").join(pid.to_string());
        let count = |name: &str| fs::read_dir(process.join(name)).unwrap().count();
        let status = fs::read_to_string(process.join("status")).unwrap();
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        Self {
            descriptors: count("fd"),
            threads: count("task"),
            memory: memory.trim().trim_end_matches(" kB").parse().unwrap(),
        }
    }
}
