//! The processes of an event: the one that acts and its ancestors.

use peregrine_event::snapshot::Thread;

use super::values::Values;
use crate::Cause;

/// Time of the first event of a test: 2024-01-01.
pub(crate) const START: u64 = 1_704_067_200 * SECOND;
/// Nanoseconds of a second.
pub(crate) const SECOND: u64 = 1_000_000_000;
/// Age of the files of programs.
const FILE_AGE: u64 = 30 * 24 * 3600 * SECOND;
/// Pid of the process that acts, unless it is given.
const PID: i64 = 1000;
/// Bytes of a name that the kernel keeps.
const COMM: usize = 15;
/// All capabilities.
const ALL_CAPABILITIES: u64 = (1 << 41) - 1;

/// The process of an event, then its ancestors. All as they are when rules see the event.
#[derive(Clone, Debug)]
pub(super) struct Lineage(pub(super) Vec<Thread>);

impl Lineage {
    /// Reads the processes, as they are at the time of the event. `cgroups` are those of the
    /// container.
    pub(super) fn read(
        values: &mut Values<'_>,
        ts: u64,
        user: (u32, u32),
        cgroups: Option<&[u8]>,
    ) -> Self {
        let mut threads = Vec::new();
        let mut pid = values.i64(0, "proc.pid").unwrap_or(PID);
        let levels = values.spec.levels();
        let mut ended = false;
        for level in 0..levels {
            let above = level + 1;
            let parent = values.i64(above, "proc.pid");
            let cut =
                values.spec.of(level, "proc.parent").is_some() || parent == Some(0) || pid == 1;
            let ptid = match parent {
                _ if cut => 0,
                Some(parent) => parent,
                None if above == levels => 1,
                None if pid > 2 => pid - 1,
                None => PID + above as i64,
            };
            let process = Process { level, pid, ptid, ts };
            threads.push(process.read(values, user, cgroups));
            pid = ptid;
            ended = cut;
            if cut {
                break;
            }
        }
        if !ended && pid == 1 {
            threads.push(init());
        }
        lead_sessions(values, &mut threads);
        Self(threads)
    }

    /// The thread that acts.
    pub(super) fn actor(&self) -> Option<&Thread> {
        self.0.first()
    }
}

/// A process, as far as it is decided.
struct Process {
    level: usize,
    pid: i64,
    ptid: i64,
    /// Time of the event.
    ts: u64,
}

impl Process {
    fn read(
        &self,
        values: &mut Values<'_>,
        (uid, gid): (u32, u32),
        cgroups: Option<&[u8]>,
    ) -> Thread {
        let &Self { level, pid, ptid, ts } = self;
        let names = Names::read(values, level);
        let age = values.u64(level, "proc.duration").unwrap_or((level as u64 + 1) * SECOND);
        let started = match values.is_none(level, "proc.duration") {
            // What began before a capture did has no known start.
            true => 0,
            false => values.u64(level, "proc.pid.ts").unwrap_or_else(|| ts.saturating_sub(age)),
        };
        let tid = values.i64(level, "thread.tid").unwrap_or(pid);
        let vpid = values.i64(level, "proc.vpid").unwrap_or(pid);
        let number =
            |values: &mut Values<'_>, name: &str, default| match values.is_none(level, name) {
                true => 0,
                false => values.u64(level, name).unwrap_or(default),
            };
        let written = number(values, "proc.exe_ino.mtime", START - FILE_AGE);
        let capable = if uid == 0 { ALL_CAPABILITIES } else { 0 };
        let mut thread = Thread {
            tid,
            pid,
            ptid,
            sid: values.i64(level, "proc.sid").unwrap_or(UNKNOWN_SESSION),
            vpgid: values.i64(level, "proc.vpgid").unwrap_or(vpid),
            pgid: values.i64(level, "proc.pgid").unwrap_or(pid),
            vtid: values.i64(level, "thread.vtid").unwrap_or(if tid == pid { vpid } else { tid }),
            vpid,
            comm: names.name.into(),
            exe: names.exe.into(),
            exepath: names.exepath.into(),
            args: names.args.into(),
            env: values.variables(level, "proc.env").unwrap_or_default().into(),
            cgroups: cgroups.unwrap_or_default().into(),
            cwd: values.text(level, "proc.cwd").unwrap_or_else(|| b"/".to_vec()).into(),
            root: b"/"[..].into(),
            fdlimit: values.i64(level, "proc.fdlimit").unwrap_or(1024),
            flags: 0,
            uid,
            gid,
            loginuid: values.uid("user.loginuid").unwrap_or(u32::MAX),
            vmsize_kb: values.u32(level, "proc.vmsize").unwrap_or_default(),
            vmrss_kb: values.u32(level, "proc.vmrss").unwrap_or_default(),
            vmswap_kb: values.u32(level, "proc.vmswap").unwrap_or_default(),
            pfmajor: values.u64(level, "thread.pfmajor").unwrap_or_default(),
            pfminor: values.u64(level, "thread.pfminor").unwrap_or_default(),
            pidns_init_start_ts: values.u64(level, "proc.pidns_init_start_ts").unwrap_or_default(),
            clone_ts: started,
            incomplete: false,
            tty: values.u32(level, "proc.tty").unwrap_or_default(),
            exe_writable: values.bool(level, "proc.is_exe_writable").unwrap_or_default(),
            exe_upper_layer: values.bool(level, "proc.is_exe_upper_layer").unwrap_or_default(),
            exe_lower_layer: values.bool(level, "proc.is_exe_lower_layer").unwrap_or_default(),
            exe_from_memfd: values.bool(level, "proc.is_exe_from_memfd").unwrap_or_default(),
            cap_inheritable: 0,
            cap_permitted: capable,
            cap_effective: capable,
            exe_ino: number(values, "proc.exe_ino", 4096),
            exe_ino_ctime: number(values, "proc.exe_ino.ctime", written),
            exe_ino_mtime: written,
        };
        if level == 0 {
            own_values(values, &mut thread);
        }
        thread
    }
}

