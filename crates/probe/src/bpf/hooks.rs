//! Which programs go where.

use peregrine_event::{EventType, LossClass, native_syscalls};

use super::load::HookPlan;
use super::select::{Selection, Tracepoints};
use super::{abi, compat};

/// Tracepoint at the end of every syscall.
pub(super) const SYS_EXIT: &str = "sys_exit";

/// The syscalls of 32-bit programs: number, place in the map of numbers, and code.
pub(super) fn compat_syscalls() -> impl Iterator<Item = (usize, usize, u16)> {
    let own = compat::IA32.iter().map(|&(number, code)| (number.into(), number.into(), code));
    let sockets = compat::SOCKETCALLS.iter().enumerate();
    let sockets = sockets.map(|(call, &code)| (abi::SOCKETCALL, abi::SOCKETCALLS_AT + call, code));
    own.chain(sockets).filter(|_| cfg!(target_arch = "x86_64"))
}

/// Program for syscalls that have no event of their own.
pub(super) const GENERIC: &str = "x_generic";

/// A program and the tracepoint it goes to, for as long as a selection wants it.
pub(super) struct Hook {
    pub(super) program: &'static str,
    pub(super) tracepoint: &'static str,
    /// Types of the arguments that the program takes from its context, in their order. The kernel promises
    /// nothing about them: each was looked up in the type information of Linux [`CHECKED`], and the test of
    /// events compares them with that of the kernel it runs on.
    pub(super) arguments: &'static [&'static str],
    pub(super) wanted: fn(&Selection, HookPlan) -> bool,
}

impl Hook {
    /// What is lost when its program does not run.
    pub(super) fn class(&self) -> LossClass {
        match self.program {
            "process_exit" => LossClass::ProcExit,
            "process_exec" => LossClass::Execve,
            "process_fork" => LossClass::CloneFork,
            _ => LossClass::Other,
        }
    }
}

/// Versions whose type information says what the hooks say of their arguments.
const CHECKED: &str = "5.10 to 7.3";

/// What the programs count on of something they are hooked to.
#[derive(Clone, Copy, Debug)]
pub struct Prototype {
    /// Name of the tracepoint.
    pub hook: &'static str,
    /// Types of the arguments that are looked at, in their order: `task_struct *`, `u64`, `bool`. There may be more.
    pub arguments: &'static [&'static str],
    /// Versions of Linux in which they were found so.
    pub checked: &'static str,
    /// Whether kernels may lack it.
    pub optional: bool,
}

/// What the programs count on, by hook.
pub fn prototypes() -> impl Iterator<Item = Prototype> {
    HOOKS.iter().map(|hook| Prototype {
        hook: hook.tracepoint,
        arguments: hook.arguments,
        checked: CHECKED,
        optional: optional(hook.tracepoint).is_some(),
    })
}

pub(super) static HOOKS: &[Hook] = &[
    Hook {
        program: "process_exit",
        tracepoint: "sched_process_exit",
        arguments: &["task_struct *"],
        wanted: |s, _| s.tracepoints.contains(Tracepoints::PROCESS_EXIT),
    },
    Hook {
        program: "process_exec",
        tracepoint: "sched_process_exec",
        arguments: &["task_struct *", "s32", "linux_binprm *"],
        wanted: |s, _| wants(s, &[EventType::SyscallExecve_19X, EventType::SyscallExecveatX]),
    },
    Hook {
        program: "process_fork",
        tracepoint: "sched_process_fork",
        arguments: &["task_struct *", "task_struct *"],
        wanted: |s, plan| child_is_silent(plan) && wants(s, CLONES),
    },
    Hook {
        program: "sched_switch",
        tracepoint: "sched_switch",
        arguments: &["bool", "task_struct *", "task_struct *"],
        wanted: |s, _| s.tracepoints.contains(Tracepoints::SWITCH),
    },
    Hook {
        program: "page_fault_user",
        tracepoint: "page_fault_user",
        arguments: &["u64", "pt_regs *", "u64"],
        wanted: |s, _| s.tracepoints.contains(Tracepoints::PAGE_FAULT_USER),
    },
    Hook {
        program: "page_fault_kernel",
        tracepoint: "page_fault_kernel",
        arguments: &["u64", "pt_regs *", "u64"],
        wanted: |s, _| s.tracepoints.contains(Tracepoints::PAGE_FAULT_KERNEL),
    },
    Hook {
        program: "signal_deliver",
        tracepoint: "signal_deliver",
        arguments: &["s32", "kernel_siginfo *"],
        wanted: |s, _| s.tracepoints.contains(Tracepoints::SIGNAL_DELIVER),
    },
    Hook {
        program: "sys_exit",
        tracepoint: SYS_EXIT,
        arguments: &["pt_regs *", "s64"],
        wanted: |s, plan| plan == HookPlan::SysExit && !s.syscalls.is_empty(),
    },
];

/// What there is nothing of where the kernel lacks this tracepoint, if all else works. arm64 has these since 6.17 only.
pub(super) fn optional(tracepoint: &str) -> Option<Tracepoints> {
    match tracepoint {
        "page_fault_user" => Some(Tracepoints::PAGE_FAULT_USER),
        "page_fault_kernel" => Some(Tracepoints::PAGE_FAULT_KERNEL),
        _ => None,
    }
}

/// Syscalls whose arguments are also taken at their entry, where another thread can't have changed them yet:
/// the event of their end, and their name. Their programs are `enter_` and the name.
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

/// What the name of a program begins with that takes the call from the registers, and not from a scratch.
pub(super) const ALONE: &str = "alone_";

/// Name of the program that collects an event, of those in the object; none for events without one of their own.
pub(super) fn collector(event: EventType, exists: impl Fn(&str) -> bool) -> Option<String> {
    match event {
        _ if CLONES.contains(&event) => Some("x_clone".into()),
        EventType::SyscallExecve_19X | EventType::SyscallExecveatX => Some("x_execve".into()),
        _ if event.is_exit() && event != EventType::GenericX => {
            let alone = format!("{ALONE}{}", event.name());
            Some(if exists(&alone) { alone } else { format!("x_{}", event.name()) })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_selected_syscall_has_a_program() {
        let sys = |name: &str| {
            native_syscalls()
                .iter()
                .find(|call| peregrine_event::syscall_name(call.sc) == Some(name))
                .and_then(|call| collector(call.exit, |name| name == "alone_dup"))
        };
        assert_eq!(sys("openat").as_deref(), Some("x_openat"));
        assert_eq!(sys("dup").as_deref(), Some("alone_dup"));
        assert_eq!(sys("clone3").as_deref(), Some("x_clone"));
        assert_eq!(sys("execveat").as_deref(), Some("x_execve"));
        assert_eq!(sys("getppid"), None);
    }
}
