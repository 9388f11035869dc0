//! Reload through the program: rules change between two events of a run that goes on.
//!
//! The events come through a FIFO, as from a source that never ends, one at a time where a test
//! needs that.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on has failed")]

mod leaks;
mod load;
#[path = "../ports/mod.rs"]
mod ports;
mod run;
mod settings;

use std::fs;
use std::os::unix::fs::symlink;
use std::thread;
use std::time::Duration;

use run::{CONFIG, Run, rule};

#[test]
fn after_a_hangup_signal_the_new_rules_alert() {
    let mut run = Run::start("watch_config_files: false\n", &rule("old"));
    run.wait_for_word("old");
    run.write("rules.yaml", &rule("new"));
    run.hang_up();
    run.wait_for_word("new");
    run.wait_for_log("SIGHUP received, restarting...", 1);
    run.wait_for_log("Rules changed (1): Closed", 1);
    run.wait_for_log("Reloaded: generation 2", 1);
    // The old rules reported every event up to the reload, the new ones every event after it.
    assert_eq!(run.finish(), ["old", "new"]);
}

#[test]
fn changed_files_are_noticed_however_they_are_changed() {
    let mut run = Run::start("", &rule("one"));
    run.wait_for_word("one");
    run.write("rules.yaml", &rule("two"));
    run.wait_for_word("two");
    run.replace("rules.yaml", &rule("three"));
    run.wait_for_word("three");
    // Some editors move the old file away before they write the new one.
    fs::rename(run.path("rules.yaml"), run.path("rules.yaml~")).unwrap();
    thread::sleep(Duration::from_millis(700));
    run.event();
    run.write("rules.yaml", &rule("four"));
    run.wait_for_word("four");
    run.write("falco.yaml", &format!("{CONFIG}rules_files: [rules.d]\n"));
    fs::create_dir(run.path("rules.d")).unwrap();
    run.write("rules.d/a.yaml", &rule("five"));
    run.wait_for_word("five");
    run.write("rules.d/b.yaml", &rule("six"));
    run.wait_for_word("six");
    fs::remove_file(run.path("rules.d/b.yaml")).unwrap();
    run.wait_for_word("five");
    assert!(!run.log().contains("Reload failed"), "{}", run.log());
    assert_eq!(run.finish(), ["one", "two", "three", "four", "five", "six", "five"]);
}

#[test]
fn a_config_map_may_be_swapped() {
    let config = format!("{CONFIG}rules_files: [mounted]\n");
    let mut run = Run::new(&[("falco.yaml", &config), ("mounted/", "")]);
    let swap = |run: &Run, version: &str| {
        fs::create_dir(run.path(&format!("mounted/..{version}"))).unwrap();
        run.write(&format!("mounted/..{version}/rules.yaml"), &rule(version));
        symlink(format!("..{version}"), run.path("mounted/..tmp")).unwrap();
        fs::rename(run.path("mounted/..tmp"), run.path("mounted/..data")).unwrap();
    };
    swap(&run, "one");
    symlink("..data/rules.yaml", run.path("mounted/rules.yaml")).unwrap();
    run.spawn();
    run.wait_for_word("one");
    for (old, version) in [("one", "two"), ("two", "three")] {
        swap(&run, version);
        // The kubelet removes the old version at once.
        fs::remove_dir_all(run.path(&format!("mounted/..{old}"))).unwrap();
        run.wait_for_word(version);
    }
    assert_eq!(run.finish(), ["one", "two", "three"]);
}

#[test]
fn a_broken_file_leaves_the_rules_and_is_reported() {
    let mut run = Run::start("", &rule("old"));
    run.wait_for_word("old");
    run.write(
        "rules.yaml",
        "- {rule: Closed, desc: d, condition: evt.typo = close, output: o, priority: INFO}\n",
    );
    run.wait_for_log("Reload failed, and the rules stay: ", 1);
    let alerts = |run: &Run| fs::read_to_string(run.path("alerts")).unwrap();
    run.wait_until("the alert", |run| {
        alerts(run).contains("Critical Falco internal: hot restart failure: ")
    });
    assert!(alerts(&run).contains("evt.typo"), "{}", alerts(&run));
    // A signal doesn't change that.
    run.hang_up();
    run.wait_for_log("Reload failed", 2);
    // Neither does a broken configuration, and the rules that it names are not read.
    run.write("falco.yaml", "rules_files: [rules.yaml\n");
    run.wait_for_log("Reload failed", 3);
    assert!(!run.log().contains("SIGHUP received"), "{}", run.log());
    run.write("rules.yaml", &rule("new"));
    run.write("falco.yaml", &format!("{CONFIG}rules_files: [rules.yaml]\n"));
    run.wait_for_word("new");
    assert_eq!(run.finish(), ["old", "new"]);
}

#[test]
fn changes_are_named_and_keys_that_need_a_restart_stay() {
    let more = "- {rule: Gone, desc: d, condition: evt.type = open, output: o, priority: INFO}\n";
    let mut run = Run::start(
        "falco_libs: {snaplen: 96}\nstatic_fields: {api_token: first, site: attic}\n",
        &(rule("old") + more),
    );
    run.wait_for_word("old");
    run.replace("rules.yaml", &rule("new-%static.site"));
    run.replace(
        "falco.yaml",
        &format!(
            "{CONFIG}rules_files: [rules.yaml]\nfalco_libs: {{snaplen: 128}}\n\
             static_fields: {{api_token: second, site: cellar}}\n"
        ),
    );
    run.wait_for_word("new-cellar");
    run.wait_for_log("Reloaded: generation 2", 1);
    let log = run.log();
    for line in [
        "Rules removed (1): Gone\n",
        "Rules changed (1): Closed\n",
        "Keys changed (2): static_fields.api_token, static_fields.site (was \"attic\", is \"cellar\")\n",
        "Needs a restart to take effect: falco_libs.snaplen (was \"96\", is \"128\")\n",
    ] {
        assert!(log.contains(line), "{line} is not in:\n{log}");
    }
    assert!(!log.contains("second"), "{log}");
    assert_eq!(run.finish(), ["old", "new-cellar"]);
}

#[test]
fn the_same_content_is_not_loaded_again() {
    let mut run = Run::start("", &rule("old"));
    // What is watched since a moment ago is read once more.
    run.wait_for_log("Configuration and rules are the same as before", 1);
    run.replace("rules.yaml", &rule("old"));
    run.wait_for_log("Configuration and rules are the same as before", 2);
    assert!(!run.log().contains("SIGHUP"), "{}", run.log());
    run.hang_up();
    run.wait_for_log("SIGHUP received, restarting...", 1);
    assert_eq!(run.log().matches("Loading rules from").count(), 1);
    assert_eq!(run.finish(), ["old"]);
}
