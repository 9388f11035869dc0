//! Errors of reading and writing captures, worded for the owner of the file.

use std::io;

use peregrine_event::plugins::UnknownPlugin;
use peregrine_event::{BuildError, EventType, WireError};
use thiserror::Error;

use crate::decompress::Packed;

/// Why reading or writing a capture ended.
///
/// Offsets count bytes of the capture after decompression. The name of the file is the caller's to
/// add. The text of an error is all there is to say; there are no causes behind it.
#[derive(Debug, Error)]
pub enum ScapError {
    /// The file cannot be opened.
    #[error("can't be opened: {0}")]
    Open(io::Error),
    /// Reading failed.
    #[error("can't be read after byte {offset}: {error}")]
    Read {
        /// Bytes read so far.
        offset: u64,
        /// The error of the system.
        error: io::Error,
    },
    /// It is compressed in a form that is not read.
    #[error("{}", .0.remedy())]
    Packed(Packed),
    /// The file does not start like a capture.
    #[error("is not a capture file")]
    NotACapture,
    /// A later, incompatible version of the format.
    #[error("has format version {major}, the newest known is {newest}", newest = crate::format::MAJOR)]
    Version {
        /// Version in the file.
        major: u16,
    },
    /// The capture ends before its first event.
    #[error("holds no events")]
    NoEvents,
    /// The bytes are invalid.
    #[error("damaged at byte {offset}: {damage}")]
    Damaged {
        /// Start of the block.
        offset: u64,
        /// What is wrong with it.
        damage: Damage,
    },
    /// It has an event of a plugin that is not loaded.
    #[error(transparent)]
    Plugin(#[from] UnknownPlugin),
    /// The capture cannot be written.
    #[error("can't be written: {0}")]
    Write(io::Error),
    /// A list or an event exceeds the length fields of the format.
    #[error("can't be written: {what} of {len} bytes is longer than the format allows")]
    TooLong {
        /// What is too long.
        what: &'static str,
        /// Its length.
        len: usize,
    },
}

/// What is wrong with the bytes of a capture.
#[derive(Debug, Error)]
pub enum Damage {
    /// The file ends inside an item.
    #[error("the file ends inside {what}: {want} bytes needed, {have} there")]
    Truncated {
        /// The truncated item.
        what: &'static str,
        /// Its size.
        want: u64,
        /// Bytes present.
        have: u64,
    },
    /// The compressed bytes are not valid.
    #[error("the compressed data is broken: {0}")]
    Compressed(io::Error),
    /// A block shorter than the minimum for its kind.
    #[error("{what} says it has {len} bytes, it needs at least {min}")]
    Short {
        /// Kind of block.
        what: &'static str,
        /// Its length.
        len: u64,
        /// The minimum.
        min: u64,
    },
    /// A block longer than allowed.
    #[error("{what} says it has {len} bytes, at most {max} can be")]
    Long {
        /// Kind of block.
        what: &'static str,
        /// Its length.
        len: u64,
        /// The limit.
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
    /// An unknown byte-order mark, or that of the other byte order.
    #[error("the section header has byte-order mark {0:#010x}, not 0x1a2b3c4d")]
    ByteOrder(u32),
    /// A block that is not allowed here.
    #[error("a block of type {0:#x} stands between the events")]
    Misplaced(u32),
    /// An entry of a list extends beyond the list.
    #[error("an entry of {list} ends beyond it")]
    Entry {
        /// Which list.
        list: &'static str,
    },
    /// An unknown kind of interface.
    #[error("the interface list has an address of unknown kind {0}")]
    Interface(u16),
    /// An event contradicts itself.
    #[error(transparent)]
    Event(#[from] WireError),
    /// The converted form of an old event exceeds the limits of the format.
    #[error(transparent)]
    Rewrite(#[from] BuildError),
    /// An event of the first block format whose parameter count cannot be determined.
    #[error("no number of parameters fits the {len} bytes of old event {}", .ty.name())]
    ParamCount {
        /// Which event.
        ty: EventType,
        /// Its bytes.
        len: usize,
    },
    /// An old event in a form that never existed.
    #[error("old event {} with {nparams} parameters has no current form", .ty.info().id)]
    Conversion {
        /// Which event.
        ty: EventType,
        /// Its number of parameters.
        nparams: usize,
    },
}
