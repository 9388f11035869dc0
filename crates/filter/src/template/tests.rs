use bumpalo::Bump;
use peregrine_event::{Format, ParamType};
use proptest::prelude::*;

use super::*;
use crate::{FieldError, Limits, Resolved, Value};

/// A few fields: `proc.env` takes an argument, `evt.arg` needs one.
struct Words;

impl Vocabulary for Words {
    type Field = String;

    fn resolve(&self, text: &str) -> Result<Resolved<String>, FieldError> {
        let known = [
            "evt.type",
            "evt.type.is.open",
            "evt.arg",
            "fd.name",
            "fd.net",
            "proc.name",
            "proc.pid",
            "proc.env",
        ];
        let name =
            known.into_iter().filter(|name| text.starts_with(name)).max_by_key(|name| name.len());
        let name = name.ok_or_else(|| FieldError::Unknown { name: text.to_owned() })?;
        let argument = text[name.len()..].strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let len = match (name, argument) {
            ("proc.env" | "evt.arg", Some((argument, _))) => name.len() + argument.len() + 2,
            ("evt.arg", None) => return Err(FieldError::Argument("missing".to_owned())),
            _ => name.len(),
        };
        let (ty, format) = match name {
            "proc.pid" => (ParamType::Int64, Format::Dec),
            _ => (ParamType::Charbuf, Format::Na),
        };
        let limits = Limits { filter_only: name == "fd.net", ..Limits::default() };
        Ok(Resolved {
            field: text[..len].to_owned(),
            len,
            ty,
            format,
            list: false,
            each: None,
            limits,
        })
    }
}

struct Event(Bump);

impl Supplier<String> for Event {
    fn value<'s>(&'s self, field: &String) -> Option<Value<'s>> {
        match field.as_str() {
            "evt.type" => Some(Value::Text(b"open")),
            "fd.name" => None,
            "fd.net" => panic!("only for conditions"),
            "proc.env[A]" => Some(Value::Text(b"a")),
            "proc.env[B=C D]" => Some(Value::Text(b"b")),
            "proc.env" => Some(Value::Text(b"A=a")),
            "proc.name" => Some(Value::Text(b"cat\"")),
            "proc.pid" => Some(Value::Int(-7)),
            field => panic!("{field}"),
        }
    }

    fn scratch(&self) -> &Bump {
        &self.0
    }
}

fn compile(text: &str) -> Template<String> {
    Template::compile(text, &Words).unwrap()
}

fn rendered(text: &str) -> String {
    let mut out = Vec::new();
    compile(text).render(&Event(Bump::new()), Buffers::Dots, &mut out);
    String::from_utf8(out).unwrap()
}

fn output_fields(text: &str) -> Vec<(String, String)> {
    let template = compile(text);
    let show = |field: &OutputField<String>| {
        let mut text = Vec::new();
        match field.value(&Event(Bump::new()), Buffers::Dots) {
            Some((value, form)) => value_text(&mut text, value, form),
            None => text.extend_from_slice(b"null"),
        }
        (field.name().to_owned(), String::from_utf8(text).unwrap())
    };
    template.fields().iter().map(show).collect()
}

#[test]
fn fields_are_replaced_in_text() {
    assert_eq!(
        rendered("%proc.name(%proc.pid) opens ключ %fd.name."),
        "cat\"(-7) opens ключ <NA>."
    );
    assert_eq!(rendered("*%proc.pid *"), "-7 *");
    assert_eq!(rendered("*"), "");
    assert_eq!(rendered("no fields"), "no fields");
    assert_eq!(rendered("%proc.pid%proc.pid"), "-7-7");
}

#[test]
fn the_longest_field_is_taken() {
    assert_eq!(rendered("%proc.names"), "cat\"s");
    assert_eq!(rendered("%proc.name[2]"), "cat\"[2]");
    assert_eq!(rendered("%proc.env[A b]"), "A=a[A b]");
    assert_eq!(rendered("%proc.env[A"), "A=a[A");
    assert_eq!(rendered("%proc.env[A]]"), "a]");
    assert_eq!(rendered("%evt.type.is.nope"), "open.is.nope");
    assert_eq!(rendered("%proc.pidпид"), "-7пид");
}

