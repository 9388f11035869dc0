//! Every version of every block, built by hand.

use std::net::{Ipv4Addr, Ipv6Addr};

use peregrine_event::snapshot::{Fd, FdKind, InterfaceAddress, Item, Thread};
use peregrine_event::{Abi, EventType};
use peregrine_scap::{Damage, Reader, ScapError};

use crate::common::{
    Owned, block, close, event_block, events, gzip, items, read, read_all, section,
};

#[test]
fn process_lists_of_all_versions() {
    let codes = [
        (1, vec![0x202, 0x8000_ABCD]),
        (2, vec![0x207, 0x8013_ABCD]),
        (3, vec![0x209, 0x8014_ABCD]),
        (4, vec![0x210]),
        (5, vec![0x211]),
        (6, vec![0x212]),
        (7, vec![0x213]),
        (8, vec![0x214]),
    ];
    for (version, types) in codes {
        for ty in types {
            let body = [thread_entry(version, 1), thread_entry(version, 2)].concat();
            let expected = [thread(version, 1), thread(version, 2)];
            assert_eq!(snapshot(&block(ty, &body)), expected.map(|t| Item::Thread(Box::new(t))));
        }
    }
}

#[test]
fn process_lists_of_version_nine_grew_at_their_end() {
    // As in release 0.9: 29 bytes, without the two fields that 0.10 put before them.
    let mut tail = 501_u32.to_le_bytes().to_vec();
    tail.push(1);
    for set in [1_u64, 2, 3] {
        tail.extend_from_slice(&set.to_le_bytes());
    }
    let old = nine(&tail);
    let in_0_9 = Thread {
        loginuid: 501,
        exe_writable: true,
        cap_inheritable: 1,
        cap_permitted: 2,
        cap_effective: 3,
        ..thread(9, 1)
    };
    // As in 0.10, with half of the later fields, and bytes of a newer writer.
    let tail = [&[7; 8][..], &[8, 0, 0, 0], tail.as_slice(), &[1], &[9; 8]].concat();
    let middle = nine(&tail);
    let in_0_10 = Thread {
        pidns_init_start_ts: u64::from_le_bytes([7; 8]),
        clone_ts: 0,
        incomplete: false,
        tty: 8,
        exe_upper_layer: true,
        exe_ino: u64::from_le_bytes([9; 8]),
        ..in_0_9.clone()
    };
    let newest =
        nine(&[tail.as_slice(), &[1; 16], &[0, 1], &[5, 0, 0, 0, 0, 0, 0, 0], b"more"].concat());
    let in_newest = Thread {
        exe_ino_ctime: u64::from_le_bytes([1; 8]),
        exe_ino_mtime: u64::from_le_bytes([1; 8]),
        exe_lower_layer: true,
        pgid: 5,
        ..in_0_10.clone()
    };
    let expected = [in_0_9, in_0_10, in_newest].map(|t| Item::Thread(Box::new(t)));
    assert_eq!(snapshot(&block(0x215, &[old, middle, newest].concat())), expected);
}

#[test]
fn fd_lists_of_both_versions() {
    let file = |dev| FdKind::File { flags: 4, name: b"/f".to_vec(), mount_id: 0, dev };
    let mut entry = fd_entry(5, 16);
    entry.extend_from_slice(&[4, 0, 0, 0, 2, 0, b'/', b'f']);
    let socket = FdKind::Ipv4 {
        sip: Ipv4Addr::new(10, 0, 0, 1),
        dip: Ipv4Addr::new(10, 0, 0, 2),
        sport: 0x102,
        dport: 80,
        l4proto: 1,
    };
    let mut second = fd_entry(6, 3);
    second.extend_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2, 2, 1, 80, 0, 1]);
    let list = |first| {
        let fd = |fd, kind| Fd { fd, ino: 40, kind };
        [Item::Fds(30, vec![fd(5, first), fd(6, socket.clone())])]
    };

    let tid = 30_i64.to_le_bytes();
    let v1 = [&tid, entry.as_slice(), &second].concat();
    assert_eq!(snapshot(&block(0x203, &v1)), list(file(0)));
    assert_eq!(snapshot(&block(0x8001_ABCD, &v1)), list(file(0)));
    entry.extend_from_slice(&[77, 0, 0, 0]);
    let v2 = [&tid[..], &sized(&entry), &sized(&second)].concat();
    assert_eq!(snapshot(&block(0x218, &v2)), list(file(77)));
}