/// Marks a session that is not given: decided when all processes are known.
const UNKNOWN_SESSION: i64 = i64::MIN;

/// Values that only the acting thread can be given.
fn own_values(values: &mut Values<'_>, thread: &mut Thread) {
    let sets = [
        ("thread.cap_inheritable", &mut thread.cap_inheritable),
        ("thread.cap_permitted", &mut thread.cap_permitted),
        ("thread.cap_effective", &mut thread.cap_effective),
    ];
    for (name, set) in sets {
        if let Some(given) = values.capabilities(name) {
            *set = given;
        }
    }
    let named: Vec<_> = values.spec.starting("proc.env[").map(|(name, _)| name).collect();
    for name in named {
        if let Some(value) = values.text(0, &format!("proc.env[{name}")) {
            let name = name.strip_suffix(']').unwrap_or(name).as_bytes();
            thread.env = [&*thread.env, name, b"=", &value, b"\0"].concat().into();
        }
    }
    if let Some(groups) = values.texts(0, "thread.cgroups") {
        thread.cgroups = groups.into();
    }
    let given: Vec<_> = values.spec.starting("thread.cgroup.").map(|(name, _)| name).collect();
    for controller in given {
        if let Some(path) = values.text(0, &format!("thread.cgroup.{controller}")) {
            let group = [controller.as_bytes(), b"=", &path, b"\0"].concat();
            thread.cgroups = [&group, &*thread.cgroups].concat().into();
        }
    }
}

/// Processes of which nothing else is said belong to the session of the oldest one given.
fn lead_sessions(values: &Values<'_>, threads: &mut [Thread]) {
    let oldest = values.spec.levels().min(threads.len());
    let session = threads.get(oldest.saturating_sub(1)).map_or(1, |thread| thread.vpid);
    for thread in threads.iter_mut().filter(|thread| thread.sid == UNKNOWN_SESSION) {
        thread.sid = session;
    }
}

/// The names of a program and its arguments.
struct Names {
    name: Vec<u8>,
    exe: Vec<u8>,
    exepath: Vec<u8>,
    args: Vec<u8>,
}

impl Names {
    fn read(values: &mut Values<'_>, level: usize) -> Self {
        let mut name = values.text(level, "proc.name");
        let mut exe = values.text(level, "proc.exe");
        let exepath = values.text(level, "proc.exepath");
        let mut args = values.texts(level, "proc.args");
        // A command line is the name, and an exeline the first argument, before the arguments.
        for (line, first) in [("proc.cmdline", &mut name), ("proc.exeline", &mut exe)] {
            let Some(text) = values.text(level, line) else { continue };
            // With a name of several words, such as `runc:[2:INIT]`, the rest follows it.
            let known = first.as_ref().filter(|first| text.starts_with(first)).map(Vec::len);
            let len =
                known.unwrap_or_else(|| text.iter().position(|b| *b == b' ').unwrap_or(text.len()));
            let (word, rest) = text.split_at(len);
            first.get_or_insert_with(|| {
                if line == "proc.cmdline" { comm(word) } else { word.to_vec() }
            });
            args.get_or_insert_with(|| {
                let words = rest.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
                words.flat_map(|word| word.iter().copied().chain([0])).collect()
            });
        }
        let of_path = exepath.as_deref().or(exe.as_deref()).map(comm);
        let name = name.or(of_path).unwrap_or_else(|| b"program".to_vec());
        if let Some(given) = values.spec.of(level, "proc.name").filter(|_| name.len() > COMM) {
            let kept = String::from_utf8_lossy(name.get(..COMM).unwrap_or_default()).into_owned();
            let message = format!("the kernel cuts names of programs to {COMM} bytes");
            let problem = Cause::Impossible.at(&given.label, message);
            values.problems.push(problem.help(format!("rules see `{kept}`")));
        }
        let exe = exe.unwrap_or_else(|| name.clone());
        let exepath = exepath.unwrap_or_else(|| match exe.first() {
            Some(b'/') => exe.clone(),
            _ => [b"/usr/bin/", name.as_slice()].concat(),
        });
        Self { name, exe, exepath, args: args.unwrap_or_default() }
    }
}

/// The name of a program as the kernel keeps it.
fn comm(path: &[u8]) -> Vec<u8> {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    name.get(..COMM).unwrap_or(name).to_vec()
}

/// The first process of the machine.
fn init() -> Thread {
    Thread {
        tid: 1,
        pid: 1,
        ptid: 0,
        sid: 1,
        vpgid: 1,
        pgid: 1,
        vtid: 1,
        vpid: 1,
        comm: b"systemd"[..].into(),
        exe: b"/sbin/init"[..].into(),
        exepath: b"/usr/lib/systemd/systemd"[..].into(),
        cwd: b"/"[..].into(),
        root: b"/"[..].into(),
        fdlimit: 1024,
        loginuid: u32::MAX,
        clone_ts: START - 3600 * SECOND,
        cap_permitted: ALL_CAPABILITIES,
        cap_effective: ALL_CAPABILITIES,
        ..Thread::default()
    }
}
