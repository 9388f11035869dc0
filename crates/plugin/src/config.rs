//! What plugins are configured with: `init_config` against its schema, and the parameters of their
//! sources.
//!
//! The errors have the words of the reference, which validates with valijson and tells the first
//! violation: inside out, and in a fixed order of keywords.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::Write;

use boon::{Compiler, Draft, ErrorKind, InstanceToken, Schemas, UrlLoader, ValidationError};
use serde_json::Value as Json;
use thiserror::Error;

use crate::PluginInfo;
use crate::abi::SCHEMA_JSON;

/// Why a plugin can't be configured so.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// It wants a form of configuration that is not known.
    #[error("error in plugin {plugin}: get_init_schema returned an unknown schema type {ty}")]
    SchemaType {
        /// The plugin.
        plugin: String,
        /// The number of the form.
        ty: u32,
    },
    /// Its schema is no JSON object, or no schema.
    #[error("error in plugin {plugin}: get_init_schema did not return a json object{}", after(.why))]
    Schema {
        /// The plugin.
        plugin: String,
        /// What is wrong with it; empty when it is no object.
        why: String,
    },
    /// The configuration is no JSON.
    #[error("error in plugin {plugin}: init config is not a valid json")]
    Json {
        /// The plugin.
        plugin: String,
    },
    /// It breaks the schema.
    #[error("error in plugin {plugin} init config: In {path}, {message}")]
    Invalid {
        /// The plugin.
        plugin: String,
        /// The place in the configuration: `<root>[key][0]`.
        path: String,
        /// What is wrong there.
        message: String,
    },
}

fn after(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!(" that is a schema: {why}") }
}

/// The `init_config` that a plugin is given: what is configured, checked against the schema of the
/// plugin, if it has one. Then no configuration is an empty object.
///
/// # Errors
/// When it breaks the schema, or the schema can't be used.
pub fn checked_config<'c>(info: &PluginInfo, config: &'c str) -> Result<Cow<'c, str>, ConfigError> {
    let Some(schema) = &info.init_schema else { return Ok(config.into()) };
    let plugin = || info.name.clone();
    if schema.ty != SCHEMA_JSON {
        return Err(ConfigError::SchemaType { plugin: plugin(), ty: schema.ty });
    }
    let unusable = |why: String| ConfigError::Schema { plugin: plugin(), why };
    let json = serde_json::from_str::<Json>(&schema.text).ok().filter(Json::is_object);
    let json = json.ok_or_else(|| unusable(String::new()))?;
    let config = if config.is_empty() { "{}" } else { config };
    let value: Json =
        serde_json::from_str(config).map_err(|_| ConfigError::Json { plugin: plugin() })?;
    match violation(json, &value).map_err(unusable)? {
        None => Ok(config.into()),
        Some((path, message)) => Err(ConfigError::Invalid { plugin: plugin(), path, message }),
    }
}

/// A suggestion for the parameters of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenParam {
    /// The parameters.
    pub value: String,
    /// What they are for; empty if the plugin does not say.
    pub description: String,
}

/// Why what `list_open_params` has returned can't be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OpenParamsError {
    /// It is no JSON list.
    #[error("list_open_params returned a non-array JSON")]
    Json,
    /// An entry says nothing.
    #[error("list_open_params has entry with no value")]
    NoValue,
}

/// Reads what `list_open_params` has returned.
///
/// # Errors
/// When it is no list of parameters.
pub fn open_params(json: &str) -> Result<Vec<OpenParam>, OpenParamsError> {
    if json.is_empty() {
        return Ok(Vec::new());
    }
    let entries: Vec<Json> = serde_json::from_str(json).map_err(|_| OpenParamsError::Json)?;
    let text = |entry: &Json, key| entry.get(key).and_then(Json::as_str).unwrap_or("").to_owned();
    let param = |entry: &Json| {
        let value = Some(text(entry, "value")).filter(|value| !value.is_empty());
        let value = value.ok_or(OpenParamsError::NoValue)?;
        Ok(OpenParam { value, description: text(entry, "desc") })
    };
    entries.iter().map(param).collect()
}

/// Schemas are what plugins contain: nothing else is read for them.
struct NothingElse;

impl UrlLoader for NothingElse {
    fn load(&self, url: &str) -> Result<Json, Box<dyn Error>> {
        Err(format!("it refers to {url}").into())
    }
}

/// The first violation of a schema, with its place.
fn violation(mut schema: Json, value: &Json) -> Result<Option<(String, String)>, String> {
    const NAME: &str = "plugin:///init_config";
    // As in the reference, newer drafts are read as draft 7.
    let named = schema.as_object_mut().and_then(|schema| schema.remove("$schema"));
    let is_old = named.as_ref().and_then(Json::as_str).is_some_and(|url| url.contains("draft-04"));
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.set_default_draft(if is_old { Draft::V4 } else { Draft::V7 });
    compiler.use_loader(Box::new(NothingElse));
    let why = |error: boon::CompileError| error.to_string().lines().next().unwrap_or("").to_owned();
    compiler.add_resource(NAME, schema).map_err(why)?;
    let index = compiler.compile(NAME, &mut schemas).map_err(why)?;
    let Err(error) = schemas.validate(value, index) else { return Ok(None) };
    let mut found = Vec::new();
    collect(&error, &mut found);
    let first = found.into_iter().min_by(|(one, _), (other, _)| one.cmp(other));
    Ok(Some(first.map_or_else(
        || ("<root>".to_owned(), "failed parsing with provided schema".to_owned()),
        |(_, text)| text,
    )))
}