#[test]
fn fds_of_kinds_to_come_are_kept_as_unsupported() {
    let mut entry = fd_entry(5, 99);
    entry.extend_from_slice(b"whatever it has");
    let body = [&30_i64.to_le_bytes()[..], &sized(&entry)].concat();
    let kind = FdKind::Named { ty: 10, name: b"unknown-type:[99]".to_vec() };
    assert_eq!(snapshot(&block(0x218, &body)), [Item::Fds(30, vec![Fd { fd: 5, ino: 40, kind }])]);
}

#[test]
fn interface_lists_of_both_versions() {
    let v4 = |speed: bool| {
        let kind = if speed { 1 } else { 3 };
        let mut entry = vec![kind, 0, 2, 0, 10, 0, 0, 1, 255, 0, 0, 0, 10, 255, 255, 255];
        entry.extend_from_slice(if speed { &[9, 0, 0, 0, 0, 0, 0, 0] } else { &[] });
        entry.extend_from_slice(b"lo");
        entry
    };
    let v6 = [&[4, 0, 4, 0][..], &[1; 16], &[2; 16], &[3; 16], b"eth0"].concat();
    let expected = [(true, 9), (false, 0)].map(|(speed, link_speed)| {
        let items = snapshot(&block(0x205, &v4(speed)));
        let [Item::Interface(interface)] = items.as_slice() else { panic!("{items:?}") };
        assert_eq!((interface.name.as_slice(), interface.link_speed), (&b"lo"[..], link_speed));
        let InterfaceAddress::V4 { address, netmask, broadcast } = interface.address else {
            panic!("{interface:?}")
        };
        assert_eq!(
            [address, netmask, broadcast].map(|ip| ip.octets()),
            [[10, 0, 0, 1], [255, 0, 0, 0], [10, 255, 255, 255]]
        );
        items
    });
    let items = snapshot(&block(0x8011_ABCD, &v6));
    let [Item::Interface(interface)] = items.as_slice() else { panic!("{items:?}") };
    let InterfaceAddress::V6 { netmask, .. } = interface.address else { panic!("{interface:?}") };
    assert_eq!(netmask, Ipv6Addr::from([2; 16]));

    let v2 = |entry: &[u8]| [&(entry.len() as u32).to_le_bytes(), entry].concat();
    let body = [v2(&v4(true)), v2(&v4(false)), v2(&v6)].concat();
    let all = [expected.concat(), items].concat();
    assert_eq!(snapshot(&block(0x219, &body)), all);
    let (_, error) = read(capture(&block(0x205, &[9, 0, 0, 0])).as_slice());
    assert!(matches!(error, Some(ScapError::Damaged { damage: Damage::Interface(9), .. })));
}

#[test]
fn user_lists_of_both_versions() {
    let user = [&[0][..], &[1, 0, 0, 0, 2, 0, 0, 0], b"\x01\0u\x02\0/h\x03\0/sh"].concat();
    let group = [&[1][..], &[3, 0, 0, 0], b"\x01\0g"].concat();
    let v1 = snapshot(&block(0x206, &[user.as_slice(), &group].concat()));
    assert_eq!(v1.len(), 2);
    let Item::User(root) = &v1[0] else { panic!("{v1:?}") };
    assert_eq!((root.uid, root.gid), (1, 2));
    assert_eq!([&root.name, &root.home, &root.shell], [&b"u"[..], b"/h", b"/sh"]);
    assert_eq!(snapshot(&block(0x220, &[sized(&user), sized(&group)].concat())), v1);
    assert_eq!(snapshot(&block(0x8012_ABCD, &[user, group].concat())), v1);
}