#[test]
fn widths_fill_and_cut() {
    assert_eq!(rendered("[%6proc.name]"), "[cat\"  ]");
    assert_eq!(rendered("[%2proc.name]"), "[ca]");
    assert_eq!(rendered("[%005fd.name]"), "[<NA> ]");
    assert_eq!(rendered("[%0proc.name]"), "[cat\"]");
    assert_eq!(rendered("%99999999999999999999proc.name").len(), WIDTH_MAX);
}

#[test]
fn fields_for_conditions_only_have_no_value() {
    assert_eq!(rendered("%fd.net"), "<NA>");
    assert_eq!(output_fields("%fd.net"), [("fd.net".to_owned(), "null".to_owned())]);
}

#[test]
fn output_fields_are_unique_and_sorted() {
    let expected = [
        ("fd.name", "null"),
        ("proc.env[\"B=C D\"]", "b"),
        ("proc.env[A]", "a"),
        ("proc.name", "cat\""),
        ("proc.pid", "-7"),
    ];
    let text =
        "%proc.pid %proc.name %4proc.pid %fd.name %proc.env['A'] %proc.env[A] %proc.env[\"B=C D\"]";
    assert_eq!(
        output_fields(text),
        expected.map(|(name, shown)| (name.to_owned(), shown.to_owned()))
    );
    assert_eq!(
        compile("%proc.pid %fd.name %proc.pid").names(),
        ["proc.pid", "fd.name", "proc.pid"]
    );
}

#[test]
fn transformers_print_but_are_not_output_fields() {
    assert_eq!(
        rendered("%toupper(proc.name)|%len(proc.name)|%6len( tolower(proc.name) )|"),
        "CAT\"|4|4     |"
    );
    assert_eq!(
        rendered("%join('-', (proc.name, proc.pid)) %concat(proc.name, \"_x\")"),
        "cat\"--7 cat\"_x"
    );
    assert_eq!(rendered("%basename(fd.name) %tolower(evt.type)s"), "<NA> opens");
    let text = "%toupper(proc.name) %join('-', (proc.name, proc.pid))";
    let fields = [("proc.name", "cat\""), ("proc.pid", "-7")];
    assert_eq!(
        output_fields(text),
        fields.map(|(name, shown)| (name.to_owned(), shown.to_owned()))
    );
    assert_eq!(
        compile("%toupper(tolower(proc.name))").names(),
        ["proc.name", "toupper(tolower(proc.name))"]
    );
}

#[test]
fn two_percent_signs_are_one() {
    assert_eq!(rendered("100%% %%proc.pid %proc.pid%%"), "100% %proc.pid -7%");
}

#[test]
fn invalid_templates_are_errors() {
    let error = |text| Template::compile(text, &Words).unwrap_err();
    assert_eq!(error("").to_string(), "empty formatting token");
    assert_eq!(
        error("100%").to_string(),
        "invalid formatting syntax: formatting cannot end with a %"
    );
    assert_eq!(
        error("%12").to_string(),
        "invalid formatting syntax: formatting cannot end with a number"
    );
    assert_eq!(error("a %%%nope").to_string(), "unknown filter: unexpected token after '");
    for (text, at) in [
        ("é %nope.nope", 4),
        ("%-5proc.name", 1),
        ("%3evt.arg x", 2),
        ("%proc", 1),
        ("%tolower(proc.name x", 1),
        ("%toupper(proc.pid)", 1),
        ("%val(fd.name)", 1),
    ] {
        assert_eq!(error(text), TemplateError::Unknown { at }, "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_compiles_or_is_an_error(text in "[%*0-9a-z.\\[\\]() é\"',]{0,40}|(%proc\\.(name|env\\[[^\\]]?\\]?))*") {
        if let Ok(template) = Template::compile(&text, &Words) {
            // The argument of a field may hold a percent sign of its own.
            prop_assert!(template.names().len() <= text.matches('%').count());
            prop_assert!(!template.names().is_empty() || !text.replace("%%", "").contains('%'));
        }
    }
}
