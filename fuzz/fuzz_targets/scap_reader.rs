//! Any bytes as a capture: read it to its end, write what was read, and read that again.
//!
//! The captures in `conformance/captures`, decompressed, make a good corpus.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peregrine_event::Event;
use peregrine_scap::{Compression, Reader, Record, Writer};

fuzz_target!(|bytes: &[u8]| {
    let mut items = Vec::new();
    let mut events = Vec::new();
    let mut reader = Reader::new(bytes);
    while let Ok(Some(record)) = reader.next() {
        match record {
            Record::Restart => items.clear(),
            Record::Snapshot(item) => items.push(item),
            Record::Event { event, state_only } => {
                events.push((event.cpu, event.abi, state_only, event.bytes().to_vec()));
            }
        }
    }
    assert!(reader.next().is_ok_and(|record| record.is_none()));

    let mut writer = Writer::new(Vec::new(), Compression::None, &items).expect("memory takes all");
    for (cpu, abi, state_only, bytes) in &events {
        let mut event = Event::parse(bytes, *cpu).expect("what was read is an event");
        event.abi = *abi;
        writer.event(&event, *state_only).expect("what was read can be written");
    }
    let file = writer.finish().expect("memory takes all");
    let mut reader = Reader::new(file.as_slice());
    let mut left = events.iter();
    loop {
        match reader.next() {
            Ok(Some(Record::Event { event, state_only })) => {
                let (cpu, abi, flag, bytes) = left.next().expect("as many events as before");
                let read = (event.cpu, event.abi, state_only, event.bytes());
                assert_eq!(read, (*cpu, *abi, *flag, bytes.as_slice()));
            }
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(error) => {
                assert!(events.is_empty(), "{error}");
                break;
            }
        }
    }
    assert!(left.next().is_none());
});
