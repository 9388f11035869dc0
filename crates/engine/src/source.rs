//! Where events come from.

use std::io::Read;

use peregrine_scap::{Reader, Record, ScapError};

/// Gives a snapshot of the machine, then events. They borrow from the source until the next one is asked for.
pub trait Source {
    /// Why it can't go on.
    type Error;

    /// What comes next. A source that waits for things to happen does not wait for long.
    ///
    /// # Errors
    /// When there can be no further record, though the end was not reached.
    fn next(&mut self) -> Result<Next<'_>, Self::Error>;
}

/// What a source has.
#[derive(Debug)]
pub enum Next<'a> {
    /// A record.
    Record(Record<'a>),
    /// Nothing just now; more may come.
    Idle,
    /// Nothing any more.
    End,
}

impl<R: Read> Source for Reader<R> {
    type Error = ScapError;

    fn next(&mut self) -> Result<Next<'_>, ScapError> {
        Ok(Reader::next(self)?.map_or(Next::End, Next::Record))
    }
}
