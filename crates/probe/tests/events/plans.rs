//! Two hook plans must report the same for one act.

use std::collections::BTreeMap;

use peregrine_event::{Abi, Event, EventType};

use crate::rows;

/// Parameters with momentary values: the hooks of two plans run one after the other. In between,
/// the parent of a new process may end and be replaced.
const OF_THE_MOMENT: [&str; 6] = ["pgft_maj", "pgft_min", "ptid", "vm_size", "vm_rss", "vm_swap"];

/// Events by thread, type, and call if the type does not determine it. The order of different types
/// may differ: the start of a child, for instance, comes from another hook.
type Groups<'a> = BTreeMap<(i64, u16, Option<u64>), Vec<&'a Event<'a>>>;

/// Compares system call events of the function hooks with those of the hook at the exit of all
/// calls, up to where this thread closed `end`. The error names the first event and parameter that
/// differ.
pub(crate) fn compare(first: &[Event<'_>], second: &[Event<'_>], end: i32) -> Result<(), String> {
    let (first, mut second) = (groups(first, end)?, groups(second, end)?);
    // Calls that the kernel was built without have no function. Another row checks that all others
    // have one.
    second.retain(|key, _| key.2.is_none() || first.contains_key(key));
    for key in first.keys().chain(second.keys()) {
        let of = |groups: &'_ Groups<'_>| groups.get(key).map_or(0, Vec::len);
        let (tid, code, _) = *key;
        let name = EventType::from_code(code).map_or("an event", EventType::name);
        if of(&first) != of(&second) {
            let (first, second) = (of(&first), of(&second));
            return Err(format!(
                "{name} of thread {tid} is reported {first} times by one plan and {second} times by the other"
            ));
        }
    }
    for (key, events) in &first {
        for (event, other) in events.iter().zip(second.get(key).into_iter().flatten()) {
            same(event, other)?;
        }
    }
    Ok(())
}

fn groups<'a>(events: &'a [Event<'a>], end: i32) -> Result<Groups<'a>, String> {
    let me = i64::from(std::process::id());
    let is_end = |event: &Event<'_>| {
        event.tid == me
            && event.ty == EventType::SyscallCloseX
            && event.param_index("fd").and_then(|index| event.i64(index)) == Some(end.into())
    };
    let at = events.iter().position(is_end).ok_or("a plan does not tell of the end of the act")?;
    let mut groups = Groups::new();
    for event in events.iter().take(at).filter(|event| !rows::is_traced(event.ty)) {
        let call = event.param_index("ID").filter(|_| event.ty == EventType::GenericX);
        let call = call.and_then(|index| event.u64(index));
        groups.entry((event.tid, event.ty.code(), call)).or_default().push(event);
    }
    Ok(groups)
}

fn same(event: &Event<'_>, other: &Event<'_>) -> Result<(), String> {
    if event.abi != other.abi {
        let (ty, tid, abis) = (event.ty.name(), event.tid, [event.abi, other.abi].map(Abi::name));
        return Err(format!("{ty} of thread {tid} is {abis:?} for one plan and the other"));
    }
    for (index, param) in event.ty.info().params.iter().enumerate() {
        let (one, two) = (event.param(index), other.param(index));
        if one != two && !OF_THE_MOMENT.contains(&param.name) {
            let show = |value: Option<&[u8]>| match value {
                Some(bytes) => format!("\"{}\"", bytes.escape_ascii()),
                None => "nothing".into(),
            };
            let (ty, name) = (event.ty.name(), param.name);
            return Err(format!(
                "{ty} of thread {}: {name} is {} for one plan and {} for the other",
                event.tid,
                show(one),
                show(two)
            ));
        }
    }
    Ok(())
}
