//! Descriptions of fields: what `get_fields` says.

use peregrine_event::ParamType;
use peregrine_fields::table::ListedArgument;
use serde_json::{Map, Value as Json};
use thiserror::Error;

use crate::FieldType;

/// A field as its plugin describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldDescription {
    /// Its name.
    pub name: String,
    /// What it says.
    pub description: String,
    /// Type of its value, or of each of its values.
    pub ty: FieldType,
    /// Whether its value is a list.
    pub list: bool,
    /// What may or must follow the name in brackets.
    pub argument: Option<ListedArgument>,
    /// Whether every alert should show it.
    pub suggested: bool,
    /// Whether only tables show it.
    pub hidden: bool,
}

/// Why a description of fields can't be used, in the words of the reference.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum FieldsError {
    /// There is no text.
    #[error("get_fields returned a null string")]
    Null,
    /// The text is not a JSON list.
    #[error("get_fields returned an invalid JSON")]
    Json,
    /// The list is empty.
    #[error("plugins with extraction capability must export at least one field")]
    Empty,
    /// A field lacks its type, name or description.
    #[error("field JSON entry has no {0}")]
    Missing(&'static str),
    /// No such type.
    #[error("invalid field type {0}")]
    Type(String),
    /// An argument is required that can't be given.
    #[error("field {0} arg has isRequired true, but none of isKey nor isIndex is true")]
    Argument(String),
    /// A list of properties is none.
    #[error("field {0} properties property is not array ")]
    Properties(String),
    /// More fields than an index can tell apart.
    #[error("get_fields returned {0} fields, which are too many")]
    TooMany(usize),
}

/// Reads what `get_fields` has returned.
///
/// Keys that are not known, flags that are no booleans and repeated names are accepted, as plugins
/// with them load in Falco.
///
/// # Errors
/// When a plugin with these fields can't be loaded.
///
/// ```
/// use peregrine_plugin::FieldType;
/// use peregrine_plugin::fields::describe;
///
/// let json = r#"[{"name": "dummy.value", "type": "uint64", "desc": "a number"}]"#;
/// assert_eq!(describe(Some(json))?[0].ty, FieldType::Uint);
/// # Ok::<(), peregrine_plugin::fields::FieldsError>(())
/// ```
pub fn describe(json: Option<&str>) -> Result<Vec<FieldDescription>, FieldsError> {
    let json = json.ok_or(FieldsError::Null)?;
    let entries: Vec<Json> = serde_json::from_str(json).map_err(|_| FieldsError::Json)?;
    match entries.len() {
        0 => Err(FieldsError::Empty),
        count if count > usize::from(u16::MAX) => Err(FieldsError::TooMany(count)),
        _ => entries.iter().map(field).collect(),
    }
}

impl FieldDescription {
    /// The type that rules see.
    #[must_use]
    pub fn param_type(&self) -> ParamType {
        match self.ty {
            FieldType::Uint => ParamType::Uint64,
            FieldType::Text => ParamType::Charbuf,
            FieldType::Duration => ParamType::Reltime,
            FieldType::Time => ParamType::Abstime,
            FieldType::Bool => ParamType::Bool,
            FieldType::Address => ParamType::Ipaddr,
            FieldType::Network => ParamType::Ipnet,
        }
    }
}

fn field(entry: &Json) -> Result<FieldDescription, FieldsError> {
    let none = Map::new();
    let entry = entry.as_object().unwrap_or(&none);
    let wanted = |key| text(entry, key).ok_or(FieldsError::Missing(key));
    let ty = wanted("type")?;
    let name = wanted("name")?;
    let description = wanted("desc")?;
    let ty = FieldType::named(&ty).ok_or(FieldsError::Type(ty))?;
    let argument = entry.get("arg").and_then(Json::as_object);
    let argument = argument.map(|argument| ListedArgument {
        required: is_set(argument, "isRequired"),
        index: is_set(argument, "isIndex"),
        key: is_set(argument, "isKey"),
    });
    if argument.is_some_and(|it| it.required && !(it.index || it.key)) {
        return Err(FieldsError::Argument(name));
    }
    let hidden = match entry.get("properties") {
        None | Some(Json::Null) => false,
        Some(Json::Array(properties)) => properties.iter().any(|it| it == "hidden"),
        Some(_) => return Err(FieldsError::Properties(name)),
    };
    Ok(FieldDescription {
        name,
        description,
        ty,
        list: is_set(entry, "isList"),
        argument: argument.filter(|it| it.index || it.key),
        suggested: is_set(entry, "addOutput"),
        hidden,
    })
}

/// A text that is not empty. The reference takes numbers for texts.
fn text(entry: &Map<String, Json>, key: &str) -> Option<String> {
    let text = match entry.get(key)? {
        Json::String(text) => text.clone(),
        number @ (Json::Number(_) | Json::Bool(_)) => number.to_string(),
        _ => return None,
    };
    Some(text).filter(|text| !text.is_empty())
}

fn is_set(entry: &Map<String, Json>, key: &str) -> bool {
    entry.get(key).and_then(Json::as_bool).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(json: &str) -> String {
        describe(Some(json)).unwrap_err().to_string()
    }

    #[test]
    fn all_that_a_field_can_be_is_read() {
        let fields = describe(Some(
            r#"[{"name": "a.list", "type": "ipaddr", "desc": "d", "isList": true, "addOutput": true,
                 "display": "A", "properties": ["hidden", "purple"], "new": 1},
                {"name": "a.arg", "type": "string", "desc": "e",
                 "arg": {"isRequired": true, "isKey": true, "isIndex": true}},
                {"name": "a.bare", "type": "bool", "desc": "f", "arg": {}, "isList": "yes"}]"#,
        ))
        .unwrap();
        let [list, argument, bare] = &fields[..] else { panic!("three fields") };
        assert!(list.list && list.suggested && list.hidden && list.argument.is_none());
        assert_eq!(list.param_type(), ParamType::Ipaddr);
        let wanted = ListedArgument { required: true, index: true, key: true };
        assert_eq!(argument.argument, Some(wanted));
        assert!(!bare.list && bare.argument.is_none());
    }

    #[test]
    fn errors_have_the_words_of_the_reference() {
        assert_eq!(describe(None).unwrap_err().to_string(), "get_fields returned a null string");
        for (json, wanted) in [
            ("not json", "get_fields returned an invalid JSON"),
            ("{}", "get_fields returned an invalid JSON"),
            ("[]", "plugins with extraction capability must export at least one field"),
            (r#"[{"type": "string", "desc": "d"}]"#, "field JSON entry has no name"),
            (r#"[{"name": "b.x", "type": "string"}]"#, "field JSON entry has no desc"),
            (r#"[{"name": "b.x", "type": "string", "desc": ""}]"#, "field JSON entry has no desc"),
            (r#"[{"name": "b.x", "desc": "d"}]"#, "field JSON entry has no type"),
            ("[1]", "field JSON entry has no type"),
            (r#"[{"name": "b.x", "type": "double", "desc": "d"}]"#, "invalid field type double"),
            (
                r#"[{"name": "b.x", "type": "string", "desc": "d", "arg": {"isRequired": true}}]"#,
                "field b.x arg has isRequired true, but none of isKey nor isIndex is true",
            ),
        ] {
            assert_eq!(error(json), wanted, "{json}");
        }
    }

    #[test]
    fn repeated_names_are_accepted() {
        let field = r#"{"name": "b.x", "type": "string", "desc": "d"}"#;
        assert_eq!(describe(Some(&format!("[{field},{field}]"))).unwrap().len(), 2);
    }
}
