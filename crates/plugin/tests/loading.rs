//! Libraries that are no plugins, broken plugins, and what good ones say of themselves.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]

mod support;

use std::fmt::Write as _;

use peregrine_plugin::{Library, Version};
use support::{Log, Workshop};

/// One fault each: a name and the options of the compiler.
const FAULTS: &[(&str, &[&str])] = &[
    ("api missing", &["-Dplugin_get_required_api_version=missing"]),
    ("api null", &["-DNEEDS=NULL"]),
    ("api text", &["-DNEEDS=\"three\""]),
    ("api two numbers", &["-DNEEDS=\"3.1\""]),
    ("api not UTF-8", &["-DNEEDS=\"\\xff\""]),
    ("api major", &["-DNEEDS=\"4.0.0\""]),
    ("api minor", &["-DNEEDS=\"3.13.0\""]),
    ("api patch", &["-DNEEDS=\"3.12.1\""]),
    ("api too old", &["-DNEEDS=\"2.9.9\""]),
    ("get_version missing", &["-Dplugin_get_version=missing"]),
    ("get_name missing", &["-Dplugin_get_name=missing"]),
    ("get_description missing", &["-Dplugin_get_description=missing"]),
    ("get_contact missing", &["-Dplugin_get_contact=missing"]),
    ("init missing", &["-Dplugin_init=missing"]),
    ("destroy missing", &["-Dplugin_destroy=missing"]),
    ("get_last_error missing", &["-Dplugin_get_last_error=missing"]),
    ("name null", &["-DNAME=NULL"]),
    ("name empty", &["-DNAME=\"\""]),
    ("name not UTF-8", &["-DNAME=\"\\xff\""]),
    ("version null", &["-DVERSION=NULL"]),
    ("version text", &["-DVERSION=\"one.two\""]),
    ("open missing", &["-Dplugin_open=missing"]),
    ("close missing", &["-Dplugin_close=missing"]),
    ("next_batch missing", &["-Dplugin_next_batch=missing"]),
    ("open and get_fields missing", &["-Dplugin_open=missing", "-Dplugin_get_fields=missing2"]),
    ("get_id missing", &["-Dplugin_get_id=missing"]),
    ("get_event_source missing", &["-Dplugin_get_event_source=missing"]),
    ("id 0", &["-DID=0"]),
    ("source null", &["-DSOURCE=NULL"]),
    ("source empty", &["-DSOURCE=\"\""]),
    ("source syscall", &["-DSOURCE=\"syscall\""]),
    ("source not UTF-8", &["-DSOURCE=\"\\xff\""]),
    ("get_fields missing", &["-Dplugin_get_fields=missing"]),
    ("fields null", &["-DFIELDS=NULL"]),
    ("fields not UTF-8", &["-DFIELDS=\"\\xff\""]),
    ("sources text", &["-DSOURCES=\"badly\""]),
    ("sources object", &["-DSOURCES=\"{}\""]),
    ("sources of objects", &["-DSOURCES=\"[{}]\""]),
    ("constructor fails to find a symbol", &["-DCONSTRUCTOR=not_there()"]),
];

#[test]
fn each_fault_has_an_error_that_says_which_plugin() {
    let Some(workshop) = Workshop::open("cc") else { return };
    let mut table = String::new();
    for (index, (name, options)) in FAULTS.iter().enumerate() {
        let path = workshop.build(&format!("fault{index}"), "plugin.c", options);
        let error = match Library::load(&path) {
            Ok(_) => "(loads)".to_owned(),
            Err(error) => error.to_string(),
        };
        let shown = error.replace(path.to_str().unwrap(), "FILE");
        assert!(shown.contains("FILE") || shown.contains("badly"), "{name}: {shown}");
        writeln!(table, "{name}: {shown}").unwrap();
    }
    insta::assert_snapshot!(table);
}

#[test]
fn without_any_capability_a_plugin_is_none() {
    let Some(workshop) = Workshop::open("cc") else { return };
    let options = [
        "-Dplugin_open=m1",
        "-Dplugin_close=m2",
        "-Dplugin_next_batch=m3",
        "-Dplugin_extract_fields=m4",
    ];
    let path = workshop.build("none", "plugin.c", &options);
    let error = Library::load(&path).unwrap_err().to_string();
    assert!(error.ends_with(": plugin does not implement any capability"), "{error}");
}

#[test]
fn what_is_no_library_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("text.so");
    std::fs::write(&path, "not a library").unwrap();
    for path in [path, directory.path().join("absent.so"), directory.path().to_owned()] {
        let error = Library::load(&path).unwrap_err().to_string();
        let begin = format!(
            "cannot load plugin {0}: can't load plugin dynamic library: {0}: ",
            path.display()
        );
        assert!(error.starts_with(&begin), "{error}");
    }
}

