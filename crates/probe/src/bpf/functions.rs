//! Which functions of the kernel serve a syscall.
//!
//! The kernel has a function for each way into a syscall: `__x64_sys_close`,
//! `__ia32_compat_sys_open`. Their names follow those of the syscalls with few exceptions. More
//! functions than a kernel uses do no harm: they are never called.

use std::collections::HashSet;
use std::io;

use super::hooks::Prototype;
use peregrine_event::{native_syscalls, syscall_name};

/// The kernel's BTF. Its strings, each with a NUL before and after, include the names of functions.
const TYPES: &str = "/sys/kernel/btf/vmlinux";

/// Prefixes of functions for native calls.
const NATIVE: &str = if cfg!(target_arch = "aarch64") { "__arm64_sys_" } else { "__x64_sys_" };
/// Prefixes of functions for 32-bit calls: the first that exists is the one that is called.
const COMPAT: [&str; 2] = ["__ia32_compat_sys_", "__ia32_sys_"];
/// Prefixes for [`WITHOUT_ARGUMENTS`]: names with the other prefixes are then aliases.
const BARE: &str = "__do_sys_";
/// Syscalls with one function for native and 32-bit calls.
const WITHOUT_ARGUMENTS: [&str; 22] = [
    "fork",
    "getegid",
    "geteuid",
    "getgid",
    "getpgrp",
    "getpid",
    "getppid",
    "gettid",
    "getuid",
    "inotify_init",
    "munlockall",
    "pause",
    "restart_syscall",
    "rt_sigreturn",
    "sched_yield",
    "setsid",
    "sgetmask",
    "sync",
    "uprobe",
    "uretprobe",
    "vfork",
    "vhangup",
];

/// Syscalls that never return, so that there is no exit to hook.
const ENDLESS: [&str; 2] = ["exit", "exit_group"];

/// Functions whose names differ from that of their syscall.
const RENAMED: [(&str, &str); 6] = [
    ("fstat", "newfstat"),
    ("lstat", "newlstat"),
    ("sendfile", "sendfile64"),
    ("stat", "newstat"),
    ("umount2", "umount"),
    ("uname", "newuname"),
];

/// The same, on arm64 only. The function with the syscall's name also exists and is never called.
const RENAMED_ARM64: [(&str, &str); 2] =
    [("fadvise64", "fadvise64_64"), ("personality", "arm64_personality")];

/// Affixes of syscall names in functions for 32-bit calls that exist in several widths.
const BEFORE: [&str; 5] = ["", "new", "old", "old_", "ia32_"];
const AFTER: [&str; 8] = ["", "16", "32", "64", "64_64", "_time32", "_time64", "_pgoff"];
/// Names that these affixes do not cover.
const RENAMED_COMPAT: [(&str, &str); 3] =
    [("newfstatat", "fstatat64"), ("umount2", "oldumount"), ("umount2", "umount")];

/// The function of `socketcall`, through which 32-bit programs use sockets.
pub(super) const SOCKETCALL: &str = "socketcall";

/// The prototype that the programs expect of every syscall function: one argument, the registers of
/// the call, so that the result follows it, an `s64`. A kernel may lack the function of a syscall.
/// On arm64, Linux before 6.12 supports no hooks on functions; the prototypes were checked there
/// too.
pub const SYSCALL_FUNCTION: Prototype = Prototype {
    hook: "functions of syscalls",
    arguments: &["pt_regs *"],
    checked: "5.10 to 7.3",
    optional: true,
};

/// A syscall and the functions of the running kernel that serve it.
#[derive(Clone, Debug)]
pub struct SyscallFunctions {
    /// Its name.
    pub syscall: &'static str,
    /// For native calls, then for 32-bit calls. Empty if the kernel was built without the syscall,
    /// or if the syscall never returns.
    pub functions: Vec<String>,
}

/// The functions to hook when everything is selected.
///
/// # Errors
/// If the kernel has no BTF.
pub fn syscall_functions() -> io::Result<Vec<SyscallFunctions>> {
    let known = Functions::of_kernel()?;
    let of = |syscall| SyscallFunctions {
        syscall,
        functions: known.native(syscall).into_iter().chain(known.compat(syscall)).collect(),
    };
    let names = native_syscalls().iter().filter_map(|call| syscall_name(call.sc));
    let sockets = cfg!(target_arch = "x86_64").then_some(SOCKETCALL);
    Ok(names.chain(sockets).map(of).collect())
}

