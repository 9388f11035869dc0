//! Reads the fields `ka.*` from an audit event.

use std::ops::ControlFlow;

use peregrine_fields::{FieldArgument, FieldExtractor, View};
use peregrine_filter::Value as FieldValue;

use super::payload::indexed;
use super::read::{self, Texts};
use super::table::{At, Part, Row};
use super::uri;
use crate::json::{Kind, Value};

/// Supplies them.
#[derive(Debug)]
pub(super) struct Audit(Vec<Row>);

impl Audit {
    /// For the fields of this table.
    pub(super) fn new(rows: Vec<Row>) -> Self {
        Self(rows)
    }
}

impl FieldExtractor for Audit {
    fn extract<'a>(
        &self,
        view: &View<'a>,
        field: usize,
        argument: &FieldArgument,
    ) -> Option<FieldValue<'a>> {
        let row = self.0.get(field)?;
        let (index, text) = indexed(view)?;
        let event = index.root(text)?;
        // Other JSON has none of the fields.
        event.get(b"auditID")?;
        let reader = Reader { view, event };
        if row.is_list() {
            let number = match argument {
                FieldArgument::Index(number) => Some(usize::try_from(*number).ok()?),
                _ => None,
            };
            read::list(view, reader.list(row.at, number)?)
        } else {
            let key = match argument {
                FieldArgument::Key(key) => key,
                _ => &[][..],
            };
            reader.one(row.at, key).map(FieldValue::Text)
        }
    }
}

/// An audit event.
struct Reader<'v, 'i, 'a> {
    view: &'v View<'a>,
    event: Value<'i, 'a>,
}

/// What a walk over JSON finds: `None` for an element of a list that lacks the value.
type Found<'f, 'i, 'a> = &'f mut dyn FnMut(Option<Value<'i, 'a>>) -> ControlFlow<()>;

