//! Raw system calls, and the few helpers that need `unsafe`.
//!
//! Rows make calls that no library would: bad pointers, lengths beyond the end, children that exit
//! at once. Each row runs in a process of its own, which ends with it.

use std::ffi::CStr;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};

use peregrine_event::{native_syscalls, syscall_name};

/// An argument of a system call: a number, or the address of a value.
pub(crate) trait Arg {
    /// The value of the register.
    fn arg(self) -> u64;
}

macro_rules! numbers {
    ($($number:ty)*) => { $(impl Arg for $number {
        fn arg(self) -> u64 {
            self as u64
        }
    })* };
}
numbers!(i16 i32 u32 i64 u64 usize);

impl<T: ?Sized> Arg for &T {
    fn arg(self) -> u64 {
        std::ptr::from_ref(self).cast::<u8>() as u64
    }
}

impl<T: ?Sized> Arg for &mut T {
    fn arg(self) -> u64 {
        std::ptr::from_mut(self).cast::<u8>() as u64
    }
}

/// An address that no process has mapped.
pub(crate) const BAD: u64 = 0x10;

/// Number of a call by its name.
pub(crate) fn number(name: &str) -> i64 {
    let call = native_syscalls().iter().find(|call| syscall_name(call.sc) == Some(name));
    i64::from(call.unwrap_or_else(|| panic!("no call {name} here")).nr)
}

/// Issues a system call: the result, or the negative error number.
pub(crate) fn call(name: &str, args: &[u64]) -> i64 {
    let mut all = [0; 6];
    all[..args.len()].copy_from_slice(args);
    let [a, b, c, d, e, f] = all;
    // SAFETY: the process lives for one row, and its parent reads none of its memory. Pointers are
    // those of values that the caller borrows for the call, or point to unmapped memory, which the
    // kernel rejects.
    let result = unsafe { libc::syscall(number(name), a, b, c, d, e, f) };
    if result < 0 { -i64::from(errno()) } else { result }
}

/// `sys!(close(fd))`: issues a system call by name.
macro_rules! sys {
    ($call:ident ( $($arg:expr),* $(,)? )) => {
        $crate::sys::call(stringify!($call), &[$($crate::sys::Arg::arg($arg)),*])
    };
}

/// The same for a call that must succeed; otherwise the row fails. On a kernel without the call the
/// row is skipped.
macro_rules! ok {
    ($call:ident ( $($arg:expr),* $(,)? )) => {
        $crate::frame::must(stringify!($call), $crate::sys::sys!($call($($arg),*)))
    };
}
pub(crate) use {ok, sys};

fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or_default()
}

/// Forks: the child runs this and exits with the returned status.
pub(crate) fn fork(child: impl FnOnce() -> i32) -> i32 {
    // SAFETY: this process has one thread, so the child finds no lock held by another.
    match unsafe { libc::fork() } {
        -1 => panic!("fork: {}", std::io::Error::last_os_error()),
        0 => {
            let status = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child));
            exit(status.unwrap_or(101));
        }
        pid => pid,
    }
}

/// Ends this process without the exit handlers of the C library.
pub(crate) fn exit(status: i32) -> ! {
    // SAFETY: it has no conditions.
    unsafe { libc::_exit(status) }
}

/// Waits for a child; returns its status as `wait` reports it.
pub(crate) fn wait(pid: i32) -> i32 {
    let mut status = 0;
    // SAFETY: the kernel writes one int, to a valid location.
    while unsafe { libc::waitpid(pid, &mut status, libc::__WALL) } < 0 {
        assert_eq!(errno(), libc::EINTR, "waitpid");
    }
    status
}

/// A child that waits for its parent.
pub(crate) struct Held {
    /// Its number.
    pub(crate) pid: i32,
    line: std::io::PipeWriter,
}

/// Forks: the child runs this, waits until it is released, and exits with 0.
pub(crate) fn held(first: impl FnOnce()) -> Held {
    let (mut here, mut ready) = std::io::pipe().unwrap();
    let (mut there, line) = std::io::pipe().unwrap();
    let pid = fork(|| {
        // Otherwise the child would keep the pipe open itself if the parent ended first.
        call("close", &[line.as_raw_fd().arg()]);
        first();
        let _ = ready.write_all(b"x");
        while there.read(&mut [0]).is_err() {}
        0
    });
    here.read_exact(&mut [0]).unwrap();
    Held { pid, line }
}

impl Held {
    /// Releases it, and waits for its end.
    pub(crate) fn let_go(&self) {
        (&self.line).write_all(b"x").unwrap();
        wait(self.pid);
    }
}

/// Handles a signal by setting this flag.
pub(crate) fn handle(signal: i32) -> &'static AtomicBool {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    extern "C" fn take(_: i32) {
        TAKEN.store(true, Ordering::Relaxed);
    }
    // SAFETY: the handler touches nothing else.
    unsafe { libc::signal(signal, take as extern "C" fn(i32) as usize) };
    &TAKEN
}

