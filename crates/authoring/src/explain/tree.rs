//! Conditions as trees of nodes that can be evaluated one by one.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use peregrine_diagnostics::Label;
use peregrine_fields::{Field, Fields};
use peregrine_filter::{
    Check, CompileErrorKind, CompiledCheck, Expr, ExprKind, Operand, Right, Span,
};
use peregrine_rules::{Loader, WrittenCondition, WrittenConditions};
use thiserror::Error;

/// The deepest tree. Loaded rules are less deep: the loader has a limit of its own.
const MAX_DEPTH: usize = 1000;

/// A condition as it is written, each part a node.
///
/// Nodes are in the order of the text, parents before their children; the root is the first.
#[derive(Debug)]
pub struct ConditionTree {
    nodes: Vec<Node>,
    /// Where its rule is defined.
    item: Option<Label>,
    /// Where the macros and the lists are defined that it names; of lists also where they are
    /// appended to.
    macros: BTreeMap<String, Label>,
    lists: BTreeMap<String, Vec<Label>>,
}

/// A part of a condition.
#[derive(Debug)]
pub struct Node {
    /// What it is.
    pub kind: NodeKind,
    /// Indices of its parts.
    pub children: Vec<usize>,
    source: Arc<WrittenCondition>,
    span: Span,
}

/// What a node is.
#[derive(Debug)]
pub enum NodeKind {
    /// True when all of its parts are.
    All,
    /// True when any of its parts is.
    Any,
    /// True when its only part is false.
    Not,
    /// A macro of this name. Its only part is the macro's condition.
    Macro(String),
    /// A test of one value.
    Test(Box<Test>),
}

/// A test of one value.
#[derive(Debug)]
pub struct Test {
    pub(super) check: CompiledCheck<Field>,
    /// The operand on the left, as text.
    pub(super) left: String,
    /// The operand on the right, where it has a value for each event too.
    pub(super) right: Option<String>,
}

/// Why there is no tree.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TreeError {
    /// No rule has this name.
    #[error("there is no rule '{0}'")]
    NoRule(String),
    /// The condition uses a macro that does not exist, or one that uses itself.
    #[error("macro '{0}' can't be used here")]
    Macro(String),
    /// A test is not valid.
    #[error(transparent)]
    Test(#[from] CompileErrorKind),
    /// The condition is too deep.
    #[error("the condition is too deep")]
    TooDeep,
    /// The text is not a condition.
    #[error("the condition can't be read")]
    Unreadable,
}

impl ConditionTree {
    /// The condition of a rule, its exceptions included.
    ///
    /// # Errors
    /// When there is no such rule, or its condition is not valid.
    pub fn of_rule(
        written: &WrittenConditions,
        rule: &str,
        fields: &Fields,
    ) -> Result<Self, TreeError> {
        let condition = written.rules.iter().find(|condition| condition.name == rule);
        let condition = condition.ok_or_else(|| TreeError::NoRule(rule.to_owned()))?;
        Macros::new(written).tree(condition, fields)
    }

    /// The conditions of all rules, in the order of [`Loader::rules`].
    ///
    /// # Errors
    /// When one of them is not valid, which the loader has reported before.
    pub fn of_rules(loader: &Loader<Fields>, fields: &Fields) -> Result<Vec<Self>, TreeError> {
        let written = loader.written_conditions();
        let macros = Macros::new(&written);
        let by_name = |rule: &'_ Arc<WrittenCondition>| (rule.name.clone(), Arc::clone(rule));
        let rules: HashMap<_, _> = written.rules.iter().map(by_name).collect();
        let tree = |name: &String| {
            let condition = rules.get(name).ok_or_else(|| TreeError::NoRule(name.clone()))?;
            macros.tree(condition, fields)
        };
        loader.rules().rules.iter().map(|rule| tree(&rule.name)).collect()
    }

    /// A condition that is in no file, with the macros and lists of files.
    ///
    /// # Errors
    /// When it is not valid.
    pub fn of_text(
        loader: &Loader<Fields>,
        text: &str,
        fields: &Fields,
    ) -> Result<Self, TreeError> {
        let condition = loader.written_condition(text).ok_or(TreeError::Unreadable)?;
        Macros::new(&loader.written_conditions()).tree(&condition, fields)
    }

    /// Number of nodes.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "there is always a root")]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// A node; the root is 0.
    #[must_use]
    pub fn node(&self, index: usize) -> Option<&Node> {
        self.nodes.get(index)
    }

    /// Whether a node must be false for the condition to hold: it stands below an odd number of
    /// `not`.
    #[must_use]
    pub fn is_negated(&self, index: usize) -> bool {
        self.parents(index).filter(|node| matches!(node.kind, NodeKind::Not)).count() % 2 == 1
    }

    /// The nodes around a node, the root first. Parents come before their parts, so a node lies
    /// below the last one of each level that is not behind it.
    fn parents(&self, index: usize) -> impl Iterator<Item = &Node> {
        let mut at = self.nodes.first().filter(|_| index > 0);
        std::iter::from_fn(move || {
            let node = at?;
            let below = node.children.iter().rfind(|child| **child <= index);
            at = below.filter(|child| **child < index).and_then(|child| self.nodes.get(*child));
            Some(node)
        })
    }

    /// Where the rule is defined whose condition it is.
    #[must_use]
    pub fn item(&self) -> Option<&Label> {
        self.item.as_ref()
    }

    /// Where a macro that it names is defined.
    #[must_use]
    pub fn place_of_macro(&self, name: &str) -> Option<&Label> {
        self.macros.get(name)
    }

