use super::*;
use crate::{Builder, Sockaddr, Socktuple};

/// A machine with one of each.
struct Machine;

impl Names for Machine {
    fn fd(&self, fd: i64) -> Option<FdName<'_>> {
        let (ty, l4proto, name): (u8, Option<u8>, &[u8]) = match fd {
            3 => (b'f', None, b"/etc/passwd"),
            4 => (b'4', Some(b't'), b"10.0.0.1:1->10.0.0.2:2"),
            5 => (b'd', None, b"/var/log"),
            6 => (b'p', None, b""),
            _ => return None,
        };
        Some(FdName { ty, l4proto, name })
    }
    fn comm(&self, tid: i64) -> Option<&[u8]> {
        (tid == 7).then_some(b"zoo")
    }
    fn user(&self, uid: u32) -> Option<&[u8]> {
        (uid == 0).then_some(b"root")
    }
    fn group(&self, gid: u32) -> Option<&[u8]> {
        (gid == 1).then_some(b"daemon")
    }
    fn cwd(&self) -> Option<&[u8]> {
        Some(b"/home/")
    }
    fn utc_offset(&self, _seconds: i64) -> i32 {
        3600
    }
}

fn build(ty: EventType, write: impl FnOnce(&mut Builder)) -> Vec<u8> {
    let mut builder = Builder::new(ty, 0, 7);
    write(&mut builder);
    let mut bytes = Vec::new();
    builder.finish(&mut bytes).unwrap();
    bytes
}

fn args_on(names: &dyn Names, bytes: &[u8]) -> String {
    let event = Event::parse(bytes, 0).unwrap();
    let mut out = Vec::new();
    Renderer::new(&event, names).args(&mut out);
    String::from_utf8(out).unwrap()
}

fn args(bytes: &[u8]) -> String {
    args_on(&Machine, bytes)
}

fn arg(bytes: &[u8], name: &str) -> String {
    let event = Event::parse(bytes, 0).unwrap();
    let mut out = Vec::new();
    assert!(Renderer::new(&event, &Machine).arg(event.param_index(name).unwrap(), &mut out));
    String::from_utf8(out).unwrap()
}

#[test]
fn files() {
    let bytes = build(EventType::SyscallOpenat_2X, |event| {
        event.i64(3).i64(-100).text("../etc/passwd").u32(4097).u32(0o600).u32(0xfe00).u64(12);
    });
    assert_eq!(
        args(&bytes),
        "fd=3(<f>/etc/passwd) dirfd=-100(AT_FDCWD) name=../etc/passwd(/etc/passwd) \
         flags=4097(O_RDONLY|O_CLOEXEC) mode=0600 dev=FE00 ino=12"
    );
    assert_eq!(arg(&bytes, "fd"), "<f>/etc/passwd");
    assert_eq!(arg(&bytes, "flags"), "O_RDONLY|O_CLOEXEC");
    assert_eq!(arg(&bytes, "mode"), "0600");
}

#[test]
fn a_path_is_relative_to_its_directory() {
    let unlinkat = |dir: i64, name: &str| {
        arg(
            &build(EventType::SyscallUnlinkat_2X, |event| {
                event.i64(0).i64(dir).text(name).u32(0);
            }),
            "name",
        )
    };
    assert_eq!(unlinkat(-100, "a/./b"), "/home/a/b");
    assert_eq!(unlinkat(5, "syslog"), "/var/log/syslog");
    assert_eq!(unlinkat(99, "x"), "x");
    assert_eq!(unlinkat(5, "/abs/../olute"), "/abs/../olute");
    assert_eq!(unlinkat(5, ""), "");
    assert_eq!(unlinkat(5, "(NULL)"), "<NA>");
}

#[test]
fn without_a_thread_fds_and_paths_are_bare() {
    let bytes = build(EventType::SyscallUnlinkat_2X, |event| {
        event.i64(-2).i64(-100).text("x").u32(0x200);
    });
    assert_eq!(
        args_on(&NoNames, &bytes),
        "res=-2(ENOENT) dirfd=-100 name=x flags=512(AT_REMOVEDIR)"
    );
}

#[test]
fn sockets() {
    let bytes = build(EventType::SocketConnectX, |event| {
        let source = "10.0.0.1:1".parse().unwrap();
        let destination = "10.0.0.2:2".parse().unwrap();
        event.i64(-115).socktuple(&Socktuple::V4 { source, destination });
        event.i64(4).sockaddr(&Sockaddr::V4(destination));
    });
    assert_eq!(
        args(&bytes),
        "res=-115(EINPROGRESS) tuple=10.0.0.1:1->10.0.0.2:2 \
         fd=4(<4t>10.0.0.1:1->10.0.0.2:2) addr=10.0.0.2:2"
    );
    let bytes = build(EventType::SocketConnectX, |event| {
        event.i64(-9).param(&[2, 1, 2, 3]).i64(-9).param(&[10, 0]);
    });
    assert_eq!(args(&bytes), "res=-9(EBADF) tuple=INVALID IPv4 fd=-9(EBADF) addr=INVALID IPv6");
}

#[test]
fn what_was_sent_without_a_value() {
    let bytes = build(EventType::SocketConnectX, |event| {
        (0..4).for_each(|_| {
            event.empty();
        });
    });
    assert_eq!(args(&bytes), "res=<NA> tuple=NULL fd=<NA> addr=<NA>");
    let bytes = build(EventType::SyscallReadX, |event| {
        event.i64(0).empty().i64(6).u32(10);
    });
    assert_eq!(args(&bytes), "res=0 data=NULL fd=6(<p>) size=10");
}

