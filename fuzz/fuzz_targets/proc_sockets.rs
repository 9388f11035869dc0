//! Any bytes as the socket tables of a network namespace.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peregrine_probe::scan::parsers;

fuzz_target!(|bytes: &[u8]| parsers::sockets(bytes));
