//! A real node of Kubernetes with the program as a DaemonSet: is every alert complete?
//!
//! `node` starts the node and deploys the program, `workloads` are the pods, `verdict` counts.

mod node;
mod verdict;
mod workloads;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;

use node::{AUDIT, Node};
use verdict::{Created, Verdict};
use workloads::NAMESPACE;

/// How the node is started, and what runs on it.
#[derive(Args)]
pub(crate) struct Options {
    /// Script that starts a node: `SCRIPT up DIR`, `SCRIPT image DIR ROOTFS NAME`, `SCRIPT down
    /// DIR`. `AUDIT_WEBHOOK` names the configuration of the API server's audit webhook for it.
    /// Afterwards there are `DIR/kubeconfig` and `DIR/containerd.sock`, and the image
    /// `localhost/busybox:local`. Default: the environment variable `PEREGRINE_NODE_SCRIPT`.
    #[arg(long)]
    script: Option<PathBuf>,
    /// Its folder, with the programs of Kubernetes in `DIR/bin`. Default: `PEREGRINE_NODE`.
    #[arg(long)]
    node: Option<PathBuf>,
    /// The program; without it, it is built.
    #[arg(long)]
    program: Option<PathBuf>,
    /// Pods that run when the program starts.
    #[arg(long, default_value_t = 50)]
    before: usize,
    /// Pods of 300 ms; of other kinds there are fewer.
    #[arg(long, default_value_t = 20)]
    count: usize,
    /// Do not ask the API server for the fields `k8smeta`: what the runtime knows must be enough.
    #[arg(long)]
    without_api: bool,
    /// Keep the log and the alerts of the program here.
    #[arg(long)]
    keep: Option<PathBuf>,
}

/// Runs it all, and prints a table. Fails if an alert is missing or lacks a value.
pub(crate) fn run(options: &Options) -> Result<()> {
    let (script, dir) = match options.place() {
        Ok(place) => place,
        Err(why) => {
            println!("SKIPPED: no node of Kubernetes: {why}");
            return Ok(());
        }
    };
    let program = options.program()?;
    let node = Node::up(&script, &dir)?;
    let verdict = check(&node, &program, options);
    if let Some(folder) = &options.keep {
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("log"), node.log())?;
        std::fs::copy(node.alerts(), folder.join("alerts.json"))?;
    }
    drop(node);
    let verdict = verdict?;
    println!("\n{verdict}");
    ensure!(verdict.is_good(), "not every alert is there and complete");
    Ok(())
}

impl Options {
    /// Script and folder, or why there are none.
    fn place(&self) -> Result<(PathBuf, PathBuf), String> {
        let of_environment = |name| std::env::var_os(name).map(PathBuf::from);
        let script = self.script.clone().or_else(|| of_environment("PEREGRINE_NODE_SCRIPT"));
        let dir = self.node.clone().or_else(|| of_environment("PEREGRINE_NODE"));
        let (Some(script), Some(dir)) = (script, dir) else {
            return Err("--script and --node name none".to_owned());
        };
        let kubectl = dir.join("bin/kubectl");
        for needed in [&script, &kubectl] {
            if !needed.exists() {
                return Err(format!("there is no {}", needed.display()));
            }
        }
        for program in ["containerd", "etcd", "podman"] {
            let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
            if !found.is_ok_and(|found| found.status.success()) {
                return Err(format!("{program} is not installed"));
            }
        }
        let absolute = |path: &Path| path.canonicalize().map_err(|error| error.to_string());
        Ok((absolute(&script)?, absolute(&dir)?))
    }

    fn program(&self) -> Result<PathBuf> {
        if let Some(program) = &self.program {
            return Ok(program.clone());
        }
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--locked", "--release", "--bin", "peregrine"]);
        ensure!(build.status()?.success(), "the program cannot be built");
        let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        let target = target.unwrap_or_else(|| PathBuf::from("target"));
        Ok(target.join("release/peregrine"))
    }
}

/// Deploys, creates pods, and compares the alerts with them.
fn check(node: &Node, program: &Path, options: &Options) -> Result<Verdict> {
    node.import(program)?;
    node.apply(&workloads::namespace())?;
    println!("{} pods before the program", options.before);
    let before = workloads::before(options.before);
    before.iter().try_for_each(|pod| node.apply(pod))?;
    node.until("the pods to run", || running(node, "").map(|count| count >= before.len()))?;
    let asks = !options.without_api;
    node.deploy(&options.configuration(node), &rules(asks))?;
    for (kind, objects) in workloads::during(options.count) {
        println!("{} {kind}", objects.len());
        objects.iter().try_for_each(|object| node.apply(object))?;
    }
    settled(node).context("waiting for the pods")?;
    let created =
        Created::of_list(&node.kubectl(&["-n", NAMESPACE, "get", "pods", "-o", "json"])?)?;
    let alerts = std::fs::read_to_string(node.alerts()).context("no alerts")?;
    let mut verdict = Verdict::new(&created, &alerts, asks);
    for (verb, what, allowed) in [
        ("list", "pods", true),
        ("watch", "deployments.apps", true),
        ("list", "secrets", false),
        ("get", "configmaps", false),
        ("delete", "pods", false),
        ("create", "pods", false),
    ] {
        verdict.right(verb, what, node.may(verb, what)? == allowed);
    }
    Ok(verdict)
}

