//! What processes change of themselves, at the start of monitoring, as they join the scope, and
//! later. Names of the files that they open say what was true at that moment.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use peregrine_event::{Event, EventType};
use peregrine_probe::Live;
use peregrine_state::{Context, State};

use crate::harness::{Cgroup, Running, Watched, eventually};

/// Where the processes of these tests work.
const DIRECTORY: &str = "PEREGRINE_TEST_DIRECTORY";
/// Directories in each directory, and how deep they go.
const WIDTH: usize = 3;
const DEPTH: usize = 3;

const CALLS: &[&str] = &[
    "chdir",
    "fchdir",
    "openat",
    "open",
    "close",
    "clone",
    "clone3",
    "fork",
    "vfork",
    "execve",
    "setpgid",
    "setsid",
    "setresuid",
    "setuid",
    "capset",
    "prctl",
    "unshare",
    "dup3",
    "dup2",
];

/// Runs a test of this program, which is no test, in this directory.
fn run(name: &str, directory: &Path) -> Child {
    let me = std::env::current_exe().unwrap();
    let mut command = Command::new(me);
    command.args(["--exact", name, "--ignored", "--nocapture"]).env(DIRECTORY, directory);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
}

fn directory() -> Option<PathBuf> {
    std::env::var_os(DIRECTORY).map(PathBuf::from)
}

fn make_tree(directory: &Path, depth: usize) {
    for name in 0..WIDTH {
        let below = directory.join(format!("d{name}"));
        fs::create_dir(&below).unwrap();
        if depth > 1 {
            make_tree(&below, depth - 1);
        }
    }
}

/// Not a test: walks through directories by relative paths, without a pause, and opens a file in
/// each that is named after the directory.
#[test]
#[ignore = "it is run by another test"]
fn walk() {
    let Some(top) = directory() else { return };
    std::env::set_current_dir(&top).unwrap();
    let (mut at, mut random) = (Vec::new(), std::process::id());
    let mut fds: Vec<Option<File>> = Vec::new();
    fds.resize_with(7, || None);
    loop {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let choice = (random >> 16) as usize;
        if at.len() == DEPTH || (!at.is_empty() && choice.is_multiple_of(3)) {
            std::env::set_current_dir("..").unwrap();
            at.pop();
        } else {
            at.push(choice / 8 % WIDTH);
            std::env::set_current_dir(format!("d{}", at[at.len() - 1])).unwrap();
        }
        let name: Vec<_> = at.iter().map(usize::to_string).collect();
        let file = File::create(format!("f{}", name.join("-")));
        // Descriptors are used again in another order.
        fds[choice % 7] = file.ok();
    }
}

/// The path that the name of a file says it has.
fn expected(top: &Path, name: &str) -> String {
    let file = Path::new(name).file_name().unwrap().to_str().unwrap();
    let parts = file[1..].split('-').filter(|part| !part.is_empty());
    let directory = parts.fold(top.to_owned(), |path, part| path.join(format!("d{part}")));
    directory.join(file).to_str().unwrap().to_owned()
}

/// How many opened files had the right path, and those that had not.
#[derive(Default)]
struct Paths {
    right: usize,
    unknown: usize,
    wrong: Vec<String>,
}

