//! What it takes to time some events and not others: a look at the clock costs more than most conditions do.

use std::time::{Duration, Instant};

/// Numbers that keep no step with the events: loads repeat themselves.
#[derive(Clone, Copy, Debug)]
pub struct Chance(u64);

impl Default for Chance {
    fn default() -> Self {
        Self(0x2545_F491_4F6C_DD1D)
    }
}

impl Chance {
    /// One of 0 to `limit` - 1, which must not be 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Looks at the clock that tell how long one takes.
const LOOKS: usize = 1001;

/// What two looks at the clock with nothing between them are apart.
pub fn clock_overhead() -> Duration {
    let mut looks: Vec<Duration> = (0..LOOKS).map(|_| Instant::now().elapsed()).collect();
    looks.sort_unstable();
    looks.get(LOOKS / 2).copied().unwrap_or_default()
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
