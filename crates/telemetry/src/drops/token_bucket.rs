//! A token bucket: limits a rate in the long run and allows bursts.

/// A bucket that fills with time. Full at the start.
#[derive(Clone, Debug)]
pub(super) struct TokenBucket {
    /// Tokens per second.
    rate: f64,
    max: f64,
    tokens: f64,
    /// Time of the last claim, in nanoseconds.
    last: u64,
}

impl TokenBucket {
    pub(super) fn new(rate: f64, max: f64) -> Self {
        Self { rate, max, tokens: max, last: 0 }
    }

    /// Takes a token if one is available at this time.
    pub(super) fn claim(&mut self, ts: u64) -> bool {
        let passed = ts.saturating_sub(self.last) as f64 / 1e9;
        self.last = ts;
        self.tokens = (self.tokens + self.rate * passed).min(self.max);
        let enough = self.tokens >= 1.0;
        if enough {
            self.tokens -= 1.0;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_with_time_and_no_more_than_there_is_room_for() {
        let mut bucket = TokenBucket::new(0.5, 2.0);
        let mut claims = |second: u64| bucket.claim(second * 1_000_000_000);
        assert_eq!([100, 100, 100].map(&mut claims), [true, true, false]);
        assert_eq!([101, 102, 103, 104].map(&mut claims), [false, true, false, true]);
        assert_eq!([1000, 1000, 1000].map(&mut claims), [true, true, false]);
        // The clock was set back.
        assert_eq!([900, 902].map(&mut claims), [false, true]);
    }
}
