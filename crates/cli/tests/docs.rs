//! The commands in README.md and docs/ work.
//!
//! Every line of a block marked `sh` is run by a shell, in a directory with the files that the
//! pages mention. Replays and questions run in full. Runs on a live machine stop before the first
//! event, `tune` measures a capture instead, and what takes root (`demo`) or a tool chain (`cargo`)
//! is reported as skipped.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

const RULES: &str = "\
- rule: Opened
  desc: A file is opened.
  condition: evt.type in (open, openat)
  output: '%fd.name'
  priority: NOTICE
";

const CONFIG: &str =
    "engine: {kind: modern_ebpf}\nstdout_output: {enabled: true}\nload_plugins: []\n";

/// Stands for the program: lets it go as far as it can without a live machine.
const PEREGRINE: &str = r#"#!/bin/sh
program=@PROGRAM@
case " $* " in
" demo "*) echo "SKIPPED: peregrine $*: takes root" >&2; exit 0 ;;
" tune "*" --capture "*) exec "$program" "$@" ;;
" tune "*) exec "$program" "$@" --capture trace.scap ;;
*engine.kind=replay*) exec "$program" "$@" ;;
" run "*) shift; exec "$program" run --dry-run "$@" ;;
" "[a-z]*) exec "$program" "$@" ;;
esac
exec "$program" --dry-run "$@"
"#;

const SUDO: &str = "#!/bin/sh\nexec \"$@\"\n";

const CARGO: &str = r#"#!/bin/sh
case " $* " in
" run "*" -- "*) while [ "$1" != -- ]; do shift; done; shift; exec peregrine "$@" ;;
*) echo "SKIPPED: cargo $*: takes a tool chain" >&2 ;;
esac
"#;

#[test]
fn the_table_of_keys_is_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = fs::read_to_string(root.join("docs/configuration.md")).unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_peregrine"));
    let table = program.args(["--config-schema", "--format", "markdown"]).output().unwrap().stdout;
    let table = String::from_utf8(table).unwrap();
    // A program that was built without an output knows its keys all the same.
    assert!(table.contains("`kafka_output.topic`"));
    assert!(
        page.ends_with(&table),
        "the table at the end of docs/configuration.md is not that of \
        `peregrine --config-schema --format markdown`"
    );
}

#[test]
fn commands_of_all_pages_work() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let pages = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut pages: Vec<_> =
        pages.filter(|path| path.extension().is_some_and(|e| e == "md")).collect();
    pages.push(root.join("README.md"));
    pages.sort();
    assert!(pages.len() >= 12, "{pages:?}");
    let commands: usize = pages.iter().map(|page| run(&root, page)).sum();
    assert!(commands >= 35, "only {commands} commands were found");
}

/// Runs the commands of a page. Returns their number.
fn run(root: &Path, page: &Path) -> usize {
    let text = fs::read_to_string(page).unwrap();
    let place = place(root, &text);
    let path = format!("{}:{}", place.path().join("bin").display(), std::env::var("PATH").unwrap());
    let lines = commands(&text);
    for line in &lines {
        let mut command = Command::new("sh");
        command.current_dir(place.path()).env("PATH", &path).args(["-c", line]);
        let output = command.output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {line}: {stderr}", page.display());
        stderr
            .lines()
            .filter(|line| line.starts_with("SKIPPED"))
            .for_each(|line| eprintln!("{line}"));
    }
    lines.len()
}

/// A directory with the files that pages mention, and with programs that stand for others.
fn place(root: &Path, page: &str) -> TempDir {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| -> PathBuf { place.path().join(name) };
    for rules in ["my_rules.yaml", "rules.yaml"] {
        fs::write(path(rules), RULES).unwrap();
    }
    fs::write(path("falco.yaml"), CONFIG).unwrap();
    let testing = fs::read_to_string(root.join("docs/testing-rules.md")).unwrap();
    let example = testing.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
    fs::write(path("shell.yaml"), example.unwrap()).unwrap();
    let old_rules = block(page, "conf").unwrap_or_default();
    fs::write(path("old.conf"), old_rules).unwrap();
    for (name, text) in named_files(page) {
        fs::write(path(name), text).unwrap();
    }
    let root = root.canonicalize().unwrap();
    for capture in ["trace.scap", "all.scap.gz", "incident.scap"] {
        symlink(root.join("conformance/captures/own_acts.scap"), path(capture)).unwrap();
    }
    symlink(root.join("conformance"), path("conformance")).unwrap();
    fs::create_dir(path("bin")).unwrap();
    let peregrine = PEREGRINE.replace("@PROGRAM@", env!("CARGO_BIN_EXE_peregrine"));
    for (name, script) in [("peregrine", peregrine.as_str()), ("sudo", SUDO), ("cargo", CARGO)] {
        let program = path("bin").join(name);
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    }
    place
}

/// The command lines of a page. A block that shows options alone stands for a command that reads
/// them.
fn commands(page: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut rest = page;
    while let Some((_, block)) = rest.split_once("```sh\n") {
        let (lines, after) = block.split_once("```").unwrap();
        let lines = lines.replace("\\\n", " ");
        let lines = lines.lines().map(str::trim).filter(|line| !line.is_empty());
        commands.extend(lines.map(|line| match line.starts_with('-') {
            true => format!("peregrine --version {line}"),
            false => line.to_owned(),
        }));
        rest = after;
    }
    commands
}

/// Blocks of YAML that begin with the name of a file.
fn named_files(page: &str) -> impl Iterator<Item = (&str, &str)> {
    page.split("```yaml\n# ").skip(1).filter_map(|block| {
        let (name, rest) = block.split_once('\n')?;
        let file = name.ends_with(".yaml") && !name.contains(' ');
        Some((name, rest.split_once("```")?.0)).filter(|_| file)
    })
}

/// The first block of a language.
fn block<'a>(page: &'a str, language: &str) -> Option<&'a str> {
    let (_, block) = page.split_once(&format!("```{language}\n"))?;
    Some(block.split_once("```")?.0)
}
