//! Where an attack happens: control groups, and a directory.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process};

/// How long killed processes may take to end. One that stays is in an uninterruptible sleep.
const DYING: Duration = Duration::from_secs(10);

/// Control groups and a directory of one attack. The agent monitors `watched` and all below it,
/// runs in `agent`, and does not see `outside`.
pub(crate) struct Place {
    base: PathBuf,
    /// Where controllers have hierarchies of their own, which then name containers: a group in one.
    controller: Option<PathBuf>,
    directory: tempfile::TempDir,
}

impl Place {
    /// Why the attack cannot be performed is the error.
    pub(crate) fn new(name: &str) -> Result<Self, String> {
        if !geteuid().is_root() {
            return Err("it takes root".to_owned());
        }
        if !Path::new("/sys/kernel/btf/vmlinux").exists() {
            return Err("it takes a kernel with BTF".to_owned());
        }
        if Command::new("unshare").arg("--version").output().is_err() {
            return Err("it takes unshare".to_owned());
        }
        let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new);
        let root = roots.iter().find(|root| root.join("cgroup.controllers").exists());
        let root = root.ok_or("there is no cgroup v2 file system")?;
        let name = format!("peregrine-attack-{name}-{}", std::process::id());
        let base = root.join(&name);
        let controller = Path::new("/sys/fs/cgroup/cpu");
        let controller = controller.join("cgroup.procs").exists().then(|| controller.join(&name));
        for group in ["agent", "watched", "outside"] {
            let group = base.join(group);
            fs::create_dir_all(&group).map_err(|error| format!("{}: {error}", group.display()))?;
        }
        // Where the controllers are available, attackers cannot harm the machine.
        let _ = fs::write(base.join("pids.max"), "30000");
        let _ = fs::write(base.join("memory.max"), "1G");
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Ok(Self { base, controller, directory })
    }

    /// A path in the directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The directory.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// The group that is monitored.
    pub(crate) fn watched(&self) -> PathBuf {
        self.base.join("watched")
    }

    /// The group that the agent runs in.
    pub(crate) fn agent(&self) -> PathBuf {
        self.base.join("agent")
    }

    /// A monitored group.
    pub(crate) fn group(&self, name: &str) -> PathBuf {
        made(self.watched().join(name))
    }

    /// A monitored group that looks like a container's, as actors take it: paths with colons
    /// between them.
    pub(crate) fn container(&self, number: u32) -> String {
        let name = format!("docker-{number:012x}{}.scope", "5".repeat(52));
        let controller = self.controller.as_ref().map(|base| made(base.join(&name)));
        let groups = [self.group(&name)].into_iter().chain(controller);
        let groups: Vec<String> = groups.map(|group| group.display().to_string()).collect();
        groups.join(":")
    }

    /// A group that is not monitored.
    pub(crate) fn outside(&self, name: &str) -> PathBuf {
        made(self.base.join("outside").join(name))
    }

    /// Moves all processes of a group into another one.
    pub(crate) fn enter(&self, from: &Path, to: &Path) {
        for pid in members(from) {
            // Kernel threads aside, what cannot be moved has ended.
            let _ = fs::write(to.join("cgroup.procs"), pid.to_string());
        }
    }

    /// Ends all attackers, then checks that no process of the agent is left, and removes the
    /// groups. The error says what is left.
    pub(crate) fn clear(&self) -> Result<(), String> {
        for side in ["watched", "outside"] {
            if !ended(&self.base.join(side), true) {
                return Err(format!("attackers ({side}) cannot be killed"));
            }
        }
        let agent_ended = ended(&self.agent(), false);
        if !ended(&self.base, true) {
            return Err("processes of the agent cannot be killed".to_owned());
        }
        // The deepest first.
        let bases = self.controller.iter().chain([&self.base]);
        let all = bases.flat_map(|base| groups(base).into_iter().rev());
        let failed = all.filter(|group| !removed(group)).count();
        if !agent_ended {
            return Err("a process of the agent outlives it".to_owned());
        }
        if failed == 0 { Ok(()) } else { Err(format!("{failed} control groups remain")) }
    }
}

/// Whether all processes of a group and those below it end in time. With `kill` they are killed.
fn ended(base: &Path, kill: bool) -> bool {
    let deadline = Instant::now() + DYING;
    loop {
        let left: Vec<i32> = groups(base).iter().flat_map(|group| members(group)).collect();
        if left.is_empty() || Instant::now() > deadline {
            return left.is_empty();
        }
        for pid in left.into_iter().filter(|_| kill).filter_map(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A group and all below it, each before those below it.
fn groups(base: &Path) -> Vec<PathBuf> {
    let mut groups = vec![base.to_owned()];
    let mut at = 0;
    while let Some(group) = groups.get(at) {
        let entries = fs::read_dir(group).into_iter().flatten().flatten();
        let below: Vec<_> =
            entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
        groups.extend(below);
        at += 1;
    }
    groups
}

/// The processes in a group.
pub(crate) fn members(group: &Path) -> Vec<i32> {
    let text = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|pid| pid.parse().ok()).collect()
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.base.exists() {
            let _ = self.clear();
        }
    }
}

fn made(group: PathBuf) -> PathBuf {
    fs::create_dir_all(&group).unwrap();
    group
}

/// A group is busy for a moment after its last process.
fn removed(group: &Path) -> bool {
    (0..100).any(|_| {
        let gone = fs::remove_dir(group).is_ok() || !group.exists();
        if !gone {
            std::thread::sleep(Duration::from_millis(20));
        }
        gone
    })
}
