use std::sync::Mutex;
use std::sync::mpsc::Sender;

use peregrine_files::FileMode;

use super::*;
use crate::channel::{FileOutput, ProgramOutput};
use crate::testing::{alert, format, line, lines};

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

    fn deliver(&mut self, alerts: &[Alert]) -> Result<(), ChannelError> {
        let _ = self.gate.recv();
        let _ = self.delivered.send(alerts.len());
        Ok(())
    }
}

fn gated() -> (Box<dyn Channel>, Sender<()>, Receiver<usize>) {
    let ((open, gate), (delivered, seen)) = (mpsc::channel(), mpsc::channel());
    (Box::new(Gated { gate, delivered }), open, seen)
}

#[test]
fn every_alert_arrives_in_order_at_every_channel() {
    let dir = tempfile::tempdir().unwrap();
    let (file, copy) = (dir.path().join("file"), dir.path().join("copy"));
    let channels = Channels {
        file: Some(FileOutput { path: file.clone(), keep_alive: false, mode: FileMode::PRIVATE }),
        program: Some(ProgramOutput {
            command: format!("cat >> '{}'", copy.display()),
            keep_alive: true,
        }),
        ..Channels::default()
    };
    let log = Log::default();
    let delivery = Delivery {
        channels,
        format: format(),
        buffered: true,
        queue_capacity: None,
        timeout: Duration::from_secs(30),
    };
    let outputs = Outputs::start(delivery, log.report()).unwrap();
    let expected: String = (0..10_000).map(|n| line(&format!("alert {n}")) + "\n").collect();
    for n in 0..10_000 {
        outputs.submit(alert(&format!("alert {n}")));
    }
    outputs.close();
    assert_eq!(std::fs::read_to_string(file).unwrap(), expected);
    assert_eq!(std::fs::read_to_string(copy).unwrap(), expected);
    assert_eq!(log.lines(), [""; 0]);
}

#[test]
fn a_full_queue_loses_alerts_and_says_so_once() {
    let (channel, open, seen) = gated();
    let log = Log::default();
    let outputs = Outputs::with_channels(
        vec![channel],
        NonZeroUsize::new(2),
        Duration::from_secs(30),
        log.report(),
    )
    .unwrap();
    outputs.submit(alert("at work"));
    while outputs.shared.activity.count() == 0 {
        thread::yield_now();
    }
    for line in ["waits", "waits", "lost", "lost"] {
        outputs.submit(alert(line));
    }
    assert_eq!(outputs.dropped(), 2);
    assert_eq!(log.lines(), ["Outputs queue out of memory. Drop event and continue on ..."]);
    drop(open);
    outputs.close();
    assert_eq!(seen.iter().collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_blocked_channel_is_reported_and_given_up_at_the_end() {
    let (channel, open, seen) = gated();
    let log = Log::default();
    let outputs =
        Outputs::with_channels(vec![channel], None, Duration::from_millis(20), log.report())
            .unwrap();
    outputs.submit(alert("blocks"));
    while log.lines().is_empty() {
        thread::sleep(Duration::from_millis(1));
    }
    outputs.submit(alert("never delivered"));
    outputs.close();
    assert_eq!(
        log.lines(),
        [
            "\"gated\" output timeout, all output channels are blocked",
            "output channels still blocked, discarding all remaining notifications"
        ]
    );
    drop(open);
    assert_eq!(seen.iter().collect::<Vec<_>>(), [1]);
}

#[test]
fn a_slow_channel_that_moves_loses_nothing() {
    let (channel, open, seen) = gated();
    let log = Log::default();
    let outputs =
        Outputs::with_channels(vec![channel], None, Duration::from_millis(400), log.report())
            .unwrap();
    for n in 0..BATCH * 8 {
        outputs.submit(alert(&n.to_string()));
    }
    let opener = thread::spawn(move || {
        // More in all than the timeout, each far less.
        for _ in 0..10 {
            thread::sleep(Duration::from_millis(80));
            let _ = open.send(());
        }
    });
    outputs.close();
    opener.join().unwrap();
    assert_eq!(seen.iter().sum::<usize>(), BATCH * 8);
    assert_eq!(log.lines(), [""; 0]);
}

#[test]
fn a_channel_that_fails_is_reported_once_and_others_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("copy");
    let channels = Channels {
        file: Some(FileOutput {
            path: "/nonexistent/dir/file".into(),
            keep_alive: true,
            mode: FileMode::PRIVATE,
        }),
        program: Some(ProgramOutput {
            command: format!("cat >> '{}'", copy.display()),
            keep_alive: false,
        }),
        ..Channels::default()
    };
    let log = Log::default();
    let delivery = Delivery {
        channels,
        format: format(),
        buffered: false,
        queue_capacity: None,
        timeout: Duration::from_secs(30),
    };
    let outputs = Outputs::start(delivery, log.report()).unwrap();
    outputs.submit(alert("one"));
    outputs.submit(alert("two"));
    outputs.reopen();
    outputs.close();
    assert_eq!(std::fs::read_to_string(copy).unwrap(), lines(&["one", "two"]));
    assert_eq!(log.lines().len(), 1);
    assert!(log.lines()[0].starts_with("file: failed to open output file /nonexistent/dir/file: "));
}
