//! What is said about tests that are wrong or fail.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use peregrine_fields::Fields;
use peregrine_rules::{EventSource, Loader};
use peregrine_scenario::report::{Format, Report, Style};
use peregrine_scenario::{Demand, Outcome, RunSettings, Suite, SuiteSettings, TestFile, run};

const RULES: &str = "\
- list: shells
  items: [sh, bash]
- macro: started
  condition: evt.type in (execve, execveat) and evt.failed=false
- rule: Shell of a server
  desc: A server starts a shell.
  condition: started and proc.name in (shells) and proc.pname in (nginx, httpd) and not user.name = root
  output: Shell of a server | command=%proc.cmdline parent=%proc.pname image=%container.image.repository
  priority: WARNING
- rule: Written file
  desc: A file is opened for writing.
  condition: evt.type in (open, openat) and evt.is_open_write=true
  output: Written | file=%fd.name
  priority: NOTICE
";

fn report(tests: &str) -> Report {
    let fields = Fields::syscall().with_containers(true);
    let mut loader = Loader::new(vec![EventSource::syscall(fields.clone())], Vec::new());
    assert!(loader.load("rules.yaml", RULES.as_bytes()).successful());
    let file = TestFile::read("rules.test.yaml", tests.as_bytes()).unwrap();
    let cases: Vec<_> = file.tests.iter().collect();
    let settings = SuiteSettings { containers: true, ..SuiteSettings::default() };
    let suite = Suite::new(loader, &fields, settings, &Demand::of(&cases), |set| set);
    let results = run(&suite, &cases, &RunSettings::default());
    let covered: Vec<_> = suite.rules().map(str::to_owned).collect();
    let mut report = Report::default();
    report.add(&suite, results, &covered);
    report
}

fn text(report: &Report) -> String {
    report.print(Format::Text, Style::default())
}

/// Codes of the problems of a test, and the parts of the text that they are about.
fn problems(tests: &str) -> Vec<(&'static str, String)> {
    let report = report(tests);
    let Outcome::Invalid(problems) = &report.results[0].outcome else { return Vec::new() };
    let part = |problem: &peregrine_diagnostics::Problem| {
        let label = &problem.labels[0];
        let span = label.span.start.offset..label.span.end.offset;
        assert!(problem.help.is_some(), "{problem}");
        (problem.code, label.source.text[span].to_owned())
    };
    problems.iter().map(part).collect()
}

fn given(given: &str) -> Vec<(&'static str, String)> {
    problems(&format!("- test: t\n  rules: Written file\n  given: {given}\n  match: true\n"))
}

fn one(code: &'static str, part: &str) -> Vec<(&'static str, String)> {
    vec![(code, part.to_owned())]
}

#[test]
fn wrong_keys_are_told_with_their_places() {
    assert_eq!(problems("- test: t\n  rules: Written file\n  match: true\n"), one("T0102", "test"));
    let event = "given: {evt.type: open}";
    let text = format!("- test: t\n  rule: Written file\n  {event}\n  match: true\n");
    assert_eq!(problems(&text), one("T0103", "rule"));
    let text = format!("- test: t\n  rules: Written file\n  {event}\n  mach: true\n");
    assert_eq!(problems(&text), [("T0101", "mach".to_owned()), ("T0102", "test".to_owned())]);
    let all = "- test: t\n  rules: Writen file\n  given: {evt.type: open, proc.nmae: x}\n  match: maybe\n";
    let wrong = problems(all).into_iter().map(|(code, _)| code);
    assert_eq!(wrong.collect::<Vec<_>>(), ["T0002", "T0501", "T0201"]);
    let text = format!("- test: t\n  rules: Writen file\n  {event}\n  match: true\n");
    assert_eq!(problems(&text), one("T0501", "Writen file"));
    let text =
        format!("- test: t\n  rules: Written file\n  {event}\n  match: false\n  output: x\n");
    assert_eq!(problems(&text), one("T0104", "x"));
    let text = format!(
        "- test: t\n  rules: Written file\n  for_each: {{a: [1]}}\n  {event}\n  match: '${{b}}'\n"
    );
    assert_eq!(problems(&text), one("T0105", "'${b}'"));
}

#[test]
fn wrong_events_are_told_with_their_places() {
    assert_eq!(given("{proc.name: sh}"), one("T0202", "{proc.name: sh}"));
    assert_eq!(given("{evt.type: opnat}"), one("T0203", "opnat"));
    assert_eq!(given("{evt.type: open, proc.nmae: x}"), one("T0201", "proc.nmae"));
    assert_eq!(given("{evt.type: open, evt.arg.flag: 1}"), one("T0204", "evt.arg.flag"));
    assert_eq!(given("{evt.type: open, evt.arg.flags: O_WRONGLY}"), one("T0205", "O_WRONGLY"));
    assert_eq!(given("{evt.type: open, fd.type: fiel}"), one("T0205", "fiel"));
    assert_eq!(given("{evt.type: open, thread.cap_effective: CAP_X}"), one("T0205", "CAP_X"));
    let levels = "{evt.type: open, user.loginuid: x, proc: {parent: {parent: {name: a}}}}";
    assert_eq!(given(levels), one("T0205", "x"));
}

