//! Listings of the fields that rules may use.

use peregrine_event::ParamType;
use peregrine_fields::Fields;
use peregrine_fields::table::Definition;
use serde_json::{Value as Json, json};

use crate::Format;
use crate::columns::columns;
use crate::types::type_name;

/// The event source that has all these fields.
const SYSCALL: &str = "syscall";

/// All listed fields by class; `with_types` adds types to plain text.
pub fn listing(fields: &Fields, format: Format, with_types: bool) -> String {
    let classes = listed_classes(fields).into_iter();
    match format {
        Format::Text => classes.map(|class| class.text(with_types) + "\n").collect(),
        Format::Markdown => classes.map(|class| class.markdown() + "\n").collect(),
        Format::Json => {
            let classes: Vec<_> = classes.map(|class| class.json()).collect();
            format!("{:#}\n", json!({ "fieldclasses": classes }))
        }
    }
}

/// Names of all listed fields, one a line or as JSON.
pub fn names(fields: &Fields, format: Format) -> String {
    let names: Vec<_> = listed_classes(fields)
        .into_iter()
        .flat_map(|class| class.fields.into_iter().map(|field| field.name.to_owned()))
        .collect();
    match format {
        Format::Text | Format::Markdown => names.join("\n") + "\n",
        Format::Json => format!("{:#}\n", json!({ "fieldnames": names })),
    }
}

/// A class with its listed fields.
struct ListedClass<'a> {
    name: &'a str,
    description: &'a str,
    fields: Vec<ListedField<'a>>,
}

struct ListedField<'a> {
    name: &'a str,
    description: &'a str,
    ty: String,
    definition: Option<&'a Definition>,
}

fn listed_classes(fields: &Fields) -> Vec<ListedClass<'_>> {
    let mut classes: Vec<_> = fields
        .classes()
        .filter(|class| class.listed)
        .map(|class| {
            let listed = class.fields.iter().filter(|field| field.is_listed());
            let fields = listed.map(|field| ListedField {
                name: &field.name,
                description: &field.description,
                ty: type_name(field.ty),
                definition: Some(field),
            });
            ListedClass {
                name: &class.name,
                description: &class.description,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_fields_too() {
        let fields = Fields::syscall().with_statics([("site", "attic")]);
        let names = names(&fields, Format::Text);
        assert!(names.lines().any(|name| name == "static.site"));
        assert!(names.lines().any(|name| name == "proc.name"));
        assert!(!names.lines().any(|name| name == "container.id"));
    }
}
