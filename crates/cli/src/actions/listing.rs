//! `--list` and `--list-events`.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::ControlFlow;

use anyhow::bail;
use peregrine_engine::select;
use peregrine_event::{
    Class, EventFlags, EventType, Extra, ParamInfo, ParamType, syscall_names, syscalls_aarch64,
    syscalls_x86_64,
};
use peregrine_fields::Fields;
use peregrine_fields::table::Definition;
use serde_json::{Value as Json, json};

use super::checks::SYSCALL;
use crate::app::{Session, Step, print};
use crate::options::Format;
use crate::version;

/// Column where explanations begin, and where their lines end, in lists of fields for people.
const TEXT_COLUMN: usize = 30;
const TEXT_WIDTH: usize = 100;

/// Groups of events, in the order in which they are listed.
const GROUPS: [(Class, &str); 4] = [
    (Class::Syscall, "Syscall events"),
    (Class::Tracepoint, "Tracepoint events"),
    (Class::Plugin, "Plugin events"),
    (Class::Metaevent, "Metaevents"),
];

/// `--list`
pub(crate) fn fields(session: &Session) -> Step {
    let Some(source) = &session.options.list else { return Ok(ControlFlow::Continue(())) };
    if !source.is_empty() && source != SYSCALL {
        bail!("Value for --list must be a valid source type");
    }
    let fields = super::rules::vocabulary(session);
    let listing = if session.options.names_only {
        field_names(&fields, session.format)
    } else {
        let classes = listed_classes(&fields);
        let classes = classes.into_iter();
        match session.format {
            Format::Text => classes.map(|c| c.text(session.options.verbose) + "\n").collect(),
            Format::Markdown => classes.map(|class| class.markdown() + "\n").collect(),
            Format::Json => {
                let classes: Vec<_> = classes.map(|class| class.json()).collect();
                format!("{:#}\n", json!({ "fieldclasses": classes }))
            }
        }
    };
    print(listing)?;
    Ok(ControlFlow::Break(()))
}

/// Fields of one class that users are told of.
struct ListedClass<'a> {
    name: &'a str,
    description: &'a str,
    fields: Vec<ListedField<'a>>,
}

struct ListedField<'a> {
    name: &'a str,
    description: &'a str,
    ty: String,
    definition: Option<&'static Definition>,
}

fn listed_classes(fields: &Fields) -> Vec<ListedClass<'_>> {
    let mut classes: Vec<_> = fields
        .classes()
        .filter(|class| class.listed)
        .map(|class| {
            let listed = class.fields.iter().filter(|field| field.is_listed());
            let fields = listed.map(|field| ListedField {
                name: field.name,
                description: field.description,
                ty: type_name(field.ty),
                definition: Some(field),
            });
            ListedClass {
                name: class.name,
                description: class.description,
                fields: fields.collect(),
            }
        })
        .filter(|class| !class.fields.is_empty())
        .collect();
    let constants = fields.statics().map(|name| ListedField {
        name,
        description: "A value of the configuration.",
        ty: type_name(ParamType::Charbuf),
        definition: None,
    });
    let constants: Vec<_> = constants.collect();
    if !constants.is_empty() {
        let description = "Constants of the configuration (static_fields).";
        classes.push(ListedClass { name: "static", description, fields: constants });
    }
    classes
}

fn field_names(fields: &Fields, format: Format) -> String {
    let names: Vec<_> = listed_classes(fields)
        .into_iter()
        .flat_map(|class| class.fields.into_iter().map(|field| field.name.to_owned()))
        .collect();
    match format {
        Format::Text | Format::Markdown => names.join("\n") + "\n",
        Format::Json => format!("{:#}\n", json!({ "fieldnames": names })),
    }
}

impl ListedClass<'_> {
    fn text(&self, with_types: bool) -> String {
        let mut page = "-------------------------------\n".to_owned();
        page += &columns("Field Class:", self.name);
        page += &columns("Description:", self.description);
        page += &columns("Event Sources:", SYSCALL);
        page.push('\n');
        for field in &self.fields {
            let ty = if with_types { format!("(Type: {}) ", field.ty) } else { String::new() };
            page += &columns(field.name, &format!("{ty}{}", field.description));
        }
        page
    }

    fn markdown(&self) -> String {
        let Self { name, description, .. } = self;
        let mut page = format!(
            "## Field Class: {name}\n\n{description}\n\nEvent Sources: {SYSCALL} \n\n\
             Name | Type | Description\n:----|:-----|:-----------\n"
        );
        for field in &self.fields {
            let ListedField { name, description, ty, .. } = field;
            let ty = if field.is_list() { format!("LIST({ty})") } else { ty.clone() };
            page += &format!("`{name}` | {ty} | {description}\n");
        }
        page
    }

    fn json(&self) -> Json {
        let fields: Vec<_> = self.fields.iter().map(ListedField::json).collect();
        json!({
            "name": self.name,
            "desc": self.description,
            "event_sources": [SYSCALL],
            "fields": fields,
        })
    }
}

