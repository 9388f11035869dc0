//! A disk that is full: a small one of the test's own, in a mount namespace of its own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::support::{Feed, Place, Server, number_in, skip_or_fail, wait_until};

/// The numbers of the alerts in a file, all of whose lines are whole.
#[track_caller]
fn numbers(path: &Path) -> Vec<u64> {
    let text = fs::read_to_string(path).unwrap_or_default();
    assert!(text.is_empty() || text.ends_with('\n'), "{:?}", text.lines().last());
    let whole = |line: &&str| line.ends_with(&"x".repeat(200));
    text.lines().inspect(|line| assert!(whole(line), "{line}")).map(number_in).collect()
}

#[test]
fn alerts_are_lost_or_whole_and_the_file_goes_on_when_there_is_room() {
    if !rustix::process::geteuid().is_root() {
        skip_or_fail("the right to mount");
        return;
    }
    let place = Place::new(
        "file_output: {enabled: true, filename: small/alerts, keep_alive: true}\n\
         stdout_output: {enabled: true, peregrine: {when_closed: disable}}\n",
    );
    fs::create_dir(place.path("small")).unwrap();
    // Sets the text of alerts.
    place.events(0, 200);
    fs::remove_file(place.path("events")).unwrap();
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, place.path("events"), mode).unwrap();
    let mut command = Command::new("unshare");
    let script = "mount -t tmpfs -o size=64k none small && exec \"$0\" \"$@\"";
    command.args(["-m", "sh", "-c", script, env!("CARGO_BIN_EXE_peregrine")]);
    command.args(["-c", "falco.yaml", "-r", "rules.yaml"]).current_dir(place.path(""));
    command.stdin(Stdio::null()).stdout(File::create(place.path("stdout")).unwrap());
    command.stderr(File::create(place.path("log")).unwrap());
    let mut run = Server::start(&mut command);
    let mut feed = Feed::new(File::options().write(true).open(place.path("events")).unwrap());
    feed.send(1000);
    wait_until("the full disk is told", || {
        place.read("log").contains("file: No space left on device (os error 28) (")
    });
    let everywhere = |count| place.read("stdout").lines().count() >= count;
    wait_until("all alerts are elsewhere", || everywhere(1000));
    let file = PathBuf::from(format!("/proc/{}/root", run.pid()))
        .join(place.path("small/alerts").strip_prefix("/").unwrap());
    wait_until("all alerts are tried", || fs::metadata(&file).is_ok_and(|it| it.len() > 40_000));
    let kept = numbers(&file);
    assert!(kept.len() > 100 && kept.len() < 1000, "{}", kept.len());
    // The disk has room again.
    File::options().write(true).open(&file).unwrap().set_len(0).unwrap();
    feed.send(10);
    wait_until("alerts arrive again", || numbers(&file).ends_with(&[1010]));
    let recovered = numbers(&file);
    assert!(recovered.ends_with(&(1001..=1010).collect::<Vec<_>>()), "{recovered:?}");
    drop(feed);
    assert!(run.wait().success());
    let summary = place.read("stdout");
    let (_, lost) = summary.split_once("   file: ").unwrap();
    let lost: usize = lost.split(' ').next().unwrap().parse().unwrap();
    assert!(lost > 0 && lost <= 1000 - kept.len(), "{lost} {}", kept.len());
    assert!(summary.contains(&format!("   file: {lost} of 1010 (channel failed: {lost})")));
}
