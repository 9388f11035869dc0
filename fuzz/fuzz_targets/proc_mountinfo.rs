//! Any bytes as the mount table of a process.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peregrine_probe::scan::parsers;

fuzz_target!(|bytes: &[u8]| parsers::mountinfo(bytes));
