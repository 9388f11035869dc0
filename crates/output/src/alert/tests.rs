use bumpalo::Bump;
use peregrine_event::{Format, ParamType};
use peregrine_filter::{FieldError, Limits, Place, Resolved, Shown, Value};
use peregrine_rules::{Addition, EventSource, Loader, OutputAddition};
use proptest::prelude::*;

use super::*;

const TS: u64 = 1_470_327_477_881_785_348;

/// Knows a few fields, the way the engine's own vocabulary shows them.
struct Words;

impl Vocabulary for Words {
    type Field = &'static str;

    fn resolve(&self, text: &str) -> Result<Resolved<&'static str>, FieldError> {
        let known = ["evt.time.iso8601", "evt.time", "fd.name", "fd.sip", "proc.name", "proc.pid"];
        let field = known.into_iter().find(|name| text.starts_with(name));
        let field = field.ok_or(FieldError::Unknown { name: text.to_owned() })?;
        let (ty, format) = match field {
            "proc.pid" => (ParamType::Int64, Format::Dec),
            _ => (ParamType::Charbuf, Format::Na),
        };
        let limits = Limits::default();
        Ok(Resolved { field, len: field.len(), ty, format, list: false, each: None, limits })
    }
}

struct Event<'a> {
    fd_name: &'a [u8],
    scratch: Bump,
}

impl Supplier<&'static str> for Event<'_> {
    fn value<'s>(&'s self, field: &&'static str) -> Option<Value<'s>> {
        match *field {
            "evt.time" => Some(Value::Text(b"16:17:57.881785348")),
            "evt.time.iso8601" => Some(Value::Text(b"2016-08-04T16:17:57.881785348+0000")),
            "fd.name" => Some(Value::Text(self.fd_name)),
            "proc.name" => Some(Value::Text(b"cat")),
            "proc.pid" => Some(Value::Int(20072)),
            _ => None,
        }
    }

    fn shown<'s>(&'s self, field: &&'static str, place: Place) -> Option<Shown<'s>> {
        match place {
            Place::Json if field.starts_with("evt.time") => {
                Some(Shown { value: Value::Uint(TS), ty: Some((ParamType::Abstime, Format::Dec)) })
            }
            _ => self.value(field).map(|value| Shown { value, ty: None }),
        }
    }

    fn scratch(&self) -> &Bump {
        &self.scratch
    }
}

fn style(json: Option<JsonStyle>) -> Style {
    Style { json, iso_time: false, buffers: Buffers::Dots, hostname: "HOST".to_owned() }
}

fn extra(what: Addition) -> OutputAddition {
    OutputAddition { what, ..OutputAddition::default() }
}

/// A rule as a file defines it.
fn rule(output: &str, tags: &[&str], additions: Vec<OutputAddition>) -> Rule<&'static str> {
    let file = serde_json::json!([{
        "rule": "Opened", "desc": "a rule", "condition": "proc.name exists", "priority": "INFO",
        "output": output, "tags": tags,
    }]);
    let source = EventSource::syscall(Words);
    let mut loader = Loader::new(vec![source], additions);
    let result = loader.load("rules.yaml", file.to_string().as_bytes());
    assert!(result.successful(), "{}", result.explanation());
    loader.into_rules().rules.pop().unwrap()
}

fn line(rule: &Rule<&'static str>, style: &Style, fd_name: &[u8]) -> String {
    let format = AlertFormat::new(rule, style, &Words).unwrap();
    let alert = format.alert(TS, &Event { fd_name, scratch: Bump::new() });
    assert_eq!(alert.priority, Priority::Informational);
    String::from_utf8(alert.line).unwrap()
}

#[test]
fn text() {
    let opened = rule("%proc.name opened %fd.name ip=%fd.sip", &[], vec![]);
    let mut style = style(None);
    assert_eq!(
        line(&opened, &style, b"/dev/null"),
        "16:17:57.881785348: Informational cat opened /dev/null ip=<NA>"
    );
    style.iso_time = true;
    assert_eq!(
        line(&opened, &style, b"/x"),
        "2016-08-04T16:17:57.881785348+0000: Informational cat opened /x ip=<NA>"
    );
}

#[test]
fn text_is_escaped_like_json() {
    let quoted = rule("*first\nsecond\t%fd.name \"q\" \\ \u{7}", &[], vec![]);
    assert_eq!(
        line(&quoted, &style(None), b"caf\xe9"),
        "16:17:57.881785348: Informational first\\nsecond\\tcaf\u{FFFD} \\\"q\\\" \\\\ \\u0007"
    );
}

#[test]
fn json_has_its_keys_in_order() {
    let opened =
        rule("%proc.name(%proc.pid) opened %fd.name %fd.sip", &["read", "files", "read"], vec![]);
    assert_eq!(
        line(&opened, &style(Some(JsonStyle { message: true, ..JsonStyle::default() })), b"a\"b"),
        concat!(
            r#"{"hostname":"HOST","message":"cat(20072) opened a\"b <NA>","#,
            r#""output":"16:17:57.881785348: Informational cat(20072) opened a\"b <NA>","#,
            r#""output_fields":{"evt.time":1470327477881785348,"fd.name":"a\"b","fd.sip":null,"#,
            r#""proc.name":"cat","proc.pid":20072},"priority":"Informational","rule":"Opened","#,
            r#""source":"syscall","tags":["files","read"],"time":"2016-08-04T16:17:57.881785348Z"}"#
        )
    );
}

#[test]
fn json_leaves_out_what_it_is_told_to() {
    let nothing = JsonStyle { message: false, output: false, output_fields: false, tags: false };
    assert_eq!(
        line(&rule("%fd.name", &[], vec![]), &style(Some(nothing)), b""),
        concat!(
            r#"{"hostname":"HOST","priority":"Informational","rule":"Opened","source":"syscall","#,
            r#""time":"2016-08-04T16:17:57.881785348Z"}"#
        )
    );
}

#[test]
fn extra_fields_keep_their_type_or_are_text() {
    let formatted = |key: &str, format: &str| {
        extra(Addition::Formatted { key: key.to_owned(), format: format.to_owned() })
    };
    let additions = vec![
        extra(Addition::Raw("proc.pid".to_owned())),
        formatted("label", "pid is %proc.pid"),
        formatted("fd.name", "mine"),
    ];
    let json = line(&rule("%fd.name", &[], additions), &style(Some(JsonStyle::default())), b"x");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        json["output_fields"],
        serde_json::json!({"evt.time": TS, "fd.name": "mine", "label": "pid is 20072", "proc.pid": 20072})
    );
}

proptest! {
    #[test]
    fn any_name_of_a_file_gives_one_valid_line(fd_name in prop::collection::vec(any::<u8>(), 0..64)) {
        let opened = rule("%fd.name", &[], vec![]);
        let json = line(&opened, &style(Some(JsonStyle::default())), &fd_name);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let text = line(&opened, &style(None), &fd_name);
        prop_assert!(!text.contains('\n'));
        // Text escapes what JSON escapes.
        let unescaped: String = serde_json::from_str(&format!("\"{text}\"")).unwrap();
        prop_assert_eq!(json["output"].as_str(), Some(unescaped.as_str()));
        let name = String::from_utf8_lossy(&fd_name);
        prop_assert_eq!(json["output_fields"]["fd.name"].as_str(), Some(&*name));
    }
}
