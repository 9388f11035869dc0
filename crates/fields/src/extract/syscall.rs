//! Class `evt`, events that the kernel reports.

use peregrine_event::params::{
    RESULT, asyncevent_e, generic_x, infrastructure_event_e,
    syscall_open_by_handle_at_x as open_by_handle_at,
};
use peregrine_event::render::AT_FDCWD;
use peregrine_event::{
    Category, Class, EventFlags, EventType, Format, ParamType, path, syscall_name, syscalls_x86_64,
};
use peregrine_filter::{OutputKind, OutputValue, Value};
use peregrine_state::FdKind;

use super::common::{SECOND, flag};
use super::generic::time_text;
use super::raw;
use crate::evttypes::is_syscall;
use crate::table::Syscall;
use crate::view::View;
use crate::vocabulary::{Arg, WhichPath};

pub(crate) fn value<'a>(view: &View<'a>, field: Syscall, arg: &Arg) -> Option<Value<'a>> {
    let flags = view.event.ty.info().flags;
    match field {
        // Kept for rules that still name them, with the value they always have.
        Syscall::Latency
        | Syscall::LatencySeconds
        | Syscall::LatencyNanos
        | Syscall::LatencyQuantized
        | Syscall::WaitLatency => Some(Value::Uint(0)),
        Syscall::LatencyHuman => Some(Value::Text(b"0ns")),
        Syscall::Delta => Some(Value::Uint(delta(view))),
        Syscall::DeltaSeconds => Some(Value::Uint(delta(view) / SECOND)),
        Syscall::DeltaNanos => Some(Value::Uint(delta(view) % SECOND)),
        Syscall::OutputTime => time_text(view, false, true),
        Syscall::Dir => Some(Value::Text(if view.event.ty.is_exit() { b"<" } else { b">" })),
        Syscall::Type => Some(Value::Text(name(view)?)),
        Syscall::TypeIs => match arg {
            Arg::Events(events) => Some(Value::Uint(u64::from(events.contains(view.event.ty)))),
            _ => None,
        },
        Syscall::SyscallType => {
            is_syscall(view.event.ty).then(|| name(view).map(Value::Text)).flatten()
        }
        Syscall::Abi => {
            is_syscall(view.event.ty).then(|| Value::Text(view.event.abi.name().as_bytes()))
        }
        Syscall::Category => Some(Value::Text(category(view).as_bytes())),
        Syscall::Cpu => Some(Value::Int(i64::from(view.event.cpu.cast_signed()))),
        Syscall::Args | Syscall::Info => {
            Some(Value::Text(view.text(|out| view.renderer().buffers(view.run.buffers).args(out))))
        }
        Syscall::Arg => argument(view, arg),
        Syscall::RawArg => match arg {
            Arg::Param(param) => raw::value(view, param),
            _ => None,
        },
        Syscall::Buffer => {
            let bytes = view.event.param(view.event.param_index("data")?)?;
            (!bytes.is_empty()).then_some(Value::Bytes(bytes))
        }
        Syscall::Buflen => io_bytes(view, &[Io::Read, Io::Write, Io::Other], any_fd),
        Syscall::BuflenIn => io_bytes(view, &[Io::Read], any_fd),
        Syscall::BuflenOut => io_bytes(view, &[Io::Write], any_fd),
        Syscall::BuflenFile => io_bytes(view, &[Io::Read, Io::Write, Io::Other], is_file),
        Syscall::BuflenFileIn => io_bytes(view, &[Io::Read], is_file),
        Syscall::BuflenFileOut => io_bytes(view, &[Io::Write], is_file),
        Syscall::BuflenNet => io_bytes(view, &[Io::Read, Io::Write, Io::Other], FdKind::is_ip),
        Syscall::BuflenNetIn => io_bytes(view, &[Io::Read], FdKind::is_ip),
        Syscall::BuflenNetOut => io_bytes(view, &[Io::Write], FdKind::is_ip),
        Syscall::Res => match result(view)? {
            0.. => Some(Value::Text(b"SUCCESS")),
            _ => Some(Value::Text(view.text(|out| {
                view.renderer().arg(RESULT, out);
            }))),
        },
        Syscall::RawRes => result(view).map(Value::Int),
        Syscall::Failed => flag(result(view)? < 0),
        Syscall::IsIo => {
            flag(flags.intersects(EventFlags::READS_FROM_FD | EventFlags::WRITES_TO_FD))
        }
        Syscall::IsIoRead => flag(flags.contains(EventFlags::READS_FROM_FD)),
        Syscall::IsIoWrite => flag(flags.contains(EventFlags::WRITES_TO_FD)),
        Syscall::IoDir if flags.contains(EventFlags::WRITES_TO_FD) => Some(Value::Text(b"write")),
        Syscall::IoDir if flags.contains(EventFlags::READS_FROM_FD) => Some(Value::Text(b"read")),
        Syscall::IoDir => None,
        Syscall::IsWait => flag(flags.contains(EventFlags::WAITS)),
        Syscall::IsSyslog => flag(
            flags.contains(EventFlags::WRITES_TO_FD)
                && view.event_fd().is_some_and(|fd| contains(&fd.name, b"/dev/log")),
        ),
        Syscall::Count => Some(Value::Uint(1)),
        Syscall::CountError => failures(view),
        Syscall::CountErrorFile => (topic(view) == Topic::File).then(|| failures(view)).flatten(),
        Syscall::CountErrorNet => (topic(view) == Topic::Net).then(|| failures(view)).flatten(),
        Syscall::CountErrorMemory => {
            (view.event.ty.info().category == Category::Memory).then(|| failures(view)).flatten()
        }
        Syscall::CountErrorOther => (topic(view) == Topic::Other).then(|| failures(view)).flatten(),
        Syscall::CountExit => view.event.ty.is_exit().then_some(Value::Uint(1)),
        Syscall::CountProcinfo => Some(Value::Uint(u64::from(
            view.event.ty == EventType::ProcinfoE
                && view.thread().is_some_and(peregrine_state::Thread::is_leader),
        ))),
        Syscall::CountThreadinfo => {
            Some(Value::Uint(u64::from(view.event.ty == EventType::ProcinfoE)))
        }
        // The distance, which a condition compares with the width of its window.
        Syscall::Around => match *arg {
            Arg::Index(ts) => Some(Value::Uint(view.event.ts.abs_diff(ts))),
            _ => None,
        },
        Syscall::Abspath => abspath(view, arg),
        Syscall::IsOpenRead => flag(open_flags(view) & O_RDONLY != 0),
        Syscall::IsOpenWrite => flag(open_flags(view) & O_WRONLY != 0),
        Syscall::IsOpenExec => flag(opens_executable(view)),
        Syscall::IsOpenCreate => flag(creates(view)),
        Syscall::InfraName => infrastructure(view, b"Event", usize::MAX),
        Syscall::InfraContainerId => infrastructure(view, b"ID", 12),
        Syscall::InfraContainerName => infrastructure(view, b"name", usize::MAX),
        Syscall::InfraContainerImage => infrastructure(view, b"Image", usize::MAX).map(image),
    }
}

