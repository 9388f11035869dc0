//! Tree to filter: fields are looked up, types checked, literals understood.

use std::fmt::Write;
use std::sync::Arc;

use hashbrown::HashMap;

use thiserror::Error;

use crate::ast::{Check, Comparison, Expr, ExprKind, Right, Span, Text};
use crate::filter::{Filter, Node, Predicate, Test};
use crate::hints::{self, Hint, HintKind};
use crate::kind::{Kind, comparable, type_name};
use crate::literal::{self, Literal, LiteralError};
use crate::matcher::{Matcher, Order};
use crate::regex::RegexError;
use crate::{Each, Extractor, Operator, Transformer, Vocabulary};

/// How deep a condition may nest once macros are in place.
const MAX_DEPTH: usize = 500;

/// Nanoseconds of the unit in which distances are written.
const DISTANCE_UNIT: u64 = 1_000_000;

/// A condition that was compiled.
#[derive(Clone, Debug)]
pub struct Compiled<F> {
    /// What decides.
    pub filter: Filter<F>,
    /// What the author may have meant otherwise, in the order of the text.
    pub hints: Vec<Hint>,
}

/// Compiles a condition in which macros have been replaced.
///
/// # Errors
/// The first thing that does not fit.
pub fn compile<V>(condition: &Expr, vocabulary: &V) -> Result<Compiled<V::Field>, CompileError>
where
    V: Vocabulary + ?Sized,
{
    compile_with(condition, vocabulary, &mut TestCache::default())
}

/// Like [`compile`], for many conditions: tests that they share are compiled once.
///
/// # Errors
/// The first thing that does not fit.
pub fn compile_with<V>(
    condition: &Expr,
    vocabulary: &V,
    tests: &mut TestCache<V::Field>,
) -> Result<Compiled<V::Field>, CompileError>
where
    V: Vocabulary + ?Sized,
{
    let mut compiler = Compiler { vocabulary, tests, hints: Vec::new() };
    let root = compiler.expr(condition, 0)?;
    Ok(Compiled { filter: Filter::new(root), hints: compiler.hints })
}

/// TestCache that were compiled with one vocabulary.
#[derive(Debug)]
pub struct TestCache<F> {
    /// By the address of the tree, which is kept so that no other gets it. Conditions share the trees of the
    /// macros they use.
    known: HashMap<usize, Known<F>>,
    /// Where texts of tests are put together, so that each is allocated once.
    scratch: String,
}

#[derive(Debug)]
struct Known<F> {
    _check: Arc<Check>,
    test: Arc<Test<F>>,
    hints: Vec<Hint>,
}

impl<F> Default for TestCache<F> {
    fn default() -> Self {
        Self { known: HashMap::new(), scratch: String::new() }
    }
}

/// Why a condition can't be compiled.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{kind}")]
pub struct CompileError {
    /// The test that does not fit.
    pub span: Span,
    /// What is wrong with it.
    pub kind: CompileErrorKind,
}

