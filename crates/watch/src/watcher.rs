//! The inotify instance.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

use crate::plan::{Names, Plan, Target};

/// Size of the buffer that the kernel writes changes into: hundreds of them.
const BUFFER: usize = 16 << 10;
/// Changes taken by one call, so that a directory that changes all the time can't hold it up.
const MAX_CHANGES: usize = 10_000;

/// Notices that files may have changed.
#[derive(Debug)]
pub struct Watcher {
    inotify: OwnedFd,
    watches: HashMap<i32, Interest>,
}

/// The result of [`Watcher::watch`].
#[derive(Debug, Default)]
pub struct Watched {
    /// Whether something is watched that was not before: it may have changed until now.
    pub new: bool,
    /// What can't be watched.
    pub failed: Vec<Unwatched>,
}

/// A path whose changes are not noticed.
#[derive(Debug)]
pub struct Unwatched {
    /// The path.
    pub path: PathBuf,
    /// What the system says.
    pub cause: io::Error,
}

/// What matters of an inode.
#[derive(Debug)]
enum Interest {
    File,
    Directory(Names),
}

impl Watcher {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// When the system has no inotify instance left.
    pub fn new() -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        Ok(Self { inotify, watches: HashMap::new() })
    }

    /// Watches these targets, as they are now, and nothing else. To be called again after each
    /// change: a path can lead elsewhere then.
    pub fn watch(&mut self, targets: &[Target]) -> Watched {
        let Plan { directories, files } = Plan::of(targets);
        let before = std::mem::take(&mut self.watches);
        let mut watched = Watched::default();
        for (path, names) in directories {
            let flags = WatchFlags::CLOSE_WRITE
                | WatchFlags::CREATE
                | WatchFlags::DELETE
                | WatchFlags::MOVE
                | WatchFlags::DELETE_SELF
                | WatchFlags::MOVE_SELF
                | WatchFlags::ONLYDIR;
            self.add(&path, flags, Interest::Directory(names), &mut watched);
        }
        for path in files {
            let flags = WatchFlags::CLOSE_WRITE | WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF;
            self.add(&path, flags, Interest::File, &mut watched);
        }
        watched.new |= self.watches.keys().any(|watch| !before.contains_key(watch));
        for watch in before.into_keys().filter(|watch| !self.watches.contains_key(watch)) {
            // An error says that the file is gone, and with it the watch.
            let _ = inotify::remove_watch(&self.inotify, watch);
        }
        watched
    }

    /// Whether something may have changed since the last call. Does not block.
    pub fn changed(&mut self) -> bool {
        let mut changed = false;
        let mut buffer = [const { MaybeUninit::uninit() }; BUFFER];
        let mut events = Reader::new(&self.inotify, &mut buffer);
        for _ in 0..MAX_CHANGES {
            let event = match events.next() {
                Ok(event) => event,
                Err(Errno::INTR) => continue,
                Err(_) => break,
            };
            if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                changed = true;
                continue;
            }
            changed |= match (self.watches.get(&event.wd()), event.file_name()) {
                (None, _) => false,
                (Some(Interest::Directory(names)), Some(name)) => {
                    names.contain(OsStr::from_bytes(name.to_bytes()))
                }
                (Some(_), _) => true,
            };
            if event.events().contains(ReadFlags::IGNORED) {
                self.watches.remove(&event.wd());
            }
        }
        changed
    }

    fn add(&mut self, path: &Path, flags: WatchFlags, interest: Interest, watched: &mut Watched) {
        match inotify::add_watch(&self.inotify, path, flags) {
            Ok(watch) => match (self.watches.get_mut(&watch), interest) {
                (Some(Interest::Directory(names)), Interest::Directory(more)) => names.merge(more),
                (_, interest) => drop(self.watches.insert(watch, interest)),
            },
            // It was there a moment ago.
            Err(Errno::NOENT | Errno::NOTDIR) => watched.new = true,
            Err(cause) => {
                watched.failed.push(Unwatched { path: path.to_owned(), cause: cause.into() });
            }
        }
    }
}

impl AsFd for Watcher {
    /// Readable when there is something for [`changed`](Watcher::changed).
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Write;
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    fn yaml(name: &OsStr) -> bool {
        name.as_bytes().ends_with(b".yaml")
    }

    fn start(targets: &[Target]) -> Watcher {
        let mut watcher = Watcher::new().unwrap();
        let watched = watcher.watch(targets);
        assert!(watched.new && watched.failed.is_empty(), "{watched:?}");
        assert!(!watcher.watch(targets).new, "the same is not new");
        assert!(!watcher.changed());
        watcher
    }

    fn directory() -> (TempDir, impl Fn(&str) -> PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().to_owned();
        (directory, move |name: &str| root.join(name))
    }

