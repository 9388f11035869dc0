use std::fs;
use std::io::Read;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::Path;
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;

use super::*;
use crate::testing::{alerts, formatter, lines};

fn output(path: &Path, keep_alive: bool) -> FileOutput {
    FileOutput { keep_alive, ..FileOutput::new(path.to_owned(), FileMode::PRIVATE) }
}

fn rotated(path: &Path, rotation: Rotation) -> File {
    let output = FileOutput { rotation: Some(rotation), ..output(path, true) };
    File::new(output, formatter(), false)
}

/// Names beside the file, in order, without the times in them.
fn names(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path.parent().unwrap()).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn buffered_lines_wait_for_the_flush() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    let mut buffered = File::new(output(&path, true), formatter(), true);
    buffered.deliver(&alerts(&["a", "b"])).unwrap();
    assert!(!path.exists());
    buffered.finish().unwrap();
    assert_eq!(read(&path), lines(&["a", "b"]));
    let mut direct = File::new(output(&path, true), formatter(), false);
    direct.deliver(&alerts(&["c"])).unwrap();
    assert_eq!(read(&path), lines(&["a", "b", "c"]));
}

#[test]
fn a_file_is_appended_to_and_found_again_after_rotation() {
    let dir = tempfile::tempdir().unwrap();
    let (path, rotated) = (dir.path().join("out"), dir.path().join("out.1"));
    fs::write(&path, "before\n").unwrap();
    let mut file = File::new(output(&path, true), formatter(), false);
    file.deliver(&alerts(&["one"])).unwrap();
    fs::rename(&path, &rotated).unwrap();
    file.deliver(&alerts(&["two"])).unwrap();
    file.reopen().unwrap();
    file.deliver(&alerts(&["three"])).unwrap();
    file.finish().unwrap();
    assert_eq!(read(&rotated), format!("before\n{}", lines(&["one", "two"])));
    assert_eq!(read(&path), lines(&["three"]));
}

#[test]
fn a_file_that_is_not_kept_open_follows_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let (path, rotated) = (dir.path().join("out"), dir.path().join("out.1"));
    let mut file = File::new(output(&path, false), formatter(), true);
    file.deliver(&alerts(&["one"])).unwrap();
    fs::rename(&path, &rotated).unwrap();
    file.deliver(&alerts(&["two"])).unwrap();
    assert_eq!(read(&rotated), lines(&["one"]));
    assert_eq!(read(&path), lines(&["two"]));
}

#[test]
fn a_file_that_is_deleted_or_replaced_is_left_without_a_signal() {
    let dir = tempfile::tempdir().unwrap();
    let (directory, path) = (dir.path().join("logs"), dir.path().join("logs/out"));
    fs::create_dir(&directory).unwrap();
    let mut file = File::new(output(&path, true), formatter(), false);
    file.deliver(&alerts(&["one"])).unwrap();
    fs::remove_file(&path).unwrap();
    file.deliver(&alerts(&["two"])).unwrap();
    assert_eq!(read(&path), lines(&["two"]));
    // As logrotate's `create`.
    fs::rename(&path, directory.join("out.1")).unwrap();
    fs::write(&path, "").unwrap();
    file.deliver(&alerts(&["three"])).unwrap();
    assert_eq!(read(&path), lines(&["three"]));
    fs::rename(&directory, dir.path().join("old")).unwrap();
    file.deliver(&alerts(&["four"])).unwrap();
    fs::create_dir(&directory).unwrap();
    file.deliver(&alerts(&["five"])).unwrap();
    assert_eq!(read(&path), lines(&["five"]));
    assert_eq!(read(&dir.path().join("old/out")), lines(&["three", "four"]));
    fs::remove_dir_all(&directory).unwrap();
    assert_eq!(file.deliver(&alerts(&["six"])).failed, 1);
    fs::create_dir(&directory).unwrap();
    file.deliver(&alerts(&["seven"])).unwrap();
    assert_eq!(read(&path), lines(&["seven"]));
}

#[test]
fn a_file_that_can_not_be_opened_is_named() {
    let path = Path::new("/nonexistent/dir/out");
    let error = File::new(output(path, true), formatter(), false).deliver(&alerts(&["x"]));
    let error = error.unwrap_err().to_string();
    assert!(error.starts_with("failed to open output file /nonexistent/dir/out: "), "{error}");
}

#[test]
fn a_large_file_is_renamed_and_the_oldest_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    let line = lines(&["0"]).len() as u64;
    let rotation = Rotation {
        max_bytes: NonZeroU64::new(2 * line),
        keep: NonZeroUsize::new(2),
        ..Rotation::default()
    };
    fs::write(dir.path().join("out.old"), "not ours").unwrap();
    let mut file = rotated(&path, rotation);
    for text in ["1", "2", "3", "4", "5", "6", "7"] {
        file.deliver(&alerts(&[text])).unwrap();
    }
    file.finish().unwrap();
    let names = names(&path);
    let [current, first, second, other] = names.as_slice() else { panic!("{names:?}") };
    assert_eq!((current.as_str(), other.as_str()), ("out", "out.old"));
    assert_eq!(read(&dir.path().join(first)), lines(&["3", "4"]));
    assert_eq!(read(&dir.path().join(second)), lines(&["5", "6"]));
    assert_eq!(read(&path), lines(&["7"]));
}

