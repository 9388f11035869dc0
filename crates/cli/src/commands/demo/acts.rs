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

use anyhow::{Context, bail};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::mount::{MountPropagationFlags, mount_bind, mount_change};
use rustix::process::getppid;

use crate::print::print;

/// Time between two acts, for reading.
const PAUSE: Duration = Duration::from_millis(600);

/// A suspicious act: its description, and the function that performs it.
type Act = (&'static str, fn(&Path) -> anyhow::Result<()>);

const ACTS: [Act; 6] = [
    ("A web server starts a shell.", server_starts_shell),
    ("The password hashes are read (of a made-up /etc/shadow).", read_hashes),
    ("A file below /etc is written (a directory made for this demo).", write_below_etc),
    ("A shell connects to the network (it is the loopback interface).", shell_connects),
    ("A program runs from memory, without a file.", run_from_memory),
    ("A shell's history is removed (an empty one).", hide_traces),
];

/// Performs one part: all acts, or what an act runs in another process.
pub(super) fn run(part: &OsStr, rest: &[OsString]) -> anyhow::Result<()> {
    match (part.to_str(), rest) {
        (Some("acts"), [directory, cgroup]) => all(Path::new(directory), Path::new(cgroup)),
        (Some("serve"), []) => done(Command::new("sh").args(["-c", ":"])),
        _ => bail!("`peregrine demo` takes no arguments"),
    }
}

fn all(directory: &Path, cgroup: &Path) -> anyhow::Result<()> {
    prepare(directory)?;
    // From here on this process and its children are monitored.
    fs::write(cgroup.join("cgroup.procs"), std::process::id().to_string())
        .with_context(|| format!("cannot enter {}", cgroup.display()))?;
    for (number, (about, act)) in (1..).zip(ACTS) {
        thread::sleep(PAUSE);
        print(format!("\n{number}. {about}\n"))?;
        if let Err(error) = act(directory) {
            print(format!("   That did not work here: {error:#}\n"))?;
        }
    }
    Ok(())
}

/// Mounts another directory at `/etc`, for this process and its children only.
fn prepare(directory: &Path) -> anyhow::Result<()> {
    let namespace = |process: &str| fs::read_link(format!("/proc/{process}/ns/mnt"));
    let parent = getppid().context("there is no parent")?;
    if namespace("self")? == namespace(&parent.to_string())? {
        bail!("the acts of the demo need a mount namespace of their own: run `peregrine demo`");
    }
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .context("cannot keep mounts to ourselves")?;
    let etc = directory.join("etc");
    fs::create_dir(&etc)?;
    fs::write(etc.join("shadow"), "demo:*:20000:0:99999:7:::\n")?;
    mount_bind(&etc, "/etc").context("cannot mount over /etc")?;
    Ok(())
}

/// The name of a program is the one it is started under.
fn server_starts_shell(directory: &Path) -> anyhow::Result<()> {
    let nginx = directory.join("nginx");
    symlink(std::env::current_exe()?, &nginx)?;
    done(Command::new(nginx).args(["demo", "serve"]))
}

fn read_hashes(_: &Path) -> anyhow::Result<()> {
    let output = Command::new("cat").arg("/etc/shadow").output()?;
    if output.status.success() { Ok(()) } else { bail!("cat failed") }
}

fn write_below_etc(_: &Path) -> anyhow::Result<()> {
    done(Command::new("sh").args(["-c", "echo evil >/etc/ld.so.preload.demo"]))
}

fn shell_connects(_: &Path) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.2:0")?;
    let port = listener.local_addr()?.port();
    done(Command::new("bash").args(["-c", &format!("exec 3<>/dev/tcp/127.0.0.2/{port}")]))
}

fn run_from_memory(_: &Path) -> anyhow::Result<()> {
    let memory = memfd_create("demo", MemfdFlags::CLOEXEC)?;
    let mut memory = fs::File::from(memory);
    memory.write_all(&fs::read("/bin/sh")?)?;
    // The kernel refuses to execute a file that is open for writing, so the path is reopened
    // read-only.
    let path = format!("/proc/self/fd/{}", memory.as_raw_fd());
    let readable = fs::File::open(path)?;
    drop(memory);
    done(Command::new(format!("/proc/self/fd/{}", readable.as_raw_fd())).args(["-c", ":"]))
}

fn hide_traces(directory: &Path) -> anyhow::Result<()> {
    let history = directory.join(".bash_history");
    fs::write(&history, "")?;
    done(Command::new("rm").arg(history))
}

fn done(command: &mut Command) -> anyhow::Result<()> {
    let status = match command.status() {
        Ok(status) => status,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bail!("there is no program {}", command.get_program().display())
        }
        Err(error) => return Err(error.into()),
    };
    if status.success() { Ok(()) } else { bail!("{} failed", command.get_program().display()) }
}
