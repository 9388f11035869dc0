//! A FUSE file system with a few files whose server stops to answer.
//!
//! It speaks the kernel's protocol (`include/uapi/linux/fuse.h`) as far as opening, reading and
//! executing files needs it. The connection ends with its descriptor, at the latest when this
//! process ends; calls that wait for an answer then return an error.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::{io, thread};

use rustix::mount::{MountFlags, mount};

/// Files by name.
pub(super) type Files = Vec<(&'static str, Vec<u8>)>;

/// A mounted file system and its server.
pub(super) struct Server {
    silent: Arc<AtomicBool>,
    unanswered: Arc<AtomicU64>,
}

const LOOKUP: u32 = 1;
const FORGET: u32 = 2;
const GETATTR: u32 = 3;
const OPEN: u32 = 14;
const READ: u32 = 15;
const STATFS: u32 = 17;
const RELEASE: u32 = 18;
const INIT: u32 = 26;
const INTERRUPT: u32 = 36;
const BATCH_FORGET: u32 = 42;

/// `FUSE_PARALLEL_DIROPS`: a lookup without an answer holds up no other in the directory.
const PARALLEL_LOOKUPS: u32 = 1 << 18;

const ENOENT: i32 = 2;
const ENOSYS: i32 = 38;

/// Bytes of the header of a request.
const HEADER: usize = 40;
/// Id of the root directory. Files follow.
const ROOT: u64 = 1;

impl Server {
    /// Mounts it, in the mount namespace of this process, and starts to answer.
    pub(super) fn mount(point: &Path, files: Files) -> io::Result<Self> {
        let device = OpenOptions::new().read(true).write(true).open("/dev/fuse")?;
        // Other users have access, as in a container that runs several.
        let fd = device.as_raw_fd();
        let options = format!("fd={fd},rootmode=40000,user_id=0,group_id=0,allow_other");
        let options = std::ffi::CString::new(options)?;
        mount("peregrine-test", point, "fuse", MountFlags::empty(), Some(options.as_c_str()))?;
        let (silent, unanswered) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let server = Self { silent: Arc::clone(&silent), unanswered: Arc::clone(&unanswered) };
        thread::spawn(move || {
            let mut connection = Connection { device, files, silent, unanswered };
            let mut request = vec![0; 256 << 10];
            while let Ok(length) = connection.device.read(&mut request) {
                connection.request(&request[..length]);
            }
        });
        Ok(server)
    }

    /// From now on, requests about files are not answered.
    pub(super) fn fall_silent(&self) {
        self.silent.store(true, Relaxed);
    }

    /// Requests that got no answer.
    pub(super) fn unanswered(&self) -> u64 {
        self.unanswered.load(Relaxed)
    }
}

struct Connection {
    device: File,
    files: Files,
    silent: Arc<AtomicBool>,
    unanswered: Arc<AtomicU64>,
}

impl Connection {
    fn request(&mut self, request: &[u8]) {
        let number = |at: usize| u64::from_le_bytes(request[at..at + 8].try_into().unwrap());
        let half = |at: usize| u32::from_le_bytes(request[at..at + 4].try_into().unwrap());
        let (opcode, unique, node) = (half(4), number(8), number(16));
        let name = request[HEADER..].split(|&byte| byte == 0).next().unwrap_or_default();
        let known = self.files.iter().position(|(file, _)| file.as_bytes() == name);
        let of_file = match opcode {
            LOOKUP => known.is_some(),
            GETATTR | OPEN | READ => node != ROOT,
            _ => false,
        };
        if of_file && self.silent.load(Relaxed) {
            self.unanswered.fetch_add(1, Relaxed);
            return;
        }
        let answer = match opcode {
            FORGET | BATCH_FORGET | INTERRUPT => return,
            INIT => Ok(self.init(half(HEADER + 8))),
            LOOKUP => known.map(|at| self.entry(at)).ok_or(ENOENT),
            GETATTR => Ok([&[0; 16], self.attributes(node).as_slice()].concat()),
            OPEN => Ok(vec![0; 16]),
            READ => Ok(self.read(node, number(HEADER + 8), half(HEADER + 16))),
            STATFS => Ok(vec![0; 80]),
            RELEASE => Ok(Vec::new()),
            _ => Err(ENOSYS),
        };
        self.answer(unique, answer);
    }

    fn answer(&mut self, unique: u64, answer: Result<Vec<u8>, i32>) {
        let (error, body) = match answer {
            Ok(body) => (0, body),
            Err(error) => (-error, Vec::new()),
        };
        let mut bytes = Vec::with_capacity(16 + body.len());
        bytes.extend_from_slice(&(16 + body.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&error.to_le_bytes());
        bytes.extend_from_slice(&unique.to_le_bytes());
        bytes.extend_from_slice(&body);
        // The request may have been interrupted.
        let _ = self.device.write(&bytes);
    }

    /// `fuse_init_out` of protocol 7.31.
    fn init(&self, readahead: u32) -> Vec<u8> {
        let mut body = Vec::new();
        for value in [7, 31, readahead, PARALLEL_LOOKUPS, 0, 4096, 1, 0] {
            body.extend_from_slice(&u32::to_le_bytes(value));
        }
        body.resize(64, 0);
        body
    }

    /// `fuse_entry_out`, nothing of which is cached.
    fn entry(&self, at: usize) -> Vec<u8> {
        let node = ROOT + 1 + at as u64;
        let mut body = node.to_le_bytes().to_vec();
        body.resize(40, 0);
        body.extend_from_slice(&self.attributes(node));
        body
    }

    /// `fuse_attr`.
    fn attributes(&self, node: u64) -> Vec<u8> {
        let size = self.file(node).map_or(0, <[u8]>::len) as u64;
        let mode: u32 = if node == ROOT { 0o040_755 } else { 0o100_755 };
        let mut body = Vec::new();
        for value in [node, size, size.div_ceil(512), 1, 1, 1] {
            body.extend_from_slice(&value.to_le_bytes());
        }
        for value in [0, 0, 0, mode, 1, 0, 0, 0, 4096, 0] {
            body.extend_from_slice(&u32::to_le_bytes(value));
        }
        body
    }

    fn read(&self, node: u64, offset: u64, size: u32) -> Vec<u8> {
        let rest = self.file(node).and_then(|file| file.get(offset as usize..));
        let rest = rest.unwrap_or_default();
        rest[..rest.len().min(size as usize)].to_vec()
    }

    fn file(&self, node: u64) -> Option<&[u8]> {
        let at = usize::try_from(node.checked_sub(ROOT + 1)?).ok()?;
        self.files.get(at).map(|(_, bytes)| bytes.as_slice())
    }
}
