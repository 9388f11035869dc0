//! Containers of real runtimes, monitored through the program: docker, podman with and without
//! root, containerd by CRI and by `ctr`, LXC.
//!
//! The runtimes run in namespaces and control groups of the test's own (`place`). Each container is
//! created by the test, which compares the alerts with its own record (`created`). A runtime that
//! is not installed is reported as skipped, or fails the test where `PEREGRINE_CI` is set to 1.
//!
//! `PEREGRINE_CONTAINERS` is the number of containers that each runtime starts in a row; few are
//! enough to see that it works, and 200 are for measurements.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on has failed")]

mod agent;
mod created;
mod cri;
mod life;
mod place;
mod runtimes;
#[path = "../wait/mod.rs"]
mod wait;

use std::sync::Mutex;
use std::thread;

use agent::{Agent, added_delay, delay, replay};
use created::{Created, Report};
use cri::Namespaces;
use place::{Place, succeed};
use runtimes::{ALL, Containerd, Ctr, Docker, InPod, LONG, Lxc, Podman, Pods, Runtime, make_root};

/// The exec probes of a pod, as `kubectl apply` leaves them in its annotations.
const PROBES: &str = r#"{"apiVersion":"v1","kind":"Pod","spec":{"containers":[{"name":"probed",
    "livenessProbe":{"exec":{"command":["sh","-c",":","mark-alive"]}},
    "readinessProbe":{"exec":{"command":["sh","-c",":","mark-ready"]}}}]}}"#;

#[test]
fn every_alert_tells_the_whole_container() {
    let Some(place) = Place::new("all", ALL) else { return };
    make_root(&place);
    let mut podman = Podman::new(&place, false);
    podman.up();
    podman.export();
    let containerd = Containerd::start(&place);
    containerd.import();
    let docker = Docker::start(&place, &[]);
    let mut rootless = Podman::new(&place, true);
    rootless.up();
    let ctr = Ctr(&containerd);
    let lxc = Lxc(&place);
    let pods = Pods::new(&place, &containerd);
    let (batch, _) = pods.run("batch", Namespaces::NodeNetwork, &[]);
    let in_pod = InPod { pods: &pods, pod: &batch };
    let runtimes: [(&str, &dyn Runtime); 6] = [
        ("docker", &docker),
        ("podman", &podman),
        ("own", &rootless),
        ("ctr", &ctr),
        ("lxc", &lxc),
        ("pod", &in_pod),
    ];
    // Older than the agent.
    let old: Vec<Created> =
        runtimes.iter().map(|(name, runtime)| runtime.run(&format!("{name}-old"), LONG)).collect();

    let Some(agent) = Agent::start(&place) else { return };
    let mut all = Vec::new();
    for ((name, runtime), old) in runtimes.iter().zip(&old) {
        all.push(runtime.exec(&format!("{name}-exec"), old));
    }
    // With networks, healthchecks and probes.
    let healthy = ["--health-cmd", ": mark-healthy", "--health-interval", "1s"];
    let bridged = docker.run_with("bridged", LONG, &healthy);
    let mut health = bridged.process("docker healthcheck", "mark-healthy");
    health = health.with("proc.is_container_healthcheck", true);
    all.extend([bridged, health, docker.run_special("special")]);
    all.push(podman.run_with("reached", LONG, &[]));
    let annotations = [("kubectl.kubernetes.io/last-applied-configuration", PROBES)];
    let (probed, pause) = pods.run("web", Namespaces::Usual, &annotations);
    let of_probed = InPod { pods: &pods, pod: &probed };
    let first = of_probed.run("probed", LONG);
    let second = of_probed.run("sidecar", LONG);
    let field = ["alive", "ready"].into_iter();
    let probes = [("proc.is_container_liveness_probe"), ("proc.is_container_readiness_probe")];
    for (name, field) in field.zip(probes) {
        all.push(of_probed.exec(name, &first).with(field, true));
    }
    all.extend([pause, first, second]);
    let (shared, pause) = pods.run("shared", Namespaces::SharedPids, &[]);
    all.extend([pause, InPod { pods: &pods, pod: &shared }.run("sharing", LONG)]);
    all.extend(in_a_row(&runtimes));
    // Processes of the machine, in a group of their own.
    let group = place.containers().join("nested").join("service");
    std::fs::create_dir_all(&group).unwrap();
    succeed(place.command_in(&group, "sh").args(["-c", ":", "mark-host"]));
    all.push(Created::of_host("mark-host"));

    finish(&place, agent, all);
}

