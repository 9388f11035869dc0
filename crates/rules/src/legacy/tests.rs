use std::sync::Arc;

use peregrine_diagnostics::Source;
use peregrine_fields::Fields;
use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;
use crate::{EventSource, LoadResult, Loader};

/// Name, condition, priority and output of the rules of a text.
fn rules(text: &str) -> Vec<[String; 4]> {
    let items = items("old.conf", text).unwrap();
    let rules = items.items().iter().filter(|item| item.get("rule").is_some());
    let text = |item: &Node, key| item.get(key).and_then(Node::as_str).unwrap().to_owned();
    rules
        .map(|item| ["rule", "condition", "priority", "output"].map(|key| text(item, key)))
        .collect()
}

fn items(name: &str, text: &str) -> Result<Node, Vec<Finding>> {
    let file = Place::file(Arc::new(Source::new(name, text)));
    let mut findings = Vec::new();
    document(&file, &mut findings).ok_or(findings)
}

fn load(name: &str, text: &str) -> (LoadResult, Json) {
    let source = EventSource::syscall(Fields::syscall());
    let mut loader = Loader::new(vec![source], Vec::new());
    let result = loader.load(name, text.as_bytes());
    (result, loader.rules().describe(&|_, _| Vec::new()))
}

const OLD: &str = "\
############
# Macros
############

opened: (evt.type=open or
  evt.type = openat)   # both
