//! Whatever stands in rules files, reading them gives an answer.

use peregrine_fields::Fields;
use peregrine_rules::{EventSource, Loader};
use proptest::prelude::*;

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        "[-a-z0-9:,'\"\\[\\]{}()=%*&~ \n\u{e9}]{0,12}",
        prop::sample::select(vec![
            "evt.type",
            "=",
            "in",
            "(",
            ")",
            "and",
            "not",
            "open",
            "l",
            "m",
            "proc.name",
            "%proc.name",
            "append",
            "replace",
            "true",
            "[[a, b]]",
            "{name: e, fields: proc.name, values: [a]}",
        ])
        .prop_map(str::to_owned),
    ]
}

fn item() -> impl Strategy<Value = String> {
    let keys = vec![
        "rule",
        "macro",
        "list",
        "items",
        "condition",
        "output",
        "desc",
        "priority",
        "exceptions",
        "override",
        "append",
        "enabled",
        "tags",
        "source",
        "required_engine_version",
        "required_plugin_versions",
    ];
    let value = prop::collection::vec(word(), 0..6).prop_map(|words| words.join(" "));
    let pair =
        (prop::sample::select(keys), value, any::<bool>()).prop_map(|(key, value, quote)| {
            match quote {
                true => format!("  {key}: {value:?}\n"),
                false => format!("  {key}: {value}\n"),
            }
        });
    prop::collection::vec(pair, 1..6).prop_map(|pairs| pairs.concat().replacen("  ", "- ", 1))
}

proptest! {
    #[test]
    fn loading_never_panics(files in prop::collection::vec(prop::collection::vec(item(), 0..5), 1..3)) {
        let syscall = EventSource::syscall(Fields::syscall());
        let mut loader = Loader::new(vec![syscall], Vec::new());
        for file in files {
            let result = loader.load("f.yaml", file.concat().as_bytes());
            let json = result.to_json();
            prop_assert_eq!(json["successful"].as_bool(), Some(result.successful()));
            prop_assert!(json["errors"].as_array().is_some_and(|errors| errors.len() <= 1));
            prop_assert_eq!(result.findings.is_empty(), result.explanation().is_empty());
        }
        prop_assert!(loader.rules().describe(&|_, _| Vec::new()).is_object());
    }

    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut loader = Loader::<Fields>::new(Vec::new(), Vec::new());
        let result = loader.load("f.yaml", &bytes);
        prop_assert_eq!(result.successful(), result.errors().next().is_none());
    }
}
