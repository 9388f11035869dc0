//! Files that the program writes, through the program: their modes whatever the umask is, and
//! links, files and directories of other users.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_peregrine");
const CAPTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../conformance/captures/demo.scap");

/// A user without a name.
const OTHER: u32 = 54_321;

const CONFIG: &str = "\
stdout_output: {enabled: true}
log_stderr: true
log_syslog: false
plugins: [{name: container, library_path: libcontainer.so}]
engine: {kind: replay, replay: {capture_file: CAPTURE}}
";

const RULES: &str = "\
- rule: Everything
  desc: Every program that starts.
  condition: evt.type = execve
  output: started %proc.cmdline
  priority: NOTICE
  capture: true
";

/// A directory for everyone, as `/tmp` is, and one with the configuration.
struct Place {
    shared: TempDir,
    own: TempDir,
}

impl Place {
    fn new() -> Self {
        let place =
            Self { shared: tempfile::tempdir().unwrap(), own: tempfile::tempdir().unwrap() };
        fs::set_permissions(place.shared.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        fs::write(place.own.path().join("falco.yaml"), CONFIG.replace("CAPTURE", CAPTURE)).unwrap();
        fs::write(place.own.path().join("rules.yaml"), RULES).unwrap();
        place
    }

    /// A path in the directory for everyone.
    fn shared(&self, name: &str) -> PathBuf {
        self.shared.path().join(name)
    }

    /// A file with a text that must stay.
    fn victim(&self) -> PathBuf {
        let path = self.own.path().join("victim");
        fs::write(&path, "precious").unwrap();
        path
    }

    /// Runs a replay under a umask that takes nothing away. Returns its exit code and what it
    /// printed on stderr.
    fn run(&self, options: &[&str]) -> (i32, String) {
        let start = format!("umask 0; exec {PROGRAM} -c falco.yaml -r rules.yaml \"$@\"");
        let mut command = Command::new("sh");
        command.args(["-c", &start, "sh"]).args(options).current_dir(self.own.path());
        let output = command.output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }
}

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

/// Whether files can be given to another user; says so if not.
fn can_give() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        let _ =
            writeln!(std::io::stderr(), "skipped: files are given to another user by root only");
    }
    root
}

#[test]
fn files_are_private_whatever_the_umask_is() {
    let place = Place::new();
    let at = |name: &str| place.shared(name).display().to_string();
    let (pid, all, stacks) = (at("pid"), at("all.scap"), at("stacks"));
    let mut options = vec!["-P", &pid, "-w", &all, "--profile-folded", &stacks];
    let keys = [
        "file_output.enabled=true".to_owned(),
        format!("file_output.filename={}", at("alerts")),
        "metrics.enabled=true".to_owned(),
        "metrics.interval=1h".to_owned(),
        format!("metrics.output_file={}", at("metrics")),
        "capture.enabled=true".to_owned(),
        format!("capture.path_prefix={}", at("around")),
    ];
    options.extend(keys.iter().flat_map(|key| ["-o", key]));
    let (code, stderr) = place.run(&options);
    assert_eq!(code, 0, "{stderr}");
    let mut around = 0;
    for entry in fs::read_dir(place.shared.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        around += u32::from(name.starts_with("around_"));
        assert_eq!(mode_of(&path), if name == "pid" { 0o644 } else { 0o600 }, "{name}");
    }
    for name in ["all.scap", "stacks", "alerts", "metrics"] {
        assert!(place.shared(name).exists(), "{name}");
    }
    assert!(around > 0, "a capture around an alert");

    // The second run replaces or appends to the files of the first; new ones have the mode asked
    // for.
    fs::remove_file(place.shared("alerts")).unwrap();
    options.extend(["-o", "files.mode=0640"]);
    let (code, stderr) = place.run(&options);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(mode_of(&place.shared("all.scap")), 0o640);
    assert_eq!(mode_of(&place.shared("alerts")), 0o640);
    assert_eq!(mode_of(&place.shared("metrics")), 0o600, "an existing file keeps its mode");
}

#[test]
fn links_of_other_users_are_not_followed() {
    if !can_give() {
        return;
    }
    let place = Place::new();
    let victim = place.victim();
    let link = place.shared("link");
    symlink(&victim, &link).unwrap();
    lchown(&link, Some(OTHER), Some(OTHER)).unwrap();
    let link = link.to_str().unwrap();

    let (code, stderr) = place.run(&["-P", link]);
    assert_eq!(code, 255, "{stderr}");
    assert!(stderr.contains("is not followed"), "{stderr}");
    let (code, stderr) = place.run(&["-w", link]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("is not followed"), "{stderr}");
    let (code, stderr) = place.run(&["--profile-folded", link]);
    assert_eq!(code, 1, "{stderr}");
    let file = format!("file_output.filename={link}");
    let (_, stderr) = place.run(&["-o", "file_output.enabled=true", "-o", &file]);
    assert!(stderr.contains("is not followed"), "{stderr}");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
}

#[test]
fn files_of_other_users_are_not_written_to() {
    if !can_give() {
        return;
    }
    let place = Place::new();
    let trap = place.shared("alerts");
    fs::write(&trap, "").unwrap();
    fs::set_permissions(&trap, fs::Permissions::from_mode(0o644)).unwrap();
    chown(&trap, Some(OTHER), Some(OTHER)).unwrap();
    let file = format!("file_output.filename={}", trap.display());
    let (_, stderr) = place.run(&["-o", "file_output.enabled=true", "-o", &file]);
    assert!(stderr.contains("the file belongs to user 54321"), "{stderr}");
    let (code, _) = place.run(&["-w", trap.to_str().unwrap()]);
    assert_eq!(code, 1);
    assert_eq!(fs::metadata(&trap).unwrap().len(), 0);
}

/// A user who may mount can lay a file system over a file that lies about its owner.
#[test]
fn mount_points_in_directories_for_everyone_are_not_written_to() {
    let place = Place::new();
    let victim = place.victim();
    let trap = place.shared("alerts");
    fs::write(&trap, "").unwrap();
    let script = "mount --bind \"$1\" \"$2\" || exit 77
        exec \"$3\" -c falco.yaml -r rules.yaml -o file_output.enabled=true -o file_output.filename=\"$2\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, "sh"]).args([&victim, &trap]).arg(PROGRAM);
    let output = command.current_dir(place.own.path()).output();
    let Some(output) = output.ok().filter(|output| output.status.code() == Some(0)) else {
        let _ = writeln!(std::io::stderr(), "skipped: no mount namespace");
        return;
    };
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("the file is a mount point"), "{stderr}");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
}

#[test]
fn alerts_still_go_to_devices_and_pipes() {
    let place = Place::new();
    for path in ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "/dev/null"] {
        let file = format!("file_output.filename={path}");
        let options = ["-o", "file_output.enabled=true", "-o", &file];
        let (code, stderr) = place.run(&options);
        assert_eq!((code, stderr.contains("failed to open")), (0, false), "{path}: {stderr}");
    }
}
