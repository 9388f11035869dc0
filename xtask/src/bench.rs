//! Compares the instruction counts of the benchmarks with `benches/baseline.json`.
//!
//! Counts depend on the compiler and on the C library's functions that valgrind sees, so that each
//! toolchain has a baseline of its own.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};

/// Changes up to this many percent count as none.
const TOLERANCE: f64 = 3.0;

/// Inlining moves some tens of instructions per event between functions when unrelated code
/// changes: up to this count, which is for a thousand events, only changes over [`SMALL_TOLERANCE`]
/// percent are regressions.
const SMALL: u64 = 75_000;
const SMALL_TOLERANCE: f64 = 15.0;

/// Environment variables that change what is compiled or measured: no baseline includes them.
const CLEARED: [&str; 3] = ["CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS", "PEREGRINE_UPSTREAM_RULES"];

#[derive(Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Options {
    /// Change nothing; fail if a count is over 3 % above the baseline of this toolchain.
    #[arg(long)]
    check: bool,
    /// Store the counts as the baseline of this toolchain.
    #[arg(long)]
    accept: bool,
}

/// Instructions by benchmark, such as `apply::openat`.
type Counts = BTreeMap<String, u64>;

/// The content of `benches/baseline.json`: counts by [`toolchain`].
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(transparent)]
struct Baseline(BTreeMap<String, Counts>);

/// Runs the benchmarks; compares their counts with the baseline or makes them the baseline.
pub(crate) fn run(options: &Options) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let toolchain = match toolchain(&root)? {
        Ok(toolchain) => toolchain,
        Err(missing) if options.accept => bail!(missing),
        Err(missing) => {
            println!("SKIPPED: {missing}");
            return Ok(());
        }
    };
    let mut baseline = Baseline::read(&baseline_file(&root))?;
    let before = baseline.0.get(&toolchain);
    if options.accept {
        let counts = measure(&root)?;
        if let Some(before) = before {
            print!("{}", Comparison::new(before, &counts).describe());
        }
        println!("{} counts are the baseline of {toolchain}", counts.len());
        baseline.0.insert(toolchain, counts);
        return baseline.write(&baseline_file(&root));
    }
    let Some(before) = before else {
        println!(
            "SKIPPED: benches/baseline.json has no counts for {toolchain}\n\
             To add them, run `cargo xtask bench --accept` on a commit whose counts are known to be good."
        );
        return Ok(());
    };
    let comparison = Comparison::new(before, &measure(&root)?);
    print!("{}", comparison.describe());
    let above = comparison.above.len();
    ensure!(
        above == 0,
        "{above} of {} benchmarks execute over {TOLERANCE} % more instructions than in \
         benches/baseline.json.\nTo accept that, run `cargo xtask bench --accept` and say \
         why in the commit.",
        comparison.compared
    );
    Ok(())
}

fn baseline_file(root: &Path) -> PathBuf {
    root.join("benches/baseline.json")
}

impl Baseline {
    /// Reads the file; none is an empty baseline.
    fn read(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    }

    fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(path, text).with_context(|| path.display().to_string())
    }
}

/// What the counts depend on: the compiler, valgrind and the architecture. The inner error says
/// which tool is missing.
fn toolchain(root: &Path) -> Result<Result<String, String>> {
    let Some(valgrind) = version("valgrind".into()) else {
        return Ok(Err("valgrind is not installed".into()));
    };
    let lock = fs::read_to_string(root.join("Cargo.lock")).context("Cargo.lock")?;
    let needed = locked(&lock, "gungraun").context("Cargo.lock has no gungraun")?;
    let runner = env::var_os("GUNGRAUN_RUNNER").unwrap_or_else(|| "gungraun-runner".into());
    if version(runner) != Some(format!("gungraun-runner {needed}")) {
        return Ok(Err(format!(
            "gungraun-runner {needed} is not installed; to install it, run\n  \
             cargo install gungraun-runner --version {needed} --locked"
        )));
    }
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let rustc = version(rustc).context("cannot run rustc")?;
    Ok(Ok(format!("{rustc}, {valgrind}, {}", env::consts::ARCH)))
}

/// What a program prints as its version, if it runs.
fn version(program: OsString) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// The version of a package in the text of a `Cargo.lock`.
fn locked<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name).skip(1);
    lines.next()?.strip_prefix("version = \"")?.strip_suffix('"')
}

/// Runs every benchmark once, with the built-in rules.
fn measure(root: &Path) -> Result<Counts> {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(root).stderr(Stdio::inherit());
    CLEARED.iter().for_each(|name| _ = command.env_remove(name));
    command.args(["bench", "--locked", "--package=peregrine-benches", "--bench=instructions"]);
    // Without the cache simulation, which takes a fifth of the time.
    command.args(["--", "--output-format=json", "--callgrind-args=--cache-sim=no"]);
    command.arg("--parallel=auto");
    let output = command.output().context("cannot run cargo")?;
    ensure!(output.status.success(), "the benchmarks failed");
    counts(&String::from_utf8(output.stdout).context("the output of the benchmarks")?)
}

