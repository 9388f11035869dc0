//! Any bytes as the JSON description of a container.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peregrine_state::Container;

fuzz_target!(|bytes: &[u8]| {
    match Container::from_json(bytes) {
        Ok(container) => assert!(container.id.len() <= bytes.len() * 3),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
