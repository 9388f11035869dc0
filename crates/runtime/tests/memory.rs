//! Memory of the start-up returns to the system. The only test of its process, because others would
//! allocate at the same time.

#![cfg(all(target_os = "linux", target_env = "gnu"))]
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

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
    peregrine_runtime::memory::give_back();
    let after = resident();
    assert!(after + BLOCKS * BLOCK / 2 < before, "{before} bytes before, {after} after");
    assert!(kept.iter().enumerate().all(|(round, block)| *block == [round; 8]));
}
