//! What became of alerts, as numbers.

/// What became of the alerts of an output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// All that were pushed.
    pub(crate) submitted: u64,
    /// Those that an earlier run has left in the spool.
    pub(crate) recovered: u64,
    /// Arrived.
    pub(crate) delivered: u64,
    /// Attempts beyond the first one.
    pub(crate) retried: u64,
    /// The channel has failed to deliver them.
    pub(crate) failed: u64,
    /// Lost in a full queue that had items of one rule only.
    pub(crate) full: u64,
    /// Lost in a full queue, where their rule had more than others.
    pub(crate) over_share: u64,
    /// Not delivered when the queue was given up.
    pub(crate) discarded: u64,
    /// Lost because the spool was full.
    pub(crate) spool_full: u64,
    /// Lost because they were too long in the spool.
    pub(crate) expired: u64,
    /// Lost because the spool was damaged.
    pub(crate) damaged: u64,
    /// Put into the spool.
    pub(crate) spooled_in: u64,
    /// Taken out of it, for any reason.
    pub(crate) spooled_out: u64,
}

impl Counts {
    /// The sum.
    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            submitted: self.submitted + other.submitted,
            recovered: self.recovered + other.recovered,
            delivered: self.delivered + other.delivered,
            retried: self.retried + other.retried,
            failed: self.failed + other.failed,
            full: self.full + other.full,
            over_share: self.over_share + other.over_share,
            discarded: self.discarded + other.discarded,
            spool_full: self.spool_full + other.spool_full,
            expired: self.expired + other.expired,
            damaged: self.damaged + other.damaged,
            spooled_in: self.spooled_in + other.spooled_in,
            spooled_out: self.spooled_out + other.spooled_out,
        }
    }

    /// Alerts that are in the spool.
    pub(crate) fn spooled(&self) -> u64 {
        self.spooled_in.saturating_sub(self.spooled_out)
    }

    /// Alerts that are neither delivered nor lost nor in the spool.
    pub(crate) fn waiting(&self) -> u64 {
        let lost = self.failed + self.full + self.over_share + self.discarded;
        let lost = lost + self.spool_full + self.expired + self.damaged;
        (self.submitted + self.recovered).saturating_sub(self.delivered + lost + self.spooled())
    }
}
