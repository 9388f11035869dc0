//! Which partition has a key.

/// The partition of a key among so many. The same as that of Kafka's own clients, so that all
/// repeats of an alert are in one partition, whichever client sends them.
pub(super) fn partition(key: &[u8], partitions: usize) -> usize {
    // As the Java client does, the sign is cut off.
    let hash = murmur2(key) & 0x7fff_ffff;
    (hash as usize).checked_rem(partitions).unwrap_or_default()
}

/// MurmurHash2 with 32 bits and Kafka's seed.
fn murmur2(key: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const FACTOR: u32 = 0x5bd1_e995;
    let mut hash = SEED ^ key.len() as u32;
    let (words, rest) = key.as_chunks::<4>();
    for word in words {
        let mut word = u32::from_le_bytes(*word).wrapping_mul(FACTOR);
        word ^= word >> 24;
        hash = hash.wrapping_mul(FACTOR) ^ word.wrapping_mul(FACTOR);
    }
    if !rest.is_empty() {
        let bytes = rest.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
        hash = (hash ^ bytes).wrapping_mul(FACTOR);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(FACTOR);
    hash ^ hash >> 15
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values are those that the tests of Kafka's Java client expect.
    #[test]
    fn hashes_are_those_of_kafka() {
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
    }

    #[test]
    fn each_key_has_one_of_the_partitions() {
        let parts = |count| (0..1000_u32).map(move |key| partition(&key.to_be_bytes(), count));
        assert!(parts(7).all(|part| part < 7));
        for part in 0..7 {
            assert!(parts(7).filter(|other| *other == part).count() > 100, "{part}");
        }
        assert!(parts(1).chain(parts(0)).all(|part| part == 0));
    }
}
