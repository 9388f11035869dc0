use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::*;

fn formatted(text: &str) -> String {
    let formatted = format(text).unwrap();
    assert_eq!(format(&formatted).unwrap(), formatted, "a second time");
    formatted
}

#[test]
fn a_file_in_the_one_layout() {
    let text = r##"

# Rules of the web team.
- required_engine_version: 0.57.0   # since the first release
- list:   web_servers
  # The usual ones.
  items:  ["nginx",httpd ,  'a, b',
    lighttpd]
# Shells, by family.
-   list: shells
    items: [ # all
      sh, bash,
         zsh  # not everywhere
    ]



- macro: web
  condition: "proc.name in (web_servers)"
- macro: shell
  condition:
    proc.name  in (shells)
# About the rule.

# More about the rule.
- desc: A shell
    of a web server
    is started.
  # This name is shown.
  rule: Shell of a web server
  enabled: yes
  tags:
  # who
  - web   # us

  - 'mitre: execution'
  # One day: more.
  priority:   WARNING
  condition:   evt.type in (execve,execveat) and proc.pname in (web_servers) and ( shell or proc.cmdline contains "sh  -c" or proc.exepath startswith /tmp/ )
  output: >-
    Shell (command=%proc.cmdline
      user=%user.name)

    by a web server

  exceptions:
  - name: known
    fields: [proc.name,proc.cmdline]
    comps: [=, startswith]
    values:
    - [sh,"sh -c uptime"]
    - [sh, "sh -c date"]

    # Seen on hosts of the old kind.
    -  - sh
       - sh -c ls

  unknown_key: {a: b}
  # - commented: out

- rule: Shell of a web server
  append: true
  condition: and not proc.cmdline contains "#1" and not proc.cmdline startswith "a rather long command line"
- macro: one
  condition: |
    evt.type=open and
      m
- {list: in_braces, items: [ a,b ]}
- list: anchored
  items: &names [ a,b ]
- list: copy
  items: *names
- list: plain
  items:
  - a

  - b
- test:   a web server starts a shell
  rules: Shell of a web server
  given:
  -  {evt.type: execve,  proc.name: sh}
  match:  true
  output: shell
# The end.
"##;
    insta::assert_snapshot!(formatted(text));
}

#[test]
fn marks_and_line_ends_are_kept() {
    let text = "\u{feff}- list: a\r\n  items:  [b]\r\n- list: c\r\n  items: []";
    let want = "\u{feff}- list: a\r\n  items: [b]\r\n\r\n- list: c\r\n  items: []\r\n";
    assert_eq!(formatted(text), want);
    assert_eq!(formatted("- list: a\n  items: [b]\r\n"), "- list: a\n  items: [b]\n");
}

#[test]
fn documents_are_kept_apart() {
    let text = "%YAML 1.2\n---   # one\n  - list: a\n    items: []\n...\n---\n\n\n- list: b\n  items: []\n---\n---\n# end\n";
    let want = "%YAML 1.2\n---   # one\n- list: a\n  items: []\n\n...\n---\n\n- list: b\n  items: []\n\n---\n---\n# end\n";
    assert_eq!(formatted(text), want);
}

#[test]
fn files_without_items_are_kept() {
    assert_eq!(formatted(""), "");
    assert_eq!(formatted("\n\n# nothing\n\n\n# here \n\n"), "# nothing\n\n# here\n");
}

#[test]
fn items_that_are_not_understood_stay() {
    for item in [
        "- list: a\n  items:   &x [b,c]\n",
        "- list: a\n  items:   [b,c]\n  list: twice\n",
        "- ? list\n  : a\n  items:   []\n",
        "- !!map\n  list: a\n  items:   []\n",
        "- {list: a,   items: []}\n",
        "- list: a\n  items:   []\n  note: |2\n      a\n",
        "- list: a\n  items:\t[b]\n",
        "- just  a text\n",
    ] {
        let around =
            |item: &str| format!("- list: b\n  items: [c]\n\n{item}\n- list: d\n  items: [e]\n");
        assert_eq!(formatted(&around(item)), around(item), "{item}");
        // Then others keep its column.
        let deeper = around(item).replace('\n', "\n  ");
        let deeper = format!("  {}\n", deeper.trim_end());
        if !item.contains("|2") {
            assert_eq!(formatted(&deeper.replace(": [c", ":   [c")), formatted(&deeper), "{item}");
        }
    }
}

