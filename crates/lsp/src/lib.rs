//! A language server for rules files and falco.yaml: `peregrine lsp`.
//!
//! It knows rules, their outline and the keys of the configuration, and speaks the language server
//! protocol 3.17 over a pair of byte streams. It neither runs rules nor reads events. Files that
//! are loaded together are checked together, and after a change only what it concerns is checked
//! again.
//!
//! One thread reads messages, one writes them, and one does everything else, in the order in which
//! requests come. Neither client nor files are trusted: what they send is bounded, and may come in
//! any order.
//!
//! ```
//! use std::io::Cursor;
//!
//! use peregrine_lsp::{Options, serve};
//!
//! let message = |text: &str| format!("Content-Length: {}\r\n\r\n{text}", text.len());
//! let input = [
//!     message(r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"capabilities":{}}}"#),
//!     message(r#"{"jsonrpc":"2.0","id":2,"method":"shutdown"}"#),
//!     message(r#"{"jsonrpc":"2.0","method":"exit"}"#),
//! ];
//! assert!(serve(Cursor::new(input.concat()), std::io::sink(), Options::default()));
//! ```

#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

mod capabilities;
mod completion;
mod config_file;
mod cursor;
mod diagnose;
mod hover;
mod lints;
mod navigate;
mod options;
mod protocol;
mod server;
mod snapshot;
mod symbol;
mod symbols;
mod text;
mod vocabulary;
mod workspace;

use std::io::{BufRead, Write};

pub use options::Options;

/// Serves a client until it says `exit` or closes its side. True if it has asked for the shutdown
/// before, as the protocol wants it.
pub fn serve(
    input: impl BufRead + Send + 'static,
    output: impl Write + Send + 'static,
    options: Options,
) -> bool {
    server::serve(input, output, options)
}
