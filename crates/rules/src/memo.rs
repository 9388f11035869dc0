//! Results that the compilation of one file can reuse for the next: most rules stay unchanged.

use std::sync::Arc;

use hashbrown::HashMap;
use peregrine_filter::TestCache;

use crate::Finding;
use crate::condition::Resolved;
use crate::define::RuleDef;
use crate::rule_set::Rule;

/// Reusable results of compiling a rule set.
#[derive(Debug)]
pub(crate) struct Memo<F> {
    /// By name.
    pub(crate) macros: HashMap<String, Resolved>,
    /// By name.
    pub(crate) rules: HashMap<String, Kept>,
    /// By the source of events.
    pub(crate) tests: HashMap<String, TestCache<F>>,
}

impl<F> Default for Memo<F> {
    fn default() -> Self {
        Self { macros: HashMap::new(), rules: HashMap::new(), tests: HashMap::new() }
    }
}

/// A compiled rule and its inputs: with the same definition and the same lists and macros in its
/// condition the result is the same.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) def: Arc<RuleDef>,
    pub(crate) resolved: Resolved,
    /// Its index among the rules.
    pub(crate) at: usize,
    /// Its warnings.
    pub(crate) findings: Vec<Finding>,
}

/// A rule of a set under construction.
pub(crate) enum Slot<F> {
    New(Box<Rule<F>>),
    /// The index of an unchanged rule in the previous set.
    Same(usize),
}

impl<F> Slot<F> {
    /// The rules, with unchanged ones taken from the previous set.
    pub(crate) fn fill(slots: Vec<Self>, before: Vec<Rule<F>>) -> Vec<Rule<F>> {
        let mut before: Vec<_> = before.into_iter().map(Some).collect();
        let rule = |slot| match slot {
            Self::New(rule) => Some(*rule),
            Self::Same(at) => before.get_mut(at)?.take(),
        };
        let mut rules = Vec::with_capacity(slots.len());
        rules.extend(slots.into_iter().filter_map(rule));
        rules
    }
}

#[cfg(test)]
mod tests {
    use peregrine_fields::Fields;

    use super::*;
    use crate::{EventSource, Loader};

    const FILES: [&str; 7] = [
        "
- list: shells
  items: [sh, bash]
- macro: shell
  condition: proc.name in (shells)
- macro: loud
  condition: proc.name = loud
- macro: quiet
  condition: not loud
- rule: Shell
  desc: d
  condition: evt.type = execve and shell
  output: a shell %proc.name
  priority: INFO
- rule: Word
  desc: d
  condition: evt.type = open and evt.dir = < and fd.name = etc and proc.name = val.x
  output: a file %fd.name
  priority: INFO
- rule: Plain
  desc: d
  condition: evt.type = close and proc.pname = x
  output: closed %fd.num
  priority: INFO
",
        // Each is redefined: nothing, a list used through a macro, a name that was no list, a
        // macro, a rule.
        "- {list: unused, items: [x]}\n",
        "- {list: shells, append: true, items: [zsh]}\n",
        "- {list: etc, items: [/etc]}\n",
        "- {macro: shell, condition: evt.dir = > and loud}\n",
        "- {rule: Plain, condition: and fd.num = 3, override: {condition: append}}\n",
        "- {rule: Shell, enabled: false}\n- {macro: loud, condition: evt.dur > 99999999999999999999}\n",
    ];

    fn loader() -> Loader<Fields> {
        let source = EventSource::syscall(Fields::syscall());
        Loader::new(vec![source], Vec::new())
    }

    #[test]
    fn what_is_kept_is_what_would_come_out_again() {
        let (mut kept, mut anew) = (loader(), loader());
        let mut right = 0;
        for text in FILES {
            anew.forget();
            let (a, b) = (kept.load("f", text.as_bytes()), anew.load("f", text.as_bytes()));
            right += usize::from(a.successful());
            assert_eq!(a.to_json(), b.to_json(), "{text}");
            assert_eq!(a.explanation(), b.explanation(), "{text}");
            let described = |loader: &Loader<Fields>| loader.rules().describe(&|_, _| Vec::new());
            assert_eq!(described(&kept), described(&anew), "{text}");
            let filters = |loader: &Loader<Fields>| {
                loader
                    .rules()
                    .rules
                    .iter()
                    .map(|rule| format!("{:?}", rule.condition))
                    .collect::<Vec<_>>()
            };
            assert_eq!(filters(&kept), filters(&anew), "{text}");
        }
        assert_eq!(right, FILES.len() - 1);
    }

    #[test]
    fn rules_that_nothing_changes_are_kept() {
        let mut loader = loader();
        loader.load("f", FILES[0].as_bytes());
        let tree = |loader: &Loader<Fields>, name| {
            Arc::clone(&loader.rules().rule(name).unwrap().condition)
        };
        let before = ["Shell", "Word", "Plain"].map(|name| tree(&loader, name));
        loader.load("f", FILES[2].as_bytes());
        let after = ["Shell", "Word", "Plain"].map(|name| tree(&loader, name));
        let same = [0, 1, 2].map(|at| Arc::ptr_eq(&before[at], &after[at]));
        assert_eq!(same, [false, true, true]);
    }
}
