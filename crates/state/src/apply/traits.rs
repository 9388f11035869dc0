//! What is asked of the type of every event, put together once.

use std::sync::LazyLock;

use peregrine_event::{Class, EventFlags, EventType as Ty};

use super::act::fd_param;

/// What a type says of its events.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traits {
    pub(crate) actor: Actor,
    /// Whether it is the end of a syscall.
    pub(crate) ends: bool,
    /// Whether its first parameter is what a syscall returned.
    pub(crate) has_result: bool,
    /// Whether it is about an open file.
    pub(crate) uses_fd: bool,
    /// Which parameter holds the number of that.
    pub(crate) fd_param: Option<u8>,
}

/// Who is behind an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Actor {
    /// It tells of something and is nobody's act.
    Nobody,
    /// Its thread, which does nothing by itself.
    Bystander,
    /// Its thread, of which it says more than that it acts, or that it does no more.
    ComesOrGoes,
    /// Its thread, which must be known to understand it.
    Thread,
}

static TRAITS: LazyLock<Box<[Traits]>> = LazyLock::new(|| Ty::all().map(Traits::of).collect());

/// The traits of all types, by their codes.
pub(crate) fn all() -> &'static [Traits] {
    &TRAITS
}

impl Traits {
    pub(crate) fn of(ty: Ty) -> Self {
        let info = ty.info();
        let nobodys = info.flags.contains(EventFlags::SKIP_PARSER_RESET) || tells(ty);
        let actor = match ty {
            _ if nobodys => Actor::Nobody,
            Ty::Schedswitch_6E => Actor::Bystander,
            Ty::SyscallClone_20X
            | Ty::SyscallClone3X
            | Ty::SyscallFork_20X
            | Ty::SyscallVfork_20X
            | Ty::Procexit_1E => Actor::ComesOrGoes,
            _ => Actor::Thread,
        };
        let syscall = ty != Ty::GenericX && info.classes.contains(&Class::Syscall);
        Self {
            actor,
            ends: ty.is_exit(),
            has_result: ty.is_exit() && syscall,
            uses_fd: info.flags.contains(EventFlags::USES_FD),
            fd_param: fd_param(ty).and_then(|index| index.try_into().ok()),
        }
    }
}

/// Events that tell of something and are nobody's act.
fn tells(ty: Ty) -> bool {
    matches!(
        ty,
        Ty::ContainerJson_2E
            | Ty::UserAddedE
            | Ty::UserDeletedE
            | Ty::GroupAddedE
            | Ty::GroupDeletedE
            | Ty::PlugineventE
            | Ty::AsynceventE
    )
}
