//! Classes `user` and `group`.

use peregrine_event::params::asyncevent_e;
use peregrine_event::{Account, EventType};
use peregrine_filter::Value;
use peregrine_state::Thread;

use super::common::NA;
use crate::table::{FieldId, Group, User};
use crate::view::View;

/// The ids of a thread whose names are in account files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ids {
    uid: u32,
    gid: u32,
    loginuid: u32,
}

impl Ids {
    pub(crate) fn of(thread: &Thread) -> Self {
        Self { uid: thread.uid, gid: thread.gid, loginuid: thread.loginuid }
    }
}

pub(crate) fn user<'a>(view: &View<'a>, field: User) -> Option<Value<'a>> {
    let thread = view.thread()?;
    match field {
        User::Uid => return Some(Value::Uint(thread.uid.into())),
        User::LoginUid => return Some(Value::Int(login_uid(thread))),
        User::Name => {
            if let Some(user) = reported_user(view) {
                return Some(Value::Text(user));
            }
        }
        User::Homedir | User::Shell | User::LoginName => {}
    }
    named(view, thread, FieldId::User(field))
}

pub(crate) fn group<'a>(view: &View<'a>, field: Group) -> Option<Value<'a>> {
    let thread = view.thread()?;
    match field {
        Group::Gid => Some(Value::Uint(thread.gid.into())),
        Group::Name => named(view, thread, FieldId::Group(field)),
    }
}

/// Whether the value of a field comes from account files.
pub(crate) fn depends_on_accounts(view: &View<'_>, field: FieldId) -> bool {
    match field {
        FieldId::User(User::Name) => reported_user(view).is_none(),
        FieldId::User(User::Homedir | User::Shell | User::LoginName) => true,
        FieldId::Group(Group::Name) => true,
        _ => false,
    }
}

/// The value of a field that comes from account files; `None` for other fields.
pub(crate) fn account_value<'a>(
    field: FieldId,
    ids: Ids,
    user: &impl Fn(u32) -> Option<Account<'a>>,
    group: &impl Fn(u32) -> Option<&'a [u8]>,
) -> Option<Value<'a>> {
    let known = || user(ids.uid);
    // Root needs no entry.
    let or = |known: Option<&'a [u8]>, id: u32, root: &'static [u8]| {
        known.unwrap_or(if id == 0 { root } else { NA })
    };
    Some(Value::Text(match field {
        FieldId::User(User::Name) => or(known().map(|user| user.name), ids.uid, b"root"),
        FieldId::User(User::Homedir) => or(known().map(|user| user.home), ids.uid, b"/root"),
        FieldId::User(User::Shell) => known().map_or(NA, |user| user.shell),
        FieldId::User(User::LoginName) => {
            or(user(ids.loginuid).map(|user| user.name), ids.loginuid, b"root")
        }
        FieldId::Group(Group::Name) => or(group(ids.gid), ids.gid, b"root"),
        _ => return None,
    }))
}

fn named<'a>(view: &View<'a>, thread: &'a Thread, field: FieldId) -> Option<Value<'a>> {
    let state = view.state;
    let user = |uid| state.user(thread, uid);
    let group = |gid| state.group(thread, gid);
    account_value(field, Ids::of(thread), &user, &group)
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
    let user = view.container().filter(|_| reports)?.user.as_bytes();
    (!user.is_empty()).then_some(user)
}
