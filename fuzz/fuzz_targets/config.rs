//! Any text as falco.yaml, and its last line as an `-o` option: a configuration or an error with
//! its place.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peregrine_config::{Main, load};

fuzz_target!(|text: &str| {
    // Other files of the machine are no part of the input.
    if text.contains("config_files") {
        return;
    }
    let option = text.lines().last().unwrap_or_default().to_owned();
    for options in [&[][..], &[option][..]] {
        if let Err(error) = load(Main::BuiltIn(text), options, &mut |_| ()) {
            assert!(!error.to_string().is_empty());
        }
    }
});
