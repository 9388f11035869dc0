//! Which program attaches to which hook point.

use peregrine_event::{EventType, LossClass, native_syscalls};

use super::config::HookPlan;
use super::select::{Selection, Tracepoints};
use super::{abi, compat};

/// The syscalls of 32-bit programs: number, place in the map of numbers, and code.
pub(super) fn compat_syscalls() -> impl Iterator<Item = (usize, usize, u16)> {
    let own = compat::IA32.iter().map(|&(number, code)| (number.into(), number.into(), code));
    let sockets = compat::SOCKETCALLS.iter().enumerate();
    let sockets = sockets.map(|(call, &code)| (abi::SOCKETCALL, abi::SOCKETCALLS_AT + call, code));
    own.chain(sockets).filter(|_| cfg!(target_arch = "x86_64"))
}

/// A program and the tracepoint it attaches to while a selection needs it.
pub(super) struct Hook {
    pub(super) program: &'static str,
    pub(super) tracepoint: &'static str,
    /// Types of the arguments that the program reads from its context, in order. They are not a
    /// stable interface: each was checked in the BTF of Linux [`CHECKED`], and the event tests
    /// compare them with the BTF of the running kernel.
    pub(super) arguments: &'static [&'static str],
    pub(super) needed: Needed,
    /// Class of the events that are lost if the kernel skips the program.
    pub(super) class: LossClass,
    /// Whether a kernel may lack the tracepoint: then its events are missing and everything else
    /// works.
    pub(super) optional: bool,
}

/// When a hook is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needed {
    /// This tracepoint is selected.
    By(Tracepoints),
    /// A syscall that ends with one of these events is selected.
    BySyscall(&'static [EventType]),
    /// The same, if the new thread of such a syscall does not pass the exit hook.
    ByChildOf(&'static [EventType]),
    /// Any syscall is selected, and a single hook serves them all.
    BySysExit,
}

impl Needed {
    /// Whether a selection needs the hook.
    pub(super) fn with(self, selection: &Selection, plan: HookPlan) -> bool {
        match self {
            Self::By(tracepoint) => selection.tracepoints.contains(tracepoint),
            Self::BySyscall(events) => wants(selection, events),
            Self::ByChildOf(events) => child_is_silent(plan) && wants(selection, events),
            Self::BySysExit => plan == HookPlan::SysExit && !selection.syscalls.is_empty(),
        }
    }
}

impl Hook {
    /// Events that are missing if the kernel lacks the tracepoint, which it may.
    pub(super) fn missing(&self) -> Option<Tracepoints> {
        let tracepoint = match self.needed {
            Needed::By(tracepoint) => tracepoint,
            _ => Tracepoints::empty(),
        };
        self.optional.then_some(tracepoint)
    }
}

/// Kernel versions whose BTF confirms the arguments of the hooks.
const CHECKED: &str = "5.10 to 7.3";

/// What the programs assume of a hook point.
#[derive(Clone, Copy, Debug)]
pub struct Prototype {
    /// Name of the tracepoint.
    pub hook: &'static str,
    /// Types of the arguments that are read, in order: `task_struct *`, `u64`, `bool`. There may be
    /// more.
    pub arguments: &'static [&'static str],
    /// Versions of Linux in which they were found so.
    pub checked: &'static str,
    /// Whether kernels may lack it.
    pub optional: bool,
}

/// What the programs assume, by hook.
pub fn prototypes() -> impl Iterator<Item = Prototype> {
    HOOKS.iter().map(|hook| Prototype {
        hook: hook.tracepoint,
        arguments: hook.arguments,
        checked: CHECKED,
        optional: hook.optional,
    })
}

/// The tracepoint at the exit of every syscall; collectors are loaded as programs for it.
pub(super) const SYS_EXIT: &str = "sys_exit";

/// All hooks. arm64 has page fault tracepoints since Linux 6.17 only.
pub(super) static HOOKS: &[Hook] = &[
    Hook {
        program: "process_exit",
        tracepoint: "sched_process_exit",
        arguments: &["task_struct *"],
        needed: Needed::By(Tracepoints::PROCESS_EXIT),
        class: LossClass::ProcExit,
        optional: false,
    },
    Hook {
        program: "process_exec",
        tracepoint: "sched_process_exec",
        arguments: &["task_struct *", "s32", "linux_binprm *"],
        needed: Needed::BySyscall(EXECS),
        class: LossClass::Execve,
        optional: false,
    },
    Hook {
        program: "process_fork",
        tracepoint: "sched_process_fork",
        arguments: &["task_struct *", "task_struct *"],
        needed: Needed::ByChildOf(CLONES),
        class: LossClass::CloneFork,
        optional: false,
    },
    Hook {
        program: "cgroup_attach",
        tracepoint: "cgroup_attach_task",
        arguments: &["cgroup *", "char *", "task_struct *", "bool"],
        needed: Needed::BySyscall(EXECS),
        class: LossClass::CloneFork,
        optional: true,
    },
    Hook {
        program: "sched_switch",
        tracepoint: "sched_switch",
        arguments: &["bool", "task_struct *", "task_struct *"],
        needed: Needed::By(Tracepoints::SWITCH),
        class: LossClass::Other,
        optional: false,
    },
    Hook {
        program: "page_fault_user",
        tracepoint: "page_fault_user",
        arguments: &["u64", "pt_regs *", "u64"],
        needed: Needed::By(Tracepoints::PAGE_FAULT_USER),
        class: LossClass::Other,
        optional: true,
    },
    Hook {
        program: "page_fault_kernel",
        tracepoint: "page_fault_kernel",
        arguments: &["u64", "pt_regs *", "u64"],
        needed: Needed::By(Tracepoints::PAGE_FAULT_KERNEL),
        class: LossClass::Other,
        optional: true,
    },
    Hook {
        program: "signal_deliver",
        tracepoint: "signal_deliver",
        arguments: &["s32", "kernel_siginfo *"],
        needed: Needed::By(Tracepoints::SIGNAL_DELIVER),
        class: LossClass::Other,
        optional: false,
    },
    Hook {
        program: SYS_EXIT,
        tracepoint: SYS_EXIT,
        arguments: &["pt_regs *", "s64"],
        needed: Needed::BySysExit,
        class: LossClass::Other,
        optional: false,
    },
];

