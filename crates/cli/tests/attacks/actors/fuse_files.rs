//! Processes of which something cannot be read, because a FUSE file system is behind it whose
//! server does not answer.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write, stdin};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{ptr, thread};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous};

use super::fuse::Server;

/// Mounts a file system and starts victims: `holds` has a file of it open, `mmap-lock` is described
/// at [`mmap_lock`], `runs` executes a program of it. On `silence` the server stops to answer.
pub(super) fn run(directory: &str, victims: &[&str]) -> ! {
    fs::create_dir_all(directory).unwrap();
    let shell = fs::read("/bin/sh").unwrap();
    let files = vec![("file", vec![b'x'; 8192]), ("shell", shell)];
    let server = match Server::mount(Path::new(directory), files) {
        Ok(server) => server,
        Err(error) => {
            println!("ready\nskipped: {error}");
            std::process::exit(0)
        }
    };
    let mut children: Vec<Child> = victims.iter().map(|victim| start(directory, victim)).collect();
    println!("ready");
    for line in stdin().lines().map_while(Result::ok) {
        match line.as_str() {
            "silence" => {
                server.fall_silent();
                for child in &mut children {
                    let _ = writeln!(child.stdin.as_mut().unwrap(), "go");
                }
                thread::sleep(Duration::from_millis(500));
                println!("silent");
            }
            _ => println!("{} unanswered", server.unanswered()),
        }
    }
    std::process::exit(0)
}

/// Starts a victim and waits until it is ready.
fn start(directory: &str, victim: &str) -> Child {
    let mut command = match victim {
        "runs" => {
            let mut command = Command::new(format!("{directory}/shell"));
            command.args([
                "-c",
                "read line </dev/null; : </dev/null; echo ready; read line
                while :; do : </dev/null; sleep 0.1; done",
            ]);
            command
        }
        actor => {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--actor", actor]).arg(format!("{directory}/file"));
            command
        }
    };
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    child
}

/// Has a file open, then makes events.
pub(super) fn holds(path: &str) -> ! {
    let file = File::open(path).unwrap();
    println!("ready");
    wait_for_line();
    make_events();
    drop(file);
    std::process::exit(0)
}

/// Has a file mapped. One thread reads the mapping through `/proc/self/mem`, which waits for the
/// server and holds the lock on the address space meanwhile; another one waits to write-lock it.
/// A program that then reads the memory of this process, such as its arguments, waits for both.
pub(super) fn mmap_lock(path: &str) -> ! {
    let file = File::open(path).unwrap();
    // SAFETY: a new mapping, which only the kernel reads.
    let at = unsafe { mmap(ptr::null_mut(), 4096, ProtFlags::READ, MapFlags::PRIVATE, &file, 0) };
    let at = at.unwrap() as u64;
    let memory = File::open("/proc/self/mem").unwrap();
    let (read, write) = (
        move || drop(memory.read_at(&mut [0; 8], at)),
        || {
            let (access, flags) = (ProtFlags::READ, MapFlags::PRIVATE);
            // SAFETY: a new mapping, which is not used.
            let _ = unsafe { mmap_anonymous(ptr::null_mut(), 4096, access, flags) };
        },
    );
    let begin = |delay: u64, act: Box<dyn FnOnce() + Send>| {
        let (send, go) = std::sync::mpsc::channel::<()>();
        thread::spawn(move || {
            let _ = go.recv();
            thread::sleep(Duration::from_millis(delay));
            act();
        });
        send
    };
    let threads = [begin(0, Box::new(read)), begin(200, Box::new(write))];
    println!("ready");
    wait_for_line();
    drop(threads);
    make_events();
    std::process::exit(0)
}

fn wait_for_line() {
    let _ = stdin().lock().read_line(&mut String::new());
}

/// Opens a file again and again, without any memory of its own.
fn make_events() {
    let path = CString::new("/dev/null").unwrap();
    loop {
        let _ = openat(CWD, &path, OFlags::RDONLY, Mode::empty());
        thread::sleep(Duration::from_millis(100));
    }
}
