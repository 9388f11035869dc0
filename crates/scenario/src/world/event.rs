//! The event itself: its type and its parameters.

use peregrine_diagnostics::closest;
use peregrine_event::render::AT_FDCWD;
use peregrine_event::snapshot::Thread;
use peregrine_event::{
    Builder, EventFlags, EventType, ParamInfo, ParamType, Sockaddr, native_syscalls, params,
    syscall_names,
};
use peregrine_fields::path_params;
use peregrine_yaml::Node;

use super::files::{OpenFile, Role};
use super::values::Values;
use crate::Cause;
use peregrine_params::{Tuple, bytes_of, encode, tuple};

/// The type of an event, and the code of its syscall where that has no event of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) ty: EventType,
    syscall: Option<u16>,
}

impl Kind {
    /// By `evt.type`. Problems are added.
    pub(super) fn read(values: &mut Values<'_>) -> Option<Self> {
        let spec = values.spec;
        let Some(given) = spec.get("evt.type").or_else(|| spec.get("syscall.type")) else {
            let problem = Cause::NoEventType.at(&spec.label, "the event has no `evt.type`");
            values.problems.push(problem.help("say what happens, such as `evt.type: execve`"));
            return None;
        };
        let name = given.value.as_str().unwrap_or_default();
        if let Some(ty) = event_type(name) {
            return Some(Self { ty, syscall: None });
        }
        let code = syscall_names().find(|(_, known)| *known == name).map(|(code, _)| code);
        if let Some(code) = code.filter(|code| native_syscalls().iter().any(|it| it.sc == *code)) {
            return Some(Self { ty: EventType::GenericX, syscall: Some(code) });
        }
        let problem =
            Cause::UnknownEventType.at(&given.label, format!("there is no event `{name}`"));
        let names = EventType::all().map(EventType::name);
        values.problems.push(match closest(name, names) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help("`peregrine events` lists all"),
        });
        None
    }

    /// Whether it starts another program, when it succeeds.
    pub(super) fn is_exec(self) -> bool {
        matches!(self.ty, EventType::SyscallExecve_19X | EventType::SyscallExecveatX)
    }

    /// Whether it starts a process or thread.
    pub(super) fn is_clone(self) -> bool {
        matches!(
            self.ty,
            EventType::SyscallClone_20X
                | EventType::SyscallClone3X
                | EventType::SyscallFork_20X
                | EventType::SyscallVfork_20X
        )
    }

    /// Whether it opens a path.
    pub(super) fn is_open(self) -> bool {
        matches!(
            self.ty,
            EventType::SyscallOpenX
                | EventType::SyscallOpenat_2X
                | EventType::SyscallOpenat2X
                | EventType::SyscallCreatX
                | EventType::SyscallOpenByHandleAtX
        )
    }

    /// Whether its result is a new fd.
    fn makes_fd(self) -> bool {
        let pairs =
            [EventType::SyscallPipeX, EventType::SyscallPipe2X, EventType::SocketSocketpairX];
        self.ty.info().flags.contains(EventFlags::CREATES_FD) && !pairs.contains(&self.ty)
    }

    /// Whether its fd is a copy of another one.
    pub(super) fn is_dup(self) -> bool {
        matches!(
            self.ty,
            EventType::SyscallDup_1X | EventType::SyscallDup2X | EventType::SyscallDup3X
        )
    }

    /// The parameter that holds the fd that is open before, and its name.
    pub(super) fn used_fd(self) -> Option<&'static ParamInfo> {
        let info = self.ty.info();
        info.params.get(usize::from(info.fd_param?))
    }
}

/// Whether the end of an event reports a program that was started.
pub(crate) fn is_exec(ty: EventType) -> bool {
    Kind { ty, syscall: None }.is_exec()
}

/// Whether an event reports a process: that it began, or the program that it started.
pub(crate) fn starts_process(ty: EventType) -> bool {
    let kind = Kind { ty, syscall: None };
    kind.is_exec() || kind.is_clone()
}

/// Position of the parameter with the fd that is open before an event.
pub(crate) fn used_fd(ty: EventType) -> Option<usize> {
    ty.info().fd_param.map(usize::from)
}

