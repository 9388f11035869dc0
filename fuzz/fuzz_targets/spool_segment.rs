//! Any bytes as the segment of a spool.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peregrine_spool::parse_segment;

fuzz_target!(|bytes: &[u8]| {
    let (records, valid) = parse_segment(bytes);
    assert!(valid <= bytes.len() as u64);
    assert_eq!(records == 0, valid <= 24);
});
