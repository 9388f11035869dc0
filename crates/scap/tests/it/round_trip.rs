//! The reader reads what the writer writes.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::common::{
    CAPTURES, Owned, captures, close, event_block, events, items, read, read_all, section,
};
use peregrine_event::snapshot::{
    Fd, FdKind, Group, Interface, InterfaceAddress, Item, Machine, Thread, User,
};
use peregrine_event::{Abi, Builder, Event, EventType};
use peregrine_scap::{Compression, OldestReader, Writer};
use proptest::prelude::*;

#[test]
fn a_snapshot_of_everything_survives() {
    for compression in [Compression::None, Compression::Gzip] {
        let mut writer = Writer::new(Vec::new(), compression, &everything()).unwrap();
        writer.event(&Event::parse(&close(1), 0).unwrap(), false).unwrap();
        let file = writer.finish().unwrap();
        assert_eq!(items(&read_all(file.as_slice())), everything());
    }
}

#[test]
fn real_captures_survive() {
    for path in captures(CAPTURES) {
        let before = read_all(std::fs::File::open(&path).unwrap());
        let file = write(&before, Compression::Gzip);
        let after = read_all(file.as_slice());
        assert!(before == after, "{}", path.display());
    }
}

#[test]
fn long_lists_are_split_and_long_strings_cut() {
    let thread = |tid| Thread { tid, env: [b'e'; 5000].into(), ..Thread::default() };
    let threads: Vec<_> = (0..600).map(|tid| Item::Thread(Box::new(thread(tid)))).collect();
    let mut writer = Writer::new(Vec::new(), Compression::None, &threads).unwrap();
    writer.event(&Event::parse(&close(1), 0).unwrap(), false).unwrap();
    let read = items(&read_all(writer.finish().unwrap().as_slice()));
    assert_eq!(read.len(), 600);
    for (tid, item) in (0..).zip(&read) {
        let Item::Thread(thread) = item else { panic!("{item:?}") };
        assert_eq!((thread.tid, thread.env.len()), (tid, 4096));
    }
}

#[test]
fn the_writer_writes_the_bytes_of_the_format() {
    let mut writer = Writer::new(Vec::new(), Compression::None, &[]).unwrap();
    let event = close(77);
    writer.event(&Event::parse(&event, 2).unwrap(), false).unwrap();
    let expected = [section(), event_block(&event)].concat();
    assert_eq!(writer.finish().unwrap(), expected);
}

#[test]
fn events_of_more_than_64_kilobytes_take_a_large_block() {
    let data = vec![b'd'; 65_000];
    let mut bytes = Vec::new();
    for (extra, block) in [(0, 0x216_u32), (500, 0x221)] {
        let mut builder = Builder::new(EventType::SyscallReadX, 9, 7);
        builder.i64(0).param(&[&data[..], &vec![0; extra]].concat()).i64(3).u32(1);
        builder.finish(&mut bytes).unwrap();
        let mut writer = Writer::new(Vec::new(), Compression::None, &[]).unwrap();
        writer.event(&Event::parse(&bytes, 0).unwrap(), false).unwrap();
        let file = writer.finish().unwrap();
        assert_eq!(file[section().len()..][..4], block.to_le_bytes());
        assert_eq!(events(&read_all(file.as_slice())), [bytes.as_slice()]);
    }
}

proptest! {
    #[test]
    fn any_event_survives(
        // Only current events are returned unchanged.
        ty in prop::sample::select(EventType::all().filter(|ty| is_current(*ty)).collect::<Vec<_>>()),
        cpu: u16,
        ts: u64,
        tid: i64,
        abi in prop::sample::select(&[Abi::Native, Abi::Ia32, Abi::Aarch32][..]),
        state_only: bool,
        params in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..90), 0..12),
    ) {
        let mut builder = Builder::new(ty, ts, tid);
        for index in 0..ty.info().params.len() {
            builder.param(params.get(index).map_or(&[], |p| p.as_slice()));
        }
        let mut bytes = Vec::new();
        builder.finish(&mut bytes).unwrap();

        for reader in [OldestReader::Falco0_42, OldestReader::Falco0_43, OldestReader::Falco0_44] {
            let writer = Writer::new(Vec::new(), Compression::None, &[]).unwrap();
            let mut writer = writer.oldest_reader(reader);
            let mut event = Event::parse(&bytes, cpu).unwrap();
            event.abi = abi;
            writer.event(&event, state_only).unwrap();
            let read = read_all(writer.finish().unwrap().as_slice());
            let bytes = bytes.clone();
            prop_assert_eq!(read, [Owned::Event { num: 1, cpu, abi, state_only, bytes }]);
        }
    }
}

