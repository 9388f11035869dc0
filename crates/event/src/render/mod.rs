//! Parameters as text, the way alerts print them.
//!
//! A parameter has two texts: its value (`3`, `-2`, `65`) and what that stands for
//! (`<f>/etc/passwd`, `ENOENT`, `O_CREAT|O_RDWR`), which may be empty. `evt.args` prints both,
//! `evt.arg` the second where there is one, else the first. What a value stands for may depend on
//! the state of the machine, which [`Names`] supplies.
//!
//! ```
//! use peregrine_event::render::{NoNames, Renderer};
//! use peregrine_event::{Builder, Event, EventType};
//! let mut bytes = Vec::new();
//! Builder::new(EventType::SyscallCloseX, 0, 1).i64(-9).i64(3).finish(&mut bytes)?;
//! let event = Event::parse(&bytes, 0).unwrap();
//! let renderer = Renderer::new(&event, &NoNames);
//!
//! let mut out = Vec::new();
//! renderer.args(&mut out);
//! assert_eq!(out, b"res=-9(EBADF) fd=3");
//!
//! out.clear();
//! renderer.arg(0, &mut out);
//! assert_eq!(out, b"EBADF");
//! # Ok::<(), peregrine_event::BuildError>(())
//! ```

mod buffer;
mod flags;
mod json;
mod number;
mod socket;
#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::io::Write;

use crate::event_type::{is_syscall, syscall_name};
use crate::names::{errno_name, signal_name};
use crate::param::{Param, ParamError, chosen};
use crate::table::{Extra, Format, ParamInfo};
use crate::types::ParamType;
use crate::{Event, EventType, path};

pub use buffer::{base64, dots};
pub use json::{json_escape, json_string};
pub use number::decimal;
pub use socket::{ip, sockaddr, socktuple};

/// The directory fd that means the current directory of the thread.
pub const AT_FDCWD: i64 = -100;

/// What the texts of an event need to know of the machine, at the time of the event.
pub trait Names {
    /// What the fd of the event's thread refers to.
    fn fd(&self, fd: i64) -> Option<FdName<'_>>;

    /// Name of the command that a thread runs.
    fn comm(&self, tid: i64) -> Option<&[u8]>;

    /// Name of a user.
    fn user(&self, uid: u32) -> Option<&[u8]>;

    /// Name of a group.
    fn group(&self, gid: u32) -> Option<&[u8]>;

    /// Current directory of the event's process, `None` when the thread is unknown. Paths and fds
    /// stand for nothing else then.
    fn cwd(&self) -> Option<&[u8]>;

    /// Appends the path of a directory that the event's thread has open, with a slash at its end.
    /// Nothing when it is unknown.
    fn dir(&self, fd: i64, out: &mut Vec<u8>) {
        let name = self.fd(fd).map_or(&b""[..], |fd| fd.name);
        out.extend_from_slice(name);
        if name.last().is_some_and(|&last| last != b'/') {
            out.push(b'/');
        }
    }

    /// Seconds that local time is ahead of UTC at a time given in seconds since the epoch.
    fn utc_offset(&self, _seconds: i64) -> i32 {
        0
    }
}

/// What an fd refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FdName<'a> {
    /// Letter of its type, as `fd.typechar` has it.
    pub ty: u8,
    /// Letter of the protocol of an IP socket where it is known: `t`, `u`, `i` or `r`.
    pub l4proto: Option<u8>,
    /// Path or addresses.
    pub name: &'a [u8],
}

/// Names nothing: numbers stay numbers.
#[derive(Clone, Copy, Debug)]
pub struct NoNames;

impl Names for NoNames {
    fn fd(&self, _fd: i64) -> Option<FdName<'_>> {
        None
    }
    fn comm(&self, _tid: i64) -> Option<&[u8]> {
        None
    }
    fn user(&self, _uid: u32) -> Option<&[u8]> {
        None
    }
    fn group(&self, _gid: u32) -> Option<&[u8]> {
        None
    }
    fn cwd(&self) -> Option<&[u8]> {
        None
    }
}

/// How buffers (`evt.buffer`, the `data` of a read) become text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Buffers {
    /// Printable ASCII as it is, a dot for every other byte.
    #[default]
    Dots,
    /// Base64.
    Base64,
}

/// Prints the parameters of one event. All methods append to `out`.
#[derive(Clone, Copy)]
pub struct Renderer<'a> {
    event: &'a Event<'a>,
    names: &'a dyn Names,
    buffers: Buffers,
}

impl<'a> Renderer<'a> {
    /// A renderer for this event.
    pub fn new(event: &'a Event<'a>, names: &'a dyn Names) -> Self {
        Self { event, names, buffers: Buffers::default() }
    }

    /// Prints buffers in another form.
    #[must_use]
    pub fn buffers(self, buffers: Buffers) -> Self {
        Self { buffers, ..self }
    }

