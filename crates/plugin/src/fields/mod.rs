//! Fields of plugins: their descriptions, and classes of fields that rules use like any other.
//!
//! [`describe`] reads what `get_fields` says. [`class`] makes a class of fields of it, which asks
//! the plugin once for each field, argument and event ([`Extract`]), however often rules and
//! outputs read the field.

mod class;
mod description;
mod values;

pub use class::{ClassSettings, Extract, Extractors, SourceFields, class};
pub use description::{FieldDescription, FieldsError, describe};
pub use values::Answer;