#[test]
fn older_readers_find_the_parameters_that_they_know() {
    let mut bytes = Vec::new();
    let mut builder = Builder::new(EventType::SocketSocketX, 9, 7);
    builder.i64(3).u32(2).u32(1).u32(6).u32(0x1000).finish(&mut bytes).unwrap();
    let write = |reader| {
        let writer = Writer::new(Vec::new(), Compression::None, &[]).unwrap();
        let mut writer = writer.oldest_reader(reader);
        writer.event(&Event::parse(&bytes, 0).unwrap(), false).unwrap();
        writer.finish().unwrap()
    };
    let event = |file: &[u8]| {
        let event = &file[section().len() + 10..];
        let len = u32::from_le_bytes(event[16..20].try_into().unwrap()) as usize;
        Event::parse(&event[..len], 0).unwrap().bytes().to_vec()
    };
    let (old, new) = (write(OldestReader::Falco0_43), write(OldestReader::Falco0_44));
    assert_eq!(event(&new), bytes);
    let known = event(&old);
    let known = Event::parse(&known, 0).unwrap();
    assert_eq!((known.nparams(), known.i64(0), known.u32(3)), (4, Some(3), Some(6)));
    // An appendix that is damaged is none.
    for at in old.len() - 20..old.len() - 4 {
        let mut damaged = old.clone();
        damaged[at] ^= 0x55;
        let _ = read(damaged.as_slice());
    }
}

fn is_current(ty: EventType) -> bool {
    use peregrine_event::EventFlags as F;
    let flags = ty.info().flags;
    !flags.intersects(F::UNUSED | F::OLD_VERSION)
        && (ty.is_exit() || !flags.contains(F::CONVERTER_MANAGED))
}

fn write(records: &[Owned], compression: Compression) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), compression, &items(records)).unwrap();
    for record in records {
        if let Owned::Event { cpu, abi, state_only, bytes, .. } = record {
            let mut event = Event::parse(bytes, *cpu).unwrap();
            event.abi = *abi;
            writer.event(&event, *state_only).unwrap();
        }
    }
    writer.finish().unwrap()
}

/// One of each, with distinct values, in the order of the format.
fn everything() -> Vec<Item> {
    let v4 = |last| Ipv4Addr::new(10, 0, 0, last);
    let v6 = |last| Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, last);
    let name = |text: &str| text.as_bytes().to_vec();
    let kinds = [
        FdKind::Ipv4 { sip: v4(1), dip: v4(2), sport: 1001, dport: 80, l4proto: 1 },
        FdKind::Ipv4Server { ip: v4(3), port: 81, l4proto: 2 },
        FdKind::Ipv6 { sip: v6(4), dip: v6(5), sport: 1002, dport: 82, l4proto: 1 },
        FdKind::Ipv6Server { ip: v6(6), port: 83, l4proto: 2 },
        FdKind::Unix { source: 7, destination: 8, name: name("/run/socket") },
        FdKind::File { flags: 9, name: name("/etc/passwd"), mount_id: 0, dev: 10 },
        FdKind::Named { ty: 7, name: name("pipe:[1]") },
        FdKind::Named { ty: 21, name: name("pidfd") },
    ];
    let fds = (0..).zip(kinds).map(|(fd, kind)| Fd { fd, ino: fd as u64 + 100, kind }).collect();
    vec![
        Item::Machine(Machine {
            num_cpus: 4,
            memory: 1 << 33,
            max_pid: 4_194_304,
            hostname: name("host"),
            boot_ts: 1_700_000_000_000_000_000,
            flags: 3,
        }),
        Item::Interface(Interface {
            name: name("eth0"),
            address: InterfaceAddress::V4 { address: v4(1), netmask: v4(0), broadcast: v4(255) },
            link_speed: 1000,
        }),
        Item::Interface(Interface {
            name: name("eth0"),
            address: InterfaceAddress::V6 { address: v6(1), netmask: v6(0), broadcast: v6(255) },
            link_speed: 1001,
        }),
        Item::User(User {
            uid: 1,
            gid: 2,
            name: name("daemon"),
            home: name("/"),
            shell: name("/bin/sh"),
        }),
        Item::Group(Group { gid: 3, name: name("sys") }),
        Item::Thread(Box::new(Thread {
            tid: 11,
            pid: 12,
            ptid: 13,
            sid: 14,
            vpgid: 15,
            pgid: 16,
            vtid: 17,
            vpid: 18,
            comm: name("sh").into(),
            exe: name("-sh").into(),
            exepath: name("/bin/dash").into(),
            args: name("-c\0true\0").into(),
            env: name("A=1\0B=2\0").into(),
            cgroups: name("cpu=/a\0").into(),
            cwd: name("/home/").into(),
            root: name("/").into(),
            fdlimit: 1024,
            flags: 19,
            uid: 20,
            gid: 21,
            loginuid: 22,
            vmsize_kb: 23,
            vmrss_kb: 24,
            vmswap_kb: 25,
            pfmajor: 26,
            pfminor: 27,
            pidns_init_start_ts: 28,
            clone_ts: 0,
            incomplete: false,
            tty: 29,
            exe_writable: true,
            exe_upper_layer: true,
            exe_lower_layer: true,
            exe_from_memfd: true,
            cap_inheritable: 30,
            cap_permitted: 31,
            cap_effective: 32,
            exe_ino: 33,
            exe_ino_ctime: 34,
            exe_ino_mtime: 35,
        })),
        Item::Fds(11, fds),
    ]
}
