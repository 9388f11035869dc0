#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::PathBuf;

use rustix::fs::{FileType, mknodat};
use rustix::process::geteuid;
use tempfile::TempDir;

use super::*;

/// A user without a name.
const OTHER: u32 = 54_321;

/// A directory of the test's own, with these permissions.
fn place(mode: u32) -> TempDir {
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(mode)).unwrap();
    place
}

/// Whether files can be given to another user; says so if not.
fn can_give() -> bool {
    let root = geteuid().is_root();
    if !root {
        // Tests print only when they fail or are asked to.
        let _ =
            writeln!(std::io::stderr(), "skipped: files are given to another user by root only");
    }
    root
}

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

fn refusal(path: &Path) -> [String; 2] {
    [create, append].map(|open| match open(path, FileMode::PRIVATE) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    })
}

/// A file with a text that must stay.
fn victim(place: &TempDir) -> PathBuf {
    let path = place.path().join("victim");
    fs::write(&path, "precious").unwrap();
    path
}

#[test]
fn new_files_have_the_mode_and_parents_with_links() {
    let place = place(0o755);
    fs::create_dir(place.path().join("real")).unwrap();
    symlink("real", place.path().join("link")).unwrap();
    symlink(place.path().join("link"), place.path().join("absolute")).unwrap();
    for (name, mode) in [("a", "0600"), ("b", "0640")] {
        let path = place.path().join("absolute/../link").join(name);
        append(&path, mode.parse().unwrap()).unwrap().write_all(b"x").unwrap();
        let real = place.path().join("real").join(name);
        assert_eq!(format!("{:04o}", mode_of(&real)), mode);
    }
}

#[test]
fn create_replaces_and_append_keeps() {
    let place = place(0o755);
    let path = place.path().join("file");
    fs::write(&path, "old").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    append(&path, FileMode::PRIVATE).unwrap().write_all(b" and new").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "old and new");
    assert_eq!(mode_of(&path), 0o644, "an existing file keeps its mode");
    let second = place.path().join("second name");
    fs::hard_link(&path, &second).unwrap();
    create(&path, FileMode::PRIVATE).unwrap().write_all(b"fresh").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "fresh");
    assert_eq!(mode_of(&path), 0o600);
    assert_eq!(fs::read_to_string(&second).unwrap(), "old and new", "nothing was truncated");
}

#[test]
fn a_directory_for_everyone_must_be_sticky() {
    let open = place(0o777);
    for text in refusal(&open.path().join("file")) {
        assert!(text.contains("chmod +t"), "{text}");
    }
    assert!(!open.path().join("file").exists());
    fs::create_dir(open.path().join("below")).unwrap();
    assert!(!refusal(&open.path().join("below/file")).contains(&String::new()));
    let sticky = place(0o1777);
    append(&sticky.path().join("file"), FileMode::PRIVATE).unwrap();
    create(&sticky.path().join("file"), FileMode::PRIVATE).unwrap();
}

#[test]
fn links_are_not_followed() {
    for mode in [0o755, 0o1777] {
        let place = place(mode);
        let victim = victim(&place);
        let link = place.path().join("link");
        symlink(&victim, &link).unwrap();
        symlink(place.path().join("missing"), place.path().join("dangling")).unwrap();
        for name in ["link", "dangling"] {
            for text in refusal(&place.path().join(name)) {
                assert!(text.contains("symbolic link"), "{text}");
            }
        }
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
        assert!(!place.path().join("missing").exists());
    }
}

#[test]
fn links_of_other_users_lead_nowhere() {
    if !can_give() {
        return;
    }
    let place = place(0o1777);
    let victim = victim(&place);
    let link = place.path().join("link");
    symlink(&victim, &link).unwrap();
    lchown(&link, Some(OTHER), Some(OTHER)).unwrap();
    for text in refusal(&link) {
        assert!(text.contains("symbolic link"), "{text}");
    }
    // A directory that is replaced by a link.
    let directory = place.path().join("directory");
    fs::create_dir(place.path().join("other")).unwrap();
    symlink(place.path().join("other"), &directory).unwrap();
    lchown(&directory, Some(OTHER), Some(OTHER)).unwrap();
    for text in refusal(&directory.join("file")) {
        assert!(text.contains("symbolic link"), "{text}");
    }
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    assert!(!place.path().join("other/file").exists());
}

