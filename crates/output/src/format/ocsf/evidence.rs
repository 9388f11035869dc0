//! Fields as objects of the schema: process, user, file, connection, container.

use std::net::IpAddr;

use peregrine_alert::Value;
use serde_json::{Map, Value as Json, json};

use super::values;

/// An object that fields describe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Object {
    Process,
    Parent,
    Group,
    User,
    File,
    Source,
    Destination,
    Connection,
    Container,
    Image,
    Api,
}

/// The type of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Text,
    Integer,
    /// A number of a port.
    Port,
    /// An address.
    Ip,
    /// The path of a file, which becomes an object.
    Executable,
    /// The absolute path of a file.
    Path,
    /// Text other than `host`, which stands for "in no container".
    InContainer,
    /// A UUID.
    Uuid,
}

/// A value that was found for an attribute.
struct Found<'a> {
    object: Object,
    attribute: &'static str,
    value: Json,
    /// Name and value of the field, unless the rule does not print it.
    field: Option<(&'a str, Value<'a>)>,
}

/// What the fields of an alert describe.
#[derive(Default)]
pub(super) struct Evidence<'a>(Vec<Found<'a>>);

impl Object {
    /// The object is left out if it has none of these attributes: so the schema demands.
    fn required(self) -> &'static [&'static str] {
        match self {
            Self::Process | Self::Parent => &["pid"],
            Self::Group | Self::User => &["name", "uid"],
            Self::File => &["path"],
            Self::Source | Self::Destination => &["ip"],
            Self::Connection => &["protocol_name"],
            Self::Container => &["name", "uid"],
            Self::Image => &["uid"],
            Self::Api => &["operation"],
        }
    }
}

/// Where a field belongs.
fn place(field: &str) -> Option<(Object, &'static str, Form)> {
    use Form::{Executable, InContainer, Integer, Ip, Path, Port, Text, Uuid};
    use Object::{
        Api, Connection, Container, Destination, File, Group, Image, Parent, Process, Source, User,
    };
    Some(match field {
        "proc.pid" => (Process, "pid", Integer),
        "proc.name" => (Process, "name", Text),
        "proc.exepath" => (Process, "file", Executable),
        "proc.cmdline" => (Process, "cmd_line", Text),
        "proc.cwd" => (Process, "working_directory", Text),
        "proc.vpid" => (Process, "namespace_pid", Integer),
        "thread.tid" => (Process, "ptid", Integer),
        "user.loginuid" => (Process, "auid", Integer),
        "proc.ppid" => (Parent, "pid", Integer),
        "proc.pname" => (Parent, "name", Text),
        "proc.pexepath" => (Parent, "file", Executable),
        "proc.pcmdline" => (Parent, "cmd_line", Text),
        "proc.pvpid" => (Parent, "namespace_pid", Integer),
        "group.name" => (Group, "name", Text),
        "group.gid" => (Group, "uid", Text),
        "user.name" => (User, "name", Text),
        "user.uid" => (User, "uid", Text),
        "fd.name" | "fs.path.name" => (File, "path", Path),
        "fd.cip" => (Source, "ip", Ip),
        "fd.cport" => (Source, "port", Port),
        "fd.sip" => (Destination, "ip", Ip),
        "fd.sport" => (Destination, "port", Port),
        "fd.sip.name" => (Destination, "hostname", Text),
        "fd.l4proto" => (Connection, "protocol_name", Text),
        "container.id" => (Container, "uid", InContainer),
        "container.name" => (Container, "name", InContainer),
        "container.type" => (Container, "runtime", InContainer),
        "k8s.pod.uid" => (Container, "pod_uuid", Uuid),
        "container.image.id" => (Image, "uid", Text),
        "container.image.repository" => (Image, "name", Text),
        "evt.type" => (Api, "operation", Text),
        _ => return None,
    })
}