/// The value for outputs where it differs from that for conditions; `None` where it does not.
pub(crate) fn output_value<'a>(
    view: &View<'a>,
    field: Syscall,
    arg: &Arg,
    kind: OutputKind,
) -> Option<Option<OutputValue<'a>>> {
    let number = |number| Some(Some(OutputValue { value: Value::Uint(number), ty: None }));
    match field {
        // Falco prints no value for it.
        Syscall::TypeIs => Some(None),
        Syscall::OutputTime if kind == OutputKind::Json => Some(Some(OutputValue {
            value: Value::Uint(view.event.ts),
            ty: Some((ParamType::Abstime, Format::Dec)),
        })),
        // Measured from the previous read, and JSON reads twice.
        Syscall::Delta | Syscall::DeltaSeconds | Syscall::DeltaNanos
            if kind == OutputKind::Json =>
        {
            number(0)
        }
        // A number that is missing in the event prints as zero.
        Syscall::RawArg if value(view, field, arg).is_none() => {
            let Arg::Param(param) = arg else { return None };
            let ty = raw::type_of(view, param).filter(|(ty, _)| raw::is_number(*ty));
            let sent = param.position(view.event).is_some_and(|at| at < view.event.nparams());
            Some(ty.filter(|_| sent).map(|ty| OutputValue { value: Value::Uint(0), ty: Some(ty) }))
        }
        Syscall::Buffer => {
            let shown = view
                .event
                .param_index("data")
                .filter(|&index| view.event.param(index).is_some_and(|bytes| !bytes.is_empty()));
            Some(shown.map(|index| OutputValue {
                value: Value::Text(view.text(|out| {
                    view.renderer().buffers(view.run.buffers).value(index, out);
                })),
                ty: Some((ParamType::Charbuf, Format::Na)),
            }))
        }
        _ => None,
    }
}

