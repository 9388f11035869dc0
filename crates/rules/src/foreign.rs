//! Files of other programs that are taken for rules files: what they seem to be, and what to do.

use std::ops::Range;

use peregrine_yaml::Node;

/// A file of another kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Foreign {
    /// What it seems to be, with an article.
    pub(crate) what: &'static str,
    /// What to do with it.
    pub(crate) help: &'static str,
    /// The part that shows it: first byte and the one after the last.
    pub(crate) span: (usize, usize),
}

/// What a text that is no rules file seems to be. `document` is its first document if it is YAML.
pub(crate) fn recognise(text: &str, document: Option<&Node>) -> Option<Foreign> {
    let first = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    // A capture begins with line breaks.
    let whole = text;
    let start = text.len() - first.len();
    let line = first.lines().next().unwrap_or_default();
    let by_start = STARTS.iter().find(|sign| {
        sign.starts.iter().any(|start| {
            let text = if start.starts_with('\n') { whole } else { first };
            text.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start))
        })
    });
    if let Some(sign) = by_start {
        let end = start + line.trim_end().len();
        return Some(Foreign { what: sign.what, help: sign.help, span: (start, end) });
    }
    let section = line.trim_end().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_name = |name: &str| {
        name.trim_matches(['[', ']'])
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    if section.is_some_and(is_name) && first.lines().skip(1).any(|line| line.contains('=')) {
        let span = (start, start + line.trim_end().len());
        return Some(Foreign { what: "an INI or TOML file", help: "rules files are YAML", span });
    }
    let keys = match document {
        Some(document) => keys_of(document),
        None => keys_in(text),
    };
    let has = |wanted: &str| {
        let (key, value) = wanted.split_once('=').unwrap_or((wanted, ""));
        keys.iter().find(|found| found.name == key && (value.is_empty() || found.value == value))
    };
    for sign in KEYS {
        let all: Option<Vec<_>> = sign.all.iter().map(|key| has(key)).collect();
        let Some(first) = all.and_then(|found| found.first().copied()) else { continue };
        let (what, help) = (sign.what, sign.help);
        return Some(Foreign { what, help, span: (first.span.start, first.span.end) });
    }
    let configuration: Vec<_> = CONFIGURATION.iter().filter_map(|key| has(key)).collect();
    let first = configuration.iter().min_by_key(|key| key.span.start)?;
    Some(Foreign {
        what: "a configuration of the engine",
        help: "check it with `peregrine -c FILE --dry-run`, and name rules files in its `rules_files`",
        span: (first.span.start, first.span.end),
    })
}

/// A key of the outermost map, or of the first item of the outermost list.
struct Key<'t> {
    name: &'t str,
    value: &'t str,
    span: Range<usize>,
}

fn keys_of(document: &Node) -> Vec<Key<'_>> {
    let map = match document.items().first() {
        Some(item) => item,
        None => document,
    };
    let mut keys = Vec::new();
    for (key, value) in map.entries() {
        let Some(name) = key.as_str() else { continue };
        let value = value.as_str().unwrap_or_default();
        keys.push(Key { name, value, span: key.start.offset..key.end.offset });
    }
    keys
}

/// The same of a text that is not YAML: words before a colon at the start of a line.
fn keys_in(text: &str) -> Vec<Key<'_>> {
    const MAX_LINES: usize = 2000;
    let mut keys = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n').take(MAX_LINES) {
        if let Some((name, value)) = line.split_once(':')
            && !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
        {
            keys.push(Key { name, value: value.trim(), span: start..start + name.len() });
        }
        start += line.len();
    }
    keys
}

/// A kind of file that shows in its first bytes, in upper or lower case.
struct Start {
    starts: &'static [&'static str],
    what: &'static str,
    help: &'static str,
}

const fn start(starts: &'static [&'static str], what: &'static str, help: &'static str) -> Start {
    Start { starts, what, help }
}

const UNPACK: &str = "unpack it first";

