//! Advice on comparisons that do not compile.

use peregrine_event::ParamType;

use super::context::{class, cut};
use super::literal;
use super::tokens::list_items;
use super::types::{Advice, Fault, Names};
use crate::compile::{check_literal, compile};
use crate::error::CompileErrorKind;
use crate::kind::{Kind, comparable};
use crate::{
    Check, Comparison, CompiledOperand, Expr, ExprKind, FieldRef, Operator, Right, Span, Vocabulary,
};

/// Advice on a test that does not compile: all values that are wrong, or the one thing that is.
/// `text` is the text that the test was parsed from, or one in which it stands at the same place.
#[must_use]
pub fn advise_check<V>(text: &str, test: &Expr, vocabulary: &V, names: &dyn Names) -> Vec<Advice>
where
    V: Vocabulary + ?Sized,
{
    let ExprKind::Check(check) = &test.node else { return Vec::new() };
    let Err(error) = compile(test, vocabulary) else { return Vec::new() };
    let place = Place { text, check, span: test.span };
    if let Check::Compare(comparison) = &**check
        && let Ok(left) = CompiledOperand::new(check.left(), vocabulary)
        && comparable(left.ty(), left.is_list(), comparison.op, comparison.quantifier).is_ok()
    {
        let values = place.values(comparison, &left, vocabulary, names);
        if !values.is_empty() {
            return values;
        }
    }
    vec![place.advise(&error.kind, vocabulary)]
}

/// A test and the text it stands in.
struct Place<'a> {
    text: &'a str,
    check: &'a Check,
    span: Span,
}

