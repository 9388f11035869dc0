mod errors;

use std::fs;
use std::path::Path;

use peregrine_alert::Priority;

use peregrine_diagnostics::{Problem, Secret, SourceMap};

use super::*;

fn loaded(yaml: &str, options: &[&str]) -> Result<Loaded, String> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("falco.yaml");
    fs::write(&file, yaml).unwrap();
    let options: Vec<String> = options.iter().map(ToString::to_string).collect();
    let result = load(Main::File(&file), &options, &mut |_| ());
    result
        .map_err(|error| error.to_string().replace(&format!("{}/", directory.path().display()), ""))
}

#[test]
fn defaults() {
    let config = loaded("", &[]).unwrap().config;
    assert_eq!(config, Config::default());
    assert_eq!(config.log_level.0, Priority::Informational);
    assert_eq!(config.engine, Engine::default());
    assert_eq!((config.output_timeout, config.webserver.listen_port), (2000, 8765));
    assert!(config.log_syslog && !config.log_stderr && config.watch_config_files);
}

#[test]
fn keys_are_decoded_and_wrong_types_leave_the_default() {
    let yaml = "json_output: on\nwebserver: {listen_port: http, threadiness: 0x10}\n\
                syscall_event_drops: {threshold: tiny, actions: log}\n\
                http_output: {enabled: true, url: u, max_consecutive_timeouts: 300}\n";
    let config = loaded(yaml, &[]).unwrap().config;
    assert!(config.json_output);
    assert_eq!((config.webserver.listen_port, config.webserver.threadiness), (8765, 16));
    assert_eq!(config.syscall_event_drops.threshold.get(), 0.1);
    assert_eq!(config.syscall_event_drops.actions.as_slice(), [DropAction::Log]);
    assert_eq!(config.http_output.unwrap().retries.max, 5);
}

#[test]
fn the_engine_is_one_thing() {
    let replay = loaded("engine: {kind: replay}", &["engine.replay.capture_file=a.scap"]).unwrap();
    assert_eq!(replay.config.engine, Engine::Replay { capture_file: "a.scap".into() });
    assert_eq!(
        loaded("engine: {kind: replay}", &[]).unwrap_err(),
        "Error reading config file (falco.yaml): engine.kind is 'replay' but no engine.replay.capture_file specified."
    );
    let live =
        loaded("engine: {kind: modern_ebpf, modern_ebpf: {buf_size_preset: 7}}", &[]).unwrap();
    assert!(matches!(
        live.config.engine,
        Engine::Live { kmod: false, settings } if settings.ring_size.preset() == 7
    ));
}

#[test]
fn ranges_are_checked_for_what_is_used() {
    let preset = "The 'buf_size_preset' value must be between '1' and '10'\n";
    let yaml =
        "engine: {kind: kmod, kmod: {buf_size_preset: 11}, modern_ebpf: {buf_size_preset: 0}}\n";
    assert_eq!(loaded(yaml, &[]).unwrap_err(), preset);
    assert_eq!(loaded(yaml, &["engine.kind=modern_ebpf"]).unwrap_err(), preset);
    assert!(loaded(yaml, &["engine.kind=nodriver"]).is_ok());
    assert_eq!(RingSize::default().bytes(), 8 << 20);

    let metrics = loaded("metrics: {enabled: true, interval: 5}\n", &[]).unwrap();
    assert!(metrics.config.metrics.interval.is_err());
    let metrics = loaded("metrics: {enabled: true, interval: 1m 30s}\n", &[]).unwrap();
    let interval = metrics.config.metrics.interval.unwrap();
    assert_eq!((interval.to_string().as_str(), interval.duration().as_secs()), ("1m 30s", 90));
}

