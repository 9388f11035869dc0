//! The program from outside: its output and exit codes.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// A directory with a configuration, in which the program runs.
struct Place {
    directory: TempDir,
}

/// The outcome of a run.
struct Outcome {
    code: i32,
    stdout: String,
    stderr: String,
}

const CONFIG: &str = "\
engine: {kind: nodriver}
stdout_output: {enabled: true}
log_stderr: true
log_syslog: false
load_plugins: []
";

const RULES: &str = "\
- macro: opened
  condition: evt.type in (open, openat)
- rule: Opened
  desc: Somebody opens a file.
  condition: opened and proc.name = cat
  output: opened %fd.name by %proc.name
  priority: NOTICE
  tags: [files]
";

impl Place {
    fn new() -> Self {
        let place = Self { directory: tempfile::tempdir().unwrap() };
        place.write("falco.yaml", CONFIG);
        place.write("rules.yaml", RULES);
        place
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.directory.path().join(name), text).unwrap();
    }

    fn add_config(&self, text: &str) {
        self.write("falco.yaml", &format!("{CONFIG}{text}"));
    }

    /// Runs with the configuration of this place.
    fn run(&self, arguments: &[&str]) -> Outcome {
        self.run_bare(&[&["-c", "falco.yaml"], arguments].concat())
    }

    fn run_bare(&self, arguments: &[&str]) -> Outcome {
        run(Path::new(env!("CARGO_BIN_EXE_peregrine")), self.directory.path(), arguments)
    }
}

fn run(program: &Path, directory: &Path, arguments: &[&str]) -> Outcome {
    let mut command = Command::new(program);
    command.current_dir(directory).args(arguments);
    command.env("TZ", "UTC").env("FALCO_HOSTNAME", "HOST").env("WORD", "hello");
    let Output { status, stdout, stderr } = command.output().unwrap();
    Outcome {
        code: status.code().unwrap(),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
}

impl Outcome {
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }

    /// Log lines without their time.
    fn log(&self) -> Vec<&str> {
        let time = "Sun Nov 22 09:38:00 2026: ".len();
        let is_stamped =
            |line: &&str| line.get(time - 7..time).is_some_and(|end| end.ends_with(": "));
        self.stderr.lines().filter(is_stamped).filter_map(|line| line.get(time..)).collect()
    }
}

#[test]
fn a_service_without_configuration_fails() {
    if Path::new("/etc/falco/falco.yaml").exists() {
        eprintln!("skipped: this machine has a configuration");
        return;
    }
    let outcome = Place::new().run_bare(&[]);
    let error = "Error: You must create a config file at /etc/falco/falco.yaml or by passing -c\n";
    assert_eq!(outcome.code, 1);
    assert!(outcome.stderr.starts_with(error), "{}", outcome.stderr);
}

#[test]
fn unknown_options_are_refused_before_anything_else() {
    let place = Place::new();
    let outcome = place.run_bare(&["--nope", "-h"]);
    assert_eq!(outcome.code, 1);
    assert_eq!(outcome.stderr, "Error: Option ‘nope’ does not exist\n");
    assert_eq!(outcome.stdout, "");
}

#[test]
fn help_is_not_coloured_in_a_pipe() {
    let outcome = Place::new().run_bare(&["-h"]);
    assert_eq!(outcome.code, 0);
    assert!(outcome.stdout.contains("  -o, --option <opt>=<val>"));
    assert!(!outcome.stdout.contains('\x1b'));
}

#[test]
fn commands_answer_as_the_options_do() {
    let place = Place::new();
    for (options, command) in [
        (&["-V", "rules.yaml"][..], &["validate", "-c", "falco.yaml", "rules.yaml"][..]),
        (&["-r", "rules.yaml", "-L"], &["describe", "-c", "falco.yaml", "-r", "rules.yaml"]),
        (
            &["-r", "rules.yaml", "-l", "Opened"],
            &["describe", "-c", "falco.yaml", "-r", "rules.yaml", "Opened"],
        ),
        (&["--list", "-N"], &["list", "-c", "falco.yaml", "-N"]),
        (&["--list", "-v"], &["fields", "-c", "falco.yaml"]),
        (&["--list-events", "--format", "json"], &["list", "events", "--format", "json"]),
        (&["-i"], &["list", "ignored"]),
        (&["--list-plugins"], &["list", "plugins", "-c", "falco.yaml"]),
        (
            &["-r", "rules.yaml", "-M", "1"],
            &["run", "-c", "falco.yaml", "-r", "rules.yaml", "-M", "1"],
        ),
    ] {
        let (expected, outcome) = (place.run(options), place.run_bare(command));
        assert_eq!((outcome.code, expected.code), (0, 0), "{command:?}: {}", outcome.stderr);
        assert_eq!(outcome.stdout, expected.stdout, "{command:?}");
    }
    let report = place.run_bare(&["support", "-c", "falco.yaml", "-r", "rules.yaml"]).json();
    assert_eq!(report["cmdline"].as_str().unwrap().split(' ').nth(1), Some("support"));
}

