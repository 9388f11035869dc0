//! Metrics and health of the running kernel, requested over the loopback interface: directly, by
//! `promtool`, and by a Prometheus server.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use rustix::process::Signal;
use serde_json::Value;

use super::ports::free_port;
use super::{Owned, Place, Watcher, skip};

const RULES: &str = r#"
- rule: Motd "read"
  desc: d
  condition: evt.type in (open, openat) and fd.name endswith /motd
  output: "%fd.name"
  priority: WARNING
  tags: [files, mitre_collection]
"#;

const STALLED: &str = "Falco internal: event thread stalled";

const WEBSERVER: [&str; 8] = [
    "-o",
    "webserver.enabled=true",
    "-o",
    "webserver.listen_address=127.0.0.1",
    "-o",
    "webserver.listen_port=0",
    "-o",
    "webserver.threadiness=1",
];

impl Watcher {
    /// Address of its web server.
    fn url(&self) -> String {
        let address = self.start_log.split("listening on ").nth(1).unwrap();
        format!("http://{}", address.lines().next().unwrap())
    }
}

fn get(url: &str) -> (u16, String) {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut response = agent.get(url).call().unwrap();
    (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
}

/// Repeats a request until the answer satisfies the predicate.
fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "no {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// A Prometheus server that scrapes a target periodically.
struct Prometheus {
    _child: Owned,
    url: String,
    _directory: tempfile::TempDir,
}

impl Prometheus {
    fn start(target: &str) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let config = format!(
            "scrape_configs: [{{job_name: peregrine, scrape_interval: 1s, static_configs: [{{targets: ['{target}']}}]}}]\n"
        );
        std::fs::write(directory.path().join("prometheus.yml"), config).unwrap();
        // It does not report a port it chose itself.
        let port = free_port();
        let child = Command::new("prometheus")
            .current_dir(directory.path())
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match child {
            Ok(child) => {
                let url = format!("http://127.0.0.1:{port}");
                Some(Self { _child: Owned(child), url, _directory: directory })
            }
            Err(error) => skip(&format!("a Prometheus server is missing ({error})")),
        }
    }

    /// Its answer, if any.
    fn ask(&self, path: &str) -> Option<Value> {
        let mut answer = ureq::get(format!("{}/api/v1/{path}", self.url)).call().ok()?;
        let answer: Value = serde_json::from_str(&answer.body_mut().read_to_string().ok()?).ok()?;
        (answer["status"] == "success").then(|| answer["data"].clone())
    }
}

/// Names of families with their types.
fn types(text: &str) -> BTreeMap<String, String> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    types.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect()
}

