//! Reads a capture: its snapshot, then its events in their current form.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::path::Path;

use peregrine_event::plugins::{PluginSources, is_of_plugin, source_of};
use peregrine_event::snapshot::Item;
use peregrine_event::source::{Due, Next, Record, Source, TimedSource};
use peregrine_event::wire::{HEADER_LEN, Head, WireError};
use peregrine_event::{Event, EventType};
use peregrine_limits::{CAPTURE_EVENT_BYTES, CAPTURE_LIST_BYTES};

use crate::appendix;
use crate::block::UsualBlock;
use crate::convert::{Converter, Outcome};
use crate::cursor::Cursor;
use crate::error::{Damage, ScapError};
use crate::format::{
    BLOCK_HEADER, BLOCK_TRAILER, BYTE_ORDER, Block, EventBlock, Flags, List, MAJOR,
    MAX_SMALL_EVENT, SECTION_BODY,
};
use crate::input::Input;
use crate::snapshot;
use crate::v1;

/// A capture being read.
///
/// Whether it is compressed shows in its first bytes. Memory is bounded by the largest block.
///
/// ```
/// use peregrine_event::snapshot::Item;
/// use peregrine_scap::{Reader, Record, ScapError};
///
/// # fn main() -> Result<(), ScapError> {
/// let mut reader = Reader::open("../../conformance/captures/cat_write.scap")?;
/// let mut threads = 0;
/// while let Some(record) = reader.next()? {
///     match record {
///         Record::Restart => threads = 0,
///         Record::Snapshot(item) => threads += u32::from(matches!(item, Item::Thread(_))),
///         Record::Event { event, .. } => println!("{} {}", event.num, event.ty.name()),
///     }
/// }
/// assert!(threads > 0 && reader.counts().delivered > 0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Reader<R: Read> {
    input: Input<R>,
    position: Position,
    /// Size of the last returned block; it stays buffered until the next call.
    given: usize,
    /// What [`TimedSource::due`] has found.
    peeked: Option<Peeked>,
    converter: Converter,
    /// An event of the first block format, rewritten in the second, or one with its appendix.
    upgraded: Vec<u8>,
    counts: Counts,
    plugins: Option<PluginSources>,
}

/// Numbers of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Returned to the caller.
    pub delivered: u64,
    /// Old events that are not delivered because another event carries their content.
    pub superfluous: u64,
    /// Events of types that only newer writers know.
    pub unknown: u64,
}

/// Position within the structure of the capture.
#[derive(Debug)]
enum Position {
    /// Before a section header; whether it is the first one.
    Section { first: bool },
    /// Between the lists of the snapshot.
    Snapshot,
    /// In a fully buffered list: its size and the position in it.
    List { list: List, total: usize, at: usize },
    /// Between events.
    Events,
    /// The next record is found but not returned.
    Peeked,
    /// At the end, or after damage.
    Ended,
}

/// A record that is found but not returned, with what `given` and `position` are after it.
#[derive(Debug)]
struct Peeked {
    found: Found,
    given: usize,
    position: Position,
}

/// Result of [`Reader::advance`]. It borrows nothing, so that it can be produced in a loop.
#[derive(Debug)]
enum Found {
    Restart,
    Item(Item),
    Event(FoundEvent),
}

/// An event to return.
#[derive(Debug)]
struct FoundEvent {
    place: Place,
    head: Head,
    cpu: u16,
    flags: Flags,
}

/// Where the bytes of an event are.
#[derive(Clone, Copy, Debug)]
enum Place {
    Input { start: usize, len: usize },
    Upgraded,
    Converted,
}

impl Reader<File> {
    /// Opens a capture file; `-` is standard input.
    ///
    /// # Errors
    /// If the file cannot be opened. Errors in its content are returned by the first call of
    /// [`Self::next`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ScapError> {
        open_file(path).map(Self::new).map_err(ScapError::Open)
    }
}

/// Opens the file of a capture, for [`Reader::new`]; `-` is standard input, which can be read once.
///
/// # Errors
/// If it cannot be opened.
pub fn open_file(path: impl AsRef<Path>) -> io::Result<File> {
    if path.as_ref() == Path::new("-") {
        return Ok(io::stdin().as_fd().try_clone_to_owned()?.into());
    }
    File::open(path)
}

