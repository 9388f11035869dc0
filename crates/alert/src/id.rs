//! Ids of alerts.

use std::fmt;

/// Identifies one alert, in every channel and across restarts.
///
/// The id has the layout of a [ULID](https://github.com/ulid/spec) and prints as one: 48 bits of
/// Unix milliseconds, then 80 bits that are random in a ULID and a hash here. So ids sort by the
/// time of the event. The hash covers the host name, the event source, the rule, and the time and
/// number of the event. It does not depend on anything of the running process: replaying a capture
/// gives the same ids, and a receiver can drop duplicates after a restart. The layout and hash must
/// not change between versions.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlertId(u128);

impl AlertId {
    /// The id with these bits, which [`as_u128`](Self::as_u128) has given.
    #[must_use]
    pub fn from_u128(bits: u128) -> Self {
        Self(bits)
    }

    /// The 128 bits.
    #[must_use]
    pub fn as_u128(self) -> u128 {
        self.0
    }
}

/// Crockford's alphabet for base 32.
const SYMBOLS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl fmt::Display for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (0..26).rev().try_for_each(|digit| {
            let bits = (self.0 >> (5 * digit)) as usize % SYMBOLS.len();
            fmt::Write::write_char(f, char::from(SYMBOLS[bits]))
        })
    }
}

impl fmt::Debug for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AlertId({self})")
    }
}

/// The part of the hash that is the same for all alerts of a rule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IdSeed(u128);

impl IdSeed {
    pub(crate) fn new(hostname: &str, source: &str, rule: &str) -> Self {
        // FNV-1a with 128 bits. The byte behind each part never occurs in UTF-8.
        const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
        const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
        let parts = [hostname, source, rule].into_iter();
        let bytes = parts.flat_map(|part| part.bytes().chain([0xff]));
        Self(bytes.fold(OFFSET, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME)))
    }

    /// The id of the alert about event `number` at `time` (nanoseconds since the epoch).
    ///
    /// Both steps are bijections, so events of one time and different numbers never get the same
    /// id.
    pub(crate) fn id(self, time: u64, number: u64) -> AlertId {
        let of_time = mix(time ^ (self.0 >> 64) as u64);
        let of_number = mix(number ^ self.0 as u64 ^ of_time.rotate_left(32));
        let milliseconds = u128::from(time / 1_000_000);
        AlertId(milliseconds << 80 | u128::from(of_time >> 48) << 64 | u128::from(of_number))
    }
}

/// The finalizer of MurmurHash3: every bit of the input affects every bit of the output.
fn mix(mut bits: u64) -> u64 {
    bits ^= bits >> 33;
    bits = bits.wrapping_mul(0xff51_afd7_ed55_8ccd);
    bits ^= bits >> 33;
    bits = bits.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    bits ^ bits >> 33
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const TIME: u64 = 1_470_327_477_881_785_348;

    #[test]
    fn ids_are_the_same_in_every_version() {
        let id = IdSeed::new("HOST", "syscall", "Shell").id(TIME, 7);
        assert_eq!(id.to_string(), "01ASB5HNKSGA3TR6P7EFWQCV51");
    }

    #[test]
    fn ids_sort_by_time() {
        let seed = IdSeed::new("HOST", "syscall", "Shell");
        let ids: Vec<_> = (0..100).map(|ms| seed.id(TIME + ms * 1_000_000, 7)).collect();
        assert!(ids.is_sorted());
        let mut texts: Vec<_> = ids.iter().map(AlertId::to_string).collect();
        assert!(texts.is_sorted());
        texts.dedup();
        assert_eq!(texts.len(), ids.len());
    }

    #[test]
    fn each_part_makes_another_id() {
        let parts = [["HOST", "syscall", "Shell"], ["HOST", "sys", "callShell"], ["", "", ""]];
        let seeds = parts.map(|[host, source, rule]| IdSeed::new(host, source, rule));
        let mut ids = HashSet::new();
        for seed in seeds {
            for time in TIME..TIME + 100 {
                assert!((0..100).all(|number| ids.insert(seed.id(time, number))));
            }
        }
    }
}
