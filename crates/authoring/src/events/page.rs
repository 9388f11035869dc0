//! The page of an event, and the search for events.

use std::collections::BTreeMap;

use peregrine_engine::select;
use peregrine_event::{Class, EventFlags, EventType, ParamType, syscall_names, syscalls_x86_64};

use super::{flag_names, generic_names, is_generic};
use crate::columns::columns;
use crate::types::type_name;
use crate::{search, similar};

/// No event has this name, and none answers these words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no event {name}{}", similar::hint(.nearest.as_deref()))]
pub struct UnknownEvent {
    /// What was asked for.
    pub name: String,
    /// The most similar event.
    pub nearest: Option<String>,
}

/// The page of the event with this name, or the events that answer all words.
///
/// # Errors
/// No event has this name, and none answers the words.
pub fn find(words: &[String]) -> Result<String, UnknownEvent> {
    let events = events();
    if let [name] = words {
        if let Some(ty) = events.get(name.as_str()) {
            return Ok(page(name, *ty));
        }
        if generic_names().contains(&name.as_str()) {
            return Ok(page(name, EventType::GenericX));
        }
    }
    let told: Vec<_> =
        events.iter().map(|(name, ty)| (*name, format!("{} {}", kind(*ty), params(*ty)))).collect();
    let generic = generic_names();
    let told = told.iter().map(|(name, told)| (*name, told.as_str()));
    let told = told.chain(generic.iter().map(|name| (*name, "system call")));
    let found = search::best(words, told);
    if found.is_empty() {
        let name = words.join(" ");
        let names = events.keys().copied().chain(generic.iter().copied());
        let nearest = similar::nearest(&name, names).map(str::to_owned);
        return Err(UnknownEvent { name, nearest });
    }
    Ok(search::listing(&found))
}

/// The events that conditions name, each with the type that carries its parameters.
fn events() -> BTreeMap<&'static str, EventType> {
    let gone = EventFlags::OLD_VERSION | EventFlags::UNUSED;
    let current =
        EventType::all().filter(|ty| !is_generic(*ty) && !ty.info().flags.intersects(gone));
    let mut events = BTreeMap::new();
    for ty in current {
        let better = |known: &EventType| ty.info().params.len() > known.info().params.len();
        if events.get(ty.name()).is_none_or(better) {
            events.insert(ty.name(), ty);
        }
    }
    events
}

fn kind(ty: EventType) -> &'static str {
    let is = |class| ty.info().classes.contains(&class);
    if is(Class::Syscall) {
        "system call"
    } else if is(Class::Tracepoint) {
        "tracepoint"
    } else if is(Class::Plugin) {
        "event of a plugin"
    } else {
        "event of the engine"
    }
}

fn params(ty: EventType) -> String {
    ty.info().params.iter().map(|param| param.name).collect::<Vec<_>>().join(" ")
}

fn page(name: &str, ty: EventType) -> String {
    let mut page = columns("Event:", name);
    page += &columns("Kind:", kind(ty));
    let syscalls = if ty == EventType::GenericX { vec![name] } else { syscalls(ty) };
    if !syscalls.is_empty() {
        page += &columns("System calls:", &syscalls.join(", "));
        let rare = select::ignored().names().contains(name);
        page += &columns("Monitored:", if rare { "if a rule needs it" } else { "always" });
    }
    let flags = ty.info().flags;
    let about: Vec<&str> = [
        (EventFlags::CREATES_FD, "it makes an fd"),
        (EventFlags::USES_FD, "it uses an fd"),
        (EventFlags::DESTROYS_FD, "it closes an fd"),
        (EventFlags::READS_FROM_FD, "it reads"),
        (EventFlags::WRITES_TO_FD, "it writes"),
        (EventFlags::WAITS, "it may wait"),
    ]
    .into_iter()
    .filter(|(flag, _)| flags.intersects(*flag))
    .map(|(_, what)| what)
    .collect();
    if !about.is_empty() {
        let fields = "; the fields fd.* describe it";
        let has_fd = about.iter().any(|what| what.ends_with("fd"));
        page += &columns(
            "About:",
            &format!("{}{}", about.join(", "), if has_fd { fields } else { "" }),
        );
    }
    for param in ty.info().format_params() {
        let flags = flag_names(param).map(|flags| flags.collect::<Vec<_>>().join(", "));
        let flags = flags.map(|flags| format!(": {flags}")).unwrap_or_default();
        page += &columns(
            &format!("evt.arg.{}", param.name),
            &format!("{}{flags}", type_name(param.ty)),
        );
    }
    page + &columns("Example:", &example(name, ty))
}

/// Names of the system calls that such an event reports.
fn syscalls(ty: EventType) -> Vec<&'static str> {
    let codes = syscalls_x86_64().iter().filter(|syscall| syscall.exit == ty);
    let codes: Vec<_> = codes.map(|syscall| syscall.sc).collect();
    syscall_names().filter(|(code, _)| codes.contains(code)).map(|(_, name)| name).collect()
}

fn example(name: &str, ty: EventType) -> String {
    let has = |name: &str, types: &[ParamType]| {
        ty.info().params.iter().any(|param| param.name == name && types.contains(&param.ty))
    };
    let param = if ty.info().flags.intersects(EventFlags::CREATES_FD)
        && has("name", &[ParamType::Fspath, ParamType::Fsrelpath])
    {
        " and fd.name startswith /etc/"
    } else if ty.info().flags.intersects(EventFlags::USES_FD) {
        " and fd.type = file"
    } else if has("res", &[ParamType::Errno]) {
        " and evt.res = SUCCESS"
    } else {
        ""
    };
    format!("evt.type = {name}{param}")
}

#[cfg(test)]
mod tests {
    use peregrine_fields::Fields;
    use peregrine_filter::{DEFAULT_MAX_DEPTH, compile, parse};

    use super::*;

    fn find_words(words: &str) -> String {
        find(&words.split(' ').map(str::to_owned).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn an_event_has_a_page() {
        insta::assert_snapshot!(find_words("openat"));
        insta::assert_snapshot!(find_words("fd path"));
        assert!(find_words("acct").contains("evt.type = acct"));
        assert!(find_words("opne").starts_with("open "), "{}", find_words("opne"));
        let unknown = find(&["execvez_at".to_owned()]).unwrap_err();
        assert_eq!(unknown.to_string(), "there is no event execvez_at; did you mean execveat?");
    }

    #[test]
    fn every_example_is_a_condition() {
        for (name, ty) in events() {
            let example = example(name, ty);
            let tree = parse(&example, DEFAULT_MAX_DEPTH).unwrap();
            assert!(compile(&tree, &Fields::syscall()).is_ok(), "{example}");
        }
    }
}
