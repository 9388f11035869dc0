//! Why a capture can't be read or written, in words for the person who has the file.

use std::io;

use peregrine_event::{BuildError, EventType, WireError};
use thiserror::Error;

/// Why reading or writing a capture ended.
///
/// Offsets count bytes of the capture after decompression. The name of the file is the caller's to add.
#[derive(Debug, Error)]
pub enum ScapError {
    /// The file can't be opened.
    #[error("can't be opened: {0}")]
    Open(#[source] io::Error),
    /// The system refuses to read on.
    #[error("can't be read after byte {offset}: {source}")]
    Read {
        /// Bytes read so far.
        offset: u64,
        /// What the system says.
        source: io::Error,
    },
    /// The first bytes are not those of a capture.
    #[error("is not a capture file")]
    NotACapture,
    /// A later, incompatible version of the format.
    #[error("has format version {major}, the newest known is {newest}", newest = crate::format::MAJOR)]
    Version {
        /// What the file says.
        major: u16,
    },
    /// The capture ends before its first event.
    #[error("holds no events")]
    NoEvents,
    /// What the bytes say can't be.
    #[error("damaged at byte {offset}: {damage}")]
    Damaged {
        /// Where the block begins.
        offset: u64,
        /// What is wrong with it.
        #[source]
        damage: Damage,
    },
    /// The capture can't be written.
    #[error("can't be written: {0}")]
    Write(#[source] io::Error),
    /// A list or an event is too long for the lengths of the format.
    #[error("can't be written: {what} of {len} bytes is longer than the format allows")]
    TooLong {
        /// What it is.
        what: &'static str,
        /// How long it is.
        len: usize,
    },
}

/// What is wrong with the bytes of a capture.
#[derive(Debug, Error)]
pub enum Damage {
    /// The file ends in the middle of something.
    #[error("the file ends inside {what}: {want} bytes needed, {have} there")]
    Truncated {
        /// What is cut off.
        what: &'static str,
        /// Its size.
        want: u64,
        /// What is there of it.
        have: u64,
    },
    /// The compressed bytes are not gzip.
    #[error("the compressed data is broken: {0}")]
    Gzip(#[source] io::Error),
    /// A block shorter than what each block of this kind has.
    #[error("{what} says it has {len} bytes, it needs at least {min}")]
    Short {
        /// Kind of block.
        what: &'static str,
        /// What it says.
        len: u64,
        /// What it needs.
        min: u64,
    },
    /// A block longer than it may be.
    #[error("{what} says it has {len} bytes, at most {max} can be")]
    Long {
        /// Kind of block.
        what: &'static str,
        /// What it says.
        len: u64,
        /// The bound.
        max: u64,
    },
    /// The length before a block differs from the one after it.
    #[error("{what} says it has {header} bytes before it and {trailer} after it")]
    Trailer {
        /// Kind of block.
        what: &'static str,
        /// Length before.
        header: u32,
        /// Length after.
        trailer: u32,
    },
    /// The byte-order mark is neither ours nor known.
    #[error("the section header has byte-order mark {0:#010x}, not 0x1a2b3c4d")]
    ByteOrder(u32),
    /// A block that may not stand here.
    #[error("a block of type {0:#x} stands between the events")]
    Misplaced(u32),
    /// An entry of a list ends beyond the list.
    #[error("an entry of {list} ends beyond it")]
    Entry {
        /// Which list.
        list: &'static str,
    },
    /// An interface of a kind that does not exist.
    #[error("the interface list has an address of unknown kind {0}")]
    Interface(u16),
    /// The bytes of an event contradict each other.
    #[error(transparent)]
    Event(#[from] WireError),
    /// The current form of an old event does not fit the format.
    #[error(transparent)]
    Rewrite(#[from] BuildError),
    /// An event of the old format whose parameter count can't be found.
    #[error("no number of parameters fits the {len} bytes of old event {}", .ty.name())]
    ParamCount {
        /// Which event.
        ty: EventType,
        /// Its bytes.
        len: usize,
    },
    /// An old event in a form that never was.
    #[error("old event {} with {nparams} parameters has no current form", .ty.info().id)]
    Conversion {
        /// Which event.
        ty: EventType,
        /// Its number of parameters.
        nparams: usize,
    },
}