impl Place<'_> {
    /// Advice on each value that is not valid.
    fn values<V>(
        &self,
        comparison: &Comparison,
        left: &CompiledOperand<V::Field>,
        vocabulary: &V,
        names: &dyn Names,
    ) -> Vec<Advice>
    where
        V: Vocabulary + ?Sized,
    {
        let literals = comparison.right.literals();
        let spans = list_items(self.text, comparison.right.span());
        let fields = field_of(self.check);
        let wrong =
            |value: &crate::Text| check_literal(left, comparison.op, value, vocabulary).err();
        let mut all_nets = true;
        let mut found = Vec::new();
        for (at, value) in literals.iter().enumerate() {
            let error = wrong(value);
            all_nets &= error.is_some() && value.to_str().contains('/');
            let Some(error) = error else { continue };
            let span = spans.get(at).copied().unwrap_or(comparison.right.span());
            let written = self.text.get(span.start..span.end).unwrap_or_default();
            let value = literal::Wrong {
                field: fields.map(|field| field.name.as_str()).unwrap_or_default(),
                ty: left.ty(),
                op: comparison.op,
                value: &value.to_str(),
                quoted: written.starts_with(['"', '\'']),
                alone: !matches!(comparison.right, Right::List(_)),
                span,
                test: self.span,
            };
            found.push(literal::advise(&value, &error, names));
        }
        // One name of the field for all values.
        if all_nets && let Some(first) = found.first_mut() {
            let field = self.check.left().span;
            if let Some(nets) = fields.and_then(|field| literal::net_field(&field.name)) {
                let title = format!("compare `{nets}`");
                *first = first.clone().repair(title, vec![(field, nets.to_owned())]);
                found.truncate(1);
            }
        }
        found
    }

    fn advise<V>(&self, kind: &CompileErrorKind, vocabulary: &V) -> Advice
    where
        V: Vocabulary + ?Sized,
    {
        use CompileErrorKind as K;
        match kind {
            K::UnknownField(name) => unknown_field(name, self.field_span(name), vocabulary),
            K::FieldArgument(why) => {
                let field = field_of(self.check);
                let name = field.map(FieldRef::text).unwrap_or_default();
                let message = match field {
                    Some(FieldRef { name, arg: None }) => format!("`{name}` needs an argument"),
                    _ => why.clone(),
                };
                Advice::new(Fault::FieldArgument, self.check.left().span, message)
                    .help(argument_help(&name))
            }
            K::OperatorOfKind { op, .. } | K::OperatorOfType { op, .. } | K::OperatorOfList(op) => {
                self.operator(*op, vocabulary)
            }
            K::QuantifierOfAddress(op) => {
                let message = "`anyof`, `oneof` and `allof` do not apply to addresses and networks";
                Advice::new(Fault::OperatorOfType, self.operator_span(*op), message)
                    .help("write `in (A, B)`")
            }
            K::OperatorOfField(op) => Advice::new(
                Fault::RightSide,
                self.right_span(),
                format!("`{op}` compares with texts, not with another field"),
            )
            .help("write the pattern or the paths themselves"),
            K::Regex(error) => Advice::new(
                Fault::InvalidRegex,
                self.right_span(),
                format!("this is not a regular expression: {error}"),
            )
            .help(regex_help(&error.to_string())),
            K::Distance(field) => Advice::new(
                Fault::OperatorOfType,
                self.span,
                format!("`{field}` is compared with `=` and one number of milliseconds only"),
            )
            .help("write `evt.around[TIME] = 100`"),
            K::Types { left, left_ty, right, right_ty } => Advice::new(
                Fault::RightSide,
                self.span,
                format!(
                    "`{left}` ({}) and `{right}` ({}) can't be compared",
                    left_ty.to_lowercase(),
                    right_ty.to_lowercase()
                ),
            )
            .help("both sides must have the same type; `peregrine fields NAME` shows it"),
            K::RightOfField(_) | K::RightField(_) | K::RightOfNet => {
                Advice::new(Fault::RightSide, self.right_span(), kind.to_string())
                    .help("compare it with a value")
            }
            K::NoTransformer(_)
            | K::TransformerArgument(_)
            | K::TransformerOfType { .. }
            | K::TooManyArguments(_)
            | K::UnknownTransformer(_)
            | K::ConcatOfOthers
            | K::GetoptArguments
            | K::GetoptList
            | K::GetoptOfOthers
            | K::GetoptOptions
            | K::GetoptSelector
            | K::JoinArguments
            | K::JoinList
            | K::JoinSeparator => transformer(kind, self.check.left().span),
            K::ListOfType(_) => Advice::new(
                Fault::OperatorOfType,
                self.span,
                "the values of this field can't be compared with a list",
            ),
            K::TooDeep(most) => Advice::new(
                Fault::TooDeep,
                self.span,
                format!("with its macros, the condition nests deeper than {most} levels"),
            ),
            K::Macro(name) => {
                Advice::new(Fault::Syntax, self.span, format!("no macro is named `{name}`"))
            }
            K::Literal(_) | K::UnknownLiteral(_) => {
                Advice::new(Fault::InvalidValue, self.right_span(), kind.to_string())
            }
        }
    }

    fn operator<V>(&self, op: Operator, vocabulary: &V) -> Advice
    where
        V: Vocabulary + ?Sized,
    {
        let field = self.text.get(self.check.left().span.start..self.check.left().span.end);
        let field = cut(field.unwrap_or("this field"));
        let span = self.operator_span(op);
        let Ok(left) = CompiledOperand::new(self.check.left(), vocabulary) else {
            return Advice::new(Fault::OperatorOfType, span, format!("`{op}` does not apply"));
        };
        if left.is_list() {
            let message = format!("`{field}` is a list, to which `{op}` does not apply");
            let advice = Advice::new(Fault::OperatorOfType, span, message).help(format!(
                "write `{field} in (A, B)` (all members are in the list) or `{field} intersects (A, B)` (any is)"
            ));
            let right = self.right_span();
            let value = self.text.get(right.start..right.end).unwrap_or_default();
            let one = matches!(op, Operator::Eq | Operator::EqEq) && !value.starts_with('(');
            let edits = vec![(span, "intersects".to_owned()), (right, format!("({value})"))];
            return if one { advice.offer("write `intersects`", edits) } else { advice };
        }
        let (is, help) = match Kind::of(left.ty()) {
            _ if left.ty() == ParamType::Port => {
                ("a port", "ports are compared by =, !=, <, <=, >, >= and in")
            }
            Some(Kind::Number | Kind::Double) => {
                ("a number", "numbers are compared by =, !=, <, <=, >, >= and in")
            }
            Some(Kind::Bool) => ("true or false", "write `= true` or `= false`"),
            Some(Kind::Address) => (
                "an address",
                "addresses are compared by =, != and in; networks with fd.snet, fd.cnet, fd.lnet, fd.rnet and fd.net",
            ),
            Some(Kind::Net) => {
                ("a network", "networks are compared by =, != and in: `fd.snet in (10.0.0.0/8)`")
            }
            Some(Kind::Bytes) => (
                "a buffer",
                "buffers are compared by =, !=, contains, startswith, endswith, bcontains and bstartswith",
            ),
            Some(Kind::Text) => (
                "a text",
                "`bcontains` and `bstartswith` are for buffers, such as evt.buffer; texts have `contains` and `startswith`",
            ),
            None => ("of a type that conditions can't compare", "write `exists`"),
        };
        let message = format!("`{op}` does not apply to `{field}`, which is {is}");
        Advice::new(Fault::OperatorOfType, span, message).help(help)
    }

    /// Where a field is written in the test.
    fn field_span(&self, name: &str) -> Span {
        let part = self.text.get(self.span.start..self.span.end).unwrap_or_default();
        // The text of a field has no quotes around its argument; its name has none anyway.
        let bare = name.split('[').next().unwrap_or(name);
        match part.find(bare) {
            Some(at) => {
                let start = self.span.start + at;
                Span { start, end: start + bare.len() }
            }
            None => self.check.left().span,
        }
    }

    fn operator_span(&self, op: Operator) -> Span {
        let from = self.check.left().span.end;
        let between = self.text.get(from..self.right_span().start).unwrap_or_default();
        match between.find(op.as_str()) {
            Some(at) => Span { start: from + at, end: from + at + op.as_str().len() },
            None => self.span,
        }
    }

    fn right_span(&self) -> Span {
        match self.check {
            Check::Compare(comparison) => comparison.right.span(),
            Check::Exists(_) => self.span,
        }
    }
}

