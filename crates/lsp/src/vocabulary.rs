//! Words of rules files with their descriptions: fields, operators, events, keys.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use peregrine_alert::Priority;
use peregrine_event::{EventFlags, EventType, Extra, ParamInfo, ParamType, syscall_names};
use peregrine_fields::Fields;
use peregrine_fields::table::{Argument, Definition};
use peregrine_filter::{DEFAULT_MAX_DEPTH, Operator, Quantifier, Transformer, compile, parse};

/// The priorities, as rules write them.
pub(crate) fn priorities() -> impl Iterator<Item = (String, &'static str)> {
    let about = |priority: Priority| match priority {
        Priority::Emergency => "the system can't be used",
        Priority::Alert => "action must be taken immediately",
        Priority::Critical => "critical condition",
        Priority::Error => "error, such as a write below a protected directory",
        Priority::Warning => "warning, such as an unexpected read of a sensitive file",
        Priority::Notice => "normal but significant",
        Priority::Informational => "informational",
        Priority::Debug => "for debugging rules",
    };
    Priority::ALL.into_iter().map(move |it| (it.name().to_ascii_uppercase(), about(it)))
}

/// A field with its definition; `None` for constants of the configuration.
pub(crate) struct FieldWord<'f> {
    pub(crate) name: &'f str,
    pub(crate) definition: Option<&'f Definition>,
}

/// All fields that rules should use.
pub(crate) fn fields(fields: &Fields) -> impl Iterator<Item = FieldWord<'_>> {
    let listed =
        fields.classes().filter(|class| class.listed).flat_map(|class| class.fields.iter());
    let listed = listed.filter(|field| field.is_listed());
    let defined = listed.map(|field| FieldWord { name: &field.name, definition: Some(field) });
    let unusable: BTreeSet<_> = fields.unusable_statics().collect();
    let constants = fields.statics().filter(move |name| !unusable.contains(name));
    defined.chain(constants.map(|name| FieldWord { name, definition: None }))
}

/// The definition of a field, with or without an argument in `name`.
pub(crate) fn definition<'f>(fields: &'f Fields, name: &str) -> Option<&'f Definition> {
    let bare = name.split_once('[').map_or(name, |(name, _)| name);
    let all = || fields.classes().flat_map(|class| class.fields.iter());
    let named = |name: &str| all().find(|field| field.name == name);
    named(bare).or_else(|| {
        let (name, _) = bare.rsplit_once('.')?;
        named(name).filter(|field| field.argument != Argument::None)
    })
}

/// Markdown about a field.
pub(crate) fn field_page(fields: &Fields, name: &str) -> Option<String> {
    let Some(field) = definition(fields, name) else {
        let known = fields.statics().any(|constant| constant == name);
        return known.then(|| {
            format!("**`{name}`** · text\n\nA constant of the configuration (`static_fields`).")
        });
    };
    let mut page = format!("**`{name}`** · {}", field_type(field));
    let _ = write!(page, "\n\n{}", field.description);
    if field.argument != Argument::None {
        let _ = write!(page, "\n\nArgument: {}", argument(field.argument));
    }
    if field.options.deprecated {
        page.push_str("\n\nDeprecated.");
    }
    let operators: Vec<_> = operators(fields, name).iter().map(|op| format!("`{op}`")).collect();
    if !operators.is_empty() {
        let _ = write!(page, "\n\nOperators: {}", operators.join(" "));
    }
    Some(page)
}

/// The type of a field in words.
pub(crate) fn field_type(field: &Definition) -> String {
    let one = match field.ty {
        ParamType::Charbuf | ParamType::Fspath | ParamType::Fsrelpath => "text",
        ParamType::Bool => "true or false",
        ParamType::Ipv4addr | ParamType::Ipv6addr | ParamType::Ipaddr => "IP address",
        ParamType::Ipv4net | ParamType::Ipv6net | ParamType::Ipnet => "network",
        ParamType::Port => "port",
        ParamType::Reltime | ParamType::Abstime => "nanoseconds",
        ParamType::Bytebuf => "bytes",
        ParamType::Charbufarray | ParamType::CharbufPairArray => "texts",
        ParamType::Dyn => "as the parameter",
        _ => "number",
    };
    if field.options.list { format!("list of {one}") } else { one.to_owned() }
}