#[test]
fn what_no_event_can_produce_is_told() {
    for (event, part) in [
        ("{evt.type: open, fd.name: /etc/x, fd.filename: y}", "y"),
        ("{evt.type: open, evt.is_open_read: true, evt.arg.flags: O_WRONLY}", "true"),
        ("{evt.type: open, evt.res: ENOENT, fd.num: 5}", "5"),
        ("{evt.type: execve, fd.name: /etc/x}", "/etc/x"),
        ("{evt.type: execve, evt.dir: '>'}", "'>'"),
        ("{evt.type: execve, proc.name: a-very-long-name}", "a-very-long-name"),
        ("{evt.type: connect, fd.sip: 10.0.0.1, evt.res: ECONNREFUSED}", "10.0.0.1"),
        ("{evt.type: open, proc.nthreads: 5}", "5"),
        ("{evt.type: openat, container.id: host, container.name: web}", "web"),
    ] {
        let problems = given(event);
        assert_eq!(problems.first(), Some(&("T0301", part.to_owned())), "{event}: {problems:?}");
    }
}

#[test]
fn captures_stay_where_the_user_allows() {
    for name in ["/etc/passwd", "../x.scap", "a/../../x.scap", "missing.scap"] {
        assert_eq!(given(&format!("{{capture: '{name}'}}")), one("T0401", &format!("'{name}'")));
    }
}

#[test]
fn failures_show_why() {
    let report = report(
        "\
- test: nginx starts a shell
  rules: Shell of a server
  given: {evt.type: execve, proc.name: zsh, proc.args: [-i], proc.pname: nginx, user.name: www}
  match: true
- test: root may do that
  rules: Shell of a server
  given: {evt.type: execve, proc.name: sh, proc.pname: nginx, user.name: www}
  match: false
- test: the output names the image
  rules: Shell of a server
  given: {evt.type: execve, proc.name: sh, proc.pname: nginx, user.name: www, container.image: 'nginx:1'}
  match: true
  output: image=httpd
  output_fields: {proc.pname: httpd}
- test: the name is misspelt
  rules: Shell of a server
  given: {evt.type: execve, proc.nmae: sh, proc.pname: nginx, user.name: www}
  match: true
- test: all is well
  rules: Shell of a server
  given: {evt.type: execve, proc.name: sh, proc.pname: nginx, user.name: www}
  match: true
",
    );
    insta::assert_snapshot!(text(&report));
}

#[test]
fn coverage_shows_what_no_test_tried() {
    let mut report = report(
        "\
- test: nginx starts a shell
  rules: Shell of a server
  given:
    - {evt.type: execve, proc.name: sh, proc.pname: nginx, user.name: www}
    - {evt.type: execve, proc: {pid: 2000, name: ls, parent: {name: nginx}}}
  match: 1
",
    );
    report.shows_coverage = true;
    report.min_coverage = Some(80.0);
    assert!(!report.is_good());
    insta::assert_snapshot!(text(&report));
    let json: serde_json::Value =
        serde_json::from_str(&report.print(Format::Json, Style::default())).unwrap();
    assert_eq!(json["coverage"]["untested"][0], "Written file");
    assert_eq!(json["tests"][0]["outcome"], "passed");
}

#[test]
fn junit_has_a_suite_for_each_file() {
    let mut report = report(
        "\
- test: a & b
  rules: Written file
  given: {evt.type: open, fd.name: /x}
  match: true
- test: c
  rules: Nothing
  given: {evt.type: open}
  match: true
- test: d
  rules: Written file
  given: {evt.type: open, evt.is_open_write: true, fd.name: /x}
  match: true
",
    );
    for result in &mut report.results {
        result.time = std::time::Duration::ZERO;
    }
    insta::assert_snapshot!(report.print(Format::Junit, Style::default()));
}

#[test]
fn state_carries_on_from_event_to_event() {
    let report = report(
        "\
- test: a file is opened, and then written
  rules: Written file
  given:
    - {evt.type: openat, evt.is_open_write: true, fd: {name: /tmp/x, num: 7}, match: true}
    - {evt.type: write, evt.arg.fd: 7, fd.name: /tmp/x, evt.buffer: text, evt.rawres: 4, match: false}
    - {evt.type: dup2, evt.arg.oldfd: 7, evt.rawres: 1, fd.name: /tmp/x, fd.num: 1, match: false}
    - {evt.type: chdir, evt.arg.path: /srv, match: false}
    - {evt.type: open, evt.arg.name: y, evt.arg.flags: O_WRONLY, fd: {name: /srv/y, nameraw: y}, match: true}
  match: 2
",
    );
    assert!(report.is_good(), "{}", text(&report));
}

#[test]
fn every_system_call_can_be_given() {
    let mut tests = String::new();
    for ty in peregrine_event::EventType::all() {
        let info = ty.info();
        let old = peregrine_event::EventFlags::OLD_VERSION | peregrine_event::EventFlags::UNUSED;
        if info.flags.intersects(old) || !ty.traits().has_result {
            continue;
        }
        let name = info.name;
        tests += &format!(
            "- test: {name}\n  rules: Written file\n  given: {{evt.type: {name}}}\n  match: false\n"
        );
    }
    let report = report(&tests);
    assert!(report.results.len() > 150 && report.is_good(), "{}", text(&report));
}
