//! The page with the results.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use super::Row;
use super::options::Check;
use super::verdict::{Outcome, Verdict};

/// Lines of a log to show.
const EXCERPT: usize = 40;

const INTRODUCTION: &str = "\
# Kernels

Which kernels Peregrine was tried on, and what came of it. Each was booted in a virtual machine, where the programs of
this repository ran as they would on a machine of yours. One command makes this page:

```sh
cargo xtask kernels --report docs/kernels.md
```

A kernel of your own takes one, too: `cargo xtask kernels --image /boot/vmlinuz`, and `--help` tells the rest.
";

/// The whole page.
pub(super) fn page(rows: &[Row], checks: &[Check], took: Duration) -> String {
    let minutes = took.as_secs_f64() / 60.0;
    let failures = failures(rows);
    let earlier = match rows.iter().filter(|row| row.earlier).count() {
        0 => String::new(),
        count => format!(" {count} of the rows are from a run before it, of the same programs."),
    };
    format!(
        "{INTRODUCTION}\nThe run took {minutes:.0} minutes.{earlier}\n\n{}\n{failures}",
        tables(rows, checks)
    )
}

/// The tables: results, cost of loading, cost of monitoring.
pub(super) fn tables(rows: &[Row], checks: &[Check]) -> String {
    let mut out = String::from("## Checks\n\n");
    let names: Vec<_> = checks.iter().map(|check| check.name()).collect();
    let titles = ["architecture", "kernel"].into_iter().chain(names.iter().copied());
    line(&mut out, titles.chain(["whole"]));
    rule(&mut out, 3 + names.len());
    for row in rows {
        let whole = format!("{:.0} s", row.found.took.as_secs_f64());
        let cells = row.found.verdicts.iter().map(|verdict| cell(row, verdict)).chain([whole]);
        line(&mut out, [row.arch.machine().into(), kernel(row)].into_iter().chain(cells));
    }
    out.push('\n');
    for (check, what) in checks.iter().zip(checks.iter().map(|check| meaning(*check))) {
        let _ = writeln!(out, "- **{}**: {what}", check.name());
    }
    out += &reasons(rows);
    out += &complaints(rows);
    let loading = [
        ("programs", "programs", ""),
        ("load", "load_ms", " ms"),
        ("attach", "attach_ms", " ms"),
        ("detach", "detach_ms", " ms"),
        ("instructions", "instructions", ""),
        ("bytecode", "bytecode", " B"),
        ("native code", "native", " B"),
    ];
    out += &measured(
        rows,
        Check::Load,
        "## Loading\n\nTime is that of an emulated processor, many times slower than a real one. Instructions are what the \
         kernel's verifier looked at; kernels before 5.16 do not tell.\n",
        &loading,
    );
    out += &measured(
        rows,
        Check::LoadFexit,
        "## Loading, with a hook on each system call's own function\n",
        &loading,
    );
    let tests = [
        ("tests", "tests", ""),
        ("ok", "ok", ""),
        ("skipped", "skipped", ""),
        ("failed", "failed", ""),
        ("parameters checked", "parameters", ""),
    ];
    out += &measured(rows, Check::Events, "## Event tests\n", &tests);
    out += &measured(
        rows,
        Check::EventsFexit,
        "## Event tests, with both ways to hook side by side\n",
        &tests,
    );
    out += &skipped_tests(rows);
    out += &measured(
        rows,
        Check::Overhead,
        "## Cost of a system call\n\nInstructions of the emulated processor, which are the same whatever else the machine does: with nothing \
         attached, and how many times more with each way to hook. `getppid` is not selected; `openat` is, of a \
         file that is not there, and its event is written.\n",
        &[
            ("getppid", "getppid_ns", ""),
            ("sys_exit", "sys_exit_unselected", "×"),
            ("fexit", "per_syscall_unselected", "×"),
            ("openat", "openat_ns", ""),
            ("sys_exit", "sys_exit_selected", "×"),
            ("fexit", "per_syscall_selected", "×"),
        ],
    );
    out
}

