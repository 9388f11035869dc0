//! Applies the fixes of problems to rules files.

use peregrine_diagnostics::{Edit, Fix, Problem, Severity};

/// Byte order mark, with which some editors begin files.
const MARK: char = '\u{feff}';

/// How often files are loaded again after fixes: a fix may make others possible.
const MOST_PASSES: usize = 10;

/// A file and what fixes make of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fixed {
    /// Name of the file.
    pub name: String,
    /// Its text before.
    pub before: String,
    /// Its text with the fixes.
    pub after: String,
    /// What was done, as `line:column: title`, in the order of doing it.
    pub done: Vec<String>,
}

/// Which fixes are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those that certainly keep what the author means.
    Safe,
    /// All of them.
    All,
}

/// Applies fixes to files that are loaded together, until none is left. `problems` loads files.
///
/// A fix that does not lessen the problems, or that brings an error, is not applied.
///
/// ```
/// use peregrine_authoring::fix::{Which, fix};
/// use peregrine_fields::Fields;
/// use peregrine_rules::{EventSource, Loader};
///
/// let problems = |files: &[(String, String)]| {
///     let mut loader = Loader::new(vec![EventSource::syscall(Fields::syscall())], Vec::new());
///     let results = files.iter().map(|(name, text)| loader.load(name, text.as_bytes()));
///     results.flat_map(|result| result.problems().collect::<Vec<_>>()).collect()
/// };
/// let text = "- macro: opened\n  condition: evt.type = open && fd.num not in (1, 2)\n";
/// let fixed = fix(vec![("rules.yaml".into(), text.into())], Which::Safe, problems);
/// assert!(fixed[0].after.ends_with("evt.type = open and not fd.num in (1, 2)\n"));
/// ```
pub fn fix(
    files: Vec<(String, String)>,
    which: Which,
    problems: impl Fn(&[(String, String)]) -> Vec<Problem>,
) -> Vec<Fixed> {
    // The loader reads a text without its byte order mark.
    let bare = |(name, text): &(String, String)| {
        (name.clone(), text.strip_prefix(MARK).unwrap_or(text).to_owned())
    };
    let mut now: Vec<_> = files.iter().map(bare).collect();
    let mut done: Vec<Vec<String>> = vec![Vec::new(); files.len()];
    let mut found = problems(&now);
    for _ in 0..MOST_PASSES {
        let fixes: Vec<Fix> = found.iter().filter_map(|problem| problem.fix.clone()).collect();
        let fixes = fixes.into_iter().filter(|fix| which == Which::All || fix.safe);
        let chosen = apart(fixes.collect(), &now);
        if chosen.is_empty() {
            break;
        }
        let Some((next, applied)) = better(&now, chosen, &found, &problems) else { break };
        for fix in &applied {
            note(fix, &now, &mut done);
        }
        (now, found) = next;
    }
    let texts = files.into_iter().zip(now).zip(done);
    let fixed = |(((name, before), (_, after)), done): ((_, (_, String)), _)| {
        let (name, before): (String, String) = (name, before);
        let mark = if before.starts_with(MARK) { "\u{feff}" } else { "" };
        Fixed { name, after: format!("{mark}{after}"), before, done }
    };
    texts.map(fixed).collect()
}

/// Files and their problems.
type Loaded = (Vec<(String, String)>, Vec<Problem>);

/// The files with all fixes if that makes them better, or else with those that do so alone.
fn better(
    files: &[(String, String)],
    fixes: Vec<Fix>,
    found: &[Problem],
    problems: &impl Fn(&[(String, String)]) -> Vec<Problem>,
) -> Option<(Loaded, Vec<Fix>)> {
    let attempt = |fixes: &[Fix]| {
        let files = applied(files, fixes);
        let left = problems(&files);
        let counts = |problems: &[Problem]| {
            let errors = problems.iter().filter(|it| it.severity == Severity::Error).count();
            (errors, problems.len())
        };
        let ((errors, all), (errors_before, all_before)) = (counts(&left), counts(found));
        let is_better = errors <= errors_before && (errors < errors_before || all < all_before);
        is_better.then_some((files, left))
    };
    if let Some(loaded) = attempt(&fixes) {
        return Some((loaded, fixes));
    }
    fixes.into_iter().take(50).find_map(|fix| {
        let loaded = attempt(std::slice::from_ref(&fix))?;
        Some((loaded, vec![fix]))
    })
}

/// Fixes of these files whose edits do not touch each other.
fn apart(fixes: Vec<Fix>, files: &[(String, String)]) -> Vec<Fix> {
    let mut taken: Vec<(String, usize, usize)> = Vec::new();
    let mut chosen = Vec::new();
    for fix in fixes {
        let edits: Vec<_> = fix.edits.iter().map(range).collect();
        let known = fix.edits.iter().all(|edit| {
            let source = &edit.label.source;
            files.iter().any(|(name, text)| *name == source.name && *text == source.text)
        });
        let free = edits.iter().all(|(name, start, end)| {
            taken.iter().all(|(other, from, to)| name != other || end < from || to < start)
        });
        if known && free && !fix.edits.is_empty() {
            taken.extend(edits);
            chosen.push(fix);
        }
    }
    chosen
}

