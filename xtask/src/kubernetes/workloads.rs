//! Pods of many kinds. Each container runs `cat /marker/<container>` at least once, so that alerts
//! can be counted against what was created.

use serde_json::{Value, json};

/// The label that all pods here have, and its value.
pub(super) const LABEL: (&str, &str) = ("pgtest", "yes");
/// The namespace of all pods here.
pub(super) const NAMESPACE: &str = "pgtest";
/// A label of the namespace.
pub(super) const TEAM: (&str, &str) = ("team", "birds");
/// The repository of their image.
pub(super) const REPOSITORY: &str = "localhost/busybox";
const IMAGE: &str = "localhost/busybox:local";

/// The namespace.
pub(super) fn namespace() -> Value {
    let labels = json!({ TEAM.0: TEAM.1 });
    json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": { "name": NAMESPACE, "labels": labels },
    })
}

/// Pods that run when the program starts, and go on.
pub(super) fn before(count: usize) -> Vec<Value> {
    let script = "while true; do cat /marker/main; sleep 2; done";
    (0..count).map(|n| pod(&format!("before-{n}"), vec![container("main", script)], true)).collect()
}

/// All that is created while the program runs, with the number of objects of each kind.
pub(super) fn during(count: usize) -> Vec<(&'static str, Vec<Value>)> {
    let numbered = |name: &'static str, make: &dyn Fn(&str) -> Value, count: usize| {
        (0..count.max(1)).map(|n| make(&format!("{name}-{n}"))).collect::<Vec<_>>()
    };
    let short =
        |name: &str| pod(name, vec![container("main", "cat /marker/main; sleep 0.3")], false);
    let two = |name: &str| {
        let script = |name| format!("cat /marker/{name}; sleep 1");
        let containers = ["left", "right"].map(|name| container(name, &script(name)));
        pod(name, containers.into(), false)
    };
    let probed = |name: &str| {
        let mut container = container("main", "cat /marker/main; sleep 1000");
        let probe =
            |word: &str| json!({ "exec": { "command": ["cat", word] }, "periodSeconds": 1 });
        container["livenessProbe"] = probe("/etc/passwd");
        container["readinessProbe"] = probe("/etc/group");
        pod(name, vec![container], true)
    };
    let restarted =
        |name: &str| pod(name, vec![container("main", "cat /marker/main; sleep 1")], true);
    let job = |name: &str| {
        let template = pod("", vec![container("main", "cat /marker/main; true")], false);
        let spec =
            json!({ "completions": 2, "parallelism": 2, "template": template_of(&template) });
        object("batch/v1", "Job", name, spec)
    };
    let deployment = |name: &str| {
        let script = "while true; do cat /marker/main; sleep 1; done";
        let mut template = template_of(&pod("", vec![container("main", script)], true));
        template["metadata"]["labels"]["app"] = name.into();
        let selector = json!({ "matchLabels": { "app": name } });
        let spec = json!({ "replicas": 2, "selector": selector, "template": template });
        object("apps/v1", "Deployment", name, spec)
    };
    let service = |name: &str| {
        let app = name.replace("service", "deployment");
        let ports = json!([{ "port": 80 }]);
        object("v1", "Service", name, json!({ "selector": { "app": app }, "ports": ports }))
    };
    vec![
        ("services", numbered("service", &service, count / 10)),
        ("pods of 300 ms", numbered("short", &short, count)),
        ("pods of two containers", numbered("two", &two, count / 2)),
        ("pods with exec probes", numbered("probed", &probed, count / 5)),
        ("pods that restart", numbered("restarted", &restarted, count / 5)),
        ("jobs of two pods", numbered("job", &job, count / 4)),
        ("deployments of two pods", numbered("deployment", &deployment, count / 10)),
    ]
}

fn object(version: &str, kind: &str, name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": version, "kind": kind, "spec": spec,
        "metadata": { "name": name, "namespace": NAMESPACE, "labels": { "of": name } },
    })
}

fn pod(name: &str, containers: Vec<Value>, restarts: bool) -> Value {
    let policy = if restarts { "Always" } else { "Never" };
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": name, "namespace": NAMESPACE, "labels": { LABEL.0: LABEL.1 } },
        "spec": {
            "restartPolicy": policy, "containers": containers,
            "terminationGracePeriodSeconds": 0, "automountServiceAccountToken": false,
        },
    })
}

fn container(name: &str, script: &str) -> Value {
    json!({
        "name": name, "image": IMAGE, "imagePullPolicy": "Never", "command": ["sh", "-c", script],
    })
}

/// A pod as the template of an owner.
fn template_of(pod: &Value) -> Value {
    json!({ "metadata": { "labels": pod["metadata"]["labels"] }, "spec": pod["spec"] })
}
