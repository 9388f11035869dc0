//! The initramfs of a virtual machine: busybox, the statically linked programs under test, and
//! `init.sh`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Deserialize;

use super::options::{Arch, Check};

/// The unit that packages install.
const UNIT: &[u8] = include_bytes!("../../../packaging/systemd/peregrine.service");
/// What no program of an unpacked package reads.
const UNREAD: [&str; 3] = ["usr/share/doc", "usr/share/locale", "usr/share/man"];

/// A program that cargo builds and a check runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Program {
    kind: &'static str,
    name: &'static str,
    package: &'static str,
}

impl Program {
    /// The programs that a check runs.
    fn of(check: Check) -> Self {
        let probe = |kind, name| Self { kind, name, package: "peregrine-probe" };
        match check {
            Check::Load | Check::LoadFexit => probe("test", "load"),
            Check::Events | Check::EventsFexit | Check::Prototypes => probe("test", "events"),
            Check::Live | Check::Flood => probe("test", "live"),
            Check::Program | Check::Service => {
                Self { kind: "bin", name: "peregrine", package: "peregrine-cli" }
            }
            Check::Overhead => probe("example", "overhead"),
        }
    }
}

/// Builds the initramfs for an architecture, with the unpacked packages of systemd if these are
/// given. An error names what is missing on this machine.
pub(super) fn initramfs(
    arch: Arch,
    checks: &[Check],
    busybox: &Path,
    systemd: Option<&Path>,
    cache: &Path,
) -> Result<PathBuf> {
    let programs: BTreeSet<_> = checks.iter().map(|check| Program::of(*check)).collect();
    let built = build(arch, &programs, cache)?;
    let mut archive = Cpio::default();
    for directory in ["bin", "dev", "etc", "guest", "proc", "sys", "tmp", "usr", "usr/bin", "var"] {
        archive.directory(directory);
    }
    archive.file("init", include_bytes!("init.sh"));
    archive.file("bin/busybox", &fs::read(busybox)?);
    for (program, path) in built {
        let name = program.name;
        archive.file(&format!("guest/{name}"), &fs::read(path)?);
    }
    if let Some(systemd) = systemd {
        archive.tree(systemd, "")?;
        archive.file("service.sh", include_bytes!("service.sh"));
        archive.file("lib/systemd/system/peregrine.service", UNIT);
    }
    let path = cache.join(format!("initramfs-{}.gz", arch.debian()));
    let mut file = GzEncoder::new(fs::File::create(&path)?, Compression::fast());
    file.write_all(&archive.finish())?;
    file.finish()?;
    Ok(path)
}

/// Appends an initramfs with these modules: the kernel unpacks several in sequence.
pub(super) fn with_modules(initramfs: &Path, modules: &[PathBuf], path: &Path) -> Result<()> {
    let mut archive = Cpio::default();
    archive.directory("modules");
    for module in modules {
        let name = module.file_name().unwrap_or_default().to_string_lossy();
        archive.file(&format!("modules/{name}"), &fs::read(module)?);
    }
    let mut file = fs::File::create(path)?;
    file.write_all(&fs::read(initramfs)?)?;
    let mut file = GzEncoder::new(file, Compression::fast());
    file.write_all(&archive.finish())?;
    file.finish()?;
    Ok(())
}

