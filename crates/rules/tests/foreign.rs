//! Conditions and outputs as people write them who come from other languages, and what they are
//! told.

use peregrine_fields::Fields;
use peregrine_rules::{EventSource, Finding, LoadResult, Loader};

/// What the conditions may refer to.
const NAMES: &str = "\
- list: shell_binaries
  items: [bash, sh]
- list: trusted_nets
  items: [10.0.0.0/8]
- macro: open_write
  condition: evt.type in (open, openat, openat2)
- macro: spawned_process
  condition: evt.type = execve
";

const CONDITIONS: &[&str] = &[
    // Names of lists, macros and fields.
    "fd.sip in (my_ips)",
    "fd.sport in (my_ports)",
    "evt.type in (my_types)",
    "fd.snet in (trusted_net)",
    "evt.type = openwrite",
    "evt.type in (opne, closed)",
    "evt.type in (OPEN, sys_openat, open*)",
    "spawned_proces and shel and proc.nmae = x and fd.foo = 1",
    "proc.name = bash or sh",
    "container.id != host and k8s.ns.name = x",
    "ka.verb = create or ct.name = x or json.value[/a] = b",
    "procname = x",
    "Proc.Name = x",
    "proc.aname[ = x",
    "evt.arg = x",
    // Operators and words of other languages.
    "proc.name ends_with sh",
    "proc.name startsWith sh and proc.name like 'b%' and proc.name matches 'b.*'",
    "proc.name =~ bash",
    "proc.name !~ bash",
    "evt.type = open && proc.name = x || !proc.name = y",
    "evt.type=open&&proc.name=x",
    "evt.type = open AND NOT proc.name = x",
    "proc.name not in (a, b)",
    "proc.name is not x",
    "proc.name <> x",
    "proc.name contians x",
    "proc.name = x and exists proc.name",
    "exists(proc.name)",
    "lower(proc.name) = x",
    "proc.name contains",
    // Lists and values.
    "proc.name in [a, b]",
    "proc.name in a, b",
    "proc.name = (a, b)",
    "proc.name != (a, b)",
    "proc.name contains (a, b)",
    "proc.name in (a b)",
    "proc.name in (a, b,)",
    "proc.name = 'a' or 'b'",
    "fd.name startswith /etc or /usr",
    "proc.cmdline = bash -c ls",
    "fd.snet = 10.0.0.1",
    "fd.snet = 10.0.0.0/255.0.0.0",
    "fd.sip = 10.0.0.0/8",
    "fd.sip in (10.0.0.0/8, 192.168.0.0/16)",
    "fd.sip = example.com",
    "fd.sip = 10.0.*.*",
    "fd.sport = 1000-2000",
    "fd.sport = 0x50",
    "proc.pid = 1_000",
    "evt.latency > 10ms",
    "user.uid = root",
    "fd.is_server = yes",
    "fd.sport contains 2",
    "fd.sip startswith 10.",
    "fd.num > abc",
    // What is missing or too much.
    "evt.type = open and and proc.name = x",
    "evt.type = open and",
    "and evt.type = open",
    "evt.type = open and or proc.name = x",
    "(evt.type = open or proc.name = x",
    "evt.type = open) and proc.name = x",
    "proc.name = \"bash",
    "proc.name = don't",
    "proc.name",
    "evt.type = open and evt.is_open_write",
    "proc.name =",
    "evt.type = open proc.name = x",
    "evt.type = open, proc.name = x",
    "proc.name regex '(a'",
    "proc.name regex \"\\d+\"",
    "%proc.name = x",
    "\"proc.name\" = x",
    "evt.type = {{ type }}",
    "evt.type = open # all files",
    "evt.type = open and proc.name\u{a0}= x",
    "proc.name = \u{201c}my shell\u{201d}",
    "tolower(evt.type) = open",
];

const OUTPUTS: &[&str] = &[
    "%proc.nmae did it",
    "100% done",
    "done 100%",
    "%{proc.name} and %(user.name) and %s",
    "%20",
    "%container.id",
    "%proc.aname and %evt.arg",
    "%tolower(proc.nmae)",
    "%proc.nmae and 5 % and %fd.nam",
];