const STARTS: &[Start] = &[
    start(
        &["<!doctype html", "<html", "<head", "<body"],
        "a web page",
        "a download has probably failed: use the address of the raw file (`curl -f` does not save error pages)",
    ),
    start(
        &[
            "404: Not Found",
            "404 page not found",
            "{\"message\":\"Not Found\"",
            "400: Invalid request",
        ],
        "the answer of a server that has no such file",
        "correct the address of the download (`curl -f` does not save error pages)",
    ),
    start(&["<?xml", "<svg", "<group name=", "<rule id="], "XML", "rules files are YAML"),
    start(
        &["version https://git-lfs"],
        "a pointer of Git LFS",
        "fetch the file itself with `git lfs pull`",
    ),
    start(
        &["$ANSIBLE_VAULT"],
        "a file encrypted by Ansible",
        "decrypt it with `ansible-vault decrypt`",
    ),
    start(&["-----BEGIN "], "a certificate or a key", "check which file is meant"),
    start(&["#!"], "a script", "run it to get the rules file, if it writes one"),
    start(
        &["diff --git", "--- a/", "Index: ", "From: "],
        "a patch",
        "apply it to the rules file with `patch` or `git apply`",
    ),
    start(
        &["\n\r\r\n"],
        "a capture of events",
        "replay it with `-o engine.kind=replay -o engine.replay.capture_file=FILE`",
    ),
    start(&["\u{7f}ELF"], "a program", "check which file is meant"),
    start(&["\u{1f}\u{fffd}"], "a file compressed with gzip", UNPACK),
    start(&["(\u{fffd}/\u{fffd}"], "a file compressed with zstd", UNPACK),
    start(&["\u{fffd}7zXZ"], "a file compressed with xz", UNPACK),
    start(&["BZh9"], "a file compressed with bzip2", UNPACK),
    start(&["PK\u{3}\u{4}"], "a ZIP archive", UNPACK),
    start(&["%PDF-"], "a PDF document", "rules files are YAML"),
    start(&["SQLite format 3"], "a database", "check which file is meant"),
    start(
        &["alert tcp ", "alert udp ", "alert ip ", "alert http ", "alert dns ", "alert icmp "],
        "rules of Snort or Suricata",
        "they are about packets; rules here are about system calls",
    ),
    start(
        &["-w /", "-a always", "-a exit", "-D\n"],
        "rules of auditd",
        "they have to be written anew: a watch `-w PATH -p wa` becomes `open_write and fd.name = PATH`",
    ),
    start(&["package ", "import rego"], "a policy in Rego", "it is for Open Policy Agent"),
    start(&["[metadata]", "[rule]"], "a rule of Elastic", "it has to be written anew"),
];

/// A kind of file that shows in keys: all of these, `key=value` with this value.
struct Keys {
    all: &'static [&'static str],
    what: &'static str,
    help: &'static str,
}

const fn keys(all: &'static [&'static str], what: &'static str, help: &'static str) -> Keys {
    Keys { all, what, help }
}

const ANEW: &str = "its rules have to be written anew";
const HELM: &str = "the rules are the texts below `customRules`: save them to files of their own, or check what \
                    `helm template` makes of the values";

const KEYS: &[Keys] = &[
    keys(
        &["kind=ConfigMap", "apiVersion"],
        "a Kubernetes ConfigMap",
        "the rules are the texts below `data`: save them to files of their own, for example with \
         `kubectl get configmap NAME -o jsonpath='{.data.FILE}'`",
    ),
    keys(
        &["kind=Rulesfile", "apiVersion"],
        "a Rulesfile of the Falco operator",
        "the rules are below `spec.inlineRules`: save them to a file of their own",
    ),
    keys(&["kind=TracingPolicy", "apiVersion"], "a policy of Tetragon", ANEW),
    keys(&["kind=TracingPolicyNamespaced", "apiVersion"], "a policy of Tetragon", ANEW),
    keys(&["kind=KubeArmorPolicy", "apiVersion"], "a policy of KubeArmor", ANEW),
    keys(&["kind=ClusterPolicy", "apiVersion"], "a policy of Kyverno", ANEW),
    keys(&["kind=PrometheusRule", "apiVersion"], "rules of Prometheus", "they are about metrics"),
    keys(
        &["kind", "apiVersion"],
        "a Kubernetes object",
        "rules files are lists of rules, macros and lists; look for them in a ConfigMap or an image",
    ),
    keys(
        &["logsource", "detection"],
        "a rule of Sigma",
        "convert it, or write its `detection` as a `condition`",
    ),
    keys(&["customRules"], "values of a Helm chart", HELM),
    keys(&["falcosidekick"], "values of a Helm chart", HELM),
    keys(&["falcoctl", "falco"], "values of a Helm chart", HELM),
    keys(&["collectors", "driver"], "values of a Helm chart", HELM),
    keys(&["falco", "driver"], "values of a Helm chart", HELM),
    keys(&["falco", "tty"], "values of a Helm chart", HELM),
    keys(&["chartValues"], "values of a Helm chart", HELM),
    keys(&["services"], "a file of Docker Compose", "check which file is meant"),
    keys(&["groups"], "rules of Prometheus", "they are about metrics"),
    keys(&["alert", "expr"], "rules of Prometheus", "they are about metrics"),
    keys(&["jobs", "on"], "a workflow of GitHub", "check which file is meant"),
    keys(&["stages"], "a pipeline of GitLab", "check which file is meant"),
    keys(&["hosts", "tasks"], "a playbook of Ansible", "check which file is meant"),
    keys(&["hosts", "roles"], "a playbook of Ansible", "check which file is meant"),
    keys(
        &["name", "library_path"],
        "the plugins of a configuration",
        "put it below `plugins` of falco.yaml, and check that with `peregrine -c FILE --dry-run`",
    ),
    keys(
        &["name", "type=rulesfile"],
        "an index of falcoctl",
        "install what it lists with `falcoctl artifact install NAME`",
    ),
    keys(&["artifact", "indexes"], "a configuration of falcoctl", "check which file is meant"),
    keys(&["id", "expression"], "a policy of Datadog", ANEW),
    keys(&["ruleNames"], "a policy of Sysdig", "it selects rules; the rules are in another file"),
    keys(&["policies"], "policies of Sysdig", "they select rules; the rules are in another file"),
    keys(&["rules", "version"], "a policy of another engine", ANEW),
    keys(&["sops"], "a file encrypted by SOPS", "decrypt it with `sops -d`"),
    keys(&["swagger"], "the description of an interface", "check which file is meant"),
    keys(&["openapi"], "the description of an interface", "check which file is meant"),
];

