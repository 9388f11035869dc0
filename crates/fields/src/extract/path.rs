//! Class `fs.path`: the paths of an event, made absolute. Which parameter holds a path, and which
//! one the directory that it is relative to, stands in the table of events.

use peregrine_event::params::RESULT;
use peregrine_event::render::AT_FDCWD;
use peregrine_event::{EventFlags, EventPaths, EventType, PathBase, PathParam, path};
use peregrine_filter::Value;
use peregrine_state::{FdKind, Thread};

use super::common::NA;
use super::fd::{self, UNKNOWN, slashed};
use super::raw;
use crate::table::FsPath;
use crate::view::View;

pub(crate) fn value<'a>(view: &View<'a>, field: FsPath) -> Option<Value<'a>> {
    let paths = &view.event.ty.info().paths;
    if !acts(view, paths) {
        return None;
    }
    let of_two = is_of_two(view, paths);
    let (path, resolve) = match field {
        FsPath::Name if !of_two => (paths.path?, true),
        FsPath::NameRaw if !of_two => (paths.path?, false),
        FsPath::Source if of_two => (paths.source?, true),
        FsPath::SourceRaw if of_two => (paths.source?, false),
        FsPath::Target if of_two => (paths.target?, true),
        FsPath::TargetRaw if of_two => (paths.target?, false),
        _ => return None,
    };
    let text = if resolve { resolved(view, paths, path)? } else { given(view, path)? };
    Some(Value::Text(text))
}

/// Names of the parameters that hold the paths of events of this type: of a single path, or of the
/// source and the target. Empty for events without paths, and for those whose path is that of an
/// fd.
pub fn path_params(ty: EventType) -> Vec<&'static str> {
    let info = ty.info();
    let EventPaths { path, source, target } = info.paths;
    let all = if path.is_some() { [path, None] } else { [source, target] };
    let all = all.into_iter().flatten().filter(|path| path.base != PathBase::Fd);
    all.filter_map(|path| Some(info.params.get(usize::from(path.param))?.name)).collect()
}

/// Whether events of this type have paths.
pub(crate) fn has_paths(ty: EventType) -> bool {
    ty.info().paths != EventPaths::NONE
}

/// Whether the event acts on a source and a target.
fn is_of_two(view: &View<'_>, paths: &EventPaths) -> bool {
    let sent = |path: PathParam| view.event.param(path.param.into()).is_some();
    paths.path.is_none() || paths.target.is_some_and(sent)
}

/// Whether the event acts on its paths. Calls that fail do not, but for those that open a file: the
/// attempt counts.
fn acts(view: &View<'_>, paths: &EventPaths) -> bool {
    if *paths == EventPaths::NONE {
        return false;
    }
    let event = view.event;
    // It is sent with a path only if it succeeded.
    if event.ty == EventType::GenericX {
        return event.nparams() > usize::from(event.ty.info().format_params);
    }
    if opens(event.ty) {
        return event.i64(RESULT).is_some();
    }
    event.param_index("res").and_then(|res| event.i64(res)) == Some(0)
}

fn opens(ty: EventType) -> bool {
    ty.info().flags.contains(EventFlags::CREATES_FD)
}

/// A path as the program gave it.
fn given<'a>(view: &View<'a>, path: PathParam) -> Option<&'a [u8]> {
    if path.base == PathBase::Fd {
        return fd::name(view);
    }
    let bytes = view.event.param(path.param.into())?;
    let is_fd = matches!(path.base, PathBase::Dir(_)) && bytes.is_empty() && !opens(view.event.ty);
    // A call that succeeds without a path acts on what the fd refers to.
    Some(if is_fd { b"" } else { raw::text(bytes) })
}

/// A path made absolute and tidied.
fn resolved<'a>(view: &View<'a>, paths: &EventPaths, path: PathParam) -> Option<&'a [u8]> {
    let event = view.event;
    let thread = view.thread()?;
    // The kernel knows best what it has opened.
    if opens(event.ty)
        && event.i64(RESULT).is_some_and(|fd| fd >= 0)
        && let Some(fd) = view.event_fd().filter(|fd| !fd.name.is_empty())
    {
        return Some(&fd.name);
    }
    let given = given(view, path)?;
    let dir = match path.base {
        PathBase::Fd => b"",
        _ if given.first() == Some(&b'/') => b"",
        // The kernel could not read it.
        _ if given == NA && opens(event.ty) => return None,
        PathBase::Cwd => view.state.cwd(thread),
        PathBase::Dir(param) => {
            let dirfd = event.i64(param.into())?;
            if given.is_empty() && dirfd != AT_FDCWD {
                return Some(&view.state.fd(thread, dirfd)?.name);
            }
            directory(view, thread, dirfd)
        }
        PathBase::Link => {
            let link = resolved(view, paths, paths.source?)?;
            let end = link.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
            link.get(..end).unwrap_or_default()
        }
    };
    Some(view.text(|out| path::join(dir, given, out)))
}

/// The directory that an fd refers to, with a slash at its end.
fn directory<'a>(view: &View<'a>, thread: &'a Thread, dirfd: i64) -> &'a [u8] {
    if dirfd == AT_FDCWD {
        return view.state.cwd(thread);
    }
    match view.state.fd(thread, dirfd) {
        // A directory that is opened without O_DIRECTORY looks like a file.
        Some(fd) if matches!(fd.kind, FdKind::Directory | FdKind::File) => slashed(view, &fd.name),
        _ => UNKNOWN,
    }
}
