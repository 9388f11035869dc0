//! The program, monitoring the containers of a place.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::created::{Created, Report};
use crate::measured;
use crate::place::{Daemon, Place, skip, succeed, wait_until};

/// A rule that needs no metadata, and those whose conditions do.
pub(crate) const ANY: &str = "Process starts";
pub(crate) const OF_IMAGE: &str = "Process of an image starts";
pub(crate) const OF_NAMESPACE: &str = "Process of a namespace starts";

/// A rule whose alert needs no metadata either, and account files as the others do.
const BARE: &str = "Bare process starts";

/// Last argument of pause processes.
pub(crate) const PAUSE: &str = "mark-pause";

/// Time from the end of a container to when it is forgotten, in milliseconds.
const GRACE_MS: u32 = 1_000;

const CAPTURE: &str = "recorded.scap";
const METRICS: &str = "metrics.jsonl";

const FIELDS: &str = "%evt.rawtime %proc.cmdline %proc.name %proc.vpid %proc.pname %user.name %user.uid \
    %container.id %container.full_id %container.name %container.type %container.image \
    %container.image.repository %container.image.tag %container.image.id %container.image.digest \
    %container.privileged %container.host_pid %container.host_network %container.host_ipc \
    %container.ip %container.mounts %container.labels %container.label[mark] %container.start_ts \
    %container.duration %k8s.pod.name %k8s.ns.name %k8s.pod.uid %k8s.pod.ip %k8s.pod.sandbox_id \
    %k8s.pod.label[app] %proc.is_container_healthcheck %proc.is_container_liveness_probe \
    %proc.is_container_readiness_probe";

const CONFIG: &str = "\
engine: {kind: modern_ebpf}
stdout_output: {enabled: true}
buffered_outputs: false
json_output: true
log_stderr: true
log_syslog: false
rule_matching: all
";

/// The program. It is killed when this is dropped.
pub(crate) struct Agent<'a> {
    place: &'a Place,
    daemon: Daemon,
    alerts: Arc<Mutex<Vec<Alert>>>,
}

/// An alert as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Alert {
    pub(crate) rule: String,
    pub(crate) fields: Value,
    /// From the time of the event until the alert was read.
    pub(crate) delay: Duration,
}

impl<'a> Agent<'a> {
    /// Starts it. `None`, with a line that says why, if the kernel can't be monitored.
    pub(crate) fn start(place: &'a Place) -> Option<Self> {
        Self::start_with(place, &all_rules())
    }