/// Whether an event gives a socket its ends.
pub(crate) fn gives_ends(ty: EventType) -> bool {
    matches!(ty, EventType::SocketConnectX | EventType::SocketBindX)
}

/// Whether a parameter of an event that reports a process follows from what is known of that.
pub(crate) fn is_of_process(info: &ParamInfo, ty: EventType) -> bool {
    let kind = Kind { ty, syscall: None };
    let thread = Thread::default();
    let facts = Facts { kind, result: 0, fd: 0, original_fd: 0, file: None, thread: &thread };
    facts.of_process(info).is_some()
}

/// The current event of a name: the end of a call, or an event without one.
fn event_type(name: &str) -> Option<EventType> {
    let current = |ty: &EventType| {
        let info = ty.info();
        let old = EventFlags::OLD_VERSION | EventFlags::UNUSED;
        info.name == name && !info.flags.intersects(old) && *ty != EventType::GenericX
    };
    let mut all: Vec<_> = EventType::all().filter(current).collect();
    all.sort_by_key(|ty| ty.is_exit());
    all.pop()
}

/// The result of a call, before it is put into a parameter.
pub(super) fn result(values: &mut Values<'_>, kind: Kind, fd: i64, child: i64) -> i64 {
    let info = kind.ty.info();
    let named = info.params.first().map(|first| format!("evt.arg.{}", first.name));
    let named = named.and_then(|name| values.spec.get(&name));
    let encoded = |node: &Node| {
        let first = info.params.first()?;
        peregrine_event::wire::int(&encode(first, node).ok()?)
    };
    if let Some(given) = named {
        return encoded(&given.value).unwrap_or_default();
    }
    if let Some(result) = values.i64(0, "evt.rawres") {
        return result;
    }
    let success = match () {
        () if kind.is_clone() => child,
        () if kind.makes_fd() => fd,
        () if info.flags.intersects(EventFlags::READS_FROM_FD | EventFlags::WRITES_TO_FD) => {
            let len = values.spec.get("evt.buffer").and_then(|given| bytes_of(&given.value));
            let len = len.map(|data| data.len() as i64);
            values.i64(0, "evt.buflen").or(len).unwrap_or_default()
        }
        () => 0,
    };
    const EPERM: i64 = -1;
    match values.spec.get("evt.res").map(|given| &given.value) {
        Some(word) if word.as_str() == Some("SUCCESS") || word.is_null() => success,
        Some(word) => {
            let found = word.as_i64().or_else(|| encoded(word));
            if found.is_none()
                && let Some(given) = values.spec.get("evt.res")
            {
                let message =
                    "`evt.res` must be SUCCESS or the name of an error number, such as ENOENT";
                values.problems.push(Cause::Value.at(&given.label, message));
            }
            found.unwrap_or_default()
        }
        None if values.bool(0, "evt.failed") == Some(true) => EPERM,
        None => success,
    }
}

/// All that parameters follow from, unless they are given.
pub(super) struct Facts<'a> {
    pub(super) kind: Kind,
    pub(super) result: i64,
    /// The fd that the event uses or makes.
    pub(super) fd: i64,
    /// For a copy of an fd, the number of the original.
    pub(super) original_fd: i64,
    pub(super) file: Option<&'a OpenFile>,
    /// The thread that acts, as it is after the event.
    pub(super) thread: &'a Thread,
}

/// Adds all parameters.
pub(super) fn fill(values: &mut Values<'_>, facts: &Facts<'_>, event: &mut Builder) {
    let kind = facts.kind;
    unknown_parameters(values, kind.ty);
    let count = parameter_count(values, kind.ty);
    for (index, info) in kind.ty.info().params.iter().enumerate().take(count) {
        let given = values.spec.get(&format!("evt.arg.{}", info.name));
        let bytes = match given.map(|given| (given, encode(info, &given.value))) {
            Some((_, Ok(bytes))) => bytes,
            Some((given, Err(form))) => {
                let (form, help) = form.0.split_once("; ").unwrap_or((&form.0, ""));
                let message = format!("`{}` of {} {form}", info.name, kind.ty.name());
                let problem = Cause::Value.at(&given.label, message);
                values.problems.push(if help.is_empty() { problem } else { problem.help(help) });
                Vec::new()
            }
            None => facts.param(values, index, info).unwrap_or_else(|| nothing(info)),
        };
        event.param(&bytes);
    }
}