impl<R: Read> Source for Reader<R> {
    type Error = ScapError;

    #[inline]
    fn next(&mut self) -> Result<Next<'_>, ScapError> {
        Ok(match Reader::next(self)? {
            Some(record) => Next::Record(record),
            None => Next::End,
        })
    }
}

impl<R: Read> TimedSource for Reader<R> {
    fn due(&mut self) -> Result<Due, ScapError> {
        if self.peeked.is_none() {
            self.peeked = self.peek()?;
        }
        Ok(match self.peeked.as_ref().map(|peeked| &peeked.found) {
            Some(Found::Event(event)) => Due::At(event.head.ts),
            Some(Found::Restart | Found::Item(_)) => Due::Now,
            None => Due::End,
        })
    }
}

impl<R: Read> Reader<R> {
    /// Reads a capture from any source. Buffers internally.
    pub fn new(source: R) -> Self {
        Self {
            input: Input::new(source),
            position: Position::Section { first: true },
            given: 0,
            peeked: None,
            converter: Converter::new(),
            upgraded: Vec::new(),
            counts: Counts::default(),
            plugins: None,
        }
    }

    /// Gives events of plugins the sources of these. Without this, they have the source `syscall`;
    /// with it, an event of another plugin is an error.
    #[must_use]
    pub fn with_plugins(self, plugins: PluginSources) -> Self {
        Self { plugins: Some(plugins), ..self }
    }

    /// Numbers of events so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether the compressed bytes ended without their end mark: the recorder was killed, or the
    /// file is not complete. Known once all records are read.
    pub fn is_cut(&self) -> bool {
        self.input.is_cut()
    }

    /// The next record, or `None` at the end.
    ///
    /// # Errors
    /// If the capture is damaged. After an error further calls return `None`.
    #[inline(always)]
    #[expect(clippy::should_implement_trait, reason = "a record borrows from the reader")]
    pub fn next(&mut self) -> Result<Option<Record<'_>>, ScapError> {
        self.input.consume(std::mem::take(&mut self.given));
        let found = match self.position {
            Position::Events => self.event(),
            _ => Ok(None),
        };
        // Most records are events. They take a path of their own, because a type that can also hold
        // a snapshot item is large and would be moved for each of them.
        let found = match found {
            Ok(Some(found)) => Ok(Some(found)),
            Ok(None) => match self.advance() {
                Ok(Some(Found::Event(found))) => Ok(Some(found)),
                Ok(Some(Found::Restart)) => return Ok(Some(Record::Restart)),
                Ok(Some(Found::Item(item))) => return Ok(Some(Record::Snapshot(item))),
                Ok(None) => Ok(None),
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        };
        let FoundEvent { place, head, cpu, flags } = match found {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(None),
            Err(error) => return self.ended_by(error).map_or(Ok(None), Err),
        };
        let bytes = match place {
            Place::Input { start, len } => {
                self.input.bytes().get(start..start + len).unwrap_or_default()
            }
            Place::Upgraded => &self.upgraded,
            Place::Converted => self.converter.output(),
        };
        let mut event = Event::with_head(head, bytes, cpu);
        self.counts.delivered += 1;
        event.num = self.counts.delivered;
        event.abi = flags.abi();
        if is_of_plugin(event.ty)
            && let Some(plugins) = &self.plugins
        {
            match source_of(&event, plugins) {
                Ok(source) => event.source = source,
                Err(unknown) => {
                    self.position = Position::Ended;
                    return Err(unknown.into());
                }
            }
        }
        Ok(Some(Record::Event { event, state_only: flags.state_only() }))
    }

    /// Finds the next record without returning it. `None` at the end.
    fn peek(&mut self) -> Result<Option<Peeked>, ScapError> {
        self.input.consume(std::mem::take(&mut self.given));
        let found = match self.position {
            Position::Events => self.event().map(|event| event.map(Found::Event)),
            _ => Ok(None),
        };
        let found = match found {
            Ok(None) => self.advance(),
            found => found,
        };
        match found {
            Ok(Some(found)) => Ok(Some(Peeked {
                found,
                given: std::mem::take(&mut self.given),
                position: std::mem::replace(&mut self.position, Position::Peeked),
            })),
            Ok(None) => Ok(None),
            Err(error) => self.ended_by(error).map_or(Ok(None), Err),
        }
    }

