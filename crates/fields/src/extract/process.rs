//! Class `process`.

use std::io::Write;

use peregrine_event::EventType;
use peregrine_event::params::procinfo_e as procinfo;
use peregrine_filter::{OutputKind, OutputValue, Value};
use peregrine_state::{Texts, Thread};

use super::common::{flag, known};
use super::lineage::{each, joined, leader_of};
use crate::table::Process;
use crate::view::View;
use crate::vocabulary::Arg;

pub(crate) fn value<'a>(view: &View<'a>, field: Process, arg: &Arg) -> Option<Value<'a>> {
    let event = view.event;
    match field {
        Process::Tid => return id(event.tid),
        Process::ExecTime => return Some(Value::Uint(view.context.exec_time)),
        _ => {}
    }
    let thread = view.thread()?;
    let exec = &*thread.exec;
    let text = |text: &'a [u8]| Some(Value::Text(text));
    let parent = || view.state.ancestor(thread, 1);
    match field {
        Process::Tid | Process::ExecTime => None,
        Process::Exe => text(&exec.exe),
        Process::ParentExe => text(&parent()?.exec.exe),
        Process::AncestorExe => ancestor(view, thread, arg, |t| text_of(&t.exec.exe)),
        Process::Exepath => text(&exec.exepath),
        Process::ParentExepath => text(&parent()?.exec.exepath),
        Process::AncestorExepath => ancestor(view, thread, arg, |t| text_of(&t.exec.exepath)),
        Process::Name => text(thread.comm()),
        Process::ParentName => text(parent()?.comm()),
        Process::AncestorName => ancestor(view, thread, arg, |t| text_of(t.comm())),
        Process::Args => match *arg {
            Arg::Index(index) => text(argument(&exec.args, index)),
            _ => text(exec.args_text()),
        },
        Process::AncestorArgs => match *arg {
            Arg::Index(_) => ancestor(view, thread, arg, |t| text_of(t.exec.args_text())),
            _ => joined(view, thread, |t| t.exec.args_text()),
        },
        Process::Cmdline => text(exec.cmdline()),
        Process::ParentCmdline => text(parent()?.exec.cmdline()),
        Process::AncestorCmdline => ancestor(view, thread, arg, |t| text_of(t.exec.cmdline())),
        Process::Cmdnargs => Some(Value::Uint(exec.args.len() as u64)),
        Process::Cmdlenargs => {
            Some(Value::Uint(exec.args.iter().map(|arg| arg.len() as u64).sum()))
        }
        Process::Exeline => text(view.text(|out| {
            out.extend_from_slice(&exec.exe);
            out.push(b' ');
            out.extend_from_slice(exec.args_text());
        })),
        Process::Env => match arg {
            Arg::Text(name) => text(variable(view.state.env(thread), name)),
            _ => Some(environment(view, thread)),
        },
        Process::AncestorEnv => match arg {
            Arg::Text(name) => text(inherited_variable(view, thread, name)),
            _ => each(view, thread, |t| environment(view, t)),
        },
        Process::Cwd => text(view.state.cwd(thread)),
        Process::LoginShellId => login_shell(view, thread),
        Process::Tty => Some(Value::Uint(thread.tty.into())),
        Process::Pid => id(thread.pid),
        Process::Ppid => id(parent()?.pid),
        Process::AncestorPid => match arg {
            Arg::Index(index) => id(above(view, thread, *index)?.pid),
            _ => each(view, thread, |t| Value::Int(t.pid)),
        },
        Process::Vpid => (thread.vpid != -1).then_some(Value::Int(thread.vpid)),
        Process::ParentVpid => Some(Value::Int(view.state.parent(thread)?.vpid)),
        Process::Sid => Some(Value::Int(thread.sid)),
        Process::SidName => leader_text(view, thread, Session::Sid, Thread::comm),
        Process::SidExe => leader_text(view, thread, Session::Sid, |t| &t.exec.exe),
        Process::SidExepath => leader_text(view, thread, Session::Sid, |t| &t.exec.exepath),
        Process::Vpgid => Some(Value::Int(thread.vpgid)),
        Process::VpgidName => leader_text(view, thread, Session::Vpgid, Thread::comm),
        Process::VpgidExe => leader_text(view, thread, Session::Vpgid, |t| &t.exec.exe),
        Process::VpgidExepath => leader_text(view, thread, Session::Vpgid, |t| &t.exec.exepath),
        Process::Pgid => Some(Value::Int(thread.pgid)),
        Process::PgidName => leader_text(view, thread, Session::Pgid, Thread::comm),
        Process::PgidExe => leader_text(view, thread, Session::Pgid, |t| &t.exec.exe),
        Process::PgidExepath => leader_text(view, thread, Session::Pgid, |t| &t.exec.exepath),
        Process::Duration => age(view, thread),
        // The age of a parent that started before the capture is unknown.
        Process::ParentDuration => age(view, parent()?),
        Process::StartTs => known(thread.clone_ts),
        Process::ParentStartTs => Some(Value::Uint(view.state.parent(thread)?.clone_ts)),
        Process::IsExeWritable => flag(exec.exe_writable),
        Process::IsExeUpperLayer => flag(exec.exe_upper_layer),
        Process::IsExeLowerLayer => flag(exec.exe_lower_layer),
        Process::IsExeFromMemfd => flag(exec.exe_from_memfd),
        Process::IsSidLeader => flag(thread.sid == thread.vpid),
        Process::IsVpgidLeader => flag(thread.vpgid == thread.vpid),
        Process::IsPgidLeader => flag(thread.pgid == thread.pid),
        Process::ExeIno => (exec.exe_ino != 0).then_some(Value::Int(exec.exe_ino.cast_signed())),
        Process::ExeInoCtime => known(exec.exe_ino_ctime),
        Process::ExeInoMtime => known(exec.exe_ino_mtime),
        Process::ExeInoCtimeToStart => known(thread.exe_ino_ctime_duration_clone_ts),
        Process::ExeInoCtimeFromPidns => known(thread.exe_ino_ctime_duration_pidns_start),
        Process::PidnsStartTs => known(thread.pidns_init_start_ts),
        Process::CapPermitted => Some(capabilities(view, thread.cap_permitted)),
        Process::CapInheritable => Some(capabilities(view, thread.cap_inheritable)),
        Process::CapEffective => Some(capabilities(view, thread.cap_effective)),
        Process::FdOpenCount => Some(Value::Uint(view.state.fd_count(thread) as u64)),
        Process::FdLimit => Some(Value::Int(view.state.fdlimit(thread))),
        Process::FdUsage => Some(Value::Double(fd_usage(view, thread))),
        Process::VmSize => Some(Value::Uint(view.state.usage(thread).vmsize_kb.into())),
        Process::VmRss => Some(Value::Uint(view.state.usage(thread).vmrss_kb.into())),
        Process::VmSwap => Some(Value::Uint(view.state.usage(thread).vmswap_kb.into())),
        Process::PfMajor => Some(Value::Uint(view.state.usage(thread).pfmajor)),
        Process::PfMinor => Some(Value::Uint(view.state.usage(thread).pfminor)),
        Process::IsMain => flag(thread.is_leader()),
        Process::Vtid => (thread.vtid != -1).then_some(Value::Int(thread.vtid)),
        Process::NameTid => text(view.text(|out| {
            out.extend_from_slice(thread.comm());
            // Writing to memory can't fail.
            let _ = write!(out, "{}", event.tid);
        })),
        Process::TotalExecTime => Some(Value::Uint(view.state.usage(thread).exec_time_total)),
        Process::Cgroups => {
            let cgroups = spaced(view, &thread.cgroups);
            (!cgroups.is_empty()).then_some(Value::Text(cgroups))
        }
        Process::Cgroup => match arg {
            Arg::Text(subsystem) => text(thread.cgroup(subsystem)?),
            _ => None,
        },
        Process::NThreads => Some(Value::Uint(view.state.thread_count(thread) as u64)),
        Process::NChilds => Some(Value::Uint(view.state.child_thread_count(thread) as u64)),
        Process::Cpu | Process::CpuUser | Process::CpuSystem => {
            cpu(view, thread, field).map(Value::Double)
        }
        Process::ThreadVmSize => {
            Some(Value::Uint(of_leader(thread, view.state.usage(thread).vmsize_kb)))
        }
        Process::ThreadVmRss => {
            Some(Value::Uint(of_leader(thread, view.state.usage(thread).vmrss_kb)))
        }
        Process::ThreadVmSizeBytes => {
            Some(Value::Uint(of_leader(thread, view.state.usage(thread).vmsize_kb) * 1024))
        }
        Process::ThreadVmRssBytes => {
            Some(Value::Uint(of_leader(thread, view.state.usage(thread).vmrss_kb) * 1024))
        }
        Process::StdinType => standard_type(view, thread, 0),
        Process::StdoutType => standard_type(view, thread, 1),
        Process::StderrType => standard_type(view, thread, 2),
        Process::StdinName => standard_name(view, thread, 0),
        Process::StdoutName => standard_name(view, thread, 1),
        Process::StderrName => standard_name(view, thread, 2),
    }
}