impl Form {
    /// The value in this form, if it can have it.
    fn json(self, value: &Value<'_>) -> Option<Json> {
        let text = || Some(values::text(value)).filter(|text| !text.is_empty() && text != "<NA>");
        let integer = || match value {
            Value::Int(number) => Some(*number),
            Value::Uint(number) => i64::try_from(*number).ok(),
            _ => None,
        };
        match (self, value) {
            (_, Value::Null | Value::List(_)) => None,
            (Self::Text, _) => text().map(Json::from),
            // Negative numbers stand for "none".
            (Self::Integer, _) => integer().filter(|number| *number >= 0).map(Json::from),
            (Self::Port, _) => u16::try_from(integer()?).ok().map(Json::from),
            (Self::Ip, Value::Ip(address)) => Some(address.to_string().into()),
            (Self::Ip, _) => text()?.parse::<IpAddr>().ok().map(|ip| ip.to_string().into()),
            (Self::Executable, _) => {
                let path = text().filter(|path| path.starts_with('/'))?;
                Some(json!({ "name": base_name(&path), "path": path, "type_id": 1 }))
            }
            (Self::Path, _) => text().filter(|path| path.starts_with('/')).map(Json::from),
            (Self::InContainer, _) => text().filter(|text| text != "host").map(Json::from),
            (Self::Uuid, _) => text().filter(|text| is_uuid(text)).map(Json::from),
        }
    }
}

fn base_name(path: &str) -> &str {
    match path.rsplit('/').find(|part| !part.is_empty()) {
        Some(name) => name,
        None => path,
    }
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<_> = text.split('-').collect();
    let hex = |group: &&str| group.bytes().all(|byte| byte.is_ascii_hexdigit());
    groups.iter().all(hex) && groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
}

impl<'a> Evidence<'a> {
    /// Adds a field, which is shown by `name` if it can't become part of an object. False if it has
    /// no place here.
    pub(super) fn add(&mut self, field: &str, name: Option<&'a str>, value: &Value<'a>) -> bool {
        let Some((object, attribute, form)) = place(field) else { return false };
        let known =
            self.0.iter().any(|found| (found.object, found.attribute) == (object, attribute));
        match form.json(value) {
            Some(json) if !known => {
                let field = name.map(|name| (name, value.clone()));
                self.0.push(Found { object, attribute, value: json, field });
                true
            }
            _ => false,
        }
    }

    /// The objects together, if there are any. `unmapped` gets the fields of those that lack what
    /// the schema demands.
    pub(super) fn finish(mut self, mut unmapped: impl FnMut(&str, Json)) -> Option<Json> {
        let mut take = |object: Object, within: bool| {
            let found: Vec<_> = self.0.extract_if(.., |found| found.object == object).collect();
            let complete = found.iter().any(|found| object.required().contains(&found.attribute));
            if within && complete {
                let attribute = |found: Found<'_>| (found.attribute.to_owned(), found.value);
                return Some(found.into_iter().map(attribute).collect::<Map<_, _>>());
            }
            for (name, value) in found.into_iter().filter_map(|found| found.field) {
                unmapped(name, values::json_value(value));
            }
            None
        };
        let mut process = take(Object::Process, true);
        let has_process = process.is_some();
        let (parent, group) = (take(Object::Parent, has_process), take(Object::Group, has_process));
        if let Some(process) = &mut process {
            insert(process, "parent_process", parent);
            insert(process, "group", group);
        }
        let mut actor = Map::new();
        insert(&mut actor, "process", process);
        insert(&mut actor, "user", take(Object::User, true));
        let file = take(Object::File, true).map(|mut file| {
            let path = file.get("path").and_then(Json::as_str).unwrap_or_default();
            let name = base_name(path).to_owned();
            file.insert("name".to_owned(), name.into());
            file.insert("type_id".to_owned(), 0.into());
            file
        });
        let (source, destination) = (take(Object::Source, true), take(Object::Destination, true));
        let connects = source.is_some() || destination.is_some();
        let connection = take(Object::Connection, connects).map(|mut connection| {
            connection.insert("direction_id".to_owned(), 0.into());
            connection
        });
        let mut container = take(Object::Container, true);
        let image = take(Object::Image, container.is_some());
        if let Some(container) = &mut container {
            insert(container, "image", image);
        }
        let api = take(Object::Api, true);
        let mut evidence = Map::new();
        insert(&mut evidence, "actor", Some(actor).filter(|actor| !actor.is_empty()));
        insert(&mut evidence, "api", api);
        insert(&mut evidence, "connection_info", connection);
        insert(&mut evidence, "dst_endpoint", destination);
        insert(&mut evidence, "file", file);
        insert(&mut evidence, "src_endpoint", source);
        if evidence.is_empty() {
            // A container alone is no evidence.
            for (name, value) in container.into_iter().flatten() {
                unmapped(&format!("container.{name}"), value);
            }
            return None;
        }
        insert(&mut evidence, "container", container);
        Some(evidence.into())
    }
}

