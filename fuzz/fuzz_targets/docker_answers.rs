//! Any bytes as answers of docker and podman.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| peregrine_containers::parse_http_answers(bytes));
