//! What the tables say of an event type or a syscall.

use crate::EventType;
use crate::generated::events::{ALL, EVENTS};
use crate::generated::syscalls::{AARCH64, PATH_ARGUMENTS, SC_NAMES, X86_64};
use crate::table::{Class, Direction, EventFlags, EventInfo, EventTraits, PathArgument, Syscall};

impl EventType {
    /// Number of event types.
    pub const COUNT: usize = EVENTS.len();

    /// The type with this code, if there is one.
    #[inline]
    pub fn from_code(code: u16) -> Option<Self> {
        ALL.get(usize::from(code)).copied()
    }

    /// Code on the wire.
    #[inline]
    pub fn code(self) -> u16 {
        self as u16
    }

    /// All types in order of their codes.
    pub fn all() -> impl Iterator<Item = Self> {
        ALL.iter().copied()
    }

    /// What the format says of it.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "the table has an entry for every type")]
    pub fn info(self) -> &'static EventInfo {
        &EVENTS[self as usize]
    }

    /// Name as rules write it.
    #[inline]
    pub fn name(self) -> &'static str {
        self.info().name
    }

    /// The common part of the identifiers of all versions of an event, enter and exit
    /// (`PPME_SYSCALL_OPENAT`): one syscall reports one family.
    pub fn family(self) -> &'static str {
        let id = self.info().id;
        let id = id.strip_suffix("_X").or_else(|| id.strip_suffix("_E")).unwrap_or(id);
        match id.rsplit_once('_') {
            Some((family, version)) if version.bytes().all(|b| b.is_ascii_digit()) => family,
            _ => id,
        }
    }

    /// Whether this event reports the end of a syscall or has no enter event.
    #[inline]
    pub fn is_exit(self) -> bool {
        self.info().direction == Direction::Exit
    }

    /// Width of a parameter length on the wire: 2 or 4 bytes.
    #[inline]
    pub fn length_width(self) -> usize {
        if self.shape().wide { 4 } else { 2 }
    }

    /// What the state asks about every event.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "the table has an entry for every type")]
    pub fn traits(self) -> EventTraits {
        TRAITS[self as usize]
    }

    /// Whether it describes users, groups or containers, as a snapshot does.
    #[inline]
    pub fn describes_machine(self) -> bool {
        self.traits().describes_machine
    }

    /// Whether it is an enter event that is delivered only for its exit event; rules are not
    /// evaluated on it.
    #[inline]
    pub fn is_stored_for_exit(self) -> bool {
        self.traits().stored_for_exit
    }

    /// What decoding needs to know.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "the table has an entry for every type")]
    pub(crate) fn shape(self) -> Shape {
        SHAPES[self as usize]
    }
}

/// What decoding asks about the type of every event, small enough that all types stay in the cache.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    /// Number of parameters.
    pub(crate) nparams: u8,
    /// Whether the lengths of parameters take four bytes on the wire, or two.
    pub(crate) wide: bool,
}

#[expect(clippy::indexing_slicing, reason = "evaluated at compile time")]
static SHAPES: [Shape; EventType::COUNT] = {
    let mut shapes = [Shape { nparams: 0, wide: false }; EventType::COUNT];
    let mut code = 0;
    while code < EventType::COUNT {
        let info = &EVENTS[code];
        let wide = info.flags.contains(EventFlags::LARGE_PAYLOAD);
        shapes[code] = Shape { nparams: info.params.len() as u8, wide };
        code += 1;
    }
    shapes
};

#[expect(clippy::indexing_slicing, reason = "evaluated at compile time")]
static TRAITS: [EventTraits; EventType::COUNT] = {
    let mut traits = [EventTraits::of(&EVENTS[0]); EventType::COUNT];
    let mut code = 0;
    while code < EventType::COUNT {
        traits[code] = EventTraits::of(&EVENTS[code]);
        code += 1;
    }
    // The first parameter of a generic event is the code of its syscall.
    traits[EventType::GenericX as usize].has_result = false;
    traits
};

impl EventTraits {
    #[expect(clippy::indexing_slicing, reason = "evaluated at compile time")]
    const fn of(info: &EventInfo) -> Self {
        let is_exit = matches!(info.direction, Direction::Exit);
        let mut syscall = false;
        let mut index = 0;
        while index < info.classes.len() {
            syscall |= matches!(info.classes[index], Class::Syscall);
            index += 1;
        }
        Self {
            actor: info.actor,
            fd_param: info.fd_param,
            is_exit,
            has_result: is_exit && syscall,
            uses_fd: info.flags.contains(EventFlags::USES_FD),
            changes_tree: info.flags.contains(EventFlags::CHANGES_TREE),
            describes_machine: info.flags.contains(EventFlags::DESCRIBES_MACHINE),
            stored_for_exit: info.flags.contains(EventFlags::STORED_FOR_EXIT),
        }
    }
}

/// Name of the syscall with this code of the format, e.g. 3 → `read`.
pub fn syscall_name(sc: u16) -> Option<&'static str> {
    let code = usize::from(sc);
    match code.checked_sub(SC_NAMES.len()) {
        Some(foreign) => FOREIGN_SYSCALLS.get(foreign).copied(),
        None => SC_NAMES.get(code).copied().filter(|name| !name.is_empty()),
    }
}