impl Paths {
    fn check(&mut self, top: &Path, seen: Option<(&Event<'_>, Context)>, state: &State) {
        let Some((event, context)) = seen else { return };
        if event.ty != EventType::SyscallOpenat_2X || context.error != 0 {
            return;
        }
        let Some(fd) = state.event_fd(context) else { return };
        let name = String::from_utf8_lossy(&fd.name).into_owned();
        if let Some(rest) = name.strip_prefix("<UNKNOWN>f") {
            self.unknown += usize::from(rest.bytes().all(|b| b == b'-' || b.is_ascii_digit()));
            return;
        }
        let is_ours = |file: &std::ffi::OsStr| {
            let rest = file.to_str().and_then(|file| file.strip_prefix('f'));
            rest.is_some_and(|rest| rest.bytes().all(|b| b == b'-' || b.is_ascii_digit()))
        };
        if !Path::new(&name).file_name().is_some_and(is_ours) {
            return;
        }
        if name == expected(top, &name) {
            self.right += 1;
        } else {
            self.wrong.push(name);
        }
    }
}

const ENOUGH: usize = 5_000;

#[test]
fn processes_that_change_directory_while_monitoring_starts_have_right_paths() {
    let Some(cgroup) = Cgroup::new() else { return };
    let scratch = tempfile::tempdir().unwrap();
    make_tree(scratch.path(), DEPTH);
    let walkers: Vec<_> = (0..3).map(|_| Running(run("changes::walk", scratch.path()))).collect();
    for walker in &walkers {
        fs::write(cgroup.0.join("cgroup.procs"), walker.pid().to_string()).unwrap();
    }
    let mut paths = Paths::default();
    // Several starts: each meets the processes at another moment.
    for _ in 0..3 {
        let until = paths.right + ENOUGH;
        let mut watched = Watched::new(&cgroup, CALLS, 8 << 20);
        watched.until(|seen, state| {
            paths.check(scratch.path(), seen, state);
            paths.right >= until || paths.wrong.len() > 100
        });
        let lost = lost(&watched.live);
        assert!(lost > 0 || paths.wrong.is_empty(), "{:?} of {}", paths.wrong, paths.right);
        paths.wrong.clear();
    }
    println!("{} paths were right", paths.right);
}

#[test]
fn processes_that_change_directory_while_they_join_have_right_paths() {
    let Some(cgroup) = Cgroup::new() else { return };
    let scratch = tempfile::tempdir().unwrap();
    make_tree(scratch.path(), DEPTH);
    let mut watched = Watched::new(&cgroup, CALLS, 8 << 20);
    watched.until(|seen, _| seen.is_none());
    let mut paths = Paths::default();
    for _ in 0..20 {
        let walker = Running(run("changes::walk", scratch.path()));
        let comm = format!("/proc/{}/cwd", walker.pid());
        let walks = |path: PathBuf| path.starts_with(scratch.path());
        eventually(|| fs::read_link(&comm).is_ok_and(walks));
        fs::write(cgroup.0.join("cgroup.procs"), walker.pid().to_string()).unwrap();
        let until = paths.right + 500;
        watched.until(|seen, state| {
            paths.check(scratch.path(), seen, state);
            paths.right >= until || paths.wrong.len() > 100
        });
    }
    let lost = lost(&watched.live);
    // On an emulated processor the kernel may tell later of a join than it is waited for.
    let few = paths.right / 1000;
    assert!(lost > 0 || paths.wrong.len() <= few, "{:?} of {}", paths.wrong, paths.right);
    // Those from before the kernel could tell that they have joined.
    println!("{} paths were right, {} unknown", paths.right, paths.unknown);
    assert!(paths.unknown <= paths.right / 100, "{} of {}", paths.unknown, paths.right);
}

fn lost(live: &Live) -> u64 {
    let reading = live.losses().refresh(std::time::Duration::ZERO).unwrap();
    reading.statistics.total().lost()
}

/// Not a test: changes ids and credentials, and opens a file after each that is named after what
/// the kernel says of the process.
#[test]
#[ignore = "it is run by another test"]
fn change() {
    let Some(top) = directory() else { return };
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    // SAFETY: the child uses no lock that another thread may have held.
    let child = unsafe { libc::fork() };
    if child != 0 {
        // SAFETY: only numbers are given to the kernel.
        unsafe {
            libc::setpgid(child, child);
            libc::waitpid(child, std::ptr::null_mut(), 0);
        }
        tell(&top);
        return;
    }
    std::thread::sleep(std::time::Duration::from_millis(20));
    tell(&top);
    let steps: [&dyn Fn() -> i64; 8] = [
        &|| call(libc::SYS_setpgid, [0, 0, 0]),
        &|| {
            let me = call(libc::SYS_getpid, [0; 3]);
            // A leader of a group can't start a session.
            call(libc::SYS_setpgid, [0, call(libc::SYS_getppid, [0; 3]), 0]) + me - me
        },
        &|| call(libc::SYS_setsid, [0; 3]),
        &|| call(libc::SYS_prctl, [15, c"renamed".as_ptr() as i64, 0]),
        &|| call(libc::SYS_prctl, [8, 1, 0]),
        &|| call(libc::SYS_setresuid, [1000, 1000, 1000]),
        &|| capset(0x80),
        &|| call(libc::SYS_unshare, [i64::from(libc::CLONE_NEWUSER), 0, 0]),
    ];
    for step in steps {
        step();
        tell(&top);
    }
    // SAFETY: ends the process without running what belongs to its parent.
    unsafe { libc::_exit(0) };
}

fn call(number: i64, [a, b, c]: [i64; 3]) -> i64 {
    // SAFETY: numbers, and one text that lives as long as the program.
    unsafe { libc::syscall(number, a, b, c, 0, 0) }
}

/// Keeps only these permitted and effective capabilities.
fn capset(caps: u32) -> i64 {
    let header: [u32; 2] = [0x2008_0522, 0];
    let data: [u32; 6] = [caps, caps, 0, 0, 0, 0];
    call(libc::SYS_capset, [header.as_ptr() as i64, data.as_ptr() as i64, 0])
}

fn tell(top: &Path) {
    drop(File::create(top.join(truth("thread-self"))));
}

/// What the kernel says of a thread.
fn truth(thread: &str) -> String {
    let read = |name| fs::read_to_string(format!("/proc/{thread}/{name}")).unwrap();
    let status = read("status");
    let word = |key: &str, n: usize| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.split_whitespace().nth(n).unwrap().to_owned()
    };
    let stat = read("stat");
    let rest = stat.rsplit_once(')').unwrap().1;
    let ids: Vec<_> = rest.split_whitespace().skip(2).take(2).collect();
    let caps = ["CapInh:", "CapPrm:", "CapEff:"]
        .map(|key| u64::from_str_radix(&word(key, 0), 16).unwrap().to_string());
    let (uid, gid, name) = (word("Uid:", 1), word("Gid:", 1), word("Name:", 0));
    format!("t-{}-{uid}-{gid}-{}-{name}", caps.join("-"), ids.join("-"))
}

