use super::*;
use crate::{Capabilities, InitSchema, Version};

/// The schema of a plugin, and what it makes of configurations.
fn checked(schema: &str, config: &str) -> Result<String, String> {
    let version = Version { major: 1, minor: 0, patch: 0 };
    let info = PluginInfo {
        name: "p".into(),
        description: String::new(),
        contact: String::new(),
        version,
        required_api: version,
        capabilities: Capabilities::default(),
        init_schema: Some(InitSchema { ty: SCHEMA_JSON, text: schema.into() }),
    };
    let checked = checked_config(&info, config).map_err(|error| error.to_string());
    checked.map(Cow::into_owned)
}

const DRAFT_4: &str = r#"{"$schema": "http://json-schema.org/draft-04/schema", "type": "object",
    "required": ["port"], "additionalProperties": false, "properties": {
        "port": {"type": "integer", "minimum": 1, "maximum": 100},
        "mode": {"type": "string", "enum": ["a", "b"]},
        "on": {"type": "boolean"},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 2}}}"#;

#[test]
fn violations_have_the_words_of_the_reference() {
    let error = |config| checked(DRAFT_4, config).unwrap_err();
    for (config, wanted) in [
        ("", "In <root>, Missing required property 'port'."),
        (r#"{"mode": "a"}"#, "In <root>, Missing required property 'port'."),
        (r#"{"port": 500}"#, "In <root>[port], Expected number less than or equal to 100.000000"),
        (r#"{"port": 0}"#, "In <root>[port], Expected number greater than or equal to 1.000000"),
        (r#"{"port": "5"}"#, "In <root>[port], Value type not permitted by 'type' constraint."),
        (
            r#"{"port": 5, "mode": "z"}"#,
            "In <root>[mode], Failed to match against any enum values.",
        ),
        (
            r#"{"port": 5, "tags": ["a", "b", "c"]}"#,
            "In <root>[tags], Array should contain no more than 2 elements.",
        ),
        (
            r#"{"port": 5, "tags": ["a", 7]}"#,
            "In <root>[tags][1], Value type not permitted by 'type' constraint.",
        ),
        (
            r#"{"port": 5, "x": 1}"#,
            "In <root>, Object contains a property that could not be validated using \
             'properties' or 'additionalProperties' constraints: 'x'.",
        ),
        ("[1]", "In <root>, Value type not permitted by 'type' constraint."),
        ("null", "In <root>, Value type not permitted by 'type' constraint."),
        // The first in the order of the reference.
        (
            r#"{"mode": "z", "tags": 1}"#,
            "In <root>[mode], Failed to match against any enum values.",
        ),
    ] {
        assert_eq!(error(config), format!("error in plugin p init config: {wanted}"), "{config}");
    }
    assert_eq!(error("port: 5"), "error in plugin p: init config is not a valid json");
}

#[test]
fn what_fits_is_passed_on_as_it_is() {
    let config = r#"{ "port": 5,  "mode": "a", "on": true, "tags": ["x"] }"#;
    assert_eq!(checked(DRAFT_4, config).as_deref(), Ok(config));
    assert_eq!(checked(r#"{"type": "object"}"#, "").as_deref(), Ok("{}"));
}

#[test]
fn the_schemas_of_sdks_are_understood() {
    let go = r##"{"$schema": "http://json-schema.org/draft-04/schema#",
        "$ref": "#/definitions/Config", "definitions": {"Config": {"required": ["n"],
        "properties": {"n": {"type": "integer"}}, "additionalProperties": true, "type": "object"}}}"##;
    let new = r##"{"$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://example.org/config", "$ref": "#/$defs/Config", "$defs": {"Config": {
        "properties": {"n": {"type": "integer", "default": 1}}, "required": ["n"],
        "additionalProperties": false, "type": "object"}}}"##;
    let rust = r#"{"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Config",
        "type": "object", "properties": {"n": {"type": "integer", "format": "uint64", "minimum": 0}},
        "required": ["n"]}"#;
    for schema in [go, new, rust] {
        assert_eq!(checked(schema, r#"{"n": 1}"#).as_deref(), Ok(r#"{"n": 1}"#), "{schema}");
        let wanted = "error in plugin p init config: In <root>[n], Value type not permitted by \
                      'type' constraint.";
        assert_eq!(checked(schema, r#"{"n": "x"}"#).unwrap_err(), wanted, "{schema}");
    }
}

#[test]
fn of_alternatives_the_first_is_explained() {
    let schema = r#"{"properties": {"a": {"anyOf": [{"type": "string"}, {"type": "null"}]}}}"#;
    let wanted = "error in plugin p init config: In <root>[a], Value type not permitted by \
                  'type' constraint.";
    assert_eq!(checked(schema, r#"{"a": 1}"#).unwrap_err(), wanted);
}

#[test]
fn a_schema_that_is_none_is_an_error() {
    let wanted = "error in plugin p: get_init_schema did not return a json object";
    assert_eq!(checked("[]", "{}").unwrap_err(), wanted);
    assert_eq!(checked("{", "{}").unwrap_err(), wanted);
    for schema in [
        r#"{"type": "purple"}"#,
        r#"{"properties": {"a": {"pattern": "("}}}"#,
        r#"{"$ref": "file:///etc/passwd"}"#,
        r##"{"$ref": "#/definitions/none"}"##,
    ] {
        let error = checked(schema, "{}").unwrap_err();
        assert!(error.starts_with(&format!("{wanted} that is a schema: ")), "{error}");
    }
}

#[test]
fn suggested_parameters_are_read() {
    let params = open_params(r#"[{"value": "a", "desc": "first"}, {"value": "b"}]"#).unwrap();
    let [first, second] = &params[..] else { panic!("{params:?}") };
    assert_eq!((first.value.as_str(), first.description.as_str()), ("a", "first"));
    assert_eq!((second.value.as_str(), second.description.as_str()), ("b", ""));
    assert_eq!(open_params(""), Ok(Vec::new()));
    assert_eq!(open_params("{}"), Err(OpenParamsError::Json));
    assert_eq!(open_params(r#"[{"desc": "x"}]"#), Err(OpenParamsError::NoValue));
}
