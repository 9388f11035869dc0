//! The table against Falco's list of fields.
#![allow(clippy::unwrap_used, reason = "a test may stop")]

use peregrine_fields::table::{ListedArgument, classes};
use serde_json::Value;

/// Fields that Falco does not have.
const OWN: [&str; 1] = ["evt.abi"];

/// Class, name, type, list, argument.
type Row = (String, String, String, bool, Option<(bool, Vec<String>)>);

fn known() -> Vec<Row> {
    let list: Value = serde_json::from_str(include_str!("../../../data/fields.json")).unwrap();
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    let mut rows = Vec::new();
    for class in list.as_array().unwrap() {
        for field in class["fields"].as_array().unwrap() {
            let argument = field["argument"].as_object().map(|argument| {
                let kinds = argument["type"].as_array().unwrap().iter().map(text).collect();
                (argument["required"].as_bool().unwrap(), kinds)
            });
            rows.push((
                text(&class["class"]).replace(" (plugin)", ""),
                text(&field["name"]),
                text(&field["type"]).replace("DYNAMIC", "DYN"),
                field["is_list"].as_bool().unwrap(),
                argument,
            ));
        }
    }
    rows
}

fn ours() -> Vec<Row> {
    let kinds = |argument: ListedArgument| {
        let index = argument.index.then(|| "INDEX".to_owned());
        let key = argument.key.then(|| "KEY".to_owned());
        (argument.required, index.into_iter().chain(key).collect())
    };
    // Falco has the fields of the API server from a plugin of its own.
    let listed = classes().iter().filter(|class| class.listed && class.name != "k8smeta");
    listed
        .flat_map(|class| class.fields.iter().map(move |field| (class, field)))
        .filter(|(_, field)| field.is_listed() && !OWN.contains(&&*field.name))
        .map(|(class, field)| {
            (
                class.name.to_string(),
                field.name.to_string(),
                format!("{:?}", field.ty).to_uppercase(),
                field.options.list,
                field.argument.listed().map(kinds),
            )
        })
        .collect()
}

#[test]
fn the_table_has_the_fields_of_falco() {
    assert_eq!(ours(), known());
}

#[test]
fn every_field_is_described_in_a_sentence() {
    for field in classes().iter().flat_map(|class| class.fields.iter()) {
        let text = &field.description;
        assert!(text.ends_with('.') && text.len() > 10, "{}: {text}", field.name);
        assert!(!text.contains("  "), "{}: {text}", field.name);
    }
}
