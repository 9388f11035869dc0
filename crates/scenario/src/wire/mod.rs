//! Parameters of events: from the values of a test to bytes, and back for recording.

mod address;
mod encode;
mod print;

pub(crate) use address::{Tuple, address, ends, tuple};
pub(crate) use encode::{bytes_of, encode, listed_texts};
pub(crate) use print::{Shown, print, text};