fn insert(object: &mut Map<String, Json>, name: &str, part: Option<Map<String, Json>>) {
    if let Some(part) = part {
        object.insert(name.to_owned(), part.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finish(fields: &[(&str, Value<'_>)]) -> (Json, Json) {
        let mut evidence = Evidence::default();
        let mut unmapped = Map::new();
        for (name, value) in fields {
            assert!(evidence.add(name, Some(name), value), "{name}");
        }
        let evidence = evidence.finish(|name, value| {
            unmapped.insert(name.to_owned(), value);
        });
        (evidence.unwrap_or_default(), unmapped.into())
    }

    #[test]
    fn fields_become_objects() {
        let (evidence, unmapped) = finish(&[
            ("proc.pid", Value::Int(7)),
            ("proc.exepath", Value::Text(b"/bin/sh")),
            ("proc.pname", Value::Text(b"bash")),
            ("proc.ppid", Value::Int(1)),
            ("user.uid", Value::Uint(0)),
            ("fd.name", Value::Text(b"/etc/shadow")),
            ("fd.sip", Value::Text(b"1.2.3.4")),
            ("fd.sport", Value::Uint(443)),
            ("container.id", Value::Text(b"abc")),
        ]);
        assert_eq!(unmapped, json!({}));
        assert_eq!(
            evidence,
            json!({
                "actor": {
                    "process": {
                        "pid": 7,
                        "file": { "name": "sh", "path": "/bin/sh", "type_id": 1 },
                        "parent_process": { "pid": 1, "name": "bash" },
                    },
                    "user": { "uid": "0" },
                },
                "container": { "uid": "abc" },
                "dst_endpoint": { "ip": "1.2.3.4", "port": 443 },
                "file": { "name": "shadow", "path": "/etc/shadow", "type_id": 0 },
            })
        );
    }

    #[test]
    fn what_the_schema_would_refuse_is_unmapped() {
        let (evidence, unmapped) = finish(&[
            ("proc.name", Value::Text(b"sh")),
            ("proc.ppid", Value::Int(1)),
            ("fd.sport", Value::Uint(443)),
            ("container.image.repository", Value::Text(b"nginx")),
        ]);
        assert_eq!(evidence, Json::Null);
        assert_eq!(
            unmapped,
            json!({
                "proc.name": "sh", "proc.ppid": 1, "fd.sport": 443,
                "container.image.repository": "nginx",
            })
        );
        let mut evidence = Evidence::default();
        for (name, value) in [
            ("proc.pid", Value::Int(-1)),
            ("proc.pid", Value::Text(b"7")),
            ("fd.name", Value::Text(b"1.2.3.4:5->6.7.8.9:80")),
            ("fd.sip", Value::Text(b"not an address")),
            ("fd.sport", Value::Uint(65_536)),
            ("container.id", Value::Text(b"host")),
            ("k8s.pod.uid", Value::Text(b"pod")),
            ("proc.name", Value::Null),
            ("proc.tty", Value::Int(1)),
        ] {
            assert!(!evidence.add(name, Some(name), &value), "{name}");
        }
    }
}
