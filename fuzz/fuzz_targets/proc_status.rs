//! Any bytes as `status`, `stat` and `limits` of a thread.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peregrine_probe::scan::parsers;

fuzz_target!(|bytes: &[u8]| parsers::status(bytes));
