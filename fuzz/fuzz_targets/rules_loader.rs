//! Any bytes as a rules file, in YAML and in the format of 2016: read it, compile its definitions,
//! describe them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peregrine_fields::Fields;
use peregrine_rules::{EventSource, Loader, convert};

fuzz_target!(|bytes: &[u8]| {
    let syscall = EventSource::syscall(Fields::syscall());
    let mut loader = Loader::new(vec![syscall], Vec::new());
    for name in ["fuzz.yaml", "fuzz.conf"] {
        let result = loader.load(name, bytes);
        assert_eq!(result.successful(), result.to_json()["successful"]);
        let _ = (result.to_text(), result.explanation());
    }
    if let Ok(yaml) = convert("fuzz.conf", bytes) {
        let result = loader.load("fuzz.yaml", yaml.as_bytes());
        // Converted rules are valid YAML, whatever their conditions contain.
        assert!(result.schema_warnings.is_some_and(|warnings| warnings.is_empty()), "{yaml}");
    }
    assert!(loader.rules().describe(&|_, _| Vec::new()).is_object());
});
