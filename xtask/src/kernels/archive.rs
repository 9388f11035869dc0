//! Kernels and busybox from Debian's archive, fetched by apt with a private configuration.
//!
//! The mirror is the one that this machine uses; its own package lists stay untouched.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum as _;

use super::options::{Arch, Series};

/// Prefixes, before the version, of packages that contain a kernel, its modules, or both.
const BOTH: &str = "linux-image-";
const ALONE: &str = "linux-binary-";
const MODULES: &str = "linux-modules-";
/// Debian releases that contain the kernels of the matrix.
const RELEASES: [&str; 5] = ["bullseye", "bookworm", "trixie", "trixie-backports", "sid"];
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
const HELPER: &str = "/usr/lib/apt/apt-helper";
/// Age up to which package lists count as current.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Debian's archive, at most a day old.
pub(super) struct Archive {
    cache: PathBuf,
    packages: Vec<Package>,
}

/// The kernel image.
#[derive(Clone)]
pub(super) struct Kernel {
    pub(super) image: PathBuf,
    /// Modules to load, in this order.
    pub(super) modules: Vec<PathBuf>,
}

/// A kernel package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Package {
    name: String,
    arch: String,
    /// Its full version, such as `6.12.107-1`.
    pub(super) version: String,
}

impl Archive {
    /// Fetches the package lists if the cached ones are older than a day.
    pub(super) fn open(cache: &Path) -> Result<Self> {
        let mut archive = Self { cache: cache.to_owned(), packages: Vec::new() };
        fs::create_dir_all(archive.lists().join("partial"))?;
        fs::create_dir_all(cache.join("apt/cache/archives/partial"))?;
        let stamp = cache.join("apt/updated");
        let age = fs::metadata(&stamp).and_then(|stamp| stamp.modified());
        if !age.is_ok_and(|time| time.elapsed().is_ok_and(|age| age < DAY)) {
            println!("fetching Debian's lists of packages");
            let mirror = mirror()?;
            let line = |release| {
                format!(
                    "deb [arch=amd64,arm64 targets=Packages signed-by={KEYRING}] {mirror} {release} main\n"
                )
            };
            fs::write(archive.sources(), RELEASES.map(line).concat())?;
            let status = archive.apt("apt-get").args(["--quiet", "--quiet", "update"]).status()?;
            ensure!(status.success(), "apt-get update failed");
            fs::write(stamp, "")?;
        }
        archive.packages = archive.kernels()?;
        Ok(archive)
    }

    /// The newest kernel of a series.
    pub(super) fn newest(&self, series: Series, arch: Arch) -> Option<&Package> {
        let of_arch = self.packages.iter().filter(|package| package.arch == arch.debian());
        // `linux-binary-…` before `linux-image-…`: if both exist, the latter contains no kernel.
        of_arch
            .filter(|package| {
                series.contains(package.series()) && !package.name.starts_with(MODULES)
            })
            .max_by_key(|package| (package.release(), package.name.starts_with(ALONE)))
    }

    /// A kernel, and the overlay module, which cloud kernels do not have built in. The archive
    /// lacks the modules of some kernels.
    pub(super) fn kernel(&self, package: &Package) -> Result<Kernel> {
        let Package { name, arch, version } = package;
        let image = (format!("vmlinuz-{version}-{arch}"), "*/vmlinuz*");
        let module = (format!("overlay-{version}-{arch}.ko"), "*/overlay.ko*");
        let mut files = match name.strip_prefix(ALONE) {
            None => self.files(package, &[image, module])?,
            Some(rest) => {
                let modules = Package { name: format!("{MODULES}{rest}"), ..package.clone() };
                let mut files = self.files(package, &[image])?;
                if self.packages.contains(&modules) {
                    files.extend(self.files(&modules, &[module])?);
                }
                files
            }
        };
        Ok(Kernel { image: files.remove(0), modules: files })
    }

    /// A statically linked busybox.
    pub(super) fn busybox(&self, arch: Arch) -> Result<PathBuf> {
        let arch = arch.debian().to_owned();
        let package = Package { name: "busybox-static".into(), arch, version: String::new() };
        let wanted = (format!("busybox-{}", package.arch), "*/bin/busybox");
        self.files(&package, &[wanted])?.pop().context("no busybox")
    }

    /// Extracts files of a package into the cache unless they are there; pairs of cached name and
    /// path pattern.
    fn files(&self, package: &Package, wanted: &[(String, &str)]) -> Result<Vec<PathBuf>> {
        let paths: Vec<_> = wanted.iter().map(|(name, _)| self.cache.join(name)).collect();
        if paths.iter().all(|path| path.exists()) {
            return Ok(paths);
        }
        let deb = self.fetch(package)?;
        for (path, (_, like)) in paths.iter().zip(wanted) {
            let fresh = path.with_extension("part");
            fs::write(&fresh, uncompressed(member(&deb, like)?)?)?;
            fs::rename(&fresh, path)?;
        }
        fs::remove_file(deb)?;
        Ok(paths)
    }

