//! Random sampling of events to time: reading the clock costs more than most conditions do.

use std::time::{Duration, Instant};

/// Pseudo-random numbers, so that the sample does not correlate with periodic workloads.
#[derive(Clone, Copy, Debug)]
pub struct Chance(u64);

impl Default for Chance {
    fn default() -> Self {
        Self(0x2545_F491_4F6C_DD1D)
    }
}

impl Chance {
    /// A number in `0..limit`. `limit` must not be 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Clock readings that determine the cost of one.
const READINGS: usize = 1001;

/// The time between two consecutive clock readings.
pub fn clock_overhead() -> Duration {
    let mut readings: Vec<Duration> = (0..READINGS).map(|_| Instant::now().elapsed()).collect();
    readings.sort_unstable();
    readings.get(READINGS / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chances_stay_below_their_limit_and_differ() {
        let mut chance = Chance(1);
        let drawn: Vec<u64> = (0..1000).map(|_| chance.below(7)).collect();
        assert!(drawn.iter().all(|&n| n < 7));
        assert!((0..7).all(|n| drawn.contains(&n)));
    }
}