fn meaning(check: Check) -> &'static str {
    match check {
        Check::Load => "the kernel takes every program of the probe",
        Check::LoadFexit => {
            "the same, hooked into each system call's own function; x86_64 takes it where the kernel describes what its functions take, which Debian's 5.10 does not, and aarch64 from Linux 6.12 on"
        }
        Check::Events => {
            "each event, and each of its parameters, is what the kernel really did; hooked at the end of all system calls"
        }
        Check::EventsFexit => {
            "the same, hooked into each system call's own function; and what is hooked at the end of all calls beside it tells the same of the same act"
        }
        Check::Prototypes => {
            "what is hooked, tracepoints and the functions of system calls, has the arguments that are counted on"
        }
        Check::Live => {
            "what runs before Peregrine is known, and children are followed from fork to exit"
        }
        Check::Program => {
            "the whole program: `cat /etc/shadow` raises its alert, live and again from the recording"
        }
        Check::Service => {
            "systemd starts, reloads, restarts and ends the program with the unit of packaging/systemd; alerts follow the clock"
        }
        Check::Flood => {
            "in a flood of system calls no start or end of a process is lost, and what is lost is counted"
        }
        Check::Overhead => "what a system call costs with Peregrine and without",
    }
}

/// A table of the measurements of one check, one column per (title, fact, unit).
fn measured(rows: &[Row], check: Check, title: &str, columns: &[(&str, &str, &str)]) -> String {
    let of = |row: &Row| row.found.verdicts.iter().find(|verdict| verdict.check == check).cloned();
    let with: Vec<_> = rows.iter().filter_map(|row| Some((row, of(row)?))).collect();
    if with.iter().all(|(_, verdict)| verdict.facts.is_empty()) {
        return String::new();
    }
    let mut out = format!("\n{title}\n");
    let titles = columns.iter().map(|(title, _, _)| *title);
    line(&mut out, ["architecture", "kernel"].into_iter().chain(titles));
    rule(&mut out, 2 + columns.len());
    for (row, verdict) in with.iter().filter(|(_, verdict)| !verdict.facts.is_empty()) {
        let cells = columns.iter().map(|(_, fact, unit)| match verdict.fact(fact) {
            Some(value) => format!("{value}{unit}"),
            None => "-".into(),
        });
        line(&mut out, [row.arch.machine().into(), kernel(row)].into_iter().chain(cells));
    }
    out
}

/// Reasons for skipped checks, each once.
fn reasons(rows: &[Row]) -> String {
    let mut reasons: Vec<(&str, Vec<String>)> = Vec::new();
    for row in rows {
        for verdict in &row.found.verdicts {
            let Outcome::Skipped(why) = &verdict.outcome else { continue };
            let place = format!("{} {} {}", row.arch.machine(), kernel(row), verdict.check.name());
            match reasons.iter_mut().find(|(reason, _)| reason == why) {
                Some((_, places)) => places.push(place),
                None => reasons.push((why, vec![place])),
            }
        }
    }
    with_places("Skipped", reasons)
}

/// A list of reasons and where they apply; empty without reasons.
fn with_places<'r>(
    title: &str,
    reasons: impl IntoIterator<Item = (&'r str, Vec<String>)>,
) -> String {
    let mut out = String::new();
    for (why, places) in reasons {
        if out.is_empty() {
            let _ = write!(out, "\n{title}:\n\n");
        }
        let _ = writeln!(out, "- {why}: {}", places.join(", "));
    }
    out
}

/// Reasons for skipped event tests, each once. If a kernel has few, they are named.
fn skipped_tests(rows: &[Row]) -> String {
    const NAMED: usize = 4;
    let mut reasons: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for row in rows {
        let of_events = |verdict: &&Verdict| {
            matches!(verdict.check, Check::Events | Check::EventsFexit)
                && !matches!(verdict.outcome, Outcome::Skipped(_))
        };
        let mut tests: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for verdict in row.found.verdicts.iter().filter(of_events) {
            for line in verdict.log.lines() {
                let words: Vec<_> = line.split('\t').collect();
                if let ["skipped", event, case, why] = words[..] {
                    tests.entry(why).or_default().insert(format!("{event} {case}"));
                }
            }
        }
        for (why, tests) in tests {
            let names = match tests.len() {
                ..=NAMED => Vec::from_iter(tests).join("; "),
                many => format!("{many} tests"),
            };
            let place = format!("{} {} ({names})", row.arch.machine(), kernel(row));
            reasons.entry(why).or_default().push(place);
        }
    }
    with_places("Tests that were skipped", reasons)
}