#[test]
fn values_that_contradict_are_refused() {
    let error = |yaml| loaded(yaml, &[]).unwrap_err();
    let prefix = "Error reading config file (falco.yaml): ";
    assert_eq!(
        error("syscall_event_drops: {actions: [exit, ignore, alert]}\n"),
        format!(
            "{prefix}syscall event drop action \"alert\" does not make sense with the \"ignore\" action"
        )
    );
    assert_eq!(
        error("syscall_event_drops: {threshold: 1.1}\n"),
        format!("{prefix}syscall event drops threshold must be a double in the range [0, 1]")
    );
    assert_eq!(
        error("syscall_event_timeouts: {max_consecutives: 0}\n"),
        "Error reading config file(falco.yaml): the maximum consecutive timeouts without an event must be an unsigned integer > 0"
    );
    assert_eq!(
        error("webserver: {listen_address: '[::1]'}\n"),
        format!("{prefix}webserver listen address \"[::1]\" is not a valid IP address")
    );
    assert!(loaded("webserver: {listen_address: ' fe80::1%eth0'}\n", &[]).is_ok());
    assert_eq!(
        error("file_output: {enabled: true}\n"),
        format!("{prefix}file output enabled but no filename in configuration block")
    );
    assert_eq!(
        error("program_output: {enabled: true, keep_alive: true}\n"),
        format!("{prefix}program output enabled but no program in configuration block")
    );
    assert_eq!(
        error("http_output: {enabled: true, insecure: true}\n"),
        format!("{prefix}http output enabled but no url in configuration block")
    );
    assert_eq!(error("libs_logger: {severity: loud}\n"), "Unknown sinsp log severity loud");
}

#[test]
fn a_section_that_is_off_has_no_settings() {
    let yaml = "file_output: {filename: alerts.txt}\nlibs_logger: {enabled: false, severity: loud}\n\
                http_output: {enabled: true, url: u, ca_bundle: b, mtls: true}\n";
    let config = loaded(yaml, &[]).unwrap().config;
    assert_eq!((config.file_output, config.program_output, config.libs_logger), (None, None, None));
    let http = config.http_output.unwrap();
    assert_eq!(http.tls.trust, Trust::Authorities("b".into()));
    assert_eq!(http.tls.client.unwrap().key.to_str(), Some("/etc/ssl/certs/client.key"));
    let default = loaded("json_output: true\n", &["libs_logger.severity=error"]).unwrap().config;
    assert_eq!(default.libs_logger, Some(LibsLogger { severity: LibsSeverity::Error }));
}

#[test]
fn a_scalar_is_no_section() {
    assert_eq!(
        loaded("webserver: yes\n", &[]).unwrap_err(),
        "Config error at key \"webserver.enabled\": yaml-cpp: error at line 1, column 12: operator[] call on a scalar (key: \"enabled\")"
    );
    assert_eq!(
        loaded("hello\n", &[]).unwrap_err(),
        "Config error at key \"config_files\": yaml-cpp: error at line 1, column 1: operator[] call on a scalar (key: \"config_files\")"
    );
}