#[test]
fn events_of_all_block_versions() {
    let event = close(7);
    let v1 = without_count(&event, 0);
    let flagged = |event: &[u8]| [&[2, 0, 1, 0, 0, 0], event].concat();
    let marked = |event: &[u8]| [&[2, 0, 0, 0, 0, 0x80], event].concat();
    let simple = |event: &[u8]| [&[2, 0], event].concat();
    for (ty, body, abi, state_only) in [
        (0x204, simple(&v1), Abi::Native, false),
        (0x8010_ABCD, simple(&v1), Abi::Native, false),
        (0x208, flagged(&v1), Abi::Native, true),
        (0x216, simple(&event), Abi::Native, false),
        (0x217, flagged(&event), Abi::Native, true),
        (0x217, marked(&event), Abi::Ia32, false),
        (0x221, simple(&event), Abi::Native, false),
        (0x222, flagged(&event), Abi::Native, true),
    ] {
        let file = [section(), block(ty, &body)].concat();
        let expected = Owned::Event { num: 1, cpu: 2, abi, state_only, bytes: event.clone() };
        assert_eq!(read_all(file.as_slice()), [expected], "{ty:#x}");
    }
}

#[test]
fn parameter_counts_of_the_first_version_are_found() {
    // Fewer parameters than today: close had only its result.
    let mut short = Vec::new();
    let ty = EventType::SyscallCloseX;
    peregrine_event::Builder::new(ty, 9, 7).i64(-9).finish(&mut short).unwrap();
    let file = [section(), block(0x204, &[&[0, 0], &without_count(&short, 0)[..]].concat())];
    let records = read_all(file.concat().as_slice());
    let [bytes] = events(&records)[..] else { panic!("{records:?}") };
    let event = peregrine_event::Event::parse(bytes, 0).unwrap();
    assert_eq!((event.nparams(), event.i64(0), event.i64(1)), (2, Some(-9), Some(0)));

    // Two events overstated their length by three bytes.
    let mut notification = Vec::new();
    peregrine_event::Builder::new(EventType::NotificationE, 9, 7)
        .text("id")
        .text("what")
        .finish(&mut notification)
        .unwrap();
    let body = [&[0, 0], &without_count(&notification, 3)[..], &[0; 3]].concat();
    let records = read_all([section(), block(0x204, &body)].concat().as_slice());
    assert_eq!(events(&records), [notification]);

    // No parameter count fits.
    let mut broken = without_count(&close(7), 0);
    broken[22] = 200;
    broken[24] = 0;
    let (_, error) =
        read([section(), block(0x204, &[&[0, 0], &broken[..]].concat())].concat().as_slice());
    assert!(matches!(error, Some(ScapError::Damaged { damage: Damage::ParamCount { .. }, .. })));
}

#[test]
fn what_only_newer_writers_know_is_skipped() {
    let mut unknown = close(7);
    unknown[20..22].copy_from_slice(&9999_u16.to_le_bytes());
    let file =
        [section(), block(0x9999, b"something"), event_block(&unknown), event_block(&close(8))];
    let file = file.concat();
    assert_eq!(events(&read_all(file.as_slice())), [close(8)]);
    let mut reader = Reader::new(file.as_slice());
    while reader.next().unwrap().is_some() {}
    assert_eq!((reader.counts().delivered, reader.counts().unknown), (1, 1));
}