/// Unexpected messages in kernel logs.
fn complaints(rows: &[Row]) -> String {
    let mut out = String::new();
    for row in rows.iter().filter(|row| !row.found.complaints.is_empty()) {
        let _ = writeln!(out, "\nComplaints of {} {}:\n\n```text", row.arch.machine(), kernel(row));
        row.found.complaints.iter().for_each(|line| out.extend([line, "\n"]));
        out += "```\n";
    }
    out
}

/// Output of failed checks.
fn failures(rows: &[Row]) -> String {
    let mut out = String::new();
    for row in rows {
        for verdict in &row.found.verdicts {
            let Outcome::Failed(why) = &verdict.outcome else { continue };
            let place = format!("{} {} {}", row.arch.machine(), row.name, verdict.check.name());
            let _ = writeln!(out, "\n### {place}\n\n{why}\n\n```text");
            let lines: Vec<_> = verdict.log.lines().filter(|line| is_of_interest(line)).collect();
            for line in &lines[lines.len().saturating_sub(EXCERPT)..] {
                let _ = writeln!(out, "{line}");
            }
            out += "```\n";
        }
    }
    if out.is_empty() { out } else { format!("## Failures\n{out}") }
}

/// Omits what succeeded and what is reported elsewhere.
fn is_of_interest(line: &str) -> bool {
    !["ok\t", "skipped\t"].iter().any(|start| line.starts_with(start))
        && !line.ends_with("... ok")
        && !line.trim().is_empty()
}

fn cell(row: &Row, verdict: &Verdict) -> String {
    let word = verdict.outcome.word();
    match verdict.outcome {
        Outcome::Success => format!("{word}, {:.1} s", verdict.seconds),
        Outcome::Skipped(_) => word.into(),
        Outcome::Failed(_) => {
            let place = format!("{}-{}-{}", row.arch.machine(), row.name, verdict.check.name());
            format!("[{word}](#{})", anchor(&place))
        }
    }
}

/// The anchor of a heading.
fn anchor(heading: &str) -> String {
    let keep = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    heading.to_lowercase().replace(' ', "-").chars().filter(keep).collect()
}

fn kernel(row: &Row) -> String {
    if row.version.is_empty() { row.name.clone() } else { row.version.clone() }
}

fn line<T: AsRef<str>>(out: &mut String, cells: impl Iterator<Item = T>) {
    for cell in cells {
        let _ = write!(out, "| {} ", cell.as_ref());
    }
    out.push_str("|\n");
}

fn rule(out: &mut String, columns: usize) {
    out.push_str(&"|---".repeat(columns));
    out.push_str("|\n");
}

#[cfg(test)]
mod tests {
    use super::super::kept::Found;
    use super::super::options::Arch;
    use super::*;

    #[test]
    fn the_page_links_failures_and_names_reasons() {
        let verdict = |check, outcome, facts: &[(&str, &str)]| Verdict {
            check,
            outcome,
            seconds: 1.25,
            facts: facts.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect(),
            log: "ok\topen\nskipped\tfork\ta child\tno such call\n\nno such event\n".into(),
        };
        let row = Row {
            arch: Arch::Arm64,
            name: "5.10".into(),
            version: "5.10.0-32-cloud-arm64".into(),
            kernel: Err("booted before".into()),
            found: Found {
                verdicts: vec![
                    verdict(
                        Check::Load,
                        Outcome::Success,
                        &[("programs", "87"), ("load_ms", "900")],
                    ),
                    verdict(Check::Events, Outcome::Failed("no such event".into()), &[]),
                    verdict(Check::EventsFexit, Outcome::Skipped("no fexit on it".into()), &[]),
                ],
                complaints: vec!["WARNING: CPU 0".into()],
                took: Duration::ZERO,
            },
            earlier: false,
        };
        let checks = [Check::Load, Check::Events, Check::EventsFexit];
        let page = page(&[row], &checks, Duration::from_secs(125));
        for part in [
            "took 2 minutes",
            "| success, 1.2 s | [failed](#aarch64-510-events) | skipped |",
            "- no fexit on it: aarch64 5.10.0-32-cloud-arm64 events-fexit",
            "| 87 | 900 ms | - |",
            "Complaints of aarch64 5.10.0-32-cloud-arm64:\n\n```text\nWARNING: CPU 0\n```",
            "- no such call: aarch64 5.10.0-32-cloud-arm64 (fork a child)\n",
            "### aarch64 5.10 events\n\nno such event\n\n```text\nno such event\n```",
        ] {
            assert!(page.contains(part), "{part} is not in\n{page}");
        }
    }
}