/// What does not fit. The messages are those of Falco, which tools compare.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum CompileErrorKind {
    /// `concat` of something that is no text.
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
    /// `getopt` of something that is no list.
    #[error("getopt() first argument must be a list")]
    GetoptList,
    /// `getopt` of something that is no text.
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
    /// `join` of something that is no list.
    #[error("join() second argument must be a list")]
    JoinList,
    /// `join` with several separators.
    #[error("join() first argument (separator) must be a single value, not a list")]
    JoinSeparator,
    /// Lists of this type can't be compared.
    #[error("filter error: list filters are not supported for type '{0}'")]
    ListOfType(&'static str),
    /// A literal is no value of the type it is compared with.
    #[error("{0}")]
    Literal(#[from] LiteralError),
    /// A name that is no macro.
    #[error("filter error: unexpected identifier '{0}'")]
    Macro(String),
    /// The field can't be inside a transformer.
    #[error("field '{0}' does not support transformers")]
    NoTransformer(String),
    /// The operator is not for this kind of values.
    #[error("filter error: '{}' operator not supported for {kind} filters", spelled(*op))]
    OperatorOfKind {
        /// The operator.
        op: Operator,
        /// What is compared.
        kind: &'static str,
    },
    /// The operator is not for lists.
    #[error("filter error: '{}' operator not supported list filters", spelled(*.0))]
    OperatorOfList(Operator),
    /// The operator is not for values of this type.
    #[error("filter error: '{}' operator not supported for type '{ty}'", spelled(*op))]
    OperatorOfType {
        /// The operator.
        op: Operator,
        /// The type.
        ty: &'static str,
    },
    /// The operator compares with paths or patterns, and those must be literals.
    #[error("operator '{}' doesn't support right-hand side fields", .0.as_str().to_uppercase())]
    OperatorOfField(Operator),
    /// The operator is not for addresses, with `anyof` and its like.
    #[error(
        "filter error: '{}' with modifier not supported for ip address and network filters",
        spelled(*.0)
    )]
    QuantifierOfAddress(Operator),
    /// The literal is no regular expression.
    #[error("invalid regex pattern: {0}")]
    Regex(#[from] RegexError),
    /// Nothing but literals may stand on the right of this field.
    #[error("field '{0}' doesn't support right-hand side fields")]
    RightOfField(String),
    /// The field can't stand on the right.
    #[error("field '{0}' can't be used as a right-hand side field")]
    RightField(String),
    /// Nothing but literals may stand on the right of nets.
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
    /// The field can never be what it is compared with.
    #[error("{0}")]
    UnlikelyLiteral(String),
}

fn spelled(op: Operator) -> Operator {
    if op == Operator::EqEq { Operator::Eq } else { op }
}

struct Compiler<'a, V: Vocabulary + ?Sized> {
    vocabulary: &'a V,
    tests: &'a mut TestCache<V::Field>,
    hints: Vec<Hint>,
}

impl<V: Vocabulary + ?Sized> Compiler<'_, V> {
    fn expr(&mut self, expr: &Expr, depth: usize) -> Result<Node<V::Field>, CompileError> {
        let at = |kind| CompileError { span: expr.span, kind };
        if depth >= MAX_DEPTH {
            return Err(at(CompileErrorKind::TooDeep(MAX_DEPTH)));
        }
        match &expr.node {
            ExprKind::And(children) => Ok(Node::All(self.children(children, depth)?)),
            ExprKind::Or(children) => Ok(Node::Any(self.children(children, depth)?)),
            ExprKind::Not(child) => Ok(Node::Not(Box::new(self.expr(child, depth + 1)?))),
            ExprKind::Macro(name) => Err(at(CompileErrorKind::Macro(name.clone()))),
            ExprKind::Check(check) => self.test(check).map(Node::Test).map_err(at),
        }
    }

    fn children(
        &mut self,
        children: &[Expr],
        depth: usize,
    ) -> Result<Box<[Node<V::Field>]>, CompileError> {
        children.iter().map(|child| self.expr(child, depth + 1)).collect()
    }

    fn test(&mut self, check: &Arc<Check>) -> Result<Arc<Test<V::Field>>, CompileErrorKind> {
        let address = Arc::as_ptr(check).addr();
        if let Some(known) = self.tests.known.get(&address) {
            self.hints.extend_from_slice(&known.hints);
            return Ok(Arc::clone(&known.test));
        }
        let before = self.hints.len();
        let left = Extractor::new(check.left(), self.vocabulary)?;
        let predicate = match &**check {
            Check::Exists(_) => Predicate::Exists,
            Check::Compare(comparison) => self.comparison(&left, comparison)?,
        };
        let text = &mut self.tests.scratch;
        text.clear();
        // Writing to memory can't fail.
        let _ = write!(text, "{check}");
        let test = Arc::new(Test { text: text.as_str().into(), left, predicate });
        let hints = self.hints.get(before..).unwrap_or_default().to_vec();
        let known = Known { _check: Arc::clone(check), test: Arc::clone(&test), hints };
        self.tests.known.insert(address, known);
        Ok(test)
    }

    fn comparison(
        &mut self,
        left: &Extractor<V::Field>,
        comparison: &Comparison,
    ) -> Result<Predicate<V::Field>, CompileErrorKind> {
        let Comparison { op, quantifier, right, .. } = comparison;
        let kind = comparable(left.ty(), left.is_list(), *op, *quantifier)?;
        if let Right::Operand(operand) = right {
            let right = Extractor::new(operand, self.vocabulary)?;
            check_sides(left, *op, kind, &right)?;
            return Ok(Predicate::Field { op: *op, right });
        }
        let mut literals = Vec::new();
        for text in right.literals() {
            let at = right.span();
            self.hints.extend(hints::of_literal(*op, &text.to_str(), at, self.vocabulary));
            let literal = self.literal(left, *op, text)?;
            if literal::is_out_of_range(&literal, left.ty()) {
                let kind = HintKind::OutOfRange(text.to_str().into_owned());
                self.hints.push(Hint { span: at, kind });
            }
            literals.push(literal);
        }
        if left.as_field().is_some_and(|field| self.vocabulary.is_distance(field)) {
            return distance(left, *op, &literals);
        }
        if left.each().is_some() {
            as_each(*op, kind, left, &mut literals);
        }
        let matcher = Matcher::new(*op, *quantifier, literals)?;
        Ok(Predicate::Literals { op: *op, matcher })
    }

    fn literal(
        &self,
        left: &Extractor<V::Field>,
        op: Operator,
        text: &Text,
    ) -> Result<Literal, CompileErrorKind> {
        let literal = match op {
            Operator::BContains | Operator::BStartsWith => literal::parse_hex(text.as_bytes())?,
            _ => literal::parse(text.as_bytes(), left.ty())?,
        };
        if let Some(field) = left.as_field() {
            self.vocabulary
                .check_literal(field, text.as_bytes())
                .map_err(CompileErrorKind::UnlikelyLiteral)?;
        }
        Ok(literal)
    }
}

