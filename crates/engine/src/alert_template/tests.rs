use bumpalo::Bump;
use peregrine_alert::{Priority, RuleRegistry, Value as Kept};
use peregrine_event::{Format, ParamType};
use peregrine_filter::{FieldError, Limits, OutputKind, OutputValue, Resolved, Value};
use peregrine_output::{Format as Style, Formatter, JsonStyle, Layout};
use peregrine_rules::{Addition, EventSource, Loader, OutputAddition};
use proptest::prelude::*;

use super::*;

const TS: u64 = 1_470_327_477_881_785_348;

/// A vocabulary of a few fields that print like those of the engine.
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

    fn output_value<'s>(
        &'s self,
        field: &&'static str,
        kind: OutputKind,
    ) -> Option<OutputValue<'s>> {
        match kind {
            OutputKind::Json if field.starts_with("evt.time") => Some(OutputValue {
                value: Value::Uint(TS),
                ty: Some((ParamType::Abstime, Format::Dec)),
            }),
            _ => self.value(field).map(|value| OutputValue { value, ty: None }),
        }
    }

    fn scratch(&self) -> &Bump {
        &self.scratch
    }
}

fn text() -> Style {
    Style::new(Layout::Text)
}

fn json(style: JsonStyle) -> Style {
    Style { layout: Layout::Json(style), ..text() }
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

fn alert(rule: &Rule<&'static str>, content: AlertContent, fd_name: &[u8]) -> Alert {
    let origin = AlertOrigin::new(Arc::new(RuleRegistry::new()), "HOST");
    let template = AlertTemplate::new(rule, &origin, content, &Words).unwrap();
    let alert = template.render(TS, 7, &Event { fd_name, scratch: Bump::new() });
    assert_eq!(alert.priority(), Priority::Informational);
    assert_eq!((alert.time(), alert.number()), (TS, 7));
    alert
}

fn line(rule: &Rule<&'static str>, style: &Style, fd_name: &[u8]) -> String {
    let fields = style.layout != Layout::Text;
    let content =
        AlertContent { fields, context: &[], iso_time: style.iso_time, buffers: Buffers::Dots };
    let mut line = Vec::new();
    Formatter::new(style.clone()).line(&alert(rule, content, fd_name), &mut line);
    String::from_utf8(line).unwrap()
}

#[test]
fn lines_of_text() {
    let opened = rule("%proc.name opened %fd.name ip=%fd.sip", &[], vec![]);
    let mut style = text();
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
        line(&quoted, &text(), b"caf\xe9"),
        "16:17:57.881785348: Informational first\\nsecond\\tcaf\u{FFFD} \\\"q\\\" \\\\ \\u0007"
    );
}

