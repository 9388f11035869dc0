//! Classes `user` and `group`.

use peregrine_event::EventType;
use peregrine_event::params::asyncevent_e;
use peregrine_filter::Value;
use peregrine_state::Thread;

use super::common::NA;
use crate::table::{Group, User};
use crate::view::View;

pub(crate) fn user<'a>(view: &View<'a>, field: User) -> Option<Value<'a>> {
    let thread = view.thread()?;
    if field == User::Name
        && let Some(user) = reported_user(view)
    {
        return Some(Value::Text(user));
    }
    let known = view.state.user(thread, thread.uid);
    // Root has a name and a home without an entry.
    let or_root = |known: Option<&'a [u8]>, root: &'static [u8]| {
        known.unwrap_or(if thread.uid == 0 { root } else { NA })
    };
    let text = match field {
        User::Uid => return Some(Value::Uint(thread.uid.into())),
        User::LoginUid => return Some(Value::Int(login_uid(thread))),
        User::Name => or_root(known.map(|user| &*user.name), b"root"),
        User::Homedir => or_root(known.map(|user| &*user.home), b"/root"),
        User::Shell => known.map_or(NA, |user| &*user.shell),
        User::LoginName => match view.state.user(thread, thread.loginuid) {
            Some(user) => &*user.name,
            None if thread.loginuid == 0 => b"root",
            None => NA,
        },
    };
    Some(Value::Text(text))
}

pub(crate) fn group<'a>(view: &View<'a>, field: Group) -> Option<Value<'a>> {
    let thread = view.thread()?;
    Some(match field {
        Group::Gid => Value::Uint(thread.gid.into()),
        Group::Name => Value::Text(match view.state.group(thread, thread.gid) {
            Some(group) => &group.name,
            None if thread.gid == 0 => b"root",
            None => NA,
        }),
    })
}

/// The login uid; -1 without a login, which the kernel reports as all ones.
fn login_uid(thread: &Thread) -> i64 {
    if thread.loginuid == u32::MAX { -1 } else { thread.loginuid.into() }
}

/// The user that an event about a container reports.
fn reported_user<'a>(view: &View<'a>) -> Option<&'a [u8]> {
    let event = view.event;
    let reports = match event.ty {
        EventType::ContainerJson_2E => true,
        EventType::AsynceventE => event.text(asyncevent_e::NAME) == Some(b"container"),
        _ => false,
    };
    let user = view.state.container(view.context).filter(|_| reports)?.user.as_bytes();
    (!user.is_empty()).then_some(user)
}
