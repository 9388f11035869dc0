//! Reloads while events come as fast as they are processed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use peregrine_event::snapshot::{Item, Thread};
use peregrine_event::{Builder, Event, EventType};

use crate::run::{CONFIG, PATIENCE, Run};

const RELOADS: usize = 5;
/// One of so many events matches.
const MATCHES: u64 = 64;

/// A rule about the file and the ancestors of a process that were there before the reload.
fn rule(word: usize) -> String {
    format!(
        "- {{rule: Kept, desc: d, condition: 'evt.type = read and evt.rawres = 7 and fd.name = /var/kept and proc.aname[2] = sshd', output: '{word} %evt.rawtime %fd.name %proc.aname[2]', priority: NOTICE}}\n"
    )
}

fn process(pid: i64, parent: i64, name: &[u8]) -> Item {
    let thread = Thread { tid: pid, pid, ptid: parent, comm: name.into(), ..Thread::default() };
    Item::Thread(Box::new(thread))
}

#[test]
fn a_replay_at_full_speed_loses_nothing_and_keeps_its_state_over_reloads() {
    let config = format!("{CONFIG}rules_files: [rules.yaml]\nwatch_config_files: false\n");
    let mut run = Run::new(&[("falco.yaml", &config), ("rules.yaml", &rule(0))]);
    let machine = [
        process(1, 0, b"init"),
        process(10, 1, b"sshd"),
        process(20, 10, b"sh"),
        process(30, 20, b"work"),
    ];
    run.spawn_with(&["-v"], &machine);
    let mut events = run.events.take().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let sender = {
        let stop = Arc::clone(&stop);
        thread::spawn(move || {
            let mut bytes = Vec::new();
            Builder::new(EventType::SyscallOpenat_2X, 1, 30)
                .i64(3)
                .i64(-100)
                .text("/var/kept")
                .u32(1)
                .u32(0)
                .u32(0)
                .u64(0)
                .finish(&mut bytes)
                .unwrap();
            events.event(&Event::parse(&bytes, 0).unwrap(), false).unwrap();
            let mut number = 0;
            while !stop.load(Relaxed) {
                for _ in 0..1000 {
                    number += 1;
                    let result = if number % MATCHES == 0 { 7 } else { 0 };
                    bytes.clear();
                    let mut read = Builder::new(EventType::SyscallReadX, number, 30);
                    read.i64(result).param(b"").i64(3).u32(7).finish(&mut bytes).unwrap();
                    events.event(&Event::parse(&bytes, 0).unwrap(), false).unwrap();
                }
            }
            (events, number)
        })
    };
    let begun = Instant::now();
    for reload in 1..=RELOADS {
        thread::sleep(Duration::from_millis(300));
        run.write("rules.yaml", &rule(reload));
        run.hang_up();
        while run.log().matches("Reloaded: ").count() < reload {
            assert!(begun.elapsed() < PATIENCE, "{}", run.log());
            thread::sleep(Duration::from_millis(5));
        }
    }
    thread::sleep(Duration::from_millis(300));
    stop.store(true, Relaxed);
    let (events, sent) = sender.join().unwrap();
    run.events = Some(events);
    run.end();

    // Every event is evaluated, by the rules of one version.
    assert!(run.log().contains(&format!(" Captured Events: {}, ", sent + 1)), "{}", run.log());
    let alerts = run.read("alerts");
    let alerts: Vec<_> = alerts.lines().map(|line| line.split_once("Notice ").unwrap().1).collect();
    assert_eq!(alerts.len() as u64, sent / MATCHES);
    let mut words = Vec::new();
    for (number, alert) in (1..).zip(&alerts) {
        let (word, rest) = alert.split_once(' ').unwrap();
        assert_eq!(rest, format!("{} /var/kept sshd", number * MATCHES));
        words.push(word.parse::<usize>().unwrap());
    }
    words.dedup();
    assert_eq!(words, (0..=RELOADS).collect::<Vec<_>>());
    let log = run.log();
    log.lines().filter(|line| line.contains("Reloaded: ")).for_each(|line| eprintln!("{line}"));
    eprintln!("{sent} events in {:.1?}", begun.elapsed());
}