/// Keys of the engine's configuration, one of which is enough.
const CONFIGURATION: &[&str] = &[
    "rules_files",
    "rules_file",
    "config_files",
    "engine",
    "load_plugins",
    "plugins",
    "json_output",
    "stdout_output",
    "file_output",
    "syslog_output",
    "http_output",
    "program_output",
    "grpc",
    "webserver",
    "log_level",
    "log_stderr",
    "outputs_queue",
    "append_output",
    "base_syscalls",
    "syscall_event_drops",
    "buffered_outputs",
    "rule_matching",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(bytes: &[u8]) -> Option<&'static str> {
        let text = peregrine_yaml::decode(bytes);
        let documents = peregrine_yaml::parse(&text).ok();
        let document = documents.as_ref().and_then(|documents| documents.first());
        let foreign = recognise(&text, document)?;
        assert!(text.get(foreign.span.0..foreign.span.1).is_some(), "{foreign:?}");
        Some(foreign.what)
    }

    #[test]
    fn files_of_other_programs_are_recognised() {
        for (text, what) in [
            (&b"<!DOCTYPE html>\n<html></html>\n"[..], "a web page"),
            (b"404: Not Found", "the answer of a server that has no such file"),
            (b"\x1f\x8b\x08\0\0\0", "a file compressed with gzip"),
            (b"\x7fELF\x02\x01\x01\0", "a program"),
            (b"\x28\xb5\x2f\xfd\x04\0", "a file compressed with zstd"),
            (b"\x0a\x0d\x0d\x0a\x1c\0\0\0", "a capture of events"),
            (b"PK\x03\x04\x14", "a ZIP archive"),
            (b"version https://git-lfs.github.com/spec/v1\noid x\n", "a pointer of Git LFS"),
            (b"apiVersion: v1\nkind: ConfigMap\ndata: {}\n", "a Kubernetes ConfigMap"),
            (b"apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\n", "a policy of Tetragon"),
            (b"apiVersion: v1\nkind: Pod\n", "a Kubernetes object"),
            (b"title: x\nlogsource: {}\ndetection: {}\n", "a rule of Sigma"),
            (b"customRules:\n  x.yaml: |-\n    - rule: a\n", "values of a Helm chart"),
            (b"rules_files: [a]\njson_output: true\n", "a configuration of the engine"),
            (b"rules_files: [a\njson_output: true\n", "a configuration of the engine"),
            (b"services: {web: {image: x}}\n", "a file of Docker Compose"),
            (b"- hosts: all\n  tasks: []\n", "a playbook of Ansible"),
            (b"- alert: x\n  expr: up == 0\n", "rules of Prometheus"),
            (b"-w /etc/passwd -p wa -k identity\n", "rules of auditd"),
            (b"[[rules]]\nname = \"x\"\n", "an INI or TOML file"),
            (b"falco:\n  x: y\ndriver: {kind: ebpf}\n", "values of a Helm chart"),
            (b"alert tcp any any -> any any (msg:\"x\";)\n", "rules of Snort or Suricata"),
        ] {
            assert_eq!(seen(text), Some(what), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn rules_are_no_foreign_file() {
        for text in [
            "- rule: x\n  desc: d\n",
            "- list: plugins\n  items: [engine]\n",
            "- macro: hosts\n  condition: a\n",
            "rule: x\ndesc: d\n",
            "",
        ] {
            assert_eq!(seen(text.as_bytes()), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_judged(bytes: Vec<u8>) {
            let _ = seen(&bytes);
        }
    }
}
