//! Values of fields for events on a small machine, class by class.

mod common;

use common::{CLIENT, Machine, SERVER, START, generic};
use peregrine_event::{Abi, Builder, EventType, Socktuple};
use peregrine_filter::OutputKind;
use serde_json::json;

#[track_caller]
fn has(machine: &Machine, values: &[(&str, &str)]) {
    for (field, value) in values {
        assert_eq!(machine.value(field).as_deref(), Some(*value), "{field}");
    }
}

#[track_caller]
fn lacks(machine: &Machine, fields: &[&str]) {
    for field in fields {
        assert_eq!(machine.value(field), None, "{field}");
    }
}

fn openat(machine: &mut Machine, fd: i64, dirfd: i64, name: &str, flags: u32) {
    machine.event(EventType::SyscallOpenat_2X, |b| {
        b.i64(fd).i64(dirfd).text(name).u32(flags).u32(0o755).u32(0xfe01).u64(42);
    });
}

/// Flags of the format.
const RDONLY: u32 = 1;
const WRONLY_CREAT_CREATED: u32 = 2 | 4 | 1 << 14;
const AT_FDCWD: i64 = -100;

#[test]
fn generic_fields_have_values() {
    let mut machine = Machine::new();
    openat(&mut machine, 6, AT_FDCWD, "notes", RDONLY);
    openat(&mut machine, 7, AT_FDCWD, "notes", RDONLY);
    has(
        &machine,
        &[
            ("evt.num", "2"),
            ("evt.time", "22:13:20.123457789"),
            ("evt.time.s", "22:13:20"),
            ("evt.time.iso8601", "2023-11-14T22:13:20.123457789+0000"),
            ("evt.datetime", "2023-11-14 22:13:20.123457789"),
            ("evt.rawtime.s", "1700000000"),
            ("evt.rawtime.ns", "123457789"),
            ("evt.reltime", "1000"),
            ("evt.deltatime", "1000"),
            ("evt.source", "syscall"),
            ("evt.is_async", "false"),
            ("evt.hostname", "host7"),
            ("static.site", "attic"),
            ("evt.around[1700000000123456789]", "1000"),
        ],
    );
    lacks(&machine, &["evt.asynctype", "evt.pluginname"]);
    let rawtime = (START + 1_000).to_string();
    assert_eq!(machine.output_value("evt.time", OutputKind::Json), Some(rawtime));
    assert_eq!(machine.line("%evt.reltime|%evt.time.s"), "000001000|22:13:20");
}

#[test]
fn abi_is_that_of_the_program() {
    let mut machine = Machine::new();
    openat(&mut machine, 6, AT_FDCWD, "notes", RDONLY);
    for (abi, name) in [(Abi::Native, "native"), (Abi::Ia32, "ia32"), (Abi::Aarch32, "aarch32")] {
        machine.abi = abi;
        has(&machine, &[("evt.abi", name)]);
    }
    machine.event(EventType::SignaldeliverE, |b| {
        b.i64(0).i64(200).u8(9);
    });
    lacks(&machine, &["evt.abi"]);
}

