mod replace;
mod spool;

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Mutex;

use peregrine_alert::RuleRegistry;
use peregrine_files::FileMode;

use super::*;
use crate::channel::{Channel, ChannelOutput, FileOutput, Outcome, ProgramOutput};
use crate::filter::AlertFilter;
use crate::queue::WhenFull;
use crate::summary::Summary;
use crate::testing::{alert, format, line, lines, rule_alert};

/// Incidents, as they print.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn report(&self) -> Report {
        let log = self.clone();
        Arc::new(move |incident| log.0.lock().unwrap().push(incident.to_string()))
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// Lets each delivery wait for a word.
struct Gated {
    gate: Receiver<()>,
    delivered: Sender<usize>,
}

impl Channel for Gated {
    fn name(&self) -> &'static str {
        "gated"
    }

    fn deliver(&mut self, alerts: &[Alert]) -> Outcome {
        let _ = self.gate.recv();
        let _ = self.delivered.send(alerts.len());
        Outcome::of(alerts.len(), Ok(()))
    }
}

fn gated() -> (Box<dyn Channel>, Sender<()>, Receiver<usize>) {
    let ((open, gate), (delivered, seen)) = (mpsc::channel(), mpsc::channel());
    (Box::new(Gated { gate, delivered }), open, seen)
}

fn limits(alerts: usize) -> QueueLimits {
    QueueLimits { alerts: NonZeroUsize::new(alerts), bytes: 64 << 20 }
}

fn channel(output: ChannelOutput) -> ChannelSettings {
    let (filter, when_full) = (AlertFilter::default(), WhenFull::DropNewest);
    ChannelSettings { output, format: format(), filter, when_full, spool: None }
}

fn file(path: &Path, keep_alive: bool) -> ChannelSettings {
    let file = FileOutput::new(path.to_owned(), FileMode::PRIVATE);
    channel(ChannelOutput::File(FileOutput { keep_alive, ..file }))
}

fn program(command: String, keep_alive: bool) -> ChannelSettings {
    channel(ChannelOutput::Program(ProgramOutput { command, keep_alive }))
}

fn start(channels: Vec<ChannelSettings>, timeout: Duration, log: &Log) -> Outputs {
    let queue = limits(0);
    let delivery = Delivery { channels, buffered: false, queue, timeout };
    Outputs::start(delivery, log.report()).unwrap()
}

fn start_gated(
    gated: Box<dyn Channel>,
    (alerts, when_full): (usize, WhenFull),
    timeout: u64,
    log: &Log,
) -> Outputs {
    let timeout = Duration::from_millis(timeout);
    begin(vec![(gated, when_full)], limits(alerts), timeout, log)
}

fn begin(
    channels: Vec<(Box<dyn Channel>, WhenFull)>,
    limits: QueueLimits,
    timeout: Duration,
    log: &Log,
) -> Outputs {
    Outputs::begin(NextOutputs::of_channels(channels, limits, timeout), log.report()).unwrap()
}

const LONG: Duration = Duration::from_secs(30);
const NEWEST: WhenFull = WhenFull::DropNewest;

#[test]
fn every_alert_arrives_in_order_at_every_channel() {
    let dir = tempfile::tempdir().unwrap();
    let (path, copy) = (dir.path().join("file"), dir.path().join("copy"));
    let channels = vec![file(&path, false), program(format!("cat >> '{}'", copy.display()), true)];
    let (log, queue) = (Log::default(), limits(0));
    let delivery = Delivery { channels, buffered: true, queue, timeout: LONG };
    let outputs = Outputs::start(delivery, log.report()).unwrap();
    let expected: String = (0..10_000).map(|n| line(&format!("alert {n}")) + "\n").collect();
    for n in 0..10_000 {
        outputs.submit(alert(&format!("alert {n}")));
    }
    let report = outputs.close(Drain::WhileProgress);
    for channel in report.channels {
        assert_eq!((channel.submitted, channel.delivered, channel.waiting), (10_000, 10_000, 0));
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), expected);
    assert_eq!(std::fs::read_to_string(copy).unwrap(), expected);
    assert_eq!(log.lines(), [""; 0]);
}

