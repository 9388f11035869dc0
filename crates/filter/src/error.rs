//! Errors of compiling a condition.

use thiserror::Error;

use crate::ast::Span;
use crate::literal::LiteralError;
use crate::regex::RegexError;
use crate::{Operator, Transformer, UnknownLiteral};

/// Why a condition can't be compiled.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{kind}")]
pub struct CompileError {
    /// The test that is not valid.
    pub span: Span,
    /// What is wrong with it.
    pub kind: CompileErrorKind,
}

/// What is not valid in a condition. The messages are those of Falco, which tools compare.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum CompileErrorKind {
    /// `concat` of a value that is not a text.
    #[error("concat() arguments must be strings")]
    ConcatOfOthers,
    /// A distance compared otherwise than with `=`.
    #[error("{0} supports only '=' comparison operator")]
    Distance(String),
    /// The argument of a field is missing or wrong.
    #[error("{0}")]
    FieldArgument(String),
    /// `getopt` without its two arguments.
    #[error("getopt() requires exactly 2 arguments: args list and optstring")]
    GetoptArguments,
    /// `getopt` of a value that is not a list.
    #[error("getopt() first argument must be a list")]
    GetoptList,
    /// `getopt` of a value that is not a text.
    #[error("getopt() arguments must be strings")]
    GetoptOfOthers,
    /// `getopt` with several descriptions of options.
    #[error("getopt() second argument (optstring) must be a single value")]
    GetoptOptions,
    /// `getopt(…)[ab]`
    #[error("getopt() field argument must be a single option character")]
    GetoptSelector,
    /// `join` without its two arguments.
    #[error("join() requires exactly 2 arguments: separator and list")]
    JoinArguments,
    /// `join` of a value that is not a list.
    #[error("join() second argument must be a list")]
    JoinList,
    /// `join` with several separators.
    #[error("join() first argument (separator) must be a single value, not a list")]
    JoinSeparator,
    /// Lists of this type can't be compared.
    #[error("filter error: list filters are not supported for type '{0}'")]
    ListOfType(&'static str),
    /// A literal is not a value of the type it is compared with.
    #[error("{0}")]
    Literal(#[from] LiteralError),
    /// A macro that is not expanded: no macro has this name.
    #[error("filter error: unexpected identifier '{0}'")]
    Macro(String),
    /// The field can't be inside a transformer.
    #[error("field '{0}' does not support transformers")]
    NoTransformer(String),
    /// The operator does not apply to values of this kind.
    #[error("filter error: '{}' operator not supported for {kind} filters", spelled(*op))]
    OperatorOfKind {
        /// The operator.
        op: Operator,
        /// What is compared.
        kind: &'static str,
    },
    /// The operator does not apply to lists.
    #[error("filter error: '{}' operator not supported list filters", spelled(*.0))]
    OperatorOfList(Operator),
    /// The operator does not apply to values of this type.
    #[error("filter error: '{}' operator not supported for type '{ty}'", spelled(*op))]
    OperatorOfType {
        /// The operator.
        op: Operator,
        /// The type.
        ty: &'static str,
    },
    /// The operator takes paths or patterns, which must be literals.
    #[error("operator '{}' doesn't support right-hand side fields", .0.as_str().to_uppercase())]
    OperatorOfField(Operator),
    /// The operator does not apply to addresses together with `anyof`, `oneof` or `allof`.
    #[error(
        "filter error: '{}' with modifier not supported for ip address and network filters",
        spelled(*.0)
    )]
    QuantifierOfAddress(Operator),
    /// The literal is not a valid regular expression.
    #[error("invalid regex pattern: {0}")]
    Regex(#[from] RegexError),
    /// The field can be compared with literals only.
    #[error("field '{0}' doesn't support right-hand side fields")]
    RightOfField(String),
    /// The field can't be the right side of a comparison.
    #[error("field '{0}' can't be used as a right-hand side field")]
    RightField(String),
    /// Nets can be compared with literals only.
    #[error("field type 'IPNET' doesn't support right-hand side fields")]
    RightOfNet,
    /// Nested too deep.
    #[error("exceeded max depth limit of {0}")]
    TooDeep(usize),
    /// More arguments than the transformer takes.
    #[error("transformer '{0}' takes one argument")]
    TooManyArguments(Transformer),
    /// `tolower(x)[1]`
    #[error("filter error: transformer '{0}' does not support field arguments")]
    TransformerArgument(Transformer),
    /// The transformer is not for values of this type.
    #[error(
        "can't add field transformer: type '{ty}' is not supported by '{transformer}' transformer \
         applied on {}field '{field}'",
        if *list { "list " } else { "" }
    )]
    TransformerOfType {
        /// The transformer.
        transformer: Transformer,
        /// What it is applied to.
        ty: &'static str,
        /// Whether that is a list.
        list: bool,
        /// The field it comes from.
        field: String,
    },
    /// The two sides are of different types.
    #[error(
        "field '{left}' has type '{left_ty}' while the right-hand side field '{right}' has \
         incompatible type '{right_ty}'"
    )]
    Types {
        /// Field on the left.
        left: String,
        /// Its type.
        left_ty: String,
        /// Field on the right.
        right: String,
        /// Its type.
        right_ty: String,
    },
    /// No such field.
    #[error("filter_check called with nonexistent field {0}")]
    UnknownField(String),
    /// The transformer needs more arguments.
    #[error("unknown field transfomer '{0}'")]
    UnknownTransformer(Transformer),
    /// The field never has this value.
    #[error("{0}")]
    UnknownLiteral(#[from] UnknownLiteral),
}

fn spelled(op: Operator) -> Operator {
    if op == Operator::EqEq { Operator::Eq } else { op }
}
