//! Neovim, without a screen, with the files of `editors/neovim` and the real server.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::missing;

const BASE: &str = "\
- list: shells
  items: [bash, sh]

- macro: spawned
  condition: evt.type in (execve, execveat)
";

/// A name that does not exist, and a layout that is not the one.
const RULES: &str = "\
- rule: Shell
  desc: A shell is started.
  condition:   spawnd and proc.name in(shells)
  output: Shell %proc.cmdline
  priority: NOTICE
";

#[test]
fn a_rules_file_is_edited_in_neovim() {
    let editors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../editors/neovim");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/editors/neovim.lua");
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("a_rules.yaml"), BASE).unwrap();
    fs::write(place.path().join("b_rules.yaml"), RULES).unwrap();
    let mut nvim = Command::new("nvim");
    nvim.args(["--headless", "-u", "NONE", "-n", "-S"]).arg(script).current_dir(place.path());
    nvim.env("EDITORS", editors.canonicalize().unwrap());
    nvim.env("PROGRAM", env!("CARGO_BIN_EXE_peregrine"));
    for directory in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"] {
        nvim.env(directory, place.path().join("xdg"));
    }
    let Ok(output) = nvim.output() else { return missing("nvim") };
    let log = String::from_utf8_lossy(&output.stderr);
    let results = fs::read_to_string(place.path().join("results.json"));
    let results = results.unwrap_or_else(|error| panic!("{error}: {log}"));
    let results: Value = serde_json::from_str(&results).unwrap();
    let result = |step: &str| -> &Value { &results[step] };

    assert_eq!(result("error"), &Value::Null, "{results:#}");
    assert_eq!(result("filetype"), "yaml.falco");
    let [diagnostic] = result("diagnostics").as_array().unwrap().as_slice() else {
        panic!("{results:#}")
    };
    assert_eq!(diagnostic["text"], "spawnd");
    assert!(diagnostic["message"].as_str().unwrap().contains("spawned"), "{diagnostic}");
    assert!(diagnostic["code"].as_str().unwrap().starts_with('E'), "{diagnostic}");
    assert_eq!(result("fixed"), "  condition:   spawned and proc.name in(shells)");
    assert_eq!(result("diagnostics_after"), 0);
    let completions = result("completions").as_array().unwrap();
    assert!(completions.iter().any(|label| label == "proc.cmdline"), "{completions:?}");
    assert!(result("hover").as_str().unwrap().contains("execve"), "{results:#}");
    assert_eq!(result("formatted"), "  condition: spawned and proc.name in (shells)");
    assert_eq!(result("definition"), &serde_json::json!(["a_rules.yaml", 4]));
    assert_eq!(
        result("renamed"),
        &serde_json::json!([
            "- macro: process_started",
            "  condition: process_started and proc.name in (shells)",
        ])
    );
    assert_eq!(result("exit"), 0, "{log}");
}
