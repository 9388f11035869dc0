//! Properties of any event and any path.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::net::{SocketAddrV4, SocketAddrV6};

use peregrine_event::render::{Buffers, FdName, Names, Renderer};
use peregrine_event::wire::Parts;
use peregrine_event::{Builder, Event, EventType, Param, Sockaddr, Socktuple, path};
use proptest::collection::vec;
use proptest::prelude::*;

/// Names every number with the same bytes.
struct Same<'a>(&'a [u8]);

impl Names for Same<'_> {
    fn fd(&self, _fd: i64) -> Option<FdName<'_>> {
        Some(FdName { ty: b'f', l4proto: None, name: self.0 })
    }
    fn comm(&self, _tid: i64) -> Option<&[u8]> {
        Some(self.0)
    }
    fn user(&self, _uid: u32) -> Option<&[u8]> {
        Some(self.0)
    }
    fn group(&self, _gid: u32) -> Option<&[u8]> {
        Some(self.0)
    }
    fn cwd(&self) -> Option<&[u8]> {
        Some(self.0)
    }
}

fn event_type() -> impl Strategy<Value = EventType> {
    (0..EventType::COUNT).prop_map(|code| EventType::from_code(code as u16).unwrap())
}

/// Bytes of the widths that numbers and addresses have, and of any other.
fn param() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![Just(0), Just(0xff), any::<u8>()];
    prop_oneof![
        Just(Vec::new()),
        vec(byte.clone(), 4),
        vec(byte.clone(), 8),
        vec(byte, 0..40),
        "[a./]{0,9}\0".prop_map(String::into_bytes),
    ]
}

fn built(ty: EventType, ts: u64, tid: i64, params: &[Vec<u8>]) -> Vec<u8> {
    let mut builder = Builder::new(ty, ts, tid);
    for param in params {
        builder.param(param);
    }
    let mut bytes = Vec::new();
    builder.finish(&mut bytes).unwrap();
    bytes
}

/// Takes all texts of an event, in all forms.
fn render_all(event: &Event<'_>, names: &dyn Names) -> Vec<u8> {
    let mut out = Vec::new();
    for buffers in [Buffers::Dots, Buffers::Base64] {
        let renderer = Renderer::new(event, names).buffers(buffers);
        renderer.args(&mut out);
        for index in 0..=event.nparams() {
            assert_eq!(renderer.arg(index, &mut out), index < event.nparams());
        }
    }
    out
}

/// Every accessor gives the same bytes: of the event, of its parts, and of several parameters at
/// once.
fn check_accessors(ty: EventType, params: &[Vec<u8>], behind: &[u8]) {
    let mut bytes = built(ty, 1, 2, params);
    // Bytes behind the parameters mean nothing.
    bytes.extend(behind);
    let len = bytes.len() as u32;
    bytes[16..20].copy_from_slice(&len.to_le_bytes());
    let event = Event::parse(&bytes, 0).unwrap();
    let parts = Parts::parse(&bytes).unwrap();
    let known = event.nparams();
    for index in 0..params.len() + 1 {
        let value = params.get(index).map(Vec::as_slice);
        assert_eq!(parts.param(index), value);
        assert_eq!(event.param(index), value.filter(|_| index < known));
    }
    let first: [_; 8] = event.params();
    for (index, value) in first.into_iter().enumerate() {
        assert_eq!(value, event.param(index));
    }
    if ty.length_width() != 2 {
        return;
    }
    for (from, to) in (0..=5).flat_map(|from| (from..=5).map(move |to| (from, to))) {
        let expected = (to <= 4).then(|| params.get(from..to)).flatten().map(|some| {
            let lengths = (0..).zip(some).map(|(n, param)| (param.len() as u64) << (16 * n)).sum();
            (lengths, some.concat())
        });
        let few = parts.few(from..to).map(|(lengths, bytes)| (lengths, bytes.to_vec()));
        if from < to {
            assert_eq!(few, expected, "{from}..{to}");
        } else {
            assert_eq!(few, Some((0, vec![])));
        }
    }
}

/// Lengths that end less than eight bytes before the end of the event were cut to 32 bits.
#[test]
fn three_lengths_in_a_body_of_seven_bytes() {
    check_accessors(EventType::GenericE, &[vec![], vec![], vec![0]], &[]);
}

