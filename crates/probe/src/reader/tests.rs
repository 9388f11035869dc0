//! Readers over made-up machines.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use peregrine_event::snapshot::{Item, Thread};
use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::*;
use crate::counters::{QuestionKind, ReaderCounters};
use crate::event_readers::EventReaders;
use crate::scan::Scanner;

/// Time enough for every answer.
const LONG: Duration = Duration::from_secs(60);

fn question(tid: i64, extent: Extent) -> Question {
    let (boot, budget) = (0, 60_000);
    Question::Process(ProcessQuestion { tid, boot, budget, extent, safe: false, scan: false })
}

fn reader(host: &Path, silence: Duration) -> (Reader, Arc<ReaderCounters>) {
    let counters = Arc::<ReaderCounters>::default();
    let pool = Pool::start(ReaderMode::Thread, host, Arc::clone(&counters)).unwrap();
    (Reader::new(&pool, QuestionKind::Process, silence), counters)
}

/// A process with so many threads.
fn process(host: &Path, pid: i64, threads: i64) {
    let write = |path: &str, text: &str| {
        let path = host.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    for tid in pid..pid + threads {
        // The kernel has a directory for each thread, beside those that it lists.
        for dir in [format!("proc/{pid}/task/{tid}"), format!("proc/{tid}")] {
            write(
                &format!("{dir}/status"),
                &format!(
                    "Tgid:\t{pid}\nPid:\t{tid}\nPPid:\t0\nUid:\t1\t1\nGid:\t1\t1\nThreads:\t{threads}\n"
                ),
            );
            write(
                &format!("{dir}/stat"),
                &format!("{tid} (t{tid}) S 0 1 1 0 0 0 1 0 1 0 0 0 0 0 20 0 2 0 9 0"),
            );
        }
    }
    write(&format!("proc/{pid}/cmdline"), "/bin/x\0-v\0");
    write(&format!("proc/{pid}/environ"), "A=1\0");
    fs::create_dir_all(host.join(format!("proc/{pid}/fd"))).unwrap();
    fs::create_dir_all(host.join(format!("proc/{pid}/fdinfo"))).unwrap();
    for (name, target) in [("exe", "/bin/x"), ("cwd", "/"), ("root", "/"), ("fd/3", "pipe:[5]")] {
        symlink(target, host.join(format!("proc/{pid}/{name}"))).unwrap();
    }
}

#[test]
fn a_reader_finds_what_a_scanner_finds() {
    let host = tempfile::tempdir().unwrap();
    process(host.path(), 40, 3);
    let mut scanner = Scanner::open(host.path()).unwrap().with_boot(0);
    let (items, numbers) = scanner.process(40);
    assert_eq!(items.len(), 4);
    let (mut reader, _) = reader(host.path(), LONG);
    reader.ask(question(40, Extent::WithNumbers));
    reader.ask(question(41, Extent::WithAncestors));
    reader.ask(question(99, Extent::WithNumbers));
    let (_, reply) = reader.poll(LONG).unwrap();
    assert_eq!((reply.items, reply.numbers), (items.clone(), Some(numbers)));
    // The thread in question comes first after its leader.
    let (_, reply) = reader.poll(LONG).unwrap();
    assert_eq!(thread(&reply.items[1]).map(|thread| thread.tid), Some(41));
    assert!(reply.items.len() == items.len() && items.iter().all(|i| reply.items.contains(i)));
    assert_eq!((reply.ancestors, reply.numbers), (vec![40], None));
    let (_, reply) = reader.poll(LONG).unwrap();
    assert!(reply.items.is_empty() && reply.numbers.is_none() && !reply.failed);
    assert!(reader.poll(LONG).is_none());
}

#[test]
fn the_threads_of_a_process_share_their_texts() {
    let host = tempfile::tempdir().unwrap();
    process(host.path(), 40, 300);
    let (mut reader, _) = reader(host.path(), LONG);
    reader.ask(question(40, Extent::Whole));
    let (_, reply) = reader.poll(LONG).unwrap();
    let threads: Vec<_> = reply.items.iter().filter_map(thread).collect();
    assert_eq!(threads.len(), 300);
    let shared =
        |t: &Thread| Arc::ptr_eq(&t.args, &threads[0].args) && Arc::ptr_eq(&t.env, &threads[0].env);
    assert!(threads.iter().all(|thread| shared(thread) && *thread.env == *b"A=1\0"));
}

#[test]
fn a_lookup_in_a_large_process_reads_one_thread() {
    let host = tempfile::tempdir().unwrap();
    process(host.path(), 40, 100);
    let (mut reader, _) = reader(host.path(), LONG);
    reader.ask(question(77, Extent::Lookup));
    let (_, reply) = reader.poll(LONG).unwrap();
    let tids: Vec<_> = reply.items.iter().filter_map(thread).map(|thread| thread.tid).collect();
    assert_eq!((tids, reply.outcome.cut), (vec![40, 77], true));
}

/// A reader that hangs is replaced. The process that delayed it is asked only for what it can't
/// delay, and others are not affected.
#[test]
fn a_process_that_delays_a_reader_is_known_without_what_it_delays() {
    let host = tempfile::tempdir().unwrap();
    for pid in [40, 50, 60] {
        process(host.path(), pid, 1);
    }
    // The open of a pipe without a writer does not return.
    let arguments = host.path().join("proc/50/cmdline");
    fs::remove_file(&arguments).unwrap();
    mknodat(CWD, &arguments, FileType::Fifo, Mode::RWXU, 0).unwrap();
    let (mut reader, counters) = reader(host.path(), Duration::from_millis(300));
    for pid in [40, 50, 60] {
        reader.ask(question(pid, Extent::Whole));
    }
    let mut next = || {
        let (_, reply) = reader.poll(LONG).unwrap();
        let found = thread(&reply.items[0]).unwrap();
        (found.tid, found.args.len(), reply.safe)
    };
    assert_eq!([next(), next(), next()], [(40, 3, false), (50, 0, true), (60, 3, false)]);
    assert_eq!(counters.hung(QuestionKind::Process).load(Relaxed), 1);
    assert_eq!(counters.replaced.load(Relaxed), 1);
    // It is suspect from now on.
    reader.ask(question(50, Extent::Whole));
    assert!(reader.poll(LONG).unwrap().1.safe);
    assert_eq!(counters.replaced.load(Relaxed), 1);
    // Lets the thread of the test end.
    let writer = fs::OpenOptions::new().write(true).open(&arguments);
    drop(writer);
}

fn thread(item: &Item) -> Option<&Thread> {
    match item {
        Item::Thread(thread) => Some(thread),
        _ => None,
    }
}

#[test]
fn what_a_lookup_left_out_is_described_later() {
    let host = tempfile::tempdir().unwrap();
    process(host.path(), 40, 300);
    let counters = Arc::<ReaderCounters>::default();
    let pool = Pool::start(ReaderMode::Thread, host.path(), Arc::clone(&counters)).unwrap();
    let readers = EventReaders::start(&pool, 0, false, counters, &Arc::default());
    let mut readers = readers.lock();
    let mut first = Vec::new();
    let mut late = None;
    // A busy machine may have no answer in time; then all of it comes later.
    while late.is_none() {
        if first.is_empty() {
            first = readers.lookup(41, &|_| false);
        }
        readers.receive();
        late = readers.take_late();
    }
    let incomplete = |items: &[Item]| {
        let threads: Vec<_> = items.iter().filter_map(thread).collect();
        (threads.len(), threads.iter().any(|thread| thread.incomplete))
    };
    assert!(first.is_empty() || incomplete(&first) == (2, true));
    assert_eq!(incomplete(&late.unwrap()), (300, false));
}