#[test]
fn words_that_are_no_command_are_told() {
    let place = Place::new();
    for (words, error) in [
        (
            &["tpo", "--help"][..],
            "Error: there is no command `tpo`; `peregrine --help` lists all commands\n",
        ),
        (&["vaildate"], "Error: there is no command `vaildate`; did you mean `validate`?\n"),
        (
            &["top", "--help"],
            "Error: `peregrine top` does not exist yet; `peregrine tune` and `peregrine run --profile` measure costs\n",
        ),
    ] {
        let outcome = place.run_bare(words);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""));
        assert_eq!(outcome.stderr, error);
    }
    let ignored = place.run(&["-r", "rules.yaml", "--dry-run", "stray"]);
    assert_eq!(ignored.code, 0);
    assert!(ignored.stderr.starts_with("WARNING: ignoring `stray`: "), "{}", ignored.stderr);
    for (word, meant) in [("vaildate", "validate"), ("dryrun", "--dry-run")] {
        let ignored = place.run(&["-r", "rules.yaml", "--dry-run", word]);
        let hint = format!("; did you mean `{meant}`?\n");
        assert!(ignored.stderr.contains(&hint), "{}", ignored.stderr);
    }
}

#[test]
fn options_of_older_versions_are_errors_with_their_replacement() {
    let place = Place::new();
    let outcome = place.run_bare(&["-A"]);
    assert_eq!(outcome.code, 1);
    let help = "help: an option of earlier versions; in its place: -o base_syscalls.all=true\n";
    assert_eq!(outcome.stderr, format!("{help}Error: Option ‘A’ does not exist\n"));
    // What takes the place of -t and -T does the same.
    let chosen = place.run(&[
        "-r",
        "rules.yaml",
        "--dry-run",
        "-o",
        "rules[].disable.rule=*",
        "-o",
        "rules[].enable.tag=files",
    ]);
    assert_eq!(chosen.code, 0, "{}", chosen.stderr);
    let log = chosen.log();
    assert!(log.contains(&"Enabling rules with tag: files"), "{log:?}");
}

#[test]
fn words_after_validate_and_list_belong_to_them() {
    let place = Place::new();
    place.write("more.yaml", "- {list: l, items: [a]}\n");
    let both = place.run(&["-V", "rules.yaml", "more.yaml"]);
    assert_eq!(both.code, 0, "{}", both.stderr);
    assert!(both.stdout.starts_with("rules.yaml: Ok\nmore.yaml: Ok"), "{}", both.stdout);
    let list = place.run(&["-N", "--list", "syscall"]);
    assert_eq!(
        (list.stdout, list.stderr.contains("WARNING")),
        (place.run(&["-N", "--list=syscall"]).stdout, false)
    );
    let unknown = place.run(&["--list", "samovar"]);
    assert_eq!(unknown.code, 1, "{}", unknown.stdout);
}

#[test]
fn pages_explain_a_field_and_a_code() {
    let place = Place::new();
    let field = place.run_bare(&["fields", "-c", "falco.yaml", "proc.aname[2]"]).stdout;
    assert!(field.contains("CHARBUF") && field.contains("[number], optional"), "{field}");
    let code = place.run_bare(&["code", "LOAD_NO_EVTTYPE"]).stdout;
    assert!(code.contains("evt.type in (open, openat, openat2)"), "{code}");
    let unknown = place.run_bare(&["code", "LOAD_NO_EVTYPE"]);
    assert_eq!(unknown.code, 1);
    assert!(unknown.stderr.contains("did you mean LOAD_NO_EVTTYPE?"), "{}", unknown.stderr);
}

