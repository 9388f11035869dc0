//! Listings of the fields that rules may use.

mod example;

use peregrine_event::ParamType;
use peregrine_fields::Fields;
use peregrine_fields::table::{Argument, Definition, ListedArgument};
use serde_json::{Value as Json, json};

use crate::Format;
use crate::columns::columns;
use crate::types::type_name;
use crate::{search, similar};

/// All listed fields by class; `with_types` adds types to plain text.
pub fn listing(fields: &Fields, format: Format, with_types: bool) -> String {
    listing_of(&[fields], format, with_types)
}

/// The same for several event sources. What they have in common is listed once.
pub fn listing_of(sources: &[&Fields], format: Format, with_types: bool) -> String {
    let classes = merged_classes(sources).into_iter();
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
    names_of(&[fields], format)
}

/// The same for several event sources.
pub fn names_of(sources: &[&Fields], format: Format) -> String {
    let names: Vec<_> = merged_classes(sources)
        .into_iter()
        .flat_map(|class| class.fields.into_iter().map(|field| field.name.to_owned()))
        .collect();
    match format {
        Format::Text | Format::Markdown => names.join("\n") + "\n",
        Format::Json => format!("{:#}\n", json!({ "fieldnames": names })),
    }
}

/// No listed field has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no field {name}{}", similar::hint(.nearest.as_deref()))]
pub struct UnknownField {
    /// What was asked for.
    pub name: String,
    /// The most similar field.
    pub nearest: Option<String>,
}

/// The page of the field with this name, or the fields whose names and descriptions answer all
/// words.
///
/// # Errors
/// No listed field has this name, and none answers the words.
pub fn find(fields: &Fields, words: &[String]) -> Result<String, UnknownField> {
    let known = match words {
        [name] => page(fields, name),
        _ => Err(UnknownField { name: words.join(" "), nearest: None }),
    };
    known.or_else(|unknown| {
        let classes = listed_classes(fields);
        let all = classes.iter().flat_map(|class| &class.fields);
        let found = search::best(words, all.map(|field| (field.name, field.description)));
        if found.is_empty() { Err(unknown) } else { Ok(search::listing(&found)) }
    })
}

/// The page of one field; `name` may have an argument (`proc.aname[2]`, `evt.arg.flags`).
///
/// # Errors
/// No listed field has this name.
pub fn page(fields: &Fields, name: &str) -> Result<String, UnknownField> {
    let classes = listed_classes(fields);
    let all =
        || classes.iter().flat_map(|class| class.fields.iter().map(move |field| (class, field)));
    let named = |name: &str| all().find(|(_, field)| field.name == name);
    let takes_argument = |field: &ListedField<'_>| {
        field.definition.is_some_and(|definition| definition.argument != Argument::None)
    };
    let without_argument = || {
        let (name, _) = name.split_once('[').or_else(|| name.rsplit_once('.'))?;
        named(name).filter(|(_, field)| takes_argument(field))
    };
    let Some((class, field)) = named(name).or_else(without_argument) else {
        let nearest = similar::nearest(name, all().map(|(_, field)| field.name));
        let nearest = nearest.map(str::to_owned);
        return Err(UnknownField { name: name.to_owned(), nearest });
    };
    let ty = if field.is_list() { format!("list of {}", field.ty) } else { field.ty.clone() };
    let argument = field.definition.map_or(Argument::None, |definition| definition.argument);
    let rows = [
        ("Field:", field.name),
        ("Type:", &ty),
        ("Argument:", describe_argument(argument)),
        ("Description:", field.description),
        ("Class:", class.name),
        ("Event Sources:", &class.sources.join(", ")),
    ];
    let example = field.definition.map(example::example).unwrap_or_default();
    let rows =
        rows.into_iter().chain(Some(("Example:", &*example)).filter(|_| !example.is_empty()));
    Ok(rows.map(|(label, text)| columns(label, text)).collect())
}

fn describe_argument(argument: Argument) -> &'static str {
    match argument {
        Argument::None => "none",
        Argument::Param => "a parameter of the event: .name or [number]",
        Argument::RawParam => "a parameter of the event: .name",
        Argument::Event => "an event type: .name",
        Argument::Time => "nanoseconds since the epoch: [number]",
        Argument::WhichPath => ".src or .dst, optional",
        Argument::Index => "[number], optional",
        Argument::FdNumber => "the number of an fd, optional: [number]",
        Argument::Variable => "the name of an environment variable, optional: [name]",
        Argument::AncestorVariable => {
            "the number of an ancestor or the name of an environment variable, optional: [number] or [name]"
        }
        Argument::Subsystem => "a cgroup controller: .name",
        Argument::Key => "[key]",
        Argument::IndexOrPattern => "[number] or [key]",
        Argument::Declared(listed) => match (listed.required, listed.index, listed.key) {
            (true, true, true) => "[number] or [key]",
            (true, true, false) => "[number]",
            (true, false, _) => "[key]",
            (false, true, true) => "[number] or [key], optional",
            (false, true, false) => "[number], optional",
            (false, false, _) => "[key], optional",
        },
    }
}

