//! Mounts: the device behind a mount id, the kind of a file system, the layers of overlay file
//! systems.
//!
//! A mount table is read at most once per mount namespace in a while, up to a limit of bytes, and
//! within a share of all time: a container can have very many mounts. A mount that is not in the
//! table stays unknown.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use peregrine_limits::{MOUNT_TABLE_BYTES, MOUNT_TABLES_TIME};
use rustix::fs::StatFs;

use super::budget::TimeBudget;
use super::dir::{Dir, device_code, number, split_once};
use super::foreign::ForeignRoot;
use super::status::words;

/// A table is kept for so many times as long as reading it took, but not for longer than this.
const KEPT_FACTOR: u32 = 50;
const MAX_AGE: Duration = Duration::from_secs(2);
/// Tables that are kept.
const MAX_TABLES: usize = 256;
/// Reading tables may take one part of so many of all time.
const SHARE: u32 = 10;
/// Places where one overlay file system is looked for.
const MAX_OVERLAYS: usize = 8;

/// `f_flags` of a file system that can't be written to.
const READ_ONLY: u64 = 1;

/// What a mount table says of one mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    id: u32,
    dev: u32,
    file_system: FileSystem,
    read_only: bool,
    overlay: Option<Overlay>,
}

/// An overlay file system.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Overlay {
    /// Directory of it that is mounted.
    root: Vec<u8>,
    /// Where.
    point: Vec<u8>,
    /// Directory of the layer that can be written, as whoever mounted it saw it.
    upper: Option<Vec<u8>>,
}

/// Which layer of an overlay file system a file is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layer {
    Lower,
    Upper,
}

/// The kind of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileSystem {
    /// Has layers, which are of other file systems.
    Overlay,
    /// Keeps files on a disk or in memory, so that the kernel alone answers.
    Local,
    /// All others: a server answers, or files are computed.
    Other,
}

/// Names and numbers (`f_type`) of local file systems.
const LOCAL: &[(&str, u64)] = &[
    ("bcachefs", 0xca45_1a4e),
    ("btrfs", 0x9123_683e),
    ("erofs", 0xe0f5_e1e2),
    ("exfat", 0x2011_bab0),
    ("ext2", 0xef53),
    ("ext3", 0xef53),
    ("ext4", 0xef53),
    ("f2fs", 0xf2f5_2010),
    ("iso9660", 0x9660),
    ("jfs", 0x3153_464a),
    ("ramfs", 0x8584_58f6),
    ("rootfs", 0x8584_58f6),
    ("squashfs", 0x7371_7368),
    ("tmpfs", 0x0102_1994),
    ("vfat", 0x4d44),
    ("xfs", 0x5846_5342),
    ("zfs", 0x2fc1_2fc1),
];
const OVERLAY: u64 = 0x794c_7630;

impl FileSystem {
    /// By the name of its type.
    fn named(name: &[u8]) -> Self {
        match name {
            b"overlay" => Self::Overlay,
            _ if LOCAL.iter().any(|(local, _)| local.as_bytes() == name) => Self::Local,
            _ => Self::Other,
        }
    }

    /// By what it says of itself.
    pub(crate) fn of(stat: &StatFs) -> Self {
        // As 32 bits: where the field is smaller than that, it has a sign.
        match u64::from(stat.f_type as u32) {
            OVERLAY => Self::Overlay,
            number if LOCAL.iter().any(|&(_, local)| local == number) => Self::Local,
            _ => Self::Other,
        }
    }
}

/// Whether nothing can be written to a file system.
pub(crate) fn is_read_only(stat: &StatFs) -> bool {
    stat.f_flags as u64 & READ_ONLY != 0
}

/// The mounts that a process sees, by id. Ids are the kernel's: no two namespaces share one.
#[derive(Debug, Default)]
pub(crate) struct MountTable {
    by_id: HashMap<u32, (u32, FileSystem, bool)>,
    overlays: HashMap<u32, Vec<Overlay>>,
}

impl MountTable {
    /// The table of the process that `process` is about, as far as these bytes go.
    pub(crate) fn read(process: &Dir, limit: usize) -> Self {
        let mut table = Self::default();
        let mut text = Vec::new();
        if process.read("mountinfo", limit, &mut text).is_ok() {
            let mounts = text.split(|&b| b == b'\n').filter_map(Mount::parse);
            mounts.for_each(|mount| table.add(mount));
        }
        table
    }

    fn add(&mut self, mount: Mount) {
        self.by_id.insert(mount.id, (mount.dev, mount.file_system, mount.read_only));
        if let Some(overlay) = mount.overlay {
            let places = self.overlays.entry(mount.dev).or_default();
            if places.len() < MAX_OVERLAYS {
                places.push(overlay);
            }
        }
    }