    /// Ends the capture. That it ends inside an event is no error if its compressed bytes were cut.
    #[cold]
    fn ended_by(&mut self, error: ScapError) -> Option<ScapError> {
        let events = matches!(self.position, Position::Events);
        let is_end = matches!(error, ScapError::Damaged { damage: Damage::Truncated { .. }, .. });
        self.position = Position::Ended;
        (!(events && is_end && self.input.is_cut())).then_some(error)
    }

    /// The next of consecutive events; `None` before anything else.
    #[inline(always)]
    fn event(&mut self) -> Result<Option<FoundEvent>, ScapError> {
        loop {
            let Some(block) = UsualBlock::first(self.input.bytes()) else { return Ok(None) };
            let UsualBlock { total, cpu, flags, start, event } = block;
            let place = Place::Input { start, len: event.len() };
            let outcome = self.converter.take(event);
            if let Some((place, head)) = self.place(outcome, place)? {
                self.given = total;
                return Ok(Some(FoundEvent { place, head, cpu, flags }));
            }
            self.input.consume(total);
        }
    }

    fn advance(&mut self) -> Result<Option<Found>, ScapError> {
        loop {
            match self.position {
                Position::Ended => return Ok(None),
                Position::Peeked => {
                    let Some(Peeked { found, given, position }) = self.peeked.take() else {
                        self.position = Position::Ended;
                        continue;
                    };
                    (self.given, self.position) = (given, position);
                    return Ok(Some(found));
                }
                Position::Section { first } => {
                    self.section(first)?;
                    self.position = Position::Snapshot;
                    if !first {
                        self.converter.reset();
                        return Ok(Some(Found::Restart));
                    }
                }
                Position::Snapshot => self.snapshot_block()?,
                Position::List { list, total, at } => {
                    if let Some(item) = self.item(list, total, at)? {
                        return Ok(Some(Found::Item(item)));
                    }
                }
                Position::Events => {
                    let Some((ty, total)) = self.block_header()? else {
                        self.position = Position::Ended;
                        return Ok(None);
                    };
                    match Block::from_type(ty) {
                        Block::Section => self.position = Position::Section { first: false },
                        Block::Event(block) => {
                            if let Some(found) = self.event_block(block, total)? {
                                self.given = total as usize;
                                return Ok(Some(Found::Event(found)));
                            }
                            self.input.consume(total as usize);
                        }
                        _ => return Err(self.damaged(Damage::Misplaced(ty))),
                    }
                }
            }
        }
    }

    fn section(&mut self, first: bool) -> Result<(), ScapError> {
        const WHAT: &str = "the section header";
        let header = match self.block_header() {
            Err(ScapError::Damaged { damage: Damage::Truncated { .. }, .. }) if first => None,
            header => header?,
        };
        let total = match header {
            Some((ty, total)) if Block::from_type(ty) == Block::Section => total,
            _ => return Err(ScapError::NotACapture),
        };
        let min = BLOCK_HEADER + SECTION_BODY + BLOCK_TRAILER;
        self.at_least(WHAT, total, min)?;
        self.buffer(WHAT, min)?;
        let mut body = Cursor::new(self.input.bytes().get(BLOCK_HEADER..).unwrap_or_default());
        let (order, major) = (body.u32().unwrap_or(0), body.u16().unwrap_or(0));
        if order != BYTE_ORDER {
            return Err(self.damaged(Damage::ByteOrder(order)));
        }
        if major > MAJOR {
            return Err(ScapError::Version { major });
        }
        self.skip(WHAT, total.into())
    }

