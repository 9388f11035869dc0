//! What a program does becomes events with the right parameters, family by family.
//!
//! Each test watches a control group of its own, in which this test binary runs again and acts. They need
//! root, cgroup v2 and a kernel that describes its types; where one is missing they say so and pass.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "tests")]

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use peregrine_event::{Event, EventType, Param, Sockaddr, Socktuple, flags, syscall_names};
use peregrine_probe::Ring;
use peregrine_probe::bpf::{Probe, ProbeConfig, Selection, Tracepoints};

/// Names the act that this binary is to perform when it runs as the watched program.
const ACT: &str = "PEREGRINE_TEST_ACT";

/// Events of an act, and who performed it.
struct Seen {
    events: Vec<Vec<u8>>,
    actor: i64,
}

/// Performs an act in a control group of its own and gives what the probe saw; `None` where it can't run.
fn watch(act: &str, directory: &Path) -> Option<Seen> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let mount = mounts.lines().find_map(|line| match line.split(' ').collect::<Vec<_>>()[..] {
        [_, path, "cgroup2", ..] => Some(path),
        _ => None,
    });
    let possible = rustix::process::geteuid().is_root() && Path::new("/sys/kernel/btf").exists();
    let (Some(mount), true) = (mount, possible) else {
        println!("skipped: this test needs root, cgroup v2 and a kernel with BTF");
        return None;
    };
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let cgroup = Path::new(mount).join(format!("peregrine-events-{}-{number}", std::process::id()));
    fs::create_dir(&cgroup).unwrap();

    let config = ProbeConfig {
        selection: Selection {
            syscalls: syscall_names().map(|(sc, _)| sc).collect(),
            tracepoints: Tracepoints::PROCESS_EXIT,
        },
        scope: Some(cgroup.clone()),
        ring_bytes: 4 << 20,
        ..ProbeConfig::default()
    };
    let mut probe = Probe::load(&config).unwrap();
    probe.attach().unwrap();

    let script = format!("echo $$ > {}/cgroup.procs; exec \"$0\" \"$@\"", cgroup.display());
    let mut child = Command::new("/bin/sh")
        .args(["-c", &script])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "actor", "--test-threads=1"])
        .env(ACT, act)
        .current_dir(directory)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let actor = child.id().into();
    assert!(child.wait().unwrap().success());

    let mut events = Vec::new();
    for ring in probe.take_rings() {
        let mut ring = Ring::map(&ring.records, ring.bytes).unwrap();
        while let Some(record) = ring.peek() {
            events.push(record[2..].to_vec());
            ring.advance();
        }
    }
    events.sort_by_key(|bytes| Event::parse(bytes, 0).unwrap().ts);
    assert!(probe.counters().by_cpu().unwrap().iter().all(|cpu| cpu.lost() == 0));
    drop(probe);
    fs::remove_dir(&cgroup).unwrap();
    Some(Seen { events, actor })
}

impl Seen {
    fn all(&self, ty: EventType) -> impl Iterator<Item = Event<'_>> {
        self.events.iter().map(|bytes| Event::parse(bytes, 0).unwrap()).filter(move |e| e.ty == ty)
    }

    /// The first event of this type for which it holds.
    fn find(&self, ty: EventType, is: impl Fn(&Event<'_>) -> bool) -> Event<'_> {
        self.all(ty).find(is).unwrap_or_else(|| panic!("no such {}", ty.name()))
    }

    /// The first event of this type that has this text in some parameter.
    fn about(&self, ty: EventType, text: &str) -> Event<'_> {
        self.find(ty, |e| (0..e.nparams()).any(|i| e.text(i) == Some(text.as_bytes())))
    }
}

fn number(event: &Event<'_>, name: &str) -> i64 {
    event.i64(event.param_index(name).unwrap()).unwrap()
}

fn text<'a>(event: &Event<'a>, name: &str) -> &'a str {
    std::str::from_utf8(event.text(event.param_index(name).unwrap()).unwrap()).unwrap()
}

fn flag(table: flags::FlagTable, names: &[&str]) -> i64 {
    names.iter().fold(0, |bits, name| {
        bits | i64::from(table.iter().find(|(entry, _)| entry == name).unwrap().1)
    })
}

/// What runs in the watched control group; nothing when it is run as a test.
#[test]
fn actor() {
    match std::env::var(ACT).as_deref() {
        Ok("files") => files(),
        Ok("network") => network(),
        Ok("processes") => processes(),
        Ok("descriptors") => descriptors(),
        _ => {}
    }
}

fn files() {
    let mut made = OpenOptions::new();
    made.write(true).create(true).truncate(true).mode(0o640);
    made.open("made").unwrap().write_all(b"some text").unwrap();
    File::open("not there").unwrap_err();
    fs::hard_link("made", "hard").unwrap();
    symlink("/etc/passwd", "soft").unwrap();
    fs::rename("hard", "renamed").unwrap();
    fs::create_dir("directory").unwrap();
    fs::set_permissions("made", fs::Permissions::from_mode(0o4755)).unwrap();
    fs::remove_file("renamed").unwrap();
    fs::remove_dir("directory").unwrap();
}

