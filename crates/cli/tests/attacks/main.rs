//! Attacks on a running agent, each as a test: what a monitored process, a client or an author of
//! files does to stop it, to fill its memory or to hide behind it.
//!
//! Each attack has control groups of its own, and Peregrine monitors only these. A second, quiet
//! group acts suspiciously a few times a second; every one of its acts must become an alert, the
//! health page must answer, memory must stay below a bound, and SIGTERM must end the program within
//! seconds. Attackers are processes of this binary (`--actor NAME`), in namespaces of their own.
//! They end when their standard input does, so none outlives the test.
//!
//! Requires root, cgroup v2 and BTF; some attacks need `/dev/fuse`. Attacks run one after the
//! other; an argument selects those whose name contains it. `siege` runs all of them at once for
//! `PEREGRINE_SIEGE_SECONDS` (20). With `PEREGRINE_ATTACK_LOG` the log of the agent is printed also
//! if nothing fails. `PEREGRINE_PROGRAM` is the program to attack, if it is not that of this build.
//!
//! # Output
//!
//! Tab-separated lines on stdout:
//!
//! | first field | then |
//! |---|---|
//! | `ok` | attack, measurements |
//! | `FAILED` | attack, measurements, each broken promise |
//! | `skipped` | attack, why |

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![allow(clippy::print_stdout, reason = "its output is what it is for")]

mod actors;
mod agent;
mod attacker;
mod cases;
mod health;
mod place;
mod quiet;
mod trial;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use trial::{Outcome, Trial};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let filter = match arguments.next() {
        Some(first) if first == "--actor" => actors::run(&arguments.collect::<Vec<_>>()),
        first => first.into_iter().chain(arguments).find(|argument| !argument.starts_with('-')),
    };
    let mut failed = false;
    for (name, attack) in cases::ALL {
        if filter.as_ref().is_some_and(|part| !name.contains(part)) {
            continue;
        }
        let outcome = perform(name, *attack);
        failed |= matches!(outcome, Outcome::Failed(..));
        println!("{}", outcome.line(name));
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Performs an attack and clears up behind it, also if it fails.
fn perform(name: &str, attack: fn(&mut Trial)) -> Outcome {
    let mut trial = match Trial::new(name) {
        Ok(trial) => trial,
        Err(why) => return Outcome::Skipped(why),
    };
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| attack(&mut trial))) {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        trial.broken(format!("the test panics: {}", text.unwrap_or("no text")));
    }
    trial.finish()
}
