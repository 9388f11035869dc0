//! Monitors one cgroup and prints each event: for trying the probe by hand.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use peregrine_event::syscall_names;
use peregrine_probe::bpf::{Probe, ProbeConfig, Selection, Tracepoints};
use peregrine_probe::{Ring, event_of};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let scope = args.next().ok_or("usage: watch CGROUP SECONDS OUT [syscall...]")?;
    let seconds: f64 = args.next().ok_or("seconds")?.parse()?;
    let out = args.next().ok_or("out")?;
    let names: Vec<String> = args.collect();
    let selection = Selection {
        syscalls: syscall_names()
            .filter(|(_, name)| names.is_empty() || names.iter().any(|n| n == name))
            .map(|(sc, _)| sc)
            .collect(),
        tracepoints: Tracepoints::PROCESS_EXIT,
    };
    let start = Instant::now();
    let config = ProbeConfig { selection, scope: Some(scope.into()), ..ProbeConfig::default() };
    let mut probe = Probe::load(&config)?;
    eprintln!("loaded in {:?}", start.elapsed());
    probe.attach()?;
    eprintln!("attached after {:?}", start.elapsed());
    let rings = probe.take_rings();
    let rings = rings.iter().map(|ring| Ring::map(&ring.records, ring.bytes));
    let mut rings = rings.collect::<Result<Vec<_>, _>>()?;
    let mut bytes = Vec::new();
    let mut types: BTreeMap<&str, u32> = BTreeMap::new();
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    let mut last = false;
    loop {
        for ring in &mut rings {
            while let Some(record) = ring.peek() {
                *types.entry(event_of(record)?.ty.name()).or_default() += 1;
                bytes.extend_from_slice(&(record.len() as u32).to_le_bytes());
                bytes.extend_from_slice(record);
                ring.advance();
            }
        }
        if last {
            break;
        }
        last = Instant::now() > until;
        std::thread::sleep(Duration::from_millis(5));
    }
    std::fs::write(out, bytes)?;
    eprintln!("{types:?}");
    for (cpu, counters) in probe.counters().by_cpu()?.iter().enumerate() {
        eprintln!(
            "cpu {cpu}: {} events, {} lost {:?}",
            counters.events(),
            counters.lost(),
            counters.lost
        );
    }
    Ok(())
}
