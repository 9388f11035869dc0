//! Pages about YAML and items.

use peregrine_rules::Cause as C;

use super::page::Example::{File, None};
use super::page::{Page, page};

/// A rule without its first lines.
macro_rules! rule {
    ($($line:literal)*) => { concat!($($line, "\n",)* ) };
}

pub(super) const PAGES: &[Page] = &[
    page(
        C::InvalidYaml,
        "The file is not valid YAML, in a way that no other code describes.",
        File(rule!("- rule: R" "  desc: \"\\x\""), ""),
        "Look at the line of the error and the line above it: indentation, a missing quote or colon.",
    ),
    page(
        C::ForeignFile,
        "The file belongs to another program, and is not valid YAML.",
        File(rule!("rules_files:" "  - /etc/falco/falco_rules.yaml" "json_output true"), ""),
        "Check which file is meant. A configuration is checked by `peregrine -c FILE --dry-run`.",
    ),
    page(
        C::Template,
        "The file is a template, which has to be rendered first.",
        File("{{- if .Values.rules }}\n- list: a\n  items: []\n{{- end }}\n", ""),
        "Render it (`helm template`, `ansible`), and load the result.",
    ),
    page(
        C::MergeConflict,
        "The file contains marks of a merge that was not finished.",
        File(
            rule!("- rule: R" "<<<<<<< HEAD" "  desc: d" "=======" "  desc: e" ">>>>>>> theirs" "  condition: evt.type = open" "  output: o" "  priority: INFO"),
            rule!("- rule: R" "  desc: d" "  condition: evt.type = open" "  output: o" "  priority: INFO"),
        ),
        "Choose one side of each conflict, and remove the marks.",
    ),
    page(
        C::CodeFence,
        "The file contains a fence of Markdown.",
        File(
            rule!("```yaml" "- rule: R" "  desc: d" "  condition: evt.type = open" "  output: o" "  priority: INFO" "```"),
            rule!("- rule: R" "  desc: d" "  condition: evt.type = open" "  output: o" "  priority: INFO"),
        ),
        "Remove the lines that begin with three backquotes.",
    ),
    page(
        C::YamlTooLarge,
        "The YAML nests too deep, or its aliases expand to too much.",
        None,
        "Write it flatter.",
    ),
    page(
        C::Tab,
        "A tab indents a line. YAML is indented by blanks.",
        File(
            rule!("- rule: R" "\tdesc: d" "  condition: evt.type = open" "  output: o" "  priority: INFO"),
            rule!("- rule: R" "  desc: d" "  condition: evt.type = open" "  output: o" "  priority: INFO"),
        ),
        "Replace tabs by blanks; editors do so for YAML.",
    ),
    page(
        C::Lookalike,
        "A character looks like one that YAML needs, such as a no-break blank.",
        File(
            rule!("- rule: R" " \u{a0}desc: d" "  condition: evt.type = open" "  output: o" "  priority: INFO"),
            rule!("- rule: R" "  desc: d" "  condition: evt.type = open" "  output: o" "  priority: INFO"),
        ),
        "Replace it by the plain character.",
    ),
    page(
        C::MissingColon,
        "A key is not followed by `: `.",
        File(rule!("- list: a" "  items []"), ""),
        "Write `key: value`, with a blank behind the colon.",
    ),
    page(
        C::MissingDash,
        "An item of a list does not begin with `- `.",
        File(
            rule!("- rule: R" "  desc: d" "  condition: evt.type = open" "  output: o" "  priority: INFO" "rule: S" "  desc: d" "  condition: evt.type = close" "  output: o" "  priority: INFO"),
            rule!("- rule: R" "  desc: d" "  condition: evt.type = open" "  output: o" "  priority: INFO" "- rule: S" "  desc: d" "  condition: evt.type = close" "  output: o" "  priority: INFO"),
        ),
        "Begin each item with `- `, in the same column.",
    ),
    page(
        C::Indentation,
        "A key or item stands in another column than those beside it.",
        File(
            rule!("- rule: R" "  desc: d" "  condition: evt.type = open" "   output: o" "  priority: INFO"),
            rule!("- rule: R" "  desc: d" "  condition: evt.type = open" "  output: o" "  priority: INFO"),
        ),
        "Keys of an item begin in the same column.",
    ),
    page(
        C::UnindentedText,
        "Text below a key is not indented.",
        File(
            rule!("- rule: R" "  desc: d" "  condition: >" "evt.type = open" "and proc.name = cat" "  output: o" "  priority: INFO"),
            rule!("- rule: R" "  desc: d" "  condition: >" "    evt.type = open" "    and proc.name = cat" "  output: o" "  priority: INFO"),
        ),
        "Indent the text below `condition: >` further than the key.",
    ),
    page(
        C::Quote,
        "A quote within a quoted value ends it too early.",
        File(
            rule!("- rule: R" "  desc: 'don't do that'" "  condition: evt.type = open" "  output: o" "  priority: INFO"),
            rule!("- rule: R" "  desc: 'don''t do that'" "  condition: evt.type = open" "  output: o" "  priority: INFO"),
        ),
        "Double it between single quotes, or use the other kind of quotes.",
    ),
    page(
        C::UnclosedQuote,
        "A quoted value is never closed.",
        File(
            rule!("- rule: R" "  desc: 'd" "  condition: evt.type = open" "  output: o" "  priority: INFO"),
            rule!("- rule: R" "  desc: 'd'" "  condition: evt.type = open" "  output: o" "  priority: INFO"),
        ),
        "Close it with the same quote.",
    ),
    page(
        C::Escape,
        "A double-quoted value has a backslash in front of a character that it does not escape.",
        File(
            rule!("- rule: R" "  desc: d" "  condition: evt.type = open" "  output: \"C:\\dir\"" "  priority: INFO"),
            rule!("- rule: R" "  desc: d" "  condition: evt.type = open" "  output: 'C:\\dir'" "  priority: INFO"),
        ),
        "Use single quotes, in which a backslash is itself, or a block of text (`>`).",
    ),
    page(
        C::Bracket,
        "A bracket or brace is opened and never closed, or the reverse.",
        File(rule!("- list: a" "  items: [b, c"), ""),
        "Add the other half.",
    ),
    page(
        C::Comma,
        "A comma is missing in a list between brackets, or there is one too many.",
        File(
            rule!("- rule: R" "  desc: d" "  condition: evt.type = open" "  output: o" "  priority: INFO" "  tags: [a,, b]"),
            rule!("- rule: R" "  desc: d" "  condition: evt.type = open" "  output: o" "  priority: INFO" "  tags: [a, b]"),
        ),
        "Separate items by one comma each.",
    ),
    page(
        C::Indicator,
        "An unquoted value begins with a character that has a meaning in YAML, such as `*`, `%` or `!`.",
        File(
            rule!("- rule: R" "  desc: d" "  condition: evt.type = open" "  output: %proc.name" "  priority: INFO"),
            rule!("- rule: R" "  desc: d" "  condition: evt.type = open" "  output: '%proc.name'" "  priority: INFO"),
        ),
        "Put the value between quotes.",
    ),
    page(
        C::ColonInValue,
        "An unquoted value contains `: `, which YAML reads as another key.",
        File(
            rule!("- rule: R" "  desc: d" "  condition: evt.type = open" "  output: opened: file" "  priority: INFO"),
            rule!("- rule: R" "  desc: d" "  condition: evt.type = open" "  output: 'opened: file'" "  priority: INFO"),
        ),
        "Put the value between quotes.",
    ),
    page(
        C::EmptyFile,
        "The file is empty.",
        None,
        "Remove it from the configuration, or write rules into it.",
    ),
    page(
        C::NoItems,
        "The file has no rules, macros and lists, and seems to belong to another program.",
        File(rule!("- hosts: all" "  tasks: []"), ""),
        "Check which file is meant.",
    ),
    page(
        C::CommentInValue,
        "A comment stands between the lines of an unquoted value. The comment ends the value, so that the lines behind it belong to nothing.",
        File(
            "- rule: R\n  desc: d\n  condition: evt.type = open\n    # only cat\n    and proc.name = cat\n  output: o\n  priority: INFO\n",
            "- rule: R\n  desc: d\n  # only cat\n  condition: evt.type = open\n    and proc.name = cat\n  output: o\n  priority: INFO\n",
        ),
        "Move the comment above the key.",
    ),
    page(
        C::CutByComment,
        "` #` in an unquoted value begins a comment, which cuts the value off.",
        File(
            rule!("- rule: R" "  desc: see issue #12" "  condition: evt.type = open" "  output: o" "  priority: INFO"),
            rule!("- rule: R" "  desc: 'see issue #12'" "  condition: evt.type = open" "  output: o" "  priority: INFO"),
        ),
        "Put the value between quotes.",
    ),
    page(
        C::Tag,
        "A value that begins with `!` is read as a tag of YAML, one that begins with `&&` as an anchor, and this part of its text is lost.",
        File(
            rule!("- rule: R" "  desc: d" "  condition: evt.type = open" "  output: !important file" "  priority: INFO"),
            rule!("- rule: R" "  desc: d" "  condition: evt.type = open" "  output: '!important file'" "  priority: INFO"),
        ),
        "Put the value between quotes.",
    ),
    page(
        C::BareReturns,
        "The lines of the file end in a carriage return alone, as on old machines. It is valid YAML; most tools, and places in messages of Falco, take it for one line.",
        None,
        "Replace carriage returns by line feeds; editors offer it as a line ending.",
    ),
    page(
        C::NotItems,
        "The file is not a list of items.",
        File("list: a\nitems: []\n", ""),
        "Begin each item with `- `.",
    ),
    page(
        C::ItemNotMapping,
        "An item has no keys.",
        File("- just words\n", ""),
        "An item is a rule, macro, list or required version: `- rule: NAME`.",
    ),
    page(
        C::MissingKey,
        "An item lacks a key that it must have.",
        File("- list: a\n", ""),
        "Add the key. A rule needs `rule`, `condition`, `desc`, `output` and `priority`, a macro `condition`, a list `items`.",
    ),
    page(
        C::EmptyValue,
        "A key has no value.",
        File("- macro:\n  condition: proc.name = a\n", ""),
        "Write the value, or remove the key.",
    ),
    page(
        C::WrongType,
        "A value has another form than the key takes.",
        File("- list: a\n  items: b, c\n", ""),
        "`items` and `tags` take a list: [a, b]. `peregrine --rule-schema` shows the form of all keys.",
    ),
    page(
        C::InvalidPriority,
        "The word is not a priority.",
        File(
            rule!("- rule: R" "  desc: d" "  condition: evt.type = open" "  output: o" "  priority: HIGH"),
            rule!("- rule: R" "  desc: d" "  condition: evt.type = open" "  output: o" "  priority: CRITICAL"),
        ),
        "The priorities are EMERGENCY, ALERT, CRITICAL, ERROR, WARNING, NOTICE, INFORMATIONAL and DEBUG.",
    ),
    page(
        C::OverrideAndAppend,
        "An item has both `override` and `append`.",
        File(
            rule!("- rule: R" "  desc: d" "  condition: evt.type = open" "  output: o" "  priority: INFO" "- rule: R" "  condition: and proc.name = cat" "  append: true" "  override: {condition: append}"),
            rule!("- rule: R" "  desc: d" "  condition: evt.type = open" "  output: o" "  priority: INFO" "- rule: R" "  condition: and proc.name = cat" "  override: {condition: append}"),
        ),
        "Remove `append`: `override: {condition: append}` says it.",
    ),
    page(
        C::InvalidOverride,
        "`override` names an operation or key that it does not have.",
        File(
            rule!("- rule: R" "  desc: d" "  condition: evt.type = open" "  output: o" "  priority: INFO" "- rule: R" "  condition: and proc.name = cat" "  override: {condition: add}"),
            rule!("- rule: R" "  desc: d" "  condition: evt.type = open" "  output: o" "  priority: INFO" "- rule: R" "  condition: and proc.name = cat" "  override: {condition: append}"),
        ),
        "The operations are `append` and `replace`; `peregrine --rule-schema` shows which keys have them.",
    ),
    page(
        C::OverrideWithoutKey,
        "`override` names a key that the item does not have.",
        File(
            rule!("- rule: R" "  desc: d" "  condition: evt.type = open" "  output: o" "  priority: INFO" "- rule: R" "  override: {condition: append}"),
            rule!("- rule: R" "  desc: d" "  condition: evt.type = open" "  output: o" "  priority: INFO" "- rule: R" "  condition: and proc.name = cat" "  override: {condition: append}"),
        ),
        "Add the key, or remove it from `override`.",
    ),
    page(
        C::KeyWithoutOverride,
        "An item with `override` has a key that `override` does not name.",
        File(
            rule!("- rule: R" "  desc: d" "  condition: evt.type = open" "  output: o" "  priority: INFO" "- rule: R" "  condition: and proc.name = cat" "  output: p" "  override: {condition: append}"),
            rule!("- rule: R" "  desc: d" "  condition: evt.type = open" "  output: o" "  priority: INFO" "- rule: R" "  condition: and proc.name = cat" "  output: p" "  override: {condition: append, output: replace}"),
        ),
        "Name it below `override`, or remove it.",
    ),
    page(
        C::EmptyChange,
        "An item changes nothing of the rule that it names.",
        File(
            rule!("- rule: R" "  desc: d" "  condition: evt.type = open" "  output: o" "  priority: INFO" "- rule: R" "  append: true"),
            rule!("- rule: R" "  desc: d" "  condition: evt.type = open" "  output: o" "  priority: INFO" "- rule: R" "  condition: and proc.name = cat" "  override: {condition: append}"),
        ),
        "Add what it is to change, or remove it.",
    ),
    page(
        C::OverrideNotMapping,
        "`override` is a list.",
        File(
            rule!("- rule: R" "  desc: d" "  condition: evt.type = open" "  output: o" "  priority: INFO" "- rule: R" "  condition: and proc.name = cat" "  override: [condition]"),
            rule!("- rule: R" "  desc: d" "  condition: evt.type = open" "  output: o" "  priority: INFO" "- rule: R" "  condition: and proc.name = cat" "  override: {condition: append}"),
        ),
        "Write `override: {condition: append}`.",
    ),
    page(
        C::NotAWord,
        "A list or mapping stands where a word must stand.",
        File(
            rule!("- rule: R" "  desc: d" "  condition: evt.type = open" "  output: o" "  priority: INFO" "  [a]: b"),
            rule!("- rule: R" "  desc: d" "  condition: evt.type = open" "  output: o" "  priority: INFO"),
        ),
        "Write a word, or put the value between quotes.",
    ),
    page(
        C::ForeignItems,
        "The file belongs to another program.",
        File(rule!("apiVersion: v1" "kind: ConfigMap" "data:" "  rules.yaml: ''"), ""),
        "Check which file is meant. A configuration is checked by `peregrine -c FILE --dry-run`; rules of other engines have to be written anew.",
    ),
    page(
        C::InvalidLegacyFile,
        "A line of a file in the format of 2016 is not valid.",
        File(rule!("opened: evt.type = open | INFO opened %fd.name"), ""),
        "`peregrine rules convert FILE` writes valid files as YAML; docs/old-rules.md shows the format.",
    ),
    page(
        C::MisnamedKey,
        "A required key is written under another name.",
        File(
            rule!("- rule: R" "  description: d" "  condition: evt.type = open" "  output: o" "  priority: INFO"),
            rule!("- rule: R" "  desc: d" "  condition: evt.type = open" "  output: o" "  priority: INFO"),
        ),
        "Rename the key; the message names the right one.",
    ),
    page(
        C::UnknownItem,
        "An item is neither a rule, macro, list nor a required version. It is ignored.",
        File("- name: a\n", ""),
        "Correct the key that names the item.",
    ),
    page(
        C::UnknownKey,
        "An item has a key that it can't have. The key is ignored.",
        File(
            rule!("- rule: R" "  desc: d" "  condition: evt.type = open" "  output: o" "  priority: INFO" "  tag: [a]"),
            rule!("- rule: R" "  desc: d" "  condition: evt.type = open" "  output: o" "  priority: INFO" "  tags: [a]"),
        ),
        "Correct the key, or move it to the item it belongs to; `peregrine --rule-schema` lists the keys of each item.",
    ),
    page(
        C::DuplicateKey,
        "An item has a key twice. The first one counts.",
        File(
            rule!("- rule: R" "  desc: d" "  condition: evt.type = open" "  output: o" "  priority: INFO" "  output: p"),
            rule!("- rule: R" "  desc: d" "  condition: evt.type = open" "  output: o" "  priority: INFO"),
        ),
        "Remove one of the two. To have two conditions, join them with `and` or `or`.",
    ),
    page(
        C::DeprecatedAppend,
        "`append: true` is deprecated.",
        File(
            rule!("- rule: R" "  desc: d" "  condition: evt.type = open" "  output: o" "  priority: INFO" "- rule: R" "  condition: and proc.name = cat" "  append: true"),
            rule!("- rule: R" "  desc: d" "  condition: evt.type = open" "  output: o" "  priority: INFO" "- rule: R" "  condition: and proc.name = cat" "  override: {condition: append}"),
        ),
        "Write `override: {condition: append}`, which names what is appended.",
    ),
    page(
        C::DeprecatedEnabled,
        "`enabled` without `override` is deprecated.",
        File(
            rule!("- rule: R" "  desc: d" "  condition: evt.type = open" "  output: o" "  priority: INFO" "- rule: R" "  enabled: false"),
            rule!("- rule: R" "  desc: d" "  condition: evt.type = open" "  output: o" "  priority: INFO" "- rule: R" "  enabled: false" "  override: {enabled: replace}"),
        ),
        "Add `override: {enabled: replace}`.",
    ),
    page(
        C::LegacyFile,
        "The file is in the rules format of 2016.",
        File(
            rule!("evt.type = open and fd.name = /etc/shadow | WARNING opened %fd.name"),
            rule!("- rule: R" "  desc: d" "  condition: evt.type = open and fd.name = /etc/shadow" "  output: opened %fd.name" "  priority: WARNING"),
        ),
        "`peregrine rules convert FILE` writes it as YAML.",
    ),
];