#[test]
fn plugins_are_chosen_by_name_and_in_that_order() {
    let yaml = "plugins: [{name: a, library_path: a.so}, {name: b, library_path: b.so, init_config: {n: 1, t: x}}]\n";
    let names = |loaded: Loaded| loaded.plugins.into_iter().map(|p| p.name).collect::<Vec<_>>();
    assert_eq!(names(loaded(yaml, &[]).unwrap()), ["a", "b"]);
    assert_eq!(names(loaded(&format!("{yaml}load_plugins: [b]\n"), &[]).unwrap()), ["b"]);
    assert!(names(loaded(&format!("{yaml}load_plugins: []\n"), &[]).unwrap()).is_empty());
    assert!(loaded(&format!("{yaml}load_plugins: [c]\n"), &[]).unwrap_err().contains("'c'"));
    assert_eq!(loaded(yaml, &[]).unwrap().plugins[1].init_config, r#"{"n":1,"t":"x"}"#);
}

#[test]
fn append_output_entries() {
    let yaml = "append_output:\n  - {match: {rule: R, tags: [b, a]}, extra_fields: [evt.num, {x: '%evt.type'}]}\n";
    let loaded_once = loaded(yaml, &[]).unwrap();
    let entry = &loaded_once.config.append_output[0];
    assert_eq!(entry.tags.iter().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(entry.extra_fields[0], ExtraField::Raw("evt.num".to_owned()));
    assert!(loaded_once.warnings[0].message.contains("tags (a, b,)"));
    let twice = "append_output: [{extra_fields: [a, {a: b}]}]\n";
    assert!(loaded(twice, &[]).unwrap_err().contains("bad conversion"));
}

#[test]
fn errors_show_the_place() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("falco.yaml");
    fs::write(&file, "json_output: true\ncapture: {mode: sometimes}\n").unwrap();
    let error = load(Main::File(&file), &[], &mut |_| ()).unwrap_err();
    let snippet = error.snippet();
    assert!(snippet.contains("falco.yaml:2:17"), "{snippet}");
    assert!(snippet.contains("capture: {mode: sometimes}"), "{snippet}");
    let error = load(Main::File(&file), &["capture.mode=never".to_owned()], &mut |_| ());
    let error = error.unwrap_err();
    let snippet = error.snippet();
    assert!(snippet.contains("--> command line\n"), "{snippet}");
    assert!(snippet.contains("| -o capture.mode=never\n"), "{snippet}");
    assert!(snippet.contains("|                 ^^^^^\n"), "{snippet}");
    assert!(snippet.contains("one of rules, all_rules"), "{snippet}");
}

#[test]
fn includes_merge_by_strategy() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::write(at("more.yaml"), "priority: error\nrules_files: [b]\nstatic_fields: {b: 2}\n")
        .unwrap();
    let merged = |strategy: &str| {
        let include = format!("{{path: {}, strategy: {strategy}}}", at("more.yaml").display());
        let main = "priority: info\nrules_files: [a]\nstatic_fields: {a: 1}\n";
        fs::write(at("main.yaml"), format!("{main}config_files: [{include}]\n")).unwrap();
        let config = load(Main::File(&at("main.yaml")), &[], &mut |_| ()).unwrap().config;
        let fields = config.static_fields.into_keys().collect::<Vec<_>>().join(" ");
        (config.priority, config.rules_files.join(" "), fields)
    };
    assert_eq!(merged("append"), (Priority::Error, "a b".into(), "b".into()));
    assert_eq!(merged("override"), (Priority::Error, "b".into(), "b".into()));
    assert_eq!(merged("add-only"), (Priority::Informational, "a".into(), "a".into()));
}

#[test]
fn a_directory_includes_its_files_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let (main, included) = (directory.path().join("main.yaml"), directory.path().join("config.d"));
    let timeout = |included: &str| {
        fs::write(&main, format!("config_files: [{included}]\n")).unwrap();
        load(Main::File(&main), &[], &mut |_| ()).unwrap().config.output_timeout
    };
    fs::create_dir(&included).unwrap();
    for (name, text) in [("b.conf", "output_timeout: 2\n"), ("a.yaml", "output_timeout: 1\n")] {
        fs::write(included.join(name), text).unwrap();
    }
    fs::create_dir(included.join("c.yaml")).unwrap();
    assert_eq!(timeout(included.to_str().unwrap()), 2);
    assert_eq!(timeout("absent"), 2000);
}

#[test]
fn includes_do_not_nest() {
    let directory = tempfile::tempdir().unwrap();
    let more = directory.path().join("more.yaml");
    fs::write(&more, "config_files: []\n").unwrap();
    let option = format!("config_files[]={}", more.display());
    assert!(loaded("", &[&option]).unwrap_err().contains("directive in included config file"));
    let main = directory.path().join("main.yaml");
    fs::write(&main, format!("config_files: [{}]\n", main.display())).unwrap();
    let error = load(Main::File(&main), &[], &mut |_| ()).unwrap_err();
    assert!(error.to_string().contains("recursively include main config file"));
}

#[test]
fn the_built_in_configuration_is_right() {
    let loaded = load(Main::BuiltIn(BUILT_IN_CONFIG), &[], &mut |_| ()).unwrap();
    assert_eq!(loaded.plugins.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["container"]);
    let mut sources = SourceMap::default();
    let node = sources::read(&mut sources, "built in", BUILT_IN_CONFIG.as_bytes()).unwrap();
    assert_eq!(full_schema().check(&node), []);
}

/// What Falco's log says of a text: the first violation.
fn first_violation(yaml: &str) -> String {
    let documents = peregrine_yaml::parse(yaml).unwrap();
    let violations = full_schema().check(&documents[0]);
    violations.first().map(ToString::to_string).unwrap_or_default()
}

