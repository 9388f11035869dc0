use std::fs;
use std::path::Path;
use std::thread;

use super::*;
use crate::testing::{alert, alerts, formatter, line, lines};

fn program(dir: &Path, command: &str, keep_alive: bool) -> Program {
    let command = format!("cd '{}' && {command}", dir.display());
    Program::new(ProgramOutput { command, keep_alive }, formatter())
}

fn read(dir: &Path, name: &str) -> String {
    fs::read_to_string(dir.join(name)).unwrap_or_default()
}

#[test]
fn each_alert_has_its_own_program() {
    let dir = tempfile::tempdir().unwrap();
    let mut program = program(dir.path(), "(echo start; cat) >> out", false);
    program.deliver(&[alert("one"), alert("two")]).unwrap();
    assert_eq!(
        read(dir.path(), "out"),
        format!("start\n{}\nstart\n{}\n", line("one"), line("two"))
    );
}

#[test]
fn a_kept_program_reads_all_alerts() {
    let dir = tempfile::tempdir().unwrap();
    let mut program = program(dir.path(), "(echo start; cat) >> out", true);
    program.deliver(&[alert("one")]).unwrap();
    program.deliver(&[alert("two")]).unwrap();
    program.reopen().unwrap();
    program.deliver(&[alert("three")]).unwrap();
    program.finish().unwrap();
    let expected = format!("start\n{}start\n{}", lines(&["one", "two"]), lines(&["three"]));
    assert_eq!(read(dir.path(), "out"), expected);
}

#[test]
fn an_exited_program_is_restarted_before_the_next_alert() {
    let dir = tempfile::tempdir().unwrap();
    let mut program = program(dir.path(), "head -n 1 >> out; exit 3", true);
    program.deliver(&[alert("one")]).unwrap();
    let exited = program.kept().unwrap();
    while !exited.is_deaf() {
        thread::sleep(Duration::from_millis(1));
    }
    let outcome = program.deliver(&[alert("two")]);
    assert_eq!((outcome.delivered, outcome.failed), (1, 0));
    let error = outcome.error.unwrap().to_string();
    assert!(error.starts_with("program output has ended (exit status: 3): cd "), "{error}");
    assert_eq!(program.finish().failed, 0);
    assert_eq!(read(dir.path(), "out"), lines(&["one", "two"]));
}

#[test]
fn what_a_program_has_not_read_goes_to_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    // The shell reads byte by byte, so the first program leaves two alerts in the pipe.
    let once = "read -r line; echo \"$line\" >> out; test -e seen || { touch seen; exit; }; cat";
    let mut program = program(dir.path(), &format!("{once} >> out"), true);
    let outcome = program.deliver(&alerts(&["one", "two", "three"]));
    assert_eq!((outcome.delivered, outcome.failed, outcome.retried), (3, 0, 2));
    let error = outcome.error.unwrap().to_string();
    assert!(error.contains("(exit status: 0)"), "{error}");
    program.finish().unwrap();
    assert_eq!(read(dir.path(), "out"), lines(&["one", "two", "three"]));
}

#[test]
fn a_program_that_ends_without_reading_loses_alerts_and_does_not_spin() {
    let dir = tempfile::tempdir().unwrap();
    let mut program = program(dir.path(), "echo >> starts; exec <&-; exit 1", true);
    let begun = Instant::now();
    for _ in 0..2 {
        let outcome = program.deliver(&alerts(&["one", "two"]));
        assert_eq!((outcome.delivered, outcome.failed, outcome.retried), (0, 2, 2));
    }
    assert_eq!(read(dir.path(), "starts").len(), 4);
    // 0.1 s, 0.2 s, 0.4 s
    assert!(begun.elapsed() >= Duration::from_millis(700));
}

#[test]
fn a_program_that_fails_for_an_alert_loses_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut fails = program(dir.path(), "cat > /dev/null; exit 7", false);
    let outcome = fails.deliver(&[alert("one")]);
    assert_eq!((outcome.delivered, outcome.failed), (0, 1));
    let error = outcome.error.unwrap().to_string();
    assert!(error.starts_with("program output has ended (exit status: 7): cd "), "{error}");
    let mut killed = program(dir.path(), "kill -9 $$", false);
    let error = killed.deliver(&[alert("one")]).unwrap_err().to_string();
    assert!(error.contains("(signal: 9 (SIGKILL))"), "{error}");
    // It need not read the alert.
    program(dir.path(), "true", false).deliver(&[alert("one")]).unwrap();
}

#[test]
fn a_missing_program_is_not_started_for_every_alert_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut missing = program(dir.path(), "./no-such-program 2> /dev/null", false);
    let begun = Instant::now();
    assert_eq!(missing.deliver(&alerts(&["one", "two", "three"])).failed, 3);
    assert!(begun.elapsed() >= Duration::from_millis(300));
}

#[test]
fn the_end_of_the_run_ends_a_program_that_does_not_read_with_its_children() {
    let dir = tempfile::tempdir().unwrap();
    let command = "trap '' TERM; sleep 1000 & echo $! > child; sleep 1000; sleep 1000";
    let mut program = program(dir.path(), command, true);
    let shutdown = program.shutdown();
    let stuck = thread::spawn(move || {
        let delivered = program.deliver(&[alert("one")]);
        (delivered, program.finish())
    });
    while read(dir.path(), "child").is_empty() {
        thread::sleep(Duration::from_millis(5));
    }
    let child: i32 = read(dir.path(), "child").trim().parse().unwrap();
    shutdown.end();
    let (delivered, finished) = stuck.join().unwrap();
    assert_eq!((delivered.delivered, delivered.failed), (0, 1));
    assert!(finished.error.is_none());
    let error = delivered.error.unwrap().to_string();
    assert!(error.starts_with("program output did not end in time (signal: 9"), "{error}");
    // The children too, or they wait for a parent that has not looked yet.
    let begun = Instant::now();
    while fs::read_to_string(format!("/proc/{child}/stat")).is_ok_and(|stat| !stat.contains(") Z"))
    {
        assert!(begun.elapsed() < Duration::from_secs(10));
        thread::sleep(Duration::from_millis(5));
    }
}