#[test]
fn files_and_directories_of_other_users_are_not_used() {
    if !can_give() {
        return;
    }
    let place = place(0o1777);
    let victim = victim(&place);
    chown(&victim, Some(OTHER), None).unwrap();
    for text in refusal(&victim) {
        assert!(text.contains("belongs to user 54321"), "{text}");
    }
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    let directory = place.path().join("theirs");
    fs::create_dir(&directory).unwrap();
    chown(&directory, Some(OTHER), None).unwrap();
    for text in refusal(&directory.join("file")) {
        assert!(text.contains("theirs belongs to user 54321"), "{text}");
    }
    let fifo = place.path().join("fifo");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o666), 0).unwrap();
    chown(&fifo, Some(OTHER), None).unwrap();
    for text in refusal(&fifo) {
        assert!(text.contains("belongs to user 54321"), "{text}");
    }
}

#[test]
fn second_names_in_shared_directories_are_not_appended_to() {
    let place = place(0o1777);
    let victim = victim(&place);
    let name = place.path().join("alerts");
    fs::hard_link(&victim, &name).unwrap();
    let error = append(&name, FileMode::PRIVATE).unwrap_err();
    assert!(matches!(error, FileError::HardLink), "{error}");
    create(&name, FileMode::PRIVATE).unwrap().write_all(b"new").unwrap();
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
}

#[test]
fn a_file_for_everyone_is_not_appended_to() {
    let place = place(0o755);
    let path = victim(&place);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let error = append(&path, FileMode::PRIVATE).unwrap_err();
    assert!(matches!(error, FileError::Mode), "{error}");
    create(&path, FileMode::PRIVATE).unwrap();
    assert_eq!(mode_of(&path), 0o600);
}

#[test]
fn streams_are_opened_as_they_are() {
    for path in ["/dev/null", "/dev/fd/2", "/proc/self/fd/2"] {
        for open in [create, append] {
            if let Err(error) = open(Path::new(path), FileMode::PRIVATE) {
                // Standard error may be a socket, which can't be opened again.
                assert!(path != "/dev/null", "{path}: {error}");
            }
        }
    }
    let place = place(0o755);
    let fifo = place.path().join("fifo");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    for open in [create, append] {
        let reader = File::options().read(true).write(true).open(&fifo).unwrap();
        open(&fifo, FileMode::PRIVATE).unwrap().write_all(b"alert").unwrap();
        let mut text = [0; 5];
        (&reader).read_exact(&mut text).unwrap();
        assert_eq!(&text, b"alert");
    }
    assert!(fs::metadata(&fifo).unwrap().mode() & 0o170_000 == 0o010_000, "it is still there");
}

#[test]
fn a_link_to_an_own_descriptor_works_as_in_container_images() {
    let place = place(0o755);
    let file = tempfile::tempfile().unwrap();
    let link = place.path().join("alerts.log");
    symlink(format!("/proc/self/fd/{}", file.as_raw_fd()), &link).unwrap();
    append(&link, FileMode::PRIVATE).unwrap().write_all(b"x").unwrap();
    assert_eq!(file.metadata().unwrap().len(), 1);
}

#[test]
fn what_is_no_file_is_refused() {
    let place = place(0o755);
    let socket = place.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for text in refusal(&socket) {
        assert!(text.contains("but a socket"), "{text}");
    }
    for text in refusal(place.path()) {
        assert!(text.contains("but a directory"), "{text}");
    }
    let missing = place.path().join("missing/file");
    for text in refusal(&missing) {
        assert_eq!(text, "No such file or directory (os error 2)");
    }
    for path in ["", "/", ".."] {
        assert!(!refusal(Path::new(path)).contains(&String::new()), "{path}");
    }
    let circle = place.path().join("circle");
    symlink(&circle, &circle).unwrap();
    for text in refusal(&circle.join("file")) {
        assert!(text.contains("os error 40"), "{text}");
    }
}

#[test]
fn private_directories_are_made_once() {
    let place = place(0o755);
    let path = place.path().join("state");
    private_directory(&path).unwrap();
    assert_eq!(mode_of(&path), 0o700);
    private_directory(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
    let error = private_directory(&path).unwrap_err();
    assert!(matches!(error, FileError::DirectoryMode { .. }), "{error}");
    let error = private_directory(&place.path().join("a/b")).unwrap_err();
    assert!(matches!(error, FileError::System(_)), "{error}");
}

#[test]
fn own_descriptors_have_a_number() {
    assert_eq!(own_descriptor(Path::new("/dev/stdout")), Some(1));
    assert_eq!(own_descriptor(Path::new("/dev/fd/63")), Some(63));
    assert_eq!(own_descriptor(Path::new("/proc/self/fd/7")), Some(7));
    for path in ["/dev/fd/-1", "/dev/fd/", "/dev/fd/1/x", "/proc/1/fd/1", "/dev/stdin", "x"] {
        assert_eq!(own_descriptor(Path::new(path)), None, "{path}");
    }
}
