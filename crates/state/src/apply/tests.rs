//! Events in, state out.

mod changes;
mod files;
mod hostile;
mod process;
mod sockets;
mod tables;

use peregrine_event::snapshot::{self, Item};
use peregrine_event::{Builder, Event, EventType};

use crate::activity::Usage;
use crate::fd::Fd;
use crate::state::{Config, Context, State};
use crate::thread::{Thread, ThreadFlags};

/// A machine on which things happen, a millisecond after another.
struct World {
    state: State,
    now: u64,
}

impl World {
    /// Init, and a shell that it started.
    fn new() -> Self {
        Self::with(Config::default())
    }

    fn with(config: Config) -> Self {
        let mut world = Self { state: State::new(config), now: 1_000_000_000_000 };
        world.load(process(1, 0, "init"));
        world.load(process(100, 1, "sh"));
        world.state.loaded();
        world
    }

    fn load(&mut self, thread: snapshot::Thread) {
        self.state.load(Item::Thread(Box::new(thread)));
    }

    /// An event of this thread, with the parameters that `fill` adds.
    fn event(&mut self, ty: EventType, tid: i64, fill: impl FnOnce(&mut Builder)) -> Context {
        self.now += 1_000_000;
        let mut builder = Builder::new(ty, self.now, tid);
        fill(&mut builder);
        let mut bytes = Vec::new();
        builder.finish(&mut bytes).unwrap();
        self.state.apply(&Event::parse(&bytes, 0).unwrap())
    }

    /// Something that changes nothing, so that what was put off gets done.
    fn tick(&mut self) {
        self.event(EventType::SyscallGetuidX, 1, |b| {
            b.u32(0);
        });
    }

    fn open(&mut self, tid: i64, fd: i64, name: &str, flags: u32) -> Context {
        self.event(EventType::SyscallOpenX, tid, |b| {
            b.i64(fd).text(name).u32(flags).u32(0o644).u32(5).u64(77);
        })
    }

    fn thread(&self, tid: i64) -> &Thread {
        self.state.by_tid(tid).unwrap()
    }

    fn usage(&self, tid: i64) -> Usage {
        self.state.usage(self.thread(tid))
    }

    /// Flags of a thread as a recording has them.
    fn exported_flags(&self, tid: i64) -> ThreadFlags {
        let items = self.state.snapshot(|thread| thread.tid == tid);
        let flags = items.into_iter().find_map(|item| match item {
            Item::Thread(thread) if thread.tid == tid => Some(thread.flags),
            _ => None,
        });
        ThreadFlags(flags.unwrap())
    }

    fn fd(&self, tid: i64, fd: i64) -> Option<&Fd> {
        self.state.fd(self.thread(tid), fd)
    }

    fn fd_name(&self, tid: i64, fd: i64) -> String {
        String::from_utf8_lossy(&self.fd(tid, fd).unwrap().name).into_owned()
    }

    fn cwd(&self, tid: i64) -> &[u8] {
        self.state.cwd(self.thread(tid))
    }
}

fn process(tid: i64, ptid: i64, comm: &str) -> snapshot::Thread {
    snapshot::Thread {
        tid,
        pid: tid,
        ptid,
        vtid: tid,
        vpid: tid,
        sid: tid,
        comm: comm.as_bytes().into(),
        exe: comm.as_bytes().into(),
        exepath: format!("/bin/{comm}").into_bytes().into(),
        cwd: b"/home"[..].into(),
        env: b"A=1\0B=2\0"[..].into(),
        fdlimit: 1024,
        ..snapshot::Thread::default()
    }
}

/// What both sides of a clone say.
#[derive(Clone)]
struct Clone {
    res: i64,
    pid: i64,
    ptid: i64,
    flags: u32,
    vtid: i64,
    vpid: i64,
}

impl Clone {
    fn returns(res: i64, pid: i64, ptid: i64) -> Self {
        Self { res, pid, ptid, flags: 0, vtid: pid, vpid: pid }
    }

    fn fill(&self, tid: i64) -> impl FnOnce(&mut Builder) {
        move |b| {
            b.i64(self.res).text("sh").texts(["-c"]).i64(tid).i64(self.pid).i64(self.ptid);
            b.text("").i64(1024).u64(1).u64(2).u32(30).u32(40).u32(0).text("sh");
            b.texts(["cpu=/"]).u32(self.flags).u32(0).u32(0).i64(self.vtid).i64(self.vpid).u64(9);
        }
    }
}

impl World {
    /// The parent's side.
    fn forks(&mut self, parent: i64, child: i64) -> Context {
        let clone = Clone::returns(child, parent, self.thread(parent).ptid);
        self.event(EventType::SyscallClone_20X, parent, clone.fill(parent))
    }

    /// A new thread of the same process, parent's side.
    fn spawns(&mut self, parent: i64, child: i64) -> Context {
        let flags = ThreadFlags::CLONE_THREAD.0;
        let clone = Clone { flags, ..Clone::returns(child, parent, self.thread(parent).ptid) };
        self.event(EventType::SyscallClone_20X, parent, clone.fill(parent))
    }

    fn execs(&mut self, tid: i64, pid: i64, path: &str) -> Context {
        let comm = path.rsplit('/').next().unwrap();
        self.event(EventType::SyscallExecve_19X, tid, |b| {
            b.i64(0).text(path).texts(["-x", "y"]).i64(tid).i64(pid).i64(1).text("").i64(1024);
            b.u64(1).u64(2).u32(30).u32(40).u32(0).text(comm).texts(["cpu=/new"]);
            b.texts(["C=3"]).u32(7).i64(pid).u32(1000).u32(1).u64(1).u64(2).u64(3);
            b.u64(11).u64(12).u64(13).u32(1000).text(path).i64(pid).u32(1000);
        })
    }

    fn exits(&mut self, tid: i64, reaper: i64) -> Context {
        self.event(EventType::Procexit_1E, tid, |b| {
            b.i64(0).i64(0).u8(0).u8(0).i64(reaper);
        })
    }
}