/// What Falco accepts silently.
const DOUBTFUL_CONDITIONS: &[&str] = &[
    "proc.name in (shell_binarys)",
    "proc.name in (cat, shell_binary, less)",
    "not proc.name = Shell-Binaries",
    "proc.name in (shell_binaries, 'shell_binarys')",
    "proc.name in (\"shell binarys\", a_b) and fd.name = /shell_binarys",
    "proc.name in (shell_tools, docker-proxy) and spawned_process",
    "proc.name = \u{201c}bash\u{201d}",
    "proc.name = '\u{201c}bash\u{201d}'",
    "fd.name in () or not proc.name in ( )",
    "proc.name =~ba.* and fd.name =~/x and proc.exe = \"~x\" and proc.args contains '=~'",
    "proc.cmdline contains my\u{a0}file and proc.name = ba\u{200b}sh",
    "user.uid = 0100 or fd.sport in (0080, '0443', 0) or fd.num > 07 or fd.name = 0644",
    "fd.name in (/etc/*.conf, '/usr/*', /x) or proc.name = bash* or fd.name startswith /etc/*",
    "proc.cmdline = 'rm *' or fd.name glob /etc/* or fd.name = \"*\" or fd.name pmatch (/a*)",
    "fd.name = ~/.ssh/id_rsa or fd.name startswith $HOME/x or proc.cmdline contains ~/x",
    "proc.name = %proc.pname or proc.name != %x or fd.name != null or not proc.name = nil",
    "proc.name in (open_write, x_y) or proc.name = spawned_process",
    "proc.pname = sshd; or proc.name = \"a;\" or proc.cmdline contains x;",
    "fd.name in (etc/passwd, '/etc/shadow') or fd.directory startswith ./x or proc.name = a/b",
    "fd.name = 10.0.0.1:80 or proc.exepath endswith bin/sh or fs.path.name contains etc/",
];

/// Codes of what follows.
const OF_DOUBT: &[&str] =
    &["W0406", "W0407", "W0408", "W0409", "W0412", "W0413", "W0414", "W0415", "W0504", "W0505"];

const DOUBTFUL_OUTPUTS: &[&str] = &[
    "{{ .proc.name }} and $proc.name and ${proc.name} and {fd.name}",
    "{\"name\": \"%proc.name\", \"price\": \"$5\", \"x\": {}}",
    "%proc.exe_path by %user.names for %evt.numms",
    "%proc.name, done. 100%% of %proc.pid.",
];

fn load(condition: &str, output: &str) -> LoadResult {
    let rule = format!(
        "{NAMES}- rule: R\n  desc: d\n  condition: >\n    {condition}\n  output: >\n    {output}\n  priority: INFO\n"
    );
    let syscall = EventSource::syscall(Fields::syscall());
    Loader::new(vec![syscall], Vec::new()).load("rules.yaml", rule.as_bytes())
}

/// The problems of texts that are refused.
fn wrong(texts: &[&str], load: impl Fn(&str) -> LoadResult) -> String {
    explained(texts, |text| {
        let result = load(text);
        assert!(!result.successful(), "{text}");
        result
    })
}

/// Doubtful texts are accepted, and Falco's form says nothing about them.
fn doubtful(texts: &[&str], load: impl Fn(&str) -> LoadResult) -> String {
    let all = explained(texts, |text| {
        let mut result = load(text);
        assert!(result.successful(), "{}", result.explanation());
        let falco = result.to_text();
        // The names that a condition does not use are not what this is about.
        result.findings.retain(Finding::is_own);
        for code in result.findings.iter().map(|finding| finding.cause.id()) {
            assert!(!falco.contains(code));
            assert!(OF_DOUBT.contains(&code), "{text}: {code}");
        }
        result
    });
    assert!(!all.contains("\nfix: "), "meanings change, so fixes are only offered");
    all
}

/// The problems of all texts, one after the other.
fn explained(texts: &[&str], load: impl Fn(&str) -> LoadResult) -> String {
    let mut all = String::new();
    for text in texts {
        let result = load(text);
        for problem in result.problems() {
            assert!(problem.code.starts_with(['E', 'W']));
            assert!(problem.labels.iter().all(|label| label.source.name == "rules.yaml"), "{text}");
        }
        all += &format!("=== {text}\n{}\n", result.explanation());
        for fix in result.problems().filter_map(|problem| problem.fix) {
            let safe = if fix.safe { "fix" } else { "offer" };
            all += &format!("{safe}: {}\n", fix.title);
        }
        all.push('\n');
    }
    all
}

#[test]
fn conditions_of_other_languages() {
    insta::assert_snapshot!(wrong(CONDITIONS, |condition| load(condition, "o")));
}

#[test]
fn conditions_that_pass_and_mean_something_else() {
    let warn = |condition: &str| load(&format!("evt.type = execve and ({condition})"), "o");
    insta::assert_snapshot!(doubtful(DOUBTFUL_CONDITIONS, warn));
}

#[test]
fn outputs_that_pass_and_mean_something_else() {
    insta::assert_snapshot!(doubtful(DOUBTFUL_OUTPUTS, |output| load("evt.type = open", output)));
}

#[test]
fn outputs_of_other_languages() {
    insta::assert_snapshot!(wrong(OUTPUTS, |output| load("evt.type = open", output)));
}
