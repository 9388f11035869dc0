//! Expands macros in conditions.

use std::sync::Arc;

use peregrine_filter::{Expr, ExprKind, Span};
use thiserror::Error;

use crate::budget::{Room, TooLarge};

/// Limit on the depth of an expanded condition.
const MAX_DEPTH: usize = 1000;

/// Why macros cannot be expanded. The messages are those that tools know.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum MacroError {
    #[error("reference loop in macro '{0}'")]
    Loop(String),
    #[error("macros in macros make the condition too deep")]
    TooDeep,
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    #[error("Undefined macro '{0}' used in filter.")]
    Undefined(String),
}

/// Replaces macros by the conditions in `visible`. Returns also the names of the replaced ones.
pub(crate) fn resolve<'m>(
    expr: &Arc<Expr>,
    visible: &dyn Fn(&str) -> Option<&'m Arc<Expr>>,
    nodes: &mut Room,
) -> Result<(Arc<Expr>, Vec<String>), (MacroError, Span)> {
    let mut resolver = Resolver { visible, path: Vec::new(), used: Vec::new(), worst: None, nodes };
    let mut condition = Expr::clone(expr);
    resolver.replace(&mut condition, 0);
    match resolver.worst {
        Some(error) => Err(error),
        None if resolver.used.is_empty() => Ok((Arc::clone(expr), Vec::new())),
        None => {
            resolver.used.sort_unstable();
            resolver.used.dedup();
            Ok((Arc::new(condition), resolver.used))
        }
    }
}

struct Resolver<'m, 'v> {
    visible: &'v dyn Fn(&str) -> Option<&'m Arc<Expr>>,
    path: Vec<String>,
    used: Vec<String>,
    /// The first error. Undefined macros have the lowest precedence.
    worst: Option<(MacroError, Span)>,
    /// Room for copies of macros.
    nodes: &'v mut Room,
}

impl Resolver<'_, '_> {
    fn replace(&mut self, expr: &mut Expr, depth: usize) {
        if depth > MAX_DEPTH {
            return self.report(MacroError::TooDeep, expr.span);
        }
        match &mut expr.node {
            ExprKind::And(children) | ExprKind::Or(children) => {
                children.iter_mut().for_each(|child| self.replace(child, depth + 1));
            }
            ExprKind::Not(child) => self.replace(child, depth + 1),
            ExprKind::Check(_) => {}
            ExprKind::Macro(name) => {
                let name = name.clone();
                if let Some(condition) = self.condition(&name, expr.span, depth) {
                    *expr = condition;
                    self.used.push(name);
                }
            }
        }
    }

    fn condition(&mut self, name: &str, span: Span, depth: usize) -> Option<Expr> {
        let Some(condition) = (self.visible)(name) else {
            self.report(MacroError::Undefined(name.to_owned()), span);
            return None;
        };
        if self.path.iter().any(|outer| outer == name) {
            self.report(MacroError::Loop(name.to_owned()), span);
            return None;
        }
        // Cloning costs time too, so a large macro is counted before it is copied.
        let mut nodes = 0;
        condition.walk(&mut |_| nodes += 1);
        if let Err(error) = self.nodes.take(nodes) {
            self.report(error.into(), span);
            return None;
        }
        self.path.push(name.to_owned());
        let mut condition = Expr::clone(condition);
        self.replace(&mut condition, depth + 1);
        self.path.pop();
        Some(condition)
    }

    fn report(&mut self, error: MacroError, span: Span) {
        match &self.worst {
            None => self.worst = Some((error, span)),
            Some((MacroError::Undefined(_), _)) if !matches!(error, MacroError::Undefined(_)) => {
                self.worst = Some((error, span));
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use peregrine_filter::{DEFAULT_MAX_DEPTH, parse};

    use super::*;
    use crate::budget::Budget;

    fn resolved(condition: &str, macros: &[(&str, &str)]) -> Result<String, MacroError> {
        let parse = |text: &str| parse(text, DEFAULT_MAX_DEPTH).unwrap();
        let macros: Vec<_> = macros.iter().map(|(n, c)| (*n, Arc::new(parse(c)))).collect();
        let expr = Arc::new(parse(condition));
        let visible = |name: &str| macros.iter().find(|(n, _)| *n == name).map(|(_, c)| c);
        resolve(&expr, &visible, &mut Budget::new(0, 0).nodes)
            .map(|(condition, _)| condition.to_string())
            .map_err(|(error, _)| error)
    }

    #[test]
    fn macros_nest() {
        let macros = [("shell", "proc.name = sh"), ("quiet", "not shell")];
        assert_eq!(
            resolved("quiet and evt.type = open", &macros),
            Ok("(not proc.name = sh and evt.type = open)".to_owned())
        );
    }

    #[test]
    fn loops_count_more_than_unknown_names() {
        let macros = [("ping", "nobody or pong"), ("pong", "ping")];
        assert_eq!(resolved("ping", &macros), Err(MacroError::Loop("ping".into())));
        assert_eq!(resolved("no or nay", &[]), Err(MacroError::Undefined("no".into())));
    }

    #[test]
    fn bombs_are_refused() {
        let names: Vec<String> = (0..40).map(|n| format!("m{n}")).collect();
        let bodies: Vec<String> = (0..40)
            .map(|n| if n == 0 { "a.b = 1".into() } else { format!("m{0} or m{0}", n - 1) })
            .collect();
        let macros: Vec<(&str, &str)> =
            names.iter().zip(&bodies).map(|(n, b)| (n.as_str(), b.as_str())).collect();
        assert!(matches!(resolved("m39", &macros), Err(MacroError::TooLarge(_))));
    }
}