/// Clocks of CPUs differ by some microseconds: time does not go back.
fn delta(view: &View<'_>) -> u64 {
    match view.context.prev_ts {
        0 => 0,
        before => view.event.ts.saturating_sub(before),
    }
}

/// Name of the event, or of the syscall when it has no event of its own.
fn name<'a>(view: &View<'a>) -> Option<&'a [u8]> {
    let event = view.event;
    match event.ty {
        EventType::AsynceventE => event.text(asyncevent_e::NAME),
        EventType::GenericX => {
            let code = event
                .u64(generic_x::ID)
                .and_then(|code| u16::try_from(code).ok())
                .unwrap_or_default();
            // The writer of the capture may have known the number of the syscall, but not its name.
            let newer = || {
                let number = event.u64(generic_x::NATIVE_ID)?;
                let syscall = syscalls_x86_64().iter().find(|s| u64::from(s.nr) == number)?;
                syscall_name(syscall.sc)
            };
            let name = if code == 0 { newer().or(Some("unknown")) } else { syscall_name(code) };
            Some(name.unwrap_or_default().as_bytes())
        }
        ty => Some(ty.name().as_bytes()),
    }
}

fn category(view: &View<'_>) -> &'static str {
    let info = view.event.ty.info();
    match info.category {
        // Some categories also contain the source of the event.
        Category::Unknown if info.classes.contains(&Class::Internal) => "internal",
        Category::Unknown if info.classes.contains(&Class::Scheduler) => "scheduler",
        Category::Unknown if info.classes.contains(&Class::Wait) => "wait",
        Category::Unknown => "unknown",
        Category::Other => "other",
        Category::File => "file",
        Category::Net => "net",
        Category::Ipc => "IPC",
        Category::Memory => "memory",
        Category::Process => "process",
        Category::Sleep => "sleep",
        Category::System => "system",
        Category::Signal => "signal",
        Category::User => "user",
        Category::Time => "time",
        Category::Wait => "wait",
        Category::Scheduler => "scheduler",
        Category::Internal => "internal",
        Category::IoRead | Category::IoWrite | Category::IoOther => {
            match view.event_fd().map(|fd| fd.kind) {
                Some(FdKind::File | FdKind::Directory) => "file",
                Some(kind) if kind.is_ip() => "net",
                Some(
                    FdKind::Pipe
                    | FdKind::Unix { .. }
                    | FdKind::Event
                    | FdKind::Signal
                    | FdKind::Inotify
                    | FdKind::Userfaultfd,
                ) => "ipc",
                _ => "unknown",
            }
        }
    }
}

fn argument<'a>(view: &View<'a>, arg: &Arg) -> Option<Value<'a>> {
    let index = match arg {
        Arg::Param(param) => param.position(view.event)?,
        Arg::Index(index) => usize::try_from(*index).ok()?,
        _ => return None,
    };
    (index < view.event.nparams()).then(|| {
        Value::Text(view.text(|out| {
            view.renderer().buffers(view.run.buffers).arg(index, out);
        }))
    })
}

