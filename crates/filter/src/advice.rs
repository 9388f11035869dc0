//! What people are told about conditions and outputs that are not valid.
//!
//! The messages of errors are those of Falco, which tools compare. Advice is for people: it names
//! the part that is wrong, says what would be right and, where that is certain, how to change the
//! text. It is made from the text and the error, after the fact, so that valid texts do not pay for
//! it.

mod check;
mod context;
mod foreign;
mod literal;
mod output;
mod shape;
mod syntax;
mod tokens;
mod types;

pub use check::advise_check;
pub use output::{advise_output, doubtful_output};
pub use syntax::{advise_syntax, odd_characters};
pub use tokens::list_items;
pub use types::{Advice, Fault, Names, Repair};