#[test]
fn superfluous_events_take_no_number() {
    let mut enter = Vec::new();
    let ty = EventType::SyscallCloseE;
    peregrine_event::Builder::new(ty, 9, 7).i64(3).finish(&mut enter).unwrap();
    let file = [section(), event_block(&enter), event_block(&close(7)), event_block(&close(8))];
    let numbers: Vec<_> = read_all(file.concat().as_slice())
        .into_iter()
        .map(|record| match record {
            Owned::Event { num, .. } => num,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(numbers, [1, 2]);
}

#[test]
fn appended_captures_restart() {
    let one = capture(&block(0x202, &thread_entry(1, 1)));
    let two = capture(&block(0x202, &thread_entry(1, 2)));
    let event =
        |num| Owned::Event { num, cpu: 2, abi: Abi::Native, state_only: false, bytes: close(1) };
    let item = |tid| Owned::Item(Item::Thread(Box::new(thread(1, tid))));
    let expected = [item(1), event(1), Owned::Restart, item(2), event(2)];
    assert_eq!(read_all([one.clone(), two.clone()].concat().as_slice()), expected);
    assert_eq!(read_all([gzip(&one), gzip(&two)].concat().as_slice()), expected);
    let with_garbage = [gzip(&one), gzip(&two), b"\0\0not gzip".to_vec()].concat();
    assert_eq!(read_all(with_garbage.as_slice()), expected);
}

#[test]
fn section_headers_may_have_options() {
    let mut body = section()[8..24].to_vec();
    body.extend_from_slice(b"an option of any length.");
    let file = [block(0x0A0D_0D0A, &body), event_block(&close(1))].concat();
    assert_eq!(events(&read_all(file.as_slice())), [close(1)]);
}

#[test]
fn sources_that_give_a_byte_at_a_time_are_read() {
    struct Trickle<'a>(&'a [u8]);
    impl std::io::Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let count = buffer.len().min(1);
            std::io::Read::read(&mut self.0, &mut buffer[..count])
        }
    }
    let file = capture(&block(0x202, &thread_entry(1, 1)));
    assert_eq!(read_all(Trickle(&file)), read_all(file.as_slice()));
    assert_eq!(read_all(Trickle(&gzip(&file))), read_all(file.as_slice()));
}

#[test]
fn errors_say_where_and_what() {
    let message = |file: &[u8]| read(file).1.map(|error| error.to_string()).unwrap_or_default();
    let with_order = |order: u32, major: u16| {
        let mut section = section();
        section[8..12].copy_from_slice(&order.to_le_bytes());
        section[12..14].copy_from_slice(&major.to_le_bytes());
        section
    };
    let with_len = |mut block: Vec<u8>, len: u32| {
        block[4..8].copy_from_slice(&len.to_le_bytes());
        [section(), block].concat()
    };
    for (file, expected) in [
        (Vec::new(), "is not a capture file"),
        (b"GIF89a".to_vec(), "is not a capture file"),
        (section(), "holds no events"),
        (
            with_order(0x4D3C_2B1A, 1),
            "damaged at byte 0: the section header has byte-order mark 0x4d3c2b1a, not 0x1a2b3c4d",
        ),
        (with_order(0x1A2B_3C4D, 2), "has format version 2, the newest known is 1"),
        (
            with_len(event_block(&close(1)), 70_000),
            "damaged at byte 28: an event block says it has 70000 bytes, at most 65544 can be",
        ),
        (
            with_len(event_block(&close(1)), 20),
            "damaged at byte 28: an event block says it has 20 bytes, it needs at least 40",
        ),
        (
            with_len(block(0x221, &close(1)), 0xffff_fff0),
            "damaged at byte 28: an event block says it has 4294967280 bytes, at most 67108864 can be",
        ),
        (
            with_len(block(0x999, b""), 8),
            "damaged at byte 28: a block of unknown type says it has 8 bytes, it needs at least 12",
        ),
        (
            with_len(block(0x202, b"12345678"), 16),
            "damaged at byte 28: the process list says it has 16 bytes before it and 943142453 after it",
        ),
        (
            [section(), event_block(&close(1)), block(0x202, b"")].concat(),
            "damaged at byte 88: a block of type 0x202 stands between the events",
        ),
        (
            capture(&block(0x202, b"12345678")),
            "damaged at byte 28: an entry of the process list ends beyond it",
        ),
        (
            [section(), event_block(&close(1))].concat()[..60].to_vec(),
            "damaged at byte 28: the file ends inside an event block: 60 bytes needed, 32 there",
        ),
    ] {
        assert_eq!(message(&file), expected);
    }
}

