//! Shared by the tests of captures.

use std::io::Read;

use peregrine_event::snapshot::Item;
use peregrine_event::source::{Due, TimedSource};
use peregrine_event::{Abi, Builder, EventType};
use peregrine_scap::{Reader, Record, ScapError};

/// The captures of the project.
pub(crate) const CAPTURES: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../conformance/captures");

/// A record that owns its bytes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Owned {
    Restart,
    Item(Item),
    Event { num: u64, cpu: u16, abi: Abi, state_only: bool, bytes: Vec<u8> },
}

/// All records of a capture, and the error at its end, if any. One record of three is peeked at
/// first.
pub(crate) fn read(source: impl Read) -> (Vec<Owned>, Option<ScapError>) {
    read_peeking(source, |index| index % 3 == 0)
}

/// The same, with a peek at the records of the chosen indices.
pub(crate) fn read_peeking(
    source: impl Read,
    peek: impl Fn(usize) -> bool,
) -> (Vec<Owned>, Option<ScapError>) {
    let mut reader = Reader::new(source);
    let mut records = Vec::new();
    loop {
        let due = match peek(records.len()).then(|| reader.due()).transpose() {
            Ok(due) => due,
            Err(error) => {
                assert!(matches!(reader.due(), Ok(Due::End)), "nothing comes after an error");
                assert!(matches!(reader.next(), Ok(None)), "nothing comes after an error");
                return (records, Some(error));
            }
        };
        let next = reader.next();
        if let Some(due) = due {
            assert_eq!(due, due_of(next.as_ref().unwrap().as_ref()));
        }
        records.push(match next {
            Ok(None) => return (records, None),
            Err(error) => {
                assert!(matches!(reader.next(), Ok(None)), "nothing comes after an error");
                return (records, Some(error));
            }
            Ok(Some(Record::Restart)) => Owned::Restart,
            Ok(Some(Record::Snapshot(item))) => Owned::Item(item),
            Ok(Some(Record::Event { event, state_only })) => Owned::Event {
                num: event.num,
                cpu: event.cpu,
                abi: event.abi,
                state_only,
                bytes: event.bytes().to_vec(),
            },
        });
    }
}

fn due_of(record: Option<&Record<'_>>) -> Due {
    match record {
        Some(Record::Event { event, .. }) => Due::At(event.ts),
        Some(Record::Restart | Record::Snapshot(_)) => Due::Now,
        None => Due::End,
    }
}

/// All records of a valid capture.
pub(crate) fn read_all(source: impl Read) -> Vec<Owned> {
    let (records, error) = read(source);
    assert!(error.is_none(), "{error:?}");
    records
}

/// The snapshot items among records.
pub(crate) fn items(records: &[Owned]) -> Vec<Item> {
    records
        .iter()
        .filter_map(|record| match record {
            Owned::Item(item) => Some(item.clone()),
            _ => None,
        })
        .collect()
}

/// The bytes of the events among records.
pub(crate) fn events(records: &[Owned]) -> Vec<&[u8]> {
    records
        .iter()
        .filter_map(|record| match record {
            Owned::Event { bytes, .. } => Some(bytes.as_slice()),
            _ => None,
        })
        .collect()
}

/// The bytes of a close event.
pub(crate) fn close(tid: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    Builder::new(EventType::SyscallCloseX, 9, tid).i64(0).i64(3).finish(&mut bytes).unwrap();
    bytes
}

/// A block around this body.
pub(crate) fn block(ty: u32, body: &[u8]) -> Vec<u8> {
    let len = body.len().next_multiple_of(4);
    let total = (len as u32 + 12).to_le_bytes();
    let mut block = [&ty.to_le_bytes(), &total[..], body].concat();
    block.resize(8 + len, 0);
    block.extend_from_slice(&total);
    block
}

/// A section header of format 1.2.
pub(crate) fn section() -> Vec<u8> {
    let mut body = 0x1A2B_3C4D_u32.to_le_bytes().to_vec();
    body.extend_from_slice(&[1, 0, 2, 0]);
    body.extend_from_slice(&[0xff; 8]);
    block(0x0A0D_0D0A, &body)
}

/// An event block of the second version, from CPU 2.
pub(crate) fn event_block(event: &[u8]) -> Vec<u8> {
    block(0x216, &[&[2, 0], event].concat())
}

/// gzip of these bytes.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The bytes of a capture file without their compression.
pub(crate) fn plain(path: &std::path::Path) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap();
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return bytes;
    }
    let mut plain = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut plain).unwrap();
    plain
}

/// The capture files of a folder.
pub(crate) fn captures(folder: &str) -> Vec<std::path::PathBuf> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        files.filter(|path| path.extension() == Some("scap".as_ref())).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}