fn field_of(check: &Check) -> Option<&FieldRef> {
    let mut found = None;
    check.left().each_field(&mut |field| found = found.or(Some(field)));
    found
}

/// Plugins by the beginnings of the names of their fields.
const PLUGINS: &[(&str, &str, &str)] = &[
    ("container.", "container", "the container engine's events"),
    ("k8smeta.", "k8smeta", "metadata of Kubernetes"),
    ("k8sres.", "k8smeta", "metadata of Kubernetes"),
    ("k8s.", "container", "metadata of pods"),
    ("ka.", "k8saudit", "audit events of Kubernetes"),
    ("jevt.", "json", "events in JSON"),
    ("json.", "json", "events in JSON"),
    ("ct.", "cloudtrail", "AWS CloudTrail"),
    ("s3.", "cloudtrail", "AWS CloudTrail"),
    ("ec2.", "cloudtrail", "AWS CloudTrail"),
    ("gcp.", "gcpaudit", "audit events of Google Cloud"),
    ("github.", "github", "webhooks of GitHub"),
    ("gitlab.", "gitlab", "events of GitLab"),
    ("okta.", "okta", "logs of Okta"),
    ("krsi.", "krsi", "events of the kernel runtime security instrumentation"),
    ("anomaly.", "anomalydetection", "counts of behaviours"),
    ("kafka.", "kafka", "messages of Kafka"),
    ("keycloak.", "keycloak", "events of Keycloak"),
    ("salesforce.", "salesforce", "events of Salesforce"),
    ("box.", "box", "events of Box"),
    ("dummy.", "dummy", "events for tests"),
];

/// The plugin that supplies a field.
fn plugin_of(name: &str) -> Option<(&'static str, &'static str)> {
    let row = PLUGINS.iter().find(|(prefix, ..)| name.starts_with(prefix))?;
    Some((row.1, row.2))
}

/// Advice on a field that does not exist. Also for outputs.
pub(super) fn unknown_field<V>(name: &str, span: Span, vocabulary: &V) -> Advice
where
    V: Vocabulary + ?Sized,
{
    let shown = cut(name);
    let bare = name.split('[').next().unwrap_or(name);
    let lower = bare.to_ascii_lowercase();
    let exists = |name: &str| vocabulary.resolve(name).is_ok_and(|found| found.len == name.len());
    let unknown = |message: String| Advice::new(Fault::UnknownField, span, message);
    let replace = |with: &str| vec![(span, with.to_owned())];
    if lower != bare && exists(&lower) {
        return unknown(format!("there is no field `{shown}`"))
            .help(format!("names of fields are written in lower case: `{lower}`"))
            .repair(format!("write `{lower}`"), replace(&lower));
    }
    let similar = vocabulary.similar(bare).into_iter().next();
    // A class of fields that exists, with an unknown name in it, is a slip.
    let class = bare.split_once('.').map(|(class, _)| format!("{class}."));
    let same_class = similar
        .as_deref()
        .is_some_and(|similar| class.as_deref().is_some_and(|class| similar.starts_with(class)));
    if !same_class && let Some((plugin, about)) = plugin_of(bare) {
        let message = format!(
            "the field `{shown}` comes with the plugin `{plugin}` ({about}), which is not loaded"
        );
        let help = match plugin {
            "container" => {
                "load it in falco.yaml: `plugins: [{name: container, library_path: libcontainer.so}]`; it is built in, and no file is read"
            }
            _ => {
                "Peregrine loads no plugin but `container` yet; with `skip-if-unknown-filter: true` it skips the rule"
            }
        };
        return Advice::new(Fault::PluginField, span, message).help(help);
    }
    let unknown = unknown(format!("there is no field `{shown}`"));
    match similar {
        Some(similar) => unknown
            .help(format!("did you mean `{similar}`?"))
            .offer(format!("write `{similar}`"), replace(&similar)),
        None => unknown.help("`peregrine fields` lists all fields"),
    }
}

