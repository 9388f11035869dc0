//! Channels with a spool.

use std::sync::Condvar;

use peregrine_spool::{SpoolSettings, WhenFull as WhenSpoolFull};

use super::*;
use crate::channel::network::{BatchLimits, Fate, Networked, Record, SendError, Transport};
use crate::channel::retry::RetryLimits;
use crate::testing::formatter;

/// A receiver that can be away.
#[derive(Clone, Default)]
struct Receiver(Arc<(Mutex<Received>, Condvar)>);

#[derive(Default)]
struct Received {
    mood: Mood,
    lines: Vec<String>,
    attempts: u64,
}

/// What a receiver does with alerts.
#[derive(Clone, Copy, Default, PartialEq)]
enum Mood {
    #[default]
    Takes,
    IsAway,
    /// Takes one, then fails.
    Stumbles,
    /// Refuses the first one.
    Refuses,
}

impl Receiver {
    fn set(&self, mood: Mood) {
        self.0.0.lock().unwrap().mood = mood;
    }

    /// Waits until it has got so many alerts.
    fn wait_for(&self, count: usize) {
        let (received, changed) = &*self.0;
        drop(changed.wait_while(received.lock().unwrap(), |it| it.lines.len() < count).unwrap());
    }

    fn wait_for_attempts(&self, count: u64) {
        let (received, changed) = &*self.0;
        drop(changed.wait_while(received.lock().unwrap(), |it| it.attempts < count).unwrap());
    }

    fn lines(&self) -> Vec<String> {
        self.0.0.lock().unwrap().lines.clone()
    }
}

impl Transport for Receiver {
    fn name(&self) -> &'static str {
        "receiver"
    }

    fn batch(&self) -> BatchLimits {
        BatchLimits { records: 10, bytes: 1 << 20 }
    }

    fn send(&mut self, records: &[Record<'_>]) -> Result<(), SendError> {
        let (received, changed) = &*self.0;
        let mut received = received.lock().unwrap();
        received.attempts += 1;
        let again = Fate::Again { at_least: Duration::ZERO };
        let (accepted, fate) = match received.mood {
            Mood::Takes => (records.len(), again),
            Mood::IsAway => (0, again),
            Mood::Stumbles => (1, again),
            Mood::Refuses => (0, Fate::Refused(1)),
        };
        let text = |record: &Record<'_>| String::from_utf8(record.body.to_vec()).unwrap();
        received.lines.extend(records.iter().take(accepted).map(text));
        changed.notify_all();
        let error = io::Error::from(io::ErrorKind::ConnectionRefused).into();
        if accepted == records.len() { Ok(()) } else { Err(SendError { accepted, error, fate }) }
    }
}

fn settings(directory: &Path) -> SpoolSettings {
    SpoolSettings {
        directory: directory.to_owned(),
        max_bytes: 1 << 20,
        max_age: Duration::from_secs(3600),
        when_full: WhenSpoolFull::DropOldest,
        sync_interval: Duration::from_millis(1),
        memory: 1 << 20,
    }
}

fn spooled(receiver: &Receiver, settings: SpoolSettings, log: &Log) -> Outputs {
    let limits = RetryLimits { max: 0, time: LONG };
    let channel = Networked::new(Box::new(formatter()), Box::new(receiver.clone()), limits);
    let channel = channel.spooled(Some(settings));
    begin(vec![(channel, NEWEST)], self::limits(0), Duration::from_millis(200), log)
}

fn submit(outputs: &Outputs, numbers: std::ops::Range<u64>) {
    numbers.for_each(|number| outputs.submit(alert(&number.to_string())));
}

fn numbers(numbers: std::ops::Range<u64>) -> Vec<String> {
    numbers.map(|number| line(&number.to_string())).collect()
}

/// Waits until the threads of an earlier run have let go of a spool. Another process would find it
/// free; here, the next run would begin without it.
fn wait_for_end(spool: &Path) {
    let lock = std::fs::File::open(spool.join("lock")).unwrap();
    while lock.try_lock().is_err() {
        thread::sleep(Duration::from_millis(1));
    }
}

/// Every alert is somewhere.
#[track_caller]
fn check(row: &ChannelStatistics) {
    let there = row.delivered + row.lost() + row.waiting + row.spooled;
    assert_eq!(row.submitted + row.recovered, there, "{row:?}");
}

#[test]
fn a_receiver_gets_all_alerts_once_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let (receiver, log) = (Receiver::default(), Log::default());
    let outputs = spooled(&receiver, settings(&dir.path().join("spool")), &log);
    let sender = outputs.sender();
    let done = Arc::new(AtomicBool::new(false));
    let checker = {
        let done = done.clone();
        thread::spawn(move || {
            while !done.load(Relaxed) {
                check(&sender.statistics()[0]);
            }
        })
    };
    submit(&outputs, 0..1000);
    receiver.set(Mood::Stumbles);
    submit(&outputs, 1000..1010);
    receiver.set(Mood::Takes);
    submit(&outputs, 1010..2000);
    let report = outputs.close(Drain::WhileProgress);
    done.store(true, Relaxed);
    checker.join().unwrap();
    check(&report.channels[0]);
    assert_eq!((report.channels[0].delivered, report.channels[0].spooled), (2000, 0));
    assert_eq!(receiver.lines(), numbers(0..2000));
    assert_eq!(log.lines(), [""; 0]);
}