#[test]
fn texts_that_share_a_buffer_are_told_apart() {
    let Some(workshop) = Workshop::open("cc") else { return };
    let library = workshop.plugin();
    let info = library.info();
    assert_eq!((info.name.as_str(), info.contact.as_str()), ("badly", "\u{fffd}\u{fffd}"));
    assert_eq!(info.description, "does what its texts ask for");
    assert_eq!(info.version, Version { major: 1, minor: 2, patch: 3 });
    assert_eq!(info.required_api, Version::API);
    let capabilities = &info.capabilities;
    let sourcing = capabilities.sourcing.as_ref().unwrap();
    assert_eq!((sourcing.id, sourcing.source.as_deref()), (77, Some("badly")));
    let extraction = capabilities.extraction.as_ref().unwrap();
    assert_eq!(extraction.sources, ["badly"]);
    assert!(extraction.fields.starts_with("[{\"name\":\"b.value\""));
    assert!(capabilities.parsing.is_none() && capabilities.async_events.is_none());
}

#[test]
fn lists_of_sources_are_read_as_the_reference_does() {
    let Some(workshop) = Workshop::open("cc") else { return };
    let sources = |name: &str, list: &str, own: &[&str]| {
        let list = format!("-DSOURCES={list}");
        let options = [&[list.as_str()], own].concat();
        let library = Library::load(&workshop.build(name, "plugin.c", &options)).unwrap();
        library.info().capabilities.extraction.clone().unwrap().sources
    };
    let without = ["-DID=0", "-DSOURCE=\"\""];
    assert_eq!(
        sources("s1", r#""[\"a\", \"\", \"a\", null, 1, true]""#, &without),
        ["a", "1", "true"]
    );
    assert_eq!(sources("s2", r#""[\"a\"]""#, &[]), ["a", "badly"]);
    assert_eq!(sources("s3", "NULL", &without), [""; 0]);
    assert_eq!(sources("s4", r#""[\"badly\"]""#, &[]), ["badly"]);
}

#[test]
fn init_says_why_it_has_failed() {
    let Some(workshop) = Workshop::open("cc") else { return };
    let library = workshop.plugin();
    let mut table = String::new();
    for config in ["fail", "refuse", "silent", "nothing", "nu\0l"] {
        let log = Log::default();
        let error = library.init(config, log.host()).unwrap_err();
        writeln!(table, "{config:?}: {error} {:?}", log.lines()).unwrap();
    }
    insta::assert_snapshot!(table);
}

#[test]
fn the_event_schema_matters_to_those_that_read_system_calls() {
    let Some(workshop) = Workshop::open("cc") else { return };
    let all_sources = ["-DID=0", "-DSOURCE=\"\""];
    let mut table = String::new();
    for schema in [
        "-DNOTHING",
        "-DSCHEMA=NULL",
        "-DSCHEMA=\"4.5.1\"",
        "-DSCHEMA=\"4.5.2\"",
        "-DSCHEMA=\"4.6.0\"",
        "-DSCHEMA=\"5.0.0\"",
        "-DSCHEMA=\"four\"",
    ] {
        let name = format!("schema{}", table.len());
        let path = workshop.build(&name, "plugin.c", &[schema, all_sources[0], all_sources[1]]);
        let instance = support::instance(&Library::load(&path).unwrap());
        let checked = instance.check_event_schema(Version { major: 4, minor: 5, patch: 1 });
        let text = checked.map_or_else(|error| error.to_string(), |()| "taken".to_owned());
        writeln!(table, "{schema}: {text}").unwrap();
    }
    insta::assert_snapshot!(table);
    let path = workshop.build("own", "plugin.c", &["-DSCHEMA=\"9.0.0\""]);
    let instance = support::instance(&Library::load(&path).unwrap());
    assert_eq!(instance.check_event_schema(Version { major: 4, minor: 5, patch: 1 }), Ok(()));
}

#[test]
fn event_types_are_those_that_the_plugin_names() {
    use peregrine_event::EventType as T;
    let Some(workshop) = Workshop::open("cc") else { return };
    let types = |name: &str, options: &[&str]| {
        let library = Library::load(&workshop.build(name, "plugin.c", options)).unwrap();
        let instance = library.init("", Log::default().host());
        instance.map(|instance| *instance.extracts()).map_err(|error| error.to_string())
    };
    let all_sources = ["-DID=0", "-DSOURCE=\"\""];
    let plugin_events: Vec<_> = types("t0", &[]).unwrap().iter().collect();
    assert_eq!(plugin_events, [T::PlugineventE]);
    assert_eq!(types("t1", &all_sources).unwrap().len(), T::COUNT);
    let named: Vec<_> = types("t2", &["-DTYPES=3"]).unwrap().iter().collect();
    assert_eq!(named, [T::PlugineventE, T::AsynceventE]);
    assert_eq!(types("t3", &["-DTYPES=0"]).unwrap().len(), 1);
    assert_eq!(
        types("t4", &["-DTYPES=0xffffffff"]).unwrap_err(),
        "error in plugin badly: 'get_extract_event_types' returned 4294967295 types of events"
    );
}
