//! A small machine, and one event on it.
#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, reason = "a test may stop")]

use std::net::{Ipv4Addr, SocketAddrV4};

use peregrine_event::render::Buffers;
use peregrine_event::snapshot::{
    Fd, FdKind, Group, Interface, InterfaceAddress, Item, Thread, User,
};
use peregrine_event::{Abi, Builder, Event, EventType, Sockaddr, Socktuple, syscall_names};
use peregrine_fields::{Field, Fields, Run, Scratch, View};
use peregrine_filter::{OutputKind, OutputValue, Supplier, Template, Value, Vocabulary};
use peregrine_state::{Config, Context, State};

/// Time of the first event.
pub(crate) const START: u64 = 1_700_000_000_123_456_789;
/// Client of the connection that [`Machine`] makes.
pub(crate) const CLIENT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 5), 40_000);
/// Its server.
pub(crate) const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(93, 184, 216, 34), 443);

/// A machine with `init` (1), a shell (100) and a program (200) below it.
pub(crate) struct Machine {
    state: State,
    bytes: Vec<u8>,
    num: u64,
    context: Context,
    run: Run,
    scratch: Scratch,
    /// Calling convention of events.
    pub(crate) abi: Abi,
}

impl Machine {
    pub(crate) fn new() -> Self {
        Self::with(Config::default())
    }

    /// The same, monitored while it runs.
    pub(crate) fn live() -> Self {
        Self::with(Config { live: true, ..Config::default() })
    }

    fn with(config: Config) -> Self {
        let mut state = State::new(config);
        let file = |fd: i64, name: &str| Fd {
            fd,
            ino: 9,
            kind: FdKind::File { flags: 1, name: name.into(), mount_id: 0, dev: 0xfe01 },
        };
        let items = [
            Item::Interface(Interface {
                name: b"eth0".to_vec(),
                address: InterfaceAddress::V4 {
                    address: *CLIENT.ip(),
                    netmask: Ipv4Addr::new(255, 255, 255, 0),
                    broadcast: Ipv4Addr::new(10, 0, 0, 255),
                },
                link_speed: 0,
            }),
            Item::User(User {
                uid: 1000,
                gid: 1000,
                name: b"ada".to_vec(),
                home: b"/home/ada".to_vec(),
                shell: b"/bin/zsh".to_vec(),
            }),
            Item::Group(Group { gid: 1000, name: b"people".to_vec() }),
            thread(1, 0, "init", "/sbin/init", b""),
            thread(100, 1, "bash", "/usr/bin/bash", b"-l\0"),
            thread(200, 100, "cat", "/usr/bin/cat", b"-n\0/etc/hosts\0"),
            Item::Fds(
                200,
                vec![
                    file(0, "/dev/null"),
                    file(3, "/etc/hosts"),
                    Fd { fd: 4, ino: 0, kind: FdKind::Named { ty: 2, name: b"/srv".to_vec() } },
                ],
            ),
        ];
        items.into_iter().for_each(|item| state.load(item));
        state.loaded();
        Self {
            state,
            bytes: Vec::new(),
            num: 0,
            context: Context::default(),
            run: Run { hostname: b"host7".as_slice().into(), ..Run::default() },
            scratch: Scratch::default(),
            abi: Abi::Native,
        }
    }

    /// Applies an event of thread 200.
    pub(crate) fn event(&mut self, ty: EventType, params: impl FnOnce(&mut Builder)) -> &mut Self {
        self.event_of(200, ty, params)
    }

    /// Applies an event of a thread.
    pub(crate) fn event_of(
        &mut self,
        tid: i64,
        ty: EventType,
        params: impl FnOnce(&mut Builder),
    ) -> &mut Self {
        let mut builder = Builder::new(ty, START + 1_000 * self.num, tid);
        self.num += 1;
        params(&mut builder);
        builder.finish(&mut self.bytes).unwrap();
        let event = Event::parse(&self.bytes, 3).unwrap();
        self.context = self.state.apply(&event);
        self
    }