    /// A directory of the cache with the files of a package of bookworm and of all that it depends
    /// on.
    pub(super) fn unpacked(&self, name: &str, arch: Arch) -> Result<PathBuf> {
        let directory = self.cache.join(format!("{name}-{}", arch.debian()));
        if directory.exists() {
            return Ok(directory);
        }
        println!("fetching {name} {} and what it depends on", arch.debian());
        let mut find = self.apt("apt-get");
        find.args(["--quiet", "--quiet", "--print-uris", "--no-install-recommends"]);
        find.args(["-o", "APT::Default-Release=bookworm", "-o", "Debug::NoLocking=1", "install"]);
        let found = text(find.arg(format!("{name}:{}", arch.debian())))?;
        let fresh = directory.with_extension("part");
        fs::create_dir_all(&fresh)?;
        for line in found.lines() {
            let deb = self.download(line)?;
            let unpacked =
                Command::new("dpkg-deb").arg("--extract").args([&deb, &fresh]).status()?;
            ensure!(unpacked.success(), "{} cannot be unpacked", deb.display());
            fs::remove_file(deb)?;
        }
        fs::rename(fresh, &directory)?;
        Ok(directory)
    }

    /// Fetches a package; a partial download is resumed.
    fn fetch(&self, package: &Package) -> Result<PathBuf> {
        let Package { name, arch, version } = package;
        println!("fetching {name} {version} {arch}");
        let wanted = match version.as_str() {
            "" => format!("{name}:{arch}"),
            version => format!("{name}:{arch}={version}"),
        };
        let mut find = self.apt("apt-get");
        let found = text(find.args(["--quiet", "--quiet", "--print-uris", "download", &wanted]))?;
        self.download(&found)
    }

    /// Downloads what apt has named: `'URI' file size hash`.
    fn download(&self, line: &str) -> Result<PathBuf> {
        let words: Vec<_> = line.split_whitespace().collect();
        let [uri, file, _, hash] = words[..] else { bail!("apt does not say where it is: {line}") };
        let deb = self.cache.join(file);
        let mut helper = self.apt(HELPER);
        helper.args(["--quiet", "--quiet", "download-file", uri.trim_matches('\'')]);
        let output = helper.arg(&deb).arg(hash).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(deb)
    }

    /// All kernels for virtual machines.
    fn kernels(&self) -> Result<Vec<Package>> {
        // `search` would omit packages that exist for the foreign architecture only.
        let found = text(self.apt("apt-cache").args(["pkgnames", "linux-"]))?;
        let names: Vec<_> = found.lines().filter_map(with_architecture).collect();
        ensure!(!names.is_empty(), "Debian's lists have no kernels");
        let shown = text(self.apt("apt-cache").arg("show").args(names))?;
        Ok(shown.split("\n\n").filter_map(Package::parse).collect())
    }

    /// A command of apt with the private configuration.
    fn apt(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let mut set = |name: &str, value: &Path| {
            let mut option = OsString::from(name);
            option.push("=");
            option.push(value);
            command.arg("-o").arg(option);
        };
        set("Dir::Etc::sourcelist", &self.sources());
        set("Dir::Etc::sourceparts", Path::new("-"));
        set("Dir::State::lists", &self.lists());
        set("Dir::State::status", Path::new("/dev/null"));
        set("Dir::Cache", &self.cache.join("apt/cache"));
        // Container images often disable this.
        set("Dir::Cache::pkgcache", Path::new("pkgcache.bin"));
        set("Dir::Cache::srcpkgcache", Path::new("srcpkgcache.bin"));
        set("APT::Architecture", Path::new("amd64"));
        set("APT::Architectures", Path::new("amd64"));
        set("APT::Architectures::", Path::new("arm64"));
        // apt fetches as another user, who may have no access to root's cache.
        set("APT::Sandbox::User", Path::new(""));
        command.stdin(Stdio::null());
        command
    }

    fn sources(&self) -> PathBuf {
        self.cache.join("apt/sources.list")
    }

    fn lists(&self) -> PathBuf {
        self.cache.join("apt/lists")
    }
}

impl Package {
    /// Parses a paragraph of a list.
    fn parse(paragraph: &str) -> Option<Self> {
        let field = |name: &str| {
            let value = |line: &str| Some(line.strip_prefix(name)?.strip_prefix(": ")?.to_owned());
            paragraph.lines().find_map(value)
        };
        let package = Self {
            name: field("Package")?,
            arch: field("Architecture")?,
            version: field("Version")?,
        };
        (!package.release().is_empty()).then_some(package)
    }

    /// `6.12`
    fn series(&self) -> (u32, u32) {
        let release = self.release();
        let at = |index| release.get(index).copied().unwrap_or(0);
        (at(0), at(1))
    }

