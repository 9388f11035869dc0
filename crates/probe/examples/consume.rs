//! Measures the cost of consuming events: monitors these syscalls in a cgroup until nothing has
//! arrived for three seconds, and prints the CPU time of this thread per event.
//!
//! `cargo run --release -p peregrine-probe --example consume -- CGROUP SYSCALL…`
#![allow(clippy::print_stdout, reason = "it is a program")]

use std::time::{Duration, Instant};

use peregrine_event::source::{Next, Record, Source};
use peregrine_event::syscall_names;
use peregrine_probe::Live;
use peregrine_probe::bpf::{ProbeConfig, Selection, Tracepoints};
use rustix::time::{ClockId, clock_gettime};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let scope = args.next().ok_or("usage: consume CGROUP SYSCALL...")?;
    let names: Vec<String> = args.collect();
    let selected = syscall_names().filter(|(_, name)| names.iter().any(|n| n == name));
    let selection = Selection {
        syscalls: selected.map(|(code, _)| code).collect(),
        tracepoints: Tracepoints::empty(),
    };
    let config = ProbeConfig { selection, scope: Some(scope.into()), ..ProbeConfig::default() };
    let started = Instant::now();
    let mut live = Live::start(&config, "/".as_ref())?;
    println!("watching after {:?}", started.elapsed());

    let (mut events, mut bytes, mut began, mut last) = (0_u64, 0, None, Instant::now());
    let cpu = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    };
    let (mut seen, mut spent) = (0, Duration::ZERO);
    loop {
        match live.next()? {
            Next::Record(Record::Event { event, .. }) => {
                began.get_or_insert_with(|| (Instant::now(), cpu()));
                events += 1;
                bytes += event.bytes().len();
            }
            Next::Loading | Next::Record(_) | Next::Repair(_) | Next::Observation(_) => {}
            Next::Idle => {
                if std::mem::replace(&mut seen, events) != events {
                    (last, spent) = (Instant::now(), cpu());
                }
                if last.elapsed() > Duration::from_secs(3) {
                    break;
                }
            }
            Next::End => break,
        }
    }
    let Some((began, cpu_before)) = began else { return Ok(()) };
    let (wall, cpu) = (last - began, spent - cpu_before);
    let lost = live.losses().refresh(Duration::ZERO)?.statistics.total().lost();
    println!("{events} events, {bytes} bytes, {lost} lost in {wall:?}");
    println!("{:.1} ns of CPU per event", cpu.as_nanos() as f64 / events as f64);
    Ok(())
}
