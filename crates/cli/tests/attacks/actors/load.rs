//! Actors that only act often, or are many.

use std::fs;
use std::io::{BufRead, stdin};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::serve;
use crate::quiet::CANARY;

/// Opens a file of a new name for writing after each interval, from the first line of its input to
/// the second.
pub(super) fn quiet(directory: &str, interval: u64) -> ! {
    println!("ready");
    let (send, lines) = channel();
    thread::spawn(move || {
        stdin().lock().lines().map_while(Result::ok).try_for_each(|line| send.send(line))
    });
    if lines.recv().is_ok() {
        for act in 0.. {
            let path = format!("{directory}{CANARY}{act}");
            fs::write(&path, "").unwrap();
            fs::remove_file(&path).unwrap();
            println!("{act}");
            match lines.recv_timeout(Duration::from_millis(interval)) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(_) => {
                    println!("stopped");
                    break;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
    }
    // Its group stays until the test ends, so that no event of its end is waited for.
    let _ = lines.recv();
    std::process::exit(0)
}

/// Opens a file that a rule matches, for this many seconds: as fast as it can, or this many times
/// in each.
pub(super) fn looped(path: &str) -> ! {
    let path = format!("{path}/looped");
    fs::write(&path, "").unwrap();
    serve(|line| {
        let (seconds, most) = line.split_once(' ').unwrap_or((line, "1000000000"));
        let (seconds, most): (u64, u64) = (seconds.parse().unwrap(), most.parse().unwrap());
        let (begun, mut times) = (Instant::now(), 0);
        while begun.elapsed() < Duration::from_secs(seconds) {
            if times < most * (begun.elapsed().as_secs() + 1) {
                (0..100).for_each(|_| drop(fs::File::open(&path)));
                times += 100;
            } else {
                thread::sleep(Duration::from_millis(1));
            }
        }
        format!("opened {times}")
    })
}

/// Has this many threads. On `act` each of them opens a file.
pub(super) fn threads(count: usize) -> ! {
    let idle = || {
        loop {
            thread::park();
            drop(fs::File::open("/dev/null"));
        }
    };
    let begun = (0..count).map(|_| thread::Builder::new().stack_size(16 << 10).spawn(idle));
    let begun: Vec<_> = begun.filter_map(Result::ok).collect();
    serve(|line| {
        if line == "act" {
            begun.iter().for_each(|thread| thread.thread().unpark());
        }
        format!("{} threads", begun.len())
    })
}