#[test]
fn an_older_event_lacks_parameters() {
    let bytes = build(EventType::SyscallReadX, |event| {
        event.i64(1);
    });
    assert_eq!(args(&bytes), "res=1");
    let event = Event::parse(&bytes, 0).unwrap();
    let mut out = Vec::new();
    assert!(!Renderer::new(&event, &Machine).arg(1, &mut out));
    assert!(out.is_empty());
}

#[test]
fn buffers() {
    let bytes = build(EventType::SyscallReadX, |event| {
        event.i64(4).param(b"a\n\0b").i64(3).u32(4);
    });
    assert_eq!(arg(&bytes, "data"), "a..b");
    let event = Event::parse(&bytes, 0).unwrap();
    let mut out = Vec::new();
    Renderer::new(&event, &Machine).buffers(Buffers::Base64).args(&mut out);
    assert_eq!(out, b"res=4 data=YQoAYg== fd=3(<f>/etc/passwd) size=4");
}

#[test]
fn users_groups_processes_and_signals() {
    let bytes = build(EventType::SyscallSetresuidX, |event| {
        event.i64(0).u32(0).u32(12).u32(u32::MAX);
    });
    assert_eq!(args(&bytes), "res=0 ruid=0(root) euid=12(<NA>) suid=-1(<NONE>)");
    let bytes = build(EventType::SyscallSetgidX, |event| {
        event.i64(0).u32(1);
    });
    assert_eq!(args(&bytes), "res=0 gid=1(daemon)");
    let bytes = build(EventType::SyscallKillX, |event| {
        event.i64(0).i64(7).u8(15);
    });
    assert_eq!(args(&bytes), "res=0 pid=7(zoo) sig=15(SIGTERM)");
}

#[test]
fn fds_times_and_signal_sets() {
    let bytes = build(EventType::SyscallPpollX, |event| {
        event.i64(1).fdlist(&[(3, 1), (99, -1)]).u64(999_339).u32(1 << 1 | 1 << 31 | 1 << 8);
    });
    assert_eq!(
        args(&bytes),
        "res=1 fds=3:f1 99:?ffffffff timeout=999339(0.000999339s) sigmask=SIGINT SIGKILL"
    );
    let bytes = build(EventType::SyscallPpollX, |event| {
        event.i64(1).fdlist(&[]).u64(u64::MAX).u32(0);
    });
    assert_eq!(args(&bytes), "res=1 fds= timeout=none sigmask=");
}

#[test]
fn points_in_time_are_local() {
    let bytes = build(EventType::SyscallExecve_19X, |event| {
        (0..24).for_each(|_| {
            event.empty();
        });
        event.u64(951_782_399_000_000_001);
    });
    assert_eq!(arg(&bytes, "exe_ino_ctime"), "2000-02-29 00:59:59.000000001");
}

#[test]
fn dynamic_values() {
    let setsockopt = |index: u8, value: &[u8]| {
        arg(
            &build(EventType::SocketSetsockoptX, |event| {
                event.i64(0).i64(4).u8(1).u8(9).dynamic(index, value).u32(4);
            }),
            "val",
        )
    };
    assert_eq!(setsockopt(2, &1_u32.to_le_bytes()), "1");
    assert_eq!(setsockopt(2, &u32::MAX.to_le_bytes()), "-1");
    assert_eq!(setsockopt(4, &1_000_000_000_u64.to_le_bytes()), "1s");
    assert_eq!(setsockopt(1, &(-1_i64).to_le_bytes()), "EPERM");
    assert_eq!(setsockopt(0, b"x\0"), "x.");
    assert_eq!(setsockopt(0, b""), "");
    assert_eq!(setsockopt(9, b"x"), "INVALID DYNAMIC PARAMETER");

    let ptrace = build(EventType::SyscallPtraceX, |event| {
        event.i64(0).dynamic(0, &0xabc_u64.to_le_bytes()).dynamic(1, &[9]).u16(11).i64(7);
    });
    assert_eq!(
        args(&ptrace),
        "res=0 addr=ABC data=9(SIGKILL) request=11(PTRACE_ATTACH) pid=7(zoo)"
    );
}

#[test]
fn modes_and_names_of_values() {
    let bytes = build(EventType::SyscallFchmodX, |event| {
        event.i64(0).i64(3).u32(0o4755);
    });
    assert_eq!(
        arg(&bytes, "mode"),
        "S_IXOTH|S_IROTH|S_IXGRP|S_IRGRP|S_IXUSR|S_IWUSR|S_IRUSR|S_ISUID"
    );
    let bytes = build(EventType::SocketSocketX, |event| {
        event.i64(6).u32(1).u32(524_289).u32(0).u8(0);
    });
    assert_eq!(arg(&bytes, "domain"), "AF_LOCAL|AF_UNIX");
}

#[test]
fn a_syscall_without_an_event_of_its_own() {
    let generic = |code: u16| {
        build(EventType::GenericX, |event| {
            event.u16(code).u16(0);
        })
    };
    assert_eq!(args(&generic(3)), "");
    assert_eq!(arg(&generic(3), "ID"), "read");
    assert_eq!(arg(&generic(0), "ID"), "unknown");
    assert_eq!(arg(&generic(9999), "ID"), "<unknown syscall>");
}
