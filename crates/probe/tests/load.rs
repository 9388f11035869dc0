//! The running kernel accepts every program of the probe; load times and sizes are printed in a
//! line `fact …` for the table of kernels.
//!
//! Requires root and BTF; without one of them the test says so and passes. With
//! `PEREGRINE_HOOK_PLAN=per_syscall` each system call is hooked individually, if the kernel
//! supports it.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "this is a test")]

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::Instant;

use aya::programs::loaded_programs;
use peregrine_event::syscall_names;
use peregrine_probe::bpf::{HookPlan, Probe, ProbeConfig, ProbeError, Selection, Tracepoints};

#[test]
fn every_program_is_taken() {
    if !rustix::process::geteuid().is_root() || !Path::new("/sys/kernel/btf/vmlinux").exists() {
        println!("skipped: this test needs root and a kernel with BTF");
        return;
    }
    let selection = Selection {
        syscalls: syscall_names().map(|(code, _)| code).collect(),
        tracepoints: Tracepoints::all(),
    };
    let plan = match std::env::var("PEREGRINE_HOOK_PLAN").as_deref() {
        Ok("per_syscall") => HookPlan::PerSyscall,
        _ => HookPlan::SysExit,
    };
    let config =
        ProbeConfig { selection, plan: Some(plan), ring_bytes: 1 << 20, ..ProbeConfig::default() };
    let begun = Instant::now();
    let mut probe = match Probe::load(&config) {
        Err(error @ ProbeError::Functions(_)) => return println!("skipped: {error}"),
        probe => probe.unwrap(),
    };
    let loaded = begun.elapsed();
    probe.attach().unwrap();
    let attached = begun.elapsed() - loaded;

    let own = own_programs();
    assert!(own.len() > 20, "{} programs", own.len());
    let (mut bytecode, mut native) = (0, 0);
    for program in loaded_programs().map(Result::unwrap).filter(|p| own.contains_key(&p.id())) {
        bytecode += program.size_translated().unwrap_or(0);
        native += program.size_jitted();
    }
    // Not reported before Linux 5.16.
    let instructions: Option<u64> = own.values().copied().sum();
    let instructions = instructions.map_or("-".into(), |number| number.to_string());
    let begun = Instant::now();
    drop(probe);
    println!(
        "fact programs={} load_ms={} attach_ms={} detach_ms={} instructions={instructions} bytecode={bytecode} native={native}",
        own.len(),
        loaded.as_millis(),
        attached.as_millis(),
        begun.elapsed().as_millis(),
    );
}

/// Ids of the programs of this process, and the number of instructions the verifier processed for
/// each.
fn own_programs() -> HashMap<u32, Option<u64>> {
    let mut programs = HashMap::new();
    for entry in fs::read_dir("/proc/self/fdinfo").unwrap() {
        let Ok(text) = fs::read_to_string(entry.unwrap().path()) else { continue };
        let field = |name: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(name))?;
            value.trim().parse::<u64>().ok()
        };
        if let (Some(id), Some(_)) = (field("prog_id:"), field("prog_jited:")) {
            programs.insert(id as u32, field("verified_insns:"));
        }
    }
    programs
}
