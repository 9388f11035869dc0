//! Turns the events of a test into a snapshot and wire events.
//!
//! What a test says of a process, a container or an fd becomes a part of the snapshot or an event
//! that prepares it; what it says of the event becomes parameters. Nothing else reaches the engine,
//! so that a field has a value only if it would have it on a real machine.

mod container;
mod event;
mod files;
mod process;
mod values;

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use peregrine_diagnostics::{Label, Problem};
use peregrine_event::snapshot::{Interface, InterfaceAddress, Item, Thread};
use peregrine_event::{Abi, BuildError, Builder, EventType};
use peregrine_limits::RULE_TEST_PARTS;

use crate::Cause;
use crate::file::EventSpec;
use crate::script::{Script, Step, Written};
use container::{Account, Described};
use event::{Facts, Kind};
pub(crate) use event::{gives_ends, is_exec, is_of_process, starts_process, used_fd};
use files::{OpenFile, Prepared};
use process::{Lineage, SECOND, START};
use values::Values;

/// The records for these events.
///
/// # Errors
/// All that is wrong with them.
pub(crate) fn script(events: &[EventSpec]) -> Result<Script, Vec<Problem>> {
    let mut world = World::default();
    for (number, spec) in (0..).zip(events) {
        world.event(number, spec);
    }
    if !world.problems.is_empty() {
        return Err(world.problems);
    }
    let snapshot = world.snapshot.into_iter().map(Step::Item);
    Ok(Script::new(snapshot.chain(world.steps)))
}

#[derive(Default)]
struct World {
    problems: Vec<Problem>,
    snapshot: Vec<Item>,
    steps: Vec<Step>,
    /// Threads that exist by now.
    threads: HashSet<i64>,
    /// Fds that are open by now, by process.
    fds: HashSet<(i64, i64)>,
    addresses: HashSet<IpAddr>,
    containers: HashSet<String>,
    accounts: HashSet<(String, u32, u32)>,
}

/// Number of an fd, unless it is given.
const FD: i64 = 3;
/// Of a copied fd, the number of the original.
const ORIGINAL_FD: i64 = 9;

impl World {
    fn event(&mut self, number: u64, spec: &EventSpec) {
        let mut problems = Vec::new();
        let mut values = Values { spec, problems: &mut problems };
        if let Some(kind) = Kind::read(&mut values)
            && let Err(error) = self.known_event(number, kind, &mut values)
        {
            problems.push(Cause::Limit.at(&spec.label, error.to_string()));
        }
        // A value that is of several processes is read for each of them.
        for problem in problems {
            if !self.problems.contains(&problem) {
                self.problems.push(problem);
            }
        }
    }

    fn known_event(
        &mut self,
        number: u64,
        kind: Kind,
        values: &mut Values<'_>,
    ) -> Result<(), BuildError> {
        let file = files::read(values, Some(kind.ty));
        let near = match &file {
            Some(OpenFile::Socket(socket)) => Some(socket.near().ip()),
            _ => None,
        };
        let listed = values.addresses();
        let address = near.filter(|ip| ip.is_ipv4() && listed.is_none()).map(|ip| ip.to_string());
        let container = container::read(values, address);
        let account = Account::read(values);
        let cgroups = container.as_ref().map(|it| it.cgroups.as_slice());
        let ts = values.u64(0, "evt.rawtime").unwrap_or(START + number * SECOND / 1000);
        let mut lineage = Lineage::read(values, ts, (account.uid, account.gid), cgroups);
        let Some(actor) = lineage.actor().cloned() else { return Ok(()) };
        if values.is_none(0, "proc") {
            // Nothing is known of the process.
            lineage.0.clear();
        }

        let fd = fd_number(values, kind);
        let child = actor.pid + 1000;
        let result = event::result(values, kind, fd, child);
        let begins = kind.is_clone() && result == 0;
        self.add_processes(&lineage, kind.is_exec() && result >= 0, begins);
        match listed {
            Some(addresses) => addresses.into_iter().for_each(|ip| self.add_address(Some(ip))),
            None => self.add_address(near),
        }
        self.add_container(container.as_ref(), ts, actor.tid)?;
        self.add_accounts(&account, container.as_ref(), ts, actor.tid)?;
        self.add_fds(values, &actor, ts)?;
        let facts = Facts {
            kind,
            result,
            fd,
            original_fd: original(values),
            file: file.as_ref(),
            thread: &actor,
        };
        self.prepare_fd(&facts, ts)?;

        let mut event = Builder::new(kind.ty, ts, actor.tid);
        event::fill(values, &facts, &mut event);
        let mut bytes = Vec::new();
        event.finish(&mut bytes)?;
        let cpu = values.u32(0, "evt.cpu").and_then(|cpu| u16::try_from(cpu).ok());
        let abi = match values.string("evt.abi").as_deref() {
            Some("ia32") => Abi::Ia32,
            Some("aarch32") => Abi::Aarch32,
            _ => Abi::Native,
        };
        self.steps.push(Step::Event(Written { bytes, cpu: cpu.unwrap_or_default(), abi }));
        Ok(())
    }

