//! One test of a condition, compiled by itself, for tools that show how a condition got its value.

use std::sync::Arc;

use crate::compile::compile_check;
use crate::error::CompileErrorKind;
use crate::filter::{Predicate, Test};
use crate::{Check, CompiledOperand, Supplier, Value, Vocabulary};

/// A compiled test whose value and operands can be read one by one.
///
/// [`Filter`](crate::Filter) and [`Program`](crate::Program) stop at the first test that decides;
/// a tool that explains a condition evaluates each of its tests with this type.
#[derive(Clone, Debug)]
pub struct CompiledCheck<F>(Arc<Test<F>>);

impl<F> CompiledCheck<F> {
    /// Compiles a test.
    ///
    /// # Errors
    /// When the test is not valid.
    pub fn new<V>(check: &Arc<Check>, vocabulary: &V) -> Result<Self, CompileErrorKind>
    where
        V: Vocabulary<Field = F> + ?Sized,
    {
        compile_check(check, vocabulary).map(Self)
    }

    /// What is tested.
    pub fn left(&self) -> &CompiledOperand<F> {
        &self.0.left
    }

    /// What it is compared with, where that has a value for each event too.
    pub fn right(&self) -> Option<&CompiledOperand<F>> {
        match &self.0.predicate {
            Predicate::Field { right, .. } => Some(right),
            Predicate::Exists | Predicate::Literals { .. } => None,
        }
    }

    /// All fields that it reads.
    pub fn fields(&self) -> impl Iterator<Item = &F> {
        self.0.fields()
    }

    /// Whether it holds for a value of [`left`](Self::left), which is read once.
    pub fn holds<S>(&self, left: Option<Value<'_>>, supplier: &S) -> bool
    where
        S: Supplier<F> + ?Sized,
    {
        self.0.holds_for(left, supplier)
    }
}
