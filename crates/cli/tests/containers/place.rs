//! Namespaces and control groups in which container runtimes run.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

pub(crate) use crate::wait::wait_until;

/// The user who has containers of its own.
pub(crate) const OWNER: &str = "4000";

/// What Debian calls the packages of all programs used here, for the message of a skipped test.
const PACKAGES: &str = "docker.io containerd podman runc conmon netavark aardvark-dns lxc \
                        busybox-static containernetworking-plugins uidmap slirp4netns jq";

/// A mount and a network namespace, and two control groups: of containers, which the agent
/// monitors, and of daemons and the agent. A shell in the namespaces ends all when the test ends,
/// whatever way.
pub(crate) struct Place {
    directory: tempfile::TempDir,
    name: String,
    shell: Child,
    /// The shell lives until this is closed.
    open: Option<ChildStdin>,
}

/// A process of a place. It is killed when this is dropped.
pub(crate) struct Daemon(pub(crate) Child);

impl Place {
    /// `None`, with a line that says why, if the test can't run here. With `PEREGRINE_CI` a
    /// program that is missing fails the test.
    pub(crate) fn new(name: &str, programs: &[&str]) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return skip("it takes root");
        }
        let all = ["unshare", "nsenter", "mount", "ip", "jq", "busybox", "runc", "tar"];
        let missing = |program: &&&str| find(program).is_none();
        let missing: Vec<_> = all.iter().chain(programs).filter(missing).collect();
        if !missing.is_empty() {
            let ci = std::env::var("PEREGRINE_CI").is_ok_and(|value| value == "1");
            assert!(!ci, "missing: {missing:?}, of Debian's {PACKAGES}");
            return skip(&format!("missing: {missing:?}, of Debian's {PACKAGES}"));
        }
        let roots = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(Path::new);
        if !roots.iter().any(|root| root.join("cgroup.controllers").exists()) {
            return skip("there is no cgroup v2 file system");
        }
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        // Part of a container's id, which has at most 12 letters here.
        let name = format!("pg{name}{}", std::process::id());
        let mut command = Command::new("unshare");
        command.args(["--mount", "--net", "--", "sh", "-c", include_str!("place.sh"), "place"]);
        command.arg(directory.path()).arg(&name).arg(format!("{name}-daemons")).arg(OWNER);
        // Signals of the terminal are for the test.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut shell = command.stderr(log(directory.path(), "place")).spawn().unwrap();
        let open = shell.stdin.take();
        let mut line = String::new();
        BufReader::new(shell.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let place = Self { directory, name, shell, open };
        if line != "ready\n" {
            return skip(&place.read("place.log"));
        }
        for group in [place.containers(), place.daemons()] {
            fs::create_dir_all(group).unwrap();
        }
        place.write("runc", include_str!("runc.sh"));
        fs::set_permissions(place.path("runc"), fs::Permissions::from_mode(0o755)).unwrap();
        Some(place)
    }

    /// The name of the group of containers in each hierarchy.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The group of containers, of cgroup v2.
    pub(crate) fn containers(&self) -> PathBuf {
        cgroup2().join(&self.name)
    }

    fn daemons(&self) -> PathBuf {
        cgroup2().join(format!("{}-daemons", self.name))
    }

    /// A file that both sides see.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A file that only processes of the place see, as the test reaches it.
    pub(crate) fn inside(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.shell.id()))
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// A program among the daemons.
    pub(crate) fn command(&self, program: &str) -> Command {
        self.command_in(&self.daemons(), program)
    }

    /// A program in this group.
    pub(crate) fn command_in(&self, group: &Path, program: &str) -> Command {
        let mut command = Command::new("sh");
        command.arg("-c").arg(
            "echo $$ >\"$1/cgroup.procs\" && shift && exec nsenter --mount --net --target \"$@\"",
        );
        command.arg("sh").arg(group).arg(self.shell.id().to_string()).arg("--").arg(program);
        command.env("PATH", path()).env("HOME", self.path("data")).stdin(Stdio::null());
        // What clients of runtimes read.
        for variable in ["CONTAINER_RUNTIME_ENDPOINT", "DOCKER_HOST", "DOCKER_CONTEXT"] {
            command.env_remove(variable);
        }
        command
    }

    /// Runs a program among the daemons; its output without white space around.
    #[track_caller]
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> String {
        succeed(self.command(program).args(arguments))
    }

    /// Starts a daemon, whose output goes to a file of this name.
    pub(crate) fn start(&self, name: &str, command: &mut Command) -> Daemon {
        let log = log(self.directory.path(), name);
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        Daemon(child)
    }

    /// Ends all. The error says what is left.
    fn clear(&mut self) -> Result<(), String> {
        if self.open.take().is_none() {
            return Ok(());
        }
        let status = self.shell.wait().map_err(|error| error.to_string())?;
        if status.success() { Ok(()) } else { Err(self.read("place.log")) }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let cleared = self.clear();
        if thread::panicking() {
            let files = fs::read_dir(self.directory.path()).into_iter().flatten().flatten();
            let logs = files.map(|file| file.path());
            for log in logs.filter(|path| path.extension().is_some_and(|end| end == "log")) {
                let text = fs::read_to_string(&log).unwrap_or_default();
                let lines: Vec<&str> = text.lines().collect();
                let last = lines.split_at(lines.len().saturating_sub(30)).1;
                eprintln!("== end of {}\n{}", log.display(), last.join("\n"));
            }
        }
        if let (Err(left), false) = (cleared, thread::panicking()) {
            panic!("{left}");
        }
    }
}

