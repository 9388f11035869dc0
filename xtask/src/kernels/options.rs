//! Which kernels to boot and what to check on them.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

/// Default series: the oldest supported one, those with long-term support, and recent ones.
const SERIES: [&str; 5] = ["5.10", "6.1", "6.12", "6.16-6.19", "newest"];

#[derive(Args)]
pub(crate) struct Options {
    /// Series of kernels: `6.1`, the newest of several as `6.16-6.19`, or `newest`.
    #[arg(long = "kernel", value_name = "SERIES", value_delimiter = ',', default_values = SERIES)]
    pub(super) series: Vec<Series>,
    /// Boot this kernel image instead: a bzImage or an arm64 Image with BTF, and no modules needed.
    #[arg(long, value_name = "PATH", conflicts_with = "series")]
    pub(super) image: Option<PathBuf>,
    /// The static busybox to boot it with, if Debian's cannot be fetched.
    #[arg(long, value_name = "PATH", requires = "image")]
    pub(super) busybox: Option<PathBuf>,
    /// Architectures; with `--image` it is the image's.
    #[arg(long = "arch", value_enum, value_delimiter = ',', default_values_t = [Arch::Amd64, Arch::Arm64])]
    pub(super) archs: Vec<Arch>,
    /// Checks.
    #[arg(long = "check", value_enum, value_delimiter = ',', default_values_t = Check::value_variants().iter().copied())]
    pub(super) checks: Vec<Check>,
    /// Virtual machines to run at a time; each takes up to two CPUs and 1 GiB.
    #[arg(long, default_value = "1")]
    pub(super) jobs: NonZeroUsize,
    /// Boot only what failed or was not reached in the last run of the same programs on the same
    /// kernel.
    #[arg(long)]
    pub(super) resume: bool,
    /// Write the results as a page (`docs/kernels.md` is one).
    #[arg(long, value_name = "PATH")]
    pub(super) report: Option<PathBuf>,
    /// Directory for downloads, builds and logs [default: peregrine-kernels in $XDG_CACHE_HOME, or
    /// kernels in the target directory].
    #[arg(long, value_name = "DIRECTORY")]
    cache: Option<PathBuf>,
}

impl Options {
    /// The directory for downloads, builds and logs, created if missing.
    pub(super) fn cache(&self) -> Result<PathBuf> {
        let of_user = || Some(PathBuf::from(std::env::var_os("XDG_CACHE_HOME")?));
        let target = || match std::env::var_os("CARGO_TARGET_DIR") {
            Some(target) => PathBuf::from(target),
            None => super::root().join("target"),
        };
        let directory = self.cache.clone().unwrap_or_else(|| match of_user() {
            Some(cache) => cache.join("peregrine-kernels"),
            None => target().join("kernels"),
        });
        std::fs::create_dir_all(&directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        Ok(directory.canonicalize()?)
    }
}

/// An architecture, by Debian's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(super) enum Arch {
    Amd64,
    Arm64,
}

impl Arch {
    /// Its name in the kernel, in Rust and in qemu.
    pub(super) fn machine(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }

    pub(super) fn debian(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// The architecture of a kernel image.
    pub(super) fn of_image(image: &[u8]) -> Result<Self> {
        let has = |at: usize, magic: &[u8]| image.get(at..at + magic.len()) == Some(magic);
        if has(0x202, b"HdrS") {
            Ok(Self::Amd64)
        } else if has(0x38, b"ARM\x64") {
            Ok(Self::Arm64)
        } else {
            bail!("this is neither a bzImage nor an arm64 Image")
        }
    }
}

/// A check to run on a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
pub(super) enum Check {
    /// The kernel accepts every program of the probe; measures load time and size.
    Load,
    /// The same with one hook per system call.
    LoadFexit,
    /// System calls produce events with correct parameters.
    Events,
    /// The same with one hook per system call; the hook at the exit of all calls produces equal
    /// events.
    EventsFexit,
    /// Hooked kernel functions have the expected arguments.
    Prototypes,
    /// Processes that started earlier are known, and children are followed.
    Live,
    /// The whole program: an act raises its alert, live and again from the recording.
    Program,
    /// systemd starts, reloads and ends the program with the unit that is installed.
    Service,
    /// A flood loses no process event, and every loss is counted exactly.
    Flood,
    /// The cost of system calls, in instructions.
    Overhead,
}

impl Check {
    /// Its name on the command line, in the virtual machine and in the page.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::LoadFexit => "load-fexit",
            Self::Events => "events",
            Self::EventsFexit => "events-fexit",
            Self::Prototypes => "prototypes",
            Self::Live => "live",
            Self::Program => "program",
            Self::Service => "service",
            Self::Flood => "flood",
            Self::Overhead => "overhead",
        }
    }

    /// Whether it needs a machine whose clock is the instruction counter.
    pub(super) fn is_counted(self) -> bool {
        self == Self::Overhead
    }
}

/// Versions `major.minor`, from one to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Series {
    from: (u32, u32),
    to: (u32, u32),
}

impl Series {
    pub(super) fn contains(self, version: (u32, u32)) -> bool {
        (self.from..=self.to).contains(&version)
    }
}

impl FromStr for Series {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "newest" {
            return Ok(Self { from: (0, 0), to: (u32::MAX, u32::MAX) });
        }
        let version = |text: &str| {
            let (major, minor) = text.split_once('.')?;
            Some((major.parse().ok()?, minor.parse().ok()?))
        };
        let (from, to) = text.split_once('-').unwrap_or((text, text));
        let (Some(from), Some(to)) = (version(from), version(to)) else {
            bail!("a series looks like 6.1, 6.16-6.19 or newest")
        };
        Ok(Self { from, to })
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.from, self.to) {
            ((0, 0), _) => write!(f, "newest"),
            (from, to) if from == to => write!(f, "{}.{}", from.0, from.1),
            (from, to) => write!(f, "{}.{}-{}.{}", from.0, from.1, to.0, to.1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_versions_and_ranges() {
        let series = |text: &str| text.parse::<Series>().unwrap();
        assert!(series("6.1").contains((6, 1)) && !series("6.1").contains((6, 12)));
        assert!(series("6.16-6.19").contains((6, 17)) && !series("6.16-6.19").contains((7, 0)));
        assert!(series("newest").contains((7, 3)));
        assert!("6".parse::<Series>().is_err() && "6.1-".parse::<Series>().is_err());
        assert_eq!(SERIES.map(|text| series(text).to_string()), SERIES);
    }

    #[test]
    fn images_tell_what_they_are_for() {
        let with = |at: usize, magic: &[u8]| {
            let mut image = vec![0; 0x300];
            image[at..at + magic.len()].copy_from_slice(magic);
            Arch::of_image(&image).ok()
        };
        assert_eq!(with(0x202, b"HdrS"), Some(Arch::Amd64));
        assert_eq!(with(0x38, b"ARM\x64"), Some(Arch::Arm64));
        assert_eq!(with(0, b"\x7fELF"), None);
    }
}
