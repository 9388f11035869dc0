use super::{Case, check};

/// Good keys of a rule, without those named.
const CASES: &[Case] = &[
    (
        b"- rule: Shell\n  desc: d\n  condition: evt.type = open\n",
        &[("E0103", "1:9", "add these keys: output, priority")],
    ),
    (
        b"- rule: Shell\n",
        &[("E0103", "1:9", "add these keys: condition, output, desc, priority")],
    ),
    (
        b"- rule: Shell\n  description: d\n  condition: evt.type = open\n  message: m\n  severity: INFO\n",
        &[
            ("E0116", "4:3", "write `output`"),
            ("E0116", "2:3", "write `desc`"),
            ("E0116", "5:3", "write `priority`"),
        ],
    ),
    (
        b"- rule: Shell\n  desc: d\n  cond: evt.type = open\n  output: o\n  prio: HIGH\n",
        &[("E0116", "3:3", "write `condition`"), ("E0116", "5:3", "write `priority`")],
    ),
    (
        b"- rule: Shell\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: HIGH\n",
        &[("E0106", "5:13", "`ERROR` is about the same; the priorities are EMERGENCY, ALERT")],
    ),
    (
        b"- rule: Shell\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: medium\n",
        &[("E0106", "5:13", "`WARNING` is about the same")],
    ),
    (
        b"- rule: Shell\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: warn\n",
        &[("E0106", "5:13", "did you mean `WARNING`?")],
    ),
    (
        b"- rule: Shell\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: err\n",
        &[("E0106", "5:13", "did you mean `ERROR`?")],
    ),
    (
        b"- rule: Shell\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: frobnicate\n",
        &[("E0106", "5:13", "the priorities are EMERGENCY")],
    ),
    (
        b"- rule: Shell\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: [INFO]\n  enabled: maybe\n  tags: process\n",
        &[
            ("E0105", "5:13", "write `priority: …`"),
            ("E0105", "6:12", "write `true` or `false`"),
            ("E0105", "7:9", "[process]"),
        ],
    ),
    (
        b"- rule: Shell\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: INFO\n  tag: [a]\n  enable: true\n  items: [b]\n",
        &[
            ("W0102", "6:3", "did you mean `tags`?"),
            ("W0102", "7:3", "did you mean `enabled`?"),
            ("W0102", "8:3", "`items` is a key of lists"),
        ],
    ),
    (
        b"- macro: shell\n  cond: proc.name = sh\n",
        &[("E0116", "2:3", "write `condition`")],
    ),
    (
        b"- macro: shell\n  desc: d\n",
        &[("E0103", "1:10", "add `condition: "), ("W0102", "2:3", "only rules have `desc`")],
    ),
    (b"- list: shells\n  values: [sh]\n", &[("E0116", "2:3", "write `items`")]),
    (b"- list: shells\n  items:\n    -sh\n    -bash\n", &[("E0105", "3:5", "[sh, bash]")]),
    (b"- list: shells\n  items: sh, bash\n", &[("E0105", "2:10", "[sh, bash]")]),
    (
        b"- name: Shell\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: INFO\n",
        &[("W0101", "1:3", "did you mean `rule`?")],
    ),
    (b"- Rules: x\n- lists: y\n", &[
        ("W0101", "1:3", "did you mean `rule`?"),
        ("W0101", "2:3", "did you mean `list`?"),
    ]),
    (b"- just words\n- [a, b]\n", &[
        ("E0102", "1:3", "`- rule: NAME`"),
        ("E0102", "2:3", "`- rule: NAME`"),
    ]),
    (
        b"- rule: Shell\n  desc: d\n  condition: evt.type = open\n  output: o\n- rule: Other\n  desc: d\n  condition: proc.nmae = x\n  output: o\n  priority: INFO\n",
        &[("E0103", "1:9", "add `priority: "), ("E0402", "7:14", "proc.name")],
    ),
    (
        b"- rule: Shell\n  desc: d\n  condition: evt.type = open\n  output: o\n  exceptions: [{fields: proc.name}]\n",
        &[("E0103", "1:9", "add `priority: "), ("E0103", "5:16", "add `name: ")],
    ),
    (
        b"- rule: Shell\n  description: d\n  condition: proc.nmae = sh\n  output: o %fd.nam\n  priority: INFO\n",
        &[("E0116", "2:3", "write `desc`"), ("E0501", "4:14", "fd.nam"), ("E0402", "3:14", "proc.name")],
    ),
    (
        b"- macro: broken\n- rule: Uses\n  desc: d\n  condition: broken and evt.type = open\n  output: o\n  priority: INFO\n- rule: Uses\n  condition: and proc.name = x\n  override: {condition: append}\n",
        &[("E0103", "1:10", "add `condition: ")],
    ),
    (
        b"- rule: One\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: INFO\n- rule: One\n  condition: and proc.name = x\n",
        &[("E0103", "6:9", "name the changed keys below `override`")],
    ),
    (
        b"- required_engine_version: v0.31\n- required_plugin_versions: {name: json, version: 0.1.0}\n- list: l\n  items: [a, [b, c]]\n- macro: m\n  condition:\n",
        &[
            ("E0202", "1:3", "write `0.31.0`"),
            ("E0105", "2:29", "write a list"),
            ("E0105", "4:14", "give the inner one a name"),
            ("E0104", "6:3", "behind `condition:`"),
        ],
    ),
    (
        b"- rule: Shell\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: INFO\n  exceptions:\n    - name: e\n      fields: [proc.name, fd.name]\n      values: [cat, /etc/motd]\n- rule: Shell\n  condition: and proc.name = x\n  override: append\n- rule: Other\n  <<: {desc: d}\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: INFO\n  source: syscalls\n",
        &[
            ("E0103", "10:9", "`override: {condition: append, priority: replace}`"),
            ("W0201", "13:3", "did you mean `syscall`?"),
            ("W0102", "14:3", "write the keys out"),
            ("E0601", "7:7", "`[proc.name, fd.name]`"),
        ],
    ),
];

#[test]
fn mistakes_in_items() {
    insta::assert_snapshot!(check(CASES));
}
