use peregrine_engine::Matching;
use peregrine_fields::Fields;
use peregrine_rules::{EventSource, Loader, Outline};

use super::*;

/// Files with their names.
type Files<'f> = [(&'f str, &'f str)];

/// What is found in the set of these files, by all lints.
fn report_of(files: &Files<'_>) -> LintReport {
    let mut settings = Settings::default();
    settings.set("L0207", Level::Warn).unwrap();
    with(files, |input| lint(input, &settings))
}

fn with<T>(files: &Files<'_>, look: impl FnOnce(Input<'_>) -> T) -> T {
    let fields = Fields::syscall().with_containers(true);
    let mut loader = Loader::new(vec![EventSource::syscall(fields.clone())], Vec::new());
    for (name, text) in files {
        let result = loader.load(name, text.as_bytes());
        assert!(result.successful(), "{}\n{text}", result.explanation());
    }
    let written = &loader.written_conditions();
    let outline = &Outline::read(files.iter().copied());
    let mut rules = loader.into_rules();
    rules.select(&[], peregrine_alert::Priority::Debug);
    let (rules, fields) = (&rules, &fields);
    look(Input { rules, written, outline, fields, matching: Matching::First })
}

fn codes(report: &LintReport) -> Vec<&'static str> {
    report.findings.iter().map(|finding| finding.lint.code()).collect()
}

/// The upstream rules, where they are at hand.
fn upstream() -> Option<Vec<(&'static str, String)>> {
    let names = ["falco_rules.yaml", "falco-incubating_rules.yaml", "falco-sandbox_rules.yaml"];
    let dir = std::env::var("PEREGRINE_UPSTREAM_RULES").ok();
    let Some(dir) = dir else {
        println!("SKIPPED: PEREGRINE_UPSTREAM_RULES names no directory with the upstream rules");
        return None;
    };
    let read = |name| (name, std::fs::read_to_string(format!("{dir}/{name}")).unwrap());
    Some(names.map(read).into())
}

