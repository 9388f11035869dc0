//! Class `fs.path`.

use peregrine_event::params::{
    syscall_open_x as open, syscall_openat_2_x as openat, syscall_openat2_x as openat2,
    syscall_renameat2_x as renameat2,
};
use peregrine_event::{EventType, path};
use peregrine_filter::Value;
use peregrine_state::FdKind;

use super::fd::{UNKNOWN, directory, name, slashed};
use super::raw;
use crate::table::FsPath;
use crate::view::View;

peregrine_event::same_params!(open, openat, openat2: FD);

/// Where an event has a path.
#[derive(Clone, Copy)]
enum PathSource {
    /// In the parameter of this name.
    Param(&'static str),
    /// It is the name of its fd.
    Fd,
}

/// The paths of an event.
enum Paths {
    One(PathSource),
    Two { source: PathSource, target: PathSource },
}

pub(crate) fn value<'a>(view: &View<'a>, field: FsPath) -> Option<Value<'a>> {
    let paths = paths(view.event.ty).filter(|_| succeeded(view))?;
    let (place, resolve) = match (field, paths) {
        (FsPath::Name, Paths::One(place)) => (place, true),
        (FsPath::NameRaw, Paths::One(place)) => (place, false),
        (FsPath::Source, Paths::Two { source, .. }) => (source, true),
        (FsPath::SourceRaw, Paths::Two { source, .. }) => (source, false),
        (FsPath::Target, Paths::Two { target, .. }) => (target, true),
        (FsPath::TargetRaw, Paths::Two { target, .. }) => (target, false),
        _ => return None,
    };
    let given = match place {
        PathSource::Fd => name(view)?,
        PathSource::Param(param) => {
            let bytes = view.event.param(view.event.param_index(param)?)?;
            raw::text(bytes)
        }
    };
    Some(Value::Text(if resolve { resolved(view, field, given)? } else { given }))
}

/// Names of the parameters that hold the paths of events of this type: of a single path, or of the
/// source and the target. Empty for events without paths, and for those whose path is that of an
/// fd.
pub fn path_params(ty: EventType) -> Vec<&'static str> {
    let all = match paths(ty) {
        Some(Paths::One(place)) => vec![place],
        Some(Paths::Two { source, target }) => vec![source, target],
        None => Vec::new(),
    };
    let name = |place| match place {
        PathSource::Param(name) => Some(name),
        PathSource::Fd => None,
    };
    all.into_iter().filter_map(name).collect()
}

/// Whether events of this type have paths.
pub(crate) fn has_paths(ty: EventType) -> bool {
    paths(ty).is_some()
}

/// The paths of events of this type.
fn paths(ty: EventType) -> Option<Paths> {
    let one = |param| Some(Paths::One(PathSource::Param(param)));
    let two = |source, target| {
        Some(Paths::Two { source: PathSource::Param(source), target: PathSource::Param(target) })
    };
    match ty {
        EventType::SyscallMkdir_2X
        | EventType::SyscallMkdiratX
        | EventType::SyscallRmdir_2X
        | EventType::SyscallUnlink_2X
        | EventType::SyscallChownX
        | EventType::SyscallLchownX => one("path"),
        EventType::SyscallUnlinkat_2X
        | EventType::SyscallOpenX
        | EventType::SyscallOpenat_2X
        | EventType::SyscallOpenat2X
        | EventType::SyscallUmount_1X
        | EventType::SyscallUmount2X => one("name"),
        EventType::SyscallFchmodatX | EventType::SyscallChmodX => one("filename"),
        EventType::SyscallFchownatX => one("pathname"),
        EventType::SyscallQuotactlX => one("special"),
        EventType::SyscallFchmodX | EventType::SyscallFchownX => Some(Paths::One(PathSource::Fd)),
        EventType::SyscallRenameX | EventType::SyscallRenameatX | EventType::SyscallRenameat2X => {
            two("oldpath", "newpath")
        }
        // The source of a link is the new path.
        EventType::SyscallLink_2X | EventType::SyscallLinkat_2X => two("newpath", "oldpath"),
        EventType::SyscallSymlinkX | EventType::SyscallSymlinkatX => two("linkpath", "target"),
        EventType::SyscallMountX => two("dev", "dir"),
        _ => None,
    }
}

/// Whether the call succeeded.
fn succeeded(view: &View<'_>) -> bool {
    let event = view.event;
    match event.ty {
        // Falco takes only -1 as a failure here, so that other errors show a path.
        EventType::SyscallOpenX | EventType::SyscallOpenat_2X | EventType::SyscallOpenat2X => {
            event.i64(open::FD).is_some_and(|fd| fd != -1)
        }
        _ => event.param_index("res").and_then(|res| event.i64(res)) == Some(0),
    }
}

/// The absolute path.
fn resolved<'a>(view: &View<'a>, field: FsPath, given: &'a [u8]) -> Option<&'a [u8]> {
    let event = view.event;
    let thread = view.thread()?;
    let mut given = given;
    let dir = match event.ty {
        _ if given.first() == Some(&b'/') => b"",
        EventType::SyscallOpenat_2X | EventType::SyscallOpenat2X => {
            given = view.event_fd().map_or(UNKNOWN, |fd| &fd.name);
            b""
        }
        // The fd of these events is the directory.
        EventType::SyscallFchownatX
        | EventType::SyscallFchmodatX
        | EventType::SyscallMkdiratX
        | EventType::SyscallUnlinkat_2X => fd_directory(view),
        EventType::SyscallSymlinkatX if field == FsPath::Source => fd_directory(view),
        EventType::SyscallSymlinkatX => UNKNOWN,
        EventType::SyscallRenameat2X => {
            let target = field == FsPath::Target;
            let dirfd = if target { renameat2::NEWDIRFD } else { renameat2::OLDDIRFD };
            directory(view, thread, event.i64(dirfd)?)
        }
        _ => view.state.cwd(thread),
    };
    Some(view.text(|out| path::join(dir, given, out)))
}

/// The directory that is the fd of the event, with a slash at its end.
fn fd_directory<'a>(view: &View<'a>) -> &'a [u8] {
    match view.event_fd() {
        Some(fd) if fd.kind == FdKind::Directory => slashed(view, &fd.name),
        _ => UNKNOWN,
    }
}
