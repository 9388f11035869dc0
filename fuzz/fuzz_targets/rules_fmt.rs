//! Any text as a rules file to format: it is refused or gets a layout that formatting does not
//! change again. That the meaning stays is checked by the formatter itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peregrine_authoring::fmt::format;

fuzz_target!(|text: &str| {
    if let Ok(formatted) = format(text) {
        assert_eq!(format(&formatted).as_ref(), Ok(&formatted));
    }
});
