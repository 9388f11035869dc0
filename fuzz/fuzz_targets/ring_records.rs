//! Any bytes as the content of a ring buffer: the first eight are how far it was written, the rest
//! are the data.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peregrine_probe::{HeapRing, Ring, event_of};

fuzz_target!(|bytes: &[u8]| {
    let Some((end, data)) = bytes.split_first_chunk() else { return };
    let memory = HeapRing::new(data.len());
    let end = u64::from_le_bytes(*end) % (2 * memory.size());
    memory.write(0, data);
    memory.commit(end);
    let mut ring = Ring::on_heap(&memory).expect("it is not empty");
    // Each record takes eight bytes at least.
    for _ in 0..=end / 8 {
        match ring.peek() {
            Some(record) => {
                assert!(record.len() as u64 <= memory.size());
                if let Ok(event) = event_of(record) {
                    assert!(event.bytes().len() <= record.len());
                    for index in 0..event.nparams() {
                        let _ = event.param(index);
                    }
                }
            }
            None => break,
        }
        ring.advance();
    }
    ring.release();
    assert!(ring.peek().is_none() || memory.released() <= end);
});