/// Syscalls whose arguments are also captured at their entry, before another thread can change
/// them: exit event and name. Their programs are named `enter_` and the name.
pub(super) static ENTRIES: &[(EventType, &str)] = &[
    (EventType::SyscallOpenX, "open"),
    (EventType::SyscallOpenat_2X, "openat"),
    (EventType::SyscallOpenat2X, "openat2"),
    (EventType::SyscallCreatX, "creat"),
    (EventType::SocketConnectX, "connect"),
];

/// Whether a new thread leaves clone without passing the hook.
fn child_is_silent(plan: HookPlan) -> bool {
    plan == HookPlan::PerSyscall || cfg!(target_arch = "aarch64")
}

const EXECS: &[EventType] = &[EventType::SyscallExecve_19X, EventType::SyscallExecveatX];
const CLONES: &[EventType] = &[
    EventType::SyscallClone_20X,
    EventType::SyscallClone3X,
    EventType::SyscallFork_20X,
    EventType::SyscallVfork_20X,
];

pub(super) fn wants(selection: &Selection, events: &[EventType]) -> bool {
    native_syscalls()
        .iter()
        .any(|call| events.contains(&call.exit) && selection.syscalls.contains(call.sc))
}

/// The native numbers of syscalls that change threads and what they inherit.
pub(super) fn tree_changes() -> [u64; abi::SYSCALL_WORDS] {
    let mut words = [0; abi::SYSCALL_WORDS];
    for call in native_syscalls().iter().filter(|call| call.exit.traits().changes_tree) {
        if let Some(word) = words.get_mut(usize::from(call.nr) / 64) {
            *word |= 1 << (call.nr % 64);
        }
    }
    words
}

/// The program that collects the event of a syscall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Collector {
    /// For all syscalls without an event of their own.
    Generic,
    /// For the whole family of clone and fork.
    Clone,
    /// For execve and execveat that failed.
    Execve,
    /// For this event, put together in a scratch buffer.
    Event(EventType),
    /// For this event, which is small enough to be written into the ring in place, straight from
    /// the registers.
    Inline(EventType),
}

impl Collector {
    /// The collector of an event, given the names of the programs in the object.
    pub(super) fn of(event: EventType, exists: impl Fn(&str) -> bool) -> Self {
        if CLONES.contains(&event) {
            Self::Clone
        } else if EXECS.contains(&event) {
            Self::Execve
        } else if !event.is_exit() || event == EventType::GenericX {
            Self::Generic
        } else if exists(&Self::Inline(event).program()) {
            Self::Inline(event)
        } else {
            Self::Event(event)
        }
    }

    /// The name of its program in the object.
    pub(super) fn program(self) -> String {
        match self {
            Self::Inline(event) => format!("inline_{}", event.name()),
            _ => format!("x_{}", self.suffix()),
        }
    }

    /// The name of the copy of its program that tail-calls through the table for functions of the
    /// other prototype. Programs without tail calls have none and are loaded a second time instead.
    pub(super) fn alt_program(self) -> String {
        format!("alt_proto_{}", self.suffix())
    }

    fn suffix(self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::Clone => "clone",
            Self::Execve => "execve",
            Self::Event(event) | Self::Inline(event) => event.name(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_selected_syscall_has_a_program() {
        let collector = |name: &str| {
            let call = native_syscalls()
                .iter()
                .find(|call| peregrine_event::syscall_name(call.sc) == Some(name));
            Collector::of(call.unwrap().exit, |name| name == "inline_dup")
        };
        assert_eq!(collector("openat").program(), "x_openat");
        assert_eq!(collector("dup").program(), "inline_dup");
        assert_eq!(collector("clone3"), Collector::Clone);
        assert_eq!(collector("execveat"), Collector::Execve);
        assert_eq!(collector("getppid").program(), "x_generic");
    }

    #[test]
    fn hooks_follow_the_selection() {
        let needed = |selection: &Selection, plan| {
            let hooks = HOOKS.iter().filter(|hook| hook.needed.with(selection, plan));
            hooks.map(|hook| hook.tracepoint).collect::<Vec<_>>()
        };
        let none = Selection::default();
        assert_eq!(needed(&none, HookPlan::SysExit), [""; 0]);
        let code = |name| peregrine_event::syscall_names().find(|(_, n)| *n == name).unwrap().0;
        let clone = Selection { syscalls: [code("clone")].into_iter().collect(), ..none };
        assert!(needed(&clone, HookPlan::SysExit).contains(&SYS_EXIT));
        assert_eq!(needed(&clone, HookPlan::PerSyscall), ["sched_process_fork"]);
        let exec = Selection { syscalls: [code("execve")].into_iter().collect(), ..none };
        let hooks = ["sched_process_exec", "cgroup_attach_task"];
        assert_eq!(needed(&exec, HookPlan::PerSyscall), hooks);
        let faults = Selection { tracepoints: Tracepoints::PAGE_FAULT_USER, ..none };
        assert_eq!(needed(&faults, HookPlan::SysExit), ["page_fault_user"]);
    }
}
