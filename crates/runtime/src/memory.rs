//! Memory that only the start needs.

/// Returns freed memory to the system. Loading rules and the kernel's types takes ten times what stays in use, and the
/// allocator keeps all of it because of a few small blocks at its end.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it touches free memory only, under the allocator's own locks.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(test)]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod tests {
    /// Bytes of this process that are in memory.
    fn resident() -> usize {
        let text = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages: usize = text.split(' ').nth(1).unwrap().parse().unwrap();
        pages * rustix::param::page_size()
    }

    #[test]
    fn freed_memory_returns_to_the_system_and_used_memory_stays() {
        const BLOCK: usize = 64 << 10;
        const BLOCKS: usize = 1000;
        let (mut kept, mut freed) = (Vec::new(), Vec::new());
        for round in 0..BLOCKS {
            kept.push(vec![round; 8]);
            freed.push(vec![1_u8; BLOCK]);
        }
        drop(freed);
        let before = resident();
        super::give_back();
        let after = resident();
        assert!(after + BLOCKS * BLOCK / 2 < before, "{before} bytes before, {after} after");
        assert!(kept.iter().enumerate().all(|(round, block)| *block == [round; 8]));
    }
}