#[test]
fn syscall_fields_have_values() {
    let mut machine = Machine::new();
    openat(&mut machine, 6, 4, "../new", WRONLY_CREAT_CREATED);
    has(
        &machine,
        &[
            ("evt.type", "openat"),
            ("syscall.type", "openat"),
            ("evt.type.is.openat", "1"),
            ("evt.type.is.open", "0"),
            ("evt.category", "file"),
            ("evt.cpu", "3"),
            ("evt.arg.fd", "<f>/new"),
            ("evt.arg[1]", "<d>/srv"),
            ("evt.rawarg.fd", "6"),
            ("evt.res", "SUCCESS"),
            ("evt.failed", "false"),
            ("evt.is_open_write", "true"),
            ("evt.is_open_read", "false"),
            ("evt.is_open_create", "true"),
            ("evt.is_open_exec", "true"),
            ("evt.abspath", "/new"),
            ("evt.count.error.file", "0"),
            ("evt.dir", "<"),
        ],
    );
    lacks(&machine, &["evt.buffer", "evt.buflen", "evt.io_dir", "evt.arg.data", "evt.arg[9]"]);
    assert_eq!(machine.output_value("evt.type.is.open", OutputKind::Json), None);

    openat(&mut machine, -2, AT_FDCWD, "gone", RDONLY);
    has(
        &machine,
        &[
            ("evt.res", "ENOENT"),
            ("evt.rawres", "-2"),
            ("evt.failed", "true"),
            ("evt.count.error", "1"),
            ("fd.name", "/home/ada/gone"),
            ("fd.typechar", "f"),
            ("fs.path.nameraw", "gone"),
        ],
    );
    lacks(&machine, &["fd.type", "fd.ino"]);
}

#[test]
fn buffers_are_bytes_in_conditions_and_printable_in_outputs() {
    let mut machine = Machine::new();
    machine.event(EventType::SyscallWriteX, |b| {
        b.i64(3).param(b"a\0b").i64(3).u32(3);
    });
    has(
        &machine,
        &[
            ("evt.buffer", "a\0b"),
            ("evt.buflen", "3"),
            ("evt.buflen.file.out", "3"),
            ("evt.io_dir", "write"),
            ("evt.is_io_write", "true"),
            ("evt.category", "file"),
        ],
    );
    assert_eq!(machine.output_value("evt.buffer", OutputKind::Text).as_deref(), Some("a.b"));
    lacks(&machine, &["evt.buflen.in", "evt.buflen.net"]);
}

#[test]
fn syscalls_without_an_event_type_have_their_own_name() {
    let mut machine = Machine::new();
    machine.event(EventType::GenericX, |b| {
        b.u16(11).u16(201);
    });
    has(&machine, &[("evt.type", "time"), ("syscall.type", "time"), ("evt.args", "")]);
    lacks(&machine, &["evt.res", "evt.failed"]);
}

#[test]
fn process_fields_read_ancestors() {
    let mut machine = Machine::new();
    openat(&mut machine, 6, AT_FDCWD, "notes", RDONLY);
    has(
        &machine,
        &[
            ("proc.name", "cat"),
            ("proc.exepath", "/usr/bin/cat"),
            ("proc.cmdline", "cat -n /etc/hosts"),
            ("proc.exeline", "cat -n /etc/hosts"),
            ("proc.args", "-n /etc/hosts"),
            ("proc.args[1]", "/etc/hosts"),
            ("proc.args[2]", ""),
            ("proc.cmdnargs", "2"),
            ("proc.cmdlenargs", "12"),
            ("proc.cwd", "/home/ada/"),
            ("proc.pname", "bash"),
            ("proc.ppid", "100"),
            ("proc.aname[0]", "cat"),
            ("proc.aname[2]", "init"),
            ("proc.aname", "[bash, init]"),
            ("proc.apid", "[100, 1]"),
            ("proc.aargs", "-l "),
            ("proc.env[HOME]", "/home/cat"),
            ("proc.env[WHO]", "cat"),
            ("proc.env[EMPTY]", ""),
            ("proc.aenv[HOME]", "/home/bash"),
            ("proc.sname", "bash"),
            ("proc.loginshellid", "100"),
            ("proc.is_sid_leader", "false"),
            ("proc.is_pgid_leader", "true"),
            ("proc.exe_ino", "77"),
            ("thread.cap_permitted", "CAP_CHOWN CAP_DAC_READ_SEARCH"),
            ("thread.cap_effective", ""),
            ("proc.fdopencount", "4"),
            ("proc.fdusage", "0.390625"),
            ("proc.nthreads", "1"),
            ("proc.nchilds", "0"),
            ("thread.cgroups", "cpu=/user.slice memory=/user.slice/app.slice"),
            ("thread.cgroup.memory", "/user.slice/app.slice"),
            ("thread.nametid", "cat200"),
            ("proc.stdin.name", "/dev/null"),
            ("proc.stdin.type", "file"),
        ],
    );
    lacks(
        &machine,
        &[
            "proc.aname[3]",
            "thread.cgroup.pids",
            "proc.stdout.name",
            "proc.duration",
            "proc.exe_ino.ctime",
            "thread.cpu",
        ],
    );
    assert_eq!(machine.output_value("proc.aname", OutputKind::Json).as_deref(), Some("bash init"));
    assert_eq!(machine.output_value("proc.apid", OutputKind::Text).as_deref(), Some("200"));
    assert!(machine.value("proc.aenv[1]").is_some_and(|all| all.starts_with("[HOME=/home/bash")));
    let parent = machine.output_value("proc.aenv[1]", OutputKind::Text);
    assert_eq!(parent.as_deref(), Some("HOME=/home/bash EMPTY= WHO= bash "));
}

