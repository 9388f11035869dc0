//! Writes captures in the newest format.

use std::io::{BufWriter, Write};

use flate2::write::GzEncoder;
use peregrine_event::snapshot::Item;
use peregrine_event::{Event, EventFlags};
use peregrine_limits::CAPTURE_LIST_BYTES;

use crate::appendix::{self, OldestReader};
use crate::encode;
use crate::error::ScapError;
use crate::format::{
    self, BLOCK_HEADER, BLOCK_TRAILER, BYTE_ORDER, Flags, MAJOR, MAX_SMALL_EVENT, MINOR,
};

/// Size at which a process list continues in another block.
const LIST_CHUNK: usize = 1 << 20;

/// Whether a capture is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Plain bytes.
    None,
    /// gzip.
    Gzip,
}

/// A capture being written.
///
/// ```
/// use peregrine_event::{Builder, Event, EventType};
/// use peregrine_scap::{Compression, Reader, Record, Writer};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut bytes = Vec::new();
/// Builder::new(EventType::SyscallCloseX, 1_000, 7).i64(0).i64(3).finish(&mut bytes)?;
///
/// let mut writer = Writer::new(Vec::new(), Compression::Gzip, &[])?;
/// writer.event(&Event::parse(&bytes, 0)?, false)?;
/// let file = writer.finish()?;
///
/// let mut reader = Reader::new(file.as_slice());
/// let Some(Record::Event { event, .. }) = reader.next()? else { panic!("no event") };
/// assert_eq!(event.bytes(), bytes);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Writer<W: Write> {
    sink: Sink<W>,
    /// Body of the current block.
    body: Vec<u8>,
    oldest_reader: OldestReader,
}

impl<W: Write> Writer<W> {
    /// Starts a capture with a snapshot of the machine.
    ///
    /// # Errors
    /// If `sink` fails, or a list exceeds the size of a block.
    pub fn new(sink: W, compression: Compression, snapshot: &[Item]) -> Result<Self, ScapError> {
        let sink = match compression {
            Compression::None => Sink::Plain(BufWriter::new(sink)),
            Compression::Gzip => Sink::Gzip(GzEncoder::new(sink, flate2::Compression::default())),
        };
        let mut writer = Self { sink, body: Vec::new(), oldest_reader: OldestReader::default() };
        writer.restart(snapshot)?;
        Ok(writer)
    }

    /// Writes events so that this program and later ones can read them. [`Reader`](crate::Reader)
    /// gives all parameters in any case.
    #[must_use]
    pub fn oldest_reader(self, oldest_reader: OldestReader) -> Self {
        Self { oldest_reader, ..self }
    }