    /// Adds the processes that do not exist yet, those that began first at first.
    fn add_processes(&mut self, lineage: &Lineage, starts_program: bool, begins: bool) {
        let parent = lineage.0.get(1);
        for (level, thread) in lineage.0.iter().enumerate().rev() {
            if level == 0 && begins {
                // The event itself adds it.
                self.threads.insert(thread.tid);
                continue;
            }
            if !self.threads.insert(thread.tid) {
                continue;
            }
            let mut thread = thread.clone();
            if level == 1 && begins {
                // What a new process has in common with its parent it has from that.
                if let Some(child) = lineage.actor() {
                    bequeath(&mut thread, child);
                }
            }
            if level == 0 && starts_program {
                // Until the end of its exec, a process runs the program of its parent.
                before_exec(&mut thread, parent);
            }
            if thread.tid != thread.pid && self.threads.insert(thread.pid) {
                let leader = Thread { tid: thread.pid, vtid: thread.vpid, ..thread.clone() };
                self.snapshot.push(Item::Thread(Box::new(leader)));
            }
            if thread.tid != thread.pid {
                thread.flags |= CLONE_FILES | CLONE_THREAD;
            }
            self.snapshot.push(Item::Thread(Box::new(thread)));
        }
    }

    /// Makes an address one of this machine.
    fn add_address(&mut self, address: Option<IpAddr>) {
        let Some(ip) = address.filter(|ip| !ip.is_unspecified() && self.addresses.insert(*ip))
        else {
            return;
        };
        let address = match ip {
            IpAddr::V4(address) => {
                InterfaceAddress::V4 { address, netmask: Ipv4Addr::BROADCAST, broadcast: address }
            }
            IpAddr::V6(address) => InterfaceAddress::V6 {
                address,
                netmask: Ipv6Addr::from_bits(u128::MAX << 64),
                broadcast: Ipv6Addr::UNSPECIFIED,
            },
        };
        let interface = Interface { name: b"eth0".to_vec(), address, link_speed: 0 };
        self.snapshot.push(Item::Interface(interface));
    }

    fn add_container(
        &mut self,
        container: Option<&Described>,
        ts: u64,
        tid: i64,
    ) -> Result<(), BuildError> {
        let Some(json) = container.and_then(|container| container.json.as_ref()) else {
            return Ok(());
        };
        if !self.containers.insert(json.clone()) {
            return Ok(());
        }
        self.setup(EventType::AsynceventE, ts, tid, |event| {
            event.u32(0).text("container").text(json);
        })
    }

    fn add_accounts(
        &mut self,
        account: &Account,
        container: Option<&Described>,
        ts: u64,
        tid: i64,
    ) -> Result<(), BuildError> {
        let id = container.map(|container| container.id.clone()).unwrap_or_default();
        if !self.accounts.insert((id.clone(), account.uid, account.gid)) {
            return Ok(());
        }
        for user in &account.users {
            self.setup(EventType::UserAddedE, ts, tid, |event| {
                event.u32(user.uid).u32(user.gid).text(&user.name).text(&user.home);
                event.text(&user.shell).text(&id);
            })?;
        }
        for group in &account.groups {
            self.setup(EventType::GroupAddedE, ts, tid, |event| {
                event.u32(group.gid).text(&group.name).text(&id);
            })?;
        }
        Ok(())
    }

    /// Opens what a process has open besides the fd of the event.
    fn add_fds(
        &mut self,
        values: &mut Values<'_>,
        actor: &Thread,
        ts: u64,
    ) -> Result<(), BuildError> {
        let standard = [("proc.stdin", 0), ("proc.stdout", 1), ("proc.stderr", 2)];
        let mut others = Vec::new();
        for (name, number) in standard {
            let fields = values.spec.starting(name).map(|(rest, given)| {
                let mut given = given.clone();
                given.key.name = format!("fd{rest}");
                given
            });
            let fields: Vec<_> = fields.collect();
            if let Some(first) = fields.first() {
                let label = first.name_label.clone();
                others.push((number, EventSpec { label, fields, matched: None }));
            }
        }
        others.extend(self.listed_fds(values));
        if others.len() > RULE_TEST_PARTS.get() {
            RULE_TEST_PARTS.reach();
            let message = format!("a process has more than {RULE_TEST_PARTS} open files");
            values.problems.push(Cause::Limit.at(&values.spec.label, message));
            return Ok(());
        }
        for (number, spec) in others {
            let mut fields = Values { spec: &spec, problems: &mut *values.problems };
            let Some(file) = files::read(&mut fields, None) else { continue };
            if self.fds.insert((actor.pid, number)) {
                if let OpenFile::Socket(socket) = &file {
                    self.add_address(Some(socket.near().ip()));
                }
                self.steps.extend(files::open(&file, number, actor, ts, Prepared::Whole)?);
            }
        }
        Ok(())
    }