/// The return value of a syscall; `None` for events that are not the end of one.
pub(super) fn result(view: &View<'_>) -> Option<i64> {
    let event = view.event;
    let returns = event.ty != EventType::GenericX && event.ty.is_exit() && is_syscall(event.ty);
    let value = event.param(RESULT).filter(|_| returns)?;
    match value.len() {
        4 | 8 => event.i64(RESULT),
        _ => Some(0),
    }
}

fn failures<'a>(view: &View<'_>) -> Option<Value<'a>> {
    result(view).map(|result| Value::Uint(u64::from(result < 0)))
}

#[derive(PartialEq)]
enum Topic {
    File,
    Net,
    Memory,
    Other,
}

/// The type of the fd of a call, or of the fd that it was to create.
fn topic(view: &View<'_>) -> Topic {
    match view.event_fd() {
        Some(fd) => match fd.kind {
            FdKind::File | FdKind::Directory => Topic::File,
            kind if kind.is_ip() || matches!(kind, FdKind::Unix { .. }) => Topic::Net,
            _ => Topic::Other,
        },
        None => match view.event.ty {
            EventType::SyscallOpenX
            | EventType::SyscallCreatX
            | EventType::SyscallOpenat_2X
            | EventType::SyscallOpenat2X
            | EventType::SyscallOpenByHandleAtX => Topic::File,
            EventType::SocketAccept_5X
            | EventType::SocketAccept4_6X
            | EventType::SocketConnectX => Topic::Net,
            ty if ty.info().category == Category::Memory => Topic::Memory,
            _ => Topic::Other,
        },
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Io {
    Read,
    Write,
    Other,
}

/// Bytes transferred, for calls of these directions on fds of this type.
fn io_bytes<'a>(
    view: &View<'_>,
    directions: &[Io],
    is_kind: impl Fn(&FdKind) -> bool,
) -> Option<Value<'a>> {
    let direction = match view.event.ty.info().category {
        Category::IoRead => Io::Read,
        Category::IoWrite => Io::Write,
        Category::IoOther => Io::Other,
        _ => return None,
    };
    let wanted = directions.contains(&direction) && is_kind(&view.event_fd()?.kind);
    let moved = result(view).filter(|_| wanted)?;
    u64::try_from(moved).ok().map(Value::Uint)
}

fn any_fd(_: &FdKind) -> bool {
    true
}

fn is_file(kind: &FdKind) -> bool {
    matches!(kind, FdKind::File)
}

const O_RDONLY: u32 = 1 << 0;
const O_WRONLY: u32 = 1 << 1;
const O_CREAT: u32 = 1 << 2;
const O_TMPFILE: u32 = 1 << 13;
const O_F_CREATED: u32 = 1 << 14;
/// Any execute bit.
const S_IXALL: u32 = 0o111;

/// Flags and mode of a call of the open family: positions of its parameters.
pub(crate) fn open_params(ty: EventType) -> Option<(usize, Option<usize>)> {
    match ty {
        EventType::SyscallOpenX => Some((2, Some(3))),
        EventType::SyscallOpenat_2X | EventType::SyscallOpenat2X => Some((3, Some(4))),
        EventType::SyscallOpenByHandleAtX => Some((2, None)),
        _ => None,
    }
}

fn open_flags(view: &View<'_>) -> u32 {
    open_params(view.event.ty).and_then(|(flags, _)| view.event.u32(flags)).unwrap_or_default()
}

fn creates(view: &View<'_>) -> bool {
    let flags = open_flags(view);
    flags & O_F_CREATED != 0
        || flags & O_TMPFILE != 0 && result(view).is_some_and(|result| result >= 0)
}