fn argument(argument: Argument) -> &'static str {
    match argument {
        Argument::None => "none",
        Argument::Param => "a parameter of the event, `.name` or `[number]`",
        Argument::RawParam => "a parameter of the event, `.name`",
        Argument::Event => "an event type, `.name`",
        Argument::Time => "nanoseconds since the epoch, `[number]`",
        Argument::WhichPath => "`.src` or `.dst`, optional",
        Argument::Index => "`[number]`, optional",
        Argument::FdNumber => "the number of an fd, `[number]`, optional",
        Argument::Variable => "an environment variable, `[name]`, optional",
        Argument::AncestorVariable => {
            "the number of an ancestor or an environment variable, `[number]` or `[name]`, optional"
        }
        Argument::Subsystem => "a cgroup controller, `.name`",
        Argument::Key => "`[key]`",
        Argument::IndexOrPattern | Argument::Declared(_) => "`[number]` or `[key]`",
    }
}

/// Values that a literal may have; one of them fits each type.
const SAMPLES: [&str; 7] = ["1", "true", "1.2.3.4", "1.2.3.0/24", "open", "a", "61"];

/// Operators that a field can be compared with: those with which some condition compiles.
/// The order of texts has no use.
pub(crate) fn operators(fields: &Fields, field: &str) -> Vec<Operator> {
    let text = definition(fields, field).is_some_and(|it| field_type(it).ends_with("text"));
    let order = [Operator::Le, Operator::Lt, Operator::Ge, Operator::Gt];
    let compiles = |condition: String| {
        parse(&condition, DEFAULT_MAX_DEPTH).is_ok_and(|expr| compile(&expr, fields).is_ok())
    };
    let fits = |op: &Operator| {
        let list = matches!(op, Operator::In | Operator::Intersects | Operator::PMatch);
        SAMPLES.iter().any(|value| {
            compiles(match list {
                true => format!("{field} {op} ({value})"),
                false => format!("{field} {op} {value}"),
            })
        })
    };
    Operator::ALL
        .iter()
        .copied()
        .filter(|op| *op != Operator::EqEq && !(text && order.contains(op)))
        .filter(fits)
        .collect()
}

/// What an operator means.
pub(crate) fn operator_page(word: &str) -> Option<&'static str> {
    if word == "exists" {
        return Some("True if the field has a value.");
    }
    if let Some(quantifier) = Quantifier::ALL.iter().find(|it| it.as_str() == word) {
        return Some(match quantifier {
            Quantifier::OneOf => "True if the comparison holds for exactly one value of the list.",
            Quantifier::AnyOf => "True if the comparison holds for one or more values of the list.",
            Quantifier::AllOf => "True if the comparison holds for all values of the list.",
        });
    }
    let operator = Operator::ALL.iter().find(|op| op.as_str() == word)?;
    Some(match operator {
        Operator::Le => "Less or equal.",
        Operator::Lt => "Less.",
        Operator::Ge => "Greater or equal.",
        Operator::Gt => "Greater.",
        Operator::EqEq | Operator::Eq => "Equal.",
        Operator::Ne => "Not equal. False if the field has no value.",
        Operator::Glob => "Matches a shell pattern (`*`, `?`, `[…]`) as a whole.",
        Operator::IGlob => "Matches a shell pattern as a whole; upper and lower case are the same.",
        Operator::Contains => "Contains a text.",
        Operator::IContains => "Contains a text; upper and lower case are the same.",
        Operator::BContains => "Contains bytes, written in hexadecimal.",
        Operator::StartsWith => "Starts with a text.",
        Operator::BStartsWith => "Starts with bytes, written in hexadecimal.",
        Operator::EndsWith => "Ends with a text.",
        Operator::Regex => "Matches a regular expression as a whole.",
        Operator::Intersects => "Has a value in common with the list.",
        Operator::In => "Is one of the values of the list.",
        Operator::PMatch => "Is one of the paths of the list, or below one of them.",
    })
}

/// What a transformer makes.
pub(crate) fn transformer_page(word: &str) -> Option<&'static str> {
    let transformer = Transformer::ALL.iter().find(|it| it.as_str() == word)?;
    Some(match transformer {
        Transformer::Val => {
            "The value of a field, on the right of a comparison: `proc.name = val(proc.pname)`."
        }
        Transformer::ToLower => "The text in lower case.",
        Transformer::ToUpper => "The text in upper case.",
        Transformer::B64 => "The text decoded from base64.",
        Transformer::Basename => "The part of a path after its last slash.",
        Transformer::Len => "The number of bytes of a text, or of members of a list.",
        Transformer::Join => "The members of a list as one text: `join(proc.args, \",\")`.",
        Transformer::Concat => "Texts one after the other.",
        Transformer::Getopt => "The values of an option of a command line.",
    })
}

