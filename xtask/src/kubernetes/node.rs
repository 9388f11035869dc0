//! A node of Kubernetes that a script starts, and the program as a DaemonSet on it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

/// The image of the program.
const IMAGE: &str = "localhost/peregrine:local";
/// Where the program takes audit events.
pub(super) const AUDIT: &str = "http://127.0.0.1:9765/k8s-audit";
/// The files that the project ships.
const PACKAGING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/kubernetes");

/// A node that runs until it is dropped.
pub(super) struct Node {
    script: PathBuf,
    dir: PathBuf,
}

impl Node {
    /// Starts it: `SCRIPT up DIR`. Its API server sends audit events to [`AUDIT`].
    pub(super) fn up(script: &Path, dir: &Path) -> Result<Self> {
        let node = Self { script: script.to_owned(), dir: dir.to_owned() };
        let webhook = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "x",
            "clusters": [{ "name": "c", "cluster": { "server": AUDIT } }],
            "contexts": [{ "name": "x", "context": { "cluster": "c" } }],
        });
        fs::write(node.webhook(), webhook.to_string())?;
        node.script(&["up"], &[])?;
        Ok(node)
    }

    fn webhook(&self) -> PathBuf {
        self.dir.join("audit-webhook.json")
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Makes an image of the program with the libraries that it is linked with.
    pub(super) fn import(&self, program: &Path) -> Result<()> {
        let root = self.dir.join("program");
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(&root)?;
        fs::copy(program, root.join("peregrine")).context("cannot copy the program")?;
        let linked = Command::new("ldd").arg(program).output()?;
        // A static program has none.
        for word in String::from_utf8_lossy(&linked.stdout).split_whitespace() {
            if word.starts_with('/') {
                let to = root.join(word.trim_start_matches('/'));
                fs::create_dir_all(to.parent().context("no folder")?)?;
                fs::copy(word, to)?;
            }
        }
        for folder in ["host", "etc", "proc", "sys", "dev", "tmp", "alerts"] {
            fs::create_dir_all(root.join(folder))?;
        }
        let root = root.to_string_lossy().into_owned();
        self.script(&["image"], &[&root, IMAGE])
    }

    /// Starts the DaemonSet as it is shipped, but with the folders and addresses of this node, and
    /// waits until it monitors.
    pub(super) fn deploy(&self, config: &str, rules: &str) -> Result<()> {
        let packaged = |name| format!("{PACKAGING}/{name}.yaml");
        self.kubectl(&["apply", "-f", &packaged("rbac")])?;
        let config = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": "peregrine", "namespace": "peregrine" },
            "data": { "falco.yaml": config, "rules.yaml": rules },
        });
        self.apply(&config)?;
        let alerts = self.alerts();
        let _ = fs::remove_file(&alerts);
        let patch = self.patch().to_string();
        let daemonset = packaged("daemonset");
        let patched =
            self.kubectl(&["patch", "--local", "-f", &daemonset, "-p", &patch, "-o", "json"])?;
        self.apply(&serde_json::from_str(&patched)?)?;
        self.until("the DaemonSet to monitor", || {
            let log = self.log();
            Ok(log.contains("Watching control group"))
        })
        .with_context(|| format!("the log of the program:\n{}", self.log()))
    }

    /// What differs here from a usual node: the address of the API server, as there is no proxy of
    /// services; the folder of the socket; a file for alerts.
    fn patch(&self) -> Value {
        let (dir, port) = (self.dir.to_string_lossy(), self.port());
        let env = [("KUBERNETES_SERVICE_HOST", "127.0.0.1"), ("KUBERNETES_SERVICE_PORT", &*port)];
        let env = env.map(|(name, value)| json!({ "name": name, "value": value }));
        let container = json!({
            "name": "peregrine", "image": IMAGE, "imagePullPolicy": "Never",
            "command": ["/peregrine"], "env": env,
            "volumeMounts": [
                { "name": "node", "mountPath": format!("/host{dir}") },
                { "name": "alerts", "mountPath": "/alerts" },
            ],
        });
        let host = |name: &str, path: String| json!({ "name": name, "hostPath": { "path": path } });
        let volumes = [host("node", dir.to_string()), host("alerts", format!("{dir}/alerts"))];
        let pod = json!({ "hostNetwork": true, "containers": [container], "volumes": volumes });
        json!({ "spec": { "template": { "spec": pod } } })
    }

    fn port(&self) -> String {
        let config = fs::read_to_string(self.dir.join("kubeconfig")).unwrap_or_default();
        let digits = |rest: &str| rest.chars().take_while(char::is_ascii_digit).collect();
        config.split("127.0.0.1:").nth(1).map_or_else(|| "6443".to_owned(), digits)
    }

    /// What the program has logged.
    pub(super) fn log(&self) -> String {
        let selected = ["-l", "app.kubernetes.io/name=peregrine", "--tail=-1"];
        let log = self.kubectl(&[&["-n", "peregrine", "logs"], &selected[..]].concat());
        log.unwrap_or_else(|error| format!("{error:#}"))
    }

    /// The file with the alerts of the program.
    pub(super) fn alerts(&self) -> PathBuf {
        let folder = self.dir.join("alerts");
        let _ = fs::create_dir_all(&folder);
        folder.join("alerts.json")
    }

    /// Creates or changes an object.
    pub(super) fn apply(&self, object: &Value) -> Result<()> {
        let mut kubectl = self.command();
        kubectl.args(["apply", "-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = kubectl.spawn().context("kubectl")?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(object.to_string().as_bytes())?;
        }
        ensure!(child.wait()?.success(), "kubectl apply of {object}");
        Ok(())
    }

    /// The answer of kubectl.
    pub(super) fn kubectl(&self, words: &[&str]) -> Result<String> {
        let output = self.command().args(words).output().context("kubectl")?;
        if !output.status.success() {
            bail!("kubectl {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Whether the service account of the program may do something.
    pub(super) fn may(&self, verb: &str, what: &str) -> Result<bool> {
        let account = "--as=system:serviceaccount:peregrine:peregrine";
        let words = ["auth", "can-i", verb, what, account, "--all-namespaces"];
        let output = self.command().args(words).output()?;
        Ok(String::from_utf8_lossy(&output.stdout).trim() == "yes")
    }

    /// Waits until something is so.
    pub(super) fn until(&self, what: &str, so: impl Fn() -> Result<bool>) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(300);
        while !so()? {
            ensure!(Instant::now() < deadline, "waited too long for {what}");
            std::thread::sleep(Duration::from_millis(500));
        }
        Ok(())
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.dir.join("bin/kubectl"));
        command.env("KUBECONFIG", self.dir.join("kubeconfig"));
        command
    }

    fn script(&self, verb: &[&str], rest: &[&str]) -> Result<()> {
        let mut command = Command::new(&self.script);
        command.args(verb).arg(&self.dir).args(rest).stdin(Stdio::null());
        command.env("AUDIT_WEBHOOK", self.webhook());
        let status = command.status().with_context(|| self.script.display().to_string())?;
        ensure!(status.success(), "{} {verb:?} failed: {status}", self.script.display());
        Ok(())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // The kubelet takes back the network and the control groups of pods that are deleted.
        let namespaces = ["delete", "namespace", "pgtest", "peregrine", "--ignore-not-found"];
        if let Err(error) = self.kubectl(&[&namespaces[..], &["--timeout=120s"]].concat()) {
            println!("pods are left: {error:#}");
        }
        if let Err(error) = self.script(&["down"], &[]) {
            println!("the node is not down: {error:#}");
        }
    }
}
