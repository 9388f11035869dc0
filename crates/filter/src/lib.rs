//! The language of rules: conditions and output templates.
//!
//! A condition is parsed to a tree ([`parse`]), compiled against the fields that exist
//! ([`compile`]) and evaluated on events ([`Filter::matches`]). Many conditions are evaluated
//! together as one [`Program`]. The crate knows the types of values, but neither fields nor events:
//! a [`Vocabulary`] resolves names of fields, a [`Supplier`] gives their values for an event, and
//! [`StaticFacts`] say what the type of an event determines.
//!
//! ```
//! use bumpalo::Bump;
//! use peregrine_event::{Format, ParamType};
//! use peregrine_filter::{
//!     DEFAULT_MAX_DEPTH, FieldError, Limits, Resolved, Supplier, Value, Vocabulary, compile, parse,
//! };
//!
//! /// One field, the name of a process.
//! struct Names;
//!
//! impl Vocabulary for Names {
//!     type Field = ();
//!
//!     fn resolve(&self, text: &str) -> Result<Resolved<()>, FieldError> {
//!         if !text.starts_with("proc.name") {
//!             return Err(FieldError::Unknown { name: text.into() });
//!         }
//!         Ok(Resolved {
//!             field: (),
//!             len: "proc.name".len(),
//!             ty: ParamType::Charbuf,
//!             format: Format::Na,
//!             list: false,
//!             each: None,
//!             limits: Limits::default(),
//!         })
//!     }
//! }
//!
//! struct Event(&'static [u8], Bump);
//!
//! impl Supplier<()> for Event {
//!     fn value<'s>(&'s self, (): &()) -> Option<Value<'s>> {
//!         Some(Value::Text(self.0))
//!     }
//!
//!     fn scratch(&self) -> &Bump {
//!         &self.1
//!     }
//! }
//!
//! let condition = parse("proc.name in (cat, less) and not proc.name = cat", DEFAULT_MAX_DEPTH)?;
//! let filter = compile(&condition, &Names)?.filter;
//! assert!(filter.matches(&Event(b"less", Bump::new())));
//! assert!(!filter.matches(&Event(b"cat", Bump::new())));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

mod advice;
mod ast;
mod compile;
mod error;
mod filter;
mod glob;
mod hints;
mod kind;
mod lexer;
mod literal;
mod matcher;
mod meter;
mod operand;
mod parser;
mod paths;
mod print;
mod printer;
mod program;
mod regex;
mod scan;
mod single;
mod template;
#[cfg(test)]
mod testing;
mod transform;
mod value;
mod vocabulary;
mod walk;

/// How outputs show bytes; re-exported, as it is part of how values are printed.
pub use peregrine_event::render::Buffers;

pub use advice::{
    Advice, Fault, Names, Repair, advise_check, advise_output, advise_syntax, doubtful_output,
    list_items, odd_characters,
};
pub use ast::{
    Argument, Call, Check, Comparison, Expr, ExprKind, FieldRef, Operand, OperandKind, Operator,
    Quantifier, Right, Span, Spanned, Text, Transformer,
};
pub use compile::{Compiled, TestCache, compile, compile_with};
pub use error::{CompileError, CompileErrorKind};
pub use filter::Filter;
pub use hints::{Hint, HintKind};
pub use lexer::EscapeError;
pub use literal::LiteralError;
pub use matcher::{Anchor, Side};
pub use meter::Meter;
pub use operand::CompiledOperand;
pub use parser::{
    DEFAULT_MAX_DEPTH, ParseError, ParseErrorKind, RULES_MAX_DEPTH, parse, parse_operand,
};
pub use print::{PrintFormat, value_text};
pub use program::{
    Condition, Dependents, EvalCache, Evaluator, LayerStats, NodeId, PreFilter, PreFilterBuilder,
    Program, ProgramBuilder, Residual, StaticFacts, SubCondition,
};
pub use regex::RegexError;
pub use scan::{Expected, Scan, Token, TokenKind, scan};
pub use single::CompiledCheck;
pub use template::{OutputField, Template, TemplateError};
pub use value::Value;
pub use vocabulary::{
    FieldError, Limits, MultiValue, OutputKind, OutputValue, Resolved, Supplier, UnknownLiteral,
    Vocabulary,
};
