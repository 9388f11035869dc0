//! Explains why the kernel cannot be monitored, with a remedy.

use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use crate::bpf::ProbeError;
use crate::source::LiveError;

/// The kernel's BTF.
const BTF: &str = "/sys/kernel/btf/vmlinux";
/// Descriptors that are enough for all hooks, collectors and rings of a machine with some hundred
/// CPUs.
const DESCRIPTORS: u64 = 4096;

const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

/// What keeps a kernel from being monitored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// Too few file descriptors may be open.
    Descriptors,
    /// The machine has no descriptor left.
    MachineDescriptors,
    /// Too little memory may be locked, on kernels that count maps as such.
    LockedMemory,
    /// There is not enough memory.
    Memory,
    /// This capability is missing.
    Capability(&'static str),
    /// Capabilities hold in this user namespace only.
    UserNamespace,
    /// The lockdown mode of the kernel.
    Lockdown,
    /// A filter of system calls.
    Seccomp,
    /// The kernel has no BPF.
    NoBpf,
    /// The kernel does not describe its types.
    NoBtf,
    /// sysfs is not mounted.
    NoSysfs,
    /// This file or directory is missing or not readable.
    File(PathBuf),
    /// The hooks that were asked for.
    Functions,
    /// Something else refuses.
    Refused,
    /// The kernel is too old for the programs, or they have a mistake.
    Verifier,
}

impl Obstacle {
    /// One of each kind.
    #[cfg(test)]
    fn all() -> Vec<Self> {
        vec![
            Self::Descriptors,
            Self::MachineDescriptors,
            Self::LockedMemory,
            Self::Memory,
            Self::Capability("CAP_BPF"),
            Self::Capability("CAP_PERFMON"),
            Self::UserNamespace,
            Self::Lockdown,
            Self::Seccomp,
            Self::NoBpf,
            Self::NoBtf,
            Self::NoSysfs,
            Self::File("/sys/devices/system/cpu/possible".into()),
            Self::Functions,
            Self::Verifier,
            Self::Refused,
        ]
    }

    /// What is wrong.
    fn problem(&self) -> String {
        match self {
            Self::Descriptors => "too few file descriptors may be open (RLIMIT_NOFILE)".to_owned(),
            Self::MachineDescriptors => "the machine has no file descriptor left".to_owned(),
            Self::LockedMemory => "too little memory may be locked (RLIMIT_MEMLOCK)".to_owned(),
            Self::Memory => "there is not enough memory for the ring buffers".to_owned(),
            Self::Capability(name) => format!("the capability {name} is missing"),
            Self::UserNamespace => {
                "root of a user namespace has no rights outside of it".to_owned()
            }
            Self::Lockdown => "the kernel is in lockdown mode `confidentiality`".to_owned(),
            Self::Seccomp => "a seccomp filter forbids the system call bpf".to_owned(),
            Self::NoBpf => "this kernel has no BPF".to_owned(),
            Self::NoBtf => format!("this kernel does not describe its types (no {BTF})"),
            Self::NoSysfs => "sysfs is not mounted on /sys".to_owned(),
            Self::File(path) => format!("{} can't be read", path.display()),
            Self::Functions => "the kernel lets no functions be hooked".to_owned(),
            Self::Verifier => "the kernel rejects a program".to_owned(),
            Self::Refused => {
                "the kernel refuses BPF programs, though all rights are there".to_owned()
            }
        }
    }

    /// What helps.
    fn remedy(&self) -> String {
        match self {
            Self::Descriptors => format!(
                "allow {DESCRIPTORS}: `ulimit -n {DESCRIPTORS}`, in a unit `LimitNOFILE={DESCRIPTORS}`, \
                 for a container `--ulimit nofile={DESCRIPTORS}`"
            ),
            Self::MachineDescriptors => "raise `sysctl fs.file-max`, or close files".to_owned(),
            Self::LockedMemory => {
                "Linux before 5.11 counts BPF maps: `ulimit -l unlimited`, in a unit `LimitMEMLOCK=infinity`, \
                 for a container `--ulimit memlock=-1`, or the capability CAP_SYS_RESOURCE"
                    .to_owned()
            }
            Self::Memory => {
                "choose smaller ones with engine.modern_ebpf.buf_size_preset, or raise the memory limit of the \
                 control group"
                    .to_owned()
            }
            Self::Capability(_) => {
                "it takes root, or the capabilities CAP_BPF, CAP_PERFMON, CAP_SYS_RESOURCE and CAP_SYS_PTRACE: try \
                 sudo, in a unit `AmbientCapabilities=`, for a container `--cap-add` or `--privileged`"
                    .to_owned()
            }
            Self::UserNamespace => {
                "run it outside of rootless containers and of `unshare --user`: BPF takes the rights of the host's root"
                    .to_owned()
            }
            Self::Lockdown => {
                "boot with `lockdown=integrity` or `lockdown=none`: /sys/kernel/security/lockdown shows the mode"
                    .to_owned()
            }
            Self::Seccomp => {
                "for a container `--security-opt seccomp=unconfined` or `--privileged`, in a unit without \
                 `SystemCallFilter=` or with `bpf` and `perf_event_open` in it"
                    .to_owned()
            }
            Self::NoBpf => "it takes Linux 5.8 or newer, built with CONFIG_BPF_SYSCALL".to_owned(),
            Self::NoBtf => {
                "it takes Linux 5.8 or newer, built with CONFIG_DEBUG_INFO_BTF".to_owned()
            }
            Self::NoSysfs => "mount it: `mount -t sysfs sysfs /sys`".to_owned(),
            Self::File(_) => {
                "mount what is missing (`mount -t sysfs sysfs /sys`, `mount -t proc proc /proc`), or make it readable"
                    .to_owned()
            }
            Self::Functions => {
                "engine.modern_ebpf.hooks: with sys_exit, or auto, it can be watched all the same".to_owned()
            }
            Self::Verifier => {
                "it takes Linux 5.8 or newer; if this kernel is, report it with the log of `-o log_level=debug`"
                    .to_owned()
            }
            Self::Refused => {
                "look for a security module (SELinux, AppArmor) in the log of the kernel, and for \
                 `sysctl kernel.unprivileged_bpf_disabled`"
                    .to_owned()
            }
        }
    }

