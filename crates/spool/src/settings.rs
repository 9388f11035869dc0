//! What users of a spool set and see.

use std::path::PathBuf;
use std::time::Duration;

/// What is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Identifies it, for the receiver.
    pub id: u128,
    /// Any time, for the receiver.
    pub time: u64,
    /// Any bytes.
    pub body: &'a [u8],
}

/// Where a spool is, and how much it may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolSettings {
    /// Its directory. No other spool may use it.
    pub directory: PathBuf,
    /// Bytes on the disk.
    pub max_bytes: u64,
    /// Records that wait longer are dropped.
    pub max_age: Duration,
    /// What happens at [`max_bytes`](Self::max_bytes).
    pub when_full: WhenFull,
    /// How long a record may wait before it is forced to the disk.
    pub sync_interval: Duration,
    /// Bytes of records that are kept in memory: the newest ones, so that they are not read back,
    /// and those that cannot be written.
    pub memory: usize,
}

/// What happens when a spool is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// The oldest records are dropped.
    DropOldest,
    /// New records are refused.
    DropNewest,
}

/// What a spool holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpoolStatus {
    /// Records that are not settled.
    pub records: u64,
    /// Records that an earlier run had left when the spool was opened.
    pub recovered: u64,
    /// Records that are only in memory.
    pub unwritten: u64,
    /// Bytes on the disk, and of what waits to be written.
    pub bytes: u64,
    /// Milliseconds since the oldest record was stored that the reader has.
    pub oldest: Option<u64>,
}