    /// Makes fd 5 a connection of thread 200.
    pub(crate) fn connect(&mut self) -> &mut Self {
        self.event(EventType::SocketSocketX, |b| {
            b.i64(5).u32(2).u32(1).u32(6).u32(0);
        });
        self.event(EventType::SocketConnectX, |b| {
            let tuple = Socktuple::V4 { source: CLIENT, destination: SERVER };
            b.i64(0).socktuple(&tuple).i64(5).sockaddr(&Sockaddr::V4(SERVER));
        })
    }

    fn see<R>(&self, ask: impl FnOnce(&View<'_>) -> R) -> R {
        let mut event = Event::parse(&self.bytes, 3).unwrap();
        (event.num, event.abi) = (self.num, self.abi);
        ask(&View::new(&event, &self.state, self.context, &self.run, &self.scratch))
    }

    /// The value for a condition, as text.
    pub(crate) fn value(&self, field: &str) -> Option<String> {
        let field = resolve(field);
        self.see(|view| view.value(&field).map(plain))
    }

    /// The value for an output, as text.
    pub(crate) fn output_value(&self, field: &str, kind: OutputKind) -> Option<String> {
        let field = resolve(field);
        self.see(|view| {
            view.output_value(&field, kind).map(|OutputValue { value, .. }| plain(value))
        })
    }

    /// An output line.
    pub(crate) fn line(&self, format: &str) -> String {
        let template = Template::compile(format, &vocabulary()).unwrap();
        let mut out = Vec::new();
        self.see(|view| template.render(view, Buffers::default(), &mut out));
        String::from_utf8(out).unwrap()
    }

    /// Reads all these fields and drops the values.
    pub(crate) fn ask(&mut self, fields: &[Field]) {
        self.see(|view| {
            for field in fields {
                let _ = view.value(field);
            }
        });
        self.scratch.reset();
    }
}

/// Adds the code and number of a syscall without an event of its own, and what follows.
pub(crate) fn generic<'b>(b: &'b mut Builder, name: &str) -> &'b mut Builder {
    let (code, _) = syscall_names().find(|(_, known)| *known == name).unwrap();
    b.u16(code).u16(1)
}

/// All fields.
pub(crate) fn vocabulary() -> Fields {
    Fields::syscall().with_containers(true).with_kubernetes(true).with_statics([("site", "attic")])
}

/// A field by name.
pub(crate) fn resolve(text: &str) -> Field {
    let resolved = vocabulary().resolve(text).unwrap();
    assert_eq!(resolved.len, text.len(), "{text}");
    resolved.field
}

fn plain(value: Value<'_>) -> String {
    match value {
        Value::Bool(v) => v.to_string(),
        Value::Int(v) => v.to_string(),
        Value::Uint(v) => v.to_string(),
        Value::Double(v) => v.to_string(),
        Value::Text(v) | Value::Bytes(v) => String::from_utf8_lossy(v).into_owned(),
        Value::Ip(v) => v.to_string(),
        Value::List(v) => {
            format!("[{}]", v.iter().map(|v| plain(*v)).collect::<Vec<_>>().join(", "))
        }
    }
}

fn thread(tid: i64, ptid: i64, comm: &str, exepath: &str, args: &[u8]) -> Item {
    Item::Thread(Box::new(Thread {
        tid,
        pid: tid,
        ptid,
        sid: 100,
        vpgid: tid,
        pgid: tid,
        vtid: tid,
        vpid: tid,
        comm: comm.as_bytes().into(),
        exe: comm.as_bytes().into(),
        exepath: exepath.as_bytes().into(),
        args: args.into(),
        env: format!("HOME=/home/{comm}\0EMPTY=\0WHO= {comm} \0").into_bytes().into(),
        cgroups: b"cpu=/user.slice\0memory=/user.slice/app.slice\0"[..].into(),
        cwd: b"/home/ada"[..].into(),
        fdlimit: 1024,
        uid: 1000,
        gid: 1000,
        loginuid: if tid == 1 { u32::MAX } else { 1000 },
        cap_permitted: 0b101,
        exe_ino: 77,
        ..Thread::default()
    }))
}