#[test]
fn the_text_of_a_condition_is_not_touched_where_blanks_count() {
    let text = "- macro: a\n  condition: proc.name = 'x  y'   and  (proc.name=\"#\")\n";
    assert_eq!(
        formatted(text),
        "- macro: a\n  condition: proc.name = 'x  y' and (proc.name = \"#\")\n"
    );
    let broken = "- macro: a\n  condition: proc.name  =\n";
    assert_eq!(formatted(broken), broken);
    let broken = "- macro: a\n  condition: |\n    proc.name = 'x\n      y'\n";
    assert_eq!(formatted(broken), broken);
}

#[test]
fn comments_behind_conditions_stay_on_their_lines() {
    let long = "proc.cmdline contains 'a rather long command line with many words'";
    let text = format!("- macro: a\n  condition:  {long}  or {long} # lint: allow(L0401)\n");
    assert_eq!(
        formatted(&text),
        format!("- macro: a\n  condition: {long} or {long}  # lint: allow(L0401)\n")
    );
    let text = format!("- macro: a\n  condition: {long}\n     or {long} # lint: allow(L0401)\n");
    assert_eq!(
        formatted(&text),
        format!("- macro: a\n  condition: {long}\n    or {long}  # lint: allow(L0401)\n")
    );
}

#[test]
fn other_files_are_refused() {
    let errors = ["a: b\n", "- a: [\n", "--- [{list: a, items: []}]\n", "- - a\n- b: c\r- d\n"];
    let errors = errors.map(|text| format(text).unwrap_err().to_string());
    insta::assert_snapshot!(errors.join("\n"));
}

#[test]
fn the_built_in_rules_have_the_layout() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wiring/assets/rules.yaml");
    let text = fs::read_to_string(path).unwrap();
    assert_eq!(formatted(&text), text);
}

/// The rules of the reference engine, where they are present.
#[test]
fn upstream_rules_keep_their_meaning() {
    let Some(folder) = std::env::var_os("PEREGRINE_UPSTREAM_RULES") else {
        eprintln!("SKIPPED: PEREGRINE_UPSTREAM_RULES does not name the directory of the rules");
        return;
    };
    for file in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        let formatted = formatted(&text);
        let comments = |text: &str| {
            text.lines()
                .filter(|line| line.trim().starts_with('#'))
                .map(str::trim)
                .collect::<String>()
        };
        assert_eq!(comments(&formatted), comments(&text));
    }
}

/// Words of conditions, in an order that the engine accepts.
fn condition() -> impl Strategy<Value = String> {
    let test = prop_oneof![
        3 => "proc\\.name *(=|!=) *(sh|'a  b'|\"#x\"|val\\(proc\\.pname\\))",
        2 => "evt\\.type +in *\\((open,openat|open , \"x, y\"|shells|)\\)",
        1 => "proc\\.args +startswith +anyof +\\( ?a, b ?\\)",
        1 => "fd\\.num *>= *-1",
        1 => "proc\\.aname\\[2\\] exists",
        1 => "[mn]",
    ];
    let blank = "( |  |\n  ?|\n\n)";
    test.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            (inner.clone(), blank, "and|or", blank, inner.clone())
                .prop_map(|(a, b, word, c, d)| format!("{a}{b}{word}{c}{d}")),
            inner.clone().prop_map(|a| format!("not  {a}")),
            ("not ?|", " ?", inner).prop_map(|(not, blank, a)| format!("{not}({blank}{a}{blank})")),
        ]
    })
}

