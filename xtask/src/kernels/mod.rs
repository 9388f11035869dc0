//! The kernel matrix: boots kernels in virtual machines, runs checks in them, and makes a table of what they found.
//!
//! `archive` finds and fetches kernels, `guest` builds what runs inside, `machine` boots one, `verdict` reads what it
//! says, `report` writes the page.

mod archive;
mod guest;
mod machine;
mod options;
mod report;
mod verdict;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use archive::Archive;
use machine::{Clock, Machine};
use options::{Arch, Check};
use verdict::{Outcome, Verdict};

pub(crate) use options::Options;

/// A row of the table: a kernel, and what was found out about it.
struct Row {
    arch: Arch,
    /// What was asked for: a series, or the name of an image.
    name: String,
    /// The version of its package.
    version: String,
    /// The image, or why there is none.
    image: Result<PathBuf, String>,
    verdicts: Vec<Verdict>,
    /// What the kernel found wrong with itself.
    complaints: Vec<String>,
    took: Duration,
}

/// Boots, checks and reports. Fails if a check does.
pub(crate) fn run(options: &Options) -> Result<()> {
    let started = Instant::now();
    let cache = options.cache()?;
    let checks: Vec<_> = BTreeSet::from_iter(options.checks.iter().copied()).into_iter().collect();
    let mut rows = rows(options, &cache)?;
    let mut initramfs = BTreeMap::new();
    for arch in rows.iter().filter(|row| row.image.is_ok()).map(|row| row.arch) {
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
                    let begun = Instant::now();
                    row.check(&checks, initramfs.get(&row.arch), &cache);
                    row.took = begun.elapsed();
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
    let verdicts = || rows.iter().flat_map(|row| &row.verdicts);
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

/// The kernels that are asked for.
fn rows(options: &Options, cache: &Path) -> Result<Vec<Row>> {
    let row = |arch, name: String| Row {
        arch,
        name,
        version: String::new(),
        image: Err(String::new()),
        verdicts: Vec::new(),
        complaints: Vec::new(),
        took: Duration::ZERO,
    };
    if let Some(image) = &options.image {
        let bytes = std::fs::read(image).with_context(|| image.display().to_string())?;
        let arch = Arch::of_image(&bytes).with_context(|| image.display().to_string())?;
        let name = image.file_name().unwrap_or_default().to_string_lossy().into_owned();
        return Ok(vec![Row { image: Ok(image.clone()), ..row(arch, name) }]);
    }
    let archive = Archive::open(cache)?;
    let mut rows = Vec::new();
    for &arch in &options.archs {
        for &series in &options.series {
            let mut row = row(arch, series.to_string());
            match archive.newest(series, arch) {
                Some(package) => {
                    row.version.clone_from(&package.version);
                    row.image = Ok(archive.kernel(package)?);
                }
                None => row.image = Err("Debian has no such kernel".into()),
            }
            rows.push(row);
        }
    }
    Ok(rows)
}

/// Builds the initramfs of an architecture, if it can be booted here.
fn prepare(arch: Arch, checks: &[Check], busybox: Option<&Path>, cache: &Path) -> Result<PathBuf> {
    let emulator = machine::emulator(arch);
    if Command::new(&emulator).arg("--version").output().is_err() {
        bail!("there is no {emulator}");
    }
    let busybox = match busybox {
        Some(path) => path.to_owned(),
        None => Archive::open(cache)?.busybox(arch)?,
    };
    guest::initramfs(arch, checks, &busybox, cache)
}

impl Row {
    /// How the row is called while it is worked on.
    fn title(&self) -> String {
        format!("{} {}", self.arch.machine(), self.name)
    }

    fn check(
        &mut self,
        checks: &[Check],
        initramfs: Option<&Result<PathBuf, String>>,
        cache: &Path,
    ) {
        let initramfs = initramfs.unwrap_or(&Err(String::new())).clone();
        let (kernel, initramfs) = match (&self.image, initramfs) {
            (Err(why), _) => return self.skip(checks, &why.clone()),
            (_, Err(why)) => return self.skip(checks, &why),
            (Ok(kernel), Ok(initramfs)) => (kernel.clone(), initramfs),
        };
        let title = self.title();
        println!("{title}: booting {}", self.version);
        let machine = Machine { arch: self.arch, kernel: &kernel, initramfs: &initramfs };
        let mut console = String::new();
        // What is counted in instructions takes a machine in which they are the clock.
        let (counted, others): (Vec<_>, Vec<_>) =
            checks.iter().partition(|check| check.is_counted());
        for (checks, clock) in [(others, Clock::Wall), (counted, Clock::Instructions)] {
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
                    self.verdicts.extend(run.verdicts);
                    self.complaints.extend(run.complaints);
                    if let (true, Some(release)) = (self.version.is_empty(), run.release) {
                        self.version = release;
                    }
                }
                Err(error) => self.fail(&checks, &format!("{error:#}")),
            }
        }
        self.verdicts.sort_by_key(|verdict| verdict.check);
        let log = cache.join(format!("console-{}-{}.log", self.name, self.arch.debian()));
        if let Err(error) = std::fs::write(&log, console) {
            eprintln!("{}: {error}", log.display());
        }
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
        self.verdicts.extend(checks.iter().map(|&check| Verdict {
            check,
            outcome: outcome.clone(),
            seconds: 0.0,
            facts: Vec::new(),
            log: String::new(),
        }));
    }
}