/// Names of all event types and system calls.
pub(crate) fn event_names() -> BTreeSet<&'static str> {
    let current = EventType::all().filter(|ty| {
        let gone = EventFlags::OLD_VERSION | EventFlags::UNUSED;
        !ty.info().flags.intersects(gone)
    });
    let names = current.map(EventType::name).chain(syscall_names().map(|(_, name)| name));
    names.filter(|name| !matches!(*name, "syscall" | "NA1" | "NA2" | "container")).collect()
}

/// Markdown about an event type.
pub(crate) fn event_page(name: &str) -> Option<String> {
    let current = || {
        let gone = EventFlags::OLD_VERSION | EventFlags::UNUSED;
        EventType::all().filter(move |ty| ty.name() == name && !ty.info().flags.intersects(gone))
    };
    let Some(ty) = current().find(|ty| ty.is_exit()).or_else(|| current().next()) else {
        let known = syscall_names().any(|(_, known)| known == name);
        return known.then(|| {
            format!("**`{name}`** · system call\n\nIts events have no parameters of their own.")
        });
    };
    let mut page = format!("**`{name}`** · event");
    for param in ty.info().params {
        let _ = write!(page, "\n- `evt.arg.{}`", param.name);
        if let Some(mut names) = flags_of(param) {
            let shown: Vec<_> = names.by_ref().take(6).collect();
            let more = if names.next().is_some() { ", …" } else { "" };
            let _ = write!(page, ": {}{more}", shown.join(", "));
        }
    }
    Some(page)
}

fn flags_of(param: &ParamInfo) -> Option<impl Iterator<Item = &'static str> + use<>> {
    match param.extra {
        Extra::Flags(table) => Some(table.iter().map(|(name, _)| *name)),
        _ => None,
    }
}

/// Values that a field is usually compared with.
pub(crate) fn values(fields: &Fields, field: &str) -> Vec<&'static str> {
    if let Some(param) =
        field.strip_prefix("evt.arg.").or_else(|| field.strip_prefix("evt.rawarg."))
    {
        let params = EventType::all().flat_map(|ty| ty.info().params);
        let named = params.filter(|known| known.name == param);
        let names: BTreeSet<_> = named.filter_map(flags_of).flatten().collect();
        return names.into_iter().collect();
    }
    let values: &[&str] = match field {
        "evt.type" => return event_names().into_iter().collect(),
        "evt.source" => &["syscall"],
        "evt.res" => &["SUCCESS", "EPERM", "ENOENT", "EACCES", "EINVAL", "EEXIST"],
        _ if definition(fields, field).is_some_and(|it| it.ty == ParamType::Bool) => {
            &["true", "false"]
        }
        _ => peregrine_fields::words(field),
    };
    values.to_vec()
}

/// A key of items, and what it is for.
pub(crate) struct KeyWord {
    pub(crate) name: &'static str,
    pub(crate) items: &'static [&'static str],
    pub(crate) about: &'static str,
    /// How `override` may change it.
    pub(crate) operations: &'static [&'static str],
}

const RULE: &[&str] = &["rule"];
const BOTH: &[&str] = &["append", "replace"];
const REPLACE: &[&str] = &["replace"];

const fn key(
    name: &'static str,
    items: &'static [&'static str],
    operations: &'static [&'static str],
    about: &'static str,
) -> KeyWord {
    KeyWord { name, items, about, operations }
}

/// All keys of items.
pub(crate) const KEYS: &[KeyWord] = &[
    key("rule", RULE, &[], "The name of the rule."),
    key("macro", &["macro"], &[], "The name of a condition that other conditions use."),
    key("list", &["list"], &[], "The name of a list of values."),
    key("desc", RULE, BOTH, "What the rule detects."),
    key(
        "condition",
        &["rule", "macro"],
        BOTH,
        "When the rule matches, or what the macro stands for.",
    ),
    key("output", RULE, BOTH, "The text of alerts; `%field` is replaced by the field's value."),
    key("priority", RULE, REPLACE, "How severe a match is."),
    key("tags", RULE, BOTH, "Labels that select rules, such as `container` or `T1059`."),
    key("source", RULE, &[], "Where events come from; `syscall` unless it is set."),
    key("enabled", RULE, REPLACE, "Whether the rule is evaluated; true unless it is set."),
    key(
        "exceptions",
        RULE,
        BOTH,
        "Combinations of field values for which the rule does not match.",
    ),
    key("items", &["list"], BOTH, "The values of the list, or names of other lists."),
    key(
        "override",
        &["rule", "macro", "list"],
        &[],
        "Which keys of an earlier item of this name are changed, each by `append` or `replace`.",
    ),
    key("append", &["rule", "macro", "list"], &[], "Deprecated: use `override`."),
    key(
        "warn_evttypes",
        RULE,
        REPLACE,
        "Whether to warn if the rule matches events of nearly all types; true unless it is set.",
    ),
    key(
        "skip-if-unknown-filter",
        RULE,
        REPLACE,
        "Whether to skip the rule instead of failing if it uses a field that does not exist.",
    ),
    key("capture", RULE, REPLACE, "Whether a match starts a capture of events."),
    key("capture_duration", RULE, REPLACE, "How long such a capture lasts, in milliseconds."),
    key(
        "required_engine_version",
        &["required_engine_version"],
        &[],
        "The oldest version of the engine that can load the file.",
    ),
    key(
        "required_plugin_versions",
        &["required_plugin_versions"],
        &[],
        "Plugins that the file needs, each with its oldest version.",
    ),
];

