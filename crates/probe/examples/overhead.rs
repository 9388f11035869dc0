//! Measures what monitoring adds to a system call: one that is not selected, and one whose event is
//! written.
//!
//! No hooks and each hook plan alternate; the shortest of many short rounds counts. Prints lines
//! `fact name=value`: nanoseconds per call without hooks, and the ratio to that with each plan. Run
//! it on a quiet machine without other tracers, or in a virtual machine whose clock counts
//! instructions (`cargo xtask kernels --check overhead`).
//!
//! `cargo run --release -p peregrine-probe --example overhead -- [CGROUP]`
//!
//! With a cgroup, in which it should run, only that is monitored.
#![allow(clippy::print_stdout, reason = "it is a program")]

use std::error::Error;
use std::fs::File;
use std::time::Instant;

use peregrine_event::source::{Next, Source};
use peregrine_event::syscall_names;
use peregrine_probe::bpf::{HookPlan, ProbeConfig, ProbeError, Selection, Tracepoints};
use peregrine_probe::{Live, LiveError};

const TURNS: usize = 3;
const ROUNDS: usize = 20;
const CALLS: u32 = 1000;

/// Shortest time per call, in nanoseconds.
#[derive(Clone, Copy)]
struct Cost {
    unselected: f64,
    selected: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut nothing = Cost::UNKNOWN;
    let mut plans = [
        ("sys_exit", HookPlan::SysExit, Cost::UNKNOWN),
        ("per_syscall", HookPlan::PerSyscall, Cost::UNKNOWN),
    ];
    for _ in 0..TURNS {
        nothing.measure(|| Ok(()))?;
        for (_, plan, cost) in &mut plans {
            let mut live = match watch(*plan) {
                Err(LiveError::Probe(ProbeError::Functions(_))) => continue,
                live => live?,
            };
            cost.measure(|| {
                // Drains the rings, so that events are written.
                while !matches!(live.next()?, Next::Idle) {}
                Ok(())
            })?;
        }
    }
    println!("fact getppid_ns={:.0} openat_ns={:.0}", nothing.unselected, nothing.selected);
    for (name, _, cost) in plans.iter().filter(|(_, _, cost)| cost.selected.is_finite()) {
        let unselected = cost.unselected / nothing.unselected;
        let selected = cost.selected / nothing.selected;
        println!("fact {name}_unselected={unselected:.2} {name}_selected={selected:.2}");
    }
    Ok(())
}

/// Attaches the hooks for the event of openat.
fn watch(plan: HookPlan) -> Result<Live, LiveError> {
    let openat = syscall_names().filter(|(_, name)| *name == "openat").map(|(code, _)| code);
    let config = ProbeConfig {
        selection: Selection { syscalls: openat.collect(), tracepoints: Tracepoints::empty() },
        scope: std::env::args_os().nth(1).map(Into::into),
        exclude_self: false,
        entries: false,
        plan: Some(plan),
        ..ProbeConfig::default()
    };
    Live::start(&config, "/".as_ref())
}

impl Cost {
    const UNKNOWN: Self = Self { unselected: f64::INFINITY, selected: f64::INFINITY };

    /// Lowers the minimum by some rounds; `between` runs between them.
    fn measure(
        &mut self,
        mut between: impl FnMut() -> Result<(), Box<dyn Error>>,
    ) -> Result<(), Box<dyn Error>> {
        for _ in 0..ROUNDS {
            self.unselected = self.unselected.min(round(|| {
                let _ = rustix::process::getppid();
            }));
            self.selected = self.selected.min(round(|| {
                let _ = File::open("/nowhere/to/be/found");
            }));
            between()?;
        }
        Ok(())
    }
}

/// Nanoseconds per call.
fn round(call: impl Fn()) -> f64 {
    let begun = Instant::now();
    (0..CALLS).for_each(|_| call());
    begun.elapsed().as_nanos() as f64 / f64::from(CALLS)
}