#[test]
fn a_full_queue_loses_alerts_and_says_how_many() {
    let (channel, open, seen) = gated();
    let log = Log::default();
    let outputs = start_gated(channel, (2, NEWEST), 30_000, &log);
    outputs.submit(alert("at work"));
    while outputs.lanes[0].activity.count() == 0 {
        thread::yield_now();
    }
    for line in ["waits", "waits", "lost", "lost"] {
        outputs.submit(alert(line));
    }
    assert_eq!(outputs.dropped(), 2);
    assert_eq!(outputs.lost_by_rule(), [2]);
    let [now] = outputs.statistics()[..] else { panic!() };
    assert_eq!((now.submitted, now.waiting, now.queue_full), (5, 3, 2));
    assert!(now.waiting_bytes > 3 * alert("waits").memory() as u64);
    drop(open);
    let report = outputs.close(Drain::WhileProgress);
    assert_eq!((report.channels[0].delivered, report.channels[0].waiting), (3, 0));
    assert_eq!(seen.iter().collect::<Vec<_>>(), [1, 2]);
    // The first loss is reported at once, the rest within a minute or at the end.
    let prefix = "Outputs queue out of memory. Drop event and continue on ... \"gated\": ";
    let lost = |line: &String| line.strip_prefix(prefix).unwrap()[..1].parse::<u32>().unwrap();
    assert_eq!(log.lines().iter().map(lost).sum::<u32>(), 2);
    assert!(log.lines()[0].ends_with(" alerts lost, its queue was full"), "{:?}", log.lines());
}

#[test]
fn a_full_queue_makes_the_producer_wait_where_nothing_may_be_lost() {
    let (channel, open, seen) = gated();
    let log = Log::default();
    let outputs = start_gated(channel, (2, WhenFull::Block), 30_000, &log);
    let opener = thread::spawn(move || while open.send(()).is_ok() {});
    (0..100).for_each(|n| outputs.submit(alert(&n.to_string())));
    let report = outputs.close(Drain::WhileProgress);
    opener.join().unwrap();
    assert_eq!((seen.iter().sum::<usize>(), report.channels[0].delivered), (100, 100));
    assert_eq!(log.lines(), [""; 0]);
}

#[test]
fn a_producer_that_waits_is_released_at_the_end() {
    let (channel, open, _seen) = gated();
    let log = Log::default();
    let outputs = start_gated(channel, (1, WhenFull::Block), 30_000, &log);
    let sender = outputs.sender();
    let producer = thread::spawn(move || {
        (0..5).for_each(|n| outputs.submit(alert(&n.to_string())));
        outputs
    });
    while sender.statistics()[0].waiting < 2 {
        thread::yield_now();
    }
    sender.stop_blocking();
    let outputs = producer.join().unwrap();
    drop(open);
    let report = outputs.close(Drain::WhileProgress);
    assert_eq!(report.channels[0].delivered + report.channels[0].lost(), 5);
}

#[test]
fn a_blocked_channel_is_reported_and_given_up_at_the_end() {
    let (channel, open, seen) = gated();
    let log = Log::default();
    let outputs = start_gated(channel, (0, NEWEST), 20, &log);
    outputs.submit(alert("blocks"));
    while log.lines().is_empty() {
        thread::sleep(Duration::from_millis(1));
    }
    outputs.submit(alert("never delivered"));
    let report = outputs.close(Drain::WhileProgress);
    assert_eq!((report.channels[0].discarded, report.channels[0].waiting), (2, 0));
    assert_eq!(
        log.lines(),
        [
            "\"gated\" output timeout, this channel is blocked: 1 alerts wait, the oldest for 0 s. The other channels go on",
            "output channels still blocked, discarding all remaining notifications",
            "\"gated\": 2 alerts lost, not delivered at the end"
        ]
    );
    drop(open);
    assert_eq!(seen.iter().collect::<Vec<_>>(), [1]);
}