#[test]
fn unknown_threads_have_no_process() {
    let mut machine = Machine::new();
    machine.event_of(4242, EventType::SyscallCloseX, |b| {
        b.i64(0).i64(3);
    });
    has(&machine, &[("proc.name", "<NA>"), ("proc.pid", "-1"), ("thread.tid", "4242")]);
    lacks(&machine, &["proc.pname", "proc.aname", "proc.vpid"]);
}

#[test]
fn users_and_groups_have_names() {
    let mut machine = Machine::new();
    openat(&mut machine, 6, AT_FDCWD, "notes", RDONLY);
    has(
        &machine,
        &[
            ("user.uid", "1000"),
            ("user.name", "ada"),
            ("user.homedir", "/home/ada"),
            ("user.shell", "/bin/zsh"),
            ("user.loginuid", "1000"),
            ("user.loginname", "ada"),
            ("group.gid", "1000"),
            ("group.name", "people"),
        ],
    );
    machine.event_of(1, EventType::SyscallSetuidX, |b| {
        b.i64(0).u32(0);
    });
    has(
        &machine,
        &[
            ("user.name", "root"),
            ("user.homedir", "/root"),
            ("user.shell", "<NA>"),
            ("user.loginuid", "-1"),
            ("user.loginname", "<NA>"),
        ],
    );
}

#[test]
fn files_have_names_and_directories() {
    let mut machine = Machine::new();
    machine.event(EventType::SyscallCloseX, |b| {
        b.i64(0).i64(3);
    });
    has(
        &machine,
        &[
            ("fd.num", "3"),
            ("fd.name", "/etc/hosts"),
            ("fd.type", "file"),
            ("fd.typechar", "f"),
            ("fd.directory", "/etc"),
            ("fd.filename", "hosts"),
            ("fd.ino", "9"),
            ("fd.dev", "65025"),
            ("fd.dev.major", "254"),
            ("fd.dev.minor", "1"),
            ("fd.uid", "2003"),
            ("fd.containername", ":/etc/hosts"),
            ("fd.types", "[file, directory]"),
            ("fd.types[4]", "[directory]"),
            ("fd.l4proto", "<NA>"),
            ("fd.is_server", "false"),
            ("fd.ip", "[]"),
        ],
    );
    lacks(&machine, &["fd.cip", "fd.sport", "fd.sockfamily", "fd.types[9]", "fd.cip.name"]);
    assert_eq!(machine.line("%fd.dev %fd.types"), "FE01 (file,directory)");
}

