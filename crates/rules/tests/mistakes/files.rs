use super::{Case, check, load};

const CASES: &[Case] = &[
    (b"", &[("W0001", "1:1", "remove it")]),
    (
        b"rule: Shell\ndesc: d\ncondition: evt.type = open\n",
        &[("E0101", "1:1", "begin it with `- `")],
    ),
    (
        b"rules:\n  - rule: Shell\n    desc: d\n",
        &[("E0101", "1:1", "remove this key and the indentation below it")],
    ),
    (b"just words\n", &[("E0101", "1:1", "`- rule: NAME`")]),
    (
        b"rules_files:\n  - /etc/falco/falco_rules.yaml\njson_output: true\n",
        &[("E0115", "1:1", "peregrine -c FILE --dry-run")],
    ),
    (
        b"rules_files:\n  - /etc/falco/falco_rules.yaml\njson_output true\n",
        &[("E0002", "1:1", "peregrine -c FILE --dry-run")],
    ),
    (
        b"apiVersion: v1\nkind: ConfigMap\ndata:\n  rules.yaml: |\n    - rule: x\n",
        &[("E0115", "2:1", "texts below `data`")],
    ),
    (
        b"customRules:\n  my.yaml: |-\n    - rule: x\n",
        &[("E0115", "1:1", "texts below `customRules`")],
    ),
    (b"title: x\nlogsource:\n  product: linux\ndetection: {}\n", &[("E0115", "2:1", "`detection`")]),
    (b"services:\n  web:\n    image: nginx\n", &[("E0115", "1:1", "check which file is meant")]),
    (b"apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\n", &[("E0115", "2:1", "anew")]),
    (
        b"apiVersion: security.kubearmor.com/v1\nkind: KubeArmorPolicy\n",
        &[("E0115", "2:1", "anew")],
    ),
    (b"<!DOCTYPE html>\n<html>404</html>\n", &[("E0115", "1:1", "raw file")]),
    (b"404: Not Found", &[("E0115", "1:1", "address of the download")]),
    (b"\x1f\x8b\x08\x00\x00", &[("E0115", "1:1", "unpack it first")]),
    (b"\x7fELF\x02\x01\x01\x00", &[("E0115", "1:1", "check which file is meant")]),
    (b"- hosts: all\n  tasks: []\n", &[
        ("W0101", "1:3", "items are rules, macros and lists"),
        ("W0002", "1:3", "check which file is meant"),
    ]),
    (
        b"{{- if .Values.rules }}\n- rule: x\n{{- end }}\n",
        &[("E0003", "1:1", "helm template")],
    ),
    (
        b"- rule: x\n  desc d\n- rule: y\n  desc: 'don't'\n- list: z\n- macro: w\n  condition: a: b\n",
        &[
            ("E0012", "2:3", "write `desc: d`"),
            ("E0016", "4:13", "write `''` for it"),
            ("E0022", "7:15", "quote the value"),
            ("E0103", "5:9", "add `items: "),
        ],
    ),
    (
        b"- macro: broken\n  condition evt.type = open\n- rule: x\n  desc: d\n  condition: broken and proc.nmae = x\n  output: o\n",
        &[("E0012", "2:3", "write `condition: evt.type = open`"), ("E0103", "3:9", "add `priority"), ("E0402", "5:25", "proc.name")],
    ),
    (b"- rule: x\n<<<<<<< HEAD\n  desc: a\n=======\n  desc: b\n>>>>>>> b\n", &[
        ("E0004", "2:1", "keep one side"),
    ]),
    ("\u{feff}- list: a\r\n  items: [a,\r\n".as_bytes(), &[("E0019", "2:10", "write `]`")]),
];

#[test]
fn files_that_hold_no_rules() {
    insta::assert_snapshot!(check(CASES));
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read(bytes: Vec<u8>) {
        let result = load(&bytes);
        for problem in result.problems() {
            let _ = (problem.to_string(), problem.to_json());
        }
    }

    #[test]
    fn any_text_like_rules_is_read(
        text in r"(- |rule|macro|list|: |\n|\n  |condition|priority|items|desc|[-a'\x22\[\]{}*&%>|#\t,é ]){0,40}"
    ) {
        let result = load(text.as_bytes());
        let explained = result.explanation();
        proptest::prop_assert!(result.successful() || explained.contains("error"));
    }
}