bin_dir : fd.directory in (/bin, [, '/my bin|')

# Nobody writes
# to binaries
opened and evt.is_open_write = true and bin_dir | WARNING Write to bin dir: (%user.name \"%proc.name\" #%evt.num)

evt.type = setns
  and not proc.name in (docker, sysdig)
| info setns
opened and proc.name = cat
not proc.name in (cat) and opened | CRIT Write to bin dir (%fd.name)
proc.name=dd | %evt.type by dd

# proc.name = ls | INFO ls
";

#[test]
fn files_are_recognised() {
    assert!(is_legacy("a.conf", "proc.name = cat"));
    assert!(is_legacy("a.yaml", "# old\n\nproc.name = cat | WARNING cat runs"));
    assert!(!is_legacy("a.yaml", "proc.name = cat"));
    assert!(!is_legacy("a.conf", "# new\n- rule: x\n  condition: a | WARNING b"));
    assert!(!is_legacy("a.conf", "# nothing\n"));
    assert!(!is_legacy("a.yaml", "rule: |\n  text"));
}

#[test]
fn statements_end_where_they_are_complete() {
    let rules = rules(OLD);
    let rules: Vec<[&str; 4]> =
        rules.iter().map(|rule| rule.each_ref().map(String::as_str)).collect();
    assert_eq!(
        rules,
        [
            [
                "Write to bin dir",
                "opened and evt.is_open_write = true and bin_dir",
                "WARNING",
                "Write to bin dir: (%user.name \"%proc.name\" #%evt.num)",
            ],
            [
                "setns",
                "evt.type = setns and not proc.name in (docker, sysdig)",
                "INFORMATIONAL",
                "setns",
            ],
            ["Rule 3", "opened and proc.name = cat", "WARNING", DEFAULT_OUTPUT],
            [
                "Write to bin dir 2",
                "not proc.name in (cat) and opened",
                "CRITICAL",
                "Write to bin dir (%fd.name)",
            ],
            ["Rule 5", "proc.name=dd", "WARNING", "%evt.type by dd"],
        ]
    );
    let items = items("old.conf", OLD).unwrap();
    let [opened, bin_dir, write, ..] = items.items() else { panic!("too few") };
    assert_eq!(
        opened.get("condition").unwrap().as_str(),
        Some("(evt.type=open or evt.type = openat)")
    );
    assert_eq!(bin_dir.get("macro").unwrap().as_str(), Some("bin_dir"));
    assert_eq!(write.get("desc").unwrap().as_str(), Some("Nobody writes to binaries"));
}

#[test]
fn mistakes_have_their_places() {
    let explain = |text: &str| load("old.conf", text).0.explanation();
    insta::assert_snapshot!(explain("evt.type = open | LOUD opened\n| WARNING x\nm: a | INFO b"), @r#"
    error: A priority must stand behind the pipe [E0114]
     --> old.conf:1:19
      |
    1 | evt.type = open | LOUD opened
      |                   ^^^^^^^^^^^
      = help: a rule is `condition | PRIORITY output`, a macro is `name: condition`; priorities are EMERGENCY, ALERT, CRITICAL, ERROR, WARNING, NOTICE, INFORMATIONAL, DEBUG

    error: The condition is missing [E0114]
     --> old.conf:2:1
      |
    2 | | WARNING x
      | ^
      = help: a rule is `condition | PRIORITY output`, a macro is `name: condition`

    error: A macro has no output [E0114]
     --> old.conf:3:8
      |
    3 | m: a | INFO b
      |        ^^^^^^
      = help: a rule is `condition | PRIORITY output`, a macro is `name: condition`
    "#);
    insta::assert_snapshot!(explain("x: evt.type = open\nx and\n  proc.nam = cat | INFO cat"), @r#"
    warning: The rules format of 2016 is deprecated. `peregrine rules convert FILE` writes this file as YAML. [W0106]
     --> old.conf:1:4
      |
    1 | x: evt.type = open
      |    ^

    error: there is no field `proc.nam` [E0402]
     --> old.conf:3:3
      |
    3 |   proc.nam = cat | INFO cat
      |   ^^^^^^^^
      = help: did you mean `proc.name`?
    "#);
}

#[test]
fn the_old_format_is_deprecated() {
    let (result, _) = load("old.conf", "evt.type = open | INFO opened");
    assert!(result.successful());
    let warnings: Vec<_> = result.warnings().map(Finding::code).collect();
    assert_eq!(warnings, ["LOAD_DEPRECATED_ITEM"]);
}

#[test]
fn comments_stay_comments() {
    let new =
        convert("old.conf", "# a\r- macro: x\u{2028}\n\nb: evt.type = open".as_bytes()).unwrap();
    assert_eq!(new, "# a - macro: x\n\n- macro: b\n  condition: evt.type = open\n");
}

#[test]
fn what_is_converted_means_the_same() {
    let new = convert("old.conf", OLD.as_bytes()).unwrap();
    let last = "%evt.type by dd'\n  priority: WARNING\n\n# proc.name = ls | INFO ls\n";
    assert!(new.ends_with(last), "{new}");
    assert!(new.starts_with("############\n# Macros\n############\n\n- macro: opened\n"));
    assert_eq!(load("new.yaml", &new).1, load("old.conf", OLD).1);
    assert!(convert("new.yaml", new.as_bytes()).is_err());
}

proptest! {
    /// Whatever a text holds, its YAML form has the same items.
    #[test]
    fn any_text_survives_conversion(lines in proptest::collection::vec(
        r#"(# \r?x|m[ab]?:)? ?(evt|and|or|not|\(|\)|=|'|"|,|in|#| |\\|é|\t|: |-){0,9}( ?\| (WARN|info|x) [a-z'"%(){}:# \\]{0,9})?"#, 0..6))
    {
        let text = lines.join("\n");
        if let (Ok(new), Ok(old)) = (convert("old.conf", text.as_bytes()), items("old.conf", &text)) {
            let documents = peregrine_yaml::parse(&new).unwrap();
            let values = |items: &[Node]| -> Vec<Vec<(String, String)>> {
                let text = |node: &Node| node.as_str().unwrap().to_owned();
                items.iter().map(|item| {
                    item.entries().iter().map(|(key, value)| (text(key), text(value))).collect()
                }).collect()
            };
            let new = documents.first().map(Node::items).unwrap_or_default();
            prop_assert_eq!(values(new), values(old.items()));
        }
    }
}
