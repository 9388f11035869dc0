//! Files that the agent writes, and what it prints.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::agent::{Alerts, program};
use crate::trial::{MEMORY, Trial};

/// Another user.
const OTHER: u32 = 65534;

/// Captures and alerts hold arguments and environments: only their owner may read them. A symlink
/// of another user is not followed.
pub(super) fn private_files(trial: &mut Trial) {
    let shared = trial.place.path("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).unwrap();
    let victim = trial.place.path("victim");
    fs::write(&victim, "untouched").unwrap();
    symlink(&victim, shared.join("pid")).unwrap();
    lchown(shared.join("pid"), Some(OTHER), Some(OTHER)).unwrap();

    let prefix = trial.place.path("match");
    let prefix = format!("capture.path_prefix={}", prefix.display());
    let more = ["-w", "all.scap", "-o", "capture.enabled=true", "-o", "capture.mode=all_rules"];
    let more = [&more[..], &["-o", &prefix, "-o", "capture.default_duration=500"]].concat();
    trial.start(Alerts::FileOnly, &more);
    trial.pass(Duration::from_secs(2));
    trial.conclude(Signal::TERM, MEMORY);
    let mut written = vec![trial.place.path("all.scap"), trial.place.path("alerts.json")];
    let entries = fs::read_dir(trial.place.directory()).unwrap().flatten();
    let matches =
        entries.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b"match"));
    written.extend(matches.map(|entry| entry.path()));
    trial.note("files", written.len());
    trial.promise(written.len() > 2, || "no match was captured".to_owned());
    for path in written {
        let mode = fs::metadata(&path).map_or(0, |file| file.mode() & 0o7777);
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        trial.promise(mode == 0o600, || format!("{name} has mode {mode:o}"));
    }

    let output = peregrine(trial.place.directory())
        .args(["-r", "rules.yaml", "-P", "shared/pid", "-M", "1"])
        .arg("-o")
        .arg(format!("engine.modern_ebpf.scope.cgroup={}", trial.place.watched().display()))
        .output()
        .unwrap();
    let text = fs::read_to_string(&victim).unwrap();
    trial.promise(text == "untouched", || "a pid file was written through a symlink".to_owned());
    trial.note("exit code with the symlink", output.status.code().unwrap_or(-1));
}

/// A secret of the environment is not printed with the configuration.
pub(super) fn redaction(trial: &mut Trial) {
    const SECRET: &str = "correct-horse-battery-staple";
    let config = "engine: {kind: nodriver}\nload_plugins: []\n\
        http_output: {enabled: true, url: \"https://user:${PEREGRINE_TEST_SECRET}@example.invalid/\"}\n";
    trial.place.write("falco.yaml", config);
    trial.place.write("rules.yaml", "[]\n");
    for arguments in [
        &["--support"][..],
        &["--support", "-o", "http_output.user_agent=${PEREGRINE_TEST_SECRET}"],
    ] {
        let output = peregrine(trial.place.directory())
            .env("PEREGRINE_TEST_SECRET", SECRET)
            .args(["-r", "rules.yaml"])
            .args(arguments)
            .output()
            .unwrap();
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8_lossy(&printed).into_owned();
        trial.promise(printed.contains("example.invalid"), || {
            format!("no configuration: {printed}")
        });
        trial.promise(!printed.contains(SECRET), || format!("{arguments:?} prints the secret"));
    }
}

fn peregrine(directory: &Path) -> Command {
    let mut command = Command::new(program());
    command.current_dir(directory).args(["-c", "falco.yaml"]);
    command
}