/// How many parameters the event has. Those for the paths of syscalls without an event of their own
/// are left out where nothing is said of them.
fn parameter_count(values: &Values<'_>, ty: EventType) -> usize {
    let info = ty.info();
    if ty != EventType::GenericX {
        return info.params.len();
    }
    let given = |names: &[&str]| names.iter().any(|name| values.spec.get(name).is_some());
    let named = |params: &[ParamInfo]| {
        params.iter().any(|param| given(&[&format!("evt.arg.{}", param.name)]))
    };
    let (one, two) = (usize::from(info.format_params) + 2, info.params.len());
    if named(info.params.get(one..).unwrap_or_default()) {
        two
    } else if named(info.params.get(one - 2..one).unwrap_or_default()) || given(ONE_PATH) {
        one
    } else {
        one - 2
    }
}

/// Fields from which the only path of a call follows.
const ONE_PATH: &[&str] = &["fs.path.nameraw", "fs.path.name", "evt.abspath"];

/// Parameters that events of this type do not have.
fn unknown_parameters(values: &mut Values<'_>, ty: EventType) {
    let known = || ty.info().params.iter().map(|param| param.name);
    for (name, given) in values.spec.starting("evt.arg.") {
        if known().any(|known| known == name) {
            continue;
        }
        let message = format!("{} has no parameter `{name}`", ty.name());
        let problem = Cause::UnknownParameter.at(&given.name_label, message);
        values.problems.push(match closest(name, known()) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help(format!("it has: {}", known().collect::<Vec<_>>().join(", "))),
        });
    }
    for (number, given) in values.spec.starting("evt.arg[") {
        let message = format!("a parameter is given by its name, not as `evt.arg[{number}`");
        values.problems.push(Cause::UnknownParameter.at(&given.name_label, message));
    }
}

/// A parameter that nothing is known of: zero, or an empty text.
fn nothing(info: &ParamInfo) -> Vec<u8> {
    match info.ty {
        ParamType::Charbuf | ParamType::Fspath | ParamType::Fsrelpath => vec![0],
        _ => encode(info, &Node::scalar("0")).unwrap_or_default(),
    }
}