    /// Names of the macros that it uses, also through others.
    pub fn macros(&self) -> impl Iterator<Item = &str> {
        self.macros.keys().map(String::as_str)
    }

    /// The lists that it and its macros name, and where they are defined and appended to.
    pub fn lists(&self) -> impl Iterator<Item = (&str, &[Label])> {
        self.lists.iter().map(|(name, labels)| (name.as_str(), labels.as_slice()))
    }

    /// All nodes in the order of the text.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter()
    }
}

impl Node {
    /// How it is written: lists and macros by their names, in one line.
    #[must_use]
    pub fn text(&self) -> String {
        self.source.text(self.span)
    }

    /// Where it is written.
    #[must_use]
    pub fn place(&self) -> Option<Label> {
        self.source.label(self.span)
    }

    /// The lists that it names.
    pub fn lists(&self) -> impl Iterator<Item = &str> {
        self.source.lists(self.span)
    }

    /// The exception of the rule that it belongs to.
    #[must_use]
    pub fn exception(&self) -> Option<&str> {
        self.source.exception(self.span)
    }

    /// The test, if it is one.
    pub(super) fn test(&self) -> Option<&Test> {
        match &self.kind {
            NodeKind::Test(test) => Some(test),
            _ => None,
        }
    }
}

/// Macros by name, and where lists are defined.
struct Macros<'w> {
    macros: HashMap<&'w str, &'w Arc<WrittenCondition>>,
    lists: HashMap<&'w str, &'w [Label]>,
}

impl<'w> Macros<'w> {
    fn new(written: &'w WrittenConditions) -> Self {
        let macros = written.macros.iter().map(|condition| (condition.name.as_str(), condition));
        let lists = written.lists.iter().map(|(name, labels)| (name.as_str(), labels.as_slice()));
        Self { macros: macros.collect(), lists: lists.collect() }
    }

    fn tree(
        &self,
        condition: &Arc<WrittenCondition>,
        fields: &Fields,
    ) -> Result<ConditionTree, TreeError> {
        let (nodes, path, used) = (Vec::new(), Vec::new(), BTreeMap::new());
        let mut builder = Builder { macros: self, fields, nodes, path, used };
        builder.add(&condition.expr, condition, 0)?;
        let Builder { nodes, used, .. } = builder;
        let conditions = used.values().copied().chain([condition]);
        let lists = conditions.flat_map(|it| it.lists(it.expr.span));
        let places = |name: &str| Some((name.to_owned(), self.lists.get(name)?.to_vec()));
        let lists = lists.filter_map(places).collect();
        let place = |(name, condition): (&&str, &&Arc<WrittenCondition>)| {
            Some(((*name).to_owned(), condition.item()?.clone()))
        };
        let macros = used.iter().filter_map(place).collect();
        Ok(ConditionTree { nodes, item: condition.item().cloned(), macros, lists })
    }
}

struct Builder<'b, 'w> {
    macros: &'b Macros<'w>,
    fields: &'b Fields,
    nodes: Vec<Node>,
    /// Names of the macros around.
    path: Vec<&'w str>,
    /// The macros so far.
    used: BTreeMap<&'w str, &'w Arc<WrittenCondition>>,
}

impl Builder<'_, '_> {
    /// Adds a node and all below it. Returns its index.
    fn add(
        &mut self,
        expr: &Expr,
        source: &Arc<WrittenCondition>,
        depth: usize,
    ) -> Result<usize, TreeError> {
        if depth > MAX_DEPTH {
            return Err(TreeError::TooDeep);
        }
        let index = self.nodes.len();
        let (kind, children) = (NodeKind::All, Vec::new());
        let (source_of_node, span) = (Arc::clone(source), expr.span);
        self.nodes.push(Node { kind, children, source: source_of_node, span });
        let mut children = Vec::new();
        let kind = match &expr.node {
            ExprKind::And(parts) | ExprKind::Or(parts) => {
                for part in parts {
                    children.push(self.add(part, source, depth + 1)?);
                }
                if matches!(expr.node, ExprKind::And(_)) { NodeKind::All } else { NodeKind::Any }
            }
            ExprKind::Not(part) => {
                children.push(self.add(part, source, depth + 1)?);
                NodeKind::Not
            }
            ExprKind::Macro(name) => {
                children.push(self.body(name, depth + 1)?);
                NodeKind::Macro(name.clone())
            }
            ExprKind::Check(check) => NodeKind::Test(Box::new(self.test(check)?)),
        };
        if let Some(node) = self.nodes.get_mut(index) {
            (node.kind, node.children) = (kind, children);
        }
        Ok(index)
    }

    /// Adds the condition of a macro.
    fn body(&mut self, name: &str, depth: usize) -> Result<usize, TreeError> {
        let found = self.macros.macros.get_key_value(name);
        let known = found.filter(|(name, _)| !self.path.contains(name));
        let (name, condition) = known.ok_or_else(|| TreeError::Macro(name.to_owned()))?;
        self.used.insert(name, condition);
        self.path.push(name);
        let body = self.add(&condition.expr, condition, depth);
        self.path.pop();
        body
    }

    fn test(&self, check: &Arc<Check>) -> Result<Test, TreeError> {
        let right = match &**check {
            Check::Compare(comparison) => match &comparison.right {
                Right::Operand(operand) => Some(operand_text(operand)),
                Right::List(_) | Right::Value(_) => None,
            },
            Check::Exists(_) => None,
        };
        let left = operand_text(check.left());
        let check = CompiledCheck::new(check, self.fields)?;
        Ok(Test { check, left, right })
    }
}

fn operand_text(operand: &Operand) -> String {
    operand.described().to_string()
}
