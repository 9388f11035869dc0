//! The texts in which the kernel describes a thread: `status`, `stat`, `limits`.

use super::dir::{number, split_once};

/// What `/proc/<tid>/status` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) pid: i64,
    pub(crate) ppid: i64,
    pub(crate) euid: u32,
    pub(crate) egid: u32,
    pub(crate) threads: u64,
    // Ids as the innermost namespace of the thread sees them, 0 where the kernel does not say.
    pub(crate) vtid: i64,
    pub(crate) vpid: i64,
    pub(crate) vpgid: i64,
    pub(crate) nested: bool,
    pub(crate) cap_inheritable: u64,
    pub(crate) cap_permitted: u64,
    pub(crate) cap_effective: u64,
    pub(crate) vmsize_kb: u32,
    pub(crate) vmrss_kb: u32,
    pub(crate) vmswap_kb: u32,
}

/// What `/proc/<tid>/stat` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat<'a> {
    pub(crate) comm: &'a [u8],
    pub(crate) pgid: i64,
    pub(crate) sid: i64,
    pub(crate) tty: u32,
    pub(crate) pfminor: u64,
    pub(crate) pfmajor: u64,
    /// In clock ticks since boot.
    pub(crate) start: u64,
}

impl Status {
    /// `None` when the ids are missing, without which the rest is useless.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let mut status = Self::default();
        let (mut pid, mut ppid) = (None, None);
        for line in text.split(|&b| b == b'\n') {
            let Some((key, value)) = split_once(line, b':') else { continue };
            let first = || word(value, 0).and_then(number);
            let kb = || first().and_then(|kb| u32::try_from(kb).ok()).unwrap_or(0);
            let last = || words(value).last().and_then(number).unwrap_or(0);
            // The second one is the effective id.
            let effective = || word(value, 1).and_then(number).map_or(u32::MAX, |id| id as u32);
            let caps = || word(value, 0).and_then(hex).unwrap_or(0);
            match key {
                b"Tgid" => pid = first(),
                b"PPid" => ppid = first(),
                b"Uid" => status.euid = effective(),
                b"Gid" => status.egid = effective(),
                b"NStgid" => status.vpid = last(),
                b"NSpid" => {
                    status.vtid = last();
                    status.nested = words(value).nth(1).is_some();
                }
                b"NSpgid" => status.vpgid = last(),
                b"VmSize" => status.vmsize_kb = kb(),
                b"VmRSS" => status.vmrss_kb = kb(),
                b"VmSwap" => status.vmswap_kb = kb(),
                b"Threads" => status.threads = first().unwrap_or(0).unsigned_abs(),
                b"CapInh" => status.cap_inheritable = caps(),
                b"CapPrm" => status.cap_permitted = caps(),
                b"CapEff" => {
                    status.cap_effective = caps();
                    break;
                }
                _ => {}
            }
        }
        Some(Self { pid: pid?, ppid: ppid?, ..status })
    }
}

impl<'a> Stat<'a> {
    /// `None` when the text is not what the kernel writes.
    pub(crate) fn parse(text: &'a [u8]) -> Option<Self> {
        // A name may hold anything, also parentheses: the last one ends it.
        let open = memchr::memchr(b'(', text)?;
        let close = memchr::memrchr(b')', text)?;
        let comm = text.get(open + 1..close)?;
        let mut fields = words(text.get(close + 1..)?).skip(2);
        let mut next = |skipped: usize| fields.nth(skipped).and_then(number);
        Some(Self {
            comm,
            pgid: next(0)?,
            sid: next(0)?,
            tty: next(0)? as u32,
            pfminor: next(2)? as u64,
            pfmajor: next(1)? as u64,
            start: next(9)? as u64,
        })
    }
}

/// The soft limit of open files in `/proc/<pid>/limits`; -1 for none or unknown.
pub(crate) fn max_open_files(text: &[u8]) -> i64 {
    let line = text.split(|&b| b == b'\n').find_map(|line| line.strip_prefix(b"Max open files"));
    line.and_then(|line| word(line, 0)).and_then(number).unwrap_or(-1)
}

/// The words of a line.
pub(crate) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|b| matches!(b, b' ' | b'\t' | b'\n')).filter(|word| !word.is_empty())
}

/// One word of a line.
pub(crate) fn word(line: &[u8], index: usize) -> Option<&[u8]> {
    words(line).nth(index)
}

/// A hexadecimal number that fills the text.
pub(crate) fn hex(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok().filter(|text| !text.starts_with('+'))?;
    u64::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_status_in_a_nested_namespace() {
        let text =
            b"Name:\tsh\nUmask:\t0022\nTgid:\t812\nPid:\t813\nPPid:\t800\nUid:\t0\t1000\t0\t0\n\
            Gid:\t0\t100\t0\t0\nNStgid:\t812\t20\t7\nNSpid:\t813\t21\t8\nNSpgid:\t800\t12\t1\n\
            VmSize:\t    5000 kB\nVmRSS:\t 1200 kB\nVmSwap:\t 3 kB\nThreads:\t2\n\
            CapInh:\t0000000000000000\nCapPrm:\t000001ffffffffff\nCapEff:\t00000000a80425fb\n";
        let status = Status::parse(text).unwrap();
        assert_eq!((status.pid, status.ppid, status.threads), (812, 800, 2));
        assert_eq!((status.euid, status.egid), (1000, 100));
        assert_eq!((status.vtid, status.vpid, status.vpgid, status.nested), (8, 7, 1, true));
        assert_eq!((status.vmsize_kb, status.vmrss_kb, status.vmswap_kb), (5000, 1200, 3));
        assert_eq!((status.cap_permitted, status.cap_effective), (0x1ff_ffff_ffff, 0xa804_25fb));
    }

    #[test]
    fn a_name_may_look_like_the_rest_of_the_line() {
        let text = b"812 (a) S 1 (b) S 800 810 799 34816 900 4194304 1234 0 7 0 1 2 3 4 20 0 1 0 4567 99 0\n";
        let stat = Stat::parse(text).unwrap();
        assert_eq!(stat.comm, b"a) S 1 (b");
        assert_eq!((stat.pgid, stat.sid, stat.tty), (810, 799, 34816));
        assert_eq!((stat.pfminor, stat.pfmajor, stat.start), (1234, 7, 4567));
        assert_eq!(Stat::parse(b"812 )sh( S 1 2"), None);
    }

    #[test]
    fn limits_may_be_none() {
        let text = b"Max processes   1 1 processes\nMax open files            1024                 524288               files     \n";
        assert_eq!(max_open_files(text), 1024);
        assert_eq!(max_open_files(b"Max open files   unlimited   unlimited  files\n"), -1);
    }

    proptest! {
        #[test]
        fn anything_can_be_parsed(text: Vec<u8>, line in "(Tgid|PPid|Uid|NSpid|CapEff|Max open files):?[\\x00-\\x7f]{0,40}\n{0,3}") {
            Status::parse(&text);
            Stat::parse(&text);
            max_open_files(&text);
            let text = line.repeat(3);
            Status::parse(text.as_bytes());
            max_open_files(text.as_bytes());
        }
    }
}
