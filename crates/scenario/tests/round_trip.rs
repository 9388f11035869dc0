//! An event of a capture that is recorded as a test passes when it is run.
//!
//! Every alert of the built-in rules and of broad rules over the captures of `conformance/` is
//! recorded. `PEREGRINE_RULES` and `PEREGRINE_CAPTURES` name other rules files and captures (paths
//! with `:` between), `PEREGRINE_VERBOSE` prints the tests that fail.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that can't go on has failed")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use peregrine_engine::{Engine, Generation, GenerationSettings, Match, Matching, Observer};
use peregrine_event::Event;
use peregrine_fields::Fields;
use peregrine_rules::{EventSource, Loader};
use peregrine_scap::Reader;
use peregrine_scenario::record::{Wanted, record};
use peregrine_scenario::report::{Format, Report, Style};
use peregrine_scenario::{Demand, Outcome, RunSettings, Suite, SuiteSettings, TestFile, run};

/// Rules that match much, and show much of what they match.
const BROAD: &str = "\
- rule: Programs
  desc: d
  condition: evt.type in (execve, execveat) and evt.failed=false
  output: '%proc.name %proc.exe %proc.exepath %proc.args %proc.cwd %proc.pname %proc.aname[2] %proc.aexepath[2] %proc.tty %proc.sid %proc.sname %user.name %user.uid %group.gid %proc.vpid %proc.pcmdline %proc.is_exe_upper_layer %proc.env[HOME] %container.id %container.name %container.image.repository'
  priority: INFO
- rule: Opened files
  desc: d
  condition: evt.type in (open, openat, openat2, creat)
  output: '%fd.name %fd.num %fd.typechar %fd.filename %fd.directory %evt.arg.flags %evt.is_open_write %evt.is_open_read %evt.res %proc.cmdline %user.loginuid %container.id'
  priority: INFO
- rule: Sockets
  desc: d
  condition: evt.type in (connect, accept, accept4, bind, listen, sendto, recvfrom, sendmsg, recvmsg)
  output: '%fd.name %fd.sip %fd.cip %fd.sport %fd.cport %fd.l4proto %fd.type %evt.res %proc.name %fd.connected'
  priority: INFO
- rule: Data
  desc: d
  condition: evt.type in (read, write, close, dup, dup2, dup3, fcntl, ioctl)
  output: '%fd.name %fd.num %fd.type %evt.rawres %proc.name %fd.sport'
  priority: INFO
- rule: Paths
  desc: d
  condition: evt.type in (unlink, unlinkat, rename, renameat, renameat2, mkdir, mkdirat, symlink, symlinkat, link, linkat, chmod, fchmod, fchmodat, chown, fchown, mount, umount2)
  output: '%fs.path.name %fs.path.source %fs.path.target %evt.args %proc.name'
  priority: INFO
- rule: Others
  desc: d
  condition: evt.type in (ptrace, kill, setuid, setresuid, setns, unshare, clone, clone3, prctl, bpf, mprotect, chdir, procexit, init_module, memfd_create, signaldeliver, prlimit, capset, setsid, pipe, pipe2, socket, socketpair, eventfd2, epoll_create1, poll, ppoll)
  output: '%evt.type %evt.res %proc.name %proc.pid %thread.tid %proc.pname %user.name'
  priority: INFO
";

/// Alerts of one rule and event type on one capture that are recorded: many are alike.
const PER_KIND: usize = 2;

fn paths(variable: &str) -> Option<Vec<PathBuf>> {
    let value = std::env::var(variable).ok()?;
    Some(value.split(':').map(PathBuf::from).collect())
}

fn rules() -> Vec<(String, Vec<u8>)> {
    if let Some(paths) = paths("PEREGRINE_RULES") {
        let read = |path: &PathBuf| (path.display().to_string(), fs::read(path).unwrap());
        return paths.iter().map(read).collect();
    }
    let built_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wiring/assets/rules.yaml");
    let built_in = ("built-in".to_owned(), fs::read(built_in).unwrap());
    vec![built_in, ("broad".to_owned(), BROAD.as_bytes().to_vec())]
}