#[test]
fn runtimes_that_start_later_or_again_are_asked() {
    let Some(place) = Place::new("late", ALL) else { return };
    make_root(&place);
    let mut podman = Podman::new(&place, false);
    podman.export();
    let Some(agent) = Agent::start(&place) else { return };
    let mut containerd = Containerd::start(&place);
    containerd.import();
    let mut docker = Docker::start(&place, &["--userns-remap", "dockremap"]);
    podman.up();
    let pods = Pods::new(&place, &containerd);
    let mut all = Vec::new();
    let mut old = Vec::new();
    for round in ["first", "second"] {
        let (pod, pause) = pods.run(round, Namespaces::NodeNetwork, &[]);
        let in_pod = InPod { pods: &pods, pod: &pod };
        let runtimes: [(&str, &dyn Runtime); 4] = [
            ("docker", &docker),
            ("podman", &podman),
            ("ctr", &Ctr(&containerd)),
            ("pod", &in_pod),
        ];
        // What started before the runtime ended for a while is known still.
        for ((name, runtime), old) in runtimes.iter().zip(&old) {
            all.push(runtime.exec(&format!("{name}-{round}-exec"), old));
        }
        old = Vec::new();
        for (name, runtime) in runtimes {
            old.push(runtime.run(&format!("{name}-{round}"), LONG));
        }
        all.push(pause);
        all.extend(old.iter().cloned());
        docker.down();
        podman.down();
        containerd.down();
        containerd.up();
        docker.up();
        podman.up();
    }
    for one in all.iter_mut().filter(|one| one.kind.starts_with("docker")) {
        // Root of the container is another user of the machine.
        *one = one.clone().with("user.uid", 300_000);
    }
    finish(&place, agent, all);
}

/// The number of containers in a row, if that is to be measured.
fn measured() -> Option<usize> {
    std::env::var("PEREGRINE_CONTAINERS").ok()?.parse().ok()
}

/// Ends the agent, and fails unless the alerts of all are complete, and those of a replay too.
#[track_caller]
fn finish(place: &Place, agent: Agent<'_>, mut all: Vec<Created>) {
    // Its account files are read once its runtime knows it, which a busy machine may do too late.
    for one in all.iter_mut().filter(|one| one.kind == "podman rootless") {
        one.expected.retain(|(field, _)| *field != "user.name");
    }
    let report = agent.report(&all);
    let alerts = agent.alerts();
    eprintln!("{report}from event to alert (50 %, 99 %): {:?}", delay(&alerts));
    eprintln!("of that for metadata: {:?}", added_delay(&alerts));
    eprintln!("memory: {} KiB; {:#?}", agent.memory(), agent.metrics("container"));
    assert!(agent.end(), "it ends well");
    assert!(report.is_complete());
    // A replay asks no runtime and does not wait: it knows what was known at the event.
    all.retain(|one| one.kind.ends_with(" exec"));
    let probe = |(field, _): &(&str, _)| field.starts_with("proc.is_container");
    all.iter_mut().for_each(|one| one.expected.retain(|expected| !probe(expected)));
    let replayed = Report::new(&all, &replay(place));
    assert!(replayed.is_complete(), "replayed: {replayed}");
}

/// Containers of each runtime, one after the other, that live 50 ms and 1 s; two runtimes at a
/// time.
fn in_a_row(runtimes: &[(&str, &dyn Runtime)]) -> Vec<Created> {
    let number = measured().unwrap_or(5);
    let (all, next) = (Mutex::new(Vec::new()), Mutex::new(runtimes.iter()));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((name, runtime)) = { next.lock().unwrap().next() } {
                    for index in 0..number {
                        for (life, seconds) in [("s", "0.05"), ("l", "1")] {
                            let created = runtime.run(&format!("{name}-{life}{index}"), seconds);
                            runtime.remove(&created);
                            all.lock().unwrap().push(created);
                        }
                    }
                }
            });
        }
    });
    all.into_inner().unwrap()
}