/// A class with its listed fields.
struct ListedClass<'a> {
    name: &'a str,
    description: &'a str,
    /// The event sources that have its fields, of those that are listed.
    sources: Vec<&'a str>,
    fields: Vec<ListedField<'a>>,
}

struct ListedField<'a> {
    name: &'a str,
    description: &'a str,
    ty: String,
    definition: Option<&'a Definition>,
}

/// The classes of several sources; each has the sources that it was found in. Classes of one name
/// may be different ones, as the two of the fields `evt.*` are.
fn merged_classes<'a>(sources: &[&'a Fields]) -> Vec<ListedClass<'a>> {
    let first = |class: &ListedClass<'a>| class.fields.first().map(|field| field.name);
    let mut merged: Vec<ListedClass<'_>> = Vec::new();
    for class in sources.iter().flat_map(|fields| listed_classes(fields)) {
        let is_same = |known: &&mut ListedClass<'a>| {
            known.name == class.name && first(known) == first(&class)
        };
        match merged.iter_mut().find(is_same) {
            Some(known) => known.sources.extend(class.sources),
            None => merged.push(class),
        }
    }
    merged
}

fn listed_classes(fields: &Fields) -> Vec<ListedClass<'_>> {
    let source = fields.source();
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
                sources: vec![source],
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
        let sources = vec![source];
        classes.push(ListedClass { name: "static", description, sources, fields: constants });
    }
    classes
}

impl ListedClass<'_> {
    fn text(&self, with_types: bool) -> String {
        let mut page = "-------------------------------\n".to_owned();
        page += &columns("Field Class:", self.name);
        page += &columns("Description:", self.description);
        page += &columns("Event Sources:", &self.sources.join(", "));
        page.push('\n');
        for field in &self.fields {
            let ty = match with_types {
                true => format!("(Type: {}) {}", field.ty, field.tags()),
                false => String::new(),
            };
            page += &columns(field.name, &format!("{ty}{}", field.description));
        }
        page
    }

    fn markdown(&self) -> String {
        let Self { name, description, .. } = self;
        let sources = self.sources.join(", ");
        let mut page = format!(
            "## Field Class: {name}\n\n{description}\n\nEvent Sources: {sources} \n\n\
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
            "event_sources": self.sources,
            "fields": fields,
        })
    }
}

impl ListedField<'_> {
    /// What may follow its name, and how it may be used, in the words of Falco.
    fn tags(&self) -> String {
        let Some(definition) = self.definition else { return String::new() };
        let listed = definition.argument.listed();
        let has = |what: fn(&ListedArgument) -> bool| listed.as_ref().is_some_and(what);
        let tags = [
            (has(|argument| !argument.required), "ARG_ALLOWED"),
            (has(|argument| argument.index), "ARG_INDEX"),
            (has(|argument| argument.key), "ARG_KEY"),
            (has(|argument| argument.required), "ARG_REQUIRED"),
            (definition.options.list, "EPF_IS_LIST"),
            (definition.options.limits.filter_only, "FILTER_ONLY"),
        ];
        let tags: Vec<_> = tags.into_iter().filter(|(has, _)| *has).map(|(_, tag)| tag).collect();
        if tags.is_empty() { String::new() } else { format!("({}) ", tags.join(",")) }
    }

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

    #[test]
    fn a_field_has_a_page() {
        let fields = Fields::syscall();
        let page = |name: &str| page(&fields, name).map_err(|error| error.to_string());
        assert!(page("proc.name").unwrap().contains("CHARBUF"));
        assert!(page("proc.aname[2]").unwrap().contains("proc.aname"));
        assert!(page("evt.arg.flags").unwrap().contains("a parameter of the event"));
        assert_eq!(
            page("proc.nmae").unwrap_err(),
            "there is no field proc.nmae; did you mean proc.name?"
        );
        assert!(page("proc.name.x").is_err());
        insta::assert_snapshot!(super::page(&fields, "proc.exepath").unwrap());
    }

    #[test]
    fn words_find_fields() {
        let fields = Fields::syscall();
        let find = |words: &str| {
            let words: Vec<_> = words.split(' ').map(str::to_owned).collect();
            find(&fields, &words).map_err(|error| error.to_string())
        };
        let parents = find("parent name").unwrap();
        assert!(parents.lines().any(|line| line.starts_with("proc.pname ")), "{parents}");
        assert!(find("proc.name").unwrap().starts_with("Field:"));
        assert!(find("environment").unwrap().contains("proc.env"));
        assert_eq!(
            find("proc.nmae"),
            Err("there is no field proc.nmae; did you mean proc.name?".into())
        );
        assert_eq!(find("zebra crossing"), Err("there is no field zebra crossing".into()));
    }
}
