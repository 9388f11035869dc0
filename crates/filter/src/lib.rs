//! The language of rules: conditions and output formats. Generic over who supplies fields.

mod ast;
mod compile;
mod error;
mod extract;
mod filter;
mod glob;
mod hints;
mod kind;
mod lexer;
mod literal;
mod matcher;
mod meter;
mod parser;
mod paths;
mod print;
mod printer;
mod program;
mod regex;
mod template;
#[cfg(test)]
mod testing;
mod transform;
mod value;
mod vocabulary;
mod walk;

/// How outputs show bytes: a part of how values print, so it stands here too.
pub use peregrine_event::render::Buffers;

pub use ast::{
    Argument, Call, Check, Comparison, Expr, ExprKind, Field, Operand, OperandKind, Operator,
    Quantifier, Right, Span, Spanned, Text, Transformer,
};
pub use compile::{Compiled, TestCache, compile, compile_with};
pub use error::{CompileError, CompileErrorKind};
pub use extract::Extractor;
pub use filter::Filter;
pub use hints::{Hint, HintKind};
pub use lexer::EscapeError;
pub use literal::LiteralError;
pub use matcher::{Anchor, Side};
pub use meter::Meter;
pub use parser::{
    DEFAULT_MAX_DEPTH, ParseError, ParseErrorKind, RULES_MAX_DEPTH, parse, parse_operand,
};
pub use print::{Form, json_escape, json_string, value_json, value_text};
pub use program::{
    Condition, EvalCache, Evaluator, LayerStats, NodeId, PreFilter, PreFilterBuilder, Program,
    ProgramBuilder, Residual, StaticFacts, SubCondition,
};
pub use regex::RegexError;
pub use template::{OutputField, Template, TemplateError};
pub use value::Value;
pub use vocabulary::{
    Each, FieldError, Limits, Place, Resolved, Shown, Supplier, UnknownLiteral, Vocabulary,
};
