//! Memory: mapping, protecting and locking it.

use super::prelude::*;

const PAGE: u64 = 4096;

#[rustfmt::skip]
pub(super) static ROWS: &[Row] = &[
    row(SyscallMmapX, "anonymous", || {
        let at = ok!(mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        see! { res: at, addr: 0, length: PAGE, prot: flags("PROT_READ|PROT_WRITE"), flags: flags("MAP_PRIVATE|MAP_ANONYMOUS"), fd: -1, offset: 0, ..used() }
    }),
    row(SyscallMmapX, "a file, where one wants it", || {
        let (fd, at) = (file("x"), room());
        let res = ok!(mmap(at, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED, fd, 0));
        see! { res: res, addr: at, length: PAGE, prot: flags("PROT_READ|PROT_EXEC"), flags: flags("MAP_SHARED|MAP_FIXED"), fd: fd, offset: 0, ..used() }
    }),
    row(SyscallMmapX, "all wrong", || {
        let res = sys!(mmap(u64::MAX, 0, 0, 0, -9, 1));
        see! { res: res, addr: u64::MAX, length: 0, prot: flags("PROT_NONE"), flags: 0, fd: -9, offset: 1, ..used() }
    }),
    row(SyscallMunmapX, "a page", || {
        let at = room();
        see! { res: ok!(munmap(at, PAGE)), addr: at, length: PAGE, ..used() }
    }),
    row(SyscallMunmapX, "no page", || see! { res: sys!(munmap(1, u64::MAX)), addr: 1, length: u64::MAX, ..used() }),
    row(SyscallMprotectX, "a page", || {
        let at = room();
        see! { res: ok!(mprotect(at, PAGE, PROT_READ | PROT_EXEC)), addr: at, length: PAGE, prot: flags("PROT_READ|PROT_EXEC") }
    }),
    row(SyscallMprotectX, "all wrong", || see! { res: sys!(mprotect(1, 2, -1)), addr: 1, length: 2, prot: flags("PROT_READ|PROT_WRITE|PROT_EXEC|PROT_SEM|PROT_GROWSDOWN|PROT_GROWSUP") }),
    row(SyscallBrk_4X, "where it is", || see! { res: sys!(brk(0)), addr: 0, ..used() }),
    row(SyscallBrk_4X, "more", || {
        let more = sys!(brk(0)) + 2 * PAGE as i64;
        see! { res: sys!(brk(more)), addr: more, ..used() }
    }),
    row(SyscallBrk_4X, "too much", || see! { res: sys!(brk(u64::MAX)), addr: u64::MAX, ..used() }),
    row(SyscallMlockX, "a page", || {
        let at = room();
        see! { res: ok!(mlock(at, PAGE)), addr: at, len: PAGE }
    }),
    row(SyscallMlockX, "no page", || see! { res: sys!(mlock(BAD, u64::MAX)), addr: BAD, len: u64::MAX }),
    row(SyscallMlock2X, "a page", || {
        let at = room();
        see! { res: ok!(mlock2(at, PAGE, 1)), addr: at, len: PAGE, flags: flags("MLOCK_ONFAULT") }
    }),
    row(SyscallMlock2X, "flags that are none", || see! { res: sys!(mlock2(0, 0, 6)), addr: 0, len: 0, flags: 0 }),
    row(SyscallMunlockX, "a page", || {
        let at = room();
        see! { res: ok!(munlock(at, PAGE)), addr: at, len: PAGE }
    }),
    row(SyscallMunlockX, "no page", || see! { res: sys!(munlock(u64::MAX, 3)), addr: u64::MAX, len: 3 }),
    row(SyscallMlockallX, "what comes", || see! { res: ok!(mlockall(MCL_FUTURE | MCL_ONFAULT)), flags: flags("MCL_FUTURE|MCL_ONFAULT") }),
    row(SyscallMlockallX, "flags that are none", || see! { res: sys!(mlockall(-1)), flags: flags("MCL_CURRENT|MCL_FUTURE|MCL_ONFAULT") }),
    row(SyscallMunlockallX, "all", || see! { res: ok!(munlockall()) }),
    row(PageFaultE, "a page that the program touches", || {
        let at = room();
        touch(at);
        let own = Is::That("an address of the program's", |ip| ip >> 47 == 0 && ip > 4096);
        see! { addr: at, ip: own, error: flags("PAGE_NOT_PRESENT|WRITE_ACCESS|USER_FAULT") }
    }),
    row(PageFaultE, "a page that the kernel touches", || {
        let at = room();
        ok!(read(ok!(openat(AT_FDCWD, c"/dev/zero", 0)), at, 8));
        // The kernel writes to an unmapped page on behalf of the process.
        see! { addr: at, ip: kernel_address(), error: flags("PAGE_NOT_PRESENT|WRITE_ACCESS|SUPERVISOR_FAULT") }
    }),
];

/// A private page.
fn room() -> u64 {
    ok!(mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) as u64
}

/// Memory of this process in KiB. It may grow slightly during the query.
fn used() -> Values {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: Vec<u64> = statm.split(' ').take(2).map(|word| word.parse().unwrap()).collect();
    let near =
        |pages: u64, slack: u64| between(pages.saturating_sub(slack) * 4..=(pages + slack) * 4);
    // The kernel counts resident pages per CPU and sums them up occasionally.
    vec![("vm_size", near(pages[0], 64)), ("vm_rss", near(pages[1], 600)), ("vm_swap", 0.into())]
}
