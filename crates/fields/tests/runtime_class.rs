//! A class registered at run time is used like those of the table.
#![allow(clippy::unwrap_used, reason = "a test may stop")]

use std::sync::Arc;

use peregrine_event::render::Buffers;
use peregrine_event::{Builder, Event, EventSet, EventType, Format, ParamType};
use peregrine_fields::table::{Cost, ListedArgument, Purity};
use peregrine_fields::{
    ClassError, EventTypeFacts, FieldArgument, FieldExtractor, Fields, Run, RuntimeClass,
    RuntimeField, Scratch, View,
};
use peregrine_filter::{
    Condition, DEFAULT_MAX_DEPTH, Program, ProgramBuilder, Residual, StaticFacts, Template, Value,
    Vocabulary, compile, parse,
};
use peregrine_state::{Config, State};

/// Reads the path of an `openat`: its extension, and the lengths of its components.
#[derive(Debug)]
struct PathFields;

impl FieldExtractor for PathFields {
    fn extract<'a>(
        &self,
        view: &View<'a>,
        field: usize,
        argument: &FieldArgument,
    ) -> Option<Value<'a>> {
        let path = view.event().text(view.event().param_index("name")?)?;
        match field {
            0 => Some(Value::Text(path.rsplit(|b| *b == b'.').next()?)),
            1 => {
                let parts = path.split(|b| *b == b'/').filter(|part| !part.is_empty());
                Some(view.list(parts.map(|part| Value::Uint(part.len() as u64))))
            }
            // Built from the argument, so it lives in the memory of the event.
            2 => match argument {
                FieldArgument::Key(key) => {
                    Some(Value::Text(view.text(|out| out.extend_from_slice(key))))
                }
                _ => None,
            },
            // Declared as a number.
            _ => Some(Value::Text(b"text")),
        }
    }
}

fn field(name: &str, ty: ParamType, list: bool) -> RuntimeField {
    RuntimeField {
        name: name.into(),
        description: "A field of a test.".into(),
        ty,
        format: Format::Dec,
        list,
        argument: None,
        purity: Purity::Pure,
        cost: Cost::flat(20),
        hidden: false,
        suggested: false,
    }
}

fn class(fields: Vec<RuntimeField>) -> Result<Arc<RuntimeClass>, ClassError> {
    let events: EventSet = [EventType::SyscallOpenat_2X].into_iter().collect();
    RuntimeClass::new("path", "Parts of a path.", ["syscall"], events, fields, PathFields)
}

fn fields() -> Fields {
    let argument = Some(ListedArgument { required: true, index: false, key: true });
    let class = class(vec![
        field("path.extension", ParamType::Charbuf, false),
        field("path.lengths", ParamType::Uint64, true),
        RuntimeField { argument, ..field("path.echo", ParamType::Charbuf, false) },
        field("path.mistyped", ParamType::Uint64, false),
    ]);
    Fields::syscall().with_class(class.unwrap()).unwrap()
}

