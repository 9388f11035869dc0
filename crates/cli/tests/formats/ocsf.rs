//! Findings against the published schema of OCSF, which a package of PyPI carries.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use super::{Place, RULES, captures};

/// What makes and checks the schema.
const PACKAGES: [&str; 2] = ["ocsf-json-schema==1.2.0", "jsonschema"];

/// A directory with the packages, or why there is none. Tests run side by side; one installs.
static INSTALLED: LazyLock<Result<PathBuf, String>> = LazyLock::new(install);

fn install() -> Result<PathBuf, String> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ocsf-packages");
    let python = |arguments: &[&str]| {
        let mut command = Command::new("python3");
        let output = command.args(arguments).env("PYTHONPATH", &directory).output();
        let output = output.map_err(|error| format!("python3: {error}"))?;
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(()) } else { Err(errors) }
    };
    let import = ["-c", "import ocsf_json_schema, jsonschema"];
    if python(&import).is_ok() {
        return Ok(directory);
    }
    let target = directory.to_string_lossy().into_owned();
    let install = ["-m", "pip", "install", "--quiet", "--upgrade", "--target", &target];
    python(&[&install[..], &PACKAGES].concat())?;
    python(&import).map(|()| directory)
}

/// The number of findings, all of which are valid. `None` if the schema can't be had.
#[track_caller]
fn validated(findings: &Path) -> Option<usize> {
    let packages = match &*INSTALLED {
        Ok(packages) => packages,
        Err(error) if std::env::var_os("PEREGRINE_CI").is_some() => panic!("no schema: {error}"),
        Err(error) => {
            println!("skipped: no schema of OCSF: {error}");
            return None;
        }
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats/ocsf.py");
    let mut command = Command::new("python3");
    command.arg(script).env("PYTHONPATH", packages).env("PYTHONDONTWRITEBYTECODE", "1");
    let output = command.stdin(fs::File::open(findings).unwrap()).stdout(Stdio::piped());
    let output = output.stderr(Stdio::piped()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap().trim().parse().unwrap())
}

const OCSF: &str = "file_output: {enabled: true, filename: file, peregrine: {format: ocsf}}\n";

#[test]
fn findings_of_the_built_in_rules_are_valid() {
    let place = Place::new(OCSF);
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wiring/assets/rules.yaml");
    fs::copy(rules, place.path("rules.yaml")).unwrap();
    fs::copy(captures().join("demo.scap"), place.path("events.scap")).unwrap();
    place.run_well();
    let findings = validated(&place.path("file"));
    assert!(findings.is_none_or(|findings| findings > 3), "{findings:?}");
}

/// Fields of all types and all that have a place in a finding, on all kinds of events.
#[test]
fn findings_with_all_fields_are_valid() {
    let fields = "evt.num evt.type evt.args evt.buffer evt.rawres evt.is_open_read evt.cpu \
        proc.pid proc.name proc.exepath proc.cmdline proc.cwd proc.vpid proc.ppid proc.pname \
        proc.pexepath proc.pcmdline proc.pvpid proc.fdusage proc.env thread.tid user.name user.uid \
        user.loginuid group.name group.gid fd.name fd.num fd.type fd.cip fd.cport fd.sip fd.sport \
        fd.l4proto fd.net fs.path.name container.id container.name";
    let output: Vec<_> = fields.split_whitespace().map(|field| format!("%{field}")).collect();
    let rule = format!(
        "- {{rule: All, desc: d, condition: evt.num < 2000, output: '{}', priority: ALERT}}\n",
        output.join(" ")
    );
    for capture in ["own_zoo.scap", "demo.scap", "test_ipv6_client.scap", "curl_google.scap"] {
        let place = Place::new(OCSF);
        place.write("rules.yaml", &rule);
        fs::copy(captures().join(capture), place.path("events.scap")).unwrap();
        place.run_well();
        let findings = validated(&place.path("file"));
        assert!(findings.is_none_or(|findings| findings > 20), "{capture}: {findings:?}");
    }
}

#[test]
fn findings_with_hostile_bytes_are_valid() {
    let place = Place::new(OCSF);
    place.write("rules.yaml", RULES);
    let long = [&b"/secret/"[..], &[b'x'; 4000]].concat();
    place.opens(&[b"/secret\xff\xfe\n\"\\\x01", b"", b"\xc0\xaf", b"/", b"//", &long, b"\xf0\x9f"]);
    place.run_well();
    let findings = validated(&place.path("file"));
    assert!(findings.is_none_or(|findings| findings == 7), "{findings:?}");
}