#[test]
fn json_has_its_keys_in_order() {
    let opened =
        rule("%proc.name(%proc.pid) opened %fd.name %fd.sip", &["read", "files", "read"], vec![]);
    assert_eq!(
        line(&opened, &json(JsonStyle { message: true, ..JsonStyle::default() }), b"a\"b"),
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
fn json_omits_disabled_parts() {
    let nothing = JsonStyle { message: false, output: false, output_fields: false, tags: false };
    assert_eq!(
        line(&rule("%fd.name", &[], vec![]), &json(nothing), b""),
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
    let json = line(&rule("%fd.name", &[], additions), &json(JsonStyle::default()), b"x");
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
        let json = line(&opened, &json(JsonStyle::default()), &fd_name);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let text = line(&opened, &text(), &fd_name);
        prop_assert!(!text.contains('\n'));
        // Text escapes what JSON escapes.
        let unescaped: String = serde_json::from_str(&format!("\"{text}\"")).unwrap();
        prop_assert_eq!(json["output"].as_str(), Some(unescaped.as_str()));
        let name = String::from_utf8_lossy(&fd_name);
        prop_assert_eq!(json["output_fields"]["fd.name"].as_str(), Some(&*name));
    }
}

/// A value as an alert keeps it.
fn kept(value: Value<'_>, form: PrintFormat, check: impl FnOnce(Kept<'_>)) {
    let origin = AlertOrigin::new(Arc::new(RuleRegistry::new()), "HOST");
    let fields = vec!["field".to_owned()];
    let rule = RuleInfo::new(&origin, "syscall", "R", Priority::Error, vec![], fields);
    let mut alert = AlertBuilder::new(Arc::new(rule), TS, 1, |_| {});
    add_value(&mut alert, value, form);
    let alert = alert.finish();
    let (_name, kept) = alert.fields().next().unwrap();
    check(kept);
}

fn form(ty: ParamType, format: Format) -> PrintFormat {
    PrintFormat { ty, format, buffers: Buffers::Dots }
}

#[test]
fn only_decimal_numbers_are_json_numbers() {
    for (value, ty, format, expected) in [
        (Value::Int(-42), ParamType::Int64, Format::Dec, Kept::Int(-42)),
        (Value::Int(i64::MIN), ParamType::Fd, Format::Dec, Kept::Int(i64::MIN)),
        (Value::Uint(u64::MAX), ParamType::Uint64, Format::Dec, Kept::Uint(u64::MAX)),
        (Value::Int(0xfe00), ParamType::Int32, Format::Hex, Kept::Text(b"FE00")),
        (Value::Int(-1), ParamType::Int32, Format::Hex, Kept::Text(b"FFFFFFFF")),
        (Value::Int(-1), ParamType::Int8, Format::Oct, Kept::Text(b"377")),
        (Value::Uint(0o644), ParamType::Mode, Format::Oct, Kept::Text(b"644")),
        (Value::Uint(7), ParamType::Reltime, Format::Padded, Kept::Uint(7)),
        (Value::Int(3), ParamType::Fd, Format::Na, Kept::Text(b"3")),
        (Value::Double(0.054_931), ParamType::Double, Format::Na, Kept::Double(0.054_931)),
        (Value::Double(f64::NAN), ParamType::Double, Format::Na, Kept::Null),
        (Value::Double(-2.9), ParamType::Double, Format::Dec, Kept::Int(-2)),
        (Value::Double(-0.9), ParamType::Double, Format::Dec, Kept::Uint(0)),
        (Value::Double(2.9), ParamType::Double, Format::Dec, Kept::Uint(2)),
        (Value::Double(f64::INFINITY), ParamType::Double, Format::Dec, Kept::Null),
    ] {
        kept(value, form(ty, format), |kept| assert_eq!(kept, expected, "{value:?}"));
    }
}

#[test]
fn other_values_keep_their_json_type() {
    let na = |ty| form(ty, Format::Na);
    let ip = "::1.2.3.4".parse().unwrap();
    kept(Value::Ip(ip), na(ParamType::Ipaddr), |kept| assert_eq!(kept, Kept::Ip(ip)));
    kept(Value::Ip(ip), na(ParamType::Ipnet), |kept| assert_eq!(kept, Kept::Text(b"<IPNET>")));
    kept(Value::Bool(true), na(ParamType::Bool), |kept| assert_eq!(kept, Kept::Bool(true)));
    let bytes = Value::Bytes(b"a\"\\\n");
    kept(bytes, na(ParamType::Bytebuf), |kept| assert_eq!(kept, Kept::Text(b"a\"\\.")));
    let items = [Value::Text(b"file"), Value::Text(b"ipv4\xff")];
    kept(Value::List(&items), na(ParamType::Charbuf), |kept| {
        let Kept::List(items) = kept else { panic!("{kept:?}") };
        assert!(items.eq([Kept::Text(b"file"), Kept::Text(b"ipv4\xff")]));
    });
    kept(Value::List(&[]), na(ParamType::Charbuf), |kept| assert_eq!(kept, Kept::Null));
}

#[test]
fn alerts_without_fields_have_only_text() {
    let opened = rule("%fd.name", &[], vec![]);
    let content =
        AlertContent { fields: false, context: &[], iso_time: false, buffers: Buffers::Dots };
    let alert = alert(&opened, content, b"caf\xe9");
    assert_eq!(alert.text(), b"caf\xe9");
    assert_eq!(alert.fields().count(), 0);
}

#[test]
fn an_alert_takes_one_allocation_and_its_fields_another() {
    let opened = rule("%proc.name(%proc.pid) opened %fd.name %fd.sip", &[], vec![]);
    let origin = AlertOrigin::new(Arc::new(RuleRegistry::new()), "HOST");
    let event = Event { fd_name: b"/etc/shadow", scratch: Bump::new() };
    for (fields, expected) in [(false, 1), (true, 2)] {
        let content =
            AlertContent { fields, context: &[], iso_time: false, buffers: Buffers::Dots };
        let template = AlertTemplate::new(&opened, &origin, content, &Words).unwrap();
        // The first alert of a thread allocates the buffer that texts are rendered in.
        let mut alert = Some(template.render(TS, 6, &event));
        let allocations = allocation_counter::measure(|| {
            alert = Some(template.render(TS, 7, &event));
        });
        assert_eq!(allocations.count_total, expected);
        assert_eq!(alert.unwrap().text(), b"cat(20072) opened /etc/shadow <NA>");
    }
}
