//! Listings of events and their parameters.

mod page;

use std::collections::BTreeSet;
use std::fmt;

use peregrine_engine::select;
use peregrine_event::{
    Class, EventFlags, EventType, Extra, ParamInfo, ParamType, syscall_names, syscalls_aarch64,
    syscalls_x86_64,
};
use serde_json::{Value as Json, json};

use crate::Format;
use crate::types::type_name;

pub use page::{UnknownEvent, find};

/// Groups of events, in the order in which they are listed.
const GROUPS: [(Class, &str); 4] = [
    (Class::Syscall, "Syscall events"),
    (Class::Tracepoint, "Tracepoint events"),
    (Class::Plugin, "Plugin events"),
    (Class::Metaevent, "Metaevents"),
];

/// All events by group. `schema` is the version of the event tables.
pub fn listing(format: Format, schema: &str) -> String {
    let groups = listed_events();
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
        let params = self.ty.info().format_params().iter().map(|param| ParamText { param, format });
        let params = params.map(|param| param.to_string()).collect::<Vec<_>>().join(", ");
        if format == Format::Markdown {
            let available = if self.available { "Yes" } else { "No" };
            return format!("{available} | `{direction}` | `{name}` | {params}\n");
        }
        format!("{direction} {name}({params})\n")
    }

    fn json(&self) -> Json {
        let params: Vec<_> = self.ty.info().format_params().iter().map(param_json).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_have_their_group_and_availability() {
        let page: Json = serde_json::from_str(&listing(Format::Json, "4.5.1")).unwrap();
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
        let page = listing(Format::Markdown, "4.5.1");
        let line = page.lines().find(|line| line.contains("| `<` | `openat` |")).unwrap();
        assert!(line.starts_with("Yes | "), "{line}");
        assert!(line.contains("FLAGS32 **flags**: *O_LARGEFILE*"), "{line}");
    }
}
