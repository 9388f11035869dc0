//! The kernel matrix: boots kernels in virtual machines, runs checks in them, and tabulates the
//! results.
//!
//! `archive` fetches kernels, `guest` builds what runs inside, `machine` boots one, `verdict`
//! parses its output, `kept` stores results, `report` writes the page.

mod archive;
mod guest;
mod kept;
mod machine;
mod options;
mod report;
mod verdict;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use archive::{Archive, Kernel};
use kept::Found;
use machine::{Clock, Machine};
use options::{Arch, Check};
use verdict::{Outcome, Verdict};

pub(crate) use options::Options;

/// A row of the table: a kernel and its results.
struct Row {
    arch: Arch,
    /// The request: a series, or the name of an image.
    name: String,
    /// The version of its package.
    version: String,
    /// What to boot, or why nothing can be booted.
    kernel: Result<Kernel, String>,
    found: Found,
    /// Whether the result is from an earlier run.
    earlier: bool,
}

/// Boots, checks and reports. Fails if a check fails.
pub(crate) fn run(options: &Options) -> Result<()> {
    let started = Instant::now();
    let cache = options.cache()?;
    let checks: Vec<_> = BTreeSet::from_iter(options.checks.iter().copied()).into_iter().collect();
    let mut rows = rows(options, &cache)?;
    let mut initramfs = BTreeMap::new();
    for arch in rows.iter().filter(|row| row.kernel.is_ok()).map(|row| row.arch) {
        initramfs.entry(arch).or_insert_with(|| {
            println!("building what runs on {}", arch.machine());
            prepare(arch, &checks, options.busybox.as_deref(), &cache)
                .map_err(|error| format!("{error:#}"))
        });
    }
    let queue: Mutex<VecDeque<&mut Row>> = Mutex::new(rows.iter_mut().collect());
    let next = || queue.lock().ok()?.pop_front();
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.get() {
            scope.spawn(|| {
                while let Some(row) = next() {
                    row.check(&checks, initramfs.get(&row.arch), &cache, options.resume);
                }
            });
        }
    });
    let page = report::page(&rows, &checks, started.elapsed());
    match &options.report {
        Some(path) => std::fs::write(path, page)
            .with_context(|| format!("cannot write {}", path.display()))?,
        None => println!("\n{}", report::tables(&rows, &checks)),
    }
    let verdicts = || rows.iter().flat_map(|row| &row.found.verdicts);
    let count = |word| verdicts().filter(|verdict| verdict.outcome.word() == word).count();
    println!(
        "{} success, {} failed, {} skipped",
        count("success"),
        count("failed"),
        count("skipped")
    );
    println!("consoles are in {}", cache.display());
    if count("failed") > 0 {
        bail!("some checks failed");
    }
    Ok(())
}

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The requested kernels.
fn rows(options: &Options, cache: &Path) -> Result<Vec<Row>> {
    let row = |arch, name: String| Row {
        arch,
        name,
        version: String::new(),
        kernel: Err(String::new()),
        found: Found::default(),
        earlier: false,
    };
    if let Some(image) = &options.image {
        let bytes = std::fs::read(image).with_context(|| image.display().to_string())?;
        let arch = Arch::of_image(&bytes).with_context(|| image.display().to_string())?;
        let name = image.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let kernel = Kernel { image: image.clone(), modules: Vec::new() };
        return Ok(vec![Row { kernel: Ok(kernel), ..row(arch, name) }]);
    }
    let archive = Archive::open(cache)?;
    let mut rows = Vec::new();
    for &arch in &options.archs {
        for &series in &options.series {
            let mut row = row(arch, series.to_string());
            match archive.newest(series, arch) {
                Some(package) => {
                    row.version.clone_from(&package.version);
                    row.kernel = Ok(archive.kernel(package)?);
                }
                None => row.kernel = Err("Debian has no such kernel".into()),
            }
            rows.push(row);
        }
    }
    Ok(rows)
}

/// Builds the initramfs of an architecture, if this machine can boot it.
fn prepare(arch: Arch, checks: &[Check], busybox: Option<&Path>, cache: &Path) -> Result<PathBuf> {
    let emulator = machine::emulator(arch);
    if Command::new(&emulator).arg("--version").output().is_err() {
        bail!("there is no {emulator}");
    }
    let busybox = match busybox {
        Some(path) => path.to_owned(),
        None => Archive::open(cache)?.busybox(arch)?,
    };
    let systemd = match checks.contains(&Check::Service) {
        true => Some(Archive::open(cache)?.unpacked("systemd", arch)?),
        false => None,
    };
    guest::initramfs(arch, checks, &busybox, systemd.as_deref(), cache)
}

