//! Pages about versions, sources, names, outputs and exceptions.

use peregrine_rules::Cause as C;

use super::page::Example::{File, None, Output};
use super::page::{Page, page};

pub(super) const PAGES: &[Page] = &[
    page(
        C::EngineVersionTooNew,
        "The file needs a newer engine.",
        File("- required_engine_version: 0.99.0\n", "- required_engine_version: 0.57.0\n"),
        "Update the engine, or take the rules that were released for it.",
    ),
    page(
        C::InvalidEngineVersion,
        "The required version is not one of the engine.",
        File("- required_engine_version: newest\n", "- required_engine_version: 0.57.0\n"),
        "Write three numbers, `0.57.0`, or the middle one alone.",
    ),
    page(
        C::InvalidPluginVersion,
        "The required version of a plugin is not a version.",
        File(
            "- required_plugin_versions:\n  - name: container\n    version: any\n",
            "- required_plugin_versions:\n  - name: container\n    version: 0.4.0\n",
        ),
        "Write three numbers: `0.4.0`.",
    ),
    page(
        C::PluginTwice,
        "The alternatives of a required plugin name the same plugin again.",
        File(
            "- required_plugin_versions:\n  - name: a\n    version: 0.1.0\n    alternatives: [{name: a, version: 0.2.0}]\n",
            "- required_plugin_versions:\n  - name: a\n    version: 0.1.0\n    alternatives: [{name: b, version: 0.2.0}]\n",
        ),
        "Keep one of the two.",
    ),
    page(
        C::SourceChanged,
        "An item changes a rule and gives it another event source. A rule keeps its source.",
        File(
            "- rule: R\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: INFO\n- rule: R\n  source: k8s_audit\n  condition: and proc.name = cat\n  override: {condition: append}\n",
            "- rule: R\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: INFO\n- rule: R\n  condition: and proc.name = cat\n  override: {condition: append}\n",
        ),
        "Remove `source`, or give the rule another name.",
    ),
    page(
        C::NoSuchSource,
        "No loaded source supplies the events of the rule.",
        None,
        "Load the plugin that supplies them.",
    ),
    page(
        C::UnknownSource,
        "No loaded source supplies events of the rule's source. The rule is skipped.",
        File(
            "- rule: R\n  desc: d\n  condition: ka.verb = create\n  output: o\n  priority: INFO\n  source: k8s_audit\n",
            "- rule: R\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: INFO\n",
        ),
        "Load the plugin that supplies this event source, or correct `source`.",
    ),
    page(
        C::UndefinedMacro,
        "The condition uses a name that no macro has.",
        File(
            "- rule: R\n  desc: d\n  condition: evt.type = open and shel\n  output: o\n  priority: INFO\n",
            "- macro: shell\n  condition: proc.name in (sh, bash)\n- rule: R\n  desc: d\n  condition: evt.type = open and shell\n  output: o\n  priority: INFO\n",
        ),
        "Correct the name, or define the macro in this file or in one that is loaded earlier.",
    ),
    page(
        C::MacroTooLate,
        "A macro uses another one that is defined only behind it. Macros see those above them; rules see all.",
        File(
            "- macro: quiet\n  condition: not shell\n- macro: shell\n  condition: proc.name in (sh, bash)\n- rule: R\n  desc: d\n  condition: evt.type = open and quiet\n  output: o\n  priority: INFO\n",
            "- macro: shell\n  condition: proc.name in (sh, bash)\n- macro: quiet\n  condition: not shell\n- rule: R\n  desc: d\n  condition: evt.type = open and quiet\n  output: o\n  priority: INFO\n",
        ),
        "Move the definition in front of its use.",
    ),
    page(
        C::MacroLoop,
        "A macro refers to itself, directly or through others, so that it has no meaning.",
        File(
            "- macro: ping\n  condition: proc.name = a or pong\n- macro: pong\n  condition: proc.name = b or ping\n- rule: R\n  desc: d\n  condition: evt.type = open and ping\n  output: o\n  priority: INFO\n",
            "- macro: pong\n  condition: proc.name = b\n- macro: ping\n  condition: proc.name = a or pong\n- rule: R\n  desc: d\n  condition: evt.type = open and ping\n  output: o\n  priority: INFO\n",
        ),
        "Write the shared part as a macro of its own, which both use.",
    ),
    page(
        C::MacrosTooDeep,
        "Macros in macros make the condition deeper than the engine follows.",
        None,
        "Write the inner ones out.",
    ),
    page(
        C::ExpandsTooMuch,
        "Lists of lists or macros of macros expand to more than the engine holds.",
        None,
        "Use fewer levels. The limits are in docs/limits.md.",
    ),
    page(
        C::NoSuchList,
        "An item appends to a list that does not exist.",
        File(
            "- list: shells\n  items: [zsh]\n  override: {items: append}\n",
            "- list: shells\n  items: [sh]\n- list: shells\n  items: [zsh]\n  override: {items: append}\n- rule: R\n  desc: d\n  condition: evt.type = open and proc.name in (shells)\n  output: o\n  priority: INFO\n",
        ),
        "Define the list first, in this file or in one that is loaded earlier, or correct its name.",
    ),
    page(
        C::NoSuchMacro,
        "An item appends to a macro that does not exist.",
        File(
            "- macro: shell\n  condition: or proc.name = zsh\n  override: {condition: append}\n",
            "- macro: shell\n  condition: proc.name = sh\n- macro: shell\n  condition: or proc.name = zsh\n  override: {condition: append}\n- rule: R\n  desc: d\n  condition: evt.type = open and shell\n  output: o\n  priority: INFO\n",
        ),
        "Define the macro first, in this file or in one that is loaded earlier, or correct its name.",
    ),
    page(
        C::NoSuchRule,
        "An item changes a rule that does not exist.",
        File(
            "- rule: R\n  enabled: false\n  override: {enabled: replace}\n",
            "- rule: R\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: INFO\n- rule: R\n  enabled: false\n  override: {enabled: replace}\n",
        ),
        "Load the file that defines the rule first, or correct its name.",
    ),
    page(
        C::UndefinedList,
        "A name stands where a number, an address or an event type must stand, and no list has it.",
        File(
            "- rule: R\n  desc: d\n  condition: evt.type = connect and fd.sip in (my_ips)\n  output: o\n  priority: INFO\n",
            "- list: my_ips\n  items: [10.0.0.1]\n- rule: R\n  desc: d\n  condition: evt.type = connect and fd.sip in (my_ips)\n  output: o\n  priority: INFO\n",
        ),
        "Define the list in this file or in one that is loaded earlier, or correct its name.",
    ),
    page(
        C::WordAlone,
        "`and`, `or` or `not` was read as the name of a macro, because a condition is missing beside it.",
        File(
            "- rule: R\n  desc: d\n  condition: evt.type = open and not\n  output: o\n  priority: INFO\n",
            "- rule: R\n  desc: d\n  condition: evt.type = open and not proc.name = cat\n  output: o\n  priority: INFO\n",
        ),
        "Write the condition, or remove the word.",
    ),
    page(
        C::InvalidListName,
        "The list has a name that conditions can't refer to.",
        File("- list: my list\n  items: [a]\n", ""),
        "Use letters, digits, `_`, `-` and `.`.",
    ),
    page(
        C::InvalidMacroName,
        "The macro has a name that conditions can't refer to.",
        File("- macro: my-macro\n  condition: proc.name = a\n", ""),
        "Use letters, digits and `_`, beginning with a letter.",
    ),
    page(
        C::UnusedMacro,
        "No rule and no macro uses the macro.",
        File("- macro: shell\n  condition: proc.name = sh\n", ""),
        "Remove it, or use it. If another file uses it, validate both files in one command.",
    ),
    page(
        C::UnusedList,
        "No rule, macro or list uses the list.",
        File("- list: shells\n  items: [sh]\n", ""),
        "Remove it, or use it. If another file uses it, validate both files in one command.",
    ),
    page(
        C::UnknownOutputField,
        "The output refers to a field that does not exist.",
        Output("%proc.nmae opened it", "%proc.name opened it"),
        "`peregrine fields` lists and searches the fields.",
    ),
    page(
        C::InvalidOutput,
        "The output is not valid in another way than those below.",
        None,
        "Write text with fields in it: `%proc.name opened %fd.name`.",
    ),
    page(
        C::StrayPercent,
        "A `%` begins no field.",
        Output("100% of %proc.name", "100%% of %proc.name"),
        "Write `%%` for a percent sign. Falco has no way to write one: an output that has to load there does without.",
    ),
    page(
        C::ForeignPlaceholder,
        "A field is written as in another language.",
        Output("%{proc.name} opened it", "%proc.name opened it"),
        "Write `%` and the name of the field.",
    ),
    page(
        C::PluginOutputField,
        "The output refers to a field of a plugin that is not loaded.",
        Output("in %container.id", "by %proc.name"),
        "Load the plugin (`plugins` in falco.yaml). `container` is built in.",
    ),
    page(
        C::OutputArgument,
        "A field of the output needs an argument.",
        Output("flags %evt.arg", "flags %evt.arg.flags"),
        "`peregrine fields NAME` shows which argument the field takes.",
    ),
    page(
        C::OutputTransformer,
        "A transformer of the output does not apply to its arguments.",
        Output("%toupper(proc.pid)", "%toupper(proc.name)"),
        "`tolower`, `toupper` and `basename` take a text, `len` a text or a list.",
    ),
    page(
        C::SkippedOutput,
        "The output has an unknown field. The rule sets `skip-if-unknown-filter` and is skipped.",
        File(
            "- rule: R\n  desc: d\n  condition: evt.type = open\n  output: '%proc.nmae'\n  priority: INFO\n  skip-if-unknown-filter: true\n",
            "- rule: R\n  desc: d\n  condition: evt.type = open\n  output: '%proc.name'\n  priority: INFO\n  skip-if-unknown-filter: true\n",
        ),
        "Correct the name, or load the plugin that supplies it.",
    ),
    page(
        C::DeprecatedOutputField,
        "The output shows a field that will be removed.",
        Output("after %evt.latency", "by %proc.name"),
        "Remove it: since enter events are dropped, it has no value.",
    ),
    page(
        C::PrintedPlaceholder,
        "The output contains the name of a field as other languages write it. It is printed as it is.",
        Output("${proc.name} opened it", "%proc.name opened it"),
        "Write `%` and the name of the field.",
    ),
    page(
        C::FieldWithTail,
        "Letters follow a field without a blank, and both together resemble the name of another field.",
        Output("run %proc.exepat", "run %proc.exepath"),
        "Correct the name. If the letters are meant, put a blank between.",
    ),
    page(
        C::ContainerInfo,
        "The output contains `%container.info`, which shows nothing any more.",
        Output("opened (%container.info)", "opened"),
        "Remove it. The container plugin adds its fields to outputs by itself.",
    ),
    page(
        C::InvalidException,
        "Fields, operators and values of an exception do not belong together, or a field does not exist.",
        File(
            "- rule: R\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: INFO\n  exceptions:\n  - name: known\n    fields: [proc.name, fd.name]\n    values: [[cat]]\n",
            "- rule: R\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: INFO\n  exceptions:\n  - name: known\n    fields: [proc.name, fd.name]\n    values: [[cat, /etc/motd]]\n",
        ),
        "Give each field an operator and, in each entry of `values`, a value.",
    ),
    page(
        C::ExceptionsNotMappings,
        "`exceptions` or the values of one are not of the form that they must have.",
        File(
            "- rule: R\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: INFO\n  exceptions: known\n",
            "- rule: R\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: INFO\n  exceptions: [{name: known, fields: proc.name, values: [cat]}]\n",
        ),
        "`exceptions` is a list of mappings with `name`, `fields`, `comps` and `values`.",
    ),
    page(
        C::ExceptionTwice,
        "Two exceptions of a rule have the same name, so that it is unclear which one is appended to.",
        File(
            "- rule: R\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: INFO\n  exceptions: [{name: a, fields: proc.name, values: [cat]}, {name: a, fields: fd.name, values: [x]}]\n",
            "- rule: R\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: INFO\n  exceptions: [{name: a, fields: proc.name, values: [cat]}, {name: b, fields: fd.name, values: [x]}]\n",
        ),
        "Give each exception of the rule a name of its own.",
    ),
    page(
        C::ExceptionWithoutValues,
        "An exception is appended to without values, which changes nothing.",
        File(
            "- rule: R\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: INFO\n  exceptions: [{name: known, fields: proc.name, values: [cat]}]\n- rule: R\n  exceptions: [{name: known}]\n  override: {exceptions: append}\n",
            "- rule: R\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: INFO\n  exceptions: [{name: known, fields: proc.name, values: [cat]}]\n- rule: R\n  exceptions: [{name: known, values: [less]}]\n  override: {exceptions: append}\n",
        ),
        "Add values to the exception, or remove the item.",
    ),
];
