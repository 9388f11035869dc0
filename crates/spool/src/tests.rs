use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use proptest::prelude::*;

use crate::{
    Appended, Record, Spool, SpoolError, SpoolReader, SpoolSettings, TakeLimits, WhenFull,
};

const TAKE: TakeLimits = TakeLimits { records: 7, bytes: 10_000 };

fn settings(directory: &Path) -> SpoolSettings {
    SpoolSettings {
        directory: directory.join("spool"),
        max_bytes: 64 << 20,
        max_age: Duration::from_secs(3600),
        when_full: WhenFull::DropOldest,
        sync_interval: Duration::from_millis(1),
        memory: 1 << 20,
    }
}

fn open(settings: &SpoolSettings) -> (Spool, SpoolReader) {
    let (spool, reader, error) = Spool::open(settings.clone());
    assert!(error.is_none(), "{error:?}");
    (spool, reader)
}

/// The body of record `number`: its digits, again and again.
fn body(number: u64, len: usize) -> Vec<u8> {
    format!("{number} ").bytes().cycle().take(len).collect()
}

/// Appends a record of this size for each number.
fn append(spool: &Spool, numbers: impl IntoIterator<Item = u64>, len: usize) -> Appended {
    let bodies = numbers.into_iter().map(|number| (number, body(number, len)));
    let bodies: Vec<_> = bodies.collect();
    let appended = spool.append(bodies.iter().map(|(number, body)| Record {
        id: u128::from(*number),
        time: number + 1,
        body,
    }));
    spool.publish();
    appended
}

/// The numbers of the records that are held. They are unchanged.
fn held(reader: &SpoolReader) -> Vec<u64> {
    let number = |record: &Record<'_>| {
        let number = record.id as u64;
        assert_eq!(record.time, number + 1);
        assert_eq!(record.body, body(number, record.body.len()));
        number
    };
    reader.records().iter().map(number).collect()
}

/// Takes and settles all records that can be read. Gives back what is missing.
fn drain(reader: &mut SpoolReader, into: &mut Vec<u64>) -> (u64, u64, Vec<SpoolError>) {
    let (mut expired, mut damaged, mut errors) = (0, 0, Vec::new());
    loop {
        let missing = reader.take(TAKE);
        expired += missing.expired;
        damaged += missing.damaged;
        let taken = held(reader);
        let is_end = missing.error.is_none() && taken.is_empty();
        errors.extend(missing.error);
        if is_end {
            return (expired, damaged, errors);
        }
        reader.settle(taken.len());
        into.extend(taken);
    }
}

#[test]
fn records_come_back_in_order_from_memory_and_disk() {
    for memory in [0, 5_000, 1 << 20] {
        let dir = tempfile::tempdir().unwrap();
        let settings = SpoolSettings { memory, ..settings(dir.path()) };
        let (spool, mut reader) = open(&settings);
        let mut read = Vec::new();
        for round in 0..10 {
            let appended = append(&spool, round * 100..(round + 1) * 100, 200);
            assert_eq!((appended.stored, appended.refused, appended.dropped), (100, 0, 0));
            if round % 3 == 0 {
                assert!(drain(&mut reader, &mut read).2.is_empty());
            }
        }
        drain(&mut reader, &mut read);
        assert_eq!(read, (0..1000).collect::<Vec<_>>());
        assert_eq!(spool.status().records, 0);
        spool.close().unwrap();
        // Nothing stays behind.
        assert_eq!(fs::read_dir(&settings.directory).unwrap().count(), 2);
    }
}

#[test]
fn what_is_not_settled_comes_first_in_the_next_run() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let (spool, mut reader) = open(&settings);
    append(&spool, 0..100, 100);
    reader.take(TAKE);
    reader.settle(3);
    reader.take(TAKE);
    drop((spool, reader));
    let (spool, mut reader) = open(&settings);
    assert_eq!((spool.status().recovered, spool.status().records), (97, 97));
    append(&spool, 100..110, 100);
    let mut read = Vec::new();
    drain(&mut reader, &mut read);
    assert_eq!(read, (3..110).collect::<Vec<_>>());
    drop((spool, reader));
    assert_eq!(open(&settings).0.status().recovered, 0);
}