    /// The same with these rules.
    pub(crate) fn start_with(place: &'a Place, rules: &str) -> Option<Self> {
        // A machine that is busy with other tests makes runtimes slow.
        let delay = if measured().is_some() { 100 } else { 10_000 };
        let delay =
            format!("containers: {{max_delay_ms: {delay}, removal_grace_ms: {GRACE_MS}}}\n");
        let metrics = place.path(METRICS);
        let metrics = format!(
            "metrics: {{enabled: true, interval: 500ms, output_file: {}, include_empty_values: true}}\n",
            metrics.display()
        );
        place.write("falco.yaml", &format!("{CONFIG}{metrics}{delay}"));
        place.write("rules.yaml", rules);
        let mut command = place.command(env!("CARGO_BIN_EXE_peregrine"));
        let scope = format!("engine.modern_ebpf.scope.cgroup={}", place.containers().display());
        let files = [place.path("falco.yaml"), place.path("rules.yaml")];
        command.arg("-c").arg(&files[0]).arg("-r").arg(&files[1]).args(["-o", &scope]);
        command.arg("-w").arg(place.path(CAPTURE));
        let log = fs::File::create(place.path("agent.log")).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let alerts = Arc::new(Mutex::new(Vec::new()));
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let sink = Arc::clone(&alerts);
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let now = SystemTime::now();
                if let Ok(alert) = serde_json::from_str(&line) {
                    sink.lock().unwrap().push(Alert::new(now, alert));
                }
            }
        });
        let mut agent = Self { place, daemon: Daemon(child), alerts };
        wait_until("it starts", || {
            agent.log().contains("Watching control group") || agent.daemon.has_ended()
        });
        if agent.daemon.has_ended() {
            assert!(agent.log().contains("cannot watch this kernel"), "{}", agent.log());
            return skip(&agent.log());
        }
        Some(agent)
    }

    /// What it wrote to stderr so far.
    pub(crate) fn log(&self) -> String {
        self.place.read("agent.log")
    }

    /// Alerts that arrived so far.
    pub(crate) fn alerts(&self) -> Vec<Alert> {
        self.alerts.lock().unwrap().clone()
    }

    /// Compares alerts with what was created, once the alerts about all are complete, or none of
    /// these has arrived for a while.
    pub(crate) fn report(&self, created: &[Created]) -> Report {
        let (mut complete, mut quiet) = (0, 0);
        loop {
            let report = Report::new(created, &self.alerts());
            if report.is_complete() || quiet > 50 {
                return report;
            }
            quiet = if report.complete() == complete { quiet + 1 } else { 0 };
            complete = report.complete();
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Resident memory in KiB.
    pub(crate) fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.daemon.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// The newest metrics whose name contains this.
    pub(crate) fn metrics(&self, part: &str) -> BTreeMap<String, Value> {
        let text = self.place.read(METRICS);
        let last = text.lines().rev().find_map(|line| serde_json::from_str(line).ok());
        let last: Value = last.unwrap_or_default();
        let all = last["output_fields"].as_object().into_iter().flatten();
        all.filter(|(name, _)| name.contains(part)).map(|(k, v)| (k.clone(), v.clone())).collect()
    }

    /// Ends it. Whether it ended well.
    pub(crate) fn end(self) -> bool {
        self.daemon.end()
    }
}

/// Processes that start, and end in a mark.
const EXEC: &str = "evt.type in (execve, execveat) and evt.rawres=0 and proc.name=sh \
    and proc.cmdline contains mark-";

/// A rule that uses no field of containers.
pub(crate) fn bare_rule() -> String {
    format!(
        "- {{rule: {BARE}, desc: d, priority: NOTICE, output: '%evt.rawtime %proc.cmdline %user.name', condition: '{EXEC}'}}\n"
    )
}

/// All rules.
pub(crate) fn all_rules() -> String {
    let conditions = [
        (ANY, ""),
        (OF_IMAGE, " and container.image.repository in (bb, localhost/bb, 127.0.0.1:5000/shop/bb)"),
        (OF_NAMESPACE, " and k8s.ns.name=shop"),
    ];
    let rules = conditions.map(|(rule, condition)| {
        format!(
            "- {{rule: {rule}, desc: d, priority: NOTICE, output: '{FIELDS}', condition: '{EXEC}{condition}'}}\n"
        )
    });
    let ends = ["container", "container_removed"].map(|event| {
        format!(
            "- {{rule: {event}, desc: d, priority: NOTICE, output: '%evt.rawtime %container.id %container.name %container.image.repository', condition: 'evt.type={event}'}}\n"
        )
    });
    [&[bare_rule()][..], &rules, &ends].concat().concat()
}

/// Alerts of a replay of what the agent of this place has recorded.
pub(crate) fn replay(place: &Place) -> Vec<Alert> {
    let mut command = place.command(env!("CARGO_BIN_EXE_peregrine"));
    command.arg("-c").arg(place.path("falco.yaml")).arg("-r").arg(place.path("rules.yaml"));
    let capture = format!("engine.replay.capture_file={}", place.path(CAPTURE).display());
    command.args(["-o", "engine.kind=replay", "-o", &capture]);
    let alerts = succeed(&mut command);
    let alerts = alerts.lines().filter_map(|line| serde_json::from_str(line).ok());
    alerts.map(|alert| Alert::new(SystemTime::now(), alert)).collect()
}

impl Alert {
    fn new(now: SystemTime, mut alert: Value) -> Self {
        let fields = alert["output_fields"].take();
        let time = Duration::from_nanos(fields["evt.rawtime"].as_u64().unwrap_or_default());
        let rule = alert["rule"].as_str().unwrap_or_default().to_owned();
        Self { rule, delay: now.duration_since(UNIX_EPOCH + time).unwrap_or_default(), fields }
    }

    /// Whether it is about this process.
    pub(crate) fn is_of(&self, created: &Created) -> bool {
        let field = |name: &str| self.fields[name].as_str().unwrap_or_default();
        // All pause processes have one command.
        field("proc.cmdline").split(' ').next_back() == Some(&created.mark)
            && (created.mark != PAUSE || created.id.starts_with(field("container.id")))
    }
}

/// What metadata adds to the delay of an alert: of each event, from the alert without metadata to
/// the one with it. Median, and what one in a hundred exceeds.
pub(crate) fn added_delay(alerts: &[Alert]) -> (Duration, Duration) {
    let key = |alert: &Alert| {
        (alert.fields["evt.rawtime"].as_u64(), alert.fields["proc.cmdline"].to_string())
    };
    let of_rule = |rule| alerts.iter().filter(move |alert| alert.rule == rule);
    let bare: HashMap<_, _> = of_rule(BARE).map(|alert| (key(alert), alert.delay)).collect();
    let added = |alert: &Alert| Some(alert.delay.saturating_sub(*bare.get(&key(alert))?));
    quantiles(of_rule(ANY).filter_map(added).collect())
}

/// From the time of an event until its alert is read.
pub(crate) fn delay(alerts: &[Alert]) -> (Duration, Duration) {
    quantiles(alerts.iter().filter(|alert| alert.rule == ANY).map(|alert| alert.delay).collect())
}

fn quantiles(mut delays: Vec<Duration>) -> (Duration, Duration) {
    delays.sort();
    let at = |share: usize| delays.get(delays.len() * share / 100).copied().unwrap_or_default();
    (at(50), at(99))
}