impl Facts<'_> {
    fn param(&self, values: &mut Values<'_>, index: usize, info: &ParamInfo) -> Option<Vec<u8>> {
        let Self { kind, result, .. } = *self;
        let ty = kind.ty;
        if ty == EventType::GenericX && index < ty.info().format_params.into() {
            return self.generic(info.name);
        }
        if index == params::RESULT && ty.traits().has_result {
            return encode(info, &Node::scalar(result.to_string())).ok();
        }
        if (kind.is_exec() || kind.is_clone())
            && let Some(bytes) = self.of_process(info)
        {
            return Some(bytes);
        }
        if let Some(bytes) = self.of_path(values, info) {
            return Some(bytes);
        }
        if kind.is_open()
            && let Some(bytes) = self.of_open(values, info)
        {
            return Some(bytes);
        }
        if let Some(bytes) = self.of_socket(info) {
            return Some(bytes);
        }
        let is_fd = ty.info().fd_param.is_some_and(|at| usize::from(at) == index);
        match info.name {
            "oldfd" if kind.is_dup() => return Some(self.original_fd.to_le_bytes().to_vec()),
            "newfd" if kind.is_dup() => return Some(self.result.to_le_bytes().to_vec()),
            "data" => {
                let data = values.spec.get("evt.buffer").and_then(|given| bytes_of(&given.value));
                return Some(data.unwrap_or_default());
            }
            "size" => return encode(info, &Node::scalar(result.max(0).to_string())).ok(),
            _ => {}
        }
        if info.ty == ParamType::Fd && (is_fd && self.file.is_some()) {
            return Some(self.fd.to_le_bytes().to_vec());
        }
        let directory = info.name.contains("dirfd") || matches!(info.name, "olddir" | "newdir");
        match info.ty {
            ParamType::Fd if directory => Some(AT_FDCWD.to_le_bytes().to_vec()),
            ParamType::Fd => Some(self.fd.to_le_bytes().to_vec()),
            _ => None,
        }
    }

    fn generic(&self, name: &str) -> Option<Vec<u8>> {
        let code = self.kind.syscall?;
        if name == "ID" {
            return Some(code.to_le_bytes().to_vec());
        }
        let syscall = native_syscalls().iter().find(|syscall| syscall.sc == code)?;
        Some(syscall.nr.to_le_bytes().to_vec())
    }

    /// What the end of an exec or clone reports of the thread.
    fn of_process(&self, info: &ParamInfo) -> Option<Vec<u8>> {
        let thread = self.thread;
        let text = |text: &[u8]| [text, &[0]].concat();
        let flags = [
            (thread.exe_writable, 1_u32),
            (thread.exe_upper_layer, 2),
            (thread.exe_from_memfd, 4),
            (thread.exe_lower_layer, 8),
        ];
        let flags = flags.into_iter().filter(|(set, _)| *set).fold(0, |all, (_, flag)| all | flag);
        let number = match info.name {
            "exe" => return Some(text(&thread.exe)),
            "args" => return Some(thread.args.to_vec()),
            "comm" => return Some(text(&thread.comm)),
            "cwd" => return Some(text(&thread.cwd)),
            "cgroups" => return Some(thread.cgroups.to_vec()),
            "env" => return Some(thread.env.to_vec()),
            "trusted_exepath" | "filename" => return Some(text(&thread.exepath)),
            "tid" => thread.tid,
            "pid" => thread.pid,
            "ptid" => thread.ptid,
            "fdlimit" => thread.fdlimit,
            "pgft_maj" => thread.pfmajor.cast_signed(),
            "pgft_min" => thread.pfminor.cast_signed(),
            "vm_size" => thread.vmsize_kb.into(),
            "vm_rss" => thread.vmrss_kb.into(),
            "vm_swap" => thread.vmswap_kb.into(),
            "tty" => thread.tty.into(),
            "vpgid" => thread.vpgid,
            "pgid" => thread.pgid,
            "vtid" => thread.vtid,
            "vpid" => thread.vpid,
            "uid" => thread.uid.into(),
            "gid" => thread.gid.into(),
            "loginuid" => thread.loginuid.into(),
            "flags" if self.kind.is_exec() => flags.into(),
            "cap_inheritable" => thread.cap_inheritable.cast_signed(),
            "cap_permitted" => thread.cap_permitted.cast_signed(),
            "cap_effective" => thread.cap_effective.cast_signed(),
            "exe_ino" => thread.exe_ino.cast_signed(),
            "exe_ino_ctime" => thread.exe_ino_ctime.cast_signed(),
            "exe_ino_mtime" => thread.exe_ino_mtime.cast_signed(),
            "pidns_init_start_ts" => thread.pidns_init_start_ts.cast_signed(),
            _ => return None,
        };
        let width = nothing(info).len();
        number.to_le_bytes().get(..width).map(<[u8]>::to_vec)
    }

    /// The paths of a call.
    fn of_path(&self, values: &mut Values<'_>, info: &ParamInfo) -> Option<Vec<u8>> {
        let params = path_params(self.kind.ty);
        let at = params.iter().position(|param| *param == info.name)?;
        let names: &[&str] = match (params.len(), at) {
            (1, _) => ONE_PATH,
            (_, 0) => &["fs.path.sourceraw", "fs.path.source", "evt.abspath.src"],
            _ => &["fs.path.targetraw", "fs.path.target", "evt.abspath.dst"],
        };
        let mut text = names.iter().find_map(|name| values.text(0, name))?;
        text.push(0);
        Some(text)
    }

    /// The name, flags and numbers of a file that is opened.
    fn of_open(&self, values: &mut Values<'_>, info: &ParamInfo) -> Option<Vec<u8>> {
        let Some(OpenFile::Path(path)) = self.file else {
            return (info.name == "flags").then(|| open_flags(values, None).to_le_bytes().to_vec());
        };
        match info.name {
            "name" | "path" => {
                let raw = values.text(0, "fd.nameraw").unwrap_or_else(|| path.name.clone());
                Some([raw.as_slice(), &[0]].concat())
            }
            "flags" => {
                let layers = [(path.upper_layer, 1 << 15), (path.lower_layer, 1 << 16)];
                let layers = layers.into_iter().filter(|(set, _)| *set);
                let directory = if path.directory { O_DIRECTORY } else { 0 };
                let flags = open_flags(values, Some(directory));
                Some(layers.fold(flags, |all, (_, flag)| all | flag).to_le_bytes().to_vec())
            }
            "creat_flags" => {
                let flags = u16::from(path.upper_layer) | u16::from(path.lower_layer) << 1;
                Some(flags.to_le_bytes().to_vec())
            }
            "mode" => {
                let exec = values.bool(0, "evt.is_open_exec") == Some(true);
                let created = values.bool(0, "evt.is_open_create") == Some(true);
                let mode: u32 = match (exec, created) {
                    (true, _) => 0o755,
                    (_, true) => 0o644,
                    _ => 0,
                };
                Some(mode.to_le_bytes().to_vec())
            }
            "dev" => Some(path.dev.to_le_bytes().to_vec()),
            "ino" => Some(path.ino.to_le_bytes().to_vec()),
            _ => None,
        }
    }

    /// The ends of a socket.
    fn of_socket(&self, info: &ParamInfo) -> Option<Vec<u8>> {
        let ty = self.kind.ty;
        let name = ty.name();
        let mut out = Vec::new();
        match self.file? {
            OpenFile::Socket(socket) => {
                let (domain, kind, protocol) = socket.arguments();
                match info.name {
                    "tuple" if matches!(name, "connect" | "accept" | "accept4") => {
                        socket.tuple().encode(&mut out);
                    }
                    "tuple" => socket.flow(name.starts_with("send")).encode(&mut out),
                    "addr" if socket.role == Role::Bound || name == "connect" => {
                        return encode(info, &Node::scalar(socket.server.to_string())).ok();
                    }
                    "domain" => out.extend(domain.to_le_bytes()),
                    "type" => out.extend(kind.to_le_bytes()),
                    "proto" => out.extend(protocol.to_le_bytes()),
                    _ => return None,
                }
            }
            OpenFile::Unix { name: path, .. } => match info.name {
                "tuple" => unix(path).encode(&mut out),
                "addr" => match unix(path) {
                    Tuple::Unix { path, .. } => Sockaddr::Unix(path.as_bytes()).encode(&mut out),
                    Tuple::Ip(..) => return None,
                },
                "domain" => out.extend(1_u32.to_le_bytes()),
                "type" => out.extend(1_u32.to_le_bytes()),
                _ => return None,
            },
            OpenFile::Path(_) => return None,
            OpenFile::Other { name: path, .. } if info.name == "name" => {
                out.extend_from_slice(path);
                out.push(0);
            }
            OpenFile::Other { .. } => return None,
        }
        Some(out)
    }
}

