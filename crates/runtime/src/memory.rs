//! Memory that only start-up needs.

/// Returns freed memory to the system. Loading rules and the kernel's types takes ten times what
/// stays in use, and the allocator keeps all of it because of a few small blocks at its end.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it touches free memory only, under the allocator's own locks.
    unsafe {
        libc::malloc_trim(0);
    }
}
