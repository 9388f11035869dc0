//! Containers that end, runtimes that are asked later, and commands that look at events.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;

use crate::agent::{Agent, all_rules, bare_rule};
use crate::created::{Created, Report};
use crate::place::{Daemon, Place, wait_until};
use crate::runtimes::{Containerd, Ctr, Docker, LONG, Podman, Runtime, make_root};
use crate::{in_a_row, measured};

/// What all tests here need.
const PROGRAMS: &[&str] = &["podman", "conmon"];

#[test]
fn what_ends_is_told_and_forgotten() {
    let Some(place) = Place::new("ends", crate::runtimes::ALL) else { return };
    make_root(&place);
    let mut podman = Podman::new(&place, false);
    podman.up();
    podman.export();
    let containerd = Containerd::start(&place);
    containerd.import();
    let docker = Docker::start(&place, &[]);
    let Some(agent) = Agent::start(&place) else { return };
    let ctr = Ctr(&containerd);
    let runtimes: [(&str, &dyn Runtime); 3] =
        [("docker", &docker), ("podman", &podman), ("ctr", &ctr)];
    let known = || agent.metrics("n_containers").values().next().and_then(Value::as_u64);
    let kept: Vec<_> =
        runtimes.iter().map(|(name, it)| it.run(&format!("{name}-kept"), LONG)).collect();
    wait_until("those that stay are known", || known() == Some(kept.len() as u64));
    eprintln!("memory with {} containers: {} KiB", kept.len(), agent.memory());
    let ended = in_a_row(&runtimes);
    let ids = |rule: &str| -> BTreeSet<String> {
        let alerts = agent.alerts();
        let of_rule = alerts.iter().filter(|alert| alert.rule == rule);
        of_rule.map(|alert| alert.fields["container.id"].as_str().unwrap().to_owned()).collect()
    };
    let short = |one: &Created| one.id.chars().take(12).collect::<String>();
    let expected: BTreeSet<_> = ended.iter().map(short).collect();
    wait_until("the ends are told", || ids("container_removed").is_superset(&expected));
    assert_eq!(ids("container_removed"), expected, "those that stay are not told to be gone");
    assert!(ids("container").is_superset(&expected));
    let told = agent.alerts();
    let gone = told.iter().filter(|alert| alert.rule == "container_removed");
    assert!(gone.clone().count() == expected.len(), "each is told once");
    for alert in gone {
        let fields = &alert.fields;
        let name = fields["container.name"].as_str().unwrap_or_default();
        assert!(name.contains("-s") || name.contains("-l"), "{fields}");
        assert_ne!(fields["container.image.repository"], Value::Null, "{fields}");
    }
    wait_until("they are forgotten", || known() == Some(kept.len() as u64));
    let (count, memory) = (ended.len(), agent.memory());
    eprintln!("after {count} more: {memory} KiB; {:#?}", agent.metrics("containers"));
    assert!(agent.end(), "it ends well");
}

#[test]
fn a_reload_begins_to_ask_runtimes() {
    let Some(place) = Place::new("reload", PROGRAMS) else { return };
    make_root(&place);
    let mut podman = Podman::new(&place, false);
    podman.up();
    let Some(agent) = Agent::start_with(&place, &bare_rule()) else { return };
    let old = podman.run("old", LONG);
    assert!(!agent.log().contains("Containers:"), "no rule needs them: {}", agent.log());
    place.write("rules.yaml", &all_rules());
    wait_until("podman is asked", || agent.log().contains("Containers: podman: connected"));
    let all = [podman.exec("old-exec", &old), podman.run("new", "1"), podman.run("short", "0.05")];
    let report = agent.report(&all);
    assert!(report.is_complete(), "{report}");
    assert!(!agent.metrics("containers.podman").is_empty(), "metrics have them");
    // Another reload does not begin again, and one with other settings connects again.
    place.write("rules.yaml", &format!("{}# \n", all_rules()));
    wait_until("it is loaded again", || agent.log().matches("Reloaded").count() >= 2);
    let connected = || agent.log().matches("Containers: podman: connected").count();
    assert_eq!(connected(), 1, "{}", agent.log());
    let plugin =
        "plugins: [{name: container, library_path: x.so, init_config: {label_max_len: 7}}]";
    place.write("falco.yaml", &format!("{}{plugin}\n", place.read("falco.yaml")));
    wait_until("its settings are taken", || connected() == 2);
    assert!(!agent.log().contains("eeds a restart"), "{}", agent.log());
    assert!(agent.end(), "it ends well");
    // The recording began without containers, and has them from the reload on.
    let replayed = Report::new(&all[..1], &crate::agent::replay(&place));
    assert!(replayed.is_complete(), "replayed: {replayed}");
}

#[test]
fn commands_that_look_at_events_ask_runtimes() {
    let Some(place) = Place::new("query", PROGRAMS) else { return };
    make_root(&place);
    let mut podman = Podman::new(&place, false);
    podman.up();
    let number = measured().unwrap_or(3);
    let events = "evt.type in (execve, execveat) and evt.rawres=0 and proc.cmdline contains mark-";
    let print = "%proc.cmdline|%container.name|%container.image.repository|%container.label[mark]";
    let mut command = place.command(env!("CARGO_BIN_EXE_peregrine"));
    command.arg("query").arg("--live").arg("--cgroup").arg(place.containers());
    command.args(["-n", &number.to_string(), "-p", print, "--seconds", "100", events]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (sender, received) = std::sync::mpsc::channel();
    std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|it| sender.send(it)));
    let mut query = Daemon(child);
    let mut shown = Vec::new();
    for round in 0.. {
        podman.run(&format!("asked{round}"), "0.3");
        shown.extend(received.try_iter());
        if query.has_ended() || round > 500 {
            break;
        }
    }
    shown.extend(received.iter());
    if shown.is_empty() {
        let mut errors = String::new();
        std::io::Read::read_to_string(&mut query.0.stderr.take().unwrap(), &mut errors).unwrap();
        assert!(errors.contains("cannot watch this kernel"), "{errors}");
        return crate::place::skip::<()>(&errors).unwrap_or_default();
    }
    assert_eq!(shown.len(), number);
    for line in &shown {
        let name = line.split('|').nth(1).unwrap();
        assert!(name.starts_with("asked"), "{line}");
        assert!(line.ends_with(&format!("mark-{name}|{name}|localhost/bb|{name}")), "{line}");
    }
}