#[test]
fn a_slow_channel_that_moves_loses_nothing() {
    let (channel, open, seen) = gated();
    let log = Log::default();
    let outputs = start_gated(channel, (0, NEWEST), 400, &log);
    for n in 0..128 * 8 {
        outputs.submit(alert(&n.to_string()));
    }
    let opener = thread::spawn(move || {
        // More in all than the timeout, each far less.
        for _ in 0..10 {
            thread::sleep(Duration::from_millis(80));
            let _ = open.send(());
        }
    });
    outputs.close(Drain::WhileProgress);
    opener.join().unwrap();
    assert_eq!(seen.iter().sum::<usize>(), 128 * 8);
    assert_eq!(log.lines(), [""; 0]);
}

#[test]
fn the_time_of_the_end_can_be_limited_in_total() {
    let (channel, open, _seen) = gated();
    let log = Log::default();
    let outputs = start_gated(channel, (0, NEWEST), 2_000, &log);
    for n in 0..128 * 1000 {
        outputs.submit(alert(&n.to_string()));
    }
    let opener = thread::spawn(move || {
        // Always moves, and would need ten seconds.
        while open.send(()).is_ok() {
            thread::sleep(Duration::from_millis(10));
        }
    });
    let begun = Instant::now();
    let report = outputs.close(Drain::Within(Duration::from_millis(100)));
    assert!(begun.elapsed() < Duration::from_secs(5));
    opener.join().unwrap();
    assert_eq!(report.channels[0].delivered + report.channels[0].discarded, 128_000);
    assert!(report.channels[0].discarded > 0);
}

#[test]
fn a_channel_that_fails_is_reported_once_and_others_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("copy");
    let channels = vec![
        file("/nonexistent/dir/file".as_ref(), true),
        program(format!("cat >> '{}'", copy.display()), false),
    ];
    let log = Log::default();
    let outputs = start(channels, LONG, &log);
    outputs.submit(alert("one"));
    while log.lines().is_empty() {
        thread::sleep(Duration::from_millis(1));
    }
    outputs.submit(alert("two"));
    outputs.submit(alert("three"));
    outputs.reopen();
    let report = outputs.close(Drain::WhileProgress);
    assert_eq!(std::fs::read_to_string(copy).unwrap(), lines(&["one", "two", "three"]));
    assert_eq!((report.channels[0].failed, report.channels[1].delivered), (3, 3));
    let reported = log.lines();
    assert_eq!(reported.len(), 2, "{reported:?}");
    for (line, lost) in reported.iter().zip([1, 2]) {
        let before = "file: failed to open output file /nonexistent/dir/file: ";
        assert!(line.starts_with(before), "{line}");
        assert!(line.ends_with(&format!(" ({lost} alerts lost)")), "{line}");
    }
}

#[test]
fn a_fifo_without_a_reader_holds_up_no_other_channel() {
    let dir = tempfile::tempdir().unwrap();
    let [fifo, copy] = ["fifo", "copy"].map(|name| dir.path().join(name));
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let log = Log::default();
    let outputs =
        start(vec![file(&fifo, true), file(&copy, true)], Duration::from_millis(50), &log);
    let texts: Vec<_> = (0..1000).map(|n| format!("alert {n}")).collect();
    texts.iter().for_each(|text| outputs.submit(alert(text)));
    while outputs.statistics()[1].delivered < 1000 {
        thread::sleep(Duration::from_millis(1));
    }
    while log.lines().is_empty() {
        thread::sleep(Duration::from_millis(1));
    }
    assert!(log.lines()[0].starts_with("\"file\" output timeout, this channel is blocked: 1000 "));
    let report = outputs.close(Drain::WhileProgress);
    assert_eq!((report.channels[0].discarded, report.channels[1].lost()), (1000, 0));
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    assert_eq!(std::fs::read_to_string(copy).unwrap(), lines(&texts));
    // Lets the thread that opens the FIFO end.
    let _reader = std::fs::File::options().read(true).write(true).open(&fifo).unwrap();
}