/// The value for outputs where it differs from that for conditions: all ancestors in one text, and
/// for some fields the process itself. `None` where it does not differ.
pub(crate) fn output_value<'a>(
    view: &View<'a>,
    field: Process,
    arg: &Arg,
    kind: OutputKind,
) -> Option<Option<OutputValue<'a>>> {
    let value = match (field, arg) {
        // Measured from the previous read, and JSON is rendered right after the text.
        (Process::Cpu | Process::CpuUser | Process::CpuSystem, _) if kind == OutputKind::Json => {
            let known = view.event.ty == EventType::ProcinfoE && view.thread().is_some();
            known.then_some(Value::Double(0.0))
        }
        (Process::Cpu | Process::CpuUser | Process::CpuSystem, _) => {
            view.thread().and_then(|thread| cpu(view, thread, field)).map(Value::Double)
        }
        (Process::AncestorExe, Arg::None) => {
            view.thread().and_then(|t| joined(view, t, |t| &t.exec.exe))
        }
        (Process::AncestorExepath, Arg::None) => {
            view.thread().and_then(|t| joined(view, t, |t| &t.exec.exepath))
        }
        (Process::AncestorName, Arg::None) => {
            view.thread().and_then(|t| joined(view, t, Thread::comm))
        }
        (Process::AncestorCmdline, Arg::None) => {
            view.thread().and_then(|t| joined(view, t, |t| t.exec.cmdline()))
        }
        (Process::AncestorPid, Arg::None) => {
            view.thread().and_then(|t| id(view.state.ancestor(t, 0)?.pid))
        }
        (Process::AncestorEnv, Arg::None | Arg::Index(0)) => {
            view.thread().map(|t| environment(view, t))
        }
        (Process::AncestorEnv, Arg::Index(index)) => view.thread().and_then(|thread| {
            let Some(leader) = view.state.leader(thread) else { return Some(Value::Text(b"")) };
            let ancestor = (0..*index).try_fold(leader, |t, _| view.state.parent(t))?;
            Some(environment(view, ancestor))
        }),
        _ => return None,
    };
    Some(value.map(|value| OutputValue { value, ty: None }))
}