#[test]
fn ids_and_credentials_are_those_of_the_kernel_at_each_event() {
    let Some(cgroup) = Cgroup::new() else { return };
    let scratch = tempfile::tempdir().unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    fs::set_permissions(scratch.path(), open).unwrap();
    let mut process = Running(run("changes::change", scratch.path()));
    fs::write(cgroup.0.join("cgroup.procs"), process.pid().to_string()).unwrap();
    let mut watched = Watched::new(&cgroup, CALLS, 1 << 20);
    watched.until(|seen, _| seen.is_none());
    process.tell("go");
    let (mut told, mut wrong) = (0, Vec::new());
    watched.until(|seen, state| {
        let Some((event, context)) = seen else { return false };
        let name = state.event_fd(context).map(|fd| String::from_utf8_lossy(&fd.name).into_owned());
        let name = name.unwrap_or_default();
        if let Some((_, truth)) = name.rsplit_once('/').filter(|(_, file)| file.starts_with("t-"))
            && event.ty == EventType::SyscallOpenat_2X
            && let Some(t) = state.thread(context)
        {
            let caps = [t.cap_inheritable, t.cap_permitted, t.cap_effective].map(|c| c.to_string());
            let comm = String::from_utf8_lossy(t.comm());
            let caps = caps.join("-");
            let known = format!("t-{caps}-{}-{}-{}-{}-{comm}", t.uid, t.gid, t.pgid, t.sid);
            // In a user namespace of its own it does not see who it is.
            let truth = truth.replace("-65534-65534-", "-1000-0-");
            if known != truth {
                wrong.push(format!("{known} is {truth}"));
            }
            told += 1;
        }
        event.ty == EventType::Procexit_1E && event.tid == process.pid()
    });
    assert_eq!(wrong, [""; 0], "of {told}");
    assert!(told >= 10, "{told}");
}