fn borrowed<'f>(files: &'f [(&'static str, String)]) -> Vec<(&'static str, &'f str)> {
    files.iter().map(|(name, text)| (*name, text.as_str())).collect()
}

#[test]
fn every_page_has_an_example_that_is_found_and_a_mended_one_that_is_not() {
    for lint in Lint::ALL {
        let page = lint.page();
        assert!(!page.meaning.is_empty() && !page.remedy.is_empty(), "{lint}");
        let found = |text: &str| codes(&report_of(&[("rules.yaml", text)]));
        let (example, mended) = (found(page.example), found(page.mended));
        assert!(example.contains(&lint.code()), "{lint}: {example:?}\n{}", page.example);
        assert!(!mended.contains(&lint.code()), "{lint}: {mended:?}\n{}", page.mended);
    }
}

#[test]
fn pages_read_well() {
    insta::assert_snapshot!(Lint::NameException.page_text());
}

#[test]
fn findings_read_well() {
    let text = Lint::ALL.iter().map(|lint| {
        let files = [("rules.yaml", lint.page().example)];
        let findings = report_of(&files).findings.into_iter();
        let own: Vec<_> = findings.filter(|finding| finding.lint == *lint).collect();
        report(&own, ReportFormat::Text, peregrine_diagnostics::Tool { name: "p", version: "1" })
    });
    insta::assert_snapshot!(text.collect::<String>());
}

const SHELL: &str = "
- rule: Shell
  desc: A shell is started.
  condition: evt.type in (execve, execveat) and proc.name = bash
  output: shell %proc.exepath %proc.cmdline (parent=%proc.pname user=%user.name)
  priority: NOTICE
  tags: [mitre_execution]
";

#[test]
fn comments_silence_findings_of_items_and_lines() {
    let found = |text: &str| {
        let report = report_of(&[("rules.yaml", text)]);
        (codes(&report), report.silenced)
    };
    assert_eq!(found(SHELL), (vec!["L0401"], 0));
    let above = SHELL.replace("- rule", "# lint: allow(L0401) seen elsewhere\n- rule");
    assert_eq!(found(&above), (vec![], 1));
    let first_line = SHELL.replace("rule: Shell", "rule: Shell # lint: allow(L0401)");
    assert_eq!(found(&first_line), (vec![], 1));
    let line = SHELL.replace("= bash", "= bash # lint: allow(L0401)");
    assert_eq!(found(&line), (vec![], 1));
    let other_line = SHELL.replace("NOTICE", "NOTICE # lint: allow(L0401)");
    assert_eq!(found(&other_line), (vec!["L0401", "L0002"], 0));
    let unknown = SHELL.replace("- rule", "# lint: allow(L0401, L0999)\n- rule");
    assert_eq!(found(&unknown), (vec!["L0001"], 1));
    // Inside a text, `#` begins no comment.
    let block = SHELL.replace("desc: A", "desc: |\n    # lint: allow(L0401)\n    A");
    assert_eq!(found(&block), (vec!["L0401"], 0));
}

#[test]
fn a_baseline_knows_findings_wherever_they_move() {
    let first = report_of(&[("rules.yaml", SHELL)]);
    let baseline = Baseline::read(&Baseline::of(&first.findings).write()).unwrap();
    let mut moved = report_of(&[("rules.yaml", &format!("# a comment\n\n{SHELL}"))]).findings;
    assert_eq!(baseline.remove_from(&mut moved), (1, 0));
    assert!(moved.is_empty());
    let mut other = report_of(&[("rules.yaml", &SHELL.replace("bash", "zsh"))]).findings;
    assert_eq!(baseline.remove_from(&mut other), (0, 1));
    for (text, error) in [
        ("{", "not a baseline: "),
        ("{}", "`version`"),
        (r#"{"version": 2}"#, "version 2"),
        (r#"{"version": 1, "findings": [{}]}"#, "`fingerprint`"),
    ] {
        let message = Baseline::read(text).unwrap_err().to_string();
        assert!(message.contains(error), "{message}");
    }
}

#[test]
fn forms_for_programs() {
    let report_in = |format| {
        let tool = peregrine_diagnostics::Tool { name: "peregrine", version: "1" };
        report(&report_of(&[("a,b.yaml", SHELL)]).findings, format, tool)
    };
    let github = report_in(ReportFormat::Github);
    assert!(
        github.starts_with("::warning file=a%2Cb.yaml,line=4,endLine=4,col=49,endColumn=65,"),
        "{github}"
    );
    let json: serde_json::Value = serde_json::from_str(&report_in(ReportFormat::Json)).unwrap();
    assert_eq!(json["findings"][0]["item"], "rule Shell");
    assert_eq!(json["findings"][0]["code"], "L0401");
    let sarif: serde_json::Value = serde_json::from_str(&report_in(ReportFormat::Sarif)).unwrap();
    assert_eq!(sarif["runs"][0]["results"][0]["ruleId"], "L0401");
}

#[test]
fn overrides_of_later_files_count() {
    let later = "
- rule: Shell
  condition: and proc.name = zsh
  override: {condition: append}
";
    let report = report_of(&[("base.yaml", SHELL), ("later.yaml", later)]);
    let never = &report.findings.iter().find(|it| it.lint == Lint::NeverTrue).unwrap().problem;
    assert_eq!(never.labels[0].source.name, "base.yaml");
    assert_eq!(never.related[0].label.source.name, "later.yaml");
}

/// Codes of a rule with this condition and output.
fn of_rule(lists: &str, condition: &str, output: &str) -> Vec<&'static str> {
    let rule = SHELL.replace("evt.type in (execve, execveat) and proc.name = bash", condition);
    let rule = rule.replace("output: shell", &format!("output: {output}"));
    codes(&report_of(&[("rules.yaml", &format!("{lists}{rule}"))]))
}

#[test]
fn what_falco_reads_differently() {
    let portable = |lists: &str, condition: &str, output: &str| {
        !of_rule(lists, condition, output).contains(&"L0601")
    };
    let path = "evt.type = execve and proc.exepath = /bin/nc";
    assert!(portable("", path, "shell"));
    assert!(!portable("", path, "100%% sure"));
    assert!(!portable("", path, "a %len(proc.name) b"));
    assert!(!portable("", "evt.type.is.openat = 1 and evt.type = openat", "o"));
    let lists = "- {list: a, items: [/a]}\n- {list: b, items: [a, /b]}\n";
    let condition = "evt.type = execve and proc.exepath in (b)";
    assert!(portable(lists, condition, "o"));
    let three = format!("{lists}- {{list: c, items: [b, /c]}}\n");
    assert!(!portable(&three, "evt.type = execve and proc.exepath in (c)", "o"));
    for (item, alike) in [
        ("\"two words\"", true),
        ("'\"two words\"'", true),
        ("\"it's\"", false),
        ("a=b", false),
        ("\"\"", false),
    ] {
        let list = format!("- list: b\n  items: [/b, {item}]\n");
        assert_eq!(portable(&list, condition, "o"), alike, "{list}");
    }
}

#[test]
fn values_are_found_twice_within_parentheses() {
    let found = |condition: &str| {
        let codes = of_rule("- {list: l, items: [/x]}\n", condition, "o");
        codes.iter().filter(|code| **code == "L0105").count()
    };
    assert_eq!(found("evt.type = execve and proc.exepath in (/a, l, /b, '/a', l)"), 2);
    assert_eq!(
        found("evt.type in (execve, open) and not evt.type in (open) and proc.exepath in (l)"),
        0
    );
}

#[test]
fn modes_have_a_form() {
    let never = |condition: &str| of_rule("", condition, "o").contains(&"L0108");
    assert!(never("evt.type = openat and evt.arg.mode = 644"));
    assert!(!never("evt.type = openat and evt.arg.mode in (0644, 0)"));
    assert!(never("evt.type = chmod and evt.arg.mode = 0777"));
    assert!(!never("evt.type = chmod and evt.arg.mode contains S_ISUID"));
    assert!(!never("evt.type in (chmod, openat) and evt.arg.mode = 0777"));
}

#[test]
fn paths_have_the_form_of_their_field() {
    let found = |test: &str| of_rule("", &format!("evt.type = openat and {test}"), "o");
    for test in [
        "fd.directory = /etc/",
        "fd.filename in (shadow, /etc/passwd)",
        "fd.filename startswith etc/",
        "proc.exepath in (/bin/sh, bash)",
    ] {
        assert!(found(test).contains(&"L0110"), "{test}");
    }
    for test in
        ["fd.directory = /", "fd.filename = shadow", "proc.exepath = memfd:x", "proc.exepath = /x"]
    {
        assert!(!found(test).contains(&"L0110"), "{test}");
    }
    assert!(found("proc.pname = /bin/sh").contains(&"L0110"));
    assert!(!found("proc.pname = sh").contains(&"L0110"));
}

#[test]
fn costs_of_rules() {
    let table = with(&[("rules.yaml", SHELL)], |input| cost_table(&cost_estimates(input, None)));
    assert!(table.lines().nth(1).unwrap().ends_with("      2  Shell"), "{table}");
}

#[test]
fn large_conditions_take_bounded_work() {
    let tests: Vec<_> = (0..400).map(|at| format!("fd.name startswith /d{at}/x")).collect();
    let (any, none) = (tests.join(" or "), tests.join(" and not "));
    let text = format!(
        "- macro: any\n  condition: ({any})\n- macro: none\n  condition: (not {none})\n{}",
        SHELL.replace("proc.name = bash", "proc.exepath = /x and any and none")
    );
    let report = report_of(&[("rules.yaml", &text)]);
    assert_eq!(codes(&report), ["L0101"]);
}

#[test]
fn published_bypasses_of_the_upstream_rules_are_found() {
    let Some(files) = upstream() else { return };
    let report = report_of(&borrowed(&files));
    for (code, item) in [
        ("L0404", "Read sensitive file untrusted"),
        ("L0404", "Read sensitive file trusted after startup"),
        ("L0404", "Write below etc"),
        ("L0404", "Write below root"),
        ("L0402", "Read sensitive file untrusted"),
        ("L0401", "Terminal shell in container"),
        ("L0401", "Run shell untrusted"),
        ("L0401", "Launch Suspicious Network Tool in Container"),
        ("L0401", "System procs network activity"),
        ("L0401", "Sudo Potential Privilege Escalation"),
        ("L0403", "Netcat Remote Code Execution in Container"),
        ("L0403", "Search Private Keys or Passwords"),
        ("L0403", "Sudo Potential Privilege Escalation"),
        ("L0403", "Detect crypto miners using the Stratum protocol"),
        ("L0405", "Create Symlink Over Sensitive Files"),
        ("L0406", "open_read"),
        ("L0406", "open_write"),
        ("L0406", "chmod"),
        ("L0406", "dup"),
        ("L0407", "weaveworks_scope"),
        ("L0407", "trusted_logging_images"),
        ("L0411", "Launch Sensitive Mount Container"),
        ("L0109", "openscap_rpm_binaries"),
    ] {
        let of_item = report.findings.iter().filter(|finding| finding.item == item);
        let found: Vec<_> = of_item.map(|finding| finding.lint.code()).collect();
        assert!(found.contains(&code), "{item}: {found:?} without {code}");
    }
    assert!(codes(&report).contains(&"L0412"));
}

#[test]
fn upstream_conditions_are_understood_as_the_loader_does() {
    let Some(files) = upstream() else { return };
    with(&borrowed(&files), |input| {
        let model = Model::new(input);
        assert_eq!(model.rules.len(), input.rules.rules.len());
        assert_eq!(model.macros.len(), input.rules.macros.len());
    });
}

mod sound;
