//! Handing an alert to the outputs allocates nothing beyond the alert, however many channels there
//! are and whether their queues have room or not.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::sync::Arc;
use std::time::Duration;

use peregrine_alert::{Alert, AlertBuilder, AlertOrigin, Priority, RuleInfo, RuleRegistry};
use peregrine_files::FileMode;
use peregrine_output::{
    AlertFilter, ChannelOutput, ChannelSettings, Delivery, Drain, FileOutput, Format, Layout,
    Outputs, QueueLimits, WhenFull,
};

#[test]
fn an_alert_is_one_allocation_for_all_channels() {
    let dir = tempfile::tempdir().unwrap();
    let channel = |(number, when_full)| {
        let path = dir.path().join(format!("fifo-{number}"));
        // Without a reader: all queues fill.
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        let output = FileOutput::new(path, FileMode::PRIVATE);
        let output = ChannelOutput::File(output);
        // With a filter, the decision about the rule is remembered.
        let rules = if number == 0 { vec!["R*".to_owned()] } else { Vec::new() };
        let filter = AlertFilter { rules, ..AlertFilter::default() };
        ChannelSettings {
            output,
            format: Format::new(Layout::Text),
            filter,
            when_full,
            spool: None,
        }
    };
    let policies = [WhenFull::DropNewest, WhenFull::DropOldest, WhenFull::DropNewest];
    let delivery = Delivery {
        channels: policies.into_iter().enumerate().map(channel).collect(),
        buffered: false,
        queue: QueueLimits { alerts: None, bytes: 1 << 20 },
        timeout: Duration::from_millis(10),
    };
    let outputs = Outputs::start(delivery, Arc::new(|_| ())).unwrap();
    let origin = AlertOrigin::new(Arc::new(RuleRegistry::new()), "HOST");
    let rule = Arc::new(RuleInfo::new(&origin, "s", "R", Priority::Notice, vec![], vec![]));
    let submit = || outputs.submit(alert(&rule));
    // The queues take memory in steps.
    (0..10_000).for_each(|_| submit());
    assert!(outputs.dropped() > 3 * 5_000);
    let full = allocation_counter::measure(|| (0..1000).for_each(|_| submit()));
    assert_eq!(full.count_total, 1000);
    outputs.close(Drain::Within(Duration::ZERO));
}

fn alert(rule: &Arc<RuleInfo>) -> Alert {
    let text = |out: &mut Vec<u8>| out.extend_from_slice(b"a shell was started");
    AlertBuilder::new(rule.clone(), 1, 1, text).finish()
}