/// Not a test: gets open files in ways that only tell their numbers, then waits.
#[test]
#[ignore = "it is run by another test"]
fn receive() {
    let Some(top) = directory() else { return };
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    let (one, other) = UnixStream::pair().unwrap();
    let sent = File::open("/etc/passwd").unwrap();
    send_file(&one, &sent);
    let received = receive_file(&other);
    assert!(received > 2, "{received}");
    let hold: Vec<_> = (0..4).map(|_| File::open("/dev/null").unwrap()).collect();
    // SAFETY: only numbers are given to the kernel.
    unsafe {
        // From one that may still be unknown, over one that has another name.
        libc::dup2(received, hold[0].as_raw_fd());
        let terminal = libc::open(c"/dev/ptmx".as_ptr(), libc::O_RDWR | libc::O_NOCTTY);
        if terminal >= 0 {
            libc::ioctl(terminal, libc::TIOCSPTLCK, &0);
            let end = libc::ioctl(terminal, TIOCGPTPEER, libc::O_RDWR | libc::O_NOCTTY);
            libc::dup2(end, hold[1].as_raw_fd());
        }
    }
    drop(File::create(top.join("received")));
    line.clear();
    std::io::stdin().read_line(&mut line).unwrap();
}

const TIOCGPTPEER: libc::c_ulong = 0x5441;

/// Bytes of control data for one file.
const CONTROL: usize = 24;

fn with_message<T>(control: &mut [u64; CONTROL / 8], f: impl FnOnce(&mut libc::msghdr) -> T) -> T {
    let mut byte = [b'x'];
    let mut data = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    // SAFETY: all zero is an empty message.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    (message.msg_iov, message.msg_iovlen) = (&raw mut data, 1);
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = CONTROL;
    f(&mut message)
}

fn send_file(over: &UnixStream, file: &File) {
    let kind = u64::from(libc::SOL_SOCKET.unsigned_abs()) | 1 << 32;
    let mut control = [20, kind, file.as_raw_fd() as u64];
    // SAFETY: the message and what it refers to live until the call is over.
    let sent = with_message(&mut control, |message| unsafe {
        libc::sendmsg(over.as_raw_fd(), message, 0)
    });
    assert_eq!(sent, 1);
}

fn receive_file(over: &UnixStream) -> i32 {
    let mut control = [0; CONTROL / 8];
    // SAFETY: the message and what it refers to live until the call is over.
    let received = with_message(&mut control, |message| unsafe {
        libc::recvmsg(over.as_raw_fd(), message, 0)
    });
    assert_eq!(received, 1);
    control[2] as i32
}

#[test]
fn open_files_that_arrive_from_elsewhere_are_asked_for() {
    let Some(cgroup) = Cgroup::new() else { return };
    let scratch = tempfile::tempdir().unwrap();
    let mut process = Running(run("changes::receive", scratch.path()));
    fs::write(cgroup.0.join("cgroup.procs"), process.pid().to_string()).unwrap();
    let calls = [CALLS, &["recvmsg", "ioctl", "socketpair"]].concat();
    let mut watched = Watched::new(&cgroup, &calls, 1 << 20);
    watched.until(|seen, _| seen.is_none());
    process.tell("go");
    let done = scratch.path().join("received");
    let mut received = false;
    let pid = process.pid();
    watched.until(|seen, state| {
        if let Some((_, context)) = seen {
            let name = state.event_fd(context).map(|fd| fd.name.to_vec());
            received |= name.as_deref() == Some(done.as_os_str().as_encoded_bytes());
        }
        // What the kernel says is right, and in the end it is known.
        received && seen.is_none() && wrong_files(state, pid).is_empty()
    });
    let terminals = |fd: &peregrine_state::Fd| fd.name.starts_with(b"/dev/pts/");
    let thread = watched.state.by_tid(pid).unwrap();
    assert!(watched.state.fds(thread).any(|(_, fd)| &*fd.name == b"/etc/passwd"));
    assert_eq!(watched.state.fds(thread).filter(|(_, fd)| terminals(fd)).count(), 2);
}

/// Files with a path whose names differ from those of the kernel.
fn wrong_files(state: &State, pid: i64) -> Vec<String> {
    let Some(thread) = state.by_tid(pid) else { return vec!["no process".into()] };
    let links = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let wrong = links.filter_map(|link| {
        let fd = link.file_name().to_str()?.parse().ok()?;
        let path = fs::read_link(link.path()).ok()?;
        let path = path.to_str()?.to_owned();
        let known = state.fd(thread, fd).map(|fd| String::from_utf8_lossy(&fd.name).into_owned());
        let known = known.unwrap_or_default();
        (path.starts_with('/') && known != path).then(|| format!("{fd} is {path} and not {known}"))
    });
    wrong.collect()
}
