//! What passes and does not do what is meant.

use super::{Case, check, load};

const RULE: &str = "  desc: d\n  output: o\n  priority: INFO\n";

const CASES: &[Case] = &[
    (
        b"- rule: Enter\n  desc: d\n  condition: evt.type = open and evt.dir = >\n  output: o\n  priority: INFO\n",
        &[("W0410", "3:34", "remove `evt.dir = >`")],
    ),
    (
        b"- rule: Exit\n  desc: d\n  condition: evt.type = open and evt.dir=<\n  output: o\n  priority: INFO\n",
        &[("W0405", "3:34", "nothing changes by it")],
    ),
    (
        b"- macro: entering\n  condition: (evt.type = open and evt.dir=>)\n- rule: Enter\n  desc: d\n  condition: proc.name = x and entering\n  output: o\n  priority: INFO\n",
        &[("W0410", "2:35", "remove `evt.dir=>`")],
    ),
    (
        b"- rule: Either\n  desc: d\n  condition: evt.type = open and (evt.dir = > or proc.name = x)\n  output: o\n  priority: INFO\n",
        &[("W0410", "3:35", "remove `evt.dir = >`")],
    ),
    (
        b"- rule: Not\n  desc: d\n  condition: evt.type = open and not evt.dir = >\n  output: o\n  priority: INFO\n",
        &[("W0410", "3:38", "remove `evt.dir = >`")],
    ),
    (
        b"- rule: Lookup\n  desc: d\n  condition: evt.type = connect and fd.sip.name = example.org\n  output: to %fd.sip.name by %proc.name\n  priority: INFO\n",
        &[("W0411", "4:14", "fd.snet"), ("W0411", "3:37", "fd.snet")],
    ),
    (
        b"- macro: plugin\n  condition: evt.pluginname exists\n- rule: Uses\n  desc: d\n  condition: evt.type = open and plugin\n  output: o\n  priority: INFO\n",
        &[("W0411", "2:14", "the `source` of the plugin")],
    ),
    (
        b"- rule: Cut\n  desc: see issue #12 of the tracker\n  condition: evt.type = open # all opens\n  output: o # text\n  priority: INFO\n",
        &[("W0003", "2:19", "quote the value")],
    ),
    (
        b"- rule: Tag\n  desc: '!important: a file'\n  \"condition\": !all evt.type = open\n  output: \"!x\"\n  priority: INFO\n",
        &[("W0004", "3:16", "quote the value")],
    ),
    (
        b"- rule: Anchor\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: INFO\n- rule: Anchor\n  condition: && proc.name = x\n  override: {condition: append}\n",
        &[("W0004", "7:14", "write `and`"), ("E0401", "7:17", "begins with one of them")],
    ),
    // Names of lists with a slip, in items, exceptions and conditions; names of macros.
    (
        b"- list: shell_binaries\n  items: [bash, sh]\n- list: programs\n  items: [shell_binarys, vi]\n- list: programs\n  items: [shell-binaries, ed]\n  override: {items: append}\n- rule: R\n  desc: d\n  condition: evt.type = execve and proc.name in (programs) and not proc.pname in (shell_binaries)\n  output: o\n  priority: INFO\n",
        &[
            ("W0406", "4:11", "did you mean the list `shell_binaries`?"),
            ("W0406", "6:11", "did you mean the list `shell_binaries`?"),
        ],
    ),
    (
        b"- list: shell_binaries\n  items: [bash, sh]\n- rule: R\n  desc: d\n  condition: evt.type = execve and not proc.pname in (shell_binaries)\n  output: o\n  priority: INFO\n  exceptions:\n    - name: known\n      fields: [proc.name, proc.pname]\n      comps: [in, =]\n      values:\n        - [shel_binaries, init]\n        - [[vi, shell_binaries], 'shell_binarys']\n",
        &[
            ("W0406", "13:12", "did you mean the list `shell_binaries`?"),
            ("W0406", "14:35", "did you mean the list `shell_binaries`?"),
        ],
    ),
    (
        b"- list: shells\n  items: [bash, sh]\n- rule: R\n  desc: d\n  condition: evt.type = execve and proc.name in (shell) and not proc.pname in (shells, shell)\n  output: o\n  priority: INFO\n",
        &[("W0406", "5:50", "did you mean the list `shells`?")],
    ),
    (
        b"- macro: a_shell\n  condition: proc.name in (bash, sh)\n- rule: R\n  desc: d\n  condition: evt.type = execve and proc.pname in (a_shell, vi) and not a_shell\n  output: o\n  priority: INFO\n",
        &[("W0413", "5:51", "a macro is a whole condition")],
    ),
    // Numbers that look octal.
    (
        b"- list: ids\n  items: [0, 0100, 007]\n- rule: R\n  desc: d\n  condition: evt.type = open and (user.uid in (ids) or group.gid = 0010 or fd.name = 0644 or fd.num > 0)\n  output: o\n  priority: INFO\n",
        &[
            ("W0412", "2:14", "`64` for the octal number"),
            ("W0412", "2:20", "write `7`"),
            ("W0412", "5:68", "`8` for the octal number"),
        ],
    ),
    (
        b"- list: a\r  items: [b]\r- rule: R\r  desc: d\r  condition: proc.nmae in (a)\r  output: o\r  priority INFO\r",
        &[
            ("W0005", "1:1", "line feeds"),
            ("E0012", "7:3", "write `priority: INFO`"),
        ],
    ),
];

#[test]
fn what_never_does_what_is_meant() {
    insta::assert_snapshot!(check(CASES));
}

#[test]
fn results_in_the_form_of_falco_do_not_change() {
    let text =
        format!("- rule: Lookup\n  condition: evt.type = connect and fd.sip.name = a\n{RULE}");
    let result = load(text.as_bytes());
    assert_eq!(result.to_text(), "rules.yaml: Ok");
    assert_eq!(result.to_json()["warnings"].as_array().map(Vec::len), Some(0));
    let text = format!("- rule: Enter\n  condition: evt.type = open and evt.dir = >\n{RULE}");
    let json = load(text.as_bytes()).to_json();
    assert_eq!(json["warnings"][0]["code"], "LOAD_DEPRECATED_ITEM");
    assert_eq!(json["warnings"][0]["deprecated_field"], "evt.dir");
}