impl<'i, 'a> Reader<'_, 'i, 'a> {
    /// The value of a field that is one text.
    fn one(&self, at: At, key: &[u8]) -> Option<&'a [u8]> {
        match at {
            At::Keys(keys) => Some(self.text(self.event.at(keys)?)),
            At::UriParameter => {
                let uri = self.text(self.event.get(b"requestURI")?);
                let mut found = None;
                let value = self.view.text(|out| found = uri::append_parameter(uri, key, out));
                found.map(|()| value)
            }
            At::PodName => {
                let target = |name| self.event.at(&["objectRef", name])?.between_quotes();
                let about_pod = target("resource") == Some(b"pods")
                    && target("subresource").is_none_or(<[u8]>::is_empty);
                let name = self.event.at(&["responseObject", "metadata", "name"]);
                Some(self.text(name.filter(|_| about_pod)?))
            }
            At::True => Some(b"true"),
            At::FirstImage { repository } => {
                let part = if repository { Part::Repository } else { Part::Image };
                self.containers("containers", part, Some(0))?.first().copied()
            }
            At::AnyPrivileged => {
                let keys = ["requestObject", "spec", "containers", "securityContext", "privileged"];
                let mut any = false;
                walk(self.event, None, &keys, &mut |value| {
                    any |= value.is_some_and(|value| value.raw() == b"true");
                    ControlFlow::Continue(())
                })?;
                Some(if any { b"true" } else { b"false" })
            }
            At::HasHostPath => {
                let keys = ["requestObject", "spec", "volumes", "hostPath", "path"];
                let (last, start) = key.split_last()?;
                let mut any = false;
                walk(self.event, None, &keys, &mut |value| {
                    any |= value.is_some_and(|value| {
                        let path = self.text(value);
                        path == key || (*last == b'*' && path.starts_with(start))
                    });
                    ControlFlow::Continue(())
                })?;
                Some(if any { b"true" } else { b"false" })
            }
            // The others are lists.
            _ => None,
        }
    }

    /// The values of a list field.
    fn list(&self, at: At, number: Option<usize>) -> Option<Texts<'a>> {
        match at {
            At::Keys(keys) => self.elements(self.event.at(keys)?, None),
            At::Elements(key) => self.elements(self.event.get(key.as_bytes())?, number),
            At::Each(keys) => {
                let mut texts = Texts::new();
                self.each(keys, number, |value| texts.extend(value.map(|value| self.text(value))))?;
                Some(texts)
            }
            At::Rules(key) => {
                let mut texts = Texts::new();
                self.each(&["requestObject", "rules", key], number, |value| {
                    let elements = value.into_iter().flat_map(Value::elements);
                    texts.extend(elements.map(|value| self.text(value)));
                })?;
                Some(texts)
            }
            At::Subjects(kind) => self.subjects(kind, false),
            At::NamespacedAccounts => self.subjects("ServiceAccount", true),
            At::VolumeTypes => {
                let mut texts = Texts::new();
                self.each(&["requestObject", "spec", "volumes", ""], number, |value| {
                    let entries = value.into_iter().flat_map(Value::entries);
                    let keys =
                        entries.map(|(key, _)| key.get(1..key.len() - 1).unwrap_or_default());
                    texts.extend(keys.filter(|key| *key != b"name"));
                })?;
                Some(texts)
            }
            At::Container(list, part) => self.containers(list, part, number),
            // The others are no lists.
            _ => None,
        }
    }

    fn text(&self, value: Value<'i, 'a>) -> &'a [u8] {
        read::text(self.view, value)
    }

    /// All elements of a list, or the one with the number.
    fn elements(&self, list: Value<'i, 'a>, number: Option<usize>) -> Option<Texts<'a>> {
        if list.kind() != Kind::Array {
            return None;
        }
        let elements = list.elements().map(|value| self.text(value));
        Some(match number {
            Some(number) => elements.skip(number).take(1).collect(),
            None => elements.collect(),
        })
    }

    fn each(
        &self,
        keys: &[&str],
        number: Option<usize>,
        mut found: impl FnMut(Option<Value<'i, 'a>>),
    ) -> Option<()> {
        walk(self.event, number, keys, &mut |value| {
            found(value);
            ControlFlow::Continue(())
        })
    }

    fn subjects(&self, kind: &str, namespaced: bool) -> Option<Texts<'a>> {
        let subjects = self.event.at(&["requestObject", "subjects"])?;
        let named = subjects.elements().filter_map(|subject| {
            let text = |key| Some(self.text(subject.get(key)?));
            if text(b"kind")? != kind.as_bytes() {
                return None;
            }
            let name = text(b"name")?;
            if !namespaced {
                return Some(name);
            }
            let namespace = text(b"namespace")?;
            Some(self.view.text(|out| {
                out.extend_from_slice(namespace);
                out.push(b':');
                out.extend_from_slice(name);
            }))
        });
        Some(named.collect())
    }

    /// A part of each container of a list, or of the one with the number. Lists of names and images
    /// have a value for each container, or are none.
    fn containers(&self, list: &str, part: Part, number: Option<usize>) -> Option<Texts<'a>> {
        let mut texts = Texts::new();
        let mut wrong = false;
        let mut each =
            |keys: &[&str], found: &mut dyn FnMut(Option<Value<'i, 'a>>) -> Option<()>| {
                let mut path =
                    smallvec::SmallVec::<[&str; 8]>::from_slice(&["requestObject", "spec", list]);
                path.extend_from_slice(keys);
                walk(self.event, number, &path, &mut |value| match found(value) {
                    Some(()) => ControlFlow::Continue(()),
                    None => {
                        wrong = true;
                        ControlFlow::Break(())
                    }
                })
            };
        match part {
            Part::Name => each(&["name"], &mut |value| {
                texts.push(self.text(value?));
                Some(())
            }),
            Part::Image => each(&["image"], &mut |value| {
                texts.push(self.text(value?));
                Some(())
            }),
            Part::Repository => each(&["image"], &mut |value| {
                texts.push(repository(self.text(value?)));
                Some(())
            }),
            Part::Words(key) => each(&[key], &mut |value| {
                let Some(words) = value else { return Some(()) };
                if words.kind() != Kind::Array
                    || words.elements().any(|word| word.kind() != Kind::String)
                {
                    return None;
                }
                texts.push(self.joined(words));
                Some(())
            }),
            Part::HostPorts => each(&["ports"], &mut |value| {
                let Some(ports) = value else { return Some(()) };
                if ports.kind() != Kind::Array {
                    return None;
                }
                let ports = ports.elements().filter_map(|port| {
                    port.get(b"hostPort").or_else(|| port.get(b"containerPort"))
                });
                texts.extend(ports.map(|port| self.text(port)));
                Some(())
            }),
            Part::Security(keys) => {
                let mut path = smallvec::SmallVec::<[&str; 4]>::from_slice(&["securityContext"]);
                path.extend_from_slice(keys);
                each(&path, &mut |value| {
                    texts.extend(value.map(|value| self.text(value)));
                    Some(())
                })
            }
            Part::Effective(key) => {
                let of_pod = self.event.at(&["requestObject", "spec", "securityContext", key]);
                let default = of_pod.map_or(&b"0"[..], |value| self.text(value));
                each(&["securityContext", key], &mut |value| {
                    texts.push(value.map_or(default, |value| self.text(value)));
                    Some(())
                })
            }
        }?;
        (!wrong).then_some(texts)
    }

    /// Words with blanks in between.
    fn joined(&self, words: Value<'i, 'a>) -> &'a [u8] {
        let words: Texts<'a> = words.elements().map(|word| self.text(word)).collect();
        self.view.text(|out| {
            for (index, word) in words.iter().enumerate() {
                if index > 0 {
                    out.push(b' ');
                }
                out.extend_from_slice(word);
            }
        })
    }
}

/// An image without its tag and its digest. A port of a registry is not a tag.
fn repository(image: &[u8]) -> &[u8] {
    let image = image.split(|byte| *byte == b'@').next().unwrap_or_default();
    let name = image.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let tag = image.iter().skip(name).position(|byte| *byte == b':');
    tag.and_then(|tag| image.get(..name + tag)).unwrap_or(image)
}

/// Follows keys through maps and, on the way, through all elements of lists, or through the one
/// with the number. An empty key stands for the value itself. `None` when there is nothing at the
/// keys.
fn walk<'i, 'a>(
    from: Value<'i, 'a>,
    number: Option<usize>,
    keys: &[&str],
    found: Found<'_, 'i, 'a>,
) -> Option<()> {
    let Some((key, rest)) = keys.split_first() else {
        let _ = found(Some(from));
        return Some(());
    };
    let from = match (from.kind(), number) {
        (Kind::Array, None) => {
            let mut ended = false;
            for element in from.elements() {
                let mut inside = |value| {
                    let flow = found(value);
                    ended |= flow.is_break();
                    flow
                };
                if walk(element, None, keys, &mut inside).is_none() {
                    ended |= found(None).is_break();
                }
                if ended {
                    break;
                }
            }
            return Some(());
        }
        (Kind::Array, Some(number)) => from.elements().nth(number)?,
        _ => from,
    };
    let value = if key.is_empty() { from } else { from.get(key.as_bytes())? };
    walk(value, number, rest, found)
}