/// The id of a process or thread; `None` for one that is not valid.
fn id<'a>(id: i64) -> Option<Value<'a>> {
    (-1..=i64::from(u32::MAX)).contains(&id).then_some(Value::Int(id))
}

fn text_of(text: &[u8]) -> Value<'_> {
    Value::Text(text)
}

/// The ancestor this many steps up.
fn above<'a>(view: &View<'a>, thread: &'a Thread, steps: u64) -> Option<&'a Thread> {
    view.state.ancestor(thread, u32::try_from(steps).ok()?)
}

/// The value of one ancestor, or of all.
fn ancestor<'a>(
    view: &View<'a>,
    thread: &'a Thread,
    arg: &Arg,
    of: impl Fn(&'a Thread) -> Value<'a>,
) -> Option<Value<'a>> {
    match *arg {
        Arg::Index(steps) => above(view, thread, steps).map(of),
        _ => each(view, thread, of),
    }
}

/// An argument by position; empty when there are fewer.
fn argument(args: &Texts, index: u64) -> &[u8] {
    usize::try_from(index).ok().and_then(|index| args.get(index)).unwrap_or_default()
}

fn environment<'a>(view: &View<'a>, thread: &'a Thread) -> Value<'a> {
    Value::Text(spaced(view, view.state.env(thread)))
}

/// Texts joined by spaces.
fn spaced<'a>(view: &View<'a>, texts: &'a Texts) -> &'a [u8] {
    view.text(|out| out.extend(texts.bytes().iter().map(|&b| if b == 0 { b' ' } else { b })))
}

/// Value of a variable without the spaces around it; empty when it is not set.
fn variable<'a>(env: &'a Texts, name: &[u8]) -> &'a [u8] {
    let value = |text: &'a [u8]| text.strip_prefix(name)?.strip_prefix(b"=");
    let value = env.iter().find_map(|text| value(text).filter(|value| !value.is_empty()));
    let value = value.unwrap_or_default();
    let is_text = |b: &u8| *b != b' ';
    let start = value.iter().position(is_text).unwrap_or(value.len());
    let end = value.iter().rposition(is_text).map_or(start, |last| last + 1);
    value.get(start..end).unwrap_or_default()
}