/// Calls `test` with an `openat` of `/etc/ssl/key.pem`.
fn with_view(test: impl FnOnce(&View<'_>)) {
    let mut bytes = Vec::new();
    let mut event = Builder::new(EventType::SyscallOpenat_2X, 5_000, 7);
    event.i64(3).i64(-100).text("/etc/ssl/key.pem").u32(1).u32(0).u32(0).u64(0);
    event.finish(&mut bytes).unwrap();
    let event = Event::parse(&bytes, 0).unwrap();
    let mut state = State::new(Config::default());
    let context = state.apply(&event);
    let (run, scratch) = (Run::default(), Scratch::default());
    test(&View::new(&event, &state, context, &run, &scratch));
}

/// What a condition becomes for a type of events, and the program that decides it.
fn compiled(
    fields: &Fields,
    condition: &str,
    ty: EventType,
) -> (Residual, Program<peregrine_fields::Field>) {
    let expr = parse(condition, DEFAULT_MAX_DEPTH).unwrap();
    let filter = compile(&expr, fields).unwrap().filter;
    let mut program = ProgramBuilder::default();
    let residual = program.add(&mut Condition::new(&filter), &EventTypeFacts(ty));
    (residual, program.finish())
}

#[test]
fn conditions_and_outputs_read_registered_fields() {
    let fields = fields();
    with_view(|view| {
        for (condition, expected) in [
            ("path.extension = pem", true),
            ("path.extension in (crt, key)", false),
            ("path.extension endswith em and path.extension startswith pe", true),
            ("tolower(path.extension) = pem", true),
            ("path.lengths intersects (1, 7)", true),
            ("path.lengths in (3, 7)", true),
            ("path.lengths in (3, 4)", false),
            ("len(path.lengths) = 3", true),
            ("path.extension exists and evt.type = openat", true),
            ("path.echo[abc] = abc and not path.echo[b] = abc", true),
            ("path.mistyped exists", false),
        ] {
            let expr = parse(condition, DEFAULT_MAX_DEPTH).unwrap();
            let filter = compile(&expr, &fields).unwrap().filter;
            assert_eq!(filter.matches(view), expected, "{condition}");
            let (residual, program) = compiled(&fields, condition, view.event().ty);
            let Residual::Compiled(node) = residual else { panic!("{condition}: {residual:?}") };
            let mut cache = program.eval_cache();
            let holds = program.evaluator(view, &mut cache, ()).holds(node);
            assert_eq!(holds, expected, "{condition}");
        }
        let template =
            Template::compile("%path.extension of %path.lengths, %path.echo[x]", &fields);
        let mut out = Vec::new();
        template.unwrap().render(view, Buffers::Dots, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "pem of (3,3,7), x");
    });
}

#[test]
fn event_types_outside_of_the_class_are_decided_at_compile_time() {
    let fields = fields();
    let close = EventType::SyscallCloseX;
    assert_eq!(compiled(&fields, "path.extension = pem", close).0, Residual::Never);
    assert_eq!(compiled(&fields, "not path.extension = pem", close).0, Residual::Always);
}

#[test]
fn purity_and_cost_are_those_of_the_row() {
    let impure = RuntimeField {
        purity: Purity::Impure,
        cost: Cost { bare: 70, with_argument: 90 },
        ..field("path.reads", ParamType::Uint64, false)
    };
    let fields = Fields::syscall().with_class(class(vec![impure]).unwrap()).unwrap();
    let facts = EventTypeFacts(EventType::SyscallOpenat_2X);
    let reads = fields.resolve("path.reads").unwrap().field;
    assert_eq!((facts.is_pure(&reads), facts.cost(&reads)), (false, 70));
    let (residual, _) = compiled(&fields, "path.reads > 1", EventType::SyscallOpenat_2X);
    assert_eq!(residual, Residual::Interpreted);
}

#[test]
fn fields_are_those_of_the_sources_of_their_class() {
    let audit = RuntimeClass::new(
        "ka",
        "Audit events.",
        ["k8s_audit"],
        EventSet::all(),
        vec![field("ka.verb", ParamType::Charbuf, false)],
        PathFields,
    );
    let audit = audit.unwrap();
    let fields = Fields::of_source("k8s_audit").with_class(Arc::clone(&audit)).unwrap();
    assert!(fields.resolve("ka.verb").is_ok() && fields.resolve("evt.num").is_ok());
    assert!(fields.resolve("proc.name").is_err());
    assert_eq!(fields.classes().filter(|class| class.name == "ka").count(), 1);
    assert_eq!(fields.similar("ka.vreb"), ["ka.verb"]);
    assert!(Fields::syscall().with_class(audit).unwrap().resolve("ka.verb").is_err());
}

#[test]
fn wrong_names_and_arguments_are_errors() {
    let name = |name: &str| class(vec![field(name, ParamType::Charbuf, false)]);
    for wrong in ["", "pa-th", "path name", ".path", "1path"] {
        assert_eq!(name(wrong).unwrap_err(), ClassError::Name(wrong.into()));
    }
    let twice = vec![field("path.a", ParamType::Charbuf, false); 2];
    assert_eq!(class(twice).unwrap_err(), ClassError::Duplicate("path.a".into()));
    let taken = Fields::syscall().with_class(name("proc.name").unwrap());
    assert_eq!(taken.unwrap_err(), ClassError::Duplicate("proc.name".into()));
    assert_eq!(
        fields().resolve("path.echo").unwrap_err().to_string(),
        "filter 'path.echo': path.echo requires an argument but none provided"
    );
}