    /// `6.12.107-1` as numbers.
    fn release(&self) -> Vec<u32> {
        let numbers = self.version.split(|c: char| !c.is_ascii_digit());
        numbers.map_while(|number| number.parse().ok()).collect()
    }
}

/// The only file of a package whose path matches.
fn member(deb: &Path, like: &str) -> Result<Vec<u8>> {
    let mut unpack = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(deb)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run dpkg-deb")?;
    let tar = unpack.stdout.take().context("dpkg-deb has no output")?;
    let output = Command::new("tar")
        .args(["--extract", "--to-stdout", "--wildcards", like])
        .stdin(tar)
        .output()?;
    ensure!(unpack.wait()?.success() && output.status.success(), "{} has no {like}", deb.display());
    Ok(output.stdout)
}

/// The content of a file that may be compressed like a module.
fn uncompressed(bytes: Vec<u8>) -> Result<Vec<u8>> {
    let tool = match bytes.as_slice() {
        [0xfd, b'7', b'z', b'X', b'Z', ..] => "xz",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "zstd",
        _ => return Ok(bytes),
    };
    let mut command = Command::new(tool);
    let mut child = command
        .args(["--decompress", "--stdout"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {tool}"))?;
    let mut stdin = child.stdin.take().context("no way in")?;
    let writer = std::thread::spawn(move || stdin.write_all(&bytes));
    let output = child.wait_with_output()?;
    let written = writer.join().is_ok_and(|result| result.is_ok());
    ensure!(written && output.status.success(), "{tool} failed");
    Ok(output.stdout)
}

/// `name:architecture` of a package with a kernel for virtual machines, or its modules.
fn with_architecture(name: &str) -> Option<String> {
    let kernel = [BOTH, ALONE, MODULES].iter().find_map(|before| name.strip_prefix(before))?;
    let (version, arch) = kernel.split_once("-cloud-")?;
    let known = Arch::value_variants().iter().any(|known| known.debian() == arch);
    (version.starts_with(|c: char| c.is_ascii_digit()) && known).then(|| format!("{name}:{arch}"))
}

/// The mirror from which this machine gets Debian's packages.
fn mirror() -> Result<String> {
    let system = fs::read_to_string("/etc/os-release")?;
    let field = |name: &str| system.lines().find_map(|line| line.strip_prefix(name));
    let (Some("debian"), Some(release)) = (field("ID="), field("VERSION_CODENAME=")) else {
        bail!("packages are fetched on Debian only: take --image and --busybox instead")
    };
    let mut command = Command::new("apt-get");
    command.args(["indextargets", "--format", "$(RELEASE) $(COMPONENT) $(REPO_URI)"]);
    let targets = text(command.arg("Identifier: Packages"))?;
    let prefix = format!("{release} main ");
    let uri = targets.lines().find_map(|line| line.strip_prefix(&prefix));
    Ok(uri.with_context(|| format!("this machine has no source for {release}"))?.to_owned())
}

fn text(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?} failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, version: &str) -> Package {
        let text = format!("Package: {name}\nArchitecture: amd64\nVersion: {version}\nDepends: x");
        Package::parse(&text).unwrap()
    }

    #[test]
    fn kernels_are_told_from_other_packages() {
        let full = |name| with_architecture(name);
        let name = "linux-binary-7.3.4+deb13-cloud-arm64";
        assert_eq!(full(name), Some(format!("{name}:arm64")));
        assert_eq!(full("linux-image-cloud-amd64"), None);
        assert_eq!(full("linux-image-6.1.0-50-cloud-amd64-unsigned"), None);
        assert_eq!(full("linux-image-6.1.0-50-amd64"), None);
    }

    #[test]
    fn the_newest_of_a_series_is_found() {
        let packages = vec![
            package("linux-image-6.12.94+deb13-cloud-amd64", "6.12.94-1"),
            package("linux-image-6.12.107+deb13-cloud-amd64", "6.12.107-1"),
            package("linux-image-7.3.4+deb13-cloud-amd64", "7.3.4-1~bpo13+1"),
            package("linux-binary-7.3.4+deb13-cloud-amd64", "7.3.4-1~bpo13+1"),
            package("linux-modules-7.3.4+deb13-cloud-amd64", "7.3.4-1~bpo13+1"),
        ];
        let archive = Archive { cache: PathBuf::new(), packages };
        let name = |series: &str| {
            let package = archive.newest(series.parse().unwrap(), Arch::Amd64);
            package.map(|package| package.name.as_str())
        };
        assert_eq!(name("6.12"), Some("linux-image-6.12.107+deb13-cloud-amd64"));
        assert_eq!(name("newest"), Some("linux-binary-7.3.4+deb13-cloud-amd64"));
        assert_eq!(name("5.10"), None);
    }
}
