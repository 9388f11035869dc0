//! Any bytes as the answers of a reader process.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peregrine_probe::reader;

fuzz_target!(|bytes: &[u8]| reader::parse_answers(bytes));
