//! Any bytes as `passwd` and `group`, which the maker of the container controls.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peregrine_probe::scan::parsers;

fuzz_target!(|bytes: &[u8]| {
    let accounts = parsers::accounts(bytes);
    let lines = bytes.split(|&byte| byte == b'\n').count();
    assert!(accounts <= 2 * lines);
});
