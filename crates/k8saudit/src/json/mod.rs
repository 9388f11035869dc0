//! JSON as it lies in the bytes of an event: checked once, read in place.

mod index;
mod scan;
mod text;

pub(crate) use index::{Index, Kind, Value};
pub use scan::JsonError;
pub(crate) use scan::Scanner;
pub(crate) use text::{append_compact, append_indented, append_unescaped, has_escapes};