/// All events of up to four parameters of up to two bytes, with up to two bytes behind them.
#[test]
fn all_accessors_read_the_same_at_every_distance_from_the_end() {
    for shape in 0..3_usize.pow(4) {
        let params: [Vec<u8>; 4] =
            std::array::from_fn(|n| vec![n as u8 + 1; shape / 3_usize.pow(n as u32) % 3]);
        for count in 0..=4 {
            for behind in 0..3 {
                check_accessors(EventType::GenericE, &params[..count], &vec![0xee; behind]);
            }
        }
    }
}

/// Normal form of an absolute path by the book.
fn by_the_book(path: &str) -> String {
    let mut names = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                names.pop();
            }
            name => names.push(name),
        }
    }
    format!("/{}", names.join("/"))
}

proptest! {
    #[test]
    fn built_events_parse_to_their_parameters(
        ty in event_type(),
        ts: u64,
        tid: i64,
        params in vec(param(), 0..=32),
    ) {
        let bytes = built(ty, ts, tid, &params);
        let event = Event::parse(&bytes, 3).unwrap();
        prop_assert_eq!((event.ty, event.ts, event.tid, event.cpu), (ty, ts, tid, 3));
        prop_assert_eq!(event.nparams(), params.len().min(ty.info().params.len()));
        for (index, param) in params.iter().take(event.nparams()).enumerate() {
            prop_assert_eq!(event.param(index), Some(&param[..]));
        }
        prop_assert_eq!(event.param(event.nparams()), None);
    }

    #[test]
    fn all_accessors_read_the_same_parameters(
        ty in event_type(),
        params in vec(param(), 0..12),
        behind in vec(any::<u8>(), 0..9),
    ) {
        check_accessors(ty, &params, &behind);
    }

    /// Short bodies, where a read of several lengths at once reaches the end of the event.
    #[test]
    fn all_accessors_read_the_same_short_parameters(
        ty in event_type(),
        params in vec(vec(any::<u8>(), 0..3), 0..9),
        behind in vec(any::<u8>(), 0..3),
    ) {
        check_accessors(ty, &params, &behind);
    }

    #[test]
    fn any_event_can_be_rendered(
        ty in event_type(),
        params in vec(param(), 0..=32),
        name in vec(any::<u8>(), 0..9),
    ) {
        let bytes = built(ty, u64::MAX, -1, &params);
        render_all(&Event::parse(&bytes, 0).unwrap(), &Same(&name));
    }

    #[test]
    fn any_bytes_can_be_parsed(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(event) = Event::parse(&bytes, 0) {
            render_all(&event, &Same(b"x"));
        }
    }

    #[test]
    fn truncated_events_are_refused(
        ty in event_type(),
        params in vec(param(), 1..=32),
        cut: prop::sample::Index,
    ) {
        let bytes = built(ty, 0, 0, &params);
        prop_assert!(Event::parse(&bytes[..cut.index(bytes.len())], 0).is_err());
    }

    #[test]
    fn addresses_round_trip(source: SocketAddrV6, destination: SocketAddrV6, old: SocketAddrV4) {
        // Flow and scope are not on the wire.
        let [source, destination] =
            [source, destination].map(|a| SocketAddrV6::new(*a.ip(), a.port(), 0, 0));
        let tuple = Socktuple::V6 { source, destination };
        let mut builder = Builder::new(EventType::SocketConnectX, 0, 0);
        builder.i64(0).socktuple(&tuple).i64(3).sockaddr(&Sockaddr::V4(old));
        let mut bytes = Vec::new();
        builder.finish(&mut bytes).unwrap();
        let event = Event::parse(&bytes, 0).unwrap();
        prop_assert_eq!(event.value(1), Some(Ok(Param::Socktuple(tuple))));
        prop_assert_eq!(event.value(3), Some(Ok(Param::Sockaddr(Sockaddr::V4(old)))));
    }

    #[test]
    fn absolute_paths_are_normal(path in "/[ab./]{0,30}") {
        let mut out = Vec::new();
        path::normalize(path.as_bytes(), &mut out);
        prop_assert_eq!(String::from_utf8(out).unwrap(), by_the_book(&path));
    }

    #[test]
    fn a_relative_path_starts_in_its_directory(
        dir in "/([ab]{1,3}/){0,4}",
        path in "[ab.][ab./]{0,30}",
    ) {
        let mut out = b"before".to_vec();
        path::join(dir.as_bytes(), path.as_bytes(), &mut out);
        let expected = format!("before{}", by_the_book(&format!("{dir}{path}")));
        prop_assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