    /// The obstacle behind an error of the probe, as far as the machine tells.
    fn of(error: &LiveError, machine: &Machine) -> Option<Self> {
        match error {
            LiveError::Scan(_) | LiveError::Thread(_) | LiveError::Reader(_) => return None,
            LiveError::Probe(ProbeError::Functions(_)) => return Some(Self::Functions),
            LiveError::Probe(ProbeError::Scope { .. }) => return None,
            LiveError::Probe(ProbeError::Cpus(path, _)) if machine.sysfs => {
                return Some(Self::File(path.into()));
            }
            LiveError::Probe(_) | LiveError::Ring(_) => {}
        }
        let errno = errno(error);
        Some(match errno {
            _ if !machine.sysfs => Self::NoSysfs,
            Some(Errno::MFILE) => Self::Descriptors,
            Some(Errno::NFILE) => Self::MachineDescriptors,
            _ if !machine.btf => Self::NoBtf,
            Some(Errno::NOMEM) => Self::Memory,
            Some(Errno::NOSYS) if machine.seccomp => Self::Seccomp,
            Some(Errno::NOSYS) => Self::NoBpf,
            Some(Errno::PERM | Errno::ACCESS) => machine.refusal(),
            Some(Errno::INVAL | Errno::TOOBIG | Errno::NOTSUP) => Self::Verifier,
            _ if !machine.root => Self::Capability("CAP_BPF"),
            _ => Self::Refused,
        })
    }
}

/// What is known of this process and the kernel.
#[derive(Clone, Debug)]
struct Machine {
    root: bool,
    /// Effective capabilities.
    capabilities: u64,
    seccomp: bool,
    user_namespace: bool,
    lockdown: bool,
    sysfs: bool,
    btf: bool,
    /// Whether maps count as locked memory, and little of that is allowed.
    little_memory: bool,
}

impl Machine {
    fn this() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let word = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.trim())
        };
        let capabilities = word("CapEff:").and_then(|set| u64::from_str_radix(set, 16).ok());
        let users = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        let lockdown = fs::read_to_string("/sys/kernel/security/lockdown").unwrap_or_default();
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let locked = getrlimit(Resource::Memlock).current;
        Self {
            root: rustix::process::geteuid().is_root(),
            capabilities: capabilities.unwrap_or_default(),
            seccomp: word("Seccomp:").is_some_and(|mode| mode != "0"),
            user_namespace: !users.is_empty() && !is_whole(&users),
            lockdown: lockdown.contains("[confidentiality]"),
            sysfs: Path::new("/sys/kernel").exists(),
            btf: Path::new(BTF).exists(),
            little_memory: counts_maps(&release) && locked.is_some(),
        }
    }

    fn has(&self, capability: u32) -> bool {
        self.capabilities >> capability & 1 != 0
    }

    /// Why the kernel says that something is not permitted.
    fn refusal(&self) -> Obstacle {
        match () {
            () if self.user_namespace => Obstacle::UserNamespace,
            () if self.has(CAP_SYS_ADMIN) || (self.has(CAP_BPF) && self.has(CAP_PERFMON)) => {
                match () {
                    () if self.lockdown => Obstacle::Lockdown,
                    () if self.little_memory => Obstacle::LockedMemory,
                    () if self.seccomp => Obstacle::Seccomp,
                    () => Obstacle::Refused,
                }
            }
            () if self.has(CAP_BPF) => Obstacle::Capability("CAP_PERFMON"),
            () => Obstacle::Capability("CAP_BPF"),
        }
    }
}

/// Whether a map of users is that of the host.
fn is_whole(map: &str) -> bool {
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// Whether a kernel counts maps as locked memory, by its release.
fn counts_maps(release: &str) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    let (major, minor) = (numbers.next(), numbers.next());
    matches!((major, minor), (Some(Ok(major)), Some(Ok(minor))) if (major, minor) < (5, 11))
}

