//! All errors of a configuration, with place and remedy.

use std::fs;

use crate::{Main, load};

/// Code, place and part of the message and of the remedy of each error.
fn errors(yaml: &str, options: &[&str]) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("falco.yaml");
    fs::write(&file, yaml).unwrap();
    let options: Vec<_> = options.iter().map(|option| (*option).to_owned()).collect();
    let error = load(Main::File(&file), &options, &mut |_| ()).unwrap_err();
    let directory = format!("{}/", directory.path().display());
    error
        .problems()
        .into_iter()
        .map(|problem| format!("{} {}", problem.code, problem.to_line().replace(&directory, "")))
        .collect()
}

#[test]
fn all_errors_have_an_exact_place_and_a_remedy() {
    let cases: &[(&str, &[&str])] = &[
        ("json_output: true\nlog_level debug\n", &[]),
        ("json_output: true\n\tlog_level: debug\n", &[]),
        ("http_output:\n  url: 'it's'\n", &[]),
        ("plugins: [{name: a, library_path: b\n", &[]),
        ("json_output: {{ .Values.json }}\nlog_level: {{ x }} y\n", &[]),
        ("<<<<<<< HEAD\njson_output: true\n=======\n>>>>>>> x\n", &[]),
        ("- rule: x\n  desc: d\n", &[]),
        ("stdout_output: yes\nlog_level: loud\nengine: {kind: bpf}\npriority: high\n", &[]),
        ("priority: warn\n", &[]),
        ("http_output: {enabled: true}\n", &[]),
        ("", &["json_output", "=x", "a..b=c", "rules_files[7]=x"]),
        ("", &["http_output.enabled=true"]),
        ("", &["engine.kind=bpf"]),
        ("", &["append_output[]={match: [}"]),
        ("", &["plugins[0]=x"]),
        ("", &["engine=nodriver"]),
        ("rules_files: [a]\n", &["rules_files[0].x=1"]),
    ];
    let mut table = String::new();
    for (yaml, options) in cases {
        for line in yaml.lines() {
            table += &format!("  | {}\n", line.escape_debug());
        }
        for option in *options {
            table += &format!("  $ -o {option}\n");
        }
        table += &format!("{}\n\n", errors(yaml, options).join("\n"));
    }
    insta::assert_snapshot!(table);
}