/// Number of pods that run.
fn running(node: &Node, phase: &str) -> Result<usize> {
    let phase = if phase.is_empty() { "Running" } else { phase };
    let selector = format!("--field-selector=status.phase={phase}");
    let names = node.kubectl(&["-n", NAMESPACE, "get", "pods", &selector, "-o", "name"])?;
    Ok(names.lines().count())
}

/// Waits until no pod is pending, and a while for what runs.
fn settled(node: &Node) -> Result<()> {
    // Controllers create pods a little later than their objects.
    std::thread::sleep(Duration::from_secs(5));
    node.until("the pods to have run", || Ok(running(node, "Pending")? == 0))?;
    std::thread::sleep(Duration::from_secs(15));
    Ok(())
}

impl Options {
    /// The configuration of the program: alerts into a file, the socket of this node, its audit
    /// events.
    fn configuration(&self, node: &Node) -> String {
        let socket = node.dir().join("containerd.sock");
        format!(
            "rules_files: [/etc/peregrine/rules.yaml]\n\
             rule_matching: all\n\
             json_output: true\n\
             file_output: {{enabled: true, filename: /alerts/alerts.json}}\n\
             stdout_output: {{enabled: false}}\n\
             log_stderr: true\n\
             log_syslog: false\n\
             engine: {{kind: modern_ebpf, modern_ebpf: {{scope: {{cgroup: /host/sys/fs/cgroup/unified/kubepods}}}}}}\n\
             plugins:\n\
             \x20 - name: container\n\
             \x20   library_path: libcontainer.so\n\
             \x20   init_config: {{engines: {{cri: {{enabled: true, sockets: [{}]}}}}}}\n\
             \x20 - name: k8saudit\n\
             \x20   open_params: {AUDIT}\n\
             \x20 - name: json\n\
             kubernetes: {{enabled: {}, services: true}}\n",
            socket.display(),
            !self.without_api
        )
    }
}

/// The rules, with the fields of the API server or without.
fn rules(asks: bool) -> String {
    RULES.replace("API_FIELDS", if asks { API_FIELDS } else { "" })
}

const API_FIELDS: &str = "\
%k8smeta.pod.name %k8smeta.pod.uid %k8smeta.ns.name %k8smeta.ns.label[team] %k8smeta.rs.name
    %k8smeta.deployment.name %k8smeta.svc.name";

/// One rule each for every program, for an image, for a label, for the probes, for audit events.
const RULES: &str = "\
- macro: spawned
  condition: evt.type in (execve, execveat) and k8s.ns.name != peregrine
- rule: Marker
  desc: What each container of the pods runs
  condition: evt.type in (execve, execveat) and proc.args startswith '/marker/'
  output: >
    %proc.args %container.id %container.name %container.image.repository %container.image.tag
    %k8s.pod.name %k8s.ns.name %k8s.pod.uid %k8s.pod.label[pgtest] %container.start_ts
    %evt.rawtime API_FIELDS
  priority: NOTICE
- rule: Image
  desc: A program of an image
  condition: spawned and container.image.repository = localhost/busybox and proc.args startswith '/marker/'
  output: '%k8s.pod.name %container.name'
  priority: NOTICE
- rule: Label
  desc: A program in a pod with a label
  condition: spawned and k8s.pod.label[pgtest] = yes and proc.args startswith '/marker/'
  output: '%k8s.pod.name %container.name'
  priority: NOTICE
- rule: Probe
  desc: A probe of the kubelet
  condition: spawned and proc.args in (/etc/passwd, /etc/group)
  output: >
    %proc.args %k8s.pod.name %proc.vpid %proc.is_container_liveness_probe
    %proc.is_container_readiness_probe
  priority: NOTICE
- rule: Audit
  desc: A pod was created
  condition: >
    ka.verb = create and ka.target.resource = pods and ka.target.namespace = pgtest
    and ka.response.code = 201
  output: '%ka.resp.name %ka.user.name'
  priority: NOTICE
  source: k8s_audit
";