#[test]
fn files_are_opened_and_changed() {
    let directory = tempfile::tempdir().unwrap();
    let Some(seen) = watch("files", directory.path()) else { return };

    let open = seen.about(EventType::SyscallOpenat_2X, "made");
    assert!(number(&open, "fd") > 2);
    assert_eq!(number(&open, "dirfd"), -100);
    assert_eq!(number(&open, "mode"), 0o640);
    let expected = ["O_WRONLY", "O_CREAT", "O_TRUNC", "O_CLOEXEC", "O_F_CREATED"];
    assert_eq!(number(&open, "flags") & 0x7fff, flag(flags::FILE_FLAGS, &expected));
    let metadata = fs::metadata(directory.path().join("made")).unwrap();
    assert_eq!(number(&open, "ino"), std::os::unix::fs::MetadataExt::ino(&metadata) as i64);

    let failed = seen.about(EventType::SyscallOpenat_2X, "not there");
    assert_eq!((number(&failed, "fd"), number(&failed, "ino")), (-2, 0));

    let write = seen.find(EventType::SyscallWriteX, |e| e.param(1) == Some(b"some text"));
    assert_eq!((number(&write, "res"), number(&write, "size")), (9, 9));
    assert_eq!(number(&write, "fd"), number(&open, "fd"));

    let link = seen.about(EventType::SyscallLinkat_2X, "hard");
    assert_eq!((number(&link, "res"), text(&link, "oldpath")), (0, "made"));
    let link = seen.about(EventType::SyscallSymlinkX, "soft");
    assert_eq!(text(&link, "target"), "/etc/passwd");
    let rename = seen.about(EventType::SyscallRenameX, "renamed");
    assert_eq!(text(&rename, "oldpath"), "hard");
    assert_eq!(number(&seen.about(EventType::SyscallMkdir_2X, "directory"), "mode"), 0o777);
    assert_eq!(number(&seen.about(EventType::SyscallChmodX, "made"), "mode"), 0o4755);
    assert_eq!(number(&seen.about(EventType::SyscallUnlink_2X, "renamed"), "res"), 0);
    assert_eq!(number(&seen.about(EventType::SyscallRmdir_2X, "directory"), "res"), 0);
}

fn network() {
    for ip in [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()] {
        let listener = TcpListener::bind(SocketAddr::new(ip, 0)).unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        client.write_all(b"hello").unwrap();
        server.read_exact(&mut [0; 5]).unwrap();
    }
    TcpStream::connect((Ipv4Addr::LOCALHOST, 1)).unwrap_err();
    let to = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let from = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    from.send_to(b"datagram", to.local_addr().unwrap()).unwrap();
    to.recv_from(&mut [0; 64]).unwrap();
    let (mut one, mut other) = UnixStream::pair().unwrap();
    one.write_all(b"pair").unwrap();
    other.read_exact(&mut [0; 4]).unwrap();
}

fn address(event: &Event<'_>, name: &str) -> SocketAddr {
    match event.value(event.param_index(name).unwrap()) {
        Some(Ok(Param::Sockaddr(Sockaddr::V4(address)))) => address.into(),
        Some(Ok(Param::Sockaddr(Sockaddr::V6(address)))) => address.into(),
        other => panic!("{name} is {other:?}"),
    }
}

fn tuple(event: &Event<'_>) -> (SocketAddr, SocketAddr) {
    let index = event.param_index("tuple").unwrap();
    match event.value(index) {
        Some(Ok(Param::Socktuple(Socktuple::V4 { source, destination }))) => {
            (source.into(), destination.into())
        }
        Some(Ok(Param::Socktuple(Socktuple::V6 { source, destination }))) => {
            (source.into(), destination.into())
        }
        other => panic!("tuple is {other:?}"),
    }
}

#[test]
fn sockets_know_both_their_ends() {
    let directory = tempfile::tempdir().unwrap();
    let Some(seen) = watch("network", directory.path()) else { return };

    for (connect, accept) in
        seen.all(EventType::SocketConnectX).zip(seen.all(EventType::SocketAccept4_6X))
    {
        assert_eq!(number(&connect, "res"), 0);
        let (client, server) = tuple(&connect);
        assert_eq!(address(&connect, "addr"), server);
        assert!(client.port() > 0 && client.ip().is_loopback());
        assert_eq!(tuple(&accept), (client, server));
    }
    assert_eq!(seen.all(EventType::SocketAccept4_6X).count(), 2);
    let refused = seen.find(EventType::SocketConnectX, |e| number(e, "res") == -111);
    assert_eq!(refused.param(1), Some(&b""[..]));
    assert_eq!(address(&refused, "addr").port(), 1);

    let sent = seen.find(EventType::SocketSendtoX, |e| e.param(1) == Some(b"datagram"));
    let received = seen.find(EventType::SocketRecvfromX, |e| e.param(1) == Some(b"datagram"));
    assert_eq!(tuple(&sent), tuple(&received));
    let pair = seen.all(EventType::SocketSocketpairX).next().unwrap();
    assert!(number(&pair, "fd2") > number(&pair, "fd1") && number(&pair, "source") != 0);
}

