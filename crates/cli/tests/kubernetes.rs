//! What the API server of Kubernetes says, through the program.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// What the manual of the plugin says.
const K8SMETA: &str = "
plugins:
  - name: k8smeta
    library_path: libk8smeta.so
    init_config:
      collectorPort: 45000
      collectorHostname: localhost
      nodeName: node1
      verbosity: warning
load_plugins: [k8smeta]
";

const RULES: &str = "
- required_plugin_versions: [{name: k8smeta, version: 0.4.0}]
- rule: In a pod
  desc: d
  condition: evt.type = execve and k8smeta.pod.uid != '' and k8smeta.pod.labels intersects (app:web)
  output: '%k8smeta.pod.name %k8smeta.svc.name %k8smeta.ns.label[team]'
  priority: NOTICE
";

fn peregrine(place: &Path, words: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_peregrine"));
    program.current_dir(place).args(["-c", "falco.yaml"]).args(words).output().unwrap()
}

fn text(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8(text).unwrap()
}

#[test]
fn rules_of_the_plugin_load_as_it_is_configured() {
    let place = tempfile::tempdir().unwrap();
    let configure = |text: &str| {
        let basic = "log_syslog: false\nstdout_output: {enabled: true}\n";
        fs::write(place.path().join("falco.yaml"), format!("{basic}{text}")).unwrap();
    };
    fs::write(place.path().join("rules.yaml"), RULES).unwrap();
    configure(K8SMETA);
    let valid = peregrine(place.path(), &["-V", "rules.yaml"]);
    assert!(valid.status.success(), "{}", text(&valid));
    let plugins = text(&peregrine(place.path(), &["--list-plugins"]));
    assert!(plugins.contains("Name: k8smeta\n") && plugins.contains("0.4.1"), "{plugins}");
    configure("load_plugins: []\nkubernetes: {enabled: true}\n");
    let valid = peregrine(place.path(), &["-V", "rules.yaml"]);
    assert!(valid.status.success(), "{}", text(&valid));
    let fields = text(&peregrine(place.path(), &["--list"]));
    assert!(fields.contains("k8smeta.deployment.label"), "{fields}");
    configure("load_plugins: []\n");
    let invalid = peregrine(place.path(), &["-V", "rules.yaml"]);
    assert!(!invalid.status.success());
    let fields = text(&peregrine(place.path(), &["--list"]));
    assert!(!fields.contains("k8smeta."), "{fields}");
}

/// The events are there for rules, and in a capture.
#[test]
fn what_the_server_says_is_seen_and_recorded() {
    let place = tempfile::tempdir().unwrap();
    let server = serve();
    let kubeconfig = json!({
        "current-context": "x",
        "contexts": [{ "name": "x", "context": { "cluster": "c", "user": "u" } }],
        "clusters": [{ "name": "c", "cluster": { "server": format!("http://{server}") } }],
        "users": [{ "name": "u", "user": { "token": "secret" } }],
    });
    fs::write(place.path().join("kubeconfig"), kubeconfig.to_string()).unwrap();
    let config = "engine: {kind: nodriver}\nstdout_output: {enabled: true}\nlog_stderr: true\n\
                  log_syslog: false\nload_plugins: []\njson_output: true\n\
                  kubernetes: {enabled: true, kubeconfig: kubeconfig, node_name: node1}\n";
    fs::write(place.path().join("falco.yaml"), config).unwrap();
    let rules = "- {rule: Told, desc: d, condition: evt.asynctype = k8s, output: '%evt.args', \
                 priority: NOTICE, warn_evttypes: false}\n";
    fs::write(place.path().join("rules.yaml"), rules).unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_peregrine"));
    program.args(["-c", "falco.yaml", "-r", "rules.yaml", "-U", "-w", "told.scap"]);
    program.current_dir(place.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = program.spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let connected = log.find(|line| line.as_ref().unwrap().contains("kubernetes: ")).unwrap();
    let connected = connected.unwrap();
    let expected = format!("kubernetes: http://{server} (v1.34.4): connected, 1 pods on node1");
    assert!(connected.ends_with(&expected), "{connected}");
    let mut alerts = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut told = |wanted: &str| {
        let line = alerts.find(|line| line.as_ref().unwrap().contains(wanted)).unwrap().unwrap();
        let alert: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(alert["rule"], "Told");
        alert["output_fields"]["evt.args"].as_str().unwrap().to_owned()
    };
    let pod = told("web-1");
    assert!(pod.contains("name=k8s") && pod.contains("10.0.0.7"), "{pod}");
    told("birds");
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    drop(log);
    assert!(child.wait().unwrap().success());
    let capture = fs::read(place.path().join("told.scap")).unwrap();
    assert!(capture.windows(5).any(|part| part == b"web-1"));
}

/// An API server with one pod and its namespace. It ends with the test.
fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || answer(stream.unwrap()));
        }
    });
    address
}

fn answer(mut stream: TcpStream) {
    let mut head = String::new();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return;
        }
    }
    let meta = |name: &str, uid: &str| json!({ "name": name, "namespace": "shop", "uid": uid, "labels": { "team": "birds" } });
    let list = |item: Value| json!({ "metadata": { "resourceVersion": "1" }, "items": [item] });
    let body = if head.contains("watch=true") {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
        let _ = reader.read(&mut [0]);
        return;
    } else if head.contains("/version") {
        json!({ "gitVersion": "v1.34.4" })
    } else if head.contains("/pods?") {
        let status = json!({ "podIP": "10.0.0.7" });
        list(json!({ "metadata": meta("web-1", "p"), "spec": {}, "status": status }))
    } else {
        list(json!({ "metadata": meta("shop", "n") }))
    };
    let body = body.to_string();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
    let _ = stream.write_all((head + &body).as_bytes());
}
