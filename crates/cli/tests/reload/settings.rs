//! Keys of the configuration that take effect with a reload.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use crate::ports::free_port;
use crate::run::{CONFIG, Run, rule};

/// Replaces the configuration and reloads.
fn reload(run: &mut Run, keys: &str, times: usize) {
    run.write("falco.yaml", &format!("{CONFIG}{keys}"));
    run.hang_up();
    run.wait_until("a reload", |run| run.log().matches("Reloaded: ").count() >= times);
}

const QUIET: &str = "rules_files: [rules.yaml]\nwatch_config_files: false\n";

#[test]
fn outputs_and_formats_change_between_two_events() {
    let config = format!(
        "{QUIET}program_output: {{enabled: true, keep_alive: true, program: 'echo x >>starts; cat >>copy'}}\n"
    );
    let mut run = Run::start(&config, &rule("old"));
    run.wait_for_word("old");
    let json = "json_output: true\njson_include_tags_property: false\n";
    let other = config.replace("enabled: true, keep", "enabled: false, keep");
    reload(
        &mut run,
        &format!("{other}{json}stdout_output: {{enabled: true}}\n").replace("filename: alerts", ""),
        1,
    );
    run.wait_until("JSON", |run| run.read("stdout").lines().count() > 3);
    // A directory that does not exist: the outputs in force stay.
    run.write("falco.yaml", &format!("{}{config}", CONFIG.replace("alerts", "none/alerts")));
    run.hang_up();
    run.wait_for_log("Reload failed, and the rules stay: ", 1);
    run.event();
    reload(&mut run, &config, 2);
    run.wait_until("text", |run| {
        run.read("copy").lines().count() > 3 && run.read("starts") == "x\nx\n"
    });
    let sent = run.sent;
    run.end();

    // Each event has one line in the file, and the format changes twice.
    let alerts = events_of(&run.read("alerts"));
    let mut formats: Vec<_> = alerts.lines().map(|line| line.starts_with('{')).collect();
    for (number, line) in (1..=sent).zip(alerts.lines()) {
        let text = if line.starts_with('{') {
            format!("old {number}\",")
        } else {
            format!("old {number}")
        };
        assert!(line.contains(&text), "{line} is not alert {number}");
        let fields = format!("\"output_fields\":{{\"evt.rawtime\":{number}");
        assert!(!line.starts_with('{') || line.contains(&fields), "{line}");
    }
    assert_eq!(formats.len() as u64, sent);
    let json = formats.iter().filter(|json| **json).count();
    formats.dedup();
    assert_eq!(formats, [false, true, false]);
    // The other outputs have what was raised while they were there.
    assert_eq!(
        events_of(&run.read("stdout")).lines().filter(|line| line.starts_with('{')).count(),
        json
    );
    assert_eq!(run.read("copy").lines().count() as u64, sent - json as u64);
}

/// The alerts about events.
fn events_of(alerts: &str) -> String {
    let lines = alerts.lines().filter(|line| !line.contains("hot restart failure"));
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn an_output_that_is_not_changed_stays_connected() {
    let program = "program_output: {enabled: true, keep_alive: true, program: 'echo x >>starts; cat >>copy'}\n";
    let config = format!("{QUIET}{program}");
    let mut run = Run::start(&config, &rule("old"));
    run.wait_for_word("old");
    run.write("rules.yaml", &rule("new"));
    reload(
        &mut run,
        &format!("{config}stdout_output: {{enabled: true}}\noutputs_queue: {{capacity: 100}}\n"),
        1,
    );
    run.wait_for_word("new");
    run.wait_until("the copy", |run| run.read("copy").contains("new "));
    let alerts = {
        run.end();
        run.read("alerts")
    };
    assert_eq!(run.read("copy"), alerts);
    assert_eq!(run.read("starts"), "x\n");
}

#[test]
fn log_metrics_and_captures_change() {
    let mut run = Run::start(QUIET, &rule("old"));
    run.wait_for_word("old");
    let metrics = "metrics: {enabled: true, interval: 100ms, output_file: metrics}\n";
    let capture =
        "capture: {enabled: true, mode: all_rules, path_prefix: captured, default_duration: 1}\n";
    let keys = format!("{QUIET}{metrics}{capture}");
    reload(&mut run, &format!("{keys}log_format: json\n"), 1);
    run.wait_until("metrics", |run| run.read("metrics").lines().count() > 2);
    // Another interval, and the numbers go on.
    reload(&mut run, &format!("{}log_level: warning\n", keys.replace("100ms", "150ms")), 2);
    let count = run.read("metrics").lines().count();
    run.wait_until("more metrics", |run| run.read("metrics").lines().count() > count + 2);
    let samples = run.read("metrics");
    for (number, line) in (1..).zip(samples.lines()) {
        let sample: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(sample["sample"], number);
        assert!(number < 2 || !sample["output_fields"]["falco.num_evts_prev"].is_null(), "{line}");
    }
    run.write("falco.yaml", &format!("{CONFIG}{QUIET}"));
    run.hang_up();
    run.wait_until("details of the log", |run| {
        run.log().matches("Reloaded: ").count() == 3 || run.log().ends_with("before\n")
    });
    run.end();
    let captured = fs::read_dir(run.path("")).unwrap().filter(|entry| {
        entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("captured_")
    });
    assert!(captured.count() > 0);
    assert!(run.log().lines().any(|line| line.starts_with(r#"{"level":"info","message":"#)));
}

/// The answer to a request, or nothing.
fn get(port: u16, path: &str) -> String {
    let mut page = String::new();
    if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
        let _ = write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let _ = stream.read_to_string(&mut page);
    }
    page
}

#[test]
fn the_web_server_changes() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let ([one, two], taken) = ([free_port(), free_port()], taken.local_addr().unwrap().port());
    let config = |port: u16, more: &str| {
        let config = CONFIG.replace("kind: replay,", "kind: nodriver,");
        format!(
            "{config}{QUIET}webserver: {{enabled: true, listen_address: 127.0.0.1, listen_port: {port}, {more}}}\n"
        )
    };
    let mut run = Run::new(&[("falco.yaml", &config(one, "")), ("rules.yaml", &rule("word"))]);
    run.spawn_alone(&[]);
    let reload = |run: &Run, config: &str| {
        run.write("falco.yaml", config);
        run.hang_up();
    };
    let is_ok = |port, path| get(port, path).starts_with("HTTP/1.1 200 ");
    run.wait_until("the server", |_| is_ok(one, "/healthz"));
    reload(&run, &config(two, ""));
    run.wait_until("another port", |_| is_ok(two, "/healthz") && !is_ok(one, "/healthz"));
    // The same port with another page, and with metrics.
    let metrics = "metrics: {enabled: true, interval: 1h}\n";
    let pages = "k8s_healthz_endpoint: /alive, prometheus_metrics_enabled: true";
    reload(&run, &(config(two, pages) + metrics));
    run.wait_until("another page", |_| is_ok(two, "/alive") && is_ok(two, "/metrics"));
    assert!(!is_ok(two, "/healthz"));
    assert!(
        get(two, "/metrics").contains("\nperegrine_reloads_total 2\n"),
        "{}",
        get(two, "/metrics")
    );
    reload(&run, &(config(taken, pages) + metrics));
    run.wait_until("a failure", |run| run.log().contains("Reload failed, and the rules stay: "));
    assert!(is_ok(two, "/alive"));
    reload(&run, &config(two, "").replace("enabled: true, listen", "enabled: false, listen"));
    run.wait_until("the end of the server", |_| !is_ok(two, "/alive"));
}