#[test]
fn connections_have_ends() {
    let mut machine = Machine::new();
    machine.connect();
    has(
        &machine,
        &[
            ("fd.name", "10.0.0.5:40000->93.184.216.34:443"),
            ("fd.type", "ipv4"),
            ("fd.sockfamily", "ip"),
            ("fd.l4proto", "tcp"),
            ("fd.cip", "10.0.0.5"),
            ("fd.sip", "93.184.216.34"),
            ("fd.lip", "10.0.0.5"),
            ("fd.rip", "93.184.216.34"),
            ("fd.lport", "40000"),
            ("fd.rport", "443"),
            ("fd.sproto", "443"),
            ("fd.ip", "[10.0.0.5, 93.184.216.34]"),
            ("fd.port", "[40000, 443]"),
            ("fd.connected", "true"),
            ("fd.name_changed", "true"),
            ("fd.is_server", "false"),
        ],
    );
    lacks(&machine, &["fd.directory", "fd.filename"]);
    assert_eq!(machine.output_value("fd.ip", OutputKind::Text), None);
    assert_eq!(machine.line("%fd.snet"), "<IPNET>");
}

#[test]
fn events_without_an_fd_have_no_fd_fields() {
    let mut machine = Machine::new();
    machine.event(EventType::SyscallUnlink_2X, |b| {
        b.i64(0).text("x");
    });
    lacks(&machine, &["fd.name", "fd.num", "fd.types", "fd.typechar", "fd.ip"]);
}

#[test]
fn live_the_calls_say_which_end_is_local() {
    let mut machine = Machine::live();
    // In another network namespace, the peer may have the address of the machine's own interface.
    let (here, there) = (SERVER, CLIENT);
    machine.event(EventType::SocketSocketX, |b| {
        b.i64(5).u32(2).u32(2).u32(17).u32(0);
    });
    machine.event(EventType::SocketSendtoX, |b| {
        let tuple = Socktuple::V4 { source: here, destination: there };
        b.i64(1).param(b"x").i64(5).u32(1).socktuple(&tuple);
    });
    let ends = [("fd.lip", "93.184.216.34"), ("fd.rip", "10.0.0.5"), ("fd.lport", "443")];
    has(&machine, &ends);
    has(&machine, &[("fd.is_server", "false"), ("fd.cip", "93.184.216.34")]);
    machine.event(EventType::SocketRecvfromX, |b| {
        let tuple = Socktuple::V4 { source: there, destination: here };
        b.i64(1).param(b"x").socktuple(&tuple).i64(5).u32(1);
    });
    has(&machine, &ends);
}

#[test]
fn polled_fds_are_listed() {
    let mut machine = Machine::new();
    machine.connect();
    machine.event(EventType::SyscallPollX, |b| {
        b.i64(1).fdlist(&[(3, 1), (5, 1), (77, 1)]).i64(0);
    });
    has(
        &machine,
        &[
            ("fdlist.nums", "3,5,77"),
            ("fdlist.names", "/etc/hosts,10.0.0.5:40000->93.184.216.34:443,<NA>"),
            ("fdlist.cips", "10.0.0.5"),
            ("fdlist.sips", "93.184.216.34"),
            ("fdlist.sports", "443"),
        ],
    );
}

#[test]
fn paths_resolve_to_absolute_ones() {
    let mut machine = Machine::new();
    machine.event(EventType::SyscallUnlink_2X, |b| {
        b.i64(0).text("./a/../b");
    });
    has(&machine, &[("fs.path.name", "/home/ada/b"), ("fs.path.nameraw", "./a/../b")]);
    lacks(&machine, &["fs.path.source", "fs.path.target"]);

    machine.event(EventType::SyscallRenameat2X, |b| {
        b.i64(0).i64(4).text("old").i64(999).text("new").u32(0);
    });
    has(
        &machine,
        &[
            ("fs.path.source", "/srv/old"),
            ("fs.path.target", "<UNKNOWN>new"),
            ("fs.path.targetraw", "new"),
            ("evt.abspath.src", "/srv/old"),
            ("evt.abspath.dst", "<UNKNOWN>/new"),
        ],
    );
    lacks(&machine, &["fs.path.name"]);

    machine.event(EventType::SyscallUnlink_2X, |b| {
        b.i64(-2).text("/gone");
    });
    lacks(&machine, &["fs.path.name", "fs.path.nameraw"]);
}

