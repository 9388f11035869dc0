//! The language of rules: conditions and output formats. Generic over who supplies fields.

mod value;
mod vocabulary;

pub use value::Value;
pub use vocabulary::{
    Each, FieldError, Limits, Place, Resolved, Shown, Supplier, Vocabulary,
};
