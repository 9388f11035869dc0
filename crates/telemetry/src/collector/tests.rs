use std::sync::mpsc::{Receiver, Sender, channel};

use peregrine_event::LossClass;

use super::*;

/// Passes reports on; the receiver sees a disconnect once the sink is closed.
struct Sink(Sender<MetricReport>);

impl ReportSink for Sink {
    fn report(&mut self, report: MetricReport) {
        let _ = self.0.send(report);
    }

    fn close(self: Box<Self>) {}
}

struct Kernel;

impl KernelSource for Kernel {
    fn counters(&mut self) -> Option<KernelStats> {
        let mut cpu = EventCounters::default();
        cpu.seen[LossClass::Open as usize] = 10;
        Some(KernelStats { cpus: vec![cpu; 2], late: 1, lookups: LookupStats::default() })
    }

    fn programs(&mut self) -> Vec<ProgramStats> {
        vec![ProgramStats { name: "sys_exit".to_owned(), runs: 1, time: 7 }]
    }
}

struct Loop {
    collector: Collector,
    heartbeat: Arc<Heartbeat>,
    events: u64,
}

impl Loop {
    fn start(interval: Option<Duration>, groups: MetricGroups) -> (Self, Receiver<MetricReport>) {
        let settings = CollectorSettings {
            groups,
            fields: FieldOptions::default(),
            interval,
            run: RunInfo { hostname: "own".to_owned(), ..RunInfo::default() },
            reloads: Arc::default(),
            resources: ResourceReader::new("/".as_ref()),
            web: Some(Arc::default()),
            containers: None,
            audit: None,
            plugins: None,
            kubernetes: None,
        };
        let heartbeat = Arc::new(Heartbeat::new());
        let (sender, reports) = channel();
        let sink = Box::new(Sink(sender));
        let collector = Collector::start(settings, heartbeat.clone(), sink).unwrap();
        (Self { collector, heartbeat, events: 0 }, reports)
    }

    /// Works until the collector wants a snapshot, and submits one.
    fn answer(&mut self) {
        while !(self.heartbeat.poll() && self.collector.wants_snapshot()) {
            thread::yield_now();
        }
        self.events += 100;
        let rule = RuleInfo { name: "R".to_owned(), ..RuleInfo::default() };
        self.collector.submit(SnapshotContext {
            ts: self.events * 1_000_000_000,
            events: self.events,
            rules: vec![rule].into(),
            matches: vec![7],
            ..SnapshotContext::default()
        });
    }

    fn scrape(&self) -> Receiver<String> {
        let (sender, text) = channel();
        self.collector.scraper().scrape(move |text| drop(sender.send(text.to_owned())));
        text
    }
}

#[test]
fn reports_are_numbered_and_rates_refer_to_the_previous_one() {
    let (mut event_loop, reports) =
        Loop::start(Some(Duration::from_millis(1)), MetricGroups::default());
    for sample in 1..=3 {
        event_loop.answer();
        let report = reports.recv().unwrap();
        assert_eq!((report.sample, report.ts), (sample, sample * 100_000_000_000));
        let field = |name: &str| report.fields.get(name).map(ToString::to_string);
        assert_eq!(field("falco.num_evts").unwrap(), (sample * 100).to_string());
        assert_eq!(field("falco.num_evts_prev").unwrap(), (sample * 100 - 100).to_string());
        assert_eq!(field("falco.evts_rate_sec"), (sample > 1).then(|| "1.0".to_owned()));
        assert_eq!(field("falco.rules.R"), None);
    }
    drop(event_loop);
    // The sink is closed with the thread.
    assert!(reports.iter().count() <= 1);
}

#[test]
fn a_scrape_joins_the_event_loop_the_kernel_and_the_process() {
    let groups = MetricGroups {
        rules: true,
        resources: true,
        kernel: true,
        kernel_by_cpu: true,
        programs: true,
        ..MetricGroups::default()
    };
    let (mut event_loop, reports) = Loop::start(None, groups);
    event_loop.collector.attach_kernel(Box::new(Kernel), "fexit".to_owned());
    let text = event_loop.scrape();
    event_loop.answer();
    let text = text.recv().unwrap();
    for line in [
        "falcosecurity_evt_hostname_info{hostname=\"own\"} 1\n",
        "falcosecurity_scap_n_evts_total 20\n",
        "falcosecurity_scap_n_evts_cpu_total{cpu=\"1\"} 10\n",
        "falcosecurity_scap_sys_exit_run_cnt_total 1\n",
        "peregrine_hook_plan_info{plan=\"fexit\"} 1\n",
        "rule_name=\"R\",source=\"\"} 7\n",
        "falcosecurity_falco_memory_rss_bytes ",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    drop(event_loop);
    assert_eq!(reports.iter().count(), 0);
}

#[test]
fn scrapes_in_quick_succession_share_one_snapshot() {
    let (mut event_loop, _reports) = Loop::start(None, MetricGroups::default());
    let texts: Vec<_> = (0..20).map(|_| event_loop.scrape()).collect();
    event_loop.answer();
    let texts: Vec<_> = texts.into_iter().map(|text| text.recv().unwrap()).collect();
    assert!(texts.iter().all(|text| text == &texts[0]));
}

#[test]
fn a_scrape_of_a_loop_that_stalls_gets_the_last_snapshot() {
    let (mut event_loop, _reports) = Loop::start(None, MetricGroups::default());
    event_loop.collector.attach_kernel(Box::new(Kernel), "fexit".to_owned());
    let first = event_loop.scrape();
    event_loop.answer();
    let first = first.recv().unwrap();
    // Not within a tenth of a second: that would be the same text without a stall.
    thread::sleep(SCRAPE_INTERVAL);
    let stale = event_loop.scrape().recv().unwrap();
    let value = |text: &str, name: &str| -> f64 {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert!(value(&stale, "peregrine_event_thread_silence_seconds ") >= STALE.as_secs_f64());
    assert_ne!(first, stale);
}

#[test]
fn a_scrape_that_waits_at_the_end_gets_no_reply() {
    let (event_loop, _reports) = Loop::start(None, MetricGroups::default());
    let (waiting, scraper) = (event_loop.scrape(), event_loop.collector.scraper());
    drop(event_loop);
    assert!(waiting.recv().is_err());
    let (sender, late) = channel::<()>();
    scraper.scrape(move |_| drop(sender));
    assert!(late.recv().is_err());
}

#[test]
fn missed_reports_are_not_made_up_for() {
    let due = Instant::now();
    let (second, after) = (Duration::from_secs(1), |ms| due + Duration::from_millis(ms));
    assert_eq!(next_after(due, due, second), after(1000));
    assert_eq!(next_after(due, after(999), second), after(1000));
    assert_eq!(next_after(due, after(3500), second), after(4000));
}