#[test]
fn a_program_that_reads_nothing_holds_up_no_other_channel() {
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("copy");
    let log = Log::default();
    let channels = vec![program("exec sleep 5".to_owned(), true), file(&copy, true)];
    let outputs = start(channels, Duration::from_millis(50), &log);
    let text = "x".repeat(1000);
    // More than fits into a pipe.
    (0..500).for_each(|_| outputs.submit(alert(&text)));
    while outputs.statistics()[1].delivered < 500 {
        thread::sleep(Duration::from_millis(1));
    }
    let report = outputs.close(Drain::WhileProgress);
    assert!(report.channels[0].discarded > 0 && report.channels[0].waiting == 0);
    assert_eq!(report.channels[1].delivered, 500);
}

#[test]
fn a_slow_reader_gets_every_alert_of_a_replay() {
    use std::io::{BufRead, BufReader};
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let log = Log::default();
    let settings = ChannelSettings { when_full: WhenFull::Block, ..file(&fifo, true) };
    let queue = QueueLimits { alerts: None, bytes: 100_000 };
    let delivery = Delivery { channels: vec![settings], buffered: false, queue, timeout: LONG };
    let outputs = Outputs::start(delivery, log.report()).unwrap();
    let reader = thread::spawn(move || {
        let lines = BufReader::with_capacity(100, std::fs::File::open(fifo).unwrap()).lines();
        let read = lines.enumerate().inspect(|(number, _)| {
            if number % 500 == 0 {
                thread::sleep(Duration::from_millis(20));
            }
        });
        read.map(|(_, line)| line.unwrap()).collect::<Vec<_>>()
    });
    let mut most = 0;
    for n in 0..10_000 {
        outputs.submit(alert(&format!("alert {n}")));
        if n % 100 == 0 {
            most = most.max(outputs.statistics()[0].waiting_bytes);
        }
    }
    let report = outputs.close(Drain::WhileProgress);
    assert_eq!(report.losses(&Summary::default()).to_string(), "");
    let expected: Vec<_> = (0..10_000).map(|n| line(&format!("alert {n}"))).collect();
    assert_eq!(reader.join().unwrap(), expected);
    assert!(most <= 100_000, "{most}");
    assert_eq!(log.lines(), [""; 0]);
}

/// A rule that matches often cannot push out the alert of one that matches once.
#[test]
fn a_flood_does_not_push_out_a_quiet_rule() {
    let (channel, open, _seen) = gated();
    let log = Log::default();
    let limits = QueueLimits { alerts: None, bytes: 1 << 20 };
    let channels = vec![(channel, NEWEST)];
    let outputs = begin(channels, limits, LONG, &log);
    let registry = Arc::new(RuleRegistry::new());
    let rules = ["flood", "quiet"].map(|name| rule_alert(&registry, name));
    (0..20_000).for_each(|_| outputs.submit(rules[0].clone()));
    (0..10).for_each(|_| outputs.submit(rules[1].clone()));
    (0..20_000).for_each(|_| outputs.submit(rules[0].clone()));
    let lost = outputs.lost_by_rule();
    assert!(lost[0] > 30_000, "{lost:?}");
    assert!(lost.get(1).is_none_or(|lost| *lost == 0), "{lost:?}");
    drop(open);
    let [gated] = outputs.close(Drain::WhileProgress).channels[..] else { panic!() };
    assert_eq!(gated.delivered + gated.queue_full + gated.over_share, 40_010);
    assert!(gated.over_share > 0);
}