impl Row {
    /// Name of the row in progress messages.
    fn title(&self) -> String {
        format!("{} {}", self.arch.machine(), self.name)
    }

    fn check(
        &mut self,
        checks: &[Check],
        programs: Option<&Result<PathBuf, String>>,
        cache: &Path,
        resume: bool,
    ) {
        let programs = programs.unwrap_or(&Err(String::new())).clone();
        let (kernel, programs) = match (&self.kernel, programs) {
            (Err(why), _) => return self.skip(checks, &why.clone()),
            (_, Err(why)) => return self.skip(checks, &why),
            (Ok(kernel), Ok(programs)) => (kernel.clone(), programs),
        };
        let own = format!("{}-{}", self.name, self.arch.debian());
        let own = |what, extension| cache.join(format!("{what}-{own}.{extension}"));
        let (initramfs, kept) = (own("initramfs", "gz"), own("found", "json"));
        let of = guest::with_modules(&programs, &kernel.modules, &initramfs)
            .and_then(|()| kept::identity(&kernel.image, &initramfs, checks));
        let of = match of {
            Ok(of) => of,
            Err(error) => return self.fail(checks, &format!("{error:#}")),
        };
        if let (true, Some(found)) = (resume, Found::good(&kept, of)) {
            println!("{}: all good in an earlier run", self.title());
            (self.found, self.earlier) = (found, true);
            return;
        }
        let begun = Instant::now();
        let console = self.boot(&kernel.image, &initramfs, checks);
        self.found.took = begun.elapsed();
        let log = own("console", "log");
        if let Err(error) = std::fs::write(&log, console) {
            eprintln!("{}: {error}", log.display());
        }
        if let Err(error) = self.found.keep(&kept, of) {
            eprintln!("{}: {error}", kept.display());
        }
    }

    /// Boots it and runs the checks; returns the console output.
    fn boot(&mut self, kernel: &Path, initramfs: &Path, checks: &[Check]) -> String {
        let title = self.title();
        println!("{title}: booting {}", self.version);
        let machine = Machine { arch: self.arch, kernel, initramfs };
        let mut console = String::new();
        // Checks that count instructions need a machine whose clock is the instruction counter, and
        // systemd is the first program of a machine.
        let (counted, others): (Vec<_>, Vec<_>) =
            checks.iter().partition(|check| check.is_counted());
        let (systemd, others): (Vec<_>, Vec<_>) =
            others.into_iter().partition(|check| *check == Check::Service);
        let machines =
            [(others, Clock::Wall), (systemd, Clock::Wall), (counted, Clock::Instructions)];
        for (checks, clock) in machines {
            if checks.is_empty() {
                continue;
            }
            let run = machine.run(&checks, clock, |verdict| {
                let Verdict { check, outcome, seconds, .. } = verdict;
                let why = outcome.reason().map(|why| format!(": {why}")).unwrap_or_default();
                println!("{title}: {} {}{why} ({seconds:.1} s)", check.name(), outcome.word());
            });
            match run {
                Ok(run) => {
                    console += &run.console;
                    self.found.verdicts.extend(run.verdicts);
                    self.found.complaints.extend(run.complaints);
                    if let (true, Some(release)) = (self.version.is_empty(), run.release) {
                        self.version = release;
                    }
                }
                Err(error) => self.fail(&checks, &format!("{error:#}")),
            }
        }
        self.found.verdicts.sort_by_key(|verdict| verdict.check);
        console
    }

    fn skip(&mut self, checks: &[Check], why: &str) {
        println!("{}: skipped: {why}", self.title());
        self.all(checks, &Outcome::Skipped(why.into()));
    }

    fn fail(&mut self, checks: &[Check], why: &str) {
        println!("{}: failed: {why}", self.title());
        self.all(checks, &Outcome::Failed(why.into()));
    }

    fn all(&mut self, checks: &[Check], outcome: &Outcome) {
        self.found.verdicts.extend(checks.iter().map(|&check| Verdict {
            check,
            outcome: outcome.clone(),
            seconds: 0.0,
            facts: Vec::new(),
            log: String::new(),
        }));
    }
}