/// Builds static programs and returns their paths.
fn build(
    arch: Arch,
    programs: &BTreeSet<Program>,
    cache: &Path,
) -> Result<BTreeMap<Program, PathBuf>> {
    let target = format!("{}-unknown-linux-gnu", arch.machine());
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(super::root()).stdout(Stdio::piped());
    // For the target only: build scripts are not affected.
    let variable =
        |name: &str| format!("CARGO_TARGET_{}_{name}", target.to_uppercase().replace('-', "_"));
    command.env(variable("RUSTFLAGS"), "-C target-feature=+crt-static");
    // Either would replace it, and the guest has no libraries.
    command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    if arch.machine() != std::env::consts::ARCH {
        let linker = format!("{}-linux-gnu-gcc", arch.machine());
        ensure!(Command::new(&linker).arg("--version").output().is_ok(), "there is no {linker}");
        command.env(variable("LINKER"), linker);
        have_standard_library(&target)?;
    }
    command.args(["build", "--locked", "--profile=guest", "--target", &target]);
    command.args(["--quiet", "--message-format=json-render-diagnostics", "--target-dir"]);
    command.arg(cache.join("build"));
    for Program { kind, name, package } in programs {
        command.args(["--package", package, &format!("--{kind}"), name]);
    }
    let output = command.output().context("cannot run cargo")?;
    ensure!(output.status.success(), "the build for {target} failed");
    let mut built = BTreeMap::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        let artifact: Artifact = serde_json::from_str(line)?;
        if let Some(program) = programs.iter().find(|program| artifact.is(program))
            && let Some(path) = artifact.executable
        {
            built.insert(*program, path);
        }
    }
    ensure!(built.len() == programs.len(), "the build for {target} lacks programs");
    Ok(built)
}

/// cargo's message about an artifact.
#[derive(Deserialize)]
struct Artifact {
    package_id: Option<String>,
    target: Option<Target>,
    executable: Option<PathBuf>,
}

impl Artifact {
    /// Whether it is this program; another package may have one of the same name.
    fn is(&self, program: &Program) -> bool {
        let package = format!("#{}@", program.package);
        self.target.as_ref().is_some_and(|t| t.name == program.name && t.kind == [program.kind])
            && self.package_id.as_ref().is_some_and(|id| id.contains(&package))
    }
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// Installs the Rust target of a foreign architecture.
fn have_standard_library(target: &str) -> Result<()> {
    let mut command = Command::new("rustc");
    let found = command.args(["--print", "target-libdir", "--target", target]).output()?;
    if Path::new(String::from_utf8(found.stdout)?.trim()).exists() {
        return Ok(());
    }
    println!("installing Rust's standard library for {target}");
    match Command::new("rustup").args(["--quiet", "target", "add", target]).status() {
        Ok(status) if status.success() => Ok(()),
        _ => bail!("Rust's standard library for {target} cannot be installed"),
    }
}

/// An archive in the format that the kernel unpacks: cpio "newc".
#[derive(Default)]
struct Cpio {
    bytes: Vec<u8>,
    entries: u32,
}

impl Cpio {
    fn directory(&mut self, path: &str) {
        self.add(path, 0o040_755, &[]);
    }

    fn file(&mut self, path: &str, content: &[u8]) {
        self.add(path, 0o100_755, content);
    }

    /// What is in a directory, below `at`.
    fn tree(&mut self, directory: &Path, at: &str) -> Result<()> {
        let mut entries = fs::read_dir(directory)?.collect::<Result<Vec<_>, _>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name().into_string().ok().context("a name is no text")?;
            let (path, at) = (entry.path(), format!("{at}{name}"));
            let metadata = entry.metadata()?;
            if UNREAD.contains(&at.as_str()) {
                continue;
            }
            if metadata.is_dir() {
                self.directory(&at);
                self.tree(&path, &format!("{at}/"))?;
            } else if metadata.is_symlink() {
                let target = fs::read_link(&path)?;
                self.add(&at, 0o120_777, target.as_os_str().as_bytes());
            } else if metadata.is_file() {
                self.add(&at, metadata.mode(), &fs::read(&path)?);
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Vec<u8> {
        self.add("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn add(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.entries += 1;
        let (size, name_size) = (content.len() as u32, path.len() as u32 + 1);
        // Inode, mode, owner, group, links, time, size, device, represented device, length of the
        // name, checksum.
        let fields = [self.entries, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_has_headers_of_110_bytes_and_is_padded_to_words() {
        let mut archive = Cpio::default();
        archive.file("init", b"12345");
        let bytes = archive.finish();
        assert!(bytes.starts_with(b"07070100000001000081ed"));
        assert_eq!(&bytes[110..116], b"init\0\0");
        assert_eq!(&bytes[116..124], b"12345\0\0\0");
        assert!(bytes[124..].starts_with(b"070701") && bytes.ends_with(b"TRAILER!!!\0\0\0\0"));
    }
}