#[test]
fn an_unreadable_configuration_is_an_error_even_for_help() {
    let outcome = Place::new().run_bare(&["-c", "gone.yaml", "-h"]);
    assert_eq!(outcome.code, 1);
    assert_eq!(outcome.stderr, "Error: Could not find configuration file at gone.yaml\n");
}

#[test]
fn versions_as_text_and_json() {
    let place = Place::new();
    let text = place.run(&["--version"]).stdout;
    let labels: Vec<_> = text.lines().filter_map(|line| line.split(':').next()).collect();
    assert_eq!(labels[..4], ["Falco version", "Libs version", "Plugin API", "Engine"]);
    let json = place.run(&["-o", "json_output=true", "--version"]).json();
    assert_eq!(json["engine_version_semver"], "0.63.0");
    assert_eq!(json["engine_version"], "63");
}

#[test]
fn the_name_falco_makes_no_difference() {
    let place = Place::new();
    let falco = place.directory.path().join("falco");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_peregrine"), &falco).unwrap();
    let outcome =
        run(&falco, place.directory.path(), &["-c", "falco.yaml", "-r", "rules.yaml", "--dry-run"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, ""));
}

#[test]
fn a_dry_run_tells_what_it_read() {
    let outcome = Place::new().run(&["-r", "rules.yaml", "--dry-run"]);
    assert_eq!(outcome.code, 0);
    assert_eq!(
        outcome.log(),
        [
            format!("Falco version: 0.45.0-main-13074749 ({})", std::env::consts::ARCH).as_str(),
            "Falco initialized with configuration files:",
            "   falco.yaml | schema validation: ok",
            "Loading rules from:",
            "   rules.yaml | schema validation: ok",
            "Hostname value has been overridden via environment variable to: HOST",
        ]
    );
}

#[test]
fn support_shows_the_configuration_in_force() {
    let place = Place::new();
    place.write("more.yaml", "priority: error\nstatic_fields: {a: '${WORD}'}\n");
    let outcome = place.run(&[
        "-o",
        "config_files[]=more.yaml",
        "-o",
        "output_timeout=17",
        "-r",
        "rules.yaml",
        "--support",
    ]);
    let report = outcome.json();
    let config: Value = serde_json::from_str(report["config"].as_str().unwrap()).unwrap();
    assert_eq!(config["priority"], "error");
    assert_eq!(config["static_fields"]["a"], "${WORD}");
    assert_eq!(config["output_timeout"], "17");
    assert_eq!(report["rules_files"][0]["variants"][0]["content"], RULES);
    assert!(outcome.log().contains(&"   more.yaml | schema validation: ok"));
}