#[test]
fn paths_are_relative_to_the_directory_that_the_call_names() {
    use EventType as E;
    type Params = fn(&mut Builder) -> &mut Builder;
    let one: &[(E, Params, &str)] = &[
        (E::SyscallUnlinkat_2X, |b| b.i64(0).i64(AT_FDCWD).text("f").u32(0), "/home/ada/f"),
        (E::SyscallUnlinkat_2X, |b| b.i64(0).i64(4).text("../f").u32(0), "/f"),
        (E::SyscallUnlinkat_2X, |b| b.i64(0).i64(-1).text("/f").u32(0), "/f"),
        (E::SyscallUnlinkat_2X, |b| b.i64(0).i64(9).text("f").u32(0), "<UNKNOWN>f"),
        (E::SyscallFchmodatX, |b| b.i64(0).i64(AT_FDCWD).text("f").u32(7), "/home/ada/f"),
        (E::SyscallFchownatX, |b| b.i64(0).i64(4).text("f").u32(1).u32(1).u32(0), "/srv/f"),
        (E::SyscallFchownatX, |b| b.i64(0).i64(3).text("").u32(1).u32(1).u32(0), "/etc/hosts"),
        (E::SyscallMkdiratX, |b| b.i64(0).i64(AT_FDCWD).text("d").u32(7), "/home/ada/d"),
        (E::SyscallMknodX, |b| b.i64(0).text("p").u32(7).u32(0), "/home/ada/p"),
        (E::SyscallMknodatX, |b| b.i64(0).i64(4).text("p").u32(7).u32(0), "/srv/p"),
        (E::SyscallFchmodX, |b| b.i64(0).i64(3).u32(7), "/etc/hosts"),
        (E::GenericX, |b| generic(b, "truncate").i64(AT_FDCWD).text("f"), "/home/ada/f"),
        (E::GenericX, |b| generic(b, "setxattr").i64(AT_FDCWD).text("/x//f"), "/x/f"),
        (E::GenericX, |b| generic(b, "fchmodat2").i64(4).text("f"), "/srv/f"),
        (E::GenericX, |b| generic(b, "ftruncate").i64(3).param(&[]), "/etc/hosts"),
    ];
    let mut machine = Machine::new();
    for (ty, params, path) in one {
        machine.event(*ty, |b| {
            params(b);
        });
        assert_eq!(machine.value("fs.path.name").as_deref(), Some(*path), "{ty:?}");
        lacks(&machine, &["fs.path.source", "fs.path.target"]);
    }
    let two: &[(E, Params, &str, &str)] = &[
        (
            E::SyscallRenameatX,
            |b| b.i64(0).i64(4).text("a").i64(AT_FDCWD).text("b"),
            "/srv/a",
            "/home/ada/b",
        ),
        (
            E::SyscallLinkat_2X,
            |b| b.i64(0).i64(AT_FDCWD).text("a").i64(4).text("b").u32(0),
            "/srv/b",
            "/home/ada/a",
        ),
        (
            E::SyscallLinkat_2X,
            |b| b.i64(0).i64(3).text("").i64(4).text("b").u32(0x1000),
            "/srv/b",
            "/etc/hosts",
        ),
        (
            E::SyscallSymlinkatX,
            |b| b.i64(0).text("../etc/shadow").i64(4).text("l"),
            "/srv/l",
            "/etc/shadow",
        ),
        (E::SyscallSymlinkX, |b| b.i64(0).text("f").text("/tmp/l"), "/tmp/l", "/tmp/f"),
        (
            E::GenericX,
            |b| generic(b, "move_mount").i64(3).text("").i64(4).text("mnt"),
            "/etc/hosts",
            "/srv/mnt",
        ),
    ];
    for (ty, params, source, target) in two {
        machine.event(*ty, |b| {
            params(b);
        });
        has(&machine, &[("fs.path.source", source), ("fs.path.target", target)]);
        lacks(&machine, &["fs.path.name", "fs.path.nameraw"]);
    }
    machine.event(E::GenericX, |b| {
        generic(b, "truncate");
    });
    lacks(&machine, &["fs.path.name", "fs.path.nameraw"]);
}