/// The number of the error of the system that is behind an error.
fn errno(error: &LiveError) -> Option<Errno> {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    let mut found = None;
    while let Some(error) = cause {
        let own = error.downcast_ref::<io::Error>().and_then(Errno::from_io_error);
        found = own.or(found);
        cause = error.source();
    }
    found.or(match error {
        LiveError::Ring(error) | LiveError::Probe(ProbeError::Ring(error)) => {
            Errno::from_io_error(error)
        }
        _ => None,
    })
}

impl LiveError {
    /// What keeps this kernel from being monitored, and the remedy; `None` if the error does not
    /// concern the kernel.
    pub fn hint(&self) -> Option<String> {
        let obstacle = Obstacle::of(self, &Machine::this())?;
        Some(format!("{}: {}", obstacle.problem(), obstacle.remedy()))
    }

    /// The error and its causes, without repetitions.
    pub fn with_causes(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            let more = error.to_string();
            if !text.contains(&more) {
                // Writing into a string does not fail.
                let _ = write!(text, ": {more}");
            }
            cause = error.source();
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use aya::EbpfError;
    use aya::maps::MapError;

    use super::*;

    fn machine() -> Machine {
        Machine {
            root: true,
            capabilities: u64::MAX,
            seccomp: false,
            user_namespace: false,
            lockdown: false,
            sysfs: true,
            btf: true,
            little_memory: false,
        }
    }

    fn obstacle(errno: Errno, machine: &Machine) -> Obstacle {
        let io_error = io::Error::from_raw_os_error(errno.raw_os_error());
        let map = MapError::CreateError { name: "m".into(), io_error };
        let error = LiveError::Probe(ProbeError::Object(EbpfError::MapError(map)));
        Obstacle::of(&error, machine).unwrap()
    }

    #[test]
    fn the_error_of_the_system_and_the_machine_say_what_is_wrong() {
        let m = machine;
        assert_eq!(obstacle(Errno::MFILE, &m()), Obstacle::Descriptors);
        assert_eq!(obstacle(Errno::NOMEM, &m()), Obstacle::Memory);
        assert_eq!(obstacle(Errno::PERM, &m()), Obstacle::Refused);
        assert_eq!(obstacle(Errno::PERM, &Machine { lockdown: true, ..m() }), Obstacle::Lockdown);
        assert_eq!(obstacle(Errno::PERM, &Machine { seccomp: true, ..m() }), Obstacle::Seccomp);
        let old = Machine { little_memory: true, ..m() };
        assert_eq!(obstacle(Errno::PERM, &old), Obstacle::LockedMemory);
        let inside = Machine { user_namespace: true, ..m() };
        assert_eq!(obstacle(Errno::PERM, &inside), Obstacle::UserNamespace);
        let of = |capabilities: &[u32]| Machine {
            capabilities: capabilities.iter().fold(0, |set, number| set | 1 << number),
            ..m()
        };
        let (bpf, perfmon) = (Obstacle::Capability("CAP_BPF"), Obstacle::Capability("CAP_PERFMON"));
        assert_eq!(obstacle(Errno::PERM, &of(&[])), bpf);
        assert_eq!(obstacle(Errno::PERM, &of(&[CAP_PERFMON])), bpf);
        assert_eq!(obstacle(Errno::PERM, &of(&[CAP_BPF])), perfmon);
        assert_eq!(obstacle(Errno::PERM, &of(&[CAP_BPF, CAP_PERFMON])), Obstacle::Refused);
        assert_eq!(obstacle(Errno::NOSYS, &m()), Obstacle::NoBpf);
        assert_eq!(obstacle(Errno::NOENT, &Machine { btf: false, ..m() }), Obstacle::NoBtf);
        assert_eq!(obstacle(Errno::NOENT, &Machine { sysfs: false, ..m() }), Obstacle::NoSysfs);
        let cpus =
            ProbeError::Cpus("/sys/devices/system/cpu/possible", io::ErrorKind::NotFound.into());
        let found = Obstacle::of(&LiveError::Probe(cpus), &m());
        assert_eq!(found, Some(Obstacle::File("/sys/devices/system/cpu/possible".into())));
    }

    #[test]
    fn kernels_that_count_maps_are_known_by_their_release() {
        assert!(counts_maps("5.10.0-35-amd64") && counts_maps("4.19.1"));
        assert!(!counts_maps("5.11.0") && !counts_maps("6.18.44-fc-v657") && !counts_maps(""));
        assert!(is_whole("         0          0 4294967295\n") && !is_whole("0 1000 1"));
    }

    #[test]
    fn the_page_on_live_runs_has_each_obstacle_with_its_remedy() {
        let page = include_str!("../../../docs/live.md");
        for obstacle in Obstacle::all() {
            let row = format!("| {} | {} |\n", obstacle.problem(), obstacle.remedy());
            assert!(page.contains(&row), "docs/live.md lacks: {row}");
        }
    }
}