/// A condition as the value of a key in this column.
fn written(condition: &str, style: usize, column: usize) -> String {
    let lines = condition.trim().replace('\n', &format!("\n{}", " ".repeat(column + 3)));
    let indent = " ".repeat(column + 3);
    let one_line = condition.split_whitespace().collect::<Vec<_>>().join(" ");
    match style {
        0 => format!(" >\n{indent}{lines}\n"),
        1 => format!(" |-  # how\n{indent}{lines}\n"),
        2 if !lines.contains(" #") && !lines.contains("\n\n") => format!("   {lines}\n"),
        3 => format!("\n{indent}{}  # c\n", condition.trim().replace('\n', " ")),
        _ => format!(" '{}'\n", one_line.replace('\'', "''")),
    }
}

fn file() -> impl Strategy<Value = String> {
    let between = prop_oneof![
        3 => Just(String::new()), 1 => Just("\n\n".to_owned()), 2 => Just("# why\n".to_owned()),
        1 => Just("\n# a\n\n  # b\n".to_owned()), 1 => Just("---\n".to_owned()),
    ];
    let other = prop_oneof![
        Just("  tags: [a,  'b']\n"),
        Just("  # before\n  tags:  # behind\n  - a\n\n  # between\n  -   b\n"),
        Just("\n  priority:   info # note\n"),
        Just("  output: >\n    a  %proc.name\n      b\n\n    c \n"),
        Just("  desc: plain\n   text:of\n\n   lines\n"),
        Just("  desc: \"two\n\n    # lines\"\n"),
        Just("  exceptions:\n    - {name: x}\n    - name: y\n      values: [[a,b],[c]]\n"),
        Just("# left\n  enabled: false\n"),
        Just("  override:\n      condition: append\n"),
        Just("  warn_evttypes:\n"),
    ];
    let item = (between, proptest::collection::vec(other, 0..3), condition(), 0..5usize, 0..3usize)
        .prop_map(|(between, others, text, style, kind)| {
            let mut seen = BTreeSet::new();
            let key = |other: &&&str| {
                let line =
                    other.lines().find(|line| line.starts_with("  ") && !line.contains("# "));
                line.unwrap_or(other).split(':').next().unwrap_or_default().to_owned()
            };
            let others: Vec<_> =
                others.iter().filter(|other| seen.insert(key(other))).copied().collect();
            let head = ["- macro: m\n", "- rule: a  b # c\n", "-  rule: \"x: y\"\n"][kind];
            let shift = if kind == 2 { " " } else { "" };
            let rest = format!("  condition:{}{}", written(&text, style, 2), others.concat());
            let rest: String = rest
                .split_inclusive('\n')
                .map(|line| match line.trim() {
                    "" => line.to_owned(),
                    _ => format!("{shift}{line}"),
                })
                .collect();
            format!("{between}{head}{rest}")
        });
    proptest::collection::vec(item, 0..4).prop_map(|items| items.concat())
}

proptest! {
    #[test]
    fn formatting_is_stable_and_keeps_the_meaning(text in file()) {
        let formatted = format(&text).map_err(|e| TestCaseError::fail(format!("{e}: {text}")))?;
        prop_assert_eq!(format(&formatted), Ok(formatted.clone()), "{}", text);
        prop_assert_eq!(verify::same(&text, &formatted), Ok(()));
        // No comment is lost.
        let comments = |text: &str| text.matches("# ").count();
        prop_assert_eq!(comments(&text), comments(&formatted), "{}\n{}", text, formatted);
    }

    #[test]
    fn any_text_is_formatted_stably_or_refused(
        text in r"(- |  |[a:#\[\]{},|>'\x22&*\r\t+-]|\n|\n  |rule: |condition: |items:|not |and |\(|\)|a\.b=c|---\n){0,40}"
    ) {
        if let Ok(formatted) = format(&text) {
            prop_assert_eq!(format(&formatted), Ok(formatted.clone()), "{:?}", text);
        }
    }
}