impl Daemon {
    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id() as i32), signal).unwrap();
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }

    /// Asks it to end, and waits. Whether it ended well.
    #[track_caller]
    pub(crate) fn end(mut self) -> bool {
        self.signal(Signal::SIGTERM);
        let mut status = None;
        wait_until("it ends", || {
            status = self.0.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap().success()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn skip<T>(why: &str) -> Option<T> {
    eprintln!("SKIPPED: no container runtimes are monitored: {}", why.trim_end());
    None
}

/// Output of a command that ends well, without white space around.
#[track_caller]
pub(crate) fn succeed(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let words: Vec<_> = command.get_args().skip_while(|word| *word != "--").collect();
    assert!(status.success(), "{words:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap().trim().to_owned()
}

/// Where cgroup v2 is mounted.
fn cgroup2() -> &'static Path {
    let hybrid = Path::new("/sys/fs/cgroup/unified");
    if hybrid.exists() { hybrid } else { Path::new("/sys/fs/cgroup") }
}

/// A log that is appended to when its daemon starts again.
fn log(directory: &Path, name: &str) -> File {
    let path = directory.join(format!("{name}.log"));
    File::options().create(true).append(true).open(path).unwrap()
}

fn path() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/sbin:/sbin")
}

fn find(program: &str) -> Option<PathBuf> {
    let path = path();
    let directories = path.split(':').map(Path::new);
    directories.map(|directory| directory.join(program)).find(|file| file.is_file())
}

#[test]
fn a_place_leaves_nothing_behind() {
    let Some(mut place) = Place::new("clear", &[]) else { return };
    let mut sleeper = place.command_in(&place.containers(), "sh");
    let _sleeper =
        place.start("sleeper", sleeper.args(["-c", "setsid sleep 600 & exec sleep 600"]));
    let procs = place.containers().join("cgroup.procs");
    wait_until("they run", || fs::read_to_string(&procs).unwrap().lines().count() == 2);
    let groups = [place.containers(), place.daemons()];
    assert_eq!(place.clear(), Ok(()));
    assert!(groups.iter().all(|group| !group.exists()));
    assert!(!place.path("data").join("upper").exists(), "mounts were private");
}