/// The functions of this kernel that serve syscalls.
pub(super) struct Functions(HashSet<String>);

impl Functions {
    /// Of the running kernel.
    pub(super) fn of_kernel() -> io::Result<Self> {
        Ok(Self::among(&std::fs::read(TYPES)?))
    }

    fn among(types: &[u8]) -> Self {
        let serves = |name: &&str| {
            [NATIVE, BARE].iter().chain(&COMPAT).any(|before| name.starts_with(before))
        };
        let found = memchr::memmem::find_iter(types, b"\0__").filter_map(|at| {
            let name = types.get(at + 1..)?;
            let end = memchr::memchr(0, name.get(..128)?)?;
            std::str::from_utf8(name.get(..end)?).ok()
        });
        Self(found.filter(serves).map(str::to_owned).collect())
    }

    /// Functions for native calls.
    pub(super) fn native(&self, syscall: &str) -> Vec<String> {
        if ENDLESS.contains(&syscall) {
            return Vec::new();
        }
        let arm64 = RENAMED_ARM64.iter().filter(|_| cfg!(target_arch = "aarch64"));
        let renamed = RENAMED.iter().chain(arm64).find(|(name, _)| *name == syscall);
        let name = renamed.map_or(syscall, |(_, function)| function);
        let native = || self.known(format!("{NATIVE}{name}"));
        self.bare(syscall).or_else(native).into_iter().collect()
    }

    /// Functions for 32-bit calls.
    pub(super) fn compat(&self, syscall: &str) -> Vec<String> {
        let none = ENDLESS.contains(&syscall) || self.bare(syscall).is_some();
        if cfg!(not(target_arch = "x86_64")) || none {
            return Vec::new();
        }
        let forms = BEFORE
            .iter()
            .flat_map(|before| AFTER.iter().map(move |after| format!("{before}{syscall}{after}")));
        let renamed = RENAMED_COMPAT.iter().filter(|(name, _)| *name == syscall);
        let renamed =
            renamed.flat_map(|(_, function)| [(*function).to_owned(), format!("ia32_{function}")]);
        let of_form =
            |form: String| COMPAT.iter().find_map(|before| self.known(format!("{before}{form}")));
        forms.chain(renamed).filter_map(of_form).collect()
    }

    fn bare(&self, syscall: &str) -> Option<String> {
        let bare = || self.known(format!("{BARE}{syscall}"));
        WITHOUT_ARGUMENTS.contains(&syscall).then(bare).flatten()
    }

    fn known(&self, function: String) -> Option<String> {
        self.0.contains(&function).then_some(function)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KERNEL: &[u8] = b"\0int\0__x64_sys_close\0__ia32_sys_close\0__do_sys_fork\0__do_sys_brk\0close\0__x64_sys_newstat\0\
        __ia32_sys_stat\0__ia32_compat_sys_newstat\0__ia32_sys_newstat\0__ia32_compat_sys_ia32_stat64\0\
        __ia32_compat_sys_socketcall\0__xattr\0__arm64_sys_close\0__arm64_sys_newstat\0";

    #[test]
    fn functions_are_found_by_the_name_of_the_syscall() {
        let kernel = Functions::among(&[KERNEL, &[0; 128]].concat());
        assert_eq!(kernel.native("close"), [format!("{NATIVE}close")]);
        assert_eq!(kernel.native("stat"), [format!("{NATIVE}newstat")]);
        assert_eq!(kernel.native("fork"), ["__do_sys_fork"]);
        assert_eq!(kernel.native("brk"), [""; 0]);
        assert_eq!(kernel.compat("fork"), [""; 0]);
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn thirty_two_bit_programs_have_functions_of_several_widths() {
        let kernel = Functions::among(&[KERNEL, &[0; 128]].concat());
        assert_eq!(kernel.compat("close"), ["__ia32_sys_close"]);
        assert_eq!(kernel.compat(SOCKETCALL), ["__ia32_compat_sys_socketcall"]);
        let stat =
            ["__ia32_sys_stat", "__ia32_compat_sys_newstat", "__ia32_compat_sys_ia32_stat64"];
        assert_eq!(kernel.compat("stat"), stat);
    }

    #[test]
    fn anything_can_be_read() {
        assert_eq!(Functions::among(b"\0__x64_sys_").native("close"), [""; 0]);
        assert_eq!(Functions::among(b"").native("close"), [""; 0]);
    }
}
