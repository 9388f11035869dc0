use std::sync::Mutex;

use peregrine_event::{Builder, EventType};
use peregrine_fields::{Fields, Run, Scratch};
use peregrine_filter::{Supplier, Vocabulary};
use peregrine_state::{Config, State};

use super::super::describe;
use super::*;
use crate::FieldValue;

const FIELDS: &str = r#"[
    {"name": "p.text", "type": "string", "desc": "d", "addOutput": true},
    {"name": "p.number", "type": "uint64", "desc": "d"},
    {"name": "p.list", "type": "string", "desc": "d", "isList": true},
    {"name": "p.arg", "type": "string", "desc": "d", "arg": {"isKey": true, "isIndex": true}},
    {"name": "p.text", "type": "uint64", "desc": "again"},
    {"name": "p.net", "type": "ipnet", "desc": "d", "properties": ["hidden"]},
    {"name": "no name", "type": "string", "desc": "d"}
]"#;

/// Answers with what it was asked, and keeps it.
#[derive(Debug, Default)]
struct Echo(Mutex<Vec<String>>);

impl Extract for Arc<Echo> {
    fn takes(&self, event: &Event<'_>) -> bool {
        event.ty == EventType::PlugineventE
    }

    fn extract(
        &self,
        event: &Event<'_>,
        _: &State,
        request: &FieldRequest,
        answer: &mut Answer<'_>,
    ) {
        let asked = format!("{request:?} of {}", event.num);
        self.0.lock().unwrap().push(asked.clone());
        // What does not fit the type of the field counts as none.
        answer.push(FieldValue::Text(b"one"));
        answer.push(FieldValue::Uint(7));
        answer.push(FieldValue::Text(b"two"));
        answer.push(FieldValue::Ip([10, 0, 0, 0].into()));
    }

    fn describe(&self, _: &Event<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"described");
    }
}

/// Calls `test` with the fields and an event of the plugin.
fn with(test: impl FnOnce(&Fields, &View<'_>, &Echo)) {
    let (echo, extractors) = (Arc::new(Echo::default()), Arc::new(Extractors::default()));
    extractors.set(SourceId::SYSCALL, Arc::new(Arc::clone(&echo)));
    let settings = ClassSettings {
        plugin: "p",
        description: "a test",
        sources: vec!["syscall".into()],
        events: EventSet::all(),
        extractors,
    };
    let class = class(settings, &describe(Some(FIELDS)).unwrap()).unwrap();
    let fields = Fields::syscall().with_class(class).unwrap();
    let mut bytes = Vec::new();
    let mut event = Builder::new(EventType::PlugineventE, 5_000, -1);
    event.u32(9).text("payload");
    event.finish(&mut bytes).unwrap();
    let event = Event::parse(&bytes, 0).unwrap();
    let mut state = State::new(Config::default());
    let context = state.apply(&event);
    let (run, scratch) = (Run::default(), Scratch::default());
    test(&fields, &View::new(&event, &state, context, &run, &scratch), &echo);
}

#[test]
fn values_have_the_declared_types() {
    with(|fields, view, _| {
        let value = |name: &str| {
            let field = fields.resolve(name).unwrap().field;
            format!("{:?}", view.value(&field))
        };
        let text = |text: &str| format!("Some(Text({:?}))", text.as_bytes());
        assert_eq!(value("p.text"), text("one"));
        assert_eq!(value("p.number"), "Some(Uint(7))");
        let (one, two) = (text("one"), text("two"));
        let inner =
            |text: &str| text.trim_start_matches("Some(").trim_end_matches(')').to_owned() + ")";
        assert_eq!(value("p.list"), format!("Some(List([{}, {}]))", inner(&one), inner(&two)));
        assert_eq!(value("p.net"), "Some(Ip(10.0.0.0))");
    });
}

#[test]
fn a_plugin_is_asked_once_for_each_field_argument_and_event() {
    with(|fields, view, echo| {
        for name in ["p.text", "p.arg", "p.arg[5]", "p.arg[05]", "p.arg[k]", "p.arg[5]", "p.text"] {
            let field = fields.resolve(name).unwrap().field;
            assert!(view.value(&field).is_some(), "{name}");
        }
        let asked = echo.0.lock().unwrap();
        insta::assert_snapshot!(asked.join("\n"));
    });
}

#[test]
fn without_an_instance_fields_have_no_values() {
    with(|fields, view, _| {
        let field = fields.resolve("p.text").unwrap().field;
        let class = fields.classes().find(|class| class.name == "p (plugin)").unwrap();
        assert_eq!(class.fields.len(), 5);
        assert!(view.value(&field).is_some());
    });
    let settings = ClassSettings {
        plugin: "p",
        description: "a test",
        sources: vec!["syscall".into()],
        events: EventSet::all(),
        extractors: Arc::default(),
    };
    let class = class(settings, &describe(Some(FIELDS)).unwrap()).unwrap();
    let fields = Fields::syscall().with_class(class).unwrap();
    with(|_, view, _| {
        let field = fields.resolve("p.text").unwrap().field;
        assert_eq!(view.value(&field), None);
    });
}