    /// The device of a mount, as events have it.
    pub(crate) fn device(&self, mount_id: u32) -> Option<u32> {
        self.by_id.get(&mount_id).map(|&(dev, ..)| dev)
    }

    /// The kind of the file system of a mount.
    pub(crate) fn file_system(&self, mount_id: u32) -> Option<FileSystem> {
        self.by_id.get(&mount_id).map(|&(_, file_system, _)| file_system)
    }

    /// Whether nothing can be written to a mount.
    pub(crate) fn is_read_only(&self, mount_id: u32) -> Option<bool> {
        self.by_id.get(&mount_id).map(|&(.., read_only)| read_only)
    }

    /// Which layer a file is from, by its device and its path as the process sees it. `None` when
    /// it is on no overlay file system. `host` is the root directory of the first process, whose
    /// files are the host's. Below it, the directory of a layer can be a container's.
    pub(crate) fn layer(&self, host: &ForeignRoot, device: u32, path: &[u8]) -> Option<Layer> {
        let mut uppers = self.overlays.get(&device)?.iter().filter_map(|o| o.upper_path(path));
        let in_upper = uppers.any(|path| host.exists(&path));
        Some(if in_upper { Layer::Upper } else { Layer::Lower })
    }
}

/// The mount tables of namespaces.
#[derive(Debug)]
pub(crate) struct Mounts {
    /// By namespace, and whether the root directory of the process is that of the namespace: the
    /// kernel hides from others what they can't reach.
    tables: HashMap<(u64, bool), Kept>,
    budget: TimeBudget,
    text: Vec<u8>,
    /// Tables that were read, and those that were not because there was no time left.
    pub(crate) read: u32,
    pub(crate) refused: u32,
}

#[derive(Debug)]
struct Kept {
    table: Arc<MountTable>,
    until: Instant,
}

impl Default for Mounts {
    fn default() -> Self {
        Self {
            tables: HashMap::new(),
            budget: TimeBudget::new(MOUNT_TABLES_TIME.duration(), SHARE, Instant::now()),
            text: Vec::new(),
            read: 0,
            refused: 0,
        }
    }
}

impl Mounts {
    /// The table of the process that `process` is about; without any mount when it is gone, or when
    /// reading tables has taken too much time already.
    pub(crate) fn of(&mut self, process: &Dir) -> Arc<MountTable> {
        let Some(namespace) = process.namespace("ns/mnt", &mut self.text) else {
            return Arc::default();
        };
        let whole = process.link("root", &mut self.text).is_ok_and(|()| self.text == b"/");
        if let Some(kept) = self.tables.get(&(namespace, whole)) {
            return Arc::clone(&kept.table);
        }
        let now = Instant::now();
        if self.budget.left(now).is_zero() {
            self.refused += 1;
            return Arc::default();
        }
        let table = Arc::new(MountTable::read(process, MOUNT_TABLE_BYTES.get()));
        self.read += 1;
        let took = now.elapsed();
        self.budget.spend(took);
        if self.tables.len() >= MAX_TABLES {
            self.tables.clear();
        }
        let until = now + took + (took * KEPT_FACTOR).min(MAX_AGE);
        self.tables.insert((namespace, whole), Kept { table: Arc::clone(&table), until });
        table
    }

    /// Forgets tables that are old: mounts change.
    pub(crate) fn expire(&mut self) {
        let now = Instant::now();
        self.tables.retain(|_, kept| now < kept.until);
    }
}

impl Mount {
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = words(line);
        let id = u32::try_from(number(fields.next()?)?).ok()?;
        let device = fields.nth(1)?;
        let (major, minor) = split_once(device, b':')?;
        let part = |text| number(text).and_then(|part| u32::try_from(part).ok());
        let dev = device_code(part(major)?, part(minor)?);
        let (root, point) = (fields.next()?, fields.next()?);
        let read_only = |options: Option<&[u8]>| {
            options.is_some_and(|options| options.split(|&b| b == b',').any(|o| o == b"ro"))
        };
        let mount_read_only = read_only(fields.next());
        let mut fields = fields.skip_while(|&field| field != b"-").skip(1);
        let file_system = FileSystem::named(fields.next()?);
        let options = fields.nth(1);
        let overlay = (file_system == FileSystem::Overlay).then(|| Overlay {
            root: unescape(root),
            point: unescape(point),
            upper: options.and_then(|options| {
                let mut options = options.split(|&b| b == b',');
                options.find_map(|option| option.strip_prefix(b"upperdir=")).map(unescape)
            }),
        });
        let read_only = mount_read_only || read_only(options);
        Some(Self { id, dev, file_system, read_only, overlay })
    }
}

