//! Memory that only the start needed.

/// Gives memory that was freed back to the system. Loading rules and the kernel's types takes ten times of what stays,
/// and the allocator keeps all of it because of a few small blocks at its end.
pub(crate) fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it touches free memory only, under the allocator's own locks.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_in_use_stays() {
        let (mut kept, mut freed) = (Vec::new(), Vec::new());
        for round in 0..10_000_usize {
            kept.push(vec![round; 8]);
            freed.push(vec![round; 100]);
        }
        drop(freed);
        super::give_back();
        assert!(kept.iter().enumerate().all(|(round, block)| *block == [round; 8]));
    }
}