fn captures() -> Vec<PathBuf> {
    paths("PEREGRINE_CAPTURES").unwrap_or_else(|| {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/captures");
        let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|it| it == "scap")).collect()
    })
}

fn loader(fields: &Fields, rules: &[(String, Vec<u8>)]) -> Loader<Fields> {
    let mut loader = Loader::new(vec![EventSource::syscall(fields.clone())], Vec::new());
    for (name, text) in rules {
        let result = loader.load(name, text);
        assert!(result.successful(), "{}", result.explanation());
    }
    loader
}

/// Events that match rules: rule, event type and number.
#[derive(Default)]
struct Alerts(Vec<(String, &'static str, u64)>);

impl Observer for Alerts {
    fn event(&mut self, _: &Event<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn matched(&mut self, matched: &Match<'_>) {
        self.0.push((matched.rule.name.clone(), matched.event.ty.name(), matched.event.num));
    }
}

#[test]
fn recorded_events_pass() {
    let fields = Fields::syscall().with_containers(true);
    let rules = rules();
    let settings = SuiteSettings { containers: true, ..SuiteSettings::default() };
    let set = loader(&fields, &rules).into_rules();
    let all = set.rules.iter().map(|rule| rule.name.as_str()).collect();
    let demand = Demand { rules: all, ..Demand::default() };
    let suite = Suite::new(loader(&fields, &rules), &fields, settings, &demand, |set| set);
    let verbose = std::env::var("PEREGRINE_VERBOSE").is_ok();
    let (mut passed, mut failed) = (0, 0);
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for capture in captures() {
        let mut set = loader(&fields, &rules).into_rules();
        set.rules.iter_mut().for_each(|rule| rule.active = true);
        let generation = GenerationSettings { matching: Matching::All, ..Default::default() };
        let generation = Generation::new(set, &Default::default(), generation);
        let mut engine = Engine::new(generation.into(), Default::default());
        let mut alerts = Alerts::default();
        engine.run(&mut Reader::new(File::open(&capture).unwrap()), &mut alerts, &mut ()).unwrap();
        let mut seen: BTreeMap<(String, &str), usize> = BTreeMap::new();
        for (rule, ty, number) in alerts.0 {
            let count = seen.entry((rule.clone(), ty)).or_default();
            *count += 1;
            if *count > PER_KIND {
                continue;
            }
            let text = record(&suite, &capture, &Wanted::Number(number), Some(&rule)).unwrap();
            let file = TestFile::read("recorded.yaml", text.as_bytes()).unwrap();
            let cases: Vec<_> = file.tests.iter().collect();
            let results = run(&suite, &cases, &RunSettings::default());
            assert_eq!(results.len(), 1, "{text}");
            if matches!(results[0].outcome, Outcome::Passed) {
                passed += 1;
                continue;
            }
            failed += 1;
            let why = match &results[0].outcome {
                Outcome::Failed(failures) => failures[0].message.clone(),
                Outcome::Invalid(problems) => problems[0].message.clone(),
                Outcome::Passed => String::new(),
            };
            let name = capture.file_name().unwrap().to_string_lossy().into_owned();
            if verbose {
                let report = Report { results, ..Report::default() };
                println!("==== {name} {number} {ty} {rule}\n{text}");
                println!("{}", report.print(Format::Text, Style::default()));
            }
            *kinds.entry(format!("{rule}: {ty}: {why}")).or_default() += 1;
        }
    }
    for (kind, count) in &kinds {
        println!("{count:>4} {kind}");
    }
    let share = 100.0 * f64::from(passed) / f64::from(passed + failed);
    println!("{passed} of {} recorded tests pass: {share:.1} %", passed + failed);
    assert!(passed > 100 || std::env::var("PEREGRINE_RULES").is_ok());
    assert!(share >= 95.0, "only {share:.1} % of the recorded tests pass");
}
