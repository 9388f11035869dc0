//! Outputs that replace others.

use super::*;
use crate::format::Format;

fn delivery(channels: Vec<ChannelSettings>) -> Delivery {
    let queue = limits(0);
    Delivery { channels, buffered: false, queue, timeout: LONG }
}

fn replace(outputs: &mut Outputs, channels: Vec<ChannelSettings>) {
    let next = outputs.planner().prepare(delivery(channels)).unwrap();
    outputs.install(next);
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn counters(channels: &[ChannelStatistics]) -> Vec<(&str, u64, u64)> {
    channels.iter().map(|it| (it.channel, it.submitted, it.delivered)).collect()
}

#[test]
fn equal_outputs_stay_and_others_begin_with_the_next_alert() {
    let dir = tempfile::tempdir().unwrap();
    let [starts, copy, old, new] =
        ["starts", "copy", "old", "new"].map(|name| dir.path().join(name));
    let command = format!("echo x >> '{}'; cat >> '{}'", starts.display(), copy.display());
    let command = || program(command.clone(), true);
    let log = Log::default();
    let mut outputs = start(vec![command(), file(&old, true)], LONG, &log);
    let sender = outputs.sender();
    for n in 0..1000 {
        if n == 500 {
            replace(&mut outputs, vec![file(&new, true), command()]);
        }
        match n % 2 {
            0 => outputs.submit(alert(&n.to_string())),
            _ => sender.submit(alert(&n.to_string())),
        }
    }
    let statistics = outputs.statistics();
    assert_eq!(statistics.iter().map(|it| it.submitted).sum::<u64>(), 2000);
    let report = outputs.close(Drain::WhileProgress);
    assert_eq!(counters(&report.channels), [("file", 1000, 1000), ("program", 1000, 1000)]);
    let texts: Vec<_> = (0..1000).map(|n| n.to_string()).collect();
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    assert_eq!(read(&copy), lines(&texts));
    assert_eq!((read(&old), read(&new)), (lines(&texts[..500]), lines(&texts[500..])));
    assert_eq!(read(&starts), "x\n");
    assert_eq!(log.lines(), [""; 0]);
}

#[test]
fn a_file_with_another_format_keeps_the_order_of_its_alerts() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let log = Log::default();
    let mut outputs = start(vec![file(&path, false)], LONG, &log);
    for n in 0..5000 {
        if n % 1000 == 0 {
            let iso_time = n % 2000 == 0;
            let format = Format { iso_time, ..format() };
            let channel = ChannelSettings { format, ..file(&path, false) };
            let delivery = Delivery { buffered: true, ..delivery(vec![channel]) };
            let next = outputs.planner().prepare(delivery).unwrap();
            outputs.install(next);
        }
        outputs.submit(alert(&n.to_string()));
    }
    let report = outputs.close(Drain::WhileProgress);
    assert_eq!(counters(&report.channels), [("file", 5000, 5000)]);
    for (n, line) in read(&path).lines().enumerate() {
        assert!(line.ends_with(&format!(" Notice {n}")), "{line} is not alert {n}");
        assert_eq!(line.starts_with("1970-"), n / 1000 % 2 == 0, "{n}: {line}");
    }
}

#[test]
fn a_removed_output_delivers_what_it_has_and_its_counters_stay() {
    let dir = tempfile::tempdir().unwrap();
    let [old, new] = ["old", "new"].map(|name| dir.path().join(name));
    let log = Log::default();
    let command = format!("sleep 0.2; cat >> '{}'", old.display());
    let mut outputs = start(vec![program(command, true), file(&new, true)], LONG, &log);
    (0..100).for_each(|_| outputs.submit(alert("one")));
    replace(&mut outputs, vec![file(&new, true)]);
    outputs.submit(alert("two"));
    while outputs.all.all().len() > 1 {
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(read(&old).lines().count(), 100);
    let expected = [("file", 101, 101), ("program", 100, 100)];
    while counters(&outputs.statistics()) != expected {
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(counters(&outputs.close(Drain::WhileProgress).channels), expected);
}

#[test]
fn the_successor_of_an_output_that_hangs_delivers_what_that_has_left() {
    let ((hangs, open, _seen), (works, go, delivered)) = (gated(), gated());
    let log = Log::default();
    let mut outputs = begin(vec![(hangs, NEWEST)], limits(0), LONG, &log);
    outputs.submit(alert("at work"));
    while outputs.lanes[0].activity.count() == 0 {
        thread::yield_now();
    }
    (0..300).for_each(|_| outputs.submit(alert("waits")));
    outputs.install(NextOutputs::of_channels(vec![(works, NEWEST)], limits(0), LONG));
    outputs.submit(alert("new"));
    (0..4).for_each(|_| go.send(()).unwrap());
    assert_eq!(delivered.iter().take(4).collect::<Vec<_>>(), [128, 128, 44, 1]);
    // What the old one was at work on is given up after a while.
    while outputs.all.all().len() > 1 {
        thread::sleep(Duration::from_millis(10));
    }
    let report = outputs.close(Drain::WhileProgress);
    let [gated] = report.channels[..] else { panic!() };
    assert_eq!((gated.submitted, gated.delivered, gated.discarded), (302, 301, 1));
    let lost = "\"gated\": 1 alerts lost, not delivered by an output that a reload has replaced";
    assert_eq!(log.lines(), [lost]);
    drop(open);
}

#[test]
fn outputs_that_are_never_installed_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let [old, new] = ["old", "new"].map(|name| dir.path().join(name));
    let log = Log::default();
    let outputs = start(vec![file(&old, true)], LONG, &log);
    drop(outputs.planner().prepare(delivery(vec![file(&new, true)])).unwrap());
    outputs.submit(alert("one"));
    let report = outputs.close(Drain::WhileProgress);
    assert_eq!(counters(&report.channels), [("file", 1, 1)]);
    assert!(!new.exists());
}

#[test]
fn an_output_that_stays_gets_other_limits() {
    let (channel, open, _seen) = gated();
    let log = Log::default();
    let mut outputs = start_gated(channel, (1, WhenFull::Block), 30_000, &log);
    let lane = outputs.lanes[0].clone();
    let stays = next::NextLane { lane, when_full: NEWEST, start: None };
    outputs.install(NextOutputs { lanes: vec![stays], limits: limits(3), timeout: LONG });
    (0..128).for_each(|_| outputs.submit(alert("does not wait")));
    drop(open);
    let report = outputs.close(Drain::WhileProgress);
    assert!(report.channels[0].queue_full > 120, "{report:?}");
}