/// The paths among the arguments of a syscall that has no event of its own: one, or a source and a
/// target. The shared event has them behind the parameters of the format.
pub fn path_arguments(sc: u16) -> &'static [PathArgument] {
    let found = PATH_ARGUMENTS.binary_search_by_key(&sc, |(code, _)| *code);
    found.ok().and_then(|at| PATH_ARGUMENTS.get(at)).map_or(&[], |(_, arguments)| arguments)
}

/// Whether the format has this code. Codes that only other architectures use have no name here.
pub(crate) fn is_syscall(sc: u16) -> bool {
    usize::from(sc) < SC_NAMES.len()
}

/// One more than the last code of a syscall.
pub(crate) const SYSCALL_CODES: usize = SC_NAMES.len() + FOREIGN_SYSCALLS.len();

/// All syscall codes with their names.
pub fn syscall_names() -> impl Iterator<Item = (u16, &'static str)> {
    let names = SC_NAMES.iter().chain(&FOREIGN_SYSCALLS).copied();
    (0..).zip(names).filter(|(_, name)| !name.is_empty())
}

/// Syscalls that other architectures have and the tables do not. Rules may name them, and
/// descriptions of rules do; they get the codes after those of the format, which no event has.
#[rustfmt::skip]
static FOREIGN_SYSCALLS: [&str; 53] = [
    "_newselect", "_sysctl", "bdflush", "create_module", "fstatat64", "fstatfs64", "get_kernel_syms", "getpmsg",
    "idle", "ipc", "multiplexer", "nfsservctl", "nice", "oldfstat", "oldlstat", "oldolduname", "oldstat", "olduname",
    "pciconfig_iobase", "pciconfig_read", "pciconfig_write", "query_module", "readdir", "riscv_flush_icache",
    "riscv_hwprobe", "rtas", "s390_guarded_storage", "s390_pci_mmio_read", "s390_pci_mmio_write",
    "s390_runtime_instr", "s390_sthyi", "sgetmask", "sigaction", "signal", "sigpending", "sigprocmask", "sigreturn",
    "sigsuspend", "socketcall", "spu_create", "spu_run", "ssetmask", "statfs64", "stime", "subpage_prot",
    "swapcontext", "switch_endian", "sync_file_range2", "sys_debug_setcontext", "timerfd", "uselib", "vm86", "waitpid",
];

/// Syscalls of x86_64, by number.
pub fn syscalls_x86_64() -> &'static [Syscall] {
    &X86_64
}

/// Syscalls of aarch64, by number.
pub fn syscalls_aarch64() -> &'static [Syscall] {
    &AARCH64
}

/// Syscalls of the architecture that this is built for, by number.
pub fn native_syscalls() -> &'static [Syscall] {
    if cfg!(target_arch = "aarch64") { syscalls_aarch64() } else { syscalls_x86_64() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ParamType;
    use crate::table::{Actor, EventPaths, PathBase};

    #[test]
    fn the_fd_parameter_is_an_fd() {
        for info in EventType::all().map(EventType::info) {
            let Some(index) = info.fd_param else { continue };
            assert!(info.flags.contains(EventFlags::USES_FD), "{}", info.id);
            assert_eq!(info.params[usize::from(index)].ty, ParamType::Fd, "{}", info.id);
        }
    }

    #[test]
    fn what_describes_the_machine_is_no_act_of_a_thread() {
        for ty in EventType::all() {
            let flags = ty.info().flags;
            let no_act = flags.contains(EventFlags::SKIP_PARSER_RESET) || ty.describes_machine();
            assert!(!no_act || ty.traits().actor == Actor::None, "{ty:?}");
        }
    }

    #[test]
    fn paths_are_texts_and_their_directories_fds() {
        for info in EventType::all().map(EventType::info) {
            let EventPaths { path, source, target } = info.paths;
            assert!(source.is_some() == target.is_some(), "{}", info.id);
            for path in [path, source, target].into_iter().flatten() {
                let ty = |index: u8| info.params[usize::from(index)].ty;
                let text = [ParamType::Fspath, ParamType::Fsrelpath, ParamType::Charbuf];
                match path.base {
                    PathBase::Fd => assert_eq!(ty(path.param), ParamType::Fd, "{}", info.id),
                    _ => assert!(text.contains(&ty(path.param)), "{}", info.id),
                }
                if let PathBase::Dir(dirfd) = path.base {
                    assert_eq!(ty(dirfd), ParamType::Fd, "{}", info.id);
                }
            }
        }
    }

    #[test]
    fn only_syscalls_without_an_event_of_their_own_have_path_arguments() {
        let own = |sc| {
            native_syscalls()
                .iter()
                .any(|call| call.sc == sc && !matches!(call.exit, EventType::GenericX))
        };
        for (sc, name) in syscall_names() {
            let arguments = path_arguments(sc);
            assert!(arguments.is_empty() || !own(sc), "{name}");
            assert!(arguments.iter().all(|it| it.dirfd.is_some() || it.path.is_some()), "{name}");
        }
        let code = syscall_names().find(|(_, name)| *name == "fchmodat2").unwrap().0;
        assert_eq!(path_arguments(code), [PathArgument { dirfd: Some(0), path: Some(1) }]);
    }

    #[test]
    fn only_enter_events_with_an_exit_are_stored_for_it() {
        for ty in EventType::all().filter(|ty| ty.is_stored_for_exit()) {
            assert!(!ty.is_exit(), "{ty:?}");
            let exit = EventType::from_code(ty.code() + 1).unwrap();
            assert!(exit.is_exit() && exit.name() == ty.name(), "{ty:?}");
        }
    }
}