/// Calls `clone`, `clone3`, `fork` or `vfork`; the child exits at once with this status, whatever
/// it shares.
pub(crate) fn spawn(name: &str, args: [u64; 5], status: i32) -> i64 {
    let (number, exit) = (number(name), number("exit"));
    let result: i64;
    // SAFETY: the child touches no memory, not even its stack, so it may share all of it.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::asm!(
            "syscall", "test rax, rax", "jnz 2f",
            "mov rax, {exit}", "mov rdi, {status}", "syscall", "2:",
            exit = in(reg) exit, status = in(reg) i64::from(status),
            inlateout("rax") number => result, in("rdi") args[0], in("rsi") args[1], in("rdx") args[2],
            in("r10") args[3], in("r8") args[4], out("rcx") _, out("r11") _,
        );
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        std::arch::asm!(
            "svc #0", "cbnz x0, 2f",
            "mov x8, {exit}", "mov x0, {status}", "svc #0", "2:",
            exit = in(reg) exit, status = in(reg) i64::from(status),
            inlateout("x0") args[0] => result, in("x1") args[1], in("x2") args[2], in("x3") args[3],
            in("x4") args[4], in("x8") number,
        );
    }
    result
}

/// Issues a system call through the 32-bit table. Pointers must lie below 4 GiB: see [`Low`].
#[cfg(target_arch = "x86_64")]
pub(crate) fn call32(number: u32, args: &[u64]) -> i64 {
    let mut all = [0_u64; 6];
    all[..args.len()].copy_from_slice(args);
    let result: u64;
    // SAFETY: as for `call`. rbx and rbp, which the compiler reserves, are restored.
    unsafe {
        std::arch::asm!(
            "push rbx", "push rbp", "mov rbx, [r11]", "mov rbp, [r11 + 8]", "int 0x80", "pop rbp", "pop rbx",
            inlateout("rax") u64::from(number) => result, in("r11") &[all[0], all[5]],
            in("rcx") all[1], in("rdx") all[2], in("rsi") all[3], in("rdi") all[4],
            lateout("r8") _, lateout("r9") _, lateout("r10") _,
        );
    }
    i64::from(result as i32)
}

/// Memory below 4 GiB, where 32-bit calls find it.
#[cfg(target_arch = "x86_64")]
pub(crate) struct Low(&'static mut [u8]);

#[cfg(target_arch = "x86_64")]
impl Low {
    /// A page.
    pub(crate) fn new() -> Self {
        let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, 0x22 | 0x40);
        let at = ok!(mmap(0, 4096, access, kind, -1, 0));
        // SAFETY: the kernel has just made this page for us, and it stays.
        Self(unsafe { std::slice::from_raw_parts_mut(at as *mut u8, 4096) })
    }

    /// Stores bytes; returns their address.
    pub(crate) fn put(&mut self, at: usize, bytes: &[u8]) -> u64 {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
        self.0[at..].as_ptr() as u64
    }
}

/// A page followed by an inaccessible one: a text at its end has no terminator.
pub(crate) fn unterminated(text: &[u8]) -> u64 {
    let page = 4096;
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let at = ok!(mmap(0, 2 * page, access, kind, -1, 0)) as usize;
    ok!(mprotect(at + page, page, libc::PROT_NONE));
    let start = at + page - text.len();
    // SAFETY: the kernel has just made both pages for us, and the text ends where the first one
    // does.
    unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), start as *mut u8, text.len()) };
    start as u64
}

/// Writes a byte. At an unmapped address this ends the process.
pub(crate) fn touch(at: u64) {
    // SAFETY: callers pass a page that they mapped for this purpose, or an unmapped address to
    // cause the signal.
    unsafe { std::ptr::write_volatile(at as *mut u8, 1) };
}

/// Bytes of a plain structure.
pub(crate) fn bytes_of<T: Copy>(value: &T) -> Vec<u8> {
    let start = std::ptr::from_ref(value).cast::<u8>();
    // SAFETY: the value is borrowed and as long as its type. Structures with gaps are not given to
    // this.
    unsafe { std::slice::from_raw_parts(start, size_of::<T>()) }.to_vec()
}

/// A structure of the C library, all zero.
pub(crate) fn zeroed<T: Copy>() -> T {
    // SAFETY: used for structures of numbers and raw pointers, for which all bits may be zero.
    unsafe { std::mem::zeroed() }
}

/// An array of pointers to texts, with the null at its end.
pub(crate) fn pointers(texts: &[&CStr]) -> Vec<u64> {
    texts.iter().map(|text| text.as_ptr() as u64).chain([0]).collect()
}