/// One line of gungraun's output: one benchmark.
#[derive(Deserialize)]
struct Summary {
    function_name: String,
    id: Option<String>,
    profiles: Vec<Profile>,
}

#[derive(Deserialize)]
struct Profile {
    tool: String,
    data: ProfileData,
}

#[derive(Deserialize)]
struct ProfileData {
    total: Total,
}

#[derive(Deserialize)]
struct Total {
    metrics: Metrics,
}

#[derive(Deserialize)]
struct Metrics {
    #[serde(rename = "Ir")]
    instructions: Option<Metric>,
}

#[derive(Deserialize)]
struct Metric {
    values: Values,
}

#[derive(Deserialize)]
struct Values {
    /// Absent where gungraun found only the files of an earlier run.
    new: Option<u64>,
}

/// The counts in gungraun's output: JSON, one benchmark per line.
fn counts(output: &str) -> Result<Counts> {
    let mut counts = Counts::new();
    for line in output.lines().filter(|line| !line.trim().is_empty()) {
        let summary: Summary = serde_json::from_str(line)
            .with_context(|| format!("not a summary of a benchmark: {line:.200}"))?;
        let id = summary.id.map_or_else(String::new, |id| format!("::{id}"));
        let name = summary.function_name + &id;
        let mut profiles = summary.profiles.into_iter();
        let count = profiles
            .find(|profile| profile.tool == "Callgrind")
            .and_then(|profile| profile.data.total.metrics.instructions?.values.new)
            .with_context(|| format!("{name} has no count of instructions"))?;
        ensure!(counts.insert(name.clone(), count).is_none(), "two benchmarks are named {name}");
    }
    ensure!(!counts.is_empty(), "no benchmark ran");
    Ok(counts)
}

/// A count and the one it is compared with.
#[derive(Debug, PartialEq)]
struct Change {
    name: String,
    before: u64,
    now: u64,
}

impl Change {
    fn percent(&self) -> f64 {
        (self.now as f64 - self.before as f64) / self.before as f64 * 100.0
    }

    fn is_regression(&self) -> bool {
        let percent = self.percent();
        let small = self.now.saturating_sub(self.before) <= SMALL;
        percent > TOLERANCE && !(small && percent <= SMALL_TOLERANCE)
    }
}

/// How counts relate to a baseline.
#[derive(Debug, Default, PartialEq)]
struct Comparison {
    /// Number of benchmarks that the baseline and the counts share.
    compared: usize,
    /// Counts over the [tolerance](TOLERANCE).
    above: Vec<Change>,
    /// Counts that are lower by more than the tolerance.
    below: Vec<Change>,
    /// Benchmarks that only the counts have.
    added: Vec<String>,
    /// Benchmarks that only the baseline has.
    removed: Vec<String>,
}

impl Comparison {
    fn new(baseline: &Counts, counts: &Counts) -> Self {
        let mut comparison = Self::default();
        for (name, &now) in counts {
            let Some(&before) = baseline.get(name) else {
                comparison.added.push(name.clone());
                continue;
            };
            comparison.compared += 1;
            let change = Change { name: name.clone(), before, now };
            if change.is_regression() {
                comparison.above.push(change);
            } else if change.percent() < -TOLERANCE {
                comparison.below.push(change);
            }
        }
        let removed = baseline.keys().filter(|name| !counts.contains_key(*name));
        comparison.removed = removed.cloned().collect();
        comparison
    }

    /// What to print: tables of changes, benchmarks that were not compared, and a summary.
    fn describe(&self) -> String {
        let mut out = String::new();
        if !self.above.is_empty() {
            table(&mut out, "More instructions than the baseline", &self.above);
        }
        if !self.below.is_empty() {
            table(&mut out, "Fewer instructions than the baseline", &self.below);
        }
        for name in &self.added {
            let _ = writeln!(out, "{name} is not in the baseline");
        }
        for name in &self.removed {
            let _ = writeln!(out, "{name} is in the baseline and did not run");
        }
        let same = self.compared - self.above.len() - self.below.len();
        let _ = writeln!(
            out,
            "{same} of {} benchmarks are within {TOLERANCE} % of the baseline",
            self.compared
        );
        if self.above.is_empty() && self.outdated() {
            out += "To update the baseline, run `cargo xtask bench --accept`.\n";
        }
        out
    }

    /// Whether the baseline misses benchmarks or improvements.
    fn outdated(&self) -> bool {
        !(self.below.is_empty() && self.added.is_empty() && self.removed.is_empty())
    }
}