/// The ends of a unix socket by its name, which begins with their addresses where it is connected.
fn unix(name: &[u8]) -> Tuple {
    let text = String::from_utf8_lossy(name).into_owned();
    match tuple(&text) {
        Some(unix @ Tuple::Unix { .. }) => unix,
        _ => Tuple::Unix { source: 1, destination: 2, path: text },
    }
}

const O_RDONLY: u32 = 1;
const O_WRONLY: u32 = 1 << 1;
const CREATES: u32 = 1 << 2;
const O_DIRECTORY: u32 = 1 << 10;
const F_CREATED: u32 = 1 << 14;

/// Flags of a call of the open family, as the fields about them say. Without any it reads.
fn open_flags(values: &mut Values<'_>, more: Option<u32>) -> u32 {
    let read = values.bool(0, "evt.is_open_read");
    let write = values.bool(0, "evt.is_open_write") == Some(true);
    let create = values.bool(0, "evt.is_open_create") == Some(true);
    let exec = values.bool(0, "evt.is_open_exec") == Some(true);
    let mut flags = more.unwrap_or_default();
    if read.unwrap_or(!write) {
        flags |= O_RDONLY;
    }
    if write {
        flags |= O_WRONLY;
    }
    if create {
        flags |= CREATES | F_CREATED;
    }
    if exec {
        flags |= CREATES;
    }
    flags
}