fn range(edit: &Edit) -> (String, usize, usize) {
    let span = edit.label.span;
    (edit.label.source.name.clone(), span.start.offset, span.end.offset)
}

fn applied(files: &[(String, String)], fixes: &[Fix]) -> Vec<(String, String)> {
    let of_file = |(name, text): &(String, String)| {
        let edits = fixes.iter().flat_map(|fix| &fix.edits);
        let mut edits: Vec<_> = edits.filter(|edit| edit.label.source.name == *name).collect();
        edits.sort_by_key(|edit| edit.label.span.start.offset);
        let (mut new, mut from) = (String::with_capacity(text.len()), 0);
        for edit in edits {
            let (_, start, end) = range(edit);
            new += text.get(from..start).unwrap_or_default();
            new += &edit.text;
            from = end;
        }
        new += text.get(from..).unwrap_or_default();
        (name.clone(), new)
    };
    files.iter().map(of_file).collect()
}

/// Remembers what a fix does to the file of its first edit.
fn note(fix: &Fix, files: &[(String, String)], done: &mut [Vec<String>]) {
    let Some(edit) = fix.edits.first() else { return };
    let name = &edit.label.source.name;
    let at = files.iter().position(|(known, _)| known == name);
    if let Some(done) = at.and_then(|at| done.get_mut(at)) {
        let start = edit.label.span.start;
        done.push(format!("{}:{}: {}", start.line + 1, start.column + 1, fix.title));
    }
}

#[cfg(test)]
mod tests {
    use peregrine_fields::Fields;
    use peregrine_rules::{EventSource, Loader};
    use proptest::prelude::*;

    use super::*;

    fn problems(files: &[(String, String)]) -> Vec<Problem> {
        let mut loader = Loader::new(vec![EventSource::syscall(Fields::syscall())], Vec::new());
        let results = files.iter().map(|(name, text)| loader.load(name, text.as_bytes()));
        results.flat_map(|result| result.problems().collect::<Vec<_>>()).collect()
    }

    fn fixed(text: &str, which: Which) -> String {
        let files = vec![("f".to_owned(), text.to_owned())];
        fix(files, which, problems).remove(0).after
    }

    fn rule(condition: &str) -> String {
        format!(
            "# A comment.\r\n- rule: R\r\n  desc: d\r\n  condition: {condition}\r\n  output: o\r\n  priority: INFO\r\n"
        )
    }

    #[test]
    fn safe_fixes_are_applied_until_none_is_left() {
        for (wrong, right) in [
            ("evt.type = OPEN && fd.name ends_with x", "evt.type = open and fd.name endswith x"),
            ("evt.type=open||!proc.name=a", "evt.type=open or not proc.name=a"),
            (
                "'evt.type = open and proc.name not in (''a'')'",
                "'evt.type = open and not proc.name in (''a'')'",
            ),
            (
                "\"evt.type = open and proc.name = \u{201c}a b\u{201d}\"",
                "\"evt.type = open and proc.name = \\\"a b\\\"\"",
            ),
            (
                "evt.type = connect and fd.sip in (10.0.0.0/8)",
                "evt.type = connect and fd.snet in (10.0.0.0/8)",
            ),
            ("evt.type = open and proc.nmae = a", "evt.type = open and proc.nmae = a"),
        ] {
            assert_eq!(fixed(&rule(wrong), Which::Safe), rule(right), "{wrong}");
        }
        let guess = fixed(&rule("evt.type = open and proc.nmae = a"), Which::All);
        assert_eq!(guess, rule("evt.type = open and proc.name = a"));
    }

    #[test]
    fn appended_parts_are_fixed_where_they_are_written() {
        let appended = |condition: &str| {
            format!(
                "{}- rule: R\n  condition: {condition}\n  override: {{condition: append}}\n",
                rule("evt.type = open")
            )
        };
        let text = fixed(&appended("and proc.name not in (a)"), Which::Safe);
        assert_eq!(text, appended("and not proc.name in (a)"));
    }

    proptest! {
        #[test]
        fn fixes_lessen_problems(
            words in proptest::collection::vec(
                prop_oneof![
                    Just("evt.type"), Just("proc.name"), Just("fd.sip"), Just("fd.snet"), Just("="), Just("=="),
                    Just("not"), Just("in"), Just("&&"), Just("||"), Just("!"), Just("AND"), Just("and"), Just("or"),
                    Just("(a, b)"), Just("[a]"), Just("open"), Just("x"), Just("10.0.0.1"), Just("10.0.0.0/8"),
                    Just("("), Just(")"), Just("ends_with"), Just("\u{201c}q\u{201d}"), Just("exists"), Just("'"), Just(","),
                ],
                0..10,
            ),
        ) {
            let text = rule(&format!(">\r\n    {}", words.join(" ")));
            let before = problems(&[("f".to_owned(), text.clone())]);
            for problem in &before {
                for label in &problem.labels {
                    prop_assert!(label.span.end.offset <= label.source.text.len());
                }
            }
            let after = fixed(&text, Which::All);
            let left = problems(&[("f".to_owned(), after.clone())]);
            let errors = |all: &[Problem]| all.iter().filter(|it| it.severity == Severity::Error).count();
            prop_assert!(errors(&left) <= errors(&before), "{after}");
            prop_assert_eq!(fixed(&after, Which::All), after);
        }
    }
}
