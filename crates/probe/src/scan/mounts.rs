//! Mounts: the device behind a mount id, and the layers of overlay file systems.

use hashbrown::HashMap;

use super::dir::{Dir, MAX_FILE, number, split_once};
use super::status::words;

/// What a mount table says of one mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    id: u32,
    dev: u32,
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

/// Mounts by id. Ids are the kernel's: no two namespaces share one.
#[derive(Debug, Default)]
pub(crate) struct Mounts {
    by_id: HashMap<u32, Mount>,
}

impl Mounts {
    /// The device of a mount that a process sees, as events have it.
    pub(crate) fn device(&mut self, proc: &Dir, mount_id: u32) -> Option<u32> {
        if !self.by_id.contains_key(&mount_id) {
            self.read(proc);
        }
        self.by_id.get(&mount_id).map(|mount| mount.dev)
    }

    /// Which layer a file is from, by its device and its path as the process sees it. `None` when
    /// it is on no overlay file system. `host` is the directory of the first process, whose files
    /// are the host's.
    pub(crate) fn layer(
        &mut self,
        proc: &Dir,
        host: &Dir,
        device: u32,
        path: &[u8],
    ) -> Option<Layer> {
        if !self.by_id.values().any(|mount| mount.dev == device) {
            self.read(proc);
        }
        let overlays = self.by_id.values().filter(|mount| mount.dev == device);
        let mut overlays = overlays.filter_map(|mount| mount.overlay.as_ref()).peekable();
        overlays.peek()?;
        let in_upper = overlays.any(|overlay| {
            overlay.upper_path(path).is_some_and(|path| {
                // Links in it are the container's and lead elsewhere on the host.
                host.lstat(path.as_slice()).is_ok()
            })
        });
        Some(if in_upper { Layer::Upper } else { Layer::Lower })
    }

    fn read(&mut self, proc: &Dir) {
        let mut text = Vec::new();
        if proc.read("mountinfo", MAX_FILE, &mut text).is_ok() {
            let mounts = text.split(|&b| b == b'\n').filter_map(Mount::parse);
            self.by_id.extend(mounts.map(|mount| (mount.id, mount)));
        }
    }

    /// Forgets everything: mounts change.
    pub(crate) fn clear(&mut self) {
        self.by_id.clear();
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
        let mut fields = fields.skip_while(|&field| field != b"-").skip(1);
        let overlay = fields.next()? == b"overlay";
        let overlay = overlay.then(|| Overlay {
            root: unescape(root),
            point: unescape(point),
            upper: fields.nth(1).and_then(|options| {
                let mut options = options.split(|&b| b == b',');
                options.find_map(|option| option.strip_prefix(b"upperdir=")).map(unescape)
            }),
        });
        Some(Self { id, dev, overlay })
    }
}

impl Overlay {
    /// Where a file would be in the upper layer, below the root directory of the first process.
    fn upper_path(&self, path: &[u8]) -> Option<Vec<u8>> {
        let upper = self.upper.as_ref()?;
        let inside = path.strip_prefix(self.point.strip_suffix(b"/").unwrap_or(&self.point))?;
        inside.starts_with(b"/").then(|| {
            let root = self.root.strip_suffix(b"/").unwrap_or(&self.root);
            [b"root", upper.as_slice(), root, inside].concat()
        })
    }
}

/// Major and minor number in one, as the kernel packs them into 32 bits.
pub(crate) fn device_code(major: u32, minor: u32) -> u32 {
    (major & 0xfff) << 8 | minor & 0xff | (minor & !0xff) << 12
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

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn devices_by_mount() {
        let line = b"36 35 259:300 / /mnt\\0402 rw,noatime shared:1 master:2 - ext4 /dev/root rw";
        let mount = Mount::parse(line).unwrap();
        assert_eq!((mount.id, mount.dev), (36, 0x11_032c));
        assert_eq!(mount.overlay, None);
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
        let (proc, host) = (dir("7"), dir("1"));
        let mut mounts = Mounts::default();
        let overlay = device_code(0, 50);
        assert_eq!(mounts.layer(&proc, &host, overlay, b"/bin/new"), Some(Layer::Upper));
        assert_eq!(mounts.layer(&proc, &host, overlay, b"/bin/old"), Some(Layer::Lower));
        assert_eq!(mounts.layer(&proc, &host, device_code(8, 1), b"/data/x"), None);
        assert_eq!(mounts.device(&proc, 42), Some(0x801));
        assert_eq!(mounts.device(&proc, 43), None);
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