impl Overlay {
    /// Where a file would be in the upper layer.
    fn upper_path(&self, path: &[u8]) -> Option<Vec<u8>> {
        let upper = self.upper.as_ref()?;
        let inside = path.strip_prefix(self.point.strip_suffix(b"/").unwrap_or(&self.point))?;
        inside.starts_with(b"/").then(|| {
            let root = self.root.strip_suffix(b"/").unwrap_or(&self.root);
            [upper.as_slice(), root, inside].concat()
        })
    }
}

/// A path of a mount table: it has spaces, tabs, newlines and backslashes as octal numbers.
pub(crate) fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        match tail {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..] if first == b'\\' => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = tail;
            }
            _ => {
                out.push(first);
                rest = tail;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn devices_by_mount() {
        let line = b"36 35 259:300 / /mnt\\0402 rw,noatime shared:1 master:2 - ext4 /dev/root rw";
        let mount = Mount::parse(line).unwrap();
        assert_eq!((mount.id, mount.dev), (36, 0x11_032c));
        assert_eq!((mount.overlay, mount.file_system), (None, FileSystem::Local));
        assert!(!mount.read_only);
        for line in ["1 0 0:5 / /a ro - tmpfs t rw", "1 0 0:5 / /a rw shared:1 - tmpfs t ro,x"] {
            assert!(Mount::parse(line.as_bytes()).unwrap().read_only);
        }
        for name in ["fuse.sshfs", "fuse", "fuseblk", "nfs4", "9p", "autofs", "proc", "unheard-of"]
        {
            assert_eq!(FileSystem::named(name.as_bytes()), FileSystem::Other, "{name}");
        }
        assert_eq!(unescape(b"/a\\040b\\134\\9\\04"), b"/a b\\\\9\\04");
    }

    #[test]
    fn layers_of_an_overlay() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("1/root/var/up per/bin")).unwrap();
        fs::write(root.path().join("1/root/var/up per/bin/new"), "").unwrap();
        let line = "41 1 0:50 / / rw - overlay overlay rw,lowerdir=/l,upperdir=/var/up\\040per,workdir=/w\n\
            42 1 8:1 / /data rw - ext4 /dev/sda1 rw\n";
        fs::create_dir(root.path().join("7")).unwrap();
        fs::write(root.path().join("7/mountinfo"), line).unwrap();
        let dir = |name| Dir::open(&root.path().join(name)).unwrap();
        let host = ForeignRoot::of(&dir("1"), Arc::default()).unwrap();
        let table = MountTable::read(&dir("7"), MOUNT_TABLE_BYTES.get());
        let overlay = device_code(0, 50);
        assert_eq!(table.layer(&host, overlay, b"/bin/new"), Some(Layer::Upper));
        assert_eq!(table.layer(&host, overlay, b"/bin/old"), Some(Layer::Lower));
        assert_eq!(table.layer(&host, device_code(8, 1), b"/data/x"), None);
        assert_eq!((table.device(42), table.device(43)), (Some(0x801), None));
        assert_eq!(table.file_system(41), Some(FileSystem::Overlay));
    }

    #[test]
    fn a_table_is_read_once_per_namespace() {
        let root = tempfile::tempdir().unwrap();
        let process = |name: &str, namespace: &str| {
            let dir = root.path().join(name);
            fs::create_dir_all(dir.join("ns")).unwrap();
            symlink(namespace, dir.join("ns/mnt")).unwrap();
            symlink("/", dir.join("root")).unwrap();
            fs::write(dir.join("mountinfo"), "5 1 8:1 / / rw - ext4 /dev/sda1 rw\n").unwrap();
            Dir::open(&dir).unwrap()
        };
        let (first, second) = (process("1", "mnt:[7]"), process("2", "mnt:[7]"));
        let mut mounts = Mounts::default();
        for _ in 0..1000 {
            assert_eq!(mounts.of(&first).device(5), Some(0x801));
            assert_eq!(mounts.of(&second).device(6), None);
        }
        assert_eq!(mounts.read, 1);
        let other = process("3", "mnt:[8]");
        mounts.budget.spend(Duration::from_secs(60));
        assert_eq!(mounts.of(&other).device(5), None);
        assert_eq!(mounts.of(&first).device(5), Some(0x801));
        assert_eq!((mounts.read, mounts.refused), (1, 1));
    }

    proptest! {
        #[test]
        fn anything_can_be_parsed(text: Vec<u8>, line in "[0-9:/ ,=\\\\a-f-]{0,80}") {
            for text in [&text, line.as_bytes()] {
                Mount::parse(text);
                prop_assert!(unescape(text).len() <= text.len());
            }
        }
    }
}