impl ListedField<'_> {
    fn is_list(&self) -> bool {
        self.definition.is_some_and(|field| field.options.list)
    }

    fn json(&self) -> Json {
        let argument = self.definition.and_then(|field| field.argument.listed()).map(|argument| {
            let index = argument.index.then_some("INDEX");
            let key = argument.key.then_some("KEY");
            let types: Vec<_> = index.into_iter().chain(key).collect();
            json!({ "required": argument.required, "type": types })
        });
        json!({
            "name": self.name,
            "type": self.ty,
            "desc": self.description,
            "is_list": self.is_list(),
            "argument": argument,
        })
    }
}

/// A name, and what is to be said of it beside it.
fn columns(name: &str, text: &str) -> String {
    let mut line = name.to_owned();
    let mut column = name.chars().count();
    if column >= TEXT_COLUMN {
        line.push('\n');
        column = 0;
    }
    for word in text.split_whitespace() {
        if column + 1 + word.chars().count() > TEXT_WIDTH {
            line.push('\n');
            column = 0;
        }
        let gap = if column < TEXT_COLUMN { TEXT_COLUMN - column } else { 1 };
        line += &" ".repeat(gap);
        line += word;
        column += gap + word.chars().count();
    }
    line + "\n"
}

/// `--list-events`
pub(crate) fn events(format: Format) -> String {
    let groups = listed_events();
    let schema = version::SCHEMA;
    if format == Format::Json {
        let mut page = serde_json::Map::new();
        page.insert("schema_version".to_owned(), schema.into());
        for (group, events) in groups {
            let events = events.iter().map(ListedEvent::json).collect();
            page.insert(group.to_owned(), Json::Array(events));
        }
        return format!("{:#}\n", Json::Object(page));
    }
    let mut page = format!("The events below are valid for Falco *Schema Version*: {schema}\n");
    for (group, events) in groups {
        page += &format!("## {group}\n\n");
        if format == Format::Markdown {
            page += "Default | Dir | Name | Params \n:-------|:----|:-----|:-----\n";
        }
        for event in events {
            page += &event.line(format);
        }
        page.push('\n');
    }
    page
}

/// An event, or a syscall that shares the generic one.
struct ListedEvent {
    ty: EventType,
    name: &'static str,
    /// Whether its events come without a rule that asks for them.
    available: bool,
}

fn listed_events() -> Vec<(&'static str, Vec<ListedEvent>)> {
    let left_out = select::ignored().names();
    let specific = |class: Class| {
        let gone = EventFlags::OLD_VERSION | EventFlags::UNUSED;
        EventType::all()
            .filter(|ty| !is_generic(*ty))
            .filter(move |ty| ty.info().classes.contains(&class))
            .filter(move |ty| !ty.info().flags.intersects(gone))
    };
    let group = |(class, title)| {
        let mut events: Vec<_> = specific(class)
            .map(|ty| ListedEvent { ty, name: ty.name(), available: !left_out.contains(ty.name()) })
            .collect();
        if class == Class::Syscall {
            for name in generic_names() {
                for ty in [EventType::GenericE, EventType::GenericX] {
                    events.push(ListedEvent { ty, name, available: true });
                }
            }
        }
        (title, events)
    };
    GROUPS.into_iter().map(group).collect()
}

fn is_generic(ty: EventType) -> bool {
    matches!(ty, EventType::GenericE | EventType::GenericX)
}

/// Names of the syscalls without an event of their own.
fn generic_names() -> Vec<&'static str> {
    let tables = syscalls_x86_64().iter().chain(syscalls_aarch64());
    let own: BTreeSet<u16> =
        tables.filter(|syscall| !is_generic(syscall.exit)).map(|syscall| syscall.sc).collect();
    let generic = syscall_names().filter(|(code, _)| !own.contains(code));
    let mut names: Vec<_> = generic.map(|(_, name)| name).collect();
    names.sort_unstable();
    names
}