fn opens_executable(view: &View<'_>) -> bool {
    let mode = match view.event.ty {
        EventType::SyscallCreatX => Some(2),
        ty if open_flags(view) & (O_CREAT | O_TMPFILE) != 0 => {
            open_params(ty).and_then(|(_, mode)| mode)
        }
        _ => None,
    };
    mode.and_then(|mode| view.event.u32(mode)).is_some_and(|mode| mode & S_IXALL != 0)
}

/// Names of the parameters for the directory fd and the path.
fn at_params(ty: EventType, which: WhichPath) -> Option<(&'static str, &'static str)> {
    Some(match (ty, which) {
        (EventType::SyscallRenameatX | EventType::SyscallRenameat2X, WhichPath::First) => {
            ("olddirfd", "oldpath")
        }
        (EventType::SyscallRenameatX | EventType::SyscallRenameat2X, WhichPath::Second) => {
            ("newdirfd", "newpath")
        }
        (EventType::SyscallLinkat_2X, WhichPath::First) => ("olddir", "oldpath"),
        (EventType::SyscallLinkat_2X, WhichPath::Second) => ("newdir", "newpath"),
        (EventType::SyscallSymlinkatX, _) => ("linkdirfd", "linkpath"),
        (EventType::SyscallOpenat_2X | EventType::SyscallOpenat2X, _) => ("dirfd", "name"),
        (EventType::SyscallUnlinkat_2X, _) => ("dirfd", "name"),
        (EventType::SyscallMkdiratX, _) => ("dirfd", "path"),
        (EventType::SyscallFchmodatX, _) => ("dirfd", "filename"),
        (EventType::SyscallFchownatX, _) => ("dirfd", "pathname"),
        _ => return None,
    })
}

fn abspath<'a>(view: &View<'a>, arg: &Arg) -> Option<Value<'a>> {
    let event = view.event;
    let thread = view.thread()?;
    let which = if let Arg::Path(which) = *arg { which } else { WhichPath::First };
    if event.ty == EventType::SyscallOpenByHandleAtX {
        let opened = result(view)? > 0;
        let name = event.text(open_by_handle_at::PATH).filter(|_| opened)?;
        return Some(Value::Text(view.text(|out| path::normalize(name, out))));
    }
    let (dirfd, name) = at_params(event.ty, which)?;
    let dirfd = event.i64(event.param_index(dirfd)?)?;
    let name = event.param(event.param_index(name)?).filter(|name| !name.is_empty())?;
    let name = raw::text(name);
    let dir = match view.state.fd(thread, dirfd) {
        _ if dirfd == AT_FDCWD => view.state.cwd(thread),
        None => b"<UNKNOWN>/",
        Some(dir) => view.text(|out| {
            out.extend_from_slice(&dir.name);
            out.push(b'/');
        }),
    };
    Some(Value::Text(view.text(|out| path::join(dir, name, out))))
}

/// A part of the description of an event of old captures: `Event:create;ID:8c4d…;name:web`.
fn infrastructure<'a>(view: &View<'a>, key: &[u8], longest: usize) -> Option<Value<'a>> {
    let event = view.event;
    let infrastructure = event.ty == EventType::InfrastructureEventE;
    let text = event.text(infrastructure_event_e::DESCRIPTION).filter(|_| infrastructure)?;
    let part = text.split(|&b| b == b';').map(<[u8]>::trim_ascii).find(|p| p.starts_with(key))?;
    let colon = part.iter().position(|&b| b == b':')?;
    let value = part.get(colon + 1..)?.trim_ascii();
    Some(Value::Text(value.get(..longest).unwrap_or(value)))
}

/// An image without its digest.
fn image(value: Value<'_>) -> Value<'_> {
    match value {
        Value::Text(text) => {
            let end = text.iter().position(|&b| b == b'@').unwrap_or(text.len());
            Value::Text(text.get(..end).unwrap_or(text))
        }
        other => other,
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
