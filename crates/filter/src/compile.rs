//! Compiles a tree to a filter: resolves fields, checks types and parses literals.

use std::fmt::Write;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::ast::{Check, Comparison, Expr, ExprKind, Right, Text};
use crate::error::{CompileError, CompileErrorKind};
use crate::filter::{Filter, Node, Predicate, Test};
use crate::hints::{self, Hint, HintKind};
use crate::kind::{Kind, comparable, type_name};
use crate::literal::{self, Literal};
use crate::matcher::{Matcher, Order};
use crate::{CompiledOperand, MultiValue, Operator, Vocabulary};

/// How deep a condition may nest after macros are expanded.
const MAX_DEPTH: usize = 500;

/// Nanoseconds of the unit of distances.
const DISTANCE_UNIT: u64 = 1_000_000;

/// A compiled condition with remarks for its author.
#[derive(Clone, Debug)]
pub struct Compiled<F> {
    /// The condition.
    pub filter: Filter<F>,
    /// What may be a mistake, in the order of the text.
    pub hints: Vec<Hint>,
}

/// Compiles a condition whose macros are expanded.
///
/// # Errors
/// For the first test that is not valid.
pub fn compile<V>(condition: &Expr, vocabulary: &V) -> Result<Compiled<V::Field>, CompileError>
where
    V: Vocabulary + ?Sized,
{
    compile_with(condition, vocabulary, &mut TestCache::default())
}

/// Like [`compile`], for many conditions: tests that they share through macros are compiled once.
///
/// # Errors
/// For the first test that is not valid.
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

/// Compiles one test of a condition.
pub(crate) fn compile_check<V>(
    check: &Arc<Check>,
    vocabulary: &V,
) -> Result<Arc<Test<V::Field>>, CompileErrorKind>
where
    V: Vocabulary + ?Sized,
{
    Compiler { vocabulary, tests: &mut TestCache::default(), hints: Vec::new() }.test(check)
}

/// Tests compiled with one vocabulary.
#[derive(Debug)]
pub struct TestCache<F> {
    /// By the address of the tree, which is held so that the address stays its own. Conditions
    /// share the trees of the macros they use.
    known: HashMap<usize, Known<F>>,
    /// A buffer for printing tests, so that each text is allocated once.
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
        let left = CompiledOperand::new(check.left(), self.vocabulary)?;
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
        left: &CompiledOperand<V::Field>,
        comparison: &Comparison,
    ) -> Result<Predicate<V::Field>, CompileErrorKind> {
        let Comparison { op, quantifier, right, .. } = comparison;
        let kind = comparable(left.ty(), left.is_list(), *op, *quantifier)?;
        if let Right::Operand(operand) = right {
            let right = CompiledOperand::new(operand, self.vocabulary)?;
            check_sides(left, *op, kind, &right)?;
            return Ok(Predicate::Field { op: *op, right });
        }
        let mut literals = Vec::new();
        for text in right.literals() {
            let at = right.span();
            self.hints.extend(hints::of_literal(*op, &text.to_str(), at, self.vocabulary));
            let literal = check_literal(left, *op, text, self.vocabulary)?;
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
}

/// Parses a literal that a field is compared with, and checks that the field can have its value.
pub(crate) fn check_literal<V>(
    left: &CompiledOperand<V::Field>,
    op: Operator,
    text: &Text,
    vocabulary: &V,
) -> Result<Literal, CompileErrorKind>
where
    V: Vocabulary + ?Sized,
{
    let literal = match op {
        Operator::BContains | Operator::BStartsWith => literal::parse_hex(text.as_bytes())?,
        _ => literal::parse(text.as_bytes(), left.ty())?,
    };
    if let Some(field) = left.as_field() {
        vocabulary.check_literal(field, text.as_bytes())?;
    }
    Ok(literal)
}

/// Falco compares the members of such fields one by one, and then finds neither addresses nor
/// process ids in sets, and only the first of several nets. Rules rely on that.
fn as_each<F>(op: Operator, kind: Kind, left: &CompiledOperand<F>, literals: &mut Vec<Literal>) {
    use peregrine_event::ParamType;
    if !matches!(op, Operator::In | Operator::Intersects) {
        return;
    }
    match (left.each(), kind) {
        (Some(MultiValue::Ends), Kind::Address) => literals.clear(),
        (Some(MultiValue::Ends), Kind::Net) => literals.truncate(1),
        (Some(MultiValue::Any), Kind::Number) if left.ty() != ParamType::Port => literals.clear(),
        _ => {}
    }
}

fn distance<F>(
    left: &CompiledOperand<F>,
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
    left: &CompiledOperand<F>,
    op: Operator,
    kind: Kind,
    right: &CompiledOperand<F>,
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
    let described = |side: &CompiledOperand<F>| {
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
