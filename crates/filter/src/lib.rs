//! The language of rules: conditions and output formats. Generic over who supplies fields.

mod print;
mod template;
mod value;
mod vocabulary;

pub use print::{BufferFormat, Form, json_escape, json_string, value_json, value_text};
pub use template::{OutputField, Template, TemplateError};
pub use value::Value;
pub use vocabulary::{Each, FieldError, Limits, Place, Resolved, Shown, Supplier, Vocabulary};