/// A capture with this block and one event.
fn capture(list: &[u8]) -> Vec<u8> {
    [section().as_slice(), list, &event_block(&close(1))].concat()
}

/// The items of a list block.
fn snapshot(list: &[u8]) -> Vec<Item> {
    items(&read_all(capture(list).as_slice()))
}

/// An entry preceded by its length.
fn sized(entry: &[u8]) -> Vec<u8> {
    [&(entry.len() as u32 + 4).to_le_bytes(), entry].concat()
}

/// The common start of all fd entries.
fn fd_entry(fd: i64, ty: u8) -> Vec<u8> {
    [&fd.to_le_bytes()[..], &40_u64.to_le_bytes(), &[ty]].concat()
}

/// The event without its parameter count, as in the first version. Its length is overstated by
/// `more`.
fn without_count(event: &[u8], more: u32) -> Vec<u8> {
    let len = (event.len() as u32 - 4 + more).to_le_bytes();
    [&event[..16], &len, &event[20..22], &event[26..]].concat()
}

/// A thread entry of version 9 with this tail.
fn nine(tail: &[u8]) -> Vec<u8> {
    sized(&[thread_entry(9, 1).as_slice(), tail].concat())
}

fn thread_entry(version: u8, tid: i64) -> Vec<u8> {
    let mut out = Vec::new();
    let text = |out: &mut Vec<u8>, text: &[u8]| {
        out.extend_from_slice(&(text.len() as u16).to_le_bytes());
        out.extend_from_slice(text);
    };
    let ids = [(1, tid), (1, 102), (1, 103), (6, 104), (8, 105)];
    for (_, id) in ids.iter().filter(|(since, _)| version >= *since) {
        out.extend_from_slice(&id.to_le_bytes());
    }
    text(&mut out, b"comm");
    text(&mut out, b"exe");
    if version >= 7 {
        text(&mut out, b"/bin/exe");
    }
    text(&mut out, b"a\0b\0");
    text(&mut out, b"/cwd/");
    out.extend_from_slice(&1024_i64.to_le_bytes());
    for number in [1_u32, 2, 3] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    if version >= 2 {
        for number in [4_u32, 5, 6] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&7_u64.to_le_bytes());
        out.extend_from_slice(&8_u64.to_le_bytes());
    }
    if version >= 3 {
        text(&mut out, b"A=1\0");
    }
    if version >= 4 {
        out.extend_from_slice(&9_i64.to_le_bytes());
        out.extend_from_slice(&10_i64.to_le_bytes());
        text(&mut out, b"cpu=/\0");
    }
    if version >= 5 {
        text(&mut out, b"/root");
    }
    out
}

/// The decoded form of [`thread_entry`].
fn thread(version: u8, tid: i64) -> Thread {
    let since = |first: u8| version >= first;
    let text = |first, text: &[u8]| if since(first) { text.to_vec() } else { Vec::new() };
    Thread {
        tid,
        pid: 102,
        ptid: 103,
        sid: if since(6) { 104 } else { -1 },
        vpgid: if since(8) { 105 } else { -1 },
        pgid: -1,
        vtid: if since(4) { 9 } else { -1 },
        vpid: if since(4) { 10 } else { -1 },
        comm: text(1, b"comm").into(),
        exe: text(1, b"exe").into(),
        exepath: text(7, b"/bin/exe").into(),
        args: text(1, b"a\0b\0").into(),
        env: text(3, b"A=1\0").into(),
        cgroups: text(4, b"cpu=/\0").into(),
        cwd: text(1, b"/cwd/").into(),
        root: text(5, b"/root").into(),
        fdlimit: 1024,
        flags: 1,
        uid: 2,
        gid: 3,
        loginuid: u32::MAX,
        vmsize_kb: if since(2) { 4 } else { 0 },
        vmrss_kb: if since(2) { 5 } else { 0 },
        vmswap_kb: if since(2) { 6 } else { 0 },
        pfmajor: if since(2) { 7 } else { 0 },
        pfminor: if since(2) { 8 } else { 0 },
        ..Thread::default()
    }
}
