//! Where events come from.

use std::io::Read;

use peregrine_scap::{Reader, Record, ScapError};

/// Gives a snapshot of the machine, then events. They borrow from the source until the next one is asked for.
pub trait Source {
    /// Why it can't go on.
    type Error;

    /// The next record; `None` at the end.
    ///
    /// # Errors
    /// When there can be no further record, though the end was not reached.
    fn next(&mut self) -> Result<Option<Record<'_>>, Self::Error>;
}

impl<R: Read> Source for Reader<R> {
    type Error = ScapError;

    fn next(&mut self) -> Result<Option<Record<'_>>, ScapError> {
        Reader::next(self)
    }
}