    #[test]
    fn a_file_may_be_written_replaced_removed_and_made_again() {
        let (_directory, path) = directory();
        fs::write(path("rules.yaml"), "1").unwrap();
        let targets = [Target::file(path("rules.yaml"))];
        let mut watcher = start(&targets);
        let mut step = |what: &str, act: &dyn Fn()| {
            act();
            assert!(watcher.changed(), "{what}");
            watcher.watch(&targets);
            assert!(!watcher.changed(), "{what}: nothing follows");
        };
        for _ in 0..3 {
            step("written", &|| fs::write(path("rules.yaml"), "2").unwrap());
            step("replaced", &|| {
                fs::write(path("rules.yaml.new"), "3").unwrap();
                fs::rename(path("rules.yaml.new"), path("rules.yaml")).unwrap();
            });
            step("moved away", &|| fs::rename(path("rules.yaml"), path("rules.yaml~")).unwrap());
            step("made", &|| fs::write(path("rules.yaml"), "4").unwrap());
            step("removed", &|| fs::remove_file(path("rules.yaml")).unwrap());
            step("linked", &|| fs::hard_link(path("rules.yaml~"), path("rules.yaml")).unwrap());
        }
    }

    #[test]
    fn other_files_of_the_directory_do_not_matter() {
        let (_directory, path) = directory();
        fs::create_dir(path("rules.d")).unwrap();
        fs::write(path("falco.yaml"), "1").unwrap();
        let targets = [Target::file(path("falco.yaml")), Target::files_at(path("rules.d"), yaml)];
        let mut watcher = start(&targets);
        for name in ["alerts", "rules.d/alerts"] {
            let mut alerts = File::create(path(name)).unwrap();
            writeln!(alerts, "alert").unwrap();
            drop(alerts);
            fs::remove_file(path(name)).unwrap();
        }
        File::open(path("falco.yaml")).unwrap();
        assert!(!watcher.changed());
        fs::write(path("rules.d/one.yaml"), "1").unwrap();
        assert!(watcher.changed());
    }

    #[test]
    fn the_data_link_of_a_config_map_may_be_swapped() {
        let (_directory, path) = directory();
        let version = |name: &str| {
            fs::create_dir_all(path(&format!("rules.d/..{name}"))).unwrap();
            fs::write(path(&format!("rules.d/..{name}/rules.yaml")), name).unwrap();
            symlink(format!("..{name}"), path("rules.d/..data_tmp")).unwrap();
            fs::rename(path("rules.d/..data_tmp"), path("rules.d/..data")).unwrap();
        };
        version("one");
        symlink("..data/rules.yaml", path("rules.d/rules.yaml")).unwrap();
        for target in
            [Target::files_at(path("rules.d"), yaml), Target::file(path("rules.d/rules.yaml"))]
        {
            let targets = [target];
            let mut watcher = start(&targets);
            for name in ["two", "one", "three"] {
                version(name);
                assert!(watcher.changed());
                watcher.watch(&targets);
                assert!(!watcher.changed());
                fs::write(path(&format!("rules.d/..{name}/rules.yaml")), "new").unwrap();
                assert!(watcher.changed());
            }
        }
    }

    #[test]
    fn a_path_may_come_into_existence_or_be_replaced_as_a_whole() {
        let (_directory, path) = directory();
        let targets = [Target::files_at(path("etc/rules.d"), yaml)];
        let mut watcher = start(&targets);
        for (made, matters) in [("var", false), ("etc", true), ("etc/rules.d", true)] {
            fs::create_dir(path(made)).unwrap();
            assert_eq!(watcher.changed(), matters, "{made}");
            watcher.watch(&targets);
        }
        fs::create_dir(path("new")).unwrap();
        fs::write(path("new/a.yaml"), "1").unwrap();
        fs::rename(path("etc/rules.d"), path("old")).unwrap();
        fs::rename(path("new"), path("etc/rules.d")).unwrap();
        assert!(watcher.changed());
        assert!(watcher.watch(&targets).new);
        fs::write(path("etc/rules.d/a.yaml"), "2").unwrap();
        assert!(watcher.changed());
    }

    #[test]
    fn a_lost_queue_counts_as_a_change() {
        let (_directory, path) = directory();
        fs::create_dir(path("rules.d")).unwrap();
        let mut watcher = start(&[Target::files_at(path("rules.d"), |_| false)]);
        let queue = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
        let queue: usize = queue.trim().parse().unwrap();
        if queue > 100_000 {
            return eprintln!("skipped: the queue of inotify is too long to fill it");
        }
        for number in 0..=queue {
            // Equal changes in a row are one.
            let name = path(&format!("rules.d/{}", number % 2));
            File::create(name).unwrap();
        }
        let calls = (0..=queue / MAX_CHANGES).filter(|_| watcher.changed()).count();
        assert_eq!(calls, 1);
    }
}
