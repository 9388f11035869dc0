//! The table of rows, by families of calls, and the events it must cover.

mod descriptors;
mod exec;
mod files;
mod identity;
mod io;
mod life;
mod memory;
mod messages;
#[cfg(target_arch = "x86_64")]
mod narrow;
mod net;
mod open;
mod prelude;

mod process;
mod sockets;
mod system;

use peregrine_event::{EventType, native_syscalls};
use peregrine_probe::bpf::Tracepoints;

use crate::frame::Row;
use crate::stage::Stage;

/// All rows.
pub(crate) static ALL: &[&[Row]] = &[
    descriptors::ROWS,
    exec::ROWS,
    files::ROWS,
    identity::ROWS,
    io::ROWS,
    life::ROWS,
    memory::ROWS,
    messages::ROWS,
    #[cfg(target_arch = "x86_64")]
    narrow::ROWS,
    open::ROWS,
    sockets::ROWS,
    system::ROWS,
];

/// Events of the entry of calls.
pub(crate) const ENTRIES: [EventType; 5] = [
    EventType::SyscallOpenE,
    EventType::SyscallOpenat_2E,
    EventType::SyscallOpenat2E,
    EventType::SyscallCreatE,
    EventType::SocketConnectE,
];

/// Kernel events that are not system calls, and their tracepoints.
const TRACED: [(EventType, Tracepoints); 4] = [
    (EventType::Procexit_1E, Tracepoints::PROCESS_EXIT),
    (EventType::Schedswitch_6E, Tracepoints::SWITCH),
    (EventType::PageFaultE, Tracepoints::PAGE_FAULT_USER),
    (EventType::SignaldeliverE, Tracepoints::SIGNAL_DELIVER),
];

/// Every event that the probe can emit on this architecture.
pub(crate) fn reported() -> impl Iterator<Item = EventType> {
    let mut exits: Vec<_> = native_syscalls().iter().map(|call| exit_of(call.exit)).collect();
    exits.sort_unstable_by_key(|event| event.code());
    exits.dedup();
    let entries =
        ENTRIES.into_iter().filter(|entry| !cfg!(target_arch = "aarch64") || has_call(*entry));
    exits.into_iter().chain(entries).chain(TRACED.map(|(event, _)| event))
}

/// Whether an event is a kernel event and not a system call.
pub(crate) fn is_traced(event: EventType) -> bool {
    TRACED.iter().any(|(traced, _)| *traced == event)
}

/// Why an event cannot occur on this machine.
pub(crate) fn obstacle(event: EventType, stage: &Stage) -> Option<&'static str> {
    if ENTRIES.contains(&event) && !stage.entries() {
        return Some("the kernel has no tracefs");
    }
    match TRACED.iter().find(|(traced, _)| *traced == event) {
        Some((_, tracepoint)) if stage.missing.contains(*tracepoint) => {
            Some("the kernel has no such tracepoint")
        }
        Some(_) => None,
        None if has_call(event) => None,
        None => Some("this architecture has no such call"),
    }
}

/// Whether a call of this architecture produces events of this family.
fn has_call(event: EventType) -> bool {
    native_syscalls().iter().any(|call| exit_of(call.exit).family() == event.family())
}

/// The table uses the enter event for calls without an event of their own.
fn exit_of(event: EventType) -> EventType {
    if event == EventType::GenericE { EventType::GenericX } else { event }
}