fn argument_help(field: &str) -> String {
    let name = field.split('[').next().unwrap_or(field);
    let example = match name {
        "evt.arg" => "`evt.arg.flags` or `evt.arg[0]`",
        "evt.rawarg" => "`evt.rawarg.flags`",
        "evt.around" => "`evt.around[1404996934793590564] = 100`",
        "proc.aname" | "proc.apid" | "proc.aexe" | "proc.aexepath" | "proc.acmdline"
        | "proc.aenv" => {
            return format!(
                "write the generation between brackets: `{name}[2]` is the grandparent's"
            );
        }
        "proc.env" => "`proc.env[PATH]`",
        _ => {
            return format!(
                "write it between brackets: `{name}[…]`; `peregrine fields {name}` shows an example"
            );
        }
    };
    format!("write {example}")
}

fn regex_help(error: &str) -> &'static str {
    let escape = error.split_once("escape sequence: \\").and_then(|(_, rest)| rest.chars().next());
    if let Some(class) = escape.and_then(class) {
        return match class {
            "[0-9]" => "write `[0-9]`",
            "[A-Za-z0-9_]" => "write `[A-Za-z0-9_]`",
            "[[:space:]]" => "write `[[:space:]]`",
            _ => "write the characters between brackets: `[^0-9]`",
        };
    }
    match error {
        _ if error.contains("repetition") => {
            "`*`, `+` and `?` follow what they repeat: `.*` is any text; for shell patterns use `glob`"
        }
        _ if error.contains("escape") => {
            "write `\\\\.` between quotes for a dot; look-around and back references do not exist"
        }
        _ if error.contains("missing") || error.contains("unexpected") => {
            "close each `(` and `[`, or write `\\\\(` between quotes for the character itself"
        }
        _ => "the syntax is that of RE2",
    }
}

fn transformer(kind: &CompileErrorKind, span: Span) -> Advice {
    use CompileErrorKind as K;
    let help = match kind {
        K::TransformerOfType { transformer, .. } => match transformer {
            crate::Transformer::Len => "`len` takes a text, a buffer or a list",
            crate::Transformer::B64 => "`b64` takes a text or a buffer",
            _ => "it takes a text",
        },
        K::TooManyArguments(_) => "remove all arguments but one",
        K::UnknownTransformer(_) | K::JoinArguments => {
            "`join(\", \", LIST)`, `concat(A, B)` and `getopt(LIST, \"ab:\")` take two arguments or more"
        }
        K::GetoptArguments | K::GetoptList | K::GetoptOfOthers | K::GetoptOptions => {
            "write `getopt(proc.args, \"ab:c\")`: a list and the description of its options"
        }
        K::GetoptSelector => "write one letter: `getopt(proc.args, \"ab:\")[b]`",
        K::TransformerArgument(_) => "put the argument behind the field: `tolower(proc.aname[2])`",
        K::NoTransformer(_) => "compare the field without a transformer",
        _ => "",
    };
    let message = match kind {
        K::TransformerOfType { transformer, ty, list, field } => format!(
            "`{transformer}` does not apply to `{field}`, which is {}of type {}",
            if *list { "a list " } else { "" },
            ty.to_lowercase()
        ),
        kind => kind.to_string(),
    };
    let advice = Advice::new(Fault::Transformer, span, message);
    if help.is_empty() { advice } else { advice.help(help) }
}