impl ListedEvent {
    fn direction(&self) -> char {
        if self.ty.is_exit() { '<' } else { '>' }
    }

    fn line(&self, format: Format) -> String {
        let (direction, name) = (self.direction(), self.name);
        let params = self.ty.info().params.iter().map(|param| ParamText { param, format });
        let params = params.map(|param| param.to_string()).collect::<Vec<_>>().join(", ");
        if format == Format::Markdown {
            let available = if self.available { "Yes" } else { "No" };
            return format!("{available} | `{direction}` | `{name}` | {params}\n");
        }
        format!("{direction} {name}({params})\n")
    }

    fn json(&self) -> Json {
        let params: Vec<_> = self.ty.info().params.iter().map(param_json).collect();
        json!({
            "name": self.name,
            "dir": self.direction().to_string(),
            "available": self.available,
            "params": params,
        })
    }
}

struct ParamText<'a> {
    param: &'a ParamInfo,
    format: Format,
}

impl fmt::Display for ParamText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} **{}**", type_name(self.param.ty), self.param.name)?;
        let Some(flags) = flag_names(self.param) else { return Ok(()) };
        f.write_str(": ")?;
        for (index, flag) in flags.enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            let star = if self.format == Format::Markdown { "*" } else { "" };
            write!(f, "{comma}{star}{flag}{star}")?;
        }
        Ok(())
    }
}

fn param_json(param: &ParamInfo) -> Json {
    let mut json = json!({ "type": type_name(param.ty), "name": param.name });
    if let (Some(flags), Some(json)) = (flag_names(param), json.as_object_mut()) {
        json.insert("flags".to_owned(), flags.collect());
    }
    json
}

/// Names of the bits or values of a parameter, where it has such.
fn flag_names(param: &ParamInfo) -> Option<impl Iterator<Item = &'static str>> {
    let has_names = matches!(
        param.ty,
        ParamType::Flags8
            | ParamType::Flags16
            | ParamType::Flags32
            | ParamType::Enumflags8
            | ParamType::Enumflags16
            | ParamType::Enumflags32
    );
    match param.extra {
        Extra::Flags(table) if has_names => Some(table.iter().map(|(name, _)| *name)),
        _ => None,
    }
}

/// Name of a type in listings.
fn type_name(ty: ParamType) -> String {
    match ty {
        ParamType::Dyn => "DYNAMIC".to_owned(),
        ParamType::CharbufPairArray => "CHARBUF_PAIR_ARRAY".to_owned(),
        other => format!("{other:?}").to_uppercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_have_their_group_and_availability() {
        let page: Json = serde_json::from_str(&events(Format::Json)).unwrap();
        let group = |name: &str| page[name].as_array().unwrap().clone();
        let find = |name: &str, dir: &str| {
            let mut events = group("Syscall events").into_iter();
            events.find(|event| event["name"] == name && event["dir"] == dir)
        };
        assert_eq!(find("read", "<").unwrap()["available"], false);
        assert_eq!(find("openat", "<").unwrap()["available"], true);
        assert!(find("openat", ">").is_some());
        let params = &find("acct", "<").unwrap()["params"];
        assert_eq!(params[0]["type"], "SYSCALLID");
        assert!(group("Metaevents").iter().any(|event| event["name"] == "asyncevent"));
        assert_eq!(group("Plugin events").len(), 1);
    }

    #[test]
    fn event_lines_name_their_flags() {
        let page = events(Format::Markdown);
        let line = page.lines().find(|line| line.contains("| `<` | `openat` |")).unwrap();
        assert!(line.starts_with("Yes | "), "{line}");
        assert!(line.contains("FLAGS32 **flags**: *O_LARGEFILE*"), "{line}");
    }

    #[test]
    fn constants_are_fields_too() {
        let fields = Fields::syscall().with_statics([("site", "attic")]);
        let names = field_names(&fields, Format::Text);
        assert!(names.lines().any(|name| name == "static.site"));
        assert!(names.lines().any(|name| name == "proc.name"));
        assert!(!names.lines().any(|name| name == "container.id"));
    }

    #[test]
    fn long_names_stand_alone() {
        let line = columns("a.name.that.is.longer.than.its.column", "words");
        assert_eq!(line.lines().count(), 2);
        assert!(line.ends_with(&format!("\n{}words\n", " ".repeat(TEXT_COLUMN))));
    }
}
