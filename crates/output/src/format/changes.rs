//! Fields that are left out or have other names.

use std::vec;

use peregrine_alert::{Alert, Value, name_matches};

/// Changes to the fields of alerts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldChanges {
    /// Names of fields that are left out, in which `*` matches any text.
    pub drop: Vec<String>,
    /// Fields with their other names.
    pub rename: Vec<(String, String)>,
}

/// Two fields with one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameCollision<'a> {
    /// The fields.
    pub fields: [&'a str; 2],
    /// The name of both.
    pub name: &'a str,
}

impl FieldChanges {
    /// Two of these fields that have the same name after the changes.
    #[must_use]
    pub fn collision<'a>(&'a self, fields: &'a [String]) -> Option<NameCollision<'a>> {
        let mut names: Vec<_> =
            fields.iter().filter_map(|field| Some((self.name(field)?, field.as_str()))).collect();
        names.sort_unstable();
        let (one, two) =
            names.iter().zip(names.iter().skip(1)).find(|(one, two)| one.0 == two.0)?;
        Some(NameCollision { fields: [one.1, two.1], name: one.0 })
    }

    /// Name of a field after the changes; `None` if it is left out.
    pub(crate) fn name<'a>(&'a self, field: &'a str) -> Option<&'a str> {
        if self.drop.iter().any(|pattern| name_matches(pattern, field)) {
            return None;
        }
        let renamed = self.rename.iter().find(|(from, _)| from == field);
        Some(renamed.map_or(field, |(_, to)| to))
    }

    /// The fields of an alert after the changes, in the order of their names.
    pub(crate) fn of<'a>(&'a self, alert: &'a Alert) -> impl Iterator<Item = (&'a str, Value<'a>)> {
        if self.drop.is_empty() && self.rename.is_empty() {
            return Fields::Unchanged(alert.fields());
        }
        let changed = |(name, value)| Some((self.name(name)?, value));
        let mut fields: Vec<_> = alert.fields().filter_map(changed).collect();
        fields.sort_by_key(|(name, _)| *name);
        Fields::Changed(fields.into_iter())
    }
}

enum Fields<'a, I> {
    Unchanged(I),
    Changed(vec::IntoIter<(&'a str, Value<'a>)>),
}

impl<'a, I: Iterator<Item = (&'a str, Value<'a>)>> Iterator for Fields<'a, I> {
    type Item = (&'a str, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Unchanged(fields) => fields.next(),
            Self::Changed(fields) => fields.next(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn fields_are_dropped_before_they_are_renamed() {
        let rename = [("proc.name", "process"), ("fd.name", "file")];
        let changes = FieldChanges {
            drop: texts(&["proc.*", "user.name"]),
            rename: rename.map(|(from, to)| (from.to_owned(), to.to_owned())).into(),
        };
        let names = ["proc.name", "user.name", "user.uid", "fd.name"];
        let names = names.map(|name| changes.name(name));
        assert_eq!(names, [None, None, Some("user.uid"), Some("file")]);
    }

    #[test]
    fn two_fields_with_one_name_collide() {
        let changes = |drop: &[&str]| FieldChanges {
            drop: texts(drop),
            rename: vec![("proc.name".to_owned(), "fd.name".to_owned())],
        };
        let fields = texts(&["fd.name", "fd.num", "proc.name"]);
        let collision = NameCollision { fields: ["fd.name", "proc.name"], name: "fd.name" };
        assert_eq!(changes(&[]).collision(&fields), Some(collision));
        assert_eq!(changes(&["fd.*"]).collision(&fields), None);
        assert_eq!(changes(&[]).collision(&fields[1..]), None);
    }
}
