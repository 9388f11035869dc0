//! The child of the demo: performs harmless acts that the built-in rules find suspicious.
//!
//! It has a mount namespace of its own, in which `/etc` is a directory made for the demo: no file
//! of the machine is read or changed.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Write};
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use peregrine_files::{FileMode, create};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::mount::{MountPropagationFlags, mount_bind, mount_change};
use rustix::process::getppid;

use crate::DemoError;

/// Time between two acts, for reading.
const PAUSE: Duration = Duration::from_millis(600);

/// A suspicious act: its description, and the function that performs it.
type Act = (&'static str, fn(&Path) -> Result<(), DemoError>);

const ACTS: [Act; 6] = [
    ("A web server starts a shell.", server_starts_shell),
    ("The password hashes are read (of a made-up /etc/shadow).", read_hashes),
    ("A file below /etc is written (a directory made for this demo).", write_below_etc),
    ("A shell connects to the network (it is the loopback interface).", shell_connects),
    ("A program runs from memory, without a file.", run_from_memory),
    ("A shell's history is removed (an empty one).", hide_traces),
];

/// Performs one part: all acts, or what an act runs in another process.
pub(crate) fn run(part: &OsStr, rest: &[OsString]) -> Result<(), DemoError> {
    match (part.to_str(), rest) {
        (Some("acts"), [directory, cgroup]) => all(Path::new(directory), Path::new(cgroup)),
        (Some("serve"), []) => done(Command::new("sh").args(["-c", ":"])),
        _ => Err(DemoError::Arguments),
    }
}

fn all(directory: &Path, cgroup: &Path) -> Result<(), DemoError> {
    prepare(directory)?;
    // From here on this process and its children are monitored.
    enter(cgroup)
        .map_err(|reason| DemoError::io(format!("cannot enter {}", cgroup.display()), reason))?;
    for (number, (about, act)) in (1..).zip(ACTS) {
        thread::sleep(PAUSE);
        print(format!("\n{number}. {about}\n"))?;
        if let Err(error) = act(directory) {
            print(format!("   That did not work here: {error}\n"))?;
        }
    }
    Ok(())
}

fn enter(cgroup: &Path) -> io::Result<()> {
    let mut processes = fs::File::options().write(true).open(cgroup.join("cgroup.procs"))?;
    processes.write_all(std::process::id().to_string().as_bytes())
}

/// Mounts another directory at `/etc`, for this process and its children only.
fn prepare(directory: &Path) -> Result<(), DemoError> {
    let namespace = |process: &str| fs::read_link(format!("/proc/{process}/ns/mnt"));
    let parent = getppid().ok_or(DemoError::NotIsolated)?;
    if namespace("self")? == namespace(&parent.to_string())? {
        return Err(DemoError::NotIsolated);
    }
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(|reason| DemoError::io("cannot make mounts private", reason))?;
    let etc = directory.join("etc");
    fs::create_dir(&etc)?;
    let mut shadow = create(&etc.join("shadow"), FileMode::PRIVATE).map_err(io::Error::from)?;
    shadow.write_all(b"demo:*:20000:0:99999:7:::\n")?;
    mount_bind(&etc, "/etc").map_err(|reason| DemoError::io("cannot mount over /etc", reason))?;
    Ok(())
}

/// The name of a program is the one it is started under.
fn server_starts_shell(directory: &Path) -> Result<(), DemoError> {
    let nginx = directory.join("nginx");
    symlink(std::env::current_exe()?, &nginx)?;
    done(Command::new(nginx).args(["demo", "serve"]))
}

fn read_hashes(_: &Path) -> Result<(), DemoError> {
    let output = Command::new("cat").arg("/etc/shadow").output()?;
    if output.status.success() { Ok(()) } else { Err(DemoError::Failed("cat".to_owned())) }
}

fn write_below_etc(_: &Path) -> Result<(), DemoError> {
    done(Command::new("sh").args(["-c", "echo evil >/etc/ld.so.preload.demo"]))
}

fn shell_connects(_: &Path) -> Result<(), DemoError> {
    let listener = TcpListener::bind("127.0.0.2:0")?;
    let port = listener.local_addr()?.port();
    done(Command::new("bash").args(["-c", &format!("exec 3<>/dev/tcp/127.0.0.2/{port}")]))
}

fn run_from_memory(_: &Path) -> Result<(), DemoError> {
    let memory = memfd_create("demo", MemfdFlags::CLOEXEC).map_err(io::Error::from)?;
    let mut memory = fs::File::from(memory);
    memory.write_all(&fs::read("/bin/sh")?)?;
    // The kernel refuses to execute a file that is open for writing, so the path is reopened
    // read-only.
    let path = format!("/proc/self/fd/{}", memory.as_raw_fd());
    let readable = fs::File::open(path)?;
    drop(memory);
    done(Command::new(format!("/proc/self/fd/{}", readable.as_raw_fd())).args(["-c", ":"]))
}

fn hide_traces(directory: &Path) -> Result<(), DemoError> {
    let history = directory.join(".bash_history");
    create(&history, FileMode::PRIVATE).map_err(io::Error::from)?;
    done(Command::new("rm").arg(history))
}

fn done(command: &mut Command) -> Result<(), DemoError> {
    let status = match command.status() {
        Ok(status) => status,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(DemoError::NoProgram(command_name(command)));
        }
        Err(error) => return Err(error.into()),
    };
    if status.success() { Ok(()) } else { Err(DemoError::Failed(command_name(command))) }
}

fn command_name(command: &Command) -> String {
    command.get_program().display().to_string()
}

fn print(text: String) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
