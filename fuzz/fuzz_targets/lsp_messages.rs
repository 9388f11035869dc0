//! What a client sends to the language server: any bytes, or messages with any content, which NUL
//! separates. The server ends with its input.
#![no_main]

use std::io::{Cursor, sink};

use libfuzzer_sys::fuzz_target;
use peregrine_lsp::{Options, serve};

const INITIALIZE: &[u8] =
    br#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"capabilities":{}}}"#;

fuzz_target!(|bytes: &[u8]| {
    let input = match bytes.split_first() {
        Some((0, bodies)) => {
            let bodies = std::iter::once(INITIALIZE).chain(bodies.split(|byte| *byte == 0));
            let message = |body: &[u8]| {
                [format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
            };
            bodies.flat_map(message).collect()
        }
        _ => bytes.to_vec(),
    };
    serve(Cursor::new(input), sink(), Options::default());
});
