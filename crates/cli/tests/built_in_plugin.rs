//! The plugin `container`, which is built in: when it is there, its settings, and its events.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on has failed")]

#[allow(dead_code, reason = "tests of the clients use more of it")]
#[path = "../../containers/tests/faults/fake.rs"]
mod fake;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use fake::Fake;

const CONFIG: &str = "\
engine: {kind: nodriver}
stdout_output: {enabled: true}
log_stderr: true
log_syslog: false
";

/// A rule on the events, with `IN` for the place of a field.
const RULES: &str = "\
- rule: Container
  desc: a container is made
  condition: evt.type in (container, container_removed) and container.image.repository = bb
  output: 'SEEN %evt.type %container.name %container.image.tag %container.ip %container.label[app]'
  priority: NOTICE
";

const REQUIRED: &str = "\
- required_plugin_versions:
  - {name: container, version: 0.4.0}
- {rule: Opened, desc: d, condition: evt.type = open, output: o, priority: NOTICE}
";

struct Place(TempDir);

impl Place {
    fn new(config: &str, rules: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::write(place.0.path().join("falco.yaml"), format!("{CONFIG}{config}")).unwrap();
        fs::write(place.0.path().join("rules.yaml"), rules).unwrap();
        place
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_peregrine"));
        command.current_dir(self.0.path()).args(["-c", "falco.yaml"]).args(arguments);
        command.env_remove("HOST_ROOT").stdin(Stdio::null());
        command
    }

    /// Whether a dry run succeeds, and what it writes to stderr.
    fn dry_run(&self) -> (bool, String) {
        let output = self.command(&["-r", "rules.yaml", "--dry-run"]).output().unwrap();
        (output.status.success(), text(&output.stderr))
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn rules_that_need_it_load_without_plugins() {
    for rules in [REQUIRED, RULES] {
        let (loads, stderr) = Place::new("", rules).dry_run();
        assert!(loads, "{stderr}");
        let (loads, stderr) =
            Place::new("plugins: [{name: container, library_path: libcontainer.so}]\n", rules)
                .dry_run();
        assert!(loads, "{stderr}");
        // As in Falco, what is not loaded is not there.
        let (loads, _) = Place::new("load_plugins: []\n", rules).dry_run();
        assert!(!loads);
    }
}

#[test]
fn without_plugins_nothing_is_listed_or_suggested() {
    let place = Place::new("append_output: [{suggested_output: true}]\n", RULES);
    let output = |place: &Place, arguments: &[&str]| {
        let Output { stdout, .. } = place.command(arguments).output().unwrap();
        text(&stdout)
    };
    assert!(!output(&place, &["--list"]).contains("container.id"));
    assert!(output(&place, &["--list-plugins"]).starts_with("0 Plugins Loaded"));
    let plugin = "plugins: [{name: container, library_path: libcontainer.so, init_config: {}}]\n";
    let place = Place::new(plugin, RULES);
    assert!(output(&place, &["--list"]).contains("container.id"));
}

/// `-pc` and `-pk` added what is suggested now: they change nothing, also where nothing is.
#[test]
fn outputs_end_with_what_is_suggested_and_a_format() {
    const RULE: &str = "\
- rule: Opened
  desc: a file is opened in a container
  condition: evt.num = 7
  output: opened %fd.name
  priority: NOTICE
";
    const SUGGESTED: &str = "opened /cfg2 container_id=5f50a2908afa container_name=web \
        container_image_repository=registry.k8s.example/shop/cart container_image_tag=2.1 \
        k8s_pod_name=cart-1 k8s_ns_name=shop";
    let capture =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../conformance/containers/captures/cri_pods.scap");
    let plugin = "plugins: [{name: container, library_path: libcontainer.so}]\n";
    let suggests = format!("{plugin}append_output: [{{suggested_output: true}}]\n");
    for (config, want) in [(plugin, "opened /cfg2"), (suggests.as_str(), SUGGESTED)] {
        let place = Place::new(config, RULE);
        let alert = |format: &[&str]| {
            let file = format!("engine.replay.capture_file={capture}");
            let options = ["-r", "rules.yaml", "-o", "engine.kind=replay", "-o", file.as_str()];
            let Output { stdout, .. } = place.command(&options).args(format).output().unwrap();
            let stdout = text(&stdout);
            let line = stdout.lines().find(|line| line.contains(" Notice ")).unwrap_or_default();
            line.split_once(" Notice ").unwrap_or_default().1.to_owned()
        };
        let formats: [&[&str]; 5] =
            [&[], &["-pc"], &["-pk"], &["-p", "container"], &["--print", "kubernetes"]];
        for format in formats {
            assert_eq!(alert(format), want, "{format:?}");
        }
        let format = ["-p", "%k8s.ns.name/%k8s.pod.name"];
        assert_eq!(alert(&format), format!("{want} shop/cart-1"));
    }
}

#[test]
fn settings_are_told_with_their_place() {
    let plugin = |settings: &str| {
        format!(
            "plugins:\n- name: container\n  library_path: libcontainer.so\n  init_config:{settings}\n"
        )
    };
    for settings in ["", " {}", " ''", " null", "\n    engines: {docker: {enabled: false}}"] {
        let (loads, stderr) = Place::new(&plugin(settings), RULES).dry_run();
        assert!(loads && !stderr.to_lowercase().contains("warning"), "{settings}: {stderr}");
    }
    let (loads, stderr) =
        Place::new(&plugin("\n    engines:\n      dokcer: {enabled: false}"), RULES).dry_run();
    assert!(loads && stderr.contains("`engines.dokcer`"), "{stderr}");
    assert!(stderr.contains("falco.yaml:10:"), "{stderr}");
    let (loads, stderr) = Place::new(&plugin("\n    with_size: maybe"), RULES).dry_run();
    assert!(!loads && stderr.contains("with_size: true or false is expected"), "{stderr}");
    assert!(stderr.contains("falco.yaml:9:"), "{stderr}");
}

/// Also without a kernel source, containers that a runtime tells of are events.
#[test]
fn rules_see_the_events_of_containers() {
    let place = Place::new("", RULES);
    let socket = place.0.path().join("docker.sock");
    let fake = Fake::start(&socket);
    let id = "ad95e3a2b1f55e4e6e2f9b0a3e5f0f8f8c1c6b0b4e0e4e9c7b3e8d8f1a2b3c4d";
    fake.add(id, "web", "10.0.0.1", "2026-11-30T10:00:00Z");
    let engines = ["podman", "cri", "containerd"].map(|name| format!("{name}: {{enabled: false}}"));
    let config = format!(
        "{CONFIG}containers: {{removal_grace_ms: 50}}\nplugins: [{{name: container, library_path: l.so, \
         init_config: {{engines: {{docker: {{sockets: [{}]}}, {}}}}}}}]\n",
        socket.display(),
        engines.join(", ")
    );
    fs::write(place.0.path().join("falco.yaml"), config).unwrap();
    let mut command = place.command(&["-r", "rules.yaml"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut seen = || {
        let line = lines.by_ref().map(Result::unwrap).find(|line| line.contains("SEEN"));
        let line = line.unwrap_or_else(|| panic!("the program has ended"));
        line.split_once("SEEN ").unwrap().1.to_owned()
    };
    assert_eq!(seen(), "container web 1.0 10.0.0.1 web");
    fake.tell("die", id);
    assert_eq!(seen(), "container_removed web 1.0 10.0.0.1 web");
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
}
