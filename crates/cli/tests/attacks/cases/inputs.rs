//! Rules and captures of an unknown author: they must not cost more memory than the program has.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use peregrine_event::snapshot::{Item, Thread};
use peregrine_event::{Builder, Event, EventType};
use peregrine_scap::{Compression, Writer};

use crate::agent::program;
use crate::trial::{Trial, millis};

/// Address space of the program, which it must not exhaust. Most of it is what the allocator
/// reserves for each thread.
const ADDRESSES: u64 = 768 << 20;
/// How long it may take on a busy machine, without optimisation.
const TIME: Duration = Duration::from_secs(120);

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

/// Container events of 15 MB that compress well, with a million short texts each.
pub(super) fn capture_containers(trial: &mut Trial) {
    trial.place.write("rules.yaml", "[]\n");
    let path = trial.place.path("containers.scap.gz");
    let Some(mut gzip) = gzip(&path) else { return trial.skip("no gzip") };
    let sink = gzip.stdin.take().unwrap();
    let mut writer = Writer::new(sink, Compression::None, &[]).unwrap();
    let mut event = Vec::new();
    for number in 0..2 {
        let variable = format!("\"{}\",", "v".repeat(12)).repeat(1 << 20);
        let json = format!(
            "{{\"container\":{{\"id\":\"{number:012x}\",\"full_id\":\"{number:064x}\",\"type\":0,\
             \"name\":\"n\",\"image\":\"i\",\"env\":[{}\"x\"],\"Mounts\":[]}}}}",
            variable
        );
        event.clear();
        let built = Builder::new(EventType::ContainerJson_2E, 1000 + number, 1)
            .text(&json)
            .finish(&mut event);
        if built.is_err() {
            return trial.broken("the event cannot be built");
        }
        writer.event(&Event::parse(&event, 0).unwrap(), false).unwrap();
    }
    drop(writer.finish().unwrap());
    assert!(gzip.wait().unwrap().success());
    replay(trial, &path);
}

/// A list of open files of the smallest size that the format has, all in one block.
pub(super) fn capture_fds(trial: &mut Trial) {
    const FDS_V2: u32 = 0x218;
    const FILES: usize = 2_000_000;
    /// Length, number, inode, and a type that does not exist.
    const ENTRY: [u8; 21] = [21, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 200];
    trial.place.write("rules.yaml", "[]\n");
    let path = trial.place.path("fds.scap.gz");
    let thread = Item::Thread(Box::new(Thread { tid: 7, pid: 7, ..Thread::default() }));
    let mut capture =
        Writer::new(Vec::new(), Compression::None, &[thread]).unwrap().finish().unwrap();
    let length = (4 + 4 + 8 + FILES * ENTRY.len() + 4).next_multiple_of(4);
    let length_bytes = (length as u32).to_le_bytes();
    capture.extend_from_slice(&FDS_V2.to_le_bytes());
    capture.extend_from_slice(&length_bytes);
    capture.extend_from_slice(&7_i64.to_le_bytes());
    (0..FILES).for_each(|_| capture.extend_from_slice(&ENTRY));
    capture.resize(capture.len().next_multiple_of(4), 0);
    capture.extend_from_slice(&length_bytes);
    let Some(mut gzip) = gzip(&path) else { return trial.skip("no gzip") };
    gzip.stdin.take().unwrap().write_all(&capture).unwrap();
    assert!(gzip.wait().unwrap().success());
    replay(trial, &path);
}

/// Compresses into a file with a program: the library is slow without optimisation.
fn gzip(path: &Path) -> Option<Child> {
    let file = File::create(path).unwrap();
    Command::new("gzip").arg("-c").stdin(Stdio::piped()).stdout(file).spawn().ok()
}

fn replay(trial: &mut Trial, path: &Path) {
    let length = std::fs::metadata(path).unwrap().len();
    trial.note("capture", format_args!("{} KB", length >> 10));
    let file = format!("engine.replay.capture_file={}", path.display());
    limited(trial, &["-o", "engine.kind=replay", "-o", &file, "-r", "rules.yaml"]);
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
    trial.promise(peak < 160 << 10, || format!("{} MB of memory", peak >> 10));
}
