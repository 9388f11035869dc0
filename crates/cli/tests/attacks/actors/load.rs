//! Actors that only act often, or are many.

use std::fs;
use std::io::{BufRead, stdin};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

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

/// Has this many threads. With `more` there are as many again.
pub(super) fn threads(count: usize) -> ! {
    let begin = || {
        let idle = || loop {
            thread::park();
        };
        let begun = (0..count).map(|_| thread::Builder::new().stack_size(16 << 10).spawn(idle));
        begun.filter(Result::is_ok).count()
    };
    let begun = begin();
    serve(|line| match line {
        "more" => format!("began {}", begin()),
        _ => format!("began {begun}"),
    })
}