#[test]
fn the_reader_sees_what_is_published() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, mut reader) = open(&settings(dir.path()));
    spool.append([Record { id: 0, time: 1, body: b"" }]);
    reader.take(TAKE);
    assert_eq!(held(&reader), [0; 0]);
    let waiter = thread::spawn(move || {
        assert!(reader.wait());
        reader.take(TAKE);
        assert_eq!(held(&reader), [0]);
        reader.settle(1);
        assert!(!reader.wait());
    });
    spool.publish();
    assert!(spool.wait_empty(Duration::from_secs(60)));
    spool.close().unwrap();
    waiter.join().unwrap();
}

#[test]
fn a_full_spool_drops_the_oldest_or_refuses_the_newest() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = SpoolSettings { max_bytes: 200_000, ..settings(dir.path()) };
    let (spool, mut reader) = open(&settings);
    reader.take(TAKE);
    let appended = append(&spool, 0..1000, 1000);
    assert_eq!((appended.stored, appended.refused), (1000, 0));
    assert!(appended.dropped > 800, "{appended:?}");
    let status = spool.status();
    assert_eq!(status.records, 1000 - appended.dropped);
    assert!(status.bytes <= 200_000 && status.bytes > 100_000, "{status:?}");
    let mut read = Vec::new();
    drain(&mut reader, &mut read);
    assert_eq!(read, (appended.dropped..1000).collect::<Vec<_>>());
    drop((spool, reader));

    settings.when_full = WhenFull::DropNewest;
    let (spool, mut reader) = open(&settings);
    let appended = append(&spool, 0..1000, 1000);
    assert_eq!(appended.dropped, 0);
    assert!(appended.stored > 180 && appended.stored < 200, "{appended:?}");
    assert_eq!(appended.stored + appended.refused, 1000);
    let mut read = Vec::new();
    drain(&mut reader, &mut read);
    assert_eq!(read, (0..appended.stored).collect::<Vec<_>>());
    // A record that can never fit.
    assert_eq!(append(&spool, [0], 300_000).refused, 1);
}

#[test]
fn records_that_the_reader_holds_are_not_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let settings = SpoolSettings { max_bytes: 100_000, ..settings(dir.path()) };
    let (spool, mut reader) = open(&settings);
    append(&spool, 0..10, 1000);
    reader.take(TAKE);
    assert_eq!(held(&reader), [0, 1, 2, 3, 4, 5, 6]);
    let appended = append(&spool, 10..500, 1000);
    assert_eq!(spool.status().records, 500 - appended.dropped);
    reader.settle(4);
    assert_eq!(spool.status().records, 496 - appended.dropped);
    assert_eq!(held(&reader), [4, 5, 6]);
    reader.settle(3);
    let mut read = Vec::new();
    drain(&mut reader, &mut read);
    assert_eq!(read, (7 + appended.dropped..500).collect::<Vec<_>>());
    assert_eq!(spool.status().records, 0);
}

#[test]
fn old_records_expire() {
    for memory in [0, 1 << 20] {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = SpoolSettings { memory, ..settings(dir.path()) };
        settings.max_age = Duration::from_millis(500);
        let (spool, mut reader) = open(&settings);
        append(&spool, 0..20, 10);
        reader.take(TAKE);
        assert_eq!((held(&reader).len(), reader.expire()), (7, 0));
        thread::sleep(Duration::from_millis(600));
        append(&spool, 20..22, 10);
        assert!(spool.status().oldest.unwrap() >= 600);
        assert_eq!(reader.expire(), 7);
        let mut read = Vec::new();
        let (expired, damaged, _) = drain(&mut reader, &mut read);
        assert_eq!((expired, damaged, &read[..]), (13, 0, &[20, 21][..]));
        assert_eq!(spool.status().records, 0);
    }
}