    /// The fds of `proc.fds`: numbers with what each refers to.
    fn listed_fds(&mut self, values: &mut Values<'_>) -> Vec<(i64, EventSpec)> {
        let Some(given) = values.spec.get("proc.fds") else { return Vec::new() };
        let mut fds = Vec::new();
        for (number, file) in given.value.entries() {
            let label = Label { span: number.span(), ..given.label.clone() };
            let Some(number) = number.as_i64().filter(|_| file.as_map().is_some()) else {
                let message = "`proc.fds` must be a map of fd numbers with what each refers to";
                let problem = Cause::Form.at(&label, message);
                values.problems.push(problem.help("such as `{4: {type: file, name: /tmp/x}}`"));
                continue;
            };
            fds.push((number, crate::file::open_file(file, &label, values.problems)));
        }
        fds
    }

    /// Opens the fd of an event that uses one.
    fn prepare_fd(&mut self, facts: &Facts<'_>, ts: u64) -> Result<(), BuildError> {
        let (kind, thread) = (facts.kind, facts.thread);
        let made = (thread.pid, if kind.is_dup() { facts.original_fd } else { facts.fd });
        let used = kind.used_fd().is_some() || kind.is_dup();
        let Some(file) = facts.file.filter(|_| used && !kind.is_open()) else {
            if facts.result >= 0 {
                self.fds.insert((thread.pid, facts.fd));
            }
            return Ok(());
        };
        if !self.fds.insert(made) {
            return Ok(());
        }
        let name = kind.ty.name();
        let prepared = match file {
            // The call itself gives the socket its ends.
            _ if matches!(name, "connect" | "bind") => Prepared::Bare,
            _ => Prepared::Whole,
        };
        self.steps.extend(files::open(file, made.1, thread, ts, prepared)?);
        Ok(())
    }

    fn setup(
        &mut self,
        ty: EventType,
        ts: u64,
        tid: i64,
        fill: impl FnOnce(&mut Builder),
    ) -> Result<(), BuildError> {
        let mut event = Builder::new(ty, ts, tid);
        fill(&mut event);
        let mut bytes = Vec::new();
        event.finish(&mut bytes)?;
        self.steps.push(Step::Setup(bytes));
        Ok(())
    }
}

const CLONE_FILES: u32 = 1 << 0;
const CLONE_THREAD: u32 = 1 << 13;

/// The number of the fd that an event uses or makes.
fn fd_number(values: &mut Values<'_>, kind: Kind) -> i64 {
    let given = |values: &mut Values<'_>, name: &str| match values.spec.get(name) {
        Some(given) => given.value.as_i64().filter(|number| *number >= 0),
        None => None,
    };
    if kind.is_dup() {
        let copy = given(values, "evt.rawres").or_else(|| given(values, "evt.arg.newfd"));
        return copy.or_else(|| given(values, "fd.num")).unwrap_or(FD);
    }
    let param = kind.used_fd().map(|param| format!("evt.arg.{}", param.name));
    let of_param = param.and_then(|name| given(values, &name));
    of_param
        .or_else(|| given(values, "fd.num"))
        .or_else(|| given(values, "evt.arg.fd"))
        .or_else(|| given(values, "evt.rawres"))
        .unwrap_or(FD)
}

fn original(values: &mut Values<'_>) -> i64 {
    values.i64(0, "evt.arg.oldfd").unwrap_or(ORIGINAL_FD)
}

/// Gives a parent what its child has inherited.
fn bequeath(parent: &mut Thread, child: &Thread) {
    parent.cwd = child.cwd.clone();
    parent.env = child.env.clone();
    parent.exepath = child.exepath.clone();
    parent.exe_writable = child.exe_writable;
    parent.exe_upper_layer = child.exe_upper_layer;
    parent.exe_lower_layer = child.exe_lower_layer;
    parent.exe_from_memfd = child.exe_from_memfd;
    (parent.sid, parent.vpgid, parent.pgid) = (child.sid, child.vpgid, child.pgid);
    (parent.tty, parent.loginuid) = (child.tty, child.loginuid);
    parent.cap_inheritable = child.cap_inheritable;
    parent.cap_permitted = child.cap_permitted;
    parent.cap_effective = child.cap_effective;
}

/// A thread before it starts the program that it will have run.
fn before_exec(thread: &mut Thread, parent: Option<&Thread>) {
    let Some(parent) = parent else { return };
    thread.comm = parent.comm.clone();
    thread.exe = parent.exe.clone();
    thread.exepath = parent.exepath.clone();
    thread.args = parent.args.clone();
    thread.exe_writable = parent.exe_writable;
    thread.exe_upper_layer = parent.exe_upper_layer;
    thread.exe_lower_layer = parent.exe_lower_layer;
    thread.exe_from_memfd = parent.exe_from_memfd;
    thread.exe_ino = parent.exe_ino;
    thread.exe_ino_ctime = parent.exe_ino_ctime;
    thread.exe_ino_mtime = parent.exe_ino_mtime;
}