    /// All parameters, as `evt.args` prints them: `res=-2(ENOENT) path=a(/tmp/a)`. Nothing for
    /// syscalls that have no event of their own.
    pub fn args(&self, out: &mut Vec<u8>) {
        if self.event.ty == EventType::GenericX {
            return;
        }
        for (index, info) in self.params().enumerate() {
            if index > 0 {
                out.push(b' ');
            }
            out.extend_from_slice(info.name.as_bytes());
            out.push(b'=');
            self.value(index, out);
            let open = out.len();
            out.push(b'(');
            self.meaning(index, out);
            if out.len() > open + 1 {
                out.push(b')');
            } else {
                out.truncate(open);
            }
        }
    }

    /// One parameter, as `evt.arg` prints it: what it stands for, or else its value. Returns
    /// whether the event has the parameter.
    pub fn arg(&self, index: usize, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        self.meaning(index, out);
        if out.len() == start {
            self.value(index, out);
        }
        index < self.event.nparams()
    }

    /// The value of a parameter alone.
    pub fn value(&self, index: usize, out: &mut Vec<u8>) {
        let (Some(info), Some(bytes)) = (self.info(index), self.event.param(index)) else { return };
        if bytes.is_empty() {
            return out.extend_from_slice(empty(info.ty));
        }
        match chosen(info, bytes).and_then(|(ty, bytes)| Ok((ty, Param::decode(ty, bytes)?))) {
            Ok((ty, value)) => self.put_value(ty, info.format, value, out),
            Err(error) => out.extend_from_slice(malformed(error, bytes)),
        }
    }

    /// What the value of a parameter stands for; nothing where it stands for itself.
    pub fn meaning(&self, index: usize, out: &mut Vec<u8>) {
        let (Some(info), Some(Ok(value))) = (self.info(index), self.event.value(index)) else {
            return;
        };
        match value {
            Param::Fd(fd) => self.put_fd(fd, out),
            Param::Errno(result) => put(out, errno_name(result)),
            Param::Pid(tid) => out.extend_from_slice(self.names.comm(tid).unwrap_or_default()),
            Param::Path(path) => self.put_path(info, path, out),
            Param::Syscall(0) => out.extend_from_slice(b"unknown"),
            Param::Syscall(code) => put(out, syscall_name(code)),
            Param::Signal(signal) => put(out, signal_name(signal)),
            Param::Duration(u64::MAX) => {}
            Param::Duration(ns) => {
                number::general(ns as f64 / 1e9, out);
                out.push(b's');
            }
            Param::Flags(bits) => flags::bits(table(info), bits, out),
            Param::Enum(value) => flags::one(table(info), value, out),
            Param::Mode(mode) => flags::mode(table(info), mode, out),
            Param::Uid(u32::MAX) | Param::Gid(u32::MAX) => out.extend_from_slice(b"<NONE>"),
            Param::Uid(uid) => out.extend_from_slice(known(self.names.user(uid))),
            Param::Gid(gid) => out.extend_from_slice(known(self.names.group(gid))),
            _ => {}
        }
    }

    fn put_value(&self, ty: ParamType, format: Format, value: Param<'_>, out: &mut Vec<u8>) {
        match value {
            Param::Int(value) => number::signed(value, width(ty), format, out),
            Param::Uint(value) => number::signed(value as i64, width(ty), format, out),
            Param::Mode(mode) => number::signed(mode.into(), 4, format, out),
            Param::Errno(value) | Param::Fd(value) | Param::Pid(value) => display(value, out),
            Param::Flags(value) | Param::Enum(value) => display(value, out),
            Param::Uid(id) | Param::Gid(id) => display(id as i32, out),
            Param::Text(text) | Param::Path(text) => out.extend_from_slice(null(text)),
            Param::Bytes(bytes) => match self.buffers {
                Buffers::Dots => dots(bytes, out),
                Buffers::Base64 => base64(bytes, out),
            },
            Param::Sockaddr(address) => sockaddr(&address, out),
            Param::Socktuple(tuple) => socktuple(&tuple, out),
            Param::Fdlist(fds) => self.put_fds(fds.iter(), out),
            Param::Syscall(code) if !is_syscall(code) => display("<unknown syscall>", out),
            Param::Syscall(code) => display(code, out),
            Param::Signal(signal) => display(signal, out),
            Param::Signals(set) => put_signals(set, out),
            Param::Duration(u64::MAX) => display("none", out),
            Param::Duration(ns) => display(ns, out),
            Param::Time(ns) => self.put_time(ns, out),
            Param::Texts(texts) => put_joined(texts.iter(), b'.', out, |text, out| {
                out.extend_from_slice(text);
            }),
            Param::Pairs(texts) => put_joined(texts.pairs(), b',', out, |(name, value), out| {
                out.extend_from_slice(name);
                out.push(b':');
                out.extend_from_slice(value.unwrap_or_default());
            }),
            // Only events that list the machine at start have these types, and they are never
            // printed.
            Param::Port(_)
            | Param::L4proto(_)
            | Param::Sockfamily(_)
            | Param::Bool(_)
            | Param::Ip(_)
            | Param::Double(_) => display("(n.a.)", out),
            Param::Empty => {}
        }
    }