#[test]
fn two_spools_do_not_share_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let (first, first_reader) = open(&settings);
    append(&first, 0..3, 10);
    let (second, mut reader, error) = Spool::open(settings);
    assert!(matches!(error, Some(SpoolError::Locked { .. })), "{error:?}");
    // It works from memory, and takes the directory over when that is free.
    append(&second, 10..13, 10);
    reader.take(TakeLimits { records: 1, ..TAKE });
    assert_eq!(held(&reader), [10]);
    drop((first, first_reader));
    thread::sleep(Duration::from_millis(1100));
    append(&second, 13..14, 10);
    assert_eq!((second.status().recovered, second.status().records), (3, 7));
    reader.settle(1);
    let mut read = Vec::new();
    drain(&mut reader, &mut read);
    assert_eq!(read, [0, 1, 2, 11, 12, 13]);
}

#[test]
fn what_the_disk_refuses_waits_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let settings = SpoolSettings { memory: 100_000, ..settings(dir.path()) };
    let (spool, mut reader) = open(&settings);
    // No file can be created any more. The program may be root, so permissions do not help.
    fs::remove_dir_all(&settings.directory).unwrap();
    fs::write(&settings.directory, "").unwrap();
    let appended = append(&spool, 0..300, 1000);
    assert!(matches!(appended.error, Some(SpoolError::Write { .. })), "{appended:?}");
    assert!((90..100).contains(&appended.stored), "{appended:?}");
    assert_eq!(appended.stored + appended.refused, 300);
    reader.take(TAKE);
    assert_eq!(held(&reader), [0, 1, 2, 3, 4, 5, 6]);
    reader.settle(7);
    assert!(append(&spool, [300], 10).error.is_none(), "it was told already");

    fs::remove_file(&settings.directory).unwrap();
    fs::create_dir(&settings.directory).unwrap();
    let syncer = {
        let spool = spool.clone();
        thread::spawn(move || spool.sync_until_closed(|error| panic!("{error}")))
    };
    // The disk is tried again without a further record.
    while fs::read_dir(&settings.directory).unwrap().count() == 0 {
        thread::sleep(Duration::from_millis(10));
    }
    spool.close().unwrap();
    syncer.join().unwrap();
    drop((spool, reader));
    let (spool, mut reader) = open(&settings);
    let mut read = Vec::new();
    drain(&mut reader, &mut read);
    let expected: Vec<_> = (7..appended.stored).chain([300]).collect();
    assert_eq!((read, spool.status().recovered), (expected, appended.stored - 6));
}

/// Runs a test of this binary again, with this variable, under a command.
fn again(test: &str, (name, value): (&str, &Path), command: &[&str]) -> Command {
    let this = std::env::current_exe().unwrap();
    let words = command.iter().map(ToString::to_string).chain([this.display().to_string()]);
    let words: Vec<_> = words.collect();
    let mut command = Command::new(&words[0]);
    let args = ["--exact", test, "--nocapture", "--test-threads=1"];
    command.args(&words[1..]).args(args).env(name, value);
    command
}

