use peregrine_event::wire::MAX_PARAMS;
use peregrine_event::{Builder, Event};

use peregrine_event::EventFlags;

use super::*;
use crate::generated::ROWS;

/// An event with these parameters.
fn event(ty: EventType, tid: i64, params: &[&[u8]]) -> Vec<u8> {
    let mut builder = Builder::new(ty, 5, tid);
    for param in params {
        builder.param(param);
    }
    let mut bytes = Vec::new();
    builder.finish(&mut bytes).unwrap();
    bytes
}

/// Result of converting an event.
#[derive(Debug, PartialEq)]
enum Done {
    Unchanged,
    Rewritten,
    Dropped,
    Unknown,
}

/// Converts an event, and compares the returned header with the bytes.
fn convert(converter: &mut Converter, event: &[u8]) -> Result<Done, Damage> {
    Ok(match converter.take(event)? {
        Outcome::Unchanged(head) => {
            assert_eq!(Head::parse(event), Ok(head));
            Done::Unchanged
        }
        Outcome::Rewritten(head) => {
            assert_eq!(Head::parse(converter.output()), Ok(head));
            Done::Rewritten
        }
        Outcome::Dropped => Done::Dropped,
        Outcome::Unknown => Done::Unknown,
    })
}

/// The parameters of a converted event.
fn params(converter: &Converter) -> (EventType, Vec<Vec<u8>>) {
    let event = Event::parse(converter.output(), 0).unwrap();
    let params = (0..event.nparams()).map(|i| event.param(i).unwrap().to_vec()).collect();
    (event.ty, params)
}

#[test]
fn every_row_of_the_table_ends_in_a_current_event() {
    for row in &ROWS {
        let mut converter = Converter::new();
        let values = [b"\x01\x02\x03\x04\x05\x06\x07\x00".as_slice(); MAX_PARAMS];
        let old = event(row.event, 1, &values[..row.nparams.into()]);
        let outcome = convert(&mut converter, &old).unwrap();
        if outcome == Done::Rewritten {
            let new = Event::parse(converter.output(), 0).unwrap();
            let complete = new.nparams() == usize::from(new.ty.info().format_params);
            assert!(complete, "{:?} became {:?} with {}", row, new.ty, new.nparams());
            // Enter events all count as old, but those of exec are still used for the path.
            let old = new.ty.info().flags.contains(EventFlags::OLD_VERSION);
            assert!(!old || !new.ty.is_exit(), "{row:?}");
            assert_eq!((new.ts, new.tid), (5, 1));
        }
    }
}

#[test]
fn every_type_that_is_managed_has_a_row() {
    for ty in EventType::all() {
        let known = (0..=MAX_PARAMS).any(|n| !matches!(PLANS.plan(ty, n as u32), Plan::Never));
        assert!(known, "{ty:?}");
    }
}

#[test]
fn an_exit_event_takes_parameters_from_its_enter_event() {
    let mut converter = Converter::new();
    let fd = 9_i64.to_le_bytes();
    let enter = event(EventType::SyscallCloseE, 7, &[&fd]);
    assert_eq!(convert(&mut converter, &enter).unwrap(), Done::Dropped);
    let exit = event(EventType::SyscallCloseX, 7, &[&[0; 8]]);
    assert_eq!(convert(&mut converter, &exit).unwrap(), Done::Rewritten);
    let closed = (EventType::SyscallCloseX, vec![vec![0; 8], fd.to_vec()]);
    assert_eq!(params(&converter), closed);

    // Once only: the next exit of this thread has lost its enter event.
    assert_eq!(convert(&mut converter, &exit).unwrap(), Done::Rewritten);
    assert_eq!(params(&converter).1, [[0; 8], [0; 8]]);
}

#[test]
fn enter_events_of_other_threads_and_syscalls_are_not_used() {
    let mut converter = Converter::new();
    let fd = 9_i64.to_le_bytes();
    convert(&mut converter, &event(EventType::SyscallCloseE, 8, &[&fd])).unwrap();
    convert(&mut converter, &event(EventType::SyscallReadE, 7, &[&fd, &[1, 0, 0, 0]])).unwrap();
    let exit = event(EventType::SyscallCloseX, 7, &[&[0; 8]]);
    assert_eq!(convert(&mut converter, &exit).unwrap(), Done::Rewritten);
    assert_eq!(params(&converter).1, [[0; 8], [0; 8]]);
}

#[test]
fn a_new_section_forgets_enter_events() {
    let mut converter = Converter::new();
    convert(&mut converter, &event(EventType::SyscallCloseE, 7, &[&9_i64.to_le_bytes()])).unwrap();
    converter.reset();
    convert(&mut converter, &event(EventType::SyscallCloseX, 7, &[&[0; 8]])).unwrap();
    assert_eq!(params(&converter).1[1], [0; 8]);
}

#[test]
fn a_wider_old_parameter_is_cut_to_the_new_type() {
    let mut converter = Converter::new();
    let cmd = 0x1_0000_0005_i64.to_le_bytes();
    convert(&mut converter, &event(EventType::SyscallBpfE, 7, &[&cmd])).unwrap();
    convert(&mut converter, &event(EventType::SyscallBpfX, 7, &[&[3; 8]])).unwrap();
    let (ty, params) = params(&converter);
    assert_eq!(ty, EventType::SyscallBpf_2X);
    assert_eq!(params[1], [5, 0, 0, 0]);
}

#[test]
fn the_first_container_event_becomes_json() {
    let mut converter = Converter::new();
    let old: [&[u8]; 4] = [b"abc\0", &[1, 0, 0, 0], b"web\0", b"nginx\0"];
    convert(&mut converter, &event(EventType::ContainerE, 7, &old)).unwrap();
    let (ty, params) = params(&converter);
    assert_eq!(ty, EventType::ContainerJson_2E);
    assert_eq!(params[0], b"{\"id\":\"abc\",\"type\":1,\"name\":\"web\",\"image\":\"nginx\"}\0");
}

#[test]
fn plans_follow_the_table_of_events() {
    let full = EventType::SyscallReadX.info().params.len() as u32;
    assert!(matches!(PLANS.plan(EventType::SyscallReadX, full), Plan::Pass));
    assert!(matches!(PLANS.plan(EventType::SyscallReadX, full + 1), Plan::Pass));
    assert!(matches!(PLANS.plan(EventType::SyscallReadX, 1000), Plan::Pass));
    assert!(matches!(PLANS.plan(EventType::SyscallReadX, 2), Plan::Rewrite(_)));
    assert!(matches!(PLANS.plan(EventType::SyscallReadE, 2), Plan::Keep { deliver: false }));
    assert!(matches!(PLANS.plan(EventType::PlugineventE, 2), Plan::Pass));
    for ty in EventType::all() {
        if ty.info().flags.contains(EventFlags::UNUSED) {
            assert!(matches!(PLANS.plan(ty, 0), Plan::Drop));
        }
    }
}

#[test]
fn a_form_that_never_was_is_an_error() {
    let mut converter = Converter::new();
    let never = event(EventType::SyscallReadX, 7, &[]);
    assert!(matches!(
        convert(&mut converter, &never),
        Err(Damage::Conversion { ty: EventType::SyscallReadX, nparams: 0 })
    ));
}