#[test]
fn an_old_file_is_renamed_before_the_first_alert_of_an_interval() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    let every = Some(Duration::from_secs(3600));
    let mut file = rotated(&path, Rotation { every, ..Rotation::default() });
    file.deliver(&alerts(&["1"])).unwrap();
    let hour_ago = std::time::SystemTime::now() - Duration::from_secs(3600);
    fs::File::options().write(true).open(&path).unwrap().set_modified(hour_ago).unwrap();
    file.deliver(&alerts(&["2"])).unwrap();
    file.deliver(&alerts(&["3"])).unwrap();
    let names = names(&path);
    let [_, old] = names.as_slice() else { panic!("{names:?}") };
    assert_eq!(read(&dir.path().join(old)), lines(&["1"]));
    assert_eq!(read(&path), lines(&["2", "3"]));
}

#[test]
fn renamed_files_are_compressed_and_an_interrupted_compression_is_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    let stamps = ["20200101T000000.000000Z", "20200101T000000.000001Z", "20200101T000000.000002Z"];
    let [done, partial, plain] = stamps.map(|stamp| format!("out.{stamp}"));
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    // The compressed one was on the disk, but the other was not removed yet.
    write(&done, "done");
    write(&format!("{done}.gz"), "compressed");
    write(&partial, "partial");
    write(&format!("{partial}.gz.partial"), "half");
    write(&plain, "plain");
    let compression = Some(FileCompression::Gzip);
    let mut file = rotated(&path, Rotation { compression, ..Rotation::default() });
    file.deliver(&alerts(&["1"])).unwrap();
    file.finish().unwrap();
    let [done, partial, plain] = [done, partial, plain].map(|name| format!("{name}.gz"));
    assert_eq!(names(&path), ["out", &done, &partial, &plain]);
    assert_eq!(read(&dir.path().join(done)), "compressed");
    for (name, content) in [(partial, "partial"), (plain, "plain")] {
        let mut text = String::new();
        let file = fs::File::open(dir.path().join(name)).unwrap();
        GzDecoder::new(file).read_to_string(&mut text).unwrap();
        assert_eq!(text, content);
    }
}

#[test]
fn zstd_files_of_several_chunks_are_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (path, old) = (dir.path().join("out"), dir.path().join("out.20200101T000000.000000Z"));
    let text: String = (0..300_000).map(|number| format!("line {number}\n")).collect();
    fs::write(&old, &text).unwrap();
    let compression = Some(FileCompression::Zstd);
    let mut file = rotated(&path, Rotation { compression, ..Rotation::default() });
    file.deliver(&alerts(&["1"])).unwrap();
    let compressed = dir.path().join("out.20200101T000000.000000Z.zst");
    let begun = Instant::now();
    while old.exists() {
        assert!(begun.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(5));
    }
    let compressed = fs::read(compressed).unwrap();
    let (mut rest, mut whole) = (&*compressed, Vec::new());
    while !rest.is_empty() {
        let mut frame = ruzstd::decoding::StreamingDecoder::new(&mut rest).unwrap();
        frame.read_to_end(&mut whole).unwrap();
    }
    assert!(compressed.len() < text.len() / 2 && whole == text.as_bytes());
}

#[test]
fn what_can_not_be_renamed_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    let max_bytes = NonZeroU64::new(1);
    let mut file = rotated(&path, Rotation { max_bytes, ..Rotation::default() });
    file.deliver(&alerts(&["1"])).unwrap();
    fs::rename(&path, dir.path().join("elsewhere")).unwrap();
    let outcome = file.deliver(&alerts(&["2"]));
    assert_eq!((outcome.delivered, outcome.failed), (1, 0));
    let error = outcome.error.unwrap().to_string();
    assert!(error.starts_with("failed to rotate "), "{error}");
}

#[test]
fn files_are_written_to_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    for sync in [FileSync::Always, FileSync::Every(Duration::from_millis(1))] {
        let path = dir.path().join("out");
        let mut file = File::new(FileOutput { sync, ..output(&path, true) }, formatter(), false);
        for _ in 0..3 {
            assert_eq!(file.deliver(&alerts(&["1"])).unwrap(), 1);
        }
        file.finish().unwrap();
        // It has no place on a disk.
        let null = FileOutput { sync, ..output(Path::new("/dev/null"), true) };
        let mut null = File::new(null, formatter(), false);
        assert_eq!(null.deliver(&alerts(&["1"])).unwrap(), 1);
        null.finish().unwrap();
    }
}