/// Keys of an exception.
pub(crate) const EXCEPTION_KEYS: &[(&str, &str)] = &[
    ("name", "The name of the exception; items that append to it use it."),
    ("fields", "The field that is compared, or a list of fields."),
    (
        "comps",
        "The operator of each field; `=` for each of several fields, `in` for one, unless it is set.",
    ),
    ("values", "The values of the fields: a list for each combination."),
];

/// Keys of a required plugin.
pub(crate) const PLUGIN_KEYS: &[(&str, &str)] = &[
    ("name", "The name of the plugin."),
    ("version", "Its oldest version, such as 0.4.0."),
    ("alternatives", "Plugins that do instead, each with its oldest version."),
];

/// Tactics of MITRE ATT&CK as tags of upstream rules spell them.
pub(crate) const MITRE_TACTICS: [&str; 14] = [
    "mitre_reconnaissance",
    "mitre_resource_development",
    "mitre_initial_access",
    "mitre_execution",
    "mitre_persistence",
    "mitre_privilege_escalation",
    "mitre_defense_evasion",
    "mitre_credential_access",
    "mitre_discovery",
    "mitre_lateral_movement",
    "mitre_collection",
    "mitre_command_and_control",
    "mitre_exfiltration",
    "mitre_impact",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_fit_the_type() {
        let fields = Fields::syscall();
        let of = |name: &str| operators(&fields, name);
        assert!(of("proc.name").contains(&Operator::StartsWith));
        assert!(!of("proc.name").contains(&Operator::Lt));
        assert!(of("proc.pid").contains(&Operator::Lt) && of("proc.pid").contains(&Operator::In));
        assert!(!of("proc.pid").contains(&Operator::StartsWith));
        assert!(of("fd.snet").contains(&Operator::Eq), "{:?}", of("fd.snet"));
        assert_eq!(of("no.field"), []);
        assert!(of("evt.type").contains(&Operator::In));
    }

    #[test]
    fn every_key_of_the_schema_is_described() {
        let schema = peregrine_rules::rule_schema();
        let all = schema["definitions"]["FalcoRule"]["properties"].as_object().unwrap();
        for name in all.keys() {
            assert!(KEYS.iter().any(|key| key.name == name), "{name}");
        }
        let replaceable = schema["definitions"]["Override"]["properties"].as_object().unwrap();
        for key in KEYS {
            assert_eq!(
                !key.operations.is_empty(),
                replaceable.contains_key(key.name),
                "{}",
                key.name
            );
        }
    }

    #[test]
    fn words_have_pages() {
        let fields = Fields::syscall();
        for word in super::fields(&fields) {
            assert!(field_page(&fields, word.name).unwrap().len() > 30, "{}", word.name);
        }
        assert!(field_page(&fields, "proc.aname[2]").unwrap().contains("Argument"));
        assert!(field_page(&fields, "evt.arg.flags").is_some());
        for op in Operator::ALL {
            assert!(operator_page(op.as_str()).is_some());
        }
        for it in Transformer::ALL {
            assert!(transformer_page(it.as_str()).is_some());
        }
        assert!(event_page("openat").unwrap().contains("`evt.arg.flags`: "));
        for name in event_names() {
            assert!(event_page(name).is_some(), "{name}");
        }
    }

    #[test]
    fn usual_values_are_values() {
        let fields = Fields::syscall();
        assert!(values(&fields, "evt.type").contains(&"execve"));
        assert!(values(&fields, "evt.arg.flags").contains(&"O_CREAT"));
        assert_eq!(values(&fields, "evt.is_open_write"), ["true", "false"]);
    }
}