#[test]
fn violations_are_worded_as_falco_does() {
    assert_eq!(first_violation("engine: {kind: nodriver}\nstatic_fields: {a: 1, b: [x]}\n"), "");
    assert_eq!(first_violation("config_files: [a, {path: b, strategy: override}]\n"), "");
    let kind = "Value type not permitted by 'type' constraint.";
    assert_eq!(first_violation("json_output: perhaps\n"), format!("<root>[json_output]: {kind}"));
    assert_eq!(
        first_violation("engine: {}\n"),
        "<root>[engine]: Missing required property 'kind'."
    );
    assert_eq!(
        first_violation("config_files: [{path: x, strategy: blend}]\n"),
        format!("<root>[config_files][0]: {kind}")
    );
    assert_eq!(
        first_violation("capture: {max_file_size_mb: -4}\n"),
        "<root>[capture][max_file_size_mb]: Expected number greater than or equal to 0.000000"
    );
    assert!(first_violation("coffee: strong\n").ends_with("constraints: 'coffee'."));
    assert!(first_violation("priority: info\npriority: debug\n").ends_with("constraints: ''."));
}

#[test]
fn unknown_keys_are_reported_with_their_place() {
    let yaml = "json_output: true\nwebserver: {listen_prot: 1}\ncoffee: strong\nrules_file: x\n";
    let loaded = loaded(yaml, &["outputs_queue.capcity=1", "static_fields.x=y"]).unwrap();
    let lines: Vec<_> = loaded.warnings.iter().map(Problem::to_line).collect();
    assert!(lines[0].ends_with(
        "falco.yaml:2:13: unknown key 'webserver.listen_prot' (did you mean `listen_port`?)"
    ));
    assert!(lines[1].ends_with("falco.yaml:3:1: unknown key 'coffee'"), "{lines:?}");
    assert_eq!(
        lines[2],
        "-o outputs_queue.capcity=1: unknown key 'outputs_queue.capcity' (did you mean `capacity`?)"
    );
    assert_eq!(lines.len(), 3);
}

#[test]
fn an_index_into_a_list_of_the_file_is_no_unknown_key() {
    let loaded = loaded("rules_files: [a, b]\n", &["rules_files[1]=c"]).unwrap();
    assert_eq!(loaded.config.rules_files, ["a", "c"]);
    assert!(loaded.warnings.is_empty());
}

#[test]
fn what_happens_in_a_full_queue_is_set_for_each_output() {
    let yaml = "stdout_output: {enabled: true, when_full: drop_oldest}\n\
                file_output: {enabled: true, filename: f}\noutputs_queue: {max_memory_mb: 8}\n";
    let loaded = loaded(yaml, &["file_output.when_full=block"]).unwrap();
    let Config { stdout_output, syslog_output, file_output, outputs_queue, .. } = loaded.config;
    assert_eq!(stdout_output.when_full, WhenFull::DropOldest);
    assert_eq!(syslog_output.when_full, WhenFull::Auto);
    assert_eq!(file_output.unwrap().when_full, WhenFull::Block);
    assert_eq!((outputs_queue.capacity, outputs_queue.max_memory_mb), (0, 8));
    let error = self::loaded("syslog_output: {when_full: explode}\n", &[]).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("when_full 'explode' is unknown."), "{error}");
}

#[test]
fn every_key_is_explained() {
    let rows = reference();
    assert!(rows.len() > 90);
    assert!(rows.iter().all(|row| row.about.ends_with('.')), "{rows:#?}");
    assert!(rows.iter().any(|row| row.key == "engine.replay.capture_file"));
}

#[test]
fn a_missing_file_is_an_error() {
    let error = load(Main::File(Path::new("/no/such/falco.yaml")), &[], &mut |_| ()).unwrap_err();
    assert!(error.to_string().starts_with("Cannot read config file (/no/such/falco.yaml)"));
}

/// Cargo sets this variable for tests.
const VARIABLE: &str = "CARGO_PKG_NAME";
const VALUE: &str = "peregrine-config";