/// Where a violation stands in the order in which valijson finds them: the keywords on the way to
/// it, each with the name or the number of what it leads to.
type Order = Vec<(&'static str, usize, String)>;

/// The violations with their places and texts.
fn collect(error: &ValidationError<'_, '_>, found: &mut Vec<(Order, (String, String))>) {
    let causes = &error.causes;
    let own = message(&error.kind);
    // Alternatives: what the first one lacks comes first.
    if let (Some((keyword, text)), true) = (&own, is_alternative(&error.kind)) {
        let (mut order, path) = place(error);
        order.push((keyword, usize::MAX, String::new()));
        found.push((order, (path, text.clone())));
        let mut inner = Vec::new();
        causes.first().into_iter().for_each(|first| collect(first, &mut inner));
        let (mut order, _) = place(error);
        order.push((keyword, 0, String::new()));
        found.extend(inner.into_iter().map(|(_, text)| (order.clone(), text)).take(1));
        return;
    }
    if let Some((keyword, text)) = own {
        let (mut order, path) = place(error);
        order.push((keyword, usize::MAX, String::new()));
        found.push((order, (path, text)));
        return;
    }
    causes.iter().for_each(|cause| collect(cause, found));
}

fn is_alternative(kind: &ErrorKind<'_, '_>) -> bool {
    matches!(kind, ErrorKind::AnyOf | ErrorKind::OneOf(_))
}

/// The place of an error in the order, and as text.
fn place(error: &ValidationError<'_, '_>) -> (Order, String) {
    let (mut order, mut path) = (Order::new(), "<root>".to_owned());
    for token in &error.instance_location.tokens {
        // Writing to a text can't fail.
        let _ = match token {
            InstanceToken::Prop(name) => {
                order.push(("properties", 0, name.clone().into_owned()));
                write!(path, "[{name}]")
            }
            InstanceToken::Item(index) => {
                order.push(("items", *index, String::new()));
                write!(path, "[{index}]")
            }
        };
    }
    (order, path)
}

/// The keyword that is broken, as it is sorted, and the words of valijson. `None` for those whose
/// causes are what matters.
fn message(kind: &ErrorKind<'_, '_>) -> Option<(&'static str, String)> {
    use ErrorKind as K;
    let number = |number: &serde_json::Number| number.as_f64().unwrap_or_default();
    Some(match kind {
        K::Type { .. } => ("type", "Value type not permitted by 'type' constraint.".into()),
        K::Required { want } => {
            let name = want.first().copied().unwrap_or_default();
            ("required", format!("Missing required property '{name}'."))
        }
        K::Enum { .. } => ("enum", "Failed to match against any enum values.".into()),
        K::Const { .. } => {
            ("const", "Failed to match expected value set by 'const' constraint.".into())
        }
        K::Maximum { want, .. } => {
            ("maximum", format!("Expected number less than or equal to {:.6}", number(want)))
        }
        K::ExclusiveMaximum { want, .. } => {
            ("maximum", format!("Expected number less than {:.6}", number(want)))
        }
        K::Minimum { want, .. } => {
            ("minimum", format!("Expected number greater than or equal to {:.6}", number(want)))
        }
        K::ExclusiveMinimum { want, .. } => {
            ("minimum", format!("Expected number greater than {:.6}", number(want)))
        }
        K::MultipleOf { want, .. } => {
            ("multipleOf", format!("Value should be a multiple of {want}"))
        }
        K::MaxItems { want, .. } => {
            ("maxItems", format!("Array should contain no more than {want} elements."))
        }
        K::MinItems { want, .. } => {
            ("minItems", format!("Array should contain no fewer than {want} elements."))
        }
        K::UniqueItems { got: [one, other] } => (
            "uniqueItems",
            format!("Elements at indexes #{one} and #{other} violate uniqueness constraint."),
        ),
        K::MaxLength { want, .. } => {
            ("maxLength", format!("String should be no more than {want} characters in length."))
        }
        K::MinLength { want, .. } => {
            ("minLength", format!("String should be no fewer than {want} characters in length."))
        }
        K::Pattern { .. } => {
            ("pattern", "Failed to match regex specified by 'pattern' constraint.".into())
        }
        K::MaxProperties { want, .. } => {
            ("maxProperties", format!("Object should have no more than {want} properties."))
        }
        K::MinProperties { want, .. } => {
            ("minProperties", format!("Object should have no fewer than {want} properties."))
        }
        K::AdditionalProperties { got } => {
            let name = got.first().map_or("", |name| name);
            let text = format!(
                "Object contains a property that could not be validated using 'properties' or \
                 'additionalProperties' constraints: '{name}'."
            );
            // After all properties that are declared.
            ("propertiesOthers", text)
        }
        K::AnyOf => {
            ("anyOf", "Failed to validate against any schemas allowed by anyOf constraint.".into())
        }
        K::OneOf(_) => {
            ("oneOf", "Failed to validate against any schemas allowed by oneOf constraint.".into())
        }
        K::Not => (
            "not",
            "Target should not validate against schema specified in 'not' constraint.".into(),
        ),
        K::Group | K::Schema { .. } | K::Reference { .. } | K::AllOf => return None,
        other => ("format", other.to_string()),
    })
}

#[cfg(test)]
mod tests;
