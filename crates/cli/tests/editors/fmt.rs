//! `peregrine rules fmt`.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

const UNFORMATTED: &str =
    "# Mine.\n- list:   a\n  items: [b,c]\n- macro: m\n  condition: proc.name in(a)\n";
const FORMATTED: &str =
    "# Mine.\n- list: a\n  items: [b, c]\n\n- macro: m\n  condition: proc.name in (a)\n";

fn fmt(words: &[&str], place: &Path, input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_peregrine"));
    command.current_dir(place).args(["rules", "fmt"]).args(words);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // The program need not read its input.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// Exit code and everything that was printed.
fn outcome(output: &Output) -> (i32, String) {
    let printed = [output.stdout.as_slice(), &output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(printed).unwrap())
}

fn place() -> TempDir {
    let place = tempfile::tempdir().unwrap();
    for (name, text) in [("a.yaml", UNFORMATTED), ("b.yaml", FORMATTED)] {
        fs::write(place.path().join(name), text).unwrap();
    }
    place
}

#[test]
fn files_and_directories_are_formatted() {
    let place = place();
    assert_eq!(
        outcome(&fmt(&["--check", "."], place.path(), "")),
        (1, "./a.yaml: is not formatted\n".into())
    );
    assert_eq!(fs::read_to_string(place.path().join("a.yaml")).unwrap(), UNFORMATTED);
    assert_eq!(
        outcome(&fmt(&["a.yaml", "b.yaml"], place.path(), "")),
        (0, "a.yaml: formatted\n".into())
    );
    assert_eq!(fs::read_to_string(place.path().join("a.yaml")).unwrap(), FORMATTED);
    assert_eq!(outcome(&fmt(&["--check", "."], place.path(), "")), (0, String::new()));
}

#[test]
fn differences_are_printed() {
    let place = place();
    let (code, diff) = outcome(&fmt(&["--diff", "a.yaml", "b.yaml"], place.path(), ""));
    assert_eq!(code, 1);
    insta::assert_snapshot!(diff);
    assert_eq!(fs::read_to_string(place.path().join("a.yaml")).unwrap(), UNFORMATTED);
}

#[test]
fn standard_input_is_formatted_to_standard_output() {
    let place = place();
    assert_eq!(outcome(&fmt(&["-"], place.path(), UNFORMATTED)), (0, FORMATTED.into()));
    assert_eq!(
        outcome(&fmt(&["--check", "-"], place.path(), UNFORMATTED)),
        (1, "<stdin>: is not formatted\n".into())
    );
}

#[test]
fn files_that_cannot_be_formatted_are_named_and_stay() {
    let place = place();
    for (name, text) in [("falco.yaml", "json_output: true\n"), ("broken.yaml", "- list: [\n")] {
        fs::write(place.path().join(name), text).unwrap();
    }
    fs::write(place.path().join("latin.yaml"), b"- list: \xe9\n").unwrap();
    let files = ["falco.yaml", "broken.yaml", "latin.yaml", "none.yaml", "a.yaml"];
    let (code, printed) = outcome(&fmt(&files, place.path(), ""));
    assert_eq!(code, 2);
    insta::assert_snapshot!(printed);
    assert_eq!(fs::read_to_string(place.path().join("falco.yaml")).unwrap(), "json_output: true\n");
    assert_eq!(fs::read_to_string(place.path().join("a.yaml")).unwrap(), FORMATTED);
}
