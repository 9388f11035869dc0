//! Any bytes as what is posted to the webhook of audit events, and as the payload of an event.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peregrine_k8saudit::{Split, index_for_fuzzing};

fuzz_target!(|document: &[u8]| {
    if let Ok(Split { events, invalid, too_large }) = Split::of(document, 1000) {
        assert!(events + invalid + too_large <= document.len() as u64);
        // What holds events is JSON.
        assert!(index_for_fuzzing(document));
    }
    index_for_fuzzing(document);
});