fn table(out: &mut String, title: &str, changes: &[Change]) {
    let width = changes.iter().map(|change| change.name.len()).max().unwrap_or(0).max(9);
    let _ = writeln!(out, "{title}:");
    let _ =
        writeln!(out, "{:width$} {:>12} {:>12} {:>9}", "benchmark", "baseline", "now", "change");
    for change in changes {
        let Change { name, before, now } = change;
        let percent = change.percent();
        let _ = writeln!(out, "{name:width$} {before:>12} {now:>12} {percent:>+7.1} %");
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line of gungraun's output as far as it matters here.
    fn line(id: &str, values: &str) -> String {
        format!(
            r#"{{"function_name":"apply","id":{id},"module_path":"instructions::events::apply","profiles":[{{"data":{{"parts":[],"total":{{"metrics":{{"Ir":{{"values":{values}}}}},"regressions":[]}}}},"duration_ns":1,"tool":"Callgrind"}}],"version":"7"}}"#
        )
    }

    fn counts_of(list: &[(&str, u64)]) -> Counts {
        list.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    #[test]
    fn output_yields_the_new_count_of_each_benchmark() {
        let first = line(r#""openat""#, r#"{"new":120,"old":100}"#);
        let second = line("null", r#"{"new":7}"#);
        let found = counts(&format!("{first}\n\n{second}\n")).unwrap();
        assert_eq!(found, counts_of(&[("apply", 7), ("apply::openat", 120)]));
    }

    #[test]
    fn output_without_a_count_is_an_error() {
        let error = |output: &str| counts(output).unwrap_err().to_string();
        let old = line(r#""openat""#, r#"{"old":100}"#);
        assert_eq!(error(&old), "apply::openat has no count of instructions");
        let once = line(r#""openat""#, r#"{"new":1}"#);
        assert_eq!(error(&format!("{once}\n{once}")), "two benchmarks are named apply::openat");
        assert_eq!(error(""), "no benchmark ran");
        assert_eq!(error("Running"), "not a summary of a benchmark: Running");
    }

    #[test]
    fn changes_within_the_tolerance_are_none() {
        let before = counts_of(&[("a", 1000), ("b", 1000), ("c", 1000)]);
        let now = counts_of(&[("a", 1030), ("b", 970), ("c", 1150)]);
        let comparison = Comparison::new(&before, &now);
        assert_eq!(comparison, Comparison { compared: 3, ..Comparison::default() });
        assert_eq!(comparison.describe(), "3 of 3 benchmarks are within 3 % of the baseline\n");
    }

    #[test]
    fn changes_beyond_the_tolerance_are_in_tables() {
        let before = counts_of(&[("apply::openat", 1000), ("parse::close", 1000)]);
        let now = counts_of(&[("apply::openat", 1200), ("parse::close", 500)]);
        let expected = "\
More instructions than the baseline:
benchmark         baseline          now    change
apply::openat         1000         1200   +20.0 %

Fewer instructions than the baseline:
benchmark        baseline          now    change
parse::close         1000          500   -50.0 %

0 of 2 benchmarks are within 3 % of the baseline
";
        assert_eq!(Comparison::new(&before, &now).describe(), expected);
    }

    #[test]
    fn small_changes_of_large_counts_are_regressions() {
        let change = |before, now| Change { name: String::new(), before, now };
        assert!(change(10_000_000, 10_310_000).is_regression());
        assert!(!change(10_000_000, 10_290_000).is_regression());
        assert!(!change(300_000, 330_000).is_regression(), "an effect of inlining");
    }

    #[test]
    fn lower_counts_and_other_benchmarks_only_suggest_to_accept() {
        let before = counts_of(&[("a", 1000), ("removed", 1)]);
        let now = counts_of(&[("a", 1000), ("added", 1)]);
        let comparison = Comparison::new(&before, &now);
        assert!(comparison.above.is_empty());
        let expected = "\
added is not in the baseline
removed is in the baseline and did not run
1 of 1 benchmarks are within 3 % of the baseline
To update the baseline, run `cargo xtask bench --accept`.
";
        assert_eq!(comparison.describe(), expected);
        let lower = Comparison::new(&counts_of(&[("a", 100)]), &counts_of(&[("a", 96)]));
        assert!(lower.above.is_empty() && lower.outdated());
    }

    #[test]
    fn a_count_where_the_baseline_has_zero_is_above_it() {
        let comparison = Comparison::new(&counts_of(&[("a", 0)]), &counts_of(&[("a", 1)]));
        assert_eq!(comparison.above.len(), 1);
    }

    #[test]
    fn the_lock_file_tells_which_runner_is_needed() {
        let lock = "[[package]]\nname = \"gungraun-common\"\nversion = \"0.1.0\"\n\n\
                    [[package]]\nname = \"gungraun\"\nversion = \"0.20.0\"\nsource = \"\"\n";
        assert_eq!(locked(lock, "gungraun"), Some("0.20.0"));
        assert_eq!(locked(lock, "gung"), None);
    }

    #[test]
    fn a_program_that_is_not_installed_has_no_version() {
        assert_eq!(version("no-such-program-anywhere".into()), None);
    }
}