    /// Starts another section in the same sink with a snapshot of its machine. The numbers of
    /// events continue.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn restart(&mut self, snapshot: &[Item]) -> Result<(), ScapError> {
        self.section()?;
        self.snapshot(snapshot)
    }

    /// Appends an event. `state_only` marks an event that only updates the reader's state; the ABI
    /// of the call is marked as well.
    ///
    /// # Errors
    /// If the sink fails or the event exceeds the size of a block.
    pub fn event(&mut self, event: &Event<'_>, state_only: bool) -> Result<(), ScapError> {
        self.body.clear();
        self.body.extend_from_slice(&event.cpu.to_le_bytes());
        let flags = Flags::new(event.abi, state_only);
        let flagged = flags != Flags::default();
        if flagged {
            self.body.extend_from_slice(&flags.0.to_le_bytes());
        }
        appendix::split(event, self.oldest_reader, &mut self.body);
        let large = event.ty.info().flags.contains(EventFlags::LARGE_PAYLOAD)
            || padded(self.body.len()) + BLOCK_TRAILER > MAX_SMALL_EVENT;
        self.block(match (large, flagged) {
            (false, false) => format::EVENT_V2,
            (false, true) => format::EVENT_FLAGS_V2,
            (true, false) => format::EVENT_V2_LARGE,
            (true, true) => format::EVENT_FLAGS_V2_LARGE,
        })
    }

    /// Flushes buffers, so that a reader of the file finds all events so far.
    ///
    /// # Errors
    /// If the sink fails.
    pub fn flush(&mut self) -> Result<(), ScapError> {
        self.sink.as_write().flush().map_err(ScapError::Write)
    }

    /// Ends the capture and returns the sink. Dropping the writer ends the capture as well, but
    /// hides errors.
    ///
    /// # Errors
    /// If the sink fails.
    pub fn finish(self) -> Result<W, ScapError> {
        match self.sink {
            Sink::Plain(sink) => {
                sink.into_inner().map_err(|error| ScapError::Write(error.into_error()))
            }
            Sink::Gzip(sink) => sink.finish().map_err(ScapError::Write).and_then(|mut sink| {
                sink.flush().map_err(ScapError::Write)?;
                Ok(sink)
            }),
        }
    }

    fn section(&mut self) -> Result<(), ScapError> {
        self.body.clear();
        self.body.extend_from_slice(&BYTE_ORDER.to_le_bytes());
        self.body.extend_from_slice(&MAJOR.to_le_bytes());
        self.body.extend_from_slice(&MINOR.to_le_bytes());
        // The length of the section is unknown until its end.
        self.body.extend_from_slice(&u64::MAX.to_le_bytes());
        self.block(format::SECTION)
    }

    /// Interfaces and users fill one block each, because readers may replace earlier ones.
    fn snapshot(&mut self, items: &[Item]) -> Result<(), ScapError> {
        self.body.clear();
        for item in items {
            if let Item::Machine(machine) = item {
                encode::machine(&mut self.body, machine);
                self.block(format::MACHINE)?;
            }
        }
        for item in items {
            if let Item::Interface(interface) = item {
                encode::interface(&mut self.body, interface);
            }
        }
        self.list(format::INTERFACES_V2)?;
        for item in items {
            match item {
                Item::User(user) => encode::user(&mut self.body, user),
                Item::Group(group) => encode::group(&mut self.body, group),
                _ => {}
            }
        }
        self.list(format::USERS_V2)?;
        for item in items {
            if let Item::Thread(thread) = item {
                encode::thread(&mut self.body, thread);
                if self.body.len() > LIST_CHUNK {
                    self.list(format::THREADS_V9)?;
                }
            }
        }
        self.list(format::THREADS_V9)?;
        for item in items {
            if let Item::Fds(tid, fds) = item {
                self.body.extend_from_slice(&tid.to_le_bytes());
                fds.iter().for_each(|fd| encode::fd(&mut self.body, fd));
                self.list(format::FDS_V2)?;
            }
        }
        Ok(())
    }

    fn list(&mut self, ty: u32) -> Result<(), ScapError> {
        if self.body.is_empty() { Ok(()) } else { self.block(ty) }
    }

    /// Writes the body as a block of this type and clears it.
    fn block(&mut self, ty: u32) -> Result<(), ScapError> {
        let body = padded(self.body.len());
        let total = BLOCK_HEADER + body + BLOCK_TRAILER;
        if total > CAPTURE_LIST_BYTES.get() {
            let what = format::Block::from_type(ty).name();
            return Err(ScapError::TooLong { what, len: self.body.len() });
        }
        self.body.resize(body, 0);
        let total = (total as u32).to_le_bytes();
        let sink = self.sink.as_write();
        sink.write_all(&ty.to_le_bytes())
            .and_then(|()| sink.write_all(&total))
            .and_then(|()| sink.write_all(&self.body))
            .and_then(|()| sink.write_all(&total))
            .map_err(ScapError::Write)?;
        self.body.clear();
        Ok(())
    }
}

/// Destination of the blocks.
#[derive(Debug)]
enum Sink<W: Write> {
    Plain(BufWriter<W>),
    Gzip(GzEncoder<W>),
}

impl<W: Write> Sink<W> {
    fn as_write(&mut self) -> &mut dyn Write {
        match self {
            Self::Plain(sink) => sink,
            Self::Gzip(sink) => sink,
        }
    }
}

/// Blocks are multiples of four bytes.
fn padded(len: usize) -> usize {
    len.next_multiple_of(4)
}