/// Most ancestors that are searched for a variable.
const MAX_INHERITANCE: usize = 20;

/// The value of a variable in the nearest ancestor that has it.
fn inherited_variable<'a>(view: &View<'a>, thread: &'a Thread, name: &[u8]) -> &'a [u8] {
    let Some(leader) = view.state.leader(thread) else { return b"" };
    let ancestors = std::iter::successors(view.state.parent(leader), |t| view.state.parent(t));
    ancestors
        .take(MAX_INHERITANCE)
        .map(|ancestor| variable(view.state.env(ancestor), name))
        .find(|value| !value.is_empty())
        .unwrap_or_default()
}

/// The oldest shell among a process and its ancestors.
fn login_shell<'a>(view: &View<'a>, thread: &'a Thread) -> Option<Value<'a>> {
    let leader = view.state.leader(thread)?;
    let lineage = std::iter::once(leader).chain(view.state.ancestors(leader));
    let shell = lineage.filter(|process| process.comm().ends_with(b"sh")).last()?;
    Some(Value::Int(shell.pid))
}

/// A number that several processes share.
#[derive(Clone, Copy, PartialEq)]
enum Session {
    Sid,
    Vpgid,
    Pgid,
}

/// A text of the process that leads a session or group; empty when it is gone.
fn leader_text<'a>(
    view: &View<'a>,
    thread: &'a Thread,
    session: Session,
    of: impl Fn(&'a Thread) -> &'a [u8],
) -> Option<Value<'a>> {
    let number = |thread: &Thread| match session {
        Session::Sid => thread.sid,
        Session::Vpgid => thread.vpgid,
        Session::Pgid => thread.pgid,
    };
    let host_id = if session == Session::Sid { thread.sid } else { thread.pgid };
    let leader = leader_of(view, thread, number, session == Session::Pgid, host_id);
    Some(Value::Text(leader.map(of).unwrap_or_default()))
}

/// Time since a process was started.
fn age<'a>(view: &View<'_>, thread: &Thread) -> Option<Value<'a>> {
    let since = view.event.ts.wrapping_sub(thread.clone_ts);
    (thread.clone_ts != 0).then_some(Value::Uint(since))
}

fn fd_usage(view: &View<'_>, thread: &Thread) -> f64 {
    match view.state.fdlimit(thread) {
        limit @ 1.. => (view.state.fd_count(thread) as f64 * 100.0 / limit as f64).min(100.0),
        _ => 0.0,
    }
}

/// CPU time since the previous read for the thread, in percent and at most 100. Impure: each read
/// changes the next one.
fn cpu(view: &View<'_>, thread: &Thread, field: Process) -> Option<f64> {
    if view.event.ty != EventType::ProcinfoE {
        return None;
    }
    let (user, system) = (view.event.u64(procinfo::CPU_USR)?, view.event.u64(procinfo::CPU_SYS)?);
    let time = match field {
        Process::CpuUser => user,
        Process::CpuSystem => system,
        _ => user.wrapping_add(system),
    };
    Some(view.state.cpu_since_report(thread, time).min(100) as f64)
}

/// A value of the process, reported for its main thread only.
fn of_leader(thread: &Thread, value: u32) -> u64 {
    if thread.is_leader() { value.into() } else { 0 }
}

fn standard_type<'a>(view: &View<'a>, thread: &'a Thread, fd: i64) -> Option<Value<'a>> {
    view.state.fd(thread, fd).map(|fd| Value::Text(fd.kind.type_name().as_bytes()))
}

fn standard_name<'a>(view: &View<'a>, thread: &'a Thread, fd: i64) -> Option<Value<'a>> {
    view.state.fd(thread, fd).map(|fd| Value::Text(&fd.name))
}

fn capabilities<'a>(view: &View<'a>, bits: u64) -> Value<'a> {
    Value::Text(view.text(|out| {
        for (bit, name) in CAPABILITIES.iter().enumerate() {
            if bits & 1 << bit != 0 {
                if !out.is_empty() {
                    out.push(b' ');
                }
                out.extend_from_slice(b"CAP_");
                out.extend_from_slice(name.as_bytes());
            }
        }
    }))
}

/// Names of capabilities by number, without `CAP_`.
#[rustfmt::skip]
pub static CAPABILITIES: [&str; 41] = [
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID",
    "SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW",
    "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT",
    "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD",
    "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG",
    "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE",
];