    /// Enters the next list, or the events. Skips unknown blocks.
    fn snapshot_block(&mut self) -> Result<(), ScapError> {
        let Some((ty, total)) = self.block_header()? else { return Err(ScapError::NoEvents) };
        let block = Block::from_type(ty);
        match block {
            Block::Event(_) => self.position = Position::Events,
            Block::List(list) => {
                self.at_most(block.name(), total, CAPTURE_LIST_BYTES.get())?;
                self.buffer(block.name(), total as usize)?;
                self.trailer(block.name(), total, total as usize - BLOCK_TRAILER)?;
                self.position = Position::List { list, total: total as usize, at: BLOCK_HEADER };
            }
            Block::Section | Block::Unknown => {
                self.skip(block.name(), u64::from(total) - BLOCK_TRAILER as u64)?;
                self.buffer(block.name(), BLOCK_TRAILER)?;
                self.trailer(block.name(), total, 0)?;
                self.input.consume(BLOCK_TRAILER);
            }
        }
        Ok(())
    }

    /// The item at `at` of the buffered list, or leaves the list.
    fn item(&mut self, list: List, total: usize, at: usize) -> Result<Option<Item>, ScapError> {
        let end = total - BLOCK_TRAILER;
        let mut body = Cursor::new(self.input.bytes().get(at..end).unwrap_or_default());
        let item = snapshot::next_item(list, &mut body);
        let rest = body.len();
        let item = item.map_err(|damage| self.damaged(damage))?;
        if item.is_some() {
            self.position = Position::List { list, total, at: end - rest };
        } else {
            self.input.consume(total);
            self.position = Position::Snapshot;
        }
        Ok(item)
    }

    /// Finds the event of a block of any kind, which stays buffered. `None` if it is not delivered.
    fn event_block(
        &mut self,
        block: EventBlock,
        total: u32,
    ) -> Result<Option<FoundEvent>, ScapError> {
        const WHAT: &str = "an event block";
        let before = if block.flags { 6 } else { 2 };
        let header = if block.v1 { v1::HEADER_LEN } else { HEADER_LEN };
        let start = BLOCK_HEADER + before;
        self.at_least(WHAT, total, start + header + BLOCK_TRAILER)?;
        let max =
            if block.large { CAPTURE_EVENT_BYTES.get() } else { BLOCK_HEADER + MAX_SMALL_EVENT };
        self.at_most(WHAT, total, max)?;
        self.buffer(WHAT, total as usize)?;

        let bytes = self.input.bytes().get(..total as usize - BLOCK_TRAILER).unwrap_or_default();
        debug_assert!(start <= bytes.len());
        let (before, body) = bytes.split_at_checked(start).unwrap_or_default();
        let mut fields = Cursor::new(before.get(BLOCK_HEADER..).unwrap_or_default());
        let cpu = fields.u16().unwrap_or(0);
        let flags = if block.flags { fields.u32().unwrap_or(0) } else { 0 };
        let mut fields = Cursor::new(body.get(16..).unwrap_or_default());
        let (len, code) = (fields.u32().unwrap_or(0), fields.u16().unwrap_or(0));
        let (outcome, place) = match (EventType::from_code(code), body.get(..len as usize)) {
            (None, _) => (Ok(Outcome::Unknown), Place::Upgraded),
            (Some(ty), _) if block.v1 => {
                let upgraded = v1::upgrade(ty, body, &mut self.upgraded);
                (upgraded.and_then(|()| take(&mut self.converter, &self.upgraded)), Place::Upgraded)
            }
            (Some(_), Some(event))
                if body
                    .get(event.len()..)
                    .and_then(|behind| appendix::join(event, behind, &mut self.upgraded))
                    .is_some() =>
            {
                (take(&mut self.converter, &self.upgraded), Place::Upgraded)
            }
            (Some(_), Some(event)) => {
                (take(&mut self.converter, event), Place::Input { start, len: event.len() })
            }
            (Some(_), None) => {
                let damage = WireError::Length { header: len, actual: body.len() }.into();
                (Err(damage), Place::Upgraded)
            }
        };
        let found = self.place(outcome, place)?;
        Ok(found.map(|(place, head)| FoundEvent { place, head, cpu, flags: Flags(flags) }))
    }

