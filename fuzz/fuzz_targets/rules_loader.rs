//! Any bytes as a rules file: read them, compile what they define, describe it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peregrine_fields::Fields;
use peregrine_rules::{EventSource, Loader};

fuzz_target!(|bytes: &[u8]| {
    let syscall = EventSource { name: "syscall".to_owned(), vocabulary: Fields::syscall() };
    let mut loader = Loader::new(vec![syscall], Vec::new());
    let result = loader.load("fuzz.yaml", bytes);
    assert_eq!(result.successful(), result.to_json()["successful"]);
    let _ = (result.to_text(), result.explanation());
    assert!(loader.rules().describe(&|_, _| Vec::new()).is_object());
});
