//! Pages about conditions.

use peregrine_rules::Cause as C;

use super::page::Example::{Condition, File, None};
use super::page::{Page, page};

pub(super) const PAGES: &[Page] = &[
    page(
        C::Syntax,
        "The text is not a condition, in a way that no other code describes.",
        Condition("evt.type = open proc.name = cat", "evt.type = open and proc.name = cat"),
        "A condition compares a field with a value. Conditions are joined by `and` and `or`, negated by `not` and grouped by parentheses.",
    ),
    page(
        C::UnknownField,
        "No field has this name.",
        Condition("proc.nmae = cat", "proc.name = cat"),
        "`peregrine fields` lists and searches the fields. If the field comes with a newer engine, `skip-if-unknown-filter: true` lets older engines skip the rule.",
    ),
    page(
        C::UnknownEventType,
        "`evt.type` is compared with a name that no event has, so that the comparison could never be true.",
        Condition("evt.type = opne", "evt.type = open"),
        "`peregrine events` lists the event types. They are written in lower case, without `sys_`.",
    ),
    page(
        C::InvalidTest,
        "The field can't have this value, or can't be compared with it.",
        Condition("evt.buffer bcontains xyz", "evt.buffer bcontains 78797a"),
        "`peregrine fields NAME` shows the type of a field and an example.",
    ),
    page(
        C::ForeignOperator,
        "The word or sign is an operator in other languages, but not in conditions.",
        Condition(
            "evt.type = open && proc.name not in (cat, less)",
            "evt.type = open and not proc.name in (cat, less)",
        ),
        "The operators are =, !=, <, <=, >, >=, in, intersects, contains, icontains, startswith, endswith, glob, iglob, regex, pmatch, bcontains, bstartswith and exists; conditions are joined by `and`, `or` and `not`.",
    ),
    page(
        C::MissingOperator,
        "A field stands alone: nothing says which of its values are meant.",
        Condition("evt.type = open and proc.name", "evt.type = open and proc.name exists"),
        "Compare it, or write `exists` behind it.",
    ),
    page(
        C::MissingValue,
        "An operator has no value behind it.",
        Condition("proc.name =", "proc.name = cat"),
        "Write the value. An empty text is `\"\"`.",
    ),
    page(
        C::MissingCondition,
        "`and`, `or` or `not` has no condition on one of its sides.",
        Condition("evt.type = open and and proc.name = cat", "evt.type = open and proc.name = cat"),
        "Remove the word, or write the condition that is missing. Only a condition that is appended to another begins with `and` or `or`.",
    ),
    page(
        C::Unbalanced,
        "A parenthesis or bracket is opened and not closed, or closed and not opened.",
        Condition("(evt.type = open or evt.type = creat", "(evt.type = open or evt.type = creat)"),
        "Add the other half. The message points to the one that has none.",
    ),
    page(
        C::UnclosedText,
        "A quote begins a text that nothing ends.",
        Condition("proc.name = \"cat", "proc.name = \"cat\""),
        "Close the text with the same quote. A text that contains `'` stands between `\"`, and the reverse.",
    ),
    page(
        C::InvalidEscape,
        "A backslash in a quoted text is followed by a character that it does not escape.",
        Condition("proc.name = \"a\\qb\"", "proc.name = \"a\\\\qb\""),
        "The escape sequences are \\\\, \\\", \\', \\/, \\b, \\f, \\n, \\r, \\t and \\xHH. Between quotes, `\\\\` is a backslash.",
    ),
    page(
        C::ListForm,
        "A list is written in another form, or stands where one value must stand.",
        Condition("proc.name = (cat, less)", "proc.name in (cat, less)"),
        "A list is written `(a, b)` and follows `in`, `intersects`, `pmatch`, or an operator with `anyof`, `oneof` or `allof`.",
    ),
    page(
        C::OddCharacter,
        "The text contains a typographic quote, a no-break blank or a character without width, as texts do that were copied from documents. They have no meaning in conditions.",
        Condition("proc.name\u{a0}= cat", "proc.name = cat"),
        "`peregrine rules fix` replaces them by the plain characters.",
    ),
    page(
        C::TemplateInCondition,
        "The condition contains a placeholder of a template language, which nothing has replaced.",
        Condition("proc.name = {{ name }}", "proc.name = cat"),
        "Render the template before the file is loaded. Lists and macros are referred to by their bare names.",
    ),
    page(
        C::LooseValue,
        "A value stands alone: in each comparison the field has to be named again, and a text that contains blanks has to be quoted.",
        Condition("proc.name = 'cat' or 'less'", "proc.name in ('cat', 'less')"),
        "Compare with a list, name the field again, or put quotes around the whole text.",
    ),
    page(
        C::TooDeep,
        "Parentheses and negations nest deeper than the engine follows.",
        None,
        "Write `field in (a, b)` instead of many `or`, and move parts into macros.",
    ),
    page(
        C::PluginField,
        "The field is supplied by a plugin that is not loaded.",
        Condition("container.id != host", "proc.pid exists"),
        "Load the plugin (`plugins` and `load_plugins` in falco.yaml). `container` is built in. With `skip-if-unknown-filter: true` the rule is skipped where the plugin is missing.",
    ),
    page(
        C::InvalidAddress,
        "An address is compared with a network, a network with an address, or either with something else.",
        Condition("fd.snet = 10.0.0.1", "fd.snet = 10.0.0.1/32"),
        "fd.ip, fd.sip, fd.cip, fd.lip and fd.rip hold addresses; fd.net, fd.snet, fd.cnet, fd.lnet and fd.rnet are compared with networks. Names of hosts are not looked up.",
    ),
    page(
        C::InvalidNumber,
        "The field is a number, and the value is none.",
        Condition("fd.sport = 1000-2000", "(fd.sport >= 1000 and fd.sport <= 2000)"),
        "Write a decimal number without a unit: times are in nanoseconds, sizes in bytes. For a range compare with both ends.",
    ),
    page(
        C::InvalidBoolean,
        "The field is true or false, and the value is another word.",
        Condition("fd.is_server = yes", "fd.is_server = true"),
        "Write `true` or `false`.",
    ),
    page(
        C::OperatorOfType,
        "The operator does not apply to values of the field's type.",
        Condition("fd.sport contains 80", "fd.sport in (80, 8080)"),
        "Numbers and ports are compared by =, !=, <, <=, >, >= and in; addresses and networks by =, != and in; lists by in and intersects.",
    ),
    page(
        C::FieldArgument,
        "The field needs an argument between brackets, or has a wrong one.",
        Condition("evt.arg = x", "evt.arg.flags = x"),
        "`peregrine fields NAME` shows which argument the field takes.",
    ),
    page(
        C::Transformer,
        "There is no such transformer, or it does not apply to its arguments.",
        Condition("lower(proc.name) = cat", "tolower(proc.name) = cat"),
        "The transformers are val, tolower, toupper, b64, basename, len, join, concat and getopt.",
    ),
    page(
        C::InvalidRegex,
        "The pattern behind `regex` is not a regular expression.",
        Condition("proc.name regex '(a|b'", "proc.name regex '(a|b)c*'"),
        "The syntax is that of RE2, and the pattern has to match the whole text. Shell patterns are for `glob`.",
    ),
    page(
        C::RightSide,
        "A field is compared with another one of a different type, or with one that can't stand on the right.",
        Condition("proc.name = val(proc.pid)", "proc.name = val(proc.pname)"),
        "Both fields must have the same type.",
    ),
    page(
        C::EventTypeForm,
        "Rules are chosen by the event types of their conditions before an event is looked at. Here they can't be known.",
        Condition("tolower(evt.type) = open", "evt.type = open"),
        "Compare `evt.type` with names, without a transformer and not with another field.",
    ),
    page(
        C::SkippedCondition,
        "The condition has an unknown field or event type. The rule sets `skip-if-unknown-filter` and is skipped.",
        File(
            "- rule: R\n  desc: d\n  condition: evt.type = open and proc.nmae = cat\n  output: o\n  priority: INFO\n  skip-if-unknown-filter: true\n",
            "- rule: R\n  desc: d\n  condition: evt.type = open and proc.name = cat\n  output: o\n  priority: INFO\n  skip-if-unknown-filter: true\n",
        ),
        "Correct the name, or load the plugin that supplies it.",
    ),
    page(
        C::SuspiciousValue,
        "A value reads like a field or transformer, lies outside of the range of the field, or is a pattern that a simpler operator can replace.",
        Condition("proc.name = proc.pname", "proc.name = val(proc.pname)"),
        "Write `val(FIELD)` to compare with a field, and put a text between quotes.",
    ),
    page(
        C::UnsafeNaCheck,
        "A field is compared with the text `<NA>`, which outputs show for a missing value. A missing value satisfies no comparison.",
        None,
        "Write `field exists` or `not field exists`.",
    ),
    page(
        C::ManyEventTypes,
        "The condition can be true for nearly all event types, so that the rule is evaluated for nearly all events.",
        File(
            "- rule: R\n  desc: d\n  condition: proc.name = cat\n  output: o\n  priority: INFO\n",
            "- rule: R\n  desc: d\n  condition: evt.type = open and proc.name = cat\n  output: o\n  priority: INFO\n",
        ),
        "Begin the condition with the event types it is about, outside any `or` and `not`.",
    ),
    page(
        C::DeprecatedField,
        "The field will be removed. Since enter events are dropped, it has no value or always the same.",
        Condition("evt.type = open and evt.dir = <", "evt.type = open"),
        "Remove the comparison; the message says what it amounts to.",
    ),
    page(
        C::ValueLikeList,
        "A value is nearly the name of a list. No list has exactly this name, so that it is compared as a text.",
        File(
            "- list: shell_binaries\n  items: [bash, sh]\n- rule: R\n  desc: d\n  condition: evt.type = execve and proc.name in (shell_binarys)\n  output: o\n  priority: INFO\n",
            "- list: shell_binaries\n  items: [bash, sh]\n- rule: R\n  desc: d\n  condition: evt.type = execve and proc.name in (shell_binaries)\n  output: o\n  priority: INFO\n",
        ),
        "Correct the name of the list. If the text itself is meant, put it between quotes.",
    ),
    page(
        C::OddValue,
        "A value without plain quotes contains a typographic quote, a no-break blank or a character without width, as texts do that were copied from documents. It is part of the value.",
        Condition(
            "evt.type = execve and proc.name = \u{201c}bash\u{201d}",
            "evt.type = execve and proc.name = \"bash\"",
        ),
        "Write the plain character. If the other one is meant, put the value between plain quotes.",
    ),
    page(
        C::EmptyList,
        "A field is compared with a list that has no items. No value is in it.",
        Condition(
            "evt.type = execve and not proc.name in ()",
            "evt.type = execve and not proc.name in (cat)",
        ),
        "Write the items. A list that other files fill is defined as a list without items, and referred to by its name.",
    ),
    page(
        C::SignInValue,
        "`=~` compares with a regular expression in other languages. Here it is `=`, and the value begins with `~`.",
        Condition(
            "evt.type = execve and proc.name =~ba.+h",
            "evt.type = execve and proc.name regex ba.+h",
        ),
        "Write `regex`; the pattern must match the whole text. A text that begins with `~` is put between quotes.",
    ),
    page(
        C::EnterEvents,
        "The condition is true for enter events only. They are not recorded any more, so it never is.",
        Condition("evt.type = open and evt.dir = >", "evt.type = open"),
        "Remove the comparison of `evt.dir`, and take what the condition is about from the exit event.",
    ),
    page(
        C::ValuelessField,
        "The field never has a value here, so that no comparison with it is true.",
        Condition(
            "evt.type = connect and fd.sip.name = example.com",
            "evt.type = connect and fd.sip = 10.0.0.1",
        ),
        "Compare another field; the message says why this one has no value.",
    ),
    page(
        C::LeadingZero,
        "A number begins with a zero, as octal numbers do in other languages. It is read as a decimal number.",
        Condition("evt.type = open and user.uid = 0100", "evt.type = open and user.uid = 64"),
        "Write the number in decimal, without the zero.",
    ),
    page(
        C::ValueIsMacro,
        "A word in the place of a value is the name of a macro. It is compared as a text, because a macro is a whole condition.",
        File(
            "- macro: a_shell\n  condition: proc.name in (bash, sh)\n- rule: R\n  desc: d\n  condition: evt.type = open and proc.pname in (a_shell)\n  output: o\n  priority: INFO\n",
            "- list: shells\n  items: [bash, sh]\n- rule: R\n  desc: d\n  condition: evt.type = open and proc.pname in (shells)\n  output: o\n  priority: INFO\n",
        ),
        "Define a list and compare with it, or use the macro as a condition of its own.",
    ),
    page(
        C::Wildcard,
        "A value contains `*`, but the operator compares it as it is. Only `glob` knows wildcards.",
        Condition(
            "evt.type = open and fd.name = /etc/*.conf",
            "evt.type = open and fd.name glob /etc/*.conf",
        ),
        "Use `glob`, or `startswith` and `endswith`, which are faster. Several patterns: `FIELD glob oneof (A, B)`.",
    ),
    page(
        C::ForeignValue,
        "A value is written as another language writes a home directory, a field, a missing value or the end of a statement, or it is a path that is not absolute. It is compared as it is.",
        Condition(
            "evt.type = execve and proc.name = %proc.pname",
            "evt.type = execve and proc.name = val(proc.pname)",
        ),
        "The message says what conditions have instead.",
    ),
];