/// Complaints about names concern Falco's names, which stay as they are.
fn check_by_promtool(text: &str) {
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = promtool else {
        let _: Option<()> = skip("promtool is missing");
        return;
    };
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let told =
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    const WRONG_NAMES: i32 = 3;
    assert!([Some(0), Some(WRONG_NAMES)].contains(&output.status.code()), "{told}");
    for line in told.lines() {
        let of_falco = line.starts_with("falcosecurity_");
        let known = line.ends_with(r#"use base unit "seconds" instead of "nanoseconds""#)
            || line.ends_with(r#"non-counter metrics should not have "_total" suffix"#);
        assert!(of_falco && known, "{line}");
    }
}

#[test]
fn a_prometheus_server_takes_all_series_with_their_types() {
    let Some(place) = Place::new("prometheus") else { return };
    place.write("rules.yaml", RULES);
    let mut arguments = vec!["-r", "rules.yaml", "-o", "webserver.prometheus_metrics_enabled=true"];
    let keys =
        ["enabled=true", "interval=1h", "bpf_enable_stats=true", "syscalls_counters_enabled=true"];
    let keys = keys.map(|key| format!("metrics.{key}"));
    keys.iter().for_each(|key| arguments.extend(["-o", key]));
    arguments.extend(WEBSERVER);
    let Some(mut watcher) = place.watch(&arguments) else { return };
    let url = watcher.url();
    place.write("motd", "hello\n");
    // A little longer, so that the shell still runs when it is looked up as an unknown thread.
    place.act("cd \"$1\"; cat motd motd >/dev/null; sleep 0.3");
    watcher.wait_for(&["Motd \"read\"", "Motd \"read\""]);

    let (status, text) = get(&format!("{url}/metrics"));
    assert_eq!(status, 200);
    check_by_promtool(&text);
    let line = |start: &str| {
        text.lines()
            .find(|line| line.starts_with(start))
            .unwrap_or_else(|| panic!("{start}: {text}"))
    };
    let value = |start: &str| line(start).rsplit(' ').next().unwrap().parse::<f64>().unwrap();
    let rule = r#"falcosecurity_falco_rules_matches_total{priority="4",rule_name="Motd \"read\"",source="syscall",tag_files="true",tag_mitre_collection="true"}"#;
    assert_eq!(value(rule), 2.0);
    for positive in [
        "falcosecurity_falco_memory_rss_bytes ",
        "falcosecurity_scap_n_threads_total ",
        "falcosecurity_scap_n_noncached_thread_lookups_total ",
        "falcosecurity_scap_n_evts_total ",
        "falcosecurity_scap_n_evts_task_total ",
        r#"peregrine_events_total{class="open"} "#,
        r#"peregrine_syscall_events_total{syscall="openat"} "#,
        r#"peregrine_rule_evaluations_total{rule_name="Motd \"read\""} "#,
    ] {
        assert!(value(positive) > 0.0, "{}", line(positive));
    }
    assert_eq!(value("peregrine_coverage_ratio "), 1.0);
    line("peregrine_hook_plan_info{plan=\"");
    assert!(types(&text).keys().any(|name| name.ends_with("_run_cnt_total")), "{text}");
    let cpus =
        text.lines().filter(|line| line.starts_with("falcosecurity_scap_n_evts_cpu_total{cpu="));
    let by_cpu =
        cpus.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum::<f64>();
    assert!(by_cpu > 0.0);

    let target = url.strip_prefix("http://").unwrap();
    if let Some(prometheus) = Prometheus::start(target) {
        wait_for("target that is up", || {
            let targets = prometheus.ask("targets?state=active")?;
            (targets["activeTargets"][0]["health"] == "up").then_some(())
        });
        let series = wait_for("series", || {
            let found = prometheus.ask("series?match[]={job=%22peregrine%22}")?;
            let found = found.as_array()?.iter().filter_map(|labels| labels["__name__"].as_str());
            let found: BTreeSet<String> = found.map(str::to_owned).collect();
            (found.len() > 50).then_some(found)
        });
        let (_, text) = get(&format!("{url}/metrics"));
        let types = types(&text);
        let metadata = prometheus.ask("metadata").unwrap();
        for (name, kind) in &types {
            assert!(series.contains(name), "{name} is not there");
            assert_eq!(metadata[name][0]["type"], **kind, "{name}");
            assert_ne!(metadata[name][0]["help"], "", "{name}");
        }
        let matches =
            prometheus.ask("query?query=falcosecurity_falco_rules_matches_total").unwrap();
        let matches = &matches["result"][0];
        assert_eq!(matches["metric"]["rule_name"], "Motd \"read\"");
        assert_eq!(matches["value"][1], "2");
    }
    let _ = watcher.end();
}

/// The thread of the event loop, stopped; the other threads of the process go on.
struct Stopped(Pid);

impl Stopped {
    /// Stops the main thread. `None` where tracing is not permitted.
    fn main_thread(watcher: &Watcher) -> Option<Self> {
        let tid = Pid::from_raw(watcher.child.0.id().try_into().unwrap());
        if let Err(error) = ptrace::seize(tid, ptrace::Options::empty()) {
            return skip(&format!("a thread cannot be stopped ({error})"));
        }
        ptrace::interrupt(tid).unwrap();
        waitpid(tid, Some(WaitPidFlag::__WALL)).unwrap();
        Some(Self(tid))
    }

    fn go_on(self) {
        ptrace::detach(self.0, None).unwrap();
    }
}

#[test]
fn health_fails_while_the_event_loop_stands_still() {
    let Some(place) = Place::new("health") else { return };
    place.write("rules.yaml", RULES);
    let mut arguments = vec!["-r", "rules.yaml", "-o", "webserver.healthz_timeout=2000"];
    let keys = ["metrics.enabled=true", "metrics.interval=1h"];
    keys.iter().for_each(|key| arguments.extend(["-o", key]));
    arguments.extend(["-o", "webserver.prometheus_metrics_enabled=true"]);
    arguments.extend(WEBSERVER);
    let Some(mut watcher) = place.watch(&arguments) else { return };
    let url = format!("{}/healthz", watcher.url());
    assert_eq!(get(&url), (200, r#"{"status": "ok"}"#.to_owned()));
    // An alert shows that the loop has begun.
    place.write("motd", "hello\n");
    place.act("cd \"$1\"; cat motd >/dev/null");
    watcher.wait_for(&["Motd \"read\""]);
    let Some(stopped) = Stopped::main_thread(&watcher) else { return };
    let body = wait_for("stall", || {
        let (status, body) = get(&url);
        (status == 503).then_some(body)
    });
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["status"], "stalled");
    watcher.wait_for(&[STALLED]);
    stopped.go_on();
    wait_for("health", || (get(&url).0 == 200).then_some(()));
    watcher.wait_for(&["Falco internal: event thread resumed"]);
    // On a busy machine, loading the probe may take as long.
    let stalls = watcher.seen.iter().filter(|alert| alert["rule"] == STALLED).count();
    let stalled = watcher.seen.iter().rfind(|alert| alert["rule"] == STALLED).unwrap();
    assert!(stalled["output_fields"]["stall.seconds"].as_f64().unwrap() >= 2.0, "{stalled}");
    // It may be stopped before it returns from the outputs.
    let phases = ["processing events", "handing an alert to the outputs"];
    let phase = stalled["output_fields"]["stall.phase"].as_str().unwrap();
    assert!(phases.contains(&phase), "{phase}");
    let (status, text) = get(&format!("{}/metrics", watcher.url()));
    assert_eq!(status, 200);
    let counted = format!("\nperegrine_event_thread_stalls_total {stalls}\n");
    assert!(text.contains(&counted), "{text}");
    let _ = watcher.end();
}

#[test]
fn a_start_that_stands_still_is_unhealthy_and_can_be_ended() {
    let Some(place) = Place::new("start") else { return };
    place.write("rules.yaml", RULES);
    let mut arguments = vec!["-r", "rules.yaml"];
    arguments.extend(WEBSERVER);
    // BPF programs are loaded after this line.
    let Some(mut watcher) = place.watch_from(&arguments, "listening on ") else { return };
    let Some(_stopped) = Stopped::main_thread(&watcher) else { return };
    let begun = Instant::now();
    let url = format!("{}/healthz", watcher.url());
    wait_for("stall", || (get(&url).0 == 503).then_some(()));
    // At most five seconds; a busy machine adds some.
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    watcher.signal(Signal::TERM);
    assert_eq!(watcher.child.0.wait().unwrap().code(), Some(3));
    let log = watcher.log.join().unwrap();
    assert!(log.contains("it hangs while "), "{log}");
}

#[test]
fn an_event_loop_that_stands_still_does_not_hold_up_the_end() {
    let Some(place) = Place::new("stop") else { return };
    place.write("rules.yaml", RULES);
    let Some(mut watcher) = place.watch(&["-r", "rules.yaml"]) else { return };
    let Some(_stopped) = Stopped::main_thread(&watcher) else { return };
    let begun = Instant::now();
    watcher.signal(Signal::TERM);
    let code = watcher.child.0.wait().unwrap().code();
    // At most five seconds; a busy machine adds some.
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert_eq!(code, Some(3));
    let log = watcher.log.join().unwrap();
    assert!(log.contains("did not end within 4 s of the signal: it hangs while "), "{log}");
}