fn processes() {
    std::env::set_current_dir("/usr").unwrap();
    let mut copy = Command::new("/bin/sh");
    copy.args(["-c", "exit 7", "a b", ""]).env_clear().env("ONLY", "this");
    assert_eq!(copy.status().unwrap().code(), Some(7));
    Command::new("/nonexistent/program").arg("x").status().unwrap_err();
    std::thread::spawn(|| ()).join().unwrap();
}

#[test]
fn processes_begin_and_end() {
    let directory = tempfile::tempdir().unwrap();
    let Some(seen) = watch("processes", directory.path()) else { return };

    assert_eq!(number(&seen.about(EventType::SyscallChdirX, "/usr"), "res"), 0);
    let exec = seen.find(EventType::SyscallExecve_19X, |e| {
        e.texts(e.param_index("args").unwrap()).any(|arg| arg == b"exit 7")
    });
    let args: Vec<_> = exec.texts(exec.param_index("args").unwrap()).collect();
    assert_eq!(args, [&b"-c"[..], b"exit 7", b"a b", b""]);
    let env: Vec<_> = exec.texts(exec.param_index("env").unwrap()).collect();
    assert_eq!(env, [b"ONLY=this"]);
    assert_eq!((text(&exec, "exe"), text(&exec, "comm")), ("/bin/sh", "sh"));
    assert_eq!(text(&exec, "filename"), "/bin/sh");
    let real = fs::canonicalize("/bin/sh").unwrap();
    assert_eq!(PathBuf::from(text(&exec, "trusted_exepath")), real);
    let metadata = fs::metadata(&real).unwrap();
    assert_eq!(number(&exec, "exe_ino"), std::os::unix::fs::MetadataExt::ino(&metadata) as i64);
    assert_eq!(
        number(&exec, "exe_ino_mtime"),
        std::os::unix::fs::MetadataExt::mtime(&metadata) * 1_000_000_000
            + std::os::unix::fs::MetadataExt::mtime_nsec(&metadata)
    );
    assert_eq!((number(&exec, "uid"), number(&exec, "gid")), (0, 0));
    assert!(text(&exec, "cgroups").contains('='));

    let exit = seen.find(EventType::Procexit_1E, |e| e.tid == exec.tid);
    assert_eq!((number(&exit, "status"), number(&exit, "ret")), (7 << 8, 7));
    let failed = seen.find(EventType::SyscallExecve_19X, |e| number(e, "res") == -2);
    assert_eq!(text(&failed, "filename"), "/nonexistent/program");
    assert_eq!(failed.texts(2).collect::<Vec<_>>(), [b"x"]);

    // A thread: both sides tell of it, the child's with result 0.
    let clones = || {
        let clone3 = seen.all(EventType::SyscallClone3X);
        clone3.chain(seen.all(EventType::SyscallClone_20X))
    };
    let thread = flag(flags::CLONE_FLAGS, &["CLONE_THREAD", "CLONE_VM"]);
    let parent =
        clones().find(|e| number(e, "res") > 0 && number(e, "flags") & thread == thread).unwrap();
    let child = clones().find(|e| number(e, "res") == 0 && e.tid == number(&parent, "res"));
    assert_eq!(number(&child.unwrap(), "pid"), number(&parent, "pid"));
    assert!(seen.all(EventType::Procexit_1E).any(|e| e.tid == seen.actor));
}

fn descriptors() {
    let file = File::open("/etc/passwd").unwrap();
    let copy = file.try_clone().unwrap();
    assert_ne!(copy.as_raw_fd(), file.as_raw_fd());
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(&[b'x'; 200]).unwrap();
    reader.read_exact(&mut [0; 200]).unwrap();
    let _ = rustix::process::getppid();
}

#[test]
fn descriptors_are_copied_and_data_is_cut() {
    let directory = tempfile::tempdir().unwrap();
    let Some(seen) = watch("descriptors", directory.path()) else { return };

    let open = seen.about(EventType::SyscallOpenat_2X, "/etc/passwd");
    let copy = seen.find(EventType::SyscallFcntlX, |e| {
        number(e, "fd") == number(&open, "fd") && e.ts > open.ts
    });
    assert_eq!(number(&copy, "cmd"), flag(flags::FCNTL_COMMANDS, &["F_DUPFD_CLOEXEC"]));
    assert!(number(&copy, "res") > number(&open, "fd"));

    let pipe = seen.find(EventType::SyscallPipe2X, |e| e.ts > open.ts);
    assert_eq!(number(&pipe, "flags"), flag(flags::FILE_FLAGS, &["O_CLOEXEC"]));
    assert!(number(&pipe, "ino") > 0);
    let read = seen.find(EventType::SyscallReadX, |e| number(e, "fd") == number(&pipe, "fd1"));
    assert_eq!(read.param(1), Some(&[b'x'; 80][..]));
    assert_eq!((number(&read, "res"), number(&read, "size")), (200, 200));

    // A syscall without an event of its own.
    let getppid = syscall_names().find(|(_, name)| *name == "getppid").unwrap().0;
    seen.find(EventType::GenericX, |e| e.u64(0) == Some(getppid.into()));
}