#[test]
fn what_a_receiver_does_not_take_comes_in_the_next_run() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(&dir.path().join("spool"));
    let (receiver, log) = (Receiver::default(), Log::default());
    receiver.set(Mood::IsAway);
    let outputs = spooled(&receiver, settings.clone(), &log);
    submit(&outputs, 0..100);
    receiver.wait_for_attempts(3);
    let [row] = outputs.statistics()[..] else { panic!() };
    check(&row);
    assert!(row.retried > 0 && row.spooled > 0 && row.spool_bytes > 0, "{row:?}");
    let report = outputs.close(Drain::Within(Duration::from_millis(100)));
    check(&report.channels[0]);
    let [row] = report.channels[..] else { panic!() };
    assert_eq!((row.submitted, row.spooled, row.lost(), row.waiting), (100, 100, 0, 0));
    assert_eq!(
        report.losses(&Summary::default()).to_string(),
        "Alerts left in the spool, for the next run:\n   receiver: 100\n"
    );
    // At once, and again at the end if an attempt has failed since.
    let told = log.lines();
    assert!((1..=2).contains(&told.len()), "{told:?}");
    for told in told {
        assert!(told.starts_with("receiver: connection refused ("), "{told}");
        assert!(told.ends_with(" alerts wait in the spool)"), "{told}");
    }

    wait_for_end(&settings.directory);
    receiver.set(Mood::Takes);
    let outputs = spooled(&receiver, settings, &log);
    submit(&outputs, 100..150);
    receiver.wait_for(150);
    let [row] = outputs.close(Drain::WhileProgress).channels[..] else { panic!() };
    check(&row);
    assert_eq!((row.submitted, row.recovered, row.delivered), (50, 100, 150));
    assert_eq!(receiver.lines(), numbers(0..150));
}

#[test]
fn what_a_receiver_refuses_is_lost_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let (receiver, log) = (Receiver::default(), Log::default());
    receiver.set(Mood::Refuses);
    let outputs = spooled(&receiver, settings(&dir.path().join("spool")), &log);
    submit(&outputs, 0..5);
    receiver.wait_for_attempts(5);
    let [row] = outputs.close(Drain::WhileProgress).channels[..] else { panic!() };
    check(&row);
    assert_eq!((row.failed, row.delivered, row.spooled), (5, 0, 0));
    assert!(log.lines()[0].starts_with("receiver: connection refused ("), "{:?}", log.lines());
}

#[test]
fn a_full_spool_loses_the_oldest_alerts_and_tells() {
    let dir = tempfile::tempdir().unwrap();
    let (receiver, log) = (Receiver::default(), Log::default());
    receiver.set(Mood::IsAway);
    let settings = SpoolSettings { max_bytes: 200_000, ..settings(&dir.path().join("spool")) };
    let outputs = spooled(&receiver, settings, &log);
    submit(&outputs, 0..10_000);
    while outputs.statistics()[0].waiting > 0 {
        check(&outputs.statistics()[0]);
    }
    receiver.set(Mood::Takes);
    let [row] = outputs.close(Drain::WhileProgress).channels[..] else { panic!() };
    check(&row);
    assert!(row.spool_full > 5000 && row.lost() == row.spool_full, "{row:?}");
    let lines = receiver.lines();
    assert_eq!(lines.len() as u64, row.delivered);
    assert!(lines.ends_with(&numbers(9000..10_000)));
    assert!(log.lines().iter().any(|line| line.ends_with(" alerts lost, its spool was full")));
}

#[test]
fn old_alerts_expire_and_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let (receiver, log) = (Receiver::default(), Log::default());
    receiver.set(Mood::IsAway);
    let max_age = Duration::from_millis(100);
    let settings = SpoolSettings { max_age, ..settings(&dir.path().join("spool")) };
    let outputs = spooled(&receiver, settings, &log);
    submit(&outputs, 0..100);
    while outputs.statistics()[0].expired < 100 {
        thread::sleep(Duration::from_millis(5));
    }
    let [row] = outputs.close(Drain::WhileProgress).channels[..] else { panic!() };
    check(&row);
    assert_eq!((row.expired, row.spooled, row.lost()), (100, 0, 100));
    let told = |line: &String| line.ends_with("alerts lost, they were in its spool for too long");
    assert!(log.lines().iter().any(told), "{:?}", log.lines());
}

#[test]
fn a_spool_that_cannot_be_opened_is_told_and_alerts_are_sent() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let (receiver, log) = (Receiver::default(), Log::default());
    let outputs = spooled(&receiver, settings(&file), &log);
    submit(&outputs, 0..50);
    receiver.wait_for(50);
    receiver.set(Mood::IsAway);
    submit(&outputs, 50..60);
    let [row] = outputs.close(Drain::WhileProgress).channels[..] else { panic!() };
    check(&row);
    // Without a disk, they cannot be kept.
    assert_eq!((row.delivered, row.discarded, row.spooled), (50, 10, 0));
    assert!(log.lines()[0].starts_with("receiver: spool "), "{:?}", log.lines());
}

#[test]
fn an_output_that_is_changed_takes_the_spool_over() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new, log) = (Receiver::default(), Receiver::default(), Log::default());
    let settings = settings(&dir.path().join("spool"));
    old.set(Mood::IsAway);
    let mut outputs = spooled(&old, settings.clone(), &log);
    submit(&outputs, 0..100);
    old.wait_for_attempts(1);
    let retries = RetryLimits { max: 0, time: LONG };
    let channel = Networked::new(Box::new(formatter()), Box::new(new.clone()), retries);
    let channels = vec![(channel.spooled(Some(settings)), NEWEST)];
    outputs.install(NextOutputs::of_channels(channels, limits(0), LONG));
    submit(&outputs, 100..120);
    new.wait_for(120);
    let [row] = outputs.close(Drain::WhileProgress).channels[..] else { panic!() };
    check(&row);
    assert_eq!((row.submitted, row.recovered, row.delivered), (120, 0, 120));
    let mut lines = new.lines();
    lines.sort();
    let mut expected = numbers(0..120);
    expected.sort();
    assert_eq!(lines, expected);
}
