//! Containers that a runtime does not answer about when they begin.

use peregrine_containers::EngineKind;
use peregrine_event::source::ContainerEngine;
use peregrine_state::{Container, Lacks};
use serde_json::json;

use crate::fake::Fake;
use crate::{DAY, LONG, Run, Said, id, shown};

/// The container of an event, and whether rules see it.
fn container(run: &mut Run) -> (Box<Container>, bool) {
    match run.next() {
        Said::Event(_, container, shown) => (container, shown),
        said => panic!("{said:?}"),
    }
}

fn attributes(name: &str) -> serde_json::Value {
    json!({"image": "localhost/bb:1.0", "name": name, "tier": "x", "podId": ""})
}

#[test]
fn an_event_describes_a_container_that_is_being_started() {
    for engine in [EngineKind::Docker, EngineKind::Podman] {
        let mut fake = None;
        let start = |path: &std::path::Path| {
            fake = Some(match engine {
                EngineKind::Podman => Fake::podman(path),
                _ => Fake::start(path),
            });
        };
        let mut run = Run::of(engine, start, |settings| settings.timing.lookup = LONG);
        let fake = fake.unwrap();
        run.initial(LONG);
        fake.lock(&id(1));
        fake.tell_with("create", &id(1), &attributes("web"));
        let (said, is_shown) = container(&mut run);
        assert!(!is_shown && said.starting);
        assert_eq!((said.full_id.as_str(), said.name.as_str()), (id(1).as_str(), "web"));
        assert_eq!((said.kind.name(), said.created), (engine.name(), 7));
        assert_eq!((said.image_repo.as_str(), said.image_tag.as_str()), ("localhost/bb", "1.0"));
        assert_eq!((said.image_id.as_str(), said.image_digest.as_str()), ("1234", "sha256:77"));
        assert_eq!(said.labels.into_iter().collect::<Vec<_>>(), [("tier".into(), "x".into())]);
        // Its first process is there.
        let group = if engine == EngineKind::Podman {
            ContainerEngine::Podman
        } else {
            ContainerEngine::Docker
        };
        run.ask(group, &id(1), true);
        fake.tell_with("start", &id(1), &attributes("web"));
        fake.wait_for_inspected(2);
        fake.add(&id(1), "web", "10.0.0.2", DAY);
        fake.unlock(&id(1));
        assert_eq!(run.event(), shown("container", "web", "10.0.0.2"));
        assert_eq!(run.counters.stats().failed, 0);
    }
}

#[test]
fn an_event_describes_a_container_that_is_gone() {
    let mut fake = None;
    let mut run = Run::of(EngineKind::Podman, |path| fake = Some(Fake::podman(path)), |_| ());
    let fake = fake.unwrap();
    run.initial(LONG);
    fake.tell_with("create", &id(1), &attributes("short"));
    // If the answer takes long, that it starts is told before.
    let said = loop {
        match container(&mut run) {
            (said, true) => break said,
            (said, false) => assert!(said.starting),
        }
    };
    assert_eq!((said.name.as_str(), said.starting), ("short", false));
    // It is not asked about again.
    run.ask(ContainerEngine::Podman, &id(1), true);
    let (again, is_shown) = container(&mut run);
    assert_eq!((again.name.as_str(), again.starting, is_shown), ("short", false, false));
    assert_eq!((fake.inspected(), run.counters.stats().lookups), (1, 0));
    fake.tell_with("remove", &id(1), &attributes("short"));
    assert_eq!(run.event(), shown("container_removed", "short", ""));
}

#[test]
fn what_podman_has_recorded_describes_a_container_that_it_has_locked() {
    let mut fake = None;
    let mut run = Run::of(EngineKind::Podman, |path| fake = Some(Fake::podman(path)), |_| ());
    let fake = fake.unwrap();
    run.initial(LONG);
    fake.lock(&id(1));
    fake.record("create", &id(1), &attributes("short"));
    run.ask(ContainerEngine::Podman, &id(1), true);
    let (said, is_shown) = container(&mut run);
    assert_eq!((said.name.as_str(), said.image_repo.as_str()), ("short", "localhost/bb"));
    assert!(said.starting && said.lacks == Lacks::Configuration && !is_shown);
    // It is gone when podman answers.
    fake.unlock(&id(1));
    let (said, is_shown) = container(&mut run);
    assert!(!said.starting && said.lacks == Lacks::Configuration && is_shown);
    assert_eq!(run.event(), shown("container_removed", "short", ""));
    assert_eq!(run.counters.stats().failed, 0);
    // What was never made is not described by others.
    run.ask(ContainerEngine::Podman, &id(2), false);
    assert!(matches!(run.next(), Said::Unavailable(_)));
}

#[test]
fn containers_of_events_are_asked_about_before_those_of_the_list() {
    const MANY: usize = 100;
    let mut fake = None;
    let mut run = Run::start(
        |path| {
            let it = fake.insert(Fake::start(path));
            (0..MANY).for_each(|number| it.add(&id(number), "listed", "", DAY));
            (0..MANY).for_each(|number| it.lock(&id(number)));
        },
        |_| (),
    );
    let fake = fake.unwrap();
    let listed = fake.wait_for_inspected(16).len();
    let last = id(MANY - 1);
    run.ask(ContainerEngine::Docker, &last, true);
    let asked = fake.wait_for_inspected(listed + 1);
    assert_eq!((listed, asked.last()), (16, Some(&last)));
    fake.unlock(&last);
    assert_eq!(container(&mut run).0.full_id, last);
    (0..MANY).for_each(|number| fake.unlock(&id(number)));
    assert_eq!(run.initial(LONG).len(), MANY - 1);
    // It was not asked about again.
    assert_eq!(fake.inspected(), MANY);
}