#[test]
fn what_is_shown_has_variables_by_name_and_no_secrets() {
    let yaml = format!(
        "program_output: {{enabled: true, program: \"post --token abc ${{{VARIABLE}}}\"}}\n\
         http_output: {{enabled: true, url: \"https://me:pw@host/?sig=${{{VARIABLE}}}&x=1\"}}\n\
         static_fields: {{site: \"${{{VARIABLE}}}\", password: hunter2, api_key: \"${{{VARIABLE}}}\"}}\n\
         plugins: [{{name: p, library_path: /p.so, init_config: {{secrets: [a, {{b: c}}], n: 1}},
                    open_params: '{{\"token\": \"xyz\"}}'}}]\n\
         rules_files: &list [\"$${{HOME}}\", \"${{{VARIABLE}}}\"]\n\
         load_plugins: *list\n"
    );
    let loaded = loaded(
        &yaml.replace("load_plugins: *list", "config_files: []"),
        &["static_fields.token=very secret", "append_output[]={extra_output: hello, secret: s}"],
    );
    let loaded = loaded.unwrap();
    assert_eq!(loaded.config.static_fields["site"], VALUE);
    assert_eq!(loaded.config.plugins.0[0].init_config, r#"{"n":1,"secrets":["a",{"b":"c"}]}"#);
    let shown = dump(&loaded.printable);
    assert_eq!(
        shown,
        r#"{"program_output": {"enabled": "true", "program": "post --token [redacted] ${CARGO_PKG_NAME}"}, "#
            .to_owned()
            + r#""http_output": {"enabled": "true", "url": "https://[redacted]@host/?sig=${CARGO_PKG_NAME}&x=[redacted]"}, "#
            + r#""static_fields": {"site": "${CARGO_PKG_NAME}", "password": "[redacted]", "api_key": "${CARGO_PKG_NAME}", "token": "[redacted]"}, "#
            + r#""plugins": [{"name": "p", "library_path": "/p.so", "init_config": {"secrets": ["[redacted]", {"b": "[redacted]"}], "n": "1"}, "#
            + r#""open_params": "{\"token\": \"[redacted]\"}"}], "#
            + r#""rules_files": ["$${HOME}", "${CARGO_PKG_NAME}"], "config_files": [], "#
            + r#""append_output": [{"extra_output": "hello", "secret": "[redacted]"}]}"#
    );
    assert!(!shown.contains(VALUE));
}

#[test]
fn errors_show_variables_by_name_and_no_secrets() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("falco.yaml");
    let wrong = |text: &str, options: &[&str]| {
        fs::write(&file, text).unwrap();
        let options: Vec<String> = options.iter().map(ToString::to_string).collect();
        let error = load(Main::File(&file), &options, &mut |_| ()).unwrap_err();
        format!("{error}\n{}", error.snippet())
    };
    let of_variable = wrong(&format!("log_level: ${{{VARIABLE}}}\n"), &[]);
    assert!(of_variable.starts_with("Unknown log level ${CARGO_PKG_NAME}\n"), "{of_variable}");
    assert!(!of_variable.contains(VALUE), "{of_variable}");
    let one_line = wrong("{log_level: loud, static_fields: {password: hunter2}}\n", &[]);
    assert!(one_line.contains("password: *******"), "{one_line}");
    for (text, options) in [
        ("{static_fields: {password: hunter2}, log_level: loud}\n", [].as_slice()),
        ("static_fields: {password: hunter2\nlog_level: loud\n", &[]),
        ("", &["append_output[]={token: hunter2, extra_fields: [{a: [b]}]}"]),
        ("", &["http_output=https://me:hunter2@host"]),
        ("", &["password: hunter2"]),
    ] {
        let error = wrong(text, options);
        assert!(!error.contains("hunter2"), "{error}");
    }
}

/// The warnings of a configuration, one line each.
fn warnings(yaml: &str, options: &[&str]) -> Vec<String> {
    let lines = loaded(yaml, options).unwrap().warnings;
    let name = |line: String| {
        line.rsplit_once("falco.yaml:").map_or(line.clone(), |(_, at)| at.to_owned())
    };
    lines.iter().map(|warning| name(warning.to_line())).collect()
}