#[test]
fn a_full_disk_loses_nothing_that_fits_into_memory() {
    const DIR: &str = "PEREGRINE_SPOOL_FULL_DISK";
    if let Some(dir) = std::env::var_os(DIR) {
        return on_full_disk(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    // Not directly below a directory that everyone can write to.
    let path = dir.path().join("disk");
    fs::create_dir(&path).unwrap();
    let mount = format!("mount -t tmpfs -o size=512k none '{}'", path.display());
    let mount = mount + r#" && exec "$0" "$@""#;
    let unshare = ["unshare", "--mount", "sh", "-c", &mount];
    let possible = Command::new("unshare").args(["--mount", "true"]).status();
    if !possible.is_ok_and(|status| status.success()) {
        eprintln!("skipped: needs the right to mount");
        return;
    }
    let test = "tests::a_full_disk_loses_nothing_that_fits_into_memory";
    assert!(again(test, (DIR, &path), &unshare).status().unwrap().success());
}

fn on_full_disk(dir: &Path) {
    let settings = settings(dir);
    let (spool, mut reader) = open(&settings);
    let appended = append(&spool, 0..1000, 1000);
    assert!(matches!(appended.error, Some(SpoolError::Write { .. })), "{appended:?}");
    assert_eq!((appended.stored, appended.refused), (1000, 0));
    let mut read = Vec::new();
    while read.len() < 700 {
        reader.take(TAKE);
        read.extend(held(&reader));
        reader.settle(held(&reader).len());
    }
    // Settled segments make room.
    thread::sleep(Duration::from_millis(1100));
    spool.close().unwrap();
    drop((spool, reader));
    let (_spool, mut reader) = open(&settings);
    drain(&mut reader, &mut read);
    assert!(read.iter().copied().eq(0..1000), "{} of 1000", read.len());
}

#[test]
fn what_was_forced_to_the_disk_survives_a_kill() {
    const DIR: &str = "PEREGRINE_SPOOL_KILL";
    if let Some(dir) = std::env::var_os(DIR) {
        write_until_killed(Path::new(&dir));
    }
    let test = "tests::what_was_forced_to_the_disk_survives_a_kill";
    let dir = tempfile::tempdir().unwrap();
    let mut expected = 0;
    for round in 0..10 {
        let log = dir.path().join("log");
        let mut child = again(test, (DIR, dir.path()), &[])
            .stdout(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let synced = || {
            let text = fs::read_to_string(&log).unwrap();
            let mut numbers = text.lines().filter_map(|line| line.strip_prefix("synced "));
            numbers.next_back().and_then(|number| number.parse::<u64>().ok()).unwrap_or_default()
        };
        while synced() <= expected {
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_micros(round * 3_300));
        child.kill().unwrap();
        child.wait().unwrap();
        let safe = synced();
        let settings = kill_settings(dir.path());
        let (spool, mut reader) = open(&settings);
        let mut read = Vec::new();
        let (expired, damaged, errors) = drain(&mut reader, &mut read);
        assert_eq!((expired, damaged, errors.len()), (0, 0, 0), "{errors:?}");
        let end = read.last().map_or(expected, |last| last + 1);
        assert_eq!(read, (expected..end).collect::<Vec<_>>());
        assert!(end >= safe, "{end} of {safe}");
        // The next child goes on behind it.
        fs::write(dir.path().join("next"), end.to_string()).unwrap();
        expected = end;
        spool.close().unwrap();
    }
}

fn kill_settings(dir: &Path) -> SpoolSettings {
    SpoolSettings { memory: 10_000, max_bytes: 1 << 30, ..settings(dir) }
}

fn write_until_killed(dir: &Path) -> ! {
    let (spool, _reader) = open(&kill_settings(dir));
    let next = fs::read_to_string(dir.join("next")).ok();
    let mut number = next.and_then(|next| next.parse().ok()).unwrap_or(0);
    loop {
        append(&spool, number..number + 50, 3000);
        number += 50;
        spool.sync().unwrap();
        println!("\nsynced {number}");
    }
}

#[test]
fn a_damaged_segment_is_skipped_from_the_damage_on() {
    let dir = tempfile::tempdir().unwrap();
    let settings = SpoolSettings { max_bytes: 1 << 20, ..settings(dir.path()) };
    let (spool, reader) = open(&settings);
    append(&spool, 0..500, 1000);
    spool.close().unwrap();
    drop((spool, reader));
    let mut files: Vec<_> =
        fs::read_dir(&settings.directory).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some());
    files.sort();
    assert!(files.len() >= 4, "{files:?}");
    // The second one is damaged in its middle, the third one is no segment, the fourth is gone.
    let mut bytes = fs::read(&files[1]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::write(&files[1], bytes).unwrap();
    fs::write(&files[2], "nothing").unwrap();
    let (spool, mut reader) = open(&settings);
    let mut read = Vec::new();
    let (_, damaged, errors) = drain(&mut reader, &mut read);
    assert!(read.is_sorted());
    assert_eq!(read.len() as u64 + damaged, 500);
    assert_eq!((read[0], read[read.len() - 1]), (0, 499));
    assert_eq!(errors.len(), 2, "{errors:?}");
    let SpoolError::Damaged { records, bytes, .. } = &errors[0] else { panic!("{errors:?}") };
    assert!(*records > 10 && *bytes > 10_000, "{errors:?}");
    assert_eq!(spool.status().records, 0);
}

#[test]
fn the_loss_of_what_was_forced_to_the_disk_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    for (forced, lost) in [(false, 0), (true, 1)] {
        let (spool, reader) = open(&settings);
        append(&spool, 0..5, 100);
        if forced {
            spool.sync().unwrap();
        }
        let file = settings.directory.join(if forced {
            "00000000000000000004.spool"
        } else {
            "00000000000000000000.spool"
        });
        let len = fs::metadata(&file).unwrap().len();
        drop((spool, reader));
        fs::File::options().write(true).open(file).unwrap().set_len(len - 20).unwrap();
        let (spool, mut reader) = open(&settings);
        assert_eq!(spool.status().recovered, 4 + lost);
        let mut read = Vec::new();
        let (_, damaged, errors) = drain(&mut reader, &mut read);
        assert_eq!(read, [0, 1, 2, 3]);
        assert_eq!((damaged, errors.len() as u64), (lost, lost), "{errors:?}");
    }
}

/// `cargo test -p peregrine-spool --release the_cost -- --nocapture` shows the figures.
#[test]
fn the_cost_of_a_record_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let sync_interval = Duration::from_millis(100);
    let settings = SpoolSettings { memory: 8 << 20, sync_interval, ..settings(dir.path()) };
    let (spool, mut reader) = open(&settings);
    let syncer = {
        let spool = spool.clone();
        thread::spawn(move || spool.sync_until_closed(|error| panic!("{error}")))
    };
    let begun = std::time::Instant::now();
    let body = vec![b'x'; 400];
    for batch in 0..200 {
        let records = (0..128).map(|n| Record { id: batch * 128 + n, time: 1, body: &body });
        assert_eq!(spool.append(records).stored, 128);
        spool.publish();
    }
    let appended = begun.elapsed();
    let begun = std::time::Instant::now();
    let mut read = 0;
    while read < 25_600 {
        reader.take(TakeLimits { records: 100, bytes: 1 << 20 });
        read += reader.records().len();
        reader.settle(100);
    }
    let taken = begun.elapsed();
    let begun = std::time::Instant::now();
    spool.close().unwrap();
    syncer.join().unwrap();
    let [append, take] = [appended, taken].map(|time| time.as_nanos() / 25_600);
    let close = begun.elapsed().as_millis();
    eprintln!(
        "400 bytes: {append} ns to append, {take} ns to take and settle; {close} ms to close"
    );
}

#[derive(Clone, Debug)]
enum Act {
    Append { records: u64, len: usize },
    Take,
    Settle(usize),
    Reopen { clean: bool },
    Sync,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => (0..60_u64, 0..3000_usize).prop_map(|(records, len)| Act::Append { records, len }),
        4 => Just(Act::Take),
        4 => (0..10_usize).prop_map(Act::Settle),
        1 => any::<bool>().prop_map(|clean| Act::Reopen { clean }),
        1 => Just(Act::Sync),
    ];
    prop::collection::vec(act, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens, each record is delivered once, in order and unchanged, or counted.
    #[test]
    fn every_record_is_accounted_for(
        acts in acts(), newest in any::<bool>(), memory in prop_oneof![Just(0_usize), Just(20_000), Just(1 << 20)]
    ) {
        let dir = tempfile::tempdir().unwrap();
        let when_full = if newest { WhenFull::DropNewest } else { WhenFull::DropOldest };
        let settings = SpoolSettings { max_bytes: 300_000, when_full, memory, ..settings(dir.path()) };
        let (mut spool, mut reader) = open(&settings);
        let (mut next, mut stored, mut dropped) = (0, 0, 0);
        let mut delivered = Vec::new();
        for act in acts {
            match act {
                Act::Append { records, len } => {
                    let appended = append(&spool, next..next + records, len);
                    prop_assert_eq!(appended.stored + appended.refused, records);
                    prop_assert!(!newest || appended.dropped == 0);
                    next += records;
                    stored += appended.stored;
                    dropped += appended.dropped;
                }
                Act::Take => {
                    let missing = reader.take(TAKE);
                    prop_assert_eq!((missing.expired, missing.damaged), (0, 0));
                }
                Act::Settle(count) => {
                    delivered.extend(held(&reader).into_iter().take(count));
                    reader.settle(count);
                }
                Act::Reopen { clean } => {
                    // What the reader holds might be dropped already.
                    delivered.extend(held(&reader));
                    reader.settle(usize::MAX);
                    if clean {
                        spool.close().unwrap();
                    }
                    let left = spool.status().records;
                    drop((spool, reader));
                    (spool, reader) = open(&settings);
                    prop_assert_eq!(spool.status().recovered, left);
                }
                Act::Sync => spool.sync().unwrap(),
            }
            let status = spool.status();
            prop_assert!(status.bytes <= 300_000);
            prop_assert_eq!(stored, delivered.len() as u64 + dropped + status.records);
        }
        delivered.extend(held(&reader));
        reader.settle(usize::MAX);
        drain(&mut reader, &mut delivered);
        prop_assert!(delivered.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", delivered);
        prop_assert_eq!(stored, delivered.len() as u64 + dropped);
    }

    /// Damage of any kind: no record is changed or comes twice, the order stays, what is missing is
    /// counted.
    #[test]
    fn damage_is_counted(
        cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<bool>()), 1..4)
    ) {
        let dir = tempfile::tempdir().unwrap();
        let settings = SpoolSettings { max_bytes: 600_000, ..settings(dir.path()) };
        let (spool, mut reader) = open(&settings);
        append(&spool, 0..200, 1500);
        spool.sync().unwrap();
        reader.take(TAKE);
        reader.settle(5);
        drop((spool, reader));
        let mut files: Vec<_> = fs::read_dir(&settings.directory).unwrap().map(|e| e.unwrap().path()).collect();
        files.sort();
        for (file, at, cut) in cuts {
            let path = file.get(&files);
            let mut bytes = fs::read(path).unwrap();
            if bytes.is_empty() {
                continue;
            }
            let at = at.index(bytes.len());
            if cut {
                bytes.truncate(at);
            } else {
                bytes[at] ^= 0x10;
            }
            fs::write(path, bytes).unwrap();
        }
        let (spool, mut reader) = open(&settings);
        let recovered = spool.status().recovered;
        let mut read = Vec::new();
        let (expired, damaged, errors) = drain(&mut reader, &mut read);
        prop_assert!(read.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", read);
        prop_assert_eq!((expired, read.len() as u64 + damaged), (0, recovered));
        prop_assert_eq!(damaged > 0, !errors.is_empty(), "{:?}", errors);
        // New records are not affected.
        append(&spool, 1000..1010, 100);
        let mut read = Vec::new();
        drain(&mut reader, &mut read);
        prop_assert_eq!(read, (1000..1010).collect::<Vec<_>>());
    }
}
