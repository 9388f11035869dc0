//! Measures a scan of this machine: `cargo run --release -p peregrine-probe --example scan`.
#![allow(clippy::print_stdout, reason = "it is a program")]

use std::time::Instant;

use peregrine_event::snapshot::Item;
use peregrine_probe::scan::{ScanError, Scanner};

fn main() -> Result<(), ScanError> {
    for _ in 0..5 {
        let started = Instant::now();
        let (mut processes, mut threads, mut fds) = (0, 0, 0);
        for item in Scanner::open("/".as_ref())?.scan(None)? {
            match item {
                Item::Thread(thread) => {
                    threads += 1;
                    processes += i32::from(thread.tid == thread.pid);
                }
                Item::Fds(_, open) => fds += open.len(),
                _ => {}
            }
        }
        println!("{processes} processes, {threads} threads, {fds} files: {:?}", started.elapsed());
    }
    Ok(())
}
