//! Conditions as trees.
//!
//! Every node has its span in the text. Spans do not count in comparisons: two nodes are equal when
//! they mean the same.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A range of the text of a condition, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// A literal, unquoted: nearly always UTF-8, but `\xff` stands for any byte.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Text(Vec<u8>);

impl Text {
    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// As a string, with U+FFFD in place of what is not UTF-8.
    pub fn to_str(&self) -> Cow<'_, str> {
        lossy(&self.0)
    }
}

/// As a string. Valid UTF-8, the usual case, is checked faster than chunk by chunk.
pub(crate) fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

impl From<Vec<u8>> for Text {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

/// A node with its span. Equality and hash ignore the span.
#[derive(Clone, Debug)]
pub struct Spanned<T> {
    /// The node.
    pub node: T,
    /// Its span.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// A node at a span.
    pub fn new(node: T, span: Span) -> Self {
        Self { node, span }
    }
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.node == other.node
    }
}

impl<T: Eq> Eq for Spanned<T> {}

impl<T: Hash> Hash for Spanned<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.node.hash(state);
    }
}

/// A condition, or a part of one that is true or false.
pub type Expr = Spanned<ExprKind>;

/// What a condition can be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ExprKind {
    /// True when all are. At least two.
    And(Vec<Expr>),
    /// A test of one value.
    Check(Arc<Check>),
    /// The name of a macro, to be replaced before compiling.
    Macro(String),
    /// True when the other is false.
    Not(Box<Expr>),
    /// True when any is. At least two.
    Or(Vec<Expr>),
}

/// A test of one value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Check {
    /// `left op right`
    Compare(Comparison),
    /// `operand exists`
    Exists(Operand),
}

impl Check {
    /// What is tested.
    pub fn left(&self) -> &Operand {
        match self {
            Self::Compare(c) => &c.left,
            Self::Exists(left) => left,
        }
    }
}

/// A comparison: `fd.name startswith anyof (/etc, /usr)`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Comparison {
    /// What is compared.
    pub left: Operand,
    /// How.
    pub op: Operator,
    /// For how many values of the list on the right it must hold. Text operators only.
    pub quantifier: Option<Quantifier>,
    /// With what.
    pub right: Right,
}

/// The right side of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Right {
    /// `(a, b, c)`
    List(Spanned<Vec<Text>>),
    /// `val(field)`, or a transformer
    Operand(Operand),
    /// One literal, unquoted.
    Value(Spanned<Text>),
}

impl Right {
    /// Its span.
    pub fn span(&self) -> Span {
        match self {
            Self::List(list) => list.span,
            Self::Operand(operand) => operand.span,
            Self::Value(value) => value.span,
        }
    }

    /// Its literals; none when it is an operand.
    pub fn literals(&self) -> &[Text] {
        match self {
            Self::List(list) => &list.node,
            Self::Operand(_) => &[],
            Self::Value(value) => std::slice::from_ref(&value.node),
        }
    }
}

/// What has a value for each event.
pub type Operand = Spanned<OperandKind>;

/// What has a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OperandKind {
    /// `tolower(proc.name)`
    Call(Call),
    /// `proc.aname[2]`
    Field(FieldRef),
}

/// A field as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FieldRef {
    /// Its name, with dots.
    pub name: String,
    /// The text between brackets, unquoted.
    pub arg: Option<String>,
}

impl FieldRef {
    /// Name and argument in one, as a [`Vocabulary`](crate::Vocabulary) understands them.
    pub fn text(&self) -> String {
        match &self.arg {
            Some(arg) => format!("{}[{arg}]", self.name),
            None => self.name.clone(),
        }
    }
}

/// A transformer with its arguments.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    /// Which one.
    pub transformer: Transformer,
    /// The arguments between the parentheses. At least one.
    pub args: Vec<Argument>,
    /// The text between brackets after them, unquoted.
    pub arg: Option<String>,
}

/// An argument of a transformer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Argument {
    /// `(proc.name, "-", 3)`. Lists hold no lists.
    List(Spanned<Vec<Argument>>),
    /// A text or a number.
    Literal(Spanned<Text>),
    /// A field or another transformer.
    Operand(Operand),
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// As it is written.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// How two values are compared.
    Operator {
        /// Not greater.
        Le = "<=",
        /// Less.
        Lt = "<",
        /// Not less.
        Ge = ">=",
        /// Greater.
        Gt = ">",
        /// The other spelling of [`Eq`](Self::Eq), kept because descriptions of rules show it.
        EqEq = "==",
        /// Equal.
        Eq = "=",
        /// Not equal.
        Ne = "!=",
        /// Shell pattern for the whole text.
        Glob = "glob",
        /// The same, ignoring the case of ASCII letters.
        IGlob = "iglob",
        /// Contains it.
        Contains = "contains",
        /// The same, ignoring the case of ASCII letters.
        IContains = "icontains",
        /// Contains these bytes, written in hex.
        BContains = "bcontains",
        /// Starts with it.
        StartsWith = "startswith",
        /// Starts with these bytes, written in hex.
        BStartsWith = "bstartswith",
        /// Ends with it.
        EndsWith = "endswith",
        /// Regular expression for the whole text.
        Regex = "regex",
        /// Has a member in common with the list.
        Intersects = "intersects",
        /// Is a member of the list; for a list, all members are.
        In = "in",
        /// Is one of the paths of the list, or below one.
        PMatch = "pmatch",
    }
}

words! {
    /// For how many values of a list a comparison must hold.
    Quantifier {
        /// Exactly one.
        OneOf = "oneof",
        /// One or more.
        AnyOf = "anyof",
        /// All.
        AllOf = "allof",
    }
}

words! {
    /// A function that makes a value of others.
    Transformer {
        /// The field itself: on the right, what would be a literal without it.
        Val = "val",
        /// To lower case.
        ToLower = "tolower",
        /// To upper case.
        ToUpper = "toupper",
        /// Decodes base64.
        B64 = "b64",
        /// The part after the last slash.
        Basename = "basename",
        /// Number of bytes of a text, of members of a list.
        Len = "len",
        /// Members of a list with a separator between them.
        Join = "join",
        /// Texts one after the other.
        Concat = "concat",
        /// Options of a command line.
        Getopt = "getopt",
    }
}