    /// Place and header of the current form of the event at this place. `None` if it is not
    /// delivered.
    #[inline]
    fn place(
        &mut self,
        outcome: Result<Outcome, Damage>,
        place: Place,
    ) -> Result<Option<(Place, Head)>, ScapError> {
        match outcome {
            Ok(Outcome::Unchanged(head)) => return Ok(Some((place, head))),
            Ok(Outcome::Rewritten(head)) => return Ok(Some((Place::Converted, head))),
            Ok(Outcome::Dropped) => self.counts.superfluous += 1,
            Ok(Outcome::Unknown) => self.counts.unknown += 1,
            Err(damage) => return Err(self.damaged(damage)),
        }
        Ok(None)
    }

    /// Type and size of the next block, without consuming it. `None` at the end of the file.
    #[inline]
    fn block_header(&mut self) -> Result<Option<(u32, u32)>, ScapError> {
        const WHAT: &str = "a block header";
        if self.fill(BLOCK_HEADER)? == 0 {
            return Ok(None);
        }
        self.buffer(WHAT, BLOCK_HEADER)?;
        let mut header = Cursor::new(self.input.bytes());
        let (ty, total) = (header.u32().unwrap_or(0), header.u32().unwrap_or(0));
        if (total as usize) < BLOCK_HEADER + BLOCK_TRAILER {
            let what = Block::from_type(ty).name();
            self.at_least(what, total, BLOCK_HEADER + BLOCK_TRAILER)?;
        }
        Ok(Some((ty, total)))
    }

    /// Compares the length after a block with the one before it.
    fn trailer(&self, what: &'static str, header: u32, at: usize) -> Result<(), ScapError> {
        let mut trailer = Cursor::new(self.input.bytes().get(at..).unwrap_or_default());
        match trailer.u32() {
            Some(trailer) if trailer == header => Ok(()),
            trailer => {
                let trailer = trailer.unwrap_or(0);
                Err(self.damaged(Damage::Trailer { what, header, trailer }))
            }
        }
    }

    /// Buffers `len` bytes.
    #[inline]
    fn buffer(&mut self, what: &'static str, len: usize) -> Result<(), ScapError> {
        let have = self.fill(len)?;
        if have < len {
            return Err(self.damaged(Damage::Truncated {
                what,
                want: len as u64,
                have: have as u64,
            }));
        }
        Ok(())
    }

    fn skip(&mut self, what: &'static str, want: u64) -> Result<(), ScapError> {
        let offset = self.input.offset();
        let have = self.input.skip(want).map_err(|error| self.unreadable(error))?;
        if have < want {
            return Err(ScapError::Damaged {
                offset,
                damage: Damage::Truncated { what, want, have },
            });
        }
        Ok(())
    }

    #[inline]
    fn fill(&mut self, len: usize) -> Result<usize, ScapError> {
        self.input.fill(len).map_err(|error| self.unreadable(error))
    }

    #[inline]
    fn at_least(&self, what: &'static str, len: u32, min: usize) -> Result<(), ScapError> {
        if (len as usize) < min {
            let (len, min) = (len.into(), min as u64);
            return Err(self.damaged(Damage::Short { what, len, min }));
        }
        Ok(())
    }

    #[inline]
    fn at_most(&self, what: &'static str, len: u32, max: usize) -> Result<(), ScapError> {
        if len as usize > max {
            let (len, max) = (len.into(), max as u64);
            return Err(self.damaged(Damage::Long { what, len, max }));
        }
        Ok(())
    }

    #[cold]
    fn damaged(&self, damage: Damage) -> ScapError {
        ScapError::Damaged { offset: self.input.offset(), damage }
    }

    #[cold]
    fn unreadable(&self, error: io::Error) -> ScapError {
        if let Some(packed) = self.input.packed() {
            return ScapError::Packed(packed);
        }
        let offset = self.input.offset() + self.input.bytes().len() as u64;
        match error.kind() {
            // The error kind of the decompressor for invalid input.
            ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::UnexpectedEof => {
                ScapError::Damaged { offset, damage: Damage::Compressed(error) }
            }
            _ => ScapError::Read { offset, error },
        }
    }
}

/// [`Converter::take`] for events in less common blocks.
#[inline(never)]
fn take(converter: &mut Converter, event: &[u8]) -> Result<Outcome, Damage> {
    converter.take(event)
}
