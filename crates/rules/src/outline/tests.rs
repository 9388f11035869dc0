use peregrine_fields::Fields;
use proptest::prelude::*;

use super::file::chunks;
use super::*;
use crate::{EventSource, Loader};

const BASE: &str = "\
# Programs that read
# commands.
- list: shells
  items: [sh, bash]
- list: programs
  items: [shells, 'vi']
- macro: shell
  condition: >
    proc.name in (shells)
    or proc.pname in (programs)
- rule: Shell
  desc: d
  condition: evt.type = execve and shell
  output: \"  a shell %proc.name \\
    of %user.name\"
  priority: INFO
  tags: [a, b]
  exceptions:
  - name: known
    fields: [proc.name, proc.pname]
    comps: [in, in]
    values:
    - [shells, \"say \\\"shells\\\"\"]
    - [[vi, programs], shells]
";

const LOCAL: &str = "\
- rule: Shell
  condition: and not shell
  output: (%proc.pid)
  override: {condition: append, output: append}
- macro: shell
  condition: or proc.name in (shells)
  append: true
- rule: Shell
  enabled: false
";

fn outline() -> Outline {
    Outline::read([("base.yaml", BASE), ("local.yaml", LOCAL)])
}

fn texts(outline: &Outline, found: &[Reference]) -> Vec<(usize, usize, String)> {
    found
        .iter()
        .map(|reference| {
            let label = outline.label(reference);
            let text = &label.source.text[reference.range.clone()];
            (reference.within.file, label.span.start.line + 1, text.to_owned())
        })
        .collect()
}

#[test]
fn every_use_of_a_name_is_found() {
    let outline = outline();
    let uses = |kind, name| texts(&outline, &outline.references_to(kind, name));
    let at = |file, line, text: &str| (file, line, text.to_owned());
    assert_eq!(
        uses(DefinitionKind::List, "shells"),
        [
            at(0, 6, "shells"),
            at(0, 9, "shells"),
            at(0, 23, "shells"),
            at(0, 24, "shells"),
            at(1, 6, "shells"),
        ]
    );
    assert_eq!(
        uses(DefinitionKind::List, "programs"),
        [at(0, 10, "programs"), at(0, 24, "programs")]
    );
    assert_eq!(uses(DefinitionKind::Macro, "shell"), [at(0, 13, "shell"), at(1, 2, "shell")]);
}

#[test]
fn items_have_their_effects_and_places() {
    let outline = outline();
    let rule = outline.named(DefinitionKind::Rule, "Shell");
    let effects: Vec<_> = rule.iter().filter_map(|id| Some(outline.item(*id)?.effect)).collect();
    assert_eq!(effects, [Effect::Define, Effect::Override, Effect::Enable]);
    let shells = &outline.files()[0].items()[0];
    assert_eq!(&BASE[shells.range.clone()], "- list: shells\n  items: [sh, bash]");
    assert_eq!(outline.files()[0].comment(shells).unwrap(), "Programs that read\ncommands.");
    let (_, rule) = outline.definition(DefinitionKind::Rule, "Shell").unwrap();
    assert_eq!(&BASE[rule.key("priority").unwrap().value.clone()], "INFO");
    assert_eq!(rule.exceptions[0].tuples.len(), 2);
    assert!(BASE[rule.range.clone()].ends_with("programs], shells]"));
}

#[test]
fn joined_texts_are_those_of_the_loader() {
    let mut loader = Loader::new(vec![EventSource::syscall(Fields::syscall())], Vec::new());
    for (name, text) in [("base.yaml", BASE), ("local.yaml", LOCAL)] {
        let result = loader.load(name, text.as_bytes());
        assert!(result.successful(), "{}", result.explanation());
    }
    let outline = outline();
    let condition = outline.condition(DefinitionKind::Rule, "Shell").unwrap();
    let rule = loader.rules().rule("Shell").unwrap();
    assert_eq!(condition.text, rule.condition_text);
    assert_eq!(outline.output("Shell").unwrap().text, rule.output_text);
    let macro_ = outline.condition(DefinitionKind::Macro, "shell").unwrap();
    assert_eq!(macro_.text, loader.rules().macros[0].condition_text);

    let at = condition.text.find("not").unwrap();
    let (id, range) = condition.in_file(at..at + 9).unwrap();
    assert_eq!((id.file, &LOCAL[range]), (1, "not shell"));
    assert_eq!(condition.in_file(0..at + 1), None);
    let output = outline.output("Shell").unwrap();
    let at = output.text.find("%user").unwrap();
    assert_eq!(
        output.in_file(at..at + 5).map(|(id, range)| (id.file, &BASE[range])),
        Some((0, "%user"))
    );
}

#[test]
fn items_around_an_error_are_read() {
    let text = "\
- list: a
  items: [x]
- rule: R
  condition: b
  output: 'it's
  priority: INFO
- macro: b
  condition: proc.name in (a)
";
    let outline = Outline::read([("f", text)]);
    let names: Vec<_> = outline.items().map(|(_, item)| item.name.text.as_str()).collect();
    assert_eq!(names, ["a", "R", "b"]);
    let lines = |kind, name| -> Vec<_> {
        texts(&outline, &outline.references_to(kind, name))
            .iter()
            .map(|(_, line, _)| *line)
            .collect()
    };
    assert_eq!(lines(DefinitionKind::List, "a"), [8]);
    assert_eq!(lines(DefinitionKind::Macro, "b"), [4]);
}

#[test]
fn files_of_2016_have_an_outline() {
    let text = "shell: proc.name = sh\n\nshell and evt.type = open | INFO Opened %fd.name\n";
    let outline = Outline::read([("old.conf", text)]);
    assert_eq!(texts(&outline, &outline.references_to(DefinitionKind::Macro, "shell")).len(), 1);
}

proptest! {
    #[test]
    fn any_text_has_an_outline(
        lines in proptest::collection::vec("(- )?(list|macro|rule|items|condition): [a-cü'\"\\[ ,]{0,6}|[ -]{0,3}[a-c:#]{0,3}", 0..8),
    ) {
        let text = lines.join("\n");
        let parts: Vec<_> = chunks(&text).into_iter().map(|chunk| text[chunk].to_owned()).collect();
        prop_assert!(text.ends_with(&parts.concat()));
        let outline = Outline::read([("f", text)]);
        for (id, item) in outline.items() {
            prop_assert!(outline.named(item.kind, &item.name.text).contains(&id));
            for reference in outline.references_in(id) {
                let label = outline.label(&reference);
                prop_assert_eq!(label.span.end.offset, reference.range.end);
            }
        }
    }
}
