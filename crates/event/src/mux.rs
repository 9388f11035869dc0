//! Several sources as one, merged by time.

use crate::source::{Due, Next, Record, Source, TimedSource};

/// Delivers the records of several sources in the order of their times; of equal times, those of
/// the first source first. A snapshot or a restart comes as soon as it is the next record of its
/// source, so all snapshots precede the first event.
///
/// It ends when all sources have ended, but for those that are only
/// [beside others](TimedSource::is_beside_others).
///
/// The order within each source stays, even where its times go backwards. A source that is idle
/// does not hold up the others, so what it delivers later may be older than what they have
/// delivered. Events keep their [`SourceId`](crate::SourceId) and are numbered over all
/// sources of the same id, so that `evt.num` is what it is when a source runs alone.
///
/// Each call asks all sources when they are due. Sources of different types are merged as an enum
/// of them, which also joins their errors. The error of any source ends the stream.
///
/// ```
/// use peregrine_event::inbox::InboxSource;
/// use peregrine_event::mux::Mux;
/// use peregrine_event::source::{Next, Source};
///
/// let mut mux = Mux::new(vec![InboxSource::new(None)]);
/// assert!(matches!(mux.next(), Ok(Next::Idle)));
/// assert_eq!(mux.delivered(), 0);
/// ```
#[derive(Debug)]
pub struct Mux<S> {
    sources: Vec<S>,
    delivered: u64,
    /// Events delivered so far, by [`SourceId::index`](crate::SourceId::index).
    numbers: Vec<u64>,
    /// The source that waits when all are idle; they take turns.
    turn: usize,
}

impl<S: TimedSource> Mux<S> {
    /// Merges these sources.
    pub fn new(sources: Vec<S>) -> Self {
        Self { sources, delivered: 0, numbers: Vec::new(), turn: 0 }
    }

    /// The sources, in their order.
    pub fn sources_mut(&mut self) -> &mut [S] {
        &mut self.sources
    }

    /// Events delivered so far.
    pub fn delivered(&self) -> u64 {
        self.delivered
    }

    /// The source whose record comes next, and when that is due.
    fn first(&mut self) -> Result<(usize, Due), S::Error> {
        let (mut first, mut earliest, mut ended) = (0, Due::End, true);
        for (index, source) in self.sources.iter_mut().enumerate() {
            let due = source.due()?;
            ended &= due == Due::End || source.is_beside_others();
            let in_turn = due == Due::Idle && first < self.turn && self.turn <= index;
            if due < earliest || (due == earliest && in_turn) {
                (first, earliest) = (index, due);
            }
        }
        Ok((first, if ended { Due::End } else { earliest }))
    }
}

impl<S: TimedSource> Source for Mux<S> {
    type Error = S::Error;

    fn next(&mut self) -> Result<Next<'_>, S::Error> {
        let (first, due) = self.first()?;
        let Some(source) = self.sources.get_mut(first).filter(|_| due != Due::End) else {
            return Ok(Next::End);
        };
        if due == Due::Idle {
            self.turn = first + 1;
        }
        Ok(match source.next()? {
            Next::Record(Record::Event { mut event, state_only }) => {
                self.delivered += 1;
                event.num = number(&mut self.numbers, event.source.index());
                Next::Record(Record::Event { event, state_only })
            }
            // It has ended while it was idle. Others may not have.
            Next::End => Next::Idle,
            next => next,
        })
    }

    fn close(&mut self) {
        self.sources.iter_mut().for_each(Source::close);
    }
}

/// The number of the next event of a source.
fn number(numbers: &mut Vec<u64>, source: usize) -> u64 {
    if numbers.len() <= source {
        numbers.resize(source + 1, 0);
    }
    numbers.get_mut(source).map_or(0, |number| {
        *number += 1;
        *number
    })
}

#[cfg(test)]
mod tests;
