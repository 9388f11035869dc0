//! A plugin that answers from the bytes of the fuzzer: everything that comes back over the ABI.

#![no_main]

#[path = "../../crates/plugin/tests/support/answers.rs"]
mod answers;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    answers::run(bytes);
});