#[test]
fn support_and_log_show_no_secrets() {
    let place = Place::new();
    place.add_config(
        "log_level: debug\nstatic_fields: {a: 'x ${WORD}', token: hunter2}\n\
         http_output: {enabled: true, url: 'http://me:hunter2@127.0.0.1/?key=${WORD}'}\n",
    );
    let outcome = place.run(&[
        "-o",
        "static_fields.password=hunter2",
        "-ostatic_fields.b=http://me:hunter2@h/",
        "--option=static_fields.api_key=hunter2 hunter2",
        "-r",
        "rules.yaml",
        "--support",
    ]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let report = outcome.json();
    let command_line = report["cmdline"].as_str().unwrap();
    assert!(command_line.contains("-o static_fields.password=[redacted]"), "{command_line}");
    assert!(command_line.contains("-ostatic_fields.b=http://[redacted]@h/"), "{command_line}");
    assert!(command_line.contains("--option=static_fields.api_key=[redacted] "), "{command_line}");
    let config: Value = serde_json::from_str(report["config"].as_str().unwrap()).unwrap();
    assert_eq!(config["http_output"]["url"], "http://[redacted]@127.0.0.1/?key=${WORD}");
    assert_eq!(config["static_fields"]["a"], "x ${WORD}");
    assert_eq!(config["static_fields"]["token"], "[redacted]");
    for text in [&outcome.stdout, &outcome.stderr] {
        assert!(!text.contains("hunter2") && !text.contains("hello"), "{text}");
    }
}

#[test]
fn wrong_values_show_their_place() {
    let place = Place::new();
    place.add_config("priority: loud\n");
    let outcome = place.run(&["--dry-run"]);
    assert_eq!(outcome.code, 1);
    insta::assert_snapshot!(outcome.stderr, @r#"
    error: Unknown priority "loud"--must be one of emergency, alert, critical, error, warning, notice, informational, debug [CONFIG_ERR_VALUE]
     --> falco.yaml:6:11
      |
    6 | priority: loud
      |           ^^^^
    Error: Unknown priority "loud"--must be one of emergency, alert, critical, error, warning, notice, informational, debug
    "#);
}

#[test]
fn wrong_types_are_told_and_the_default_applies() {
    let place = Place::new();
    place.add_config("json_output: perhaps\n");
    let outcome = place.run(&["-r", "rules.yaml", "--version"]);
    assert!(outcome.stdout.starts_with("Falco version: "));
    assert!(outcome.log().contains(
        &"   falco.yaml | schema validation: failed for <root>[json_output]: Value type not permitted by 'type' constraint."
    ));
}

#[test]
fn a_plugin_without_its_library_is_an_error_unless_it_is_built_in() {
    let place = Place::new();
    let plugin = |name: &str| {
        let entry = format!("plugins: [{{name: {name}, library_path: {name}.so}}]\n");
        place.write("falco.yaml", &(CONFIG.replace("load_plugins: []\n", "") + &entry));
        place.run(&["--list", "-N"])
    };
    assert!(plugin("container").stdout.lines().any(|name| name == "container.id"));
    let refused = plugin("samovar");
    assert_eq!(refused.code, 1);
    let error = "Runtime error: cannot load plugin /usr/share/falco/plugins/samovar.so: can't load \
                 plugin dynamic library: /usr/share/falco/plugins/samovar.so: cannot open shared \
                 object file: No such file or directory. Exiting.";
    assert!(refused.stderr.contains(error), "{}", refused.stderr);
    assert!(!Place::new().run(&["--list", "-N"]).stdout.contains("container.id"));
}

#[test]
fn rules_are_validated() {
    let place = Place::new();
    place.write("bad.yaml", &RULES.replace("opened and", "open and"));
    assert_eq!(place.run(&["-V", "rules.yaml"]).stdout, "rules.yaml: Ok\n");
    let text = place.run(&["-V", "bad.yaml"]);
    assert_eq!(text.code, 1);
    assert!(text.stdout.starts_with("bad.yaml: Invalid\n1 Errors:\n"));
    assert!(text.stderr.contains("did you mean"), "{}", text.stderr);
    assert!(text.stderr.contains("\nError: bad.yaml: Invalid\n"), "{}", text.stderr);
    let json = place.run(&["-o", "json_output=true", "-V", "rules.yaml", "-V", "bad.yaml"]);
    let results = &json.json()["falco_load_results"];
    assert_eq!(
        (&results[0]["successful"], &results[1]["successful"]),
        (&true.into(), &false.into())
    );
    assert_eq!(json.code, 1);
}

#[test]
fn problems_of_rules_are_printed_as_sarif() {
    let place = Place::new();
    place.write("bad.yaml", &RULES.replace("proc.name = cat", "proc.nme = cat"));
    let validate = |files: &[&str]| {
        place.run_bare(&[&["validate", "-c", "falco.yaml", "--format", "sarif"], files].concat())
    };
    let bad = validate(&["rules.yaml", "bad.yaml"]);
    assert_eq!(bad.code, 1);
    assert!(bad.stderr.contains("\nError: rules.yaml: Ok\nbad.yaml: Invalid\n"), "{}", bad.stderr);
    let log = bad.json();
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    assert_eq!(run["tool"]["driver"]["name"], "peregrine");
    let result = &run["results"][0];
    assert_eq!(result["ruleId"], "E0402");
    assert_eq!(result["properties"]["wider"], "LOAD_ERR_COMPILE_CONDITION");
    assert_eq!(result["level"], "error");
    assert_eq!(run["tool"]["driver"]["rules"][0]["id"], result["ruleId"]);
    assert_eq!(
        result["locations"],
        serde_json::json!([{ "physicalLocation": {
            "artifactLocation": { "uri": "bad.yaml" },
            "region": { "startLine": 5, "startColumn": 25, "endLine": 5, "endColumn": 33 },
        } }])
    );

    let good = validate(&["rules.yaml"]);
    assert_eq!((good.code, &good.json()["runs"][0]["results"]), (0, &serde_json::json!([])));
    let json = place.run_bare(&["validate", "-c", "falco.yaml", "--format", "json", "rules.yaml"]);
    assert_eq!(json.json()["falco_load_results"][0]["successful"], true);
    place.add_config("json_output: true\n");
    let text = place.run_bare(&["validate", "-c", "falco.yaml", "--format=text", "rules.yaml"]);
    assert_eq!(text.stdout, "rules.yaml: Ok\n");
}

#[test]
fn codes_of_rules_and_configuration_are_explained() {
    let place = Place::new();
    for (code, title) in [
        ("LOAD_NO_EVTTYPE", "LOAD_NO_EVTTYPE (warning): "),
        ("config_unknown_key", "CONFIG_UNKNOWN_KEY (warning): "),
        ("CONFIG_ERR_VALUE", "CONFIG_ERR_VALUE (error): "),
    ] {
        let page = place.run_bare(&["code", code]).stdout;
        assert!(page.starts_with(title) && page.contains("Remedy:"), "{page}");
    }
    assert_eq!(place.run_bare(&["code"]).stdout.matches("CONFIG_").count(), 9);
}

#[test]
fn rules_are_described() {
    let place = Place::new();
    let text = place.run(&["-r", "rules.yaml", "-L"]).stdout;
    assert!(
        text.contains(
            "Opened                                             Somebody opens a file. \n"
        )
    );
    let json = place.run(&["-o", "json_output=true", "-r", "rules.yaml", "-l", "Opened"]).json();
    let details = &json["rules"][0]["details"];
    assert_eq!(details["macros"], serde_json::json!(["opened"]));
    assert_eq!(details["condition_compiled"], "(evt.type in (open, openat) and proc.name = cat)");
    let unknown = place.run(&["-r", "rules.yaml", "-l", "Closed"]);
    assert_eq!((unknown.code, unknown.stdout.as_str()), (1, ""));
    assert!(unknown.stderr.contains("Runtime error: Rule \"Closed\" is not loaded. Exiting."));
}

#[test]
fn sources_are_checked() {
    let place = Place::new();
    let error = |arguments: &[&str]| place.run(arguments).stderr.lines().last().unwrap().to_owned();
    assert_eq!(
        error(&["--disable-source", "syscall"]),
        "Error: Must enable at least one event source"
    );
    assert_eq!(
        error(&["--enable-source", "tea"]),
        "Error: Attempted enabling an unknown event source: tea"
    );
    assert_eq!(
        error(&["--enable-source", "syscall", "--disable-source", "syscall"]),
        "Error: You can not mix --enable-source and --disable-source"
    );
}

#[test]
fn a_static_field_that_outputs_cannot_name_is_reported_and_not_suggested() {
    let place = Place::new();
    place.add_config("append_output: [{suggested_output: true}]\n");
    let outcome = place.run(&[
        "-o",
        r"static_fields.kubernetes\.io/role=db",
        "-o",
        "static_fields.site=attic",
        "-r",
        "rules.yaml",
        "--dry-run",
    ]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let warning = "append_output: static.kubernetes.io/role is not appended";
    assert_eq!(outcome.stderr.matches(warning).count(), 1, "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("static.site"));
}

#[test]
fn without_rules_or_outputs_there_is_nothing_to_run() {
    let place = Place::new();
    let no_rules = place.run(&["--dry-run"]);
    assert!(no_rules.stderr.contains("Error: You must specify at least one rules file/directory"));
    let silent = place.run(&["-r", "rules.yaml", "-o", "stdout_output.enabled=false", "--dry-run"]);
    assert_eq!(silent.code, 1);
    assert!(silent.stderr.contains("Error: No output configured"));
}

#[test]
fn lists_come_in_three_forms() {
    let place = Place::new();
    let json = place.run(&["--list", "--format", "json"]).json();
    let classes = json["fieldclasses"].as_array().unwrap();
    let process = classes.iter().find(|class| class["name"] == "process").unwrap();
    let fields = process["fields"].as_array().unwrap();
    assert!(fields.iter().any(|field| field["name"] == "proc.name" && field["type"] == "CHARBUF"));
    assert!(place.run(&["--list", "--markdown"]).stdout.contains("\n`proc.name` | CHARBUF | "));
    assert!(place.run(&["--list"]).stdout.contains("\nproc.name "));
    let events = place.run_bare(&["--list-events", "--format", "json"]).json();
    assert!(events["Syscall events"].as_array().unwrap().len() > 600);
    assert_eq!(place.run(&["--list=tea"]).code, 1);
}

#[test]
fn a_listing_may_be_cut_short_by_its_reader() {
    let place = Place::new();
    let mut child = Command::new(env!("CARGO_BIN_EXE_peregrine"))
        .current_dir(place.directory.path())
        .arg("--list-events")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_replay_prints_alerts_and_a_summary() {
    let place = Place::new();
    place.write("rules.yaml", &RULES.replace(" and proc.name = cat", ""));
    let capture = concat!(env!("CARGO_MANIFEST_DIR"), "/../../conformance/captures/cat_write.scap");
    let file = format!("engine.replay.capture_file={capture}");
    let replay = ["-r", "rules.yaml", "-o", "engine.kind=replay", "-o", &file];
    let outcome = place.run(&replay);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let first = outcome.stdout.lines().next().unwrap();
    assert_eq!(first, "16:17:57.881785348: Notice opened /etc/ld.so.cache by cat");
    assert!(
        outcome.stdout.contains("\nEvents detected: 4\nRule counts by severity:\n   NOTICE: 4\n")
    );

    let json = place.run(&[&replay[..], &["-o", "json_output=true"]].concat());
    let alert: Value = serde_json::from_str(json.stdout.lines().next().unwrap()).unwrap();
    assert_eq!((&alert["rule"], &alert["hostname"]), (&"Opened".into(), &"HOST".into()));
}

#[test]
fn a_replay_that_cannot_start_still_sums_up() {
    let place = Place::new();
    let file = "engine.replay.capture_file=gone.scap";
    let outcome = place.run(&["-r", "rules.yaml", "-o", "engine.kind=replay", "-o", file]);
    assert_eq!(outcome.code, 1);
    assert!(outcome.stdout.starts_with("Events detected: 0\n"));
    assert!(outcome.stderr.contains("Error: Could not open trace filename gone.scap for reading"));
}

#[test]
fn a_pidfile_that_cannot_be_written_has_its_own_exit_code() {
    let place = Place::new();
    assert_eq!(place.run(&["-r", "rules.yaml", "-M", "1", "-P", "pid"]).code, 0);
    // `service` tests its content, which is there as long as the program runs.
    assert!(!place.directory.path().join("pid").exists());
    assert_eq!(place.run(&["-r", "rules.yaml", "-P", "no/such/pid"]).code, 255);
    assert_eq!(place.run(&["-r", "rules.yaml", "-P", "no/such/pid", "--dry-run"]).code, 0);
}

#[test]
fn tests_of_rules_have_exit_codes() {
    let place = Place::new();
    let run =
        |more: &[&str]| place.run_bare(&[&["rules", "test", "-c", "falco.yaml"], more].concat());
    let test = "- test: t\n  rules: Opened\n  given: {evt.type: open, proc.name: cat, fd.name: /x}\n  match: true\n";
    place.write("rules.test.yaml", test);
    let outcome = run(&["rules.yaml", "-v", "--junit", "r.xml"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    assert_eq!(outcome.stdout, "rules.test.yaml: 1 test\n  ok   t\n\nok: 1 passed\n");
    assert!(place.directory.path().join("r.xml").exists());
    place.write("rules.test.yaml", &test.replace("cat", "dog"));
    let outcome = run(&["rules.yaml", "--format", "json"]);
    assert_eq!((outcome.code, &outcome.json()["failed"]), (1, &Value::from(1)));
    place.write("rules.yaml", &RULES.replace("proc.name", "proc.nmae"));
    assert_eq!(run(&["rules.yaml"]).code, 2);
    assert_eq!(run(&["missing.yaml"]).code, 2);
    let page = place.run_bare(&["code", "t0301"]);
    assert!(page.code == 0 && page.stdout.starts_with("T0301 (error): No event can give"));
}
