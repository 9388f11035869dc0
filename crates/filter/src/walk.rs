//! Traversal of trees.

use crate::ast::{Argument, Check, Expr, ExprKind, FieldRef, Operand, OperandKind, Right};

impl Expr {
    /// Calls `visit` for this node and all below it, parents first.
    pub fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a Expr)) {
        visit(self);
        match &self.node {
            ExprKind::And(children) | ExprKind::Or(children) => {
                children.iter().for_each(|child| child.walk(visit));
            }
            ExprKind::Not(child) => child.walk(visit),
            ExprKind::Check(_) | ExprKind::Macro(_) => {}
        }
    }

    /// Like [`walk`](Self::walk), with mutable nodes: what `visit` puts in place of one is walked
    /// too.
    pub fn walk_mut(&mut self, visit: &mut impl FnMut(&mut Expr)) {
        visit(self);
        match &mut self.node {
            ExprKind::And(children) | ExprKind::Or(children) => {
                children.iter_mut().for_each(|child| child.walk_mut(visit));
            }
            ExprKind::Not(child) => child.walk_mut(visit),
            ExprKind::Check(_) | ExprKind::Macro(_) => {}
        }
    }

    /// All tests, in the order of the text.
    pub fn checks(&self) -> Vec<&Check> {
        let mut found = Vec::new();
        self.walk(&mut |expr| {
            if let ExprKind::Check(check) = &expr.node {
                found.push(&**check);
            }
        });
        found
    }

    /// All fields on either side of comparisons and inside transformers, in the order of the text.
    pub fn fields(&self) -> Vec<&FieldRef> {
        let mut found = Vec::new();
        for check in self.checks() {
            check.left().each_field(&mut |field| found.push(field));
            if let Check::Compare(comparison) = check
                && let Right::Operand(right) = &comparison.right
            {
                right.each_field(&mut |field| found.push(field));
            }
        }
        found
    }

    /// Names of the macros it uses, in the order of the text, once per use.
    pub fn macros(&self) -> Vec<&str> {
        let mut found = Vec::new();
        self.walk(&mut |expr| {
            if let ExprKind::Macro(name) = &expr.node {
                found.push(name.as_str());
            }
        });
        found
    }
}

impl Operand {
    /// Calls `visit` for every field in it.
    pub fn each_field<'a>(&'a self, visit: &mut impl FnMut(&'a FieldRef)) {
        match &self.node {
            OperandKind::Field(field) => visit(field),
            OperandKind::Call(call) => call.args.iter().for_each(|arg| arg.each_field(visit)),
        }
    }
}

impl Argument {
    fn each_field<'a>(&'a self, visit: &mut impl FnMut(&'a FieldRef)) {
        match self {
            Self::List(list) => list.node.iter().for_each(|arg| arg.each_field(visit)),
            Self::Literal(_) => {}
            Self::Operand(operand) => operand.each_field(visit),
        }
    }
}