#[test]
fn failed_opens_have_the_path_that_was_asked_for() {
    const ENOENT: i64 = -2;
    const EPERM: i64 = -1;
    let mut machine = Machine::new();
    for (dirfd, name, path) in [
        (AT_FDCWD, "f", "/home/ada/f"),
        (4, "f", "/srv/f"),
        (4, "/f", "/f"),
        (9, "f", "<UNKNOWN>f"),
    ] {
        for error in [ENOENT, EPERM] {
            openat(&mut machine, error, dirfd, name, RDONLY);
            has(&machine, &[("fs.path.name", path), ("fs.path.nameraw", name)]);
        }
    }
    machine.event(EventType::SyscallCreatX, |b| {
        b.i64(ENOENT).text("d/f").u32(0o600).u32(0).u64(0).u16(0);
    });
    has(&machine, &[("fs.path.name", "/home/ada/d/f"), ("fs.path.nameraw", "d/f")]);
    machine.event(EventType::SyscallCreatX, |b| {
        b.i64(7).text("f").u32(0o600).u32(1).u64(1).u16(0);
    });
    has(&machine, &[("fs.path.name", "/home/ada/f")]);
    let by_handle = |machine: &mut Machine, fd: i64, path: &[u8]| {
        machine.event(EventType::SyscallOpenByHandleAtX, |b| {
            b.i64(fd).i64(4).u32(RDONLY).param(path).u32(1).u64(1);
        });
    };
    by_handle(&mut machine, 8, b"/srv/data\0");
    has(&machine, &[("fs.path.name", "/srv/data")]);
    by_handle(&mut machine, -116, b"");
    lacks(&machine, &["fs.path.name"]);
}

#[test]
fn threads_outside_of_containers_belong_to_the_host() {
    let mut machine = Machine::new();
    openat(&mut machine, 6, AT_FDCWD, "notes", RDONLY);
    has(
        &machine,
        &[
            ("container.id", "host"),
            ("container.name", "host"),
            ("container.type", "host"),
            ("container.image.tag", ""),
            ("container.mounts", ""),
            ("container.privileged", "false"),
            ("k8s.pod.sandbox_id", ""),
        ],
    );
    lacks(&machine, &["k8s.pod.name", "container.label[a]", "container.mount[/]"]);
}

#[test]
fn a_description_says_nothing_of_what_it_lacks() {
    let mut machine = Machine::new();
    let tell = |machine: &mut Machine, lacks: &str| {
        let json = json!({"container": {"id": "32a1026ccb88", "type": 11, "name": "web",
            "image": "bb:1.0", "imagerepo": "bb", "labels": {"app": "x"}, "lacks": lacks}});
        machine.event(EventType::AsynceventE, |b| {
            b.u32(0).text("container").text(json.to_string());
        });
    };
    tell(&mut machine, "configuration");
    has(
        &machine,
        &[
            ("container.name", "web"),
            ("container.image.repository", "bb"),
            ("container.label[app]", "x"),
        ],
    );
    lacks(&machine, &["container.privileged", "container.host_pid", "container.mounts"]);
    lacks(&machine, &["container.ip", "container.mount.rdwr[0]", "container.host_network"]);
    tell(&mut machine, "address");
    has(&machine, &[("container.privileged", "false"), ("container.mounts", "")]);
    lacks(&machine, &["container.ip"]);
    tell(&mut machine, "");
    has(&machine, &[("container.privileged", "false"), ("container.ip", "")]);
}