    fn put_fd(&self, fd: i64, out: &mut Vec<u8>) {
        if self.names.cwd().is_none() {
            // An fd of an unknown thread is a number, whatever its value.
        } else if fd == AT_FDCWD {
            out.extend_from_slice(b"AT_FDCWD");
        } else if fd < 0 {
            put(out, errno_name(fd));
        } else if let Some(fd) = self.names.fd(fd) {
            out.push(b'<');
            out.push(fd.ty);
            out.extend(fd.l4proto);
            out.push(b'>');
            out.extend_from_slice(fd.name);
        }
    }

    fn put_fds(&self, fds: impl Iterator<Item = (i64, i16)>, out: &mut Vec<u8>) {
        put_joined(fds, b' ', out, |(fd, flags), out| {
            let ty = self.names.fd(fd).map_or(b'?', |fd| fd.ty);
            let _ = write!(out, "{}:{}{:x}", fd as u64, char::from(ty), i32::from(flags));
        });
    }

    fn put_path(&self, info: &ParamInfo, path: &[u8], out: &mut Vec<u8>) {
        if matches!(path.first(), None | Some(b'/')) || null(path) == NA {
            return;
        }
        let Some(cwd) = self.names.cwd() else { return };
        let base = out.len();
        match self.dir_fd(info) {
            None | Some(AT_FDCWD) => out.extend_from_slice(cwd),
            Some(fd) => self.names.dir(fd, out),
        }
        path::join_at(base, path, out);
    }

    /// The fd of the directory that a path is relative to, where the event says it.
    fn dir_fd(&self, info: &ParamInfo) -> Option<i64> {
        let Extra::DirFd(index) = info.extra else { return None };
        match self.event.value(usize::from(index)) {
            Some(Ok(Param::Fd(fd))) => Some(fd),
            _ => None,
        }
    }

    fn put_time(&self, ns: u64, out: &mut Vec<u8>) {
        let seconds = (ns / 1_000_000_000) as i64;
        number::date_time(seconds, self.names.utc_offset(seconds), out);
        let _ = write!(out, ".{:09}", ns % 1_000_000_000);
    }

    fn info(&self, index: usize) -> Option<&'static ParamInfo> {
        self.event.ty.info().params.get(index)
    }

    fn params(&self) -> impl Iterator<Item = &'static ParamInfo> {
        self.event.ty.info().params.iter().take(self.event.nparams())
    }
}

const NA: &[u8] = b"<NA>";

/// Text of a parameter that was sent without a value.
fn empty(ty: ParamType) -> &'static [u8] {
    match ty {
        ParamType::Bytebuf
        | ParamType::Socktuple
        | ParamType::Fdlist
        | ParamType::Charbufarray
        | ParamType::CharbufPairArray
        | ParamType::Dyn => b"NULL",
        _ => NA,
    }
}

fn malformed(error: ParamError, bytes: &[u8]) -> &'static [u8] {
    match error {
        ParamError::Alternative(_) => b"INVALID DYNAMIC PARAMETER",
        ParamError::Length { ty: ParamType::Sockaddr | ParamType::Socktuple, .. } => {
            socket::malformed(bytes)
        }
        _ => NA,
    }
}

/// Old captures hold this text where there was none.
fn null(text: &[u8]) -> &[u8] {
    if text == b"(NULL)" { NA } else { text }
}

fn known(name: Option<&[u8]>) -> &[u8] {
    name.filter(|name| !name.is_empty()).unwrap_or(NA)
}

fn display(value: impl Display, out: &mut Vec<u8>) {
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{value}");
}

fn put(out: &mut Vec<u8>, text: Option<&str>) {
    out.extend_from_slice(text.unwrap_or_default().as_bytes());
}

fn put_joined<T>(
    items: impl Iterator<Item = T>,
    separator: u8,
    out: &mut Vec<u8>,
    mut write: impl FnMut(T, &mut Vec<u8>),
) {
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(separator);
        }
        write(item, out);
    }
}

fn put_signals(set: u32, out: &mut Vec<u8>) {
    let names = (1..=32).filter(|signal| set & 1 << (signal - 1) != 0).filter_map(signal_name);
    put_joined(names, b' ', out, |name, out| put(out, Some(name)));
}

fn table(info: &ParamInfo) -> crate::FlagTable {
    match info.extra {
        Extra::Flags(table) => table,
        _ => &[],
    }
}

/// Bytes of the number that is printed. Narrow ones are widened to four.
fn width(ty: ParamType) -> usize {
    if matches!(ty, ParamType::Int64 | ParamType::Uint64) { 8 } else { 4 }
}
