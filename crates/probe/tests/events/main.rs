//! Checks every event that the probe can emit, and every parameter, against what the kernel did.
//!
//! A test is a row of a table (`rows/`): an event, an act that causes it, and the expected value of
//! each parameter. The probe is loaded once and monitors its own cgroup; each row acts in a process
//! of its own in that cgroup, and finds its events in the rings. A row that omits a parameter
//! fails, and so does an event without a row.
//!
//! Requires root, cgroup v2 and BTF. It runs on the host (`cargo test -p peregrine-probe --test
//! events`) and, as a static binary, in a virtual machine that has only `/proc`, `/sys`, `/dev`, a
//! writable `/tmp` and the loopback device; missing mounts of cgroup v2 and tracefs are added in a
//! private mount namespace. Nothing is read from the source tree.
//!
//! - `PEREGRINE_HOOK_PLAN`: `auto` (the default), `sys_exit`, `per_syscall`, or `both`: rows are
//!   checked with `per_syscall`, while `sys_exit` runs beside it and must report the same for the
//!   same act.
//! - An argument selects rows whose event or case contains it.
//!
//! # Output
//!
//! Tab-separated lines on stdout; lines that start differently have no meaning.
//!
//! | first field | then |
//! |---|---|
//! | `ok` | event, case, number of checked parameters |
//! | `FAILED` | event, case, each wrong parameter: `name expected …, got …` |
//! | `skipped` | event, case, why |
//! | `summary` | `tests=N ok=N failed=N skipped=N parameters=N plan=sys_exit` as fields |
//!
//! The event is `name>` for the entry of a call and its name for the exit. It is `hooks` for the
//! arguments of hooked functions, compared with the BTF of the running kernel: the case is then the
//! hook, and the number that of its arguments, which `parameters` does not include. The argument
//! `hooks` checks nothing else. `summary` is the last line. The exit code is 0 if nothing failed,
//! also if the machine lacks a requirement: then there is a single, skipped row.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![allow(clippy::print_stdout, reason = "its output is what it is for")]

mod frame;
mod is;
mod plans;
mod programs;
mod prototypes;
mod rows;
mod stage;
mod sys;

use std::process::ExitCode;

use frame::{Row, Verdict};
use peregrine_event::EventType;
use peregrine_probe::bpf::HookPlan;
use stage::{Stage, Unfit};

/// Environment variable that selects the hook plan.
const PLAN: &str = "PEREGRINE_HOOK_PLAN";

fn main() -> ExitCode {
    let mut report = Report::default();
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let plans: &[_] = match std::env::var(PLAN).as_deref() {
        Err(_) | Ok("auto") => &[None],
        Ok("sys_exit") => &[Some(HookPlan::SysExit)],
        Ok("per_syscall") => &[Some(HookPlan::PerSyscall)],
        Ok("both") => &[Some(HookPlan::PerSyscall), Some(HookPlan::SysExit)],
        Ok(other) => {
            report.line("probe", "loads", &Verdict::Failed(format!("no plan is called {other}")));
            return report.end("none");
        }
    };
    let wanted = |event: &str, case: &str| {
        filter.as_ref().is_none_or(|part| format!("{event}\t{case}").contains(part))
    };
    for (hook, verdict) in prototypes::check() {
        if wanted("hooks", &hook) {
            report.line("hooks", &hook, &verdict);
        }
    }
    let all: Vec<&Row> = rows::ALL.iter().copied().flatten().collect();
    let rows: Vec<&Row> =
        all.iter().copied().filter(|row| wanted(&name_of(row.event), row.case)).collect();
    if rows.is_empty() {
        return report.end("none");
    }
    let mut stage = match Stage::set(plans) {
        Ok(stage) => stage,
        Err(unfit) => {
            let verdict = match unfit {
                Unfit::Lacks(what) => Verdict::Skipped(what),
                Unfit::Refuses(why) => Verdict::Failed(why),
            };
            report.line("probe", "loads", &verdict);
            return report.end("none");
        }
    };
    for (function, why) in stage.unhooked() {
        report.line("probe", function, &Verdict::Failed(format!("it could not be hooked: {why}")));
    }
    for row in rows {
        let verdict = match rows::obstacle(row.event, &stage) {
            Some(why) => Verdict::Skipped(why.into()),
            None => stage.perform(row),
        };
        report.line(&name_of(row.event), row.case, &verdict);
    }
    if filter.is_none() {
        for event in rows::reported().filter(|event| all.iter().all(|row| row.event != *event)) {
            report.line(&name_of(event), "has a row", &Verdict::Failed("there is none".into()));
        }
    }
    report.end(&stage.plans())
}

/// Name of an event; entries of calls end in `>`.
fn name_of(event: EventType) -> String {
    let entry = rows::ENTRIES.contains(&event);
    format!("{}{}", event.name(), if entry { ">" } else { "" })
}

/// Prints results, and counts them.
#[derive(Default)]
struct Report {
    ok: usize,
    failed: usize,
    skipped: usize,
    parameters: usize,
}

impl Report {
    fn line(&mut self, event: &str, case: &str, verdict: &Verdict) {
        match verdict {
            Verdict::Ok(parameters) => {
                self.ok += 1;
                if event != "hooks" {
                    self.parameters += parameters;
                }
                println!("ok\t{event}\t{case}\t{parameters}");
            }
            Verdict::Failed(how) => {
                self.failed += 1;
                println!("FAILED\t{event}\t{case}\t{}", one_line(how));
            }
            Verdict::Skipped(why) => {
                self.skipped += 1;
                println!("skipped\t{event}\t{case}\t{}", one_line(why));
            }
        }
    }

    fn end(&self, plan: &str) -> ExitCode {
        let Self { ok, failed, skipped, parameters } = self;
        let tests = ok + failed + skipped;
        println!(
            "summary\ttests={tests}\tok={ok}\tfailed={failed}\tskipped={skipped}\tparameters={parameters}\tplan={plan}"
        );
        if *failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// A tab or a line feed would change the format.
fn one_line(text: &str) -> String {
    text.replace(['\t', '\n'], " ")
}