/// Falco looks at the members of such fields one by one, and there it finds neither addresses nor
/// process ids in sets, and of several nets it sees the first only. Rules are written for what it does.
fn as_each<F>(op: Operator, kind: Kind, left: &Extractor<F>, literals: &mut Vec<Literal>) {
    use peregrine_event::ParamType;
    if !matches!(op, Operator::In | Operator::Intersects) {
        return;
    }
    match (left.each(), kind) {
        (Some(Each::Ends), Kind::Address) => literals.clear(),
        (Some(Each::Ends), Kind::Net) => literals.truncate(1),
        (Some(Each::Any), Kind::Number) if left.ty() != ParamType::Port => literals.clear(),
        _ => {}
    }
}

fn distance<F>(
    left: &Extractor<F>,
    op: Operator,
    literals: &[Literal],
) -> Result<Predicate<F>, CompileErrorKind> {
    match (op, literals) {
        (Operator::Eq | Operator::EqEq, [Literal::Number(most)]) => {
            let than = most.wrapping_mul(DISTANCE_UNIT);
            Ok(Predicate::Literals { op, matcher: Matcher::Number { op: Order::Le, than } })
        }
        _ => Err(CompileErrorKind::Distance(left.name().to_owned())),
    }
}

fn check_sides<F>(
    left: &Extractor<F>,
    op: Operator,
    kind: Kind,
    right: &Extractor<F>,
) -> Result<(), CompileErrorKind> {
    if matches!(op, Operator::PMatch | Operator::Regex) {
        return Err(CompileErrorKind::OperatorOfField(op));
    }
    if kind == Kind::Net {
        return Err(CompileErrorKind::RightOfNet);
    }
    if left.limits().no_rhs {
        return Err(CompileErrorKind::RightOfField(left.name().to_owned()));
    }
    if right.limits().no_rhs {
        return Err(CompileErrorKind::RightField(right.name().to_owned()));
    }
    if left.ty() == right.ty() && left.is_list() == right.is_list() {
        return Ok(());
    }
    let described = |side: &Extractor<F>| {
        format!("{}{}", type_name(side.ty()), if side.is_list() { " (list)" } else { "" })
    };
    Err(CompileErrorKind::Types {
        left: left.name().to_owned(),
        left_ty: described(left),
        right: right.name().to_owned(),
        right_ty: described(right),
    })
}

#[cfg(test)]
mod tests;
