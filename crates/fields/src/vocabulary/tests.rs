use peregrine_event::{Format, ParamType};
use peregrine_filter::MultiValue;

use peregrine_filter::Template;

use super::*;

fn resolved(text: &str) -> Resolved<Field> {
    let all = Fields::syscall().with_containers(true).with_kubernetes(true);
    all.resolve(text).unwrap()
}

fn error(text: &str) -> String {
    Fields::syscall().with_containers(true).resolve(text).unwrap_err().to_string()
}

#[test]
fn every_field_of_the_table_has_its_own_name() {
    for definition in classes().iter().flat_map(|class| class.fields.iter()) {
        let suffix = match definition.argument {
            Argument::Param | Argument::RawParam => ".fd",
            Argument::Event => ".open",
            Argument::Time => "[12]",
            Argument::Subsystem => ".cpu",
            Argument::Key | Argument::IndexOrPattern => "[key]",
            _ => "",
        };
        assert!(definition.name.bytes().all(is_of_name));
        let text = format!("{}{suffix}", definition.name);
        let field = resolved(&text);
        assert_eq!((field.field.id, field.len), (definition.id, text.len()), "{text}");
    }
}

#[test]
fn the_longest_name_wins() {
    for (text, name) in [
        ("proc.aexepath", "proc.aexepath"),
        ("proc.aexe[1]path", "proc.aexe[1]"),
        ("proc.name[2]", "proc.name"),
        ("evt.args", "evt.args"),
        ("evt.arg.fd=", "evt.arg.fd"),
        ("evt.arg.fdx", "evt.arg.fd"),
        ("evt.arg.fdin", "evt.arg.fdin"),
        ("evt.time.iso8601: x", "evt.time.iso8601"),
        ("evt.abspath.dst)", "evt.abspath.dst"),
        ("thread.cgroups", "thread.cgroups"),
        ("thread.cgroup.perf_event)", "thread.cgroup.perf_event"),
        ("proc.env[HOME]/x", "proc.env[HOME]"),
        ("proc.aname[abc]", "proc.aname"),
        ("proc.aname[-1]", "proc.aname"),
        ("container.mount.source[/var/log]", "container.mount.source[/var/log]"),
    ] {
        assert_eq!(resolved(text).len, name.len(), "{text}");
    }
}

#[test]
fn only_a_field_without_an_argument_has_several_values_things() {
    assert_eq!(resolved("proc.aname").each, Some(MultiValue::Any));
    assert_eq!(resolved("proc.aname[1]").each, None);
    assert_eq!(resolved("proc.aenv[HOME]").each, None);
    assert_eq!(resolved("fd.ip").each, Some(MultiValue::Ends));
}

#[test]
fn raw_parameters_have_the_type_of_the_first_that_has_the_name() {
    let flags = resolved("evt.rawarg.flags");
    assert_eq!((flags.ty, flags.format), (ParamType::Flags32, Format::Hex));
    assert_eq!(resolved("evt.arg.flags").ty, ParamType::Charbuf);
}

#[test]
fn invalid_arguments_are_errors() {
    for (text, message) in [
        ("proc.shoe", "nonexistent field proc.shoe"),
        ("evt.type.is.nosuch", "nonexistent field evt.type.is.nosuch"),
        ("evt.rawarg", "filter syntax error: evt.rawarg"),
        ("evt.argue", "filter syntax error: evt.argue"),
        ("evt.arg.nosuch", "unknown event argument nosuch"),
        ("evt.arg[x]", "x is not a valid number"),
        ("evt.rawarg[0]", "evt.arg fields must be expressed explicitly"),
        ("evt.around.x", "wrong syntax for evt.around"),
        ("thread.cgroup", "filter syntax error: thread.cgroup"),
        ("fd.types[x]", "x is not a valid number"),
        (
            "container.label",
            "filter 'container.label': container.label requires an argument but none provided",
        ),
    ] {
        assert_eq!(error(text), message);
    }
}

#[test]
fn similar_names_are_suggested() {
    let similar = Fields::syscall().similar("proc.nmae");
    assert!(similar.contains(&"proc.name".to_owned()), "{similar:?}");
}

#[test]
fn sources_have_their_fields() {
    let plugin = Fields::of_source("k8s_audit").with_statics([("site", "attic")]);
    assert!(plugin.resolve("evt.num").is_ok());
    assert!(plugin.resolve("evt.type").is_err());
    assert!(plugin.resolve("static.site").is_ok());
    assert!(plugin.resolve("static.other").is_err());
    assert!(Fields::syscall().resolve("container.id").is_err());
    assert_eq!(plugin.suggested().collect::<Vec<_>>(), ["static.site"]);
}

#[test]
fn constants_without_a_field_name_are_not_suggested() {
    let names = ["a", "a.b_1", "a/b", "a.b-c", "1", ".", "", "a ", "ä"];
    let fields = Fields::of_source("tea").with_statics(names.map(|name| (name, "v")));
    assert_eq!(fields.suggested().collect::<Vec<_>>(), ["static.a", "static.a.b_1"]);
    assert_eq!(fields.unusable_statics().count(), names.len() - 2);
    for name in fields.suggested() {
        let template = Template::compile(&format!("%{name}"), &fields).unwrap();
        assert_eq!(template.fields()[0].name(), name);
    }
}