#[test]
fn a_key_given_twice_is_named_with_both_lines() {
    let yaml = "priority: error\nengine:\n  kind: nodriver\n  kind: kmod\npriority: debug\n";
    assert_eq!(
        warnings(yaml, &[]),
        [
            "4:3: key 'engine.kind' is given twice, in lines 3 and 4: the one in line 3 counts",
            "5:1: key 'priority' is given twice, in lines 1 and 5: the one in line 1 counts",
        ]
    );
    let config = loaded(yaml, &[]).unwrap().config;
    assert_eq!((config.priority, config.engine), (Priority::Error, Engine::NoDriver));
}

#[test]
fn values_that_a_key_does_not_take_are_named_in_files_and_options() {
    let yaml = "json_output: perhaps\nwebserver: {listen_port: http}\nrules_files: {a: b}\n\
                append_output: [{match: {tags: files}, extra_output: x}]\nlog_stderr: on\npriority:\n";
    let found = warnings(yaml, &["output_timeout=soon", "json_output=on"]);
    let expected = [
        "-o output_timeout=soon: 'output_timeout' does not take this value: it is ignored, and the default applies, 2000",
        "2:26: 'webserver.listen_port' does not take this value: it is ignored, and the default applies, 8765",
        "3:14: 'rules_files' does not take this value: it is ignored, and the default applies, empty",
        "4:32: 'append_output[0].match.tags' does not take this value: it is ignored, and the default applies",
    ];
    for line in expected {
        assert!(found.iter().any(|found| found == line), "{line}\n{found:#?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    assert!(warnings("json_output: perhaps\n", &[])[0].starts_with("1:14: 'json_output' does not"));
}

#[test]
fn paths_and_variables_that_do_not_exist_are_named() {
    let yaml = "config_files: [/nowhere/a.yaml]\nrules_files: [/, /nowhere/b.yaml]\n\
                http_output: {url: 'http://${PEREGRINE_TEST_NOT_SET}/'}\n";
    let config = loaded(yaml, &[]).unwrap();
    assert_eq!(config.rules, ["/"]);
    let absent = config.absent_rules[0].to_line();
    assert!(
        absent.ends_with(
            "falco.yaml:2:18: rules_files: /nowhere/b.yaml does not exist, so nothing is read there"
        ),
        "{absent}"
    );
    assert_eq!(
        warnings(yaml, &[]),
        [
            "3:20: environment variable 'PEREGRINE_TEST_NOT_SET' is not set: nothing stands in its place (`$${…}` is the text `${…}`)",
            "1:16: config_files: /nowhere/a.yaml does not exist, so nothing is read there",
        ]
    );
    let option = loaded("", &["rules_files[]=/nowhere/c.yaml"]).unwrap();
    assert!(option.absent_rules[0].to_line().starts_with("-o rules_files[]=/nowhere/c.yaml: "));
}

#[test]
fn keys_that_nothing_reads_are_named_if_they_are_set() {
    assert_eq!(
        warnings("plugins_hostinfo: true\nfalco_libs: {thread_table_size: 9}\n", &[]),
        [""; 0]
    );
    assert_eq!(
        warnings(
            "rule_files: [a.yaml]\nwebserver: {enabled: true, prometheus_metrics_enabled: true}\n",
            &[]
        ),
        [
            "1:13: 'rule_files' has no effect: the key is `rules_files`",
            "2:56: 'webserver.prometheus_metrics_enabled' has no effect: `metrics.enabled` is off",
        ]
    );
}

#[test]
fn changes_to_fields_of_text_are_named() {
    let output = |format: &str| {
        let peregrine = format!("{{format: {format}, fields: {{drop: [a]}}}}");
        format!("stdout_output: {{enabled: true, peregrine: {peregrine}}}\n")
    };
    let told = "1:66: 'stdout_output.peregrine.fields' has no effect: text does not list the fields of rules";
    assert_eq!(warnings(&output("text"), &[]), [told]);
    assert_eq!(warnings(&output("auto"), &[]), [told]);
    assert_eq!(warnings(&output("auto"), &["json_output=true"]), [""; 0]);
    assert_eq!(warnings(&output("cef"), &[]), [""; 0]);
}

#[test]
fn labels_point_at_values_of_files_and_options() {
    let config = loaded("a: 1\nrules: [{enable: {tag: t}}]\n", &["http_output.url=u"]).unwrap();
    let line =
        |key| config.label(key).map(|label| (label.source.name.clone(), label.span.start.column));
    assert!(
        line("rules[0].enable.tag").is_some_and(|(name, at)| name.ends_with("yaml") && at == 23)
    );
    assert_eq!(line("http_output.url"), Some(("command line".to_owned(), 16)));
    // A section that an option makes has the place of its value.
    assert_eq!(line("http_output"), Some(("command line".to_owned(), 16)));
    assert_eq!((line("priority"), line("rules[4]")), (None, None));
}

#[test]
fn the_url_of_http_is_checked_and_loses_its_quotes() {
    let url = |url: &str| {
        let yaml = format!("http_output: {{enabled: true, url: {url}}}\n");
        loaded(&yaml, &[]).map(|loaded| loaded.config.http_output.unwrap().url.reveal().to_owned())
    };
    assert_eq!(url("'\"https://h/x\"'").unwrap(), "https://h/x");
    assert_eq!(url("\"'HTTP://h'\"").unwrap(), "http://h");
    assert_eq!(url("localhost:2801/x").unwrap(), "http://localhost:2801/x");
    assert_eq!(url("'http://u:p@[::1]:80/'").unwrap(), "http://u:p@[::1]:80/");
    let scheme = "http_output.url: ftp://[redacted]@h has a scheme that is neither http nor https";
    assert_eq!(url("'ftp://me:hunter2@h'").unwrap_err(), scheme);
    assert!(url("'http://:80/'").unwrap_err().ends_with("has no host"));
    assert!(url("'https://'").unwrap_err().ends_with("has no host"));
    assert!(url("'http://h/a b'").unwrap_err().ends_with("has a blank in it"));
}

#[test]
fn outputs_that_cannot_work_are_errors_at_their_keys() {
    let error = |yaml: &str| {
        let error = loaded(yaml, &[]).unwrap().check_outputs().unwrap_err();
        assert!(!error.snippet().is_empty() && error.problem().help.is_some());
        error.to_string()
    };
    assert_eq!(
        error("file_output: {enabled: true, filename: /no/such/alerts}\n"),
        "file_output.filename: /no/such is no directory"
    );
    assert_eq!(
        error("program_output: {enabled: true, program: 'no-such-prog | cat'}\n"),
        "program_output.program: there is no program no-such-prog that this user can execute"
    );
    let works = "file_output: {enabled: true, filename: alerts}\n\
                 program_output: {enabled: true, program: cat}\n";
    assert!(loaded(works, &[]).unwrap().check_outputs().is_ok());
}

#[test]
fn http_has_keys_of_its_own() {
    let yaml = "http_output:\n  enabled: true\n  url: h\n  max_consecutive_timeouts: 2\n  peregrine:\n    \
                batch: {max_alerts: 7, form: ndjson}\n    encoding: zstd\n    \
                headers: {X-Scope: attic}\n    bearer_token: hunter2\n    proxy: ''\n";
    let read = loaded(yaml, &[]).unwrap();
    let http = read.config.http_output.clone().unwrap();
    assert_eq!((http.retries.max, http.retries.max_seconds), (2, 30));
    let own = http.peregrine;
    let batch = own.batch.unwrap();
    assert_eq!((batch.max_alerts, batch.max_kb, batch.form), (7, 1024, BatchForm::Lines));
    assert_eq!((own.encoding, own.proxy), (Encoding::Zstd, Some(Secret::default())));
    assert_eq!(own.headers.0["X-Scope"].reveal(), "attic");
    let shown = format!("{:?} {}", read.config, dump(&read.printable));
    assert!(!shown.contains("hunter2") && !shown.contains("attic"), "{shown}");

    let retries = "http_output: {enabled: true, url: h, peregrine: {retries: {max: 9}}}\n";
    assert_eq!(loaded(retries, &[]).unwrap().config.http_output.unwrap().retries.max, 9);
    let both = "http_output: {enabled: true, url: h, peregrine: {bearer_token: a, bearer_token_file: b}}\n";
    assert!(loaded(both, &[]).unwrap_err().contains("exclude each other"));
}
